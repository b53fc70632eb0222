//! The balance: computed from the balance transactions that no payout has taken (FACTS section 14).

use super::{Call, Endpoint, Verb, get};
use crate::{
    book::Book,
    json::{Raw, json_text},
    problem::Refusal,
};

pub(crate) static ENDPOINTS: [Endpoint; 1] = [get("/v1/balance", "", "balance", Verb::Compute(text))];

/// What a currency holds: available and pending, in minor units.
pub(crate) fn of(book: &Book, currency: &str, now: i64) -> (i64, i64) {
    let Some(unpaid) = book.unpaid.get(currency) else { return (0, 0) };
    unpaid.iter().fold(
        (0, 0),
        |(available, pending), ((on, _), net)| {
            if *on <= now { (available + net, pending) } else { (available, pending + net) }
        },
    )
}

/// The balance object.
pub(crate) fn text(book: &Book, _: &Call, now: i64) -> Result<String, Refusal> {
    let mut available = Vec::new();
    let mut pending = Vec::new();
    let currencies: Vec<&str> = match book.unpaid.is_empty() {
        true => vec!["usd"],
        false => book.unpaid.keys().map(|currency| currency.as_ref()).collect(),
    };
    for currency in currencies {
        let (now_available, later) = of(book, currency, now);
        for (list, amount) in [(&mut available, now_available), (&mut pending, later)] {
            list.push(json_text!({ "amount": amount, "currency": currency, "source_types": { "card": amount } }));
        }
    }
    let available: Vec<Raw<'_>> = available.iter().map(|text| Raw(text)).collect();
    let pending: Vec<Raw<'_>> = pending.iter().map(|text| Raw(text)).collect();
    Ok(json_text!({
        "object": "balance",
        "available": available,
        "connect_reserved": [],
        "livemode": book.livemode,
        "pending": pending,
    }))
}
