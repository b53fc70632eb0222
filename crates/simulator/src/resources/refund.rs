//! Refunds: whole or in parts, up to what was captured (FACTS section 10).

use super::{
    Call, Endpoint, Kind, Resource, Verb,
    cards::{self, Refunds},
    get, post, price, simple,
};
use crate::{
    book::Due,
    calendar::DAY,
    json::{Json, json_text},
    money::Terms,
    problem::Refusal,
    resources::balance_transaction::{Movement, Posting, post as book_money},
    table::Facet,
    work::{Work, int_of, text_of},
};
use serde_json::Value;
use std::sync::Arc;

pub(crate) static RESOURCE: Resource = Resource {
    kind: Kind::Refund,
    object: "refund",
    facets: &[Facet::id("charge"), Facet::id("payment_intent")],
    expands: &[
        "balance_transaction",
        "charge",
        "customer",
        "failure_balance_transaction",
        "payment_intent",
        "payment_method",
        "source_transfer_reversal",
        "transfer_reversal",
    ],
    search: None,
    endpoints: &ENDPOINTS,
};

// Refunds ride on the permission for charges.
static ENDPOINTS: [Endpoint; 5] = [
    get("/v1/refunds", "charge:text created:times payment_intent:text", "charge", Verb::List(Kind::Refund, simple)),
    get("/v1/refunds/{id}", "", "charge", Verb::Retrieve(Kind::Refund)),
    post(
        "/v1/refunds",
        "amount:int charge:text currency:text metadata:metadata payment_intent:text reason:one(duplicate|fraudulent|requested_by_customer)",
        "charge",
        create,
    ),
    post("/v1/refunds/{id}", "metadata:metadata", "charge", update),
    post("/v1/refunds/{id}/cancel", "", "charge", cancel),
];

/// What a refund is made from.
pub(crate) struct NewRefund<'a> {
    pub(crate) id: &'a str,
    pub(crate) created: i64,
    pub(crate) amount: i64,
    pub(crate) currency: &'a str,
    pub(crate) charge: &'a str,
    pub(crate) payment_intent: Option<&'a str>,
    pub(crate) customer: Option<&'a str>,
    pub(crate) payment_method: Option<&'a str>,
    pub(crate) balance_transaction: &'a str,
    pub(crate) status: &'a str,
    pub(crate) reason: Option<&'a str>,
    pub(crate) metadata: &'a dyn Json,
}

/// The refund object.
pub(crate) fn text(new: &NewRefund<'_>) -> String {
    json_text!({
        "id": new.id,
        "object": "refund",
        "amount": new.amount,
        "balance_transaction": new.balance_transaction,
        "charge": new.charge,
        "created": new.created,
        "currency": new.currency,
        "customer": new.customer,
        "customer_account": null,
        "destination_details": { "card": { "type": "refund" }, "type": "card" },
        "metadata": new.metadata,
        "payment_intent": new.payment_intent,
        "payment_method": new.payment_method,
        "reason": new.reason,
        "receipt_number": null,
        "source_transfer_reversal": null,
        "status": new.status,
        "transfer_reversal": null,
    })
}

/// The money of a refund.
pub(crate) struct Returned<'a> {
    pub(crate) refund: &'a str,
    pub(crate) terms: Terms,
    /// Amount of the charge, what had been refunded before, and what is refunded now.
    pub(crate) charged: i64,
    pub(crate) before: i64,
    pub(crate) amount: i64,
    pub(crate) currency: &'a str,
    pub(crate) created: i64,
}

/// Books the money of a refund; answers the id of the balance transaction. Fees are not given back.
pub(crate) fn move_money(
    book: &mut crate::book::Book,
    ids: &crate::ids::Ids,
    now: i64,
    returned: &Returned<'_>,
) -> String {
    let rate = returned.terms.rate_text();
    book.totals.presented(returned.currency).refunded += returned.amount;
    let posting = Posting {
        movement: Movement::Refund,
        amount_minor: -returned.terms.taken_back(returned.charged, returned.before, returned.amount),
        fee_minor: 0,
        currency: returned.terms.settles_in,
        source: Some(returned.refund),
        description: Some("REFUND FOR CHARGE"),
        rate: rate.as_deref(),
        created: returned.created,
        available_on: returned.created,
        waits: true,
    };
    book_money(book, ids, now, &posting).0
}

fn create(work: &mut Work<'_>, call: &Call) -> Result<Arc<str>, Refusal> {
    let parameters = &call.parameters;
    let metadata = parameters.new_metadata()?;
    let charge_id = match (parameters.text("charge"), parameters.text("payment_intent")) {
        (Some(charge), _) => charge.to_owned(),
        (None, Some(intent)) => {
            let intent = work.value(Kind::PaymentIntent, intent, Some("payment_intent"))?;
            let charge = intent["latest_charge"].as_str();
            charge.map(str::to_owned).ok_or_else(|| {
                Refusal::bad("This PaymentIntent does not have a successful charge to refund.").param("payment_intent")
            })?
        }
        (None, None) => {
            return Err(Refusal::bad(
                "One of the following params should be provided for this request: payment_intent or charge.",
            )
            .code("parameter_missing"));
        }
    };
    make(work, &charge_id, parameters.int("amount"), parameters.text("reason"), &metadata)
}

/// Refunds a charge.
pub(crate) fn make(
    work: &mut Work<'_>,
    charge_id: &str,
    amount: Option<i64>,
    reason: Option<&str>,
    metadata: &Value,
) -> Result<Arc<str>, Refusal> {
    let charge = work.value(Kind::Charge, charge_id, Some("charge"))?;
    if charge["status"] != "succeeded" || charge["captured"] != true {
        return Err(Refusal::bad(format!("Charge {charge_id} cannot be refunded: it was not captured."))
            .code("charge_not_refundable")
            .param("charge"));
    }
    if charge["disputed"] == true {
        return Err(Refusal::bad(format!("Charge {charge_id} has been charged back; cannot issue a refund."))
            .code("charge_disputed"));
    }
    let (charged, before) = (int_of(&charge, "amount"), int_of(&charge, "amount_refunded"));
    if before >= charged {
        return Err(
            Refusal::bad(format!("Charge {charge_id} has already been refunded.")).code("charge_already_refunded")
        );
    }
    let amount = amount.unwrap_or(charged - before);
    if amount < 1 {
        return Err(Refusal::bad("Invalid positive integer").code("parameter_invalid_integer").param("amount"));
    }
    if amount > charged - before {
        return Err(Refusal::bad(format!(
            "Refund amount ({amount}) is greater than unrefunded amount on charge ({})",
            charged - before
        ))
        .param("amount"));
    }
    let currency = text_of(&charge, "currency").to_owned();
    let terms = price::check_currency(&currency)?;
    let takes = cards::refunds(text_of(&charge["payment_method_details"]["card"], "last4"));
    let id = work.ids.new_id("re_");
    // What was never captured is not part of what arrived.
    let released = charged - int_of(&charge, "amount_captured");
    let returned = Returned {
        refund: &id,
        terms,
        charged: charged - released,
        before: before - released,
        amount,
        currency: &currency,
        created: work.present,
    };
    let money = move_money(work.book, work.ids, work.present, &returned);
    let text = work.insert(
        Kind::Refund,
        text(&NewRefund {
            id: &id,
            created: work.present,
            amount,
            currency: &currency,
            charge: charge_id,
            payment_intent: charge["payment_intent"].as_str(),
            customer: charge["customer"].as_str(),
            payment_method: charge["payment_method"].as_str(),
            balance_transaction: &money,
            status: if takes == Refunds::Waits { "pending" } else { "succeeded" },
            reason,
            metadata,
        }),
    );
    let change = work.change(Kind::Charge, charge_id, |charge| {
        charge["amount_refunded"] = (before + amount).into();
        charge["refunded"] = (before + amount == charged).into();
        Ok(())
    })?;
    if takes != Refunds::Succeeds {
        work.book.due.insert((work.present + DAY, Due::Refund(id.as_str().into())));
    }
    work.emit("refund.created", &text);
    let previous = serde_json::json!({ "amount_refunded": before });
    super::event::emit(work, "charge.refunded", &change.text, Some(&previous));
    Ok(text)
}

/// The bank decides a refund: it goes through late, or comes back.
pub(crate) fn decided(work: &mut Work<'_>, id: &str) -> Result<(), Refusal> {
    let refund = work.value(Kind::Refund, id, None)?;
    match text_of(&refund, "status") {
        "pending" => {
            let change = work.change(Kind::Refund, id, |refund| {
                refund["status"] = "succeeded".into();
                Ok(())
            })?;
            work.emit_updated("refund.updated", &change);
            work.emit("charge.refund.updated", &change.text);
            Ok(())
        }
        "succeeded" => give_back(work, &refund, "failed", "expired_or_canceled_card").map(|_| ()),
        _ => Ok(()),
    }
}

/// A refund comes back: its money with a balance transaction of its own, and the charge is refunded by that much less.
fn give_back(work: &mut Work<'_>, refund: &Value, status: &str, reason: &str) -> Result<Arc<str>, Refusal> {
    let (id, charge) = (text_of(refund, "id"), text_of(refund, "charge"));
    let amount = int_of(refund, "amount");
    let taken = work.value(Kind::BalanceTransaction, text_of(refund, "balance_transaction"), None)?;
    let rate = taken["exchange_rate"].is_number().then(|| taken["exchange_rate"].to_string());
    work.book.totals.presented(text_of(refund, "currency")).refunded -= amount;
    let posting = Posting {
        movement: Movement::RefundFailure,
        amount_minor: -int_of(&taken, "amount"),
        fee_minor: 0,
        currency: text_of(&taken, "currency"),
        source: Some(id),
        description: Some("REFUND FAILURE"),
        rate: rate.as_deref(),
        created: work.present,
        available_on: work.present,
        waits: true,
    };
    let money = book_money(work.book, work.ids, work.present, &posting).0;
    let change = work.change(Kind::Refund, id, |refund| {
        refund["status"] = status.into();
        refund["failure_balance_transaction"] = money.into();
        if status == "failed" {
            refund["failure_reason"] = reason.into();
        }
        Ok(())
    })?;
    let charge = work.change(Kind::Charge, charge, |charge| {
        charge["amount_refunded"] = (int_of(charge, "amount_refunded") - amount).max(0).into();
        charge["refunded"] = false.into();
        Ok(())
    })?;
    if status == "failed" {
        work.emit("refund.failed", &change.text);
    }
    work.emit_updated("refund.updated", &change);
    work.emit("charge.refund.updated", &change.text);
    work.emit_updated("charge.updated", &charge);
    Ok(change.text)
}

/// Only a refund that waits can be taken back.
fn cancel(work: &mut Work<'_>, call: &Call) -> Result<Arc<str>, Refusal> {
    let refund = work.value(Kind::Refund, &call.id, None)?;
    match text_of(&refund, "status") {
        "pending" | "requires_action" => give_back(work, &refund, "canceled", ""),
        status => Err(Refusal::bad(format!("A refund with a status of {status} cannot be canceled."))),
    }
}

fn update(work: &mut Work<'_>, call: &Call) -> Result<Arc<str>, Refusal> {
    let change = work.change(Kind::Refund, &call.id, |refund| call.parameters.merge_metadata(refund))?;
    work.emit_updated("refund.updated", &change);
    // The name of before, which is sent all the same.
    work.emit_updated("charge.refund.updated", &change);
    Ok(change.text)
}
