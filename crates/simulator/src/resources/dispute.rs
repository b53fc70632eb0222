//! Disputes: the bank takes the money back, and sometimes returns it. Funds move with the funds events, not with `closed`
//! (FACTS section 10).

use super::{Call, Endpoint, Kind, Resource, Verb, get, post, simple};
use crate::{
    calendar::DAY,
    json::{Json, Raw, json_text},
    money::{self, Terms},
    problem::Refusal,
    resources::balance_transaction::{Movement, Posting, post as book_money},
    table::Facet,
    work::{Work, int_of, parse, text_of},
};
use serde_json::Value;
use std::sync::Arc;

pub(crate) static RESOURCE: Resource = Resource {
    kind: Kind::Dispute,
    object: "dispute",
    facets: &[Facet::id("charge"), Facet::id("payment_intent")],
    expands: &["charge", "payment_intent"],
    search: None,
    endpoints: &ENDPOINTS,
};

static ENDPOINTS: [Endpoint; 4] = [
    get("/v1/disputes", "charge:text created:times payment_intent:text", "dispute", Verb::List(Kind::Dispute, simple)),
    get("/v1/disputes/{id}", "", "dispute", Verb::Retrieve(Kind::Dispute)),
    post(
        "/v1/disputes/{id}",
        "metadata:metadata submit:bool evidence[uncategorized_text]:text evidence[product_description]:text \
         evidence[customer_name]:text evidence[customer_email_address]:text evidence[customer_purchase_ip]:text \
         evidence[service_date]:text evidence[access_activity_log]:text evidence[refund_policy_disclosure]:text",
        "dispute",
        update,
    ),
    post("/v1/disputes/{id}/close", "", "dispute", close),
];

/// What a dispute is made from.
pub(crate) struct NewDispute<'a> {
    pub(crate) id: &'a str,
    pub(crate) livemode: bool,
    pub(crate) created: i64,
    pub(crate) amount: i64,
    pub(crate) currency: &'a str,
    pub(crate) charge: &'a str,
    pub(crate) payment_intent: Option<&'a str>,
    pub(crate) reason: &'a str,
    pub(crate) status: &'a str,
    pub(crate) brand: &'a str,
    /// Texts of the balance transactions: withdrawal and reinstatement.
    pub(crate) balance_transactions: &'a [Arc<str>],
    pub(crate) has_evidence: bool,
    pub(crate) metadata: &'a dyn Json,
}

/// The dispute object.
pub(crate) fn text(new: &NewDispute<'_>) -> String {
    let moves: Vec<Raw<'_>> = new.balance_transactions.iter().map(|text| Raw(text)).collect();
    json_text!({
        "id": new.id,
        "object": "dispute",
        "amount": new.amount,
        "balance_transactions": moves,
        "charge": new.charge,
        "created": new.created,
        "currency": new.currency,
        "enhanced_eligibility_types": [],
        "evidence": {
            "access_activity_log": null, "billing_address": null, "cancellation_policy": null,
            "cancellation_policy_disclosure": null, "cancellation_rebuttal": null, "customer_communication": null,
            "customer_email_address": null, "customer_name": null, "customer_purchase_ip": null, "customer_signature": null,
            "duplicate_charge_documentation": null, "duplicate_charge_explanation": null, "duplicate_charge_id": null,
            "enhanced_evidence": {}, "product_description": null, "receipt": null, "refund_policy": null,
            "refund_policy_disclosure": null, "refund_refusal_explanation": null, "service_date": null,
            "service_documentation": null, "shipping_address": null, "shipping_carrier": null, "shipping_date": null,
            "shipping_documentation": null, "shipping_tracking_number": null, "uncategorized_file": null,
            "uncategorized_text": null,
        },
        "evidence_details": {
            "due_by": new.created + 9 * DAY,
            "enhanced_eligibility": {},
            "has_evidence": new.has_evidence,
            "past_due": false,
            "submission_count": i64::from(new.has_evidence),
            "submission_method": if new.has_evidence { "manual" } else { "not_submitted" },
        },
        "intended_submission_method": null,
        "is_charge_refundable": new.status.starts_with("warning"),
        "livemode": new.livemode,
        "metadata": new.metadata,
        "network_reason_code": "10.4",
        "payment_intent": new.payment_intent,
        "payment_method_details": {
            "card": {
                "brand": new.brand,
                "case_type": if new.status.starts_with("warning") { "inquiry" } else { "chargeback" },
                "network": new.brand,
                "network_reason_code": "10.4",
            },
            "type": "card",
        },
        "reason": new.reason,
        "status": new.status,
    })
}

/// The withdrawal or reinstatement of a disputed amount.
pub(crate) struct Funds<'a> {
    pub(crate) dispute: &'a str,
    pub(crate) amount: i64,
    pub(crate) terms: Terms,
    pub(crate) created: i64,
    pub(crate) reinstated: bool,
}

/// Books a withdrawal or reinstatement; answers the text of the balance transaction.
pub(crate) fn move_funds(book: &mut crate::book::Book, ids: &crate::ids::Ids, now: i64, funds: &Funds<'_>) -> Arc<str> {
    let settled = funds.terms.settled(funds.amount);
    let rate = funds.terms.rate_text();
    let currency = funds.terms.settles_in;
    let posting = Posting {
        movement: if funds.reinstated { Movement::DisputeReversal } else { Movement::Dispute },
        amount_minor: if funds.reinstated { settled } else { -settled },
        fee_minor: if funds.reinstated { 0 } else { money::dispute_fee(currency) },
        currency,
        source: Some(funds.dispute),
        description: Some(if funds.reinstated { "Chargeback reversal" } else { "Chargeback withdrawal" }),
        rate: rate.as_deref(),
        created: funds.created,
        available_on: funds.created,
        waits: true,
    };
    book_money(book, ids, now, &posting).1
}

/// Opens a dispute over the whole of a charge. An inquiry moves no money.
pub(crate) fn open(work: &mut Work<'_>, charge: &str, reason: &str, inquiry: bool) -> Result<Arc<str>, Refusal> {
    let charge_value = work.value(Kind::Charge, charge, Some("charge"))?;
    if charge_value["disputed"] == true || charge_value["status"] != "succeeded" {
        return Err(Refusal::bad(format!("Charge {charge} cannot be disputed.")).code("charge_disputed"));
    }
    let currency = text_of(&charge_value, "currency").to_owned();
    let terms = terms_of(&currency)?;
    let amount = int_of(&charge_value, "amount_captured") - int_of(&charge_value, "amount_refunded");
    if amount <= 0 {
        return Err(
            Refusal::bad(format!("Charge {charge} has nothing left to dispute.")).code("charge_already_refunded")
        );
    }
    let id = work.ids.new_id("dp_");
    let mut moves = Vec::new();
    if !inquiry {
        work.book.totals.presented(&currency).disputed += amount;
        let funds = Funds { dispute: &id, amount, terms, created: work.present, reinstated: false };
        moves.push(move_funds(work.book, work.ids, work.present, &funds));
    }
    let text = work.insert(
        Kind::Dispute,
        text(&NewDispute {
            id: &id,
            livemode: work.book.livemode,
            created: work.present,
            amount,
            currency: &currency,
            charge,
            payment_intent: charge_value["payment_intent"].as_str(),
            reason,
            status: if inquiry { "warning_needs_response" } else { "needs_response" },
            brand: charge_value["payment_method_details"]["card"]["brand"].as_str().unwrap_or("visa"),
            balance_transactions: &moves,
            has_evidence: false,
            metadata: &Value::Object(serde_json::Map::new()),
        }),
    );
    let change = work.change(Kind::Charge, charge, |charge| {
        charge["disputed"] = true.into();
        Ok(())
    })?;
    work.emit("charge.dispute.created", &text);
    if !inquiry {
        work.emit("charge.dispute.funds_withdrawn", &text);
    }
    work.emit_updated("charge.updated", &change);
    Ok(text)
}

fn terms_of(currency: &str) -> Result<Terms, Refusal> {
    money::terms(currency).ok_or_else(|| Refusal::bad(format!("Invalid currency: {currency}")).param("currency"))
}

/// Decides a dispute: the money comes back when it is won.
pub(crate) fn decide(work: &mut Work<'_>, id: &str, won: bool) -> Result<Arc<str>, Refusal> {
    let dispute = work.value(Kind::Dispute, id, None)?;
    let status = text_of(&dispute, "status");
    if matches!(status, "won" | "lost" | "warning_closed") {
        return Err(Refusal::bad("This dispute is already closed").code("dispute_already_closed"));
    }
    let inquiry = status.starts_with("warning");
    let terms = terms_of(text_of(&dispute, "currency"))?;
    let mut returned = None;
    if won && !inquiry {
        let amount = int_of(&dispute, "amount");
        let funds = Funds { dispute: id, amount, terms, created: work.present, reinstated: true };
        returned = Some(move_funds(work.book, work.ids, work.present, &funds));
    }
    let reinstated = returned.is_some();
    let change = work.change(Kind::Dispute, id, |dispute| {
        dispute["status"] = if inquiry {
            "warning_closed"
        } else if won {
            "won"
        } else {
            "lost"
        }
        .into();
        if let (Some(returned), Value::Array(moves)) = (returned, &mut dispute["balance_transactions"]) {
            moves.push(parse(&returned));
        }
        Ok(())
    })?;
    if reinstated {
        work.emit("charge.dispute.funds_reinstated", &change.text);
    }
    work.emit_updated("charge.dispute.updated", &change);
    work.emit("charge.dispute.closed", &change.text);
    Ok(change.text)
}

fn update(work: &mut Work<'_>, call: &Call) -> Result<Arc<str>, Refusal> {
    let parameters = &call.parameters;
    let dispute = work.value(Kind::Dispute, &call.id, None)?;
    let status = text_of(&dispute, "status").to_owned();
    let evidence = parameters.at("evidence").and_then(Value::as_object).cloned();
    if evidence.is_some() && matches!(status.as_str(), "won" | "lost" | "warning_closed") {
        return Err(Refusal::bad("This dispute is already closed").code("dispute_already_closed"));
    }
    // As with Stripe, evidence is submitted unless `submit=false`.
    let submits = evidence.is_some() && parameters.at("submit").is_none_or(|submit| submit == true);
    let change = work.change(Kind::Dispute, &call.id, |dispute| {
        parameters.merge_metadata(dispute)?;
        for (member, value) in evidence.iter().flatten() {
            dispute["evidence"][member.as_str()] = value.clone();
        }
        if evidence.is_some() {
            dispute["evidence_details"]["has_evidence"] = true.into();
        }
        if submits {
            dispute["evidence_details"]["submission_count"] =
                (int_of(&dispute["evidence_details"], "submission_count") + 1).into();
            dispute["evidence_details"]["submission_method"] = "manual".into();
            dispute["status"] =
                if status.starts_with("warning") { "warning_under_review" } else { "under_review" }.into();
        }
        Ok(())
    })?;
    work.emit_updated("charge.dispute.updated", &change);
    // Test evidence decides at once, as in Stripe's test mode.
    match change.after["evidence"]["uncategorized_text"].as_str() {
        Some("winning_evidence") if submits => decide(work, &call.id, true),
        Some("losing_evidence") if submits => decide(work, &call.id, false),
        _ => Ok(change.text),
    }
}

fn close(work: &mut Work<'_>, call: &Call) -> Result<Arc<str>, Refusal> {
    decide(work, &call.id, false)
}
