//! Balance transactions: one for each move of money, the only place where money moves (FACTS section 14).

use super::{Endpoint, Kind, Resource, Verb, get, simple};
use crate::{
    book::{Book, Due},
    ids::Ids,
    json::{Raw, json_text},
    table::Facet,
    work::Work,
};

pub(crate) static RESOURCE: Resource = Resource {
    kind: Kind::BalanceTransaction,
    object: "balance_transaction",
    facets: &[
        Facet::word("currency"),
        // The object does not say which payout took it; the list can be asked for it all the same.
        Facet { param: "payout", path: "", indexed: true },
        Facet::id("source"),
        Facet::word("type"),
    ],
    expands: &["source"],
    search: None,
    endpoints: &ENDPOINTS,
};

// The permission is named after the sources; one called `balance_transaction` exists and does nothing.
static ENDPOINTS: [Endpoint; 2] = [
    get(
        "/v1/balance_transactions",
        "created:times currency:text payout:text source:text type:text",
        "balance_transaction_source",
        Verb::List(Kind::BalanceTransaction, simple),
    ),
    get("/v1/balance_transactions/{id}", "", "balance_transaction_source", Verb::Retrieve(Kind::BalanceTransaction)),
];

/// Why money moves: decides `type` and `reporting_category`, and which sum of the books it enters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Movement {
    Charge,
    Refund,
    /// A refund that came back.
    RefundFailure,
    Dispute,
    DisputeReversal,
    Payout,
    /// A payout taken by hand that is given back.
    PayoutReversal,
    /// A payout that the bank did not take.
    PayoutFailure,
    /// A fee that Stripe takes apart from any payment.
    StripeFee,
    /// A correction by Stripe.
    Adjustment,
}

/// A move of money to be booked.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Posting<'a> {
    pub(crate) movement: Movement,
    /// Signed, in settled minor units.
    pub(crate) amount_minor: i64,
    pub(crate) fee_minor: i64,
    pub(crate) currency: &'a str,
    /// What moved it, if there is an object for that.
    pub(crate) source: Option<&'a str>,
    pub(crate) description: Option<&'a str>,
    pub(crate) rate: Option<&'a str>,
    pub(crate) created: i64,
    pub(crate) available_on: i64,
    /// Whether the money is waiting for a payout; false for automatic payouts, which take what waited.
    pub(crate) waits: bool,
}

/// Books a move of money and returns the id of its balance transaction, and its text.
pub(crate) fn post(book: &mut Book, ids: &Ids, now: i64, posting: &Posting<'_>) -> (String, std::sync::Arc<str>) {
    let id = ids.at(posting.created).new_id("txn_");
    let net = posting.amount_minor - posting.fee_minor;
    let (kind, category) = match posting.movement {
        Movement::Charge => ("charge", "charge"),
        Movement::Refund => ("refund", "refund"),
        Movement::RefundFailure => ("refund_failure", "refund_failure"),
        Movement::Dispute => ("adjustment", "dispute"),
        Movement::DisputeReversal => ("adjustment", "dispute_reversal"),
        Movement::Payout => ("payout", "payout"),
        Movement::PayoutReversal => ("payout_cancel", "payout_reversal"),
        Movement::PayoutFailure => ("payout_failure", "payout_reversal"),
        Movement::StripeFee => ("stripe_fee", "fee"),
        Movement::Adjustment => ("adjustment", "other_adjustment"),
    };
    let mut fees = Vec::new();
    if posting.fee_minor != 0 {
        let what = if posting.movement == Movement::Charge { "Stripe processing fees" } else { "Dispute fee" };
        fees.push(json_text!({
            "amount": posting.fee_minor, "application": null, "currency": posting.currency, "description": what, "type": "stripe_fee",
        }));
    }
    let fee_details: Vec<Raw<'_>> = fees.iter().map(|fee| Raw(fee)).collect();
    let text = json_text!({
        "id": id,
        "object": "balance_transaction",
        "amount": posting.amount_minor,
        "available_on": posting.available_on,
        "balance_type": "payments",
        "created": posting.created,
        "currency": posting.currency,
        "description": posting.description,
        "exchange_rate": posting.rate.map(Raw),
        "fee": posting.fee_minor,
        "fee_details": fee_details,
        "net": net,
        "reporting_category": category,
        "source": posting.source,
        "status": if posting.available_on <= now { "available" } else { "pending" },
        "type": kind,
    });
    let text = book.put(Kind::BalanceTransaction, text, posting.created);
    if posting.available_on > now {
        book.due.insert((posting.available_on, Due::Available(id.as_str().into())));
    }
    if posting.waits {
        let unpaid = book.unpaid.entry(posting.currency.into()).or_default();
        unpaid.insert((posting.available_on, id.as_str().into()), net);
    }
    enter(book, posting, net);
    (id, text)
}

fn enter(book: &mut Book, posting: &Posting<'_>, net: i64) {
    let books = book.totals.settled(posting.currency);
    let amount = posting.amount_minor;
    match posting.movement {
        Movement::Charge => {
            books.gross += amount;
            books.charges += 1;
        }
        Movement::Refund => {
            books.refunds -= amount;
            books.refund_count += 1;
        }
        Movement::RefundFailure => books.refund_failures += amount,
        Movement::Dispute => books.disputes -= amount,
        Movement::DisputeReversal => books.dispute_reversals += amount,
        Movement::Payout => {
            books.payouts -= amount;
            books.payout_count += 1;
        }
        Movement::PayoutReversal | Movement::PayoutFailure => books.payouts -= amount,
        Movement::StripeFee => books.fees -= amount,
        Movement::Adjustment => books.adjustments += amount,
    }
    if !matches!(posting.movement, Movement::Payout | Movement::PayoutReversal | Movement::PayoutFailure) {
        books.fees += posting.fee_minor;
        books.net += net;
    }
    books.balance += net;
}

/// Money that moves without a payment: a fee of Stripe's own (negative), or a correction either way.
pub(crate) fn adjust(work: &mut Work<'_>, movement: Movement, amount_minor: i64, currency: &str, what: &str) -> String {
    let source = match movement {
        Movement::StripeFee => None,
        _ => Some(work.ids.new_id("adj_")),
    };
    let (now, rate) = (work.present, None);
    let posting = Posting {
        movement,
        amount_minor,
        fee_minor: 0,
        currency,
        source: source.as_deref(),
        description: Some(what),
        rate,
        created: now,
        available_on: now,
        waits: true,
    };
    post(work.book, work.ids, now, &posting).0
}

/// The money of a balance transaction has become available.
pub(crate) fn become_available(work: &mut Work<'_>, id: &str) {
    // No event tells of this (FACTS section 9): readers see it when they read again.
    let _ = work.change(Kind::BalanceTransaction, id, |row| {
        row["status"] = "available".into();
        Ok(())
    });
}

/// Card money can be paid out after two days, at midnight UTC.
pub(crate) fn available_on(created: i64) -> i64 {
    crate::calendar::midnight(created) + 2 * crate::calendar::DAY
}
