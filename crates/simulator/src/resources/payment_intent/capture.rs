//! Taking the money that was authorised, or letting it go.

use super::unexpected;
use crate::resources::{
    Call, Kind, cards,
    charge::{self, Captured},
    price,
};
use crate::{
    problem::Refusal,
    work::{Work, int_of, text_of},
};
use std::sync::Arc;

pub(super) fn capture(work: &mut Work<'_>, call: &Call) -> Result<Arc<str>, Refusal> {
    work.value(Kind::PaymentIntent, &call.id, None)?;
    capture_amount(work, &call.id, call.parameters.int("amount_to_capture"), "amount_to_capture")?;
    work.change(Kind::PaymentIntent, &call.id, |intent| call.parameters.merge_metadata(intent))
        .map(|change| change.text)
}

/// Takes the money of an authorised intent, all of it or a part; the rest is released.
pub(crate) fn capture_amount(work: &mut Work<'_>, id: &str, amount: Option<i64>, param: &str) -> Result<(), Refusal> {
    let intent = work.value(Kind::PaymentIntent, id, Some("payment_intent"))?;
    if intent["status"] != "requires_capture" {
        return Err(unexpected(&intent, "capture"));
    }
    let capturable = int_of(&intent, "amount_capturable");
    let amount = amount.unwrap_or(capturable);
    if amount < 1 || amount > capturable {
        return Err(Refusal::bad(format!("The amount to capture must be between 1 and {capturable}."))
            .code("amount_too_large")
            .param(param));
    }
    let currency = text_of(&intent, "currency").to_owned();
    let terms = price::check_currency(&currency)?;
    let charge_id = text_of(&intent, "latest_charge").to_owned();
    let charge = work.value(Kind::Charge, &charge_id, None)?;
    let captured = Captured {
        charge: &charge_id,
        amount,
        currency: &currency,
        terms,
        description: intent["description"].as_str(),
        created: work.present,
        bypasses_pending: cards::bypasses_pending(text_of(&charge["payment_method_details"]["card"], "last4")),
    };
    let money = charge::settle(work.book, work.ids, work.present, &captured);
    let charge = work.change(Kind::Charge, &charge_id, |charge| {
        charge["captured"] = true.into();
        charge["amount_captured"] = amount.into();
        // What was authorised and not captured counts as refunded, without a refund.
        charge["amount_refunded"] = (capturable - amount).into();
        charge["balance_transaction"] = money.into();
        Ok(())
    })?;
    let change = work.change(Kind::PaymentIntent, id, |intent| {
        intent["status"] = "succeeded".into();
        intent["amount_received"] = amount.into();
        intent["amount_capturable"] = 0.into();
        Ok(())
    })?;
    work.emit("charge.captured", &charge.text);
    work.emit("payment_intent.succeeded", &change.text);
    Ok(())
}

pub(super) fn cancel(work: &mut Work<'_>, call: &Call) -> Result<Arc<str>, Refusal> {
    let intent = work.value(Kind::PaymentIntent, &call.id, None)?;
    if matches!(text_of(&intent, "status"), "succeeded" | "canceled") {
        return Err(unexpected(&intent, "cancel"));
    }
    cancel_intent(work, &call.id, call.parameters.text("cancellation_reason"))
}

/// Cancels an intent; an authorised charge is released.
pub(crate) fn cancel_intent(work: &mut Work<'_>, id: &str, reason: Option<&str>) -> Result<Arc<str>, Refusal> {
    let now = work.present;
    let intent = work.value(Kind::PaymentIntent, id, None)?;
    if intent["status"] == "requires_capture" {
        let amount = int_of(&intent, "amount");
        let change = work.change(Kind::Charge, text_of(&intent, "latest_charge"), |charge| {
            charge["amount_refunded"] = amount.into();
            charge["refunded"] = true.into();
            Ok(())
        })?;
        work.emit("charge.refunded", &change.text);
    }
    let change = work.change(Kind::PaymentIntent, id, |intent| {
        intent["status"] = "canceled".into();
        intent["canceled_at"] = now.into();
        intent["cancellation_reason"] = reason.into();
        intent["amount_capturable"] = 0.into();
        Ok(())
    })?;
    work.emit("payment_intent.canceled", &change.text);
    Ok(change.text)
}
