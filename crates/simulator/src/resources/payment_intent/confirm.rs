//! Confirming: the test card decides what becomes of the payment.

use super::{check_parties, unexpected};
use crate::resources::{
    Call, Kind,
    cards::{self, Behaviour},
    charge::{self, Captured, Failure, NewCharge},
    dispute, payment_method, price,
};
use crate::{
    json::Raw,
    problem::Refusal,
    work::{Work, int_of, text_of},
};
use serde_json::{Value, json};
use std::sync::Arc;

/// How a payment intent is confirmed.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct How {
    /// The customer is not there to authenticate.
    pub(crate) off_session: bool,
    /// Fail rather than ask the customer to act.
    pub(crate) error_on_action: bool,
}

impl How {
    pub(super) fn of(call: &Call) -> How {
        How {
            off_session: call.parameters.yes("off_session"),
            error_on_action: call.parameters.yes("error_on_requires_action"),
        }
    }
}

pub(super) fn confirm_call(work: &mut Work<'_>, call: &Call) -> Result<Arc<str>, Refusal> {
    let parameters = &call.parameters;
    let intent = work.value(Kind::PaymentIntent, &call.id, None)?;
    if !matches!(text_of(&intent, "status"), "requires_payment_method" | "requires_confirmation" | "requires_action") {
        return Err(unexpected(&intent, "confirm"));
    }
    let method = match parameters.text("payment_method").or_else(|| intent["payment_method"].as_str()) {
        Some(id) => payment_method::resolve(work, id, Some("payment_method"))?,
        None => {
            return Err(Refusal::bad("You cannot confirm this PaymentIntent because it's missing a payment method.")
                .code("payment_intent_unexpected_state")
                .with("payment_intent", intent));
        }
    };
    check_parties(work, intent["customer"].as_str(), &method)?;
    work.change(Kind::PaymentIntent, &call.id, |intent| {
        intent["payment_method"] = method["id"].clone();
        parameters.copy_to(intent, &["capture_method", "receipt_email", "setup_future_usage"]);
        Ok(())
    })?;
    confirm(work, &call.id, &How::of(call))
}

/// Confirms an intent that has a payment method: the card decides.
pub(crate) fn confirm(work: &mut Work<'_>, id: &str, how: &How) -> Result<Arc<str>, Refusal> {
    let intent = work.value(Kind::PaymentIntent, id, None)?;
    let method = work.value(Kind::PaymentMethod, text_of(&intent, "payment_method"), Some("payment_method"))?;
    match cards::behaviour(payment_method::shown(&method).last4) {
        Behaviour::Pays => succeed(work, &intent, &method),
        Behaviour::Disputes(reason, inquiry) => {
            succeed(work, &intent, &method)?;
            let paid = work.value(Kind::PaymentIntent, id, None)?;
            if paid["status"] == "succeeded" {
                dispute::open(work, text_of(&paid, "latest_charge"), reason, inquiry)?;
            }
            work.text(Kind::PaymentIntent, id, None)
        }
        Behaviour::Declines(code, decline_code, message) => {
            Err(decline(work, &intent, &method, code, decline_code, message)?)
        }
        Behaviour::Authenticates if how.off_session || how.error_on_action => Err(decline(
            work,
            &intent,
            &method,
            "authentication_required",
            Some("authentication_required"),
            "Your card was declined. This transaction requires authentication.",
        )?),
        Behaviour::Authenticates => {
            let change = work.change(Kind::PaymentIntent, id, |intent| {
                intent["status"] = "requires_action".into();
                intent["next_action"] =
                    json!({ "type": "use_stripe_sdk", "use_stripe_sdk": { "type": "three_d_secure_redirect" } });
                Ok(())
            })?;
            work.emit("payment_intent.requires_action", &change.text);
            Ok(change.text)
        }
    }
}

/// The charge of a confirmation.
pub(super) fn charge_text(
    work: &Work<'_>,
    id: &str,
    intent: &Value,
    method: &Value,
    captured: bool,
    failure: Option<Failure<'_>>,
    money: Option<&str>,
) -> String {
    let shipping = intent["shipping"].is_object().then(|| intent["shipping"].to_string());
    charge::text(&NewCharge {
        id,
        livemode: work.book.livemode,
        created: work.present,
        amount: int_of(intent, "amount"),
        currency: text_of(intent, "currency"),
        captured,
        amount_refunded: 0,
        disputed: false,
        balance_transaction: money,
        failure,
        customer: intent["customer"].as_str(),
        name: method["billing_details"]["name"].as_str(),
        email: method["billing_details"]["email"].as_str(),
        country: method["billing_details"]["address"]["country"].as_str(),
        receipt_email: intent["receipt_email"].as_str(),
        description: intent["description"].as_str(),
        metadata: &intent["metadata"],
        payment_intent: intent["id"].as_str(),
        payment_method: method["id"].as_str(),
        card: payment_method::shown(method),
        statement_descriptor: intent["statement_descriptor"].as_str(),
        statement_descriptor_suffix: intent["statement_descriptor_suffix"].as_str(),
        transfer_group: intent["transfer_group"].as_str(),
        shipping: shipping.as_deref().map(Raw),
    })
}

pub(super) fn succeed(work: &mut Work<'_>, intent: &Value, method: &Value) -> Result<Arc<str>, Refusal> {
    let id = text_of(intent, "id").to_owned();
    let (amount, currency) = (int_of(intent, "amount"), text_of(intent, "currency").to_owned());
    let terms = price::check_currency(&currency)?;
    let manual = intent["capture_method"] == "manual";
    let charge_id = work.ids.new_id("ch_");
    let money = (!manual).then(|| {
        let captured = Captured {
            charge: &charge_id,
            amount,
            currency: &currency,
            terms,
            description: intent["description"].as_str(),
            created: work.present,
            bypasses_pending: cards::bypasses_pending(payment_method::shown(method).last4),
        };
        charge::settle(work.book, work.ids, work.present, &captured)
    });
    let text = charge_text(work, &charge_id, intent, method, !manual, None, money.as_deref());
    let charge = work.insert(Kind::Charge, text);
    let change = work.change(Kind::PaymentIntent, &id, |intent| {
        intent["latest_charge"] = charge_id.into();
        intent["last_payment_error"] = Value::Null;
        intent["next_action"] = Value::Null;
        intent["status"] = if manual { "requires_capture" } else { "succeeded" }.into();
        intent[if manual { "amount_capturable" } else { "amount_received" }] = amount.into();
        Ok(())
    })?;
    if intent["setup_future_usage"].is_string()
        && !method["customer"].is_string()
        && let Some(customer) = intent["customer"].as_str()
    {
        payment_method::attach_to(work, text_of(method, "id"), customer)?;
    }
    work.emit("charge.succeeded", &charge);
    work.emit(
        if manual { "payment_intent.amount_capturable_updated" } else { "payment_intent.succeeded" },
        &change.text,
    );
    Ok(change.text)
}

/// A declined payment leaves a failed charge behind, and an intent that wants another payment method.
pub(super) fn decline(
    work: &mut Work<'_>,
    intent: &Value,
    method: &Value,
    code: &'static str,
    decline_code: Option<&'static str>,
    message: &'static str,
) -> Result<Refusal, Refusal> {
    let charge_id = work.ids.new_id("ch_");
    let failure = Failure { code, decline_code, message };
    work.book.totals.presented(text_of(intent, "currency")).failed += 1;
    let text = charge_text(work, &charge_id, intent, method, true, Some(failure), None);
    let charge = work.insert(Kind::Charge, text);
    let refusal = Refusal::declined(code, decline_code, message).with("charge", charge_id.clone().into());
    let change = work.change(Kind::PaymentIntent, text_of(intent, "id"), |intent| {
        let mut error = refusal.clone().with("payment_method", method.clone()).body("req")["error"].take();
        if let Some(error) = error.as_object_mut() {
            error.shift_remove("request_log_url");
        }
        intent["last_payment_error"] = error;
        intent["latest_charge"] = charge_id.into();
        intent["payment_method"] = Value::Null;
        intent["status"] = "requires_payment_method".into();
        Ok(())
    })?;
    work.emit("charge.failed", &charge);
    work.emit("payment_intent.payment_failed", &change.text);
    Ok(refusal.with("payment_intent", change.after).with("payment_method", method.clone()))
}
