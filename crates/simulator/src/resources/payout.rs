//! Payouts: automatic ones take all that waited and is available, so that between two payouts the books add up
//! (FACTS sections 13 and 14); others are taken by hand.

use super::{Call, Endpoint, Kind, Resource, Verb, balance, get, post, simple};
use crate::{
    book::{Book, Due},
    calendar::{DAY, weekday},
    ids::Ids,
    json::{Json, json_text},
    money,
    problem::Refusal,
    resources::balance_transaction::{Movement, Posting, post as book_money},
    table::Facet,
    work::{Work, int_of, text_of},
};
use std::sync::Arc;

pub(crate) static RESOURCE: Resource = Resource {
    kind: Kind::Payout,
    object: "payout",
    facets: &[Facet::word("status"), Facet::word("arrival_date"), Facet::word("destination")],
    expands: &[
        "balance_transaction",
        "destination",
        "failure_balance_transaction",
        "original_payout",
        "reversed_by",
        "application_fee",
    ],
    search: None,
    endpoints: &ENDPOINTS,
};

static ENDPOINTS: [Endpoint; 5] = [
    get(
        "/v1/payouts",
        "arrival_date:times created:times destination:text status:text",
        "payout",
        Verb::List(Kind::Payout, simple),
    ),
    get("/v1/payouts/{id}", "", "payout", Verb::Retrieve(Kind::Payout)),
    post(
        "/v1/payouts",
        "amount:int! currency:text! description:text metadata:metadata statement_descriptor:text method:one(standard|instant)",
        "payout",
        create,
    ),
    post("/v1/payouts/{id}", "metadata:metadata", "payout", update),
    post("/v1/payouts/{id}/cancel", "", "payout", cancel),
];

/// What a payout is made from.
pub(crate) struct NewPayout<'a> {
    pub(crate) id: &'a str,
    pub(crate) livemode: bool,
    pub(crate) created: i64,
    pub(crate) arrival_date: i64,
    pub(crate) amount: i64,
    pub(crate) currency: &'a str,
    pub(crate) automatic: bool,
    pub(crate) balance_transaction: &'a str,
    pub(crate) description: Option<&'a str>,
    pub(crate) status: &'a str,
    pub(crate) metadata: &'a dyn Json,
}

/// The payout object.
pub(crate) fn text(new: &NewPayout<'_>) -> String {
    let paid = new.status == "paid";
    json_text!({
        "id": new.id,
        "object": "payout",
        "amount": new.amount,
        "application_fee": null,
        "application_fee_amount": null,
        "arrival_date": new.arrival_date,
        "automatic": new.automatic,
        "balance_transaction": new.balance_transaction,
        "created": new.created,
        "currency": new.currency,
        "description": new.description,
        "destination": format!("ba_bursarDemo{}", new.currency.to_uppercase()),
        "failure_balance_transaction": null,
        "failure_code": null,
        "failure_message": null,
        "livemode": new.livemode,
        "metadata": new.metadata,
        "method": "standard",
        "original_payout": null,
        "payout_method": null,
        "reconciliation_status": if !new.automatic { "not_applicable" } else if paid { "completed" } else { "in_progress" },
        "reversed_by": null,
        "source_type": "card",
        "statement_descriptor": null,
        "status": new.status,
        "trace_id": { "status": if paid { "supported" } else { "pending" }, "value": null },
        "type": "bank_account",
    })
}

/// When money that leaves now arrives: the next bank day but one.
fn arrival(created: i64) -> i64 {
    let mut day = crate::calendar::midnight(created) + 2 * DAY;
    while weekday(day) > 4 {
        day += DAY;
    }
    day
}

/// Makes the automatic payouts of one moment: per currency, all that waited and is available, if it is more than nothing.
/// Answers the texts of the payouts made.
pub(crate) fn sweep(book: &mut Book, ids: &Ids, at: i64, now: i64) -> Vec<Arc<str>> {
    let mut made = Vec::new();
    for currency in money::settled_currencies() {
        let Some(unpaid) = book.unpaid.get_mut(currency) else { continue };
        let ready: Vec<(i64, Box<str>)> = unpaid.range(..(at + 1, Box::from(""))).map(|(key, _)| key.clone()).collect();
        let amount: i64 = ready.iter().filter_map(|key| unpaid.get(key)).sum();
        if amount <= 0 {
            continue;
        }
        for key in &ready {
            unpaid.remove(key);
        }
        let id = ids.at(at).new_id("po_");
        let arrives = arrival(at);
        let posting = Posting {
            movement: Movement::Payout,
            amount_minor: -amount,
            fee_minor: 0,
            currency,
            source: Some(&id),
            description: Some("STRIPE PAYOUT"),
            rate: None,
            created: at,
            available_on: at,
            waits: false,
        };
        let (transaction, _) = book_money(book, ids, now, &posting);
        let rows = book.table_mut(Kind::BalanceTransaction);
        for (_, row) in &ready {
            rows.mark(row, "payout", Some(&id));
        }
        rows.mark(&transaction, "payout", Some(&id));
        let status = if arrives <= now { "paid" } else { "in_transit" };
        if arrives > now {
            book.due.insert((arrives, Due::Arrive(id.as_str().into())));
        }
        made.push(book.put(
            Kind::Payout,
            text(&NewPayout {
                id: &id,
                livemode: book.livemode,
                created: at,
                arrival_date: arrives,
                amount,
                currency,
                automatic: true,
                balance_transaction: &transaction,
                description: Some("STRIPE PAYOUT"),
                status,
                metadata: &crate::json::Raw("{}"),
            }),
            at,
        ));
    }
    made
}

/// A payout has reached the bank.
pub(crate) fn arrive(work: &mut Work<'_>, id: &str) {
    let arrived = work.change(Kind::Payout, id, |payout| {
        if matches!(text_of(payout, "status"), "pending" | "in_transit") {
            payout["status"] = "paid".into();
            payout["trace_id"] = serde_json::json!({ "status": "supported", "value": null });
            if payout["automatic"] == true {
                payout["reconciliation_status"] = "completed".into();
            }
        }
        Ok(())
    });
    let Ok(change) = arrived else { return };
    if change.before["status"] == change.after["status"] {
        return;
    }
    work.emit("payout.paid", &change.text);
    if change.after["automatic"] == true {
        work.emit("payout.reconciliation_completed", &change.text);
    }
}

/// The bank sends a payout back, also one that had arrived (FACTS section 13): the money waits for a later payout.
pub(crate) fn fail(work: &mut Work<'_>, id: &str, code: &str) -> Result<Arc<str>, Refusal> {
    let payout = work.value(Kind::Payout, id, None)?;
    if !matches!(text_of(&payout, "status"), "pending" | "in_transit" | "paid") {
        return Err(Refusal::bad(format!("A payout that is {} cannot fail.", text_of(&payout, "status"))));
    }
    let currency = text_of(&payout, "currency").to_owned();
    let transaction = give_back(work, &payout, Movement::PayoutFailure, &currency, "STRIPE PAYOUT FAILURE");
    let change = work.change(Kind::Payout, id, |payout| {
        payout["status"] = "failed".into();
        payout["failure_balance_transaction"] = transaction.into();
        payout["failure_code"] = code.into();
        payout["failure_message"] = "The bank sent the payout back.".into();
        Ok(())
    })?;
    work.emit("payout.failed", &change.text);
    work.emit_updated("payout.updated", &change);
    Ok(change.text)
}

/// Books the money of a payout back; answers the id of the balance transaction.
fn give_back(
    work: &mut Work<'_>,
    payout: &serde_json::Value,
    movement: Movement,
    currency: &str,
    what: &str,
) -> String {
    let now = work.present;
    let posting = Posting {
        movement,
        amount_minor: int_of(payout, "amount"),
        fee_minor: 0,
        currency,
        source: Some(text_of(payout, "id")),
        description: Some(what),
        rate: None,
        created: now,
        available_on: now,
        waits: true,
    };
    book_money(work.book, work.ids, now, &posting).0
}

fn create(work: &mut Work<'_>, call: &Call) -> Result<Arc<str>, Refusal> {
    let parameters = &call.parameters;
    let metadata = parameters.new_metadata()?;
    let amount = parameters.int("amount").unwrap_or_default();
    let currency = parameters.text("currency").unwrap_or_default().to_ascii_lowercase();
    let Some(currency) = money::settled_currencies().find(|settled| *settled == currency) else {
        return Err(Refusal::bad(format!("You have no external account for {currency}.")).param("currency"));
    };
    if amount < 1 {
        return Err(Refusal::bad("Invalid positive integer").code("parameter_invalid_integer").param("amount"));
    }
    if balance::of(work.book, currency, work.present).0 < amount {
        return Err(Refusal::bad("You have insufficient available funds in your Stripe account for this payout.")
            .code("balance_insufficient"));
    }
    let id = work.ids.new_id("po_");
    let (now, arrives) = (work.present, arrival(work.present));
    let posting = Posting {
        movement: Movement::Payout,
        amount_minor: -amount,
        fee_minor: 0,
        currency,
        source: Some(&id),
        description: parameters.text("description"),
        rate: None,
        created: now,
        available_on: now,
        waits: true,
    };
    let (transaction, _) = book_money(work.book, work.ids, now, &posting);
    let text = work.insert(
        Kind::Payout,
        text(&NewPayout {
            id: &id,
            livemode: work.book.livemode,
            created: now,
            arrival_date: arrives,
            amount,
            currency,
            automatic: false,
            balance_transaction: &transaction,
            description: parameters.text("description"),
            status: "pending",
            metadata: &metadata,
        }),
    );
    work.book.due.insert((arrives, Due::Arrive(id.into())));
    work.emit("payout.created", &text);
    Ok(text)
}

fn update(work: &mut Work<'_>, call: &Call) -> Result<Arc<str>, Refusal> {
    let change = work.change(Kind::Payout, &call.id, |payout| call.parameters.merge_metadata(payout))?;
    work.emit_updated("payout.updated", &change);
    Ok(change.text)
}

fn cancel(work: &mut Work<'_>, call: &Call) -> Result<Arc<str>, Refusal> {
    let payout = work.value(Kind::Payout, &call.id, None)?;
    if payout["status"] != "pending" {
        return Err(Refusal::bad(format!(
            "Payouts with a status of {} cannot be canceled.",
            text_of(&payout, "status")
        ))
        .code("payouts_not_allowed"));
    }
    let currency = text_of(&payout, "currency").to_owned();
    let transaction = give_back(work, &payout, Movement::PayoutReversal, &currency, "Payout canceled");
    let change = work.change(Kind::Payout, &call.id, |payout| {
        payout["status"] = "canceled".into();
        payout["failure_balance_transaction"] = transaction.into();
        Ok(())
    })?;
    work.emit("payout.canceled", &change.text);
    Ok(change.text)
}
