//! From a draft to its end: finalised, paid, void, uncollectible.

use super::draft::must_be_draft;
use crate::resources::{
    Call, Kind, invoice_payment,
    payment_intent::{self, How, NewIntent},
    payment_method, subscription,
};
use crate::{
    book::Due,
    json::Raw,
    problem::Refusal,
    work::{Work, int_of, parse, text_of},
};
use serde_json::{Value, json};
use std::sync::Arc;

pub(super) fn finalize_call(work: &mut Work<'_>, call: &Call) -> Result<Arc<str>, Refusal> {
    must_be_draft(&work.value(Kind::Invoice, &call.id, None)?).map_err(|_| {
        Refusal::bad("This invoice is already finalized, you can't re-finalize a non-draft invoice.")
            .code("invoice_not_editable")
    })?;
    finalize(work, &call.id)
}

/// Fixes a draft: number, date, and the payment that is to pay it. Nothing to pay means paid.
pub(crate) fn finalize(work: &mut Work<'_>, id: &str) -> Result<Arc<str>, Refusal> {
    let now = work.now;
    let invoice = work.value(Kind::Invoice, id, None)?;
    let customer = work.value(Kind::Customer, text_of(&invoice, "customer"), None)?;
    let due = int_of(&invoice, "amount_due");
    let sequence = int_of(&customer, "next_invoice_sequence").max(1);
    let number = format!("{}-{sequence:04}", customer["invoice_prefix"].as_str().unwrap_or("INV"));
    work.change(Kind::Customer, text_of(&customer, "id"), |customer| {
        customer["next_invoice_sequence"] = (sequence + 1).into();
        Ok(())
    })?;
    if due > 0 {
        let (intent, secret) = (work.ids.new_id("pi_"), work.ids.letters("", 25));
        let text = work.insert(
            Kind::PaymentIntent,
            payment_intent::text(&NewIntent {
                id: &intent,
                secret: &secret,
                livemode: work.book.livemode,
                created: work.present,
                amount: due,
                currency: text_of(&invoice, "currency"),
                status: "requires_payment_method",
                customer: invoice["customer"].as_str(),
                description: Some(if invoice["parent"].is_object() {
                    "Subscription update"
                } else {
                    "Payment for Invoice"
                }),
                payment_method: None,
                latest_charge: None,
                metadata: &Raw("{}"),
            }),
        );
        work.emit("payment_intent.created", &text);
        let payment = work.ids.new_id("inpay_");
        work.insert(
            Kind::InvoicePayment,
            invoice_payment::text(&invoice_payment::NewPayment {
                id: &payment,
                livemode: work.book.livemode,
                created: now,
                invoice: id,
                payment_intent: &intent,
                amount: due,
                currency: text_of(&invoice, "currency"),
                status: "open",
                paid_at: None,
                canceled_at: None,
            }),
        );
    }
    let change = work.change(Kind::Invoice, id, |invoice| {
        invoice["status"] = "open".into();
        invoice["number"] = number.into();
        invoice["effective_at"] = now.into();
        invoice["ending_balance"] = 0.into();
        invoice["automatically_finalizes_at"] = Value::Null;
        invoice["status_transitions"]["finalized_at"] = now.into();
        let page = format!("https://invoice.stripe.com/i/{id}");
        invoice["invoice_pdf"] = format!("{page}/pdf").into();
        invoice["hosted_invoice_url"] = page.into();
        Ok(())
    })?;
    work.emit("invoice.finalized", &change.text);
    if due == 0 { mark_paid(work, id, false) } else { Ok(change.text) }
}

/// How long a draft that advances by itself can still be changed.
const DRAFT_SECONDS: i64 = 3_600;

/// A draft that advances by itself is finalised an hour later.
pub(crate) fn advance_later(work: &mut Work<'_>, id: &str) -> Result<(), Refusal> {
    let at = work.now + DRAFT_SECONDS;
    work.change(Kind::Invoice, id, |invoice| {
        invoice["automatically_finalizes_at"] = at.into();
        Ok(())
    })?;
    work.schedule(at, Due::Finalize(id.into()));
    Ok(())
}

/// The hour of a draft is over: it is finalised, and then sent or paid.
pub(crate) fn advance(work: &mut Work<'_>, id: &str) -> Result<(), Refusal> {
    let invoice = work.value(Kind::Invoice, id, None)?;
    if invoice["status"] != "draft" || invoice["auto_advance"] != true {
        return Ok(());
    }
    let text = finalize(work, id)?;
    if invoice["collection_method"] == "send_invoice" {
        work.emit("invoice.sent", &text);
        return Ok(());
    }
    subscription::collect(work, id)
}

/// The payment that is to pay an invoice, if one is open.
pub(super) fn open_payment(work: &Work<'_>, invoice: &str) -> Option<Value> {
    let payments = work.book.table(Kind::InvoicePayment).with("invoice", invoice);
    payments.iter().map(|payment| parse(payment)).find(|payment| payment["status"] == "open")
}

/// The payment method an invoice is paid with, unless another is named.
pub(crate) fn method_for(work: &Work<'_>, invoice: &Value) -> Option<String> {
    let subscription = invoice["parent"]["subscription_details"]["subscription"].as_str();
    let subscription = subscription.and_then(|id| work.value(Kind::Subscription, id, None).ok());
    let customer = work.value(Kind::Customer, text_of(invoice, "customer"), None).ok();
    let of_subscription =
        subscription.as_ref().and_then(|subscription| subscription["default_payment_method"].as_str());
    let of_customer =
        customer.as_ref().and_then(|customer| customer["invoice_settings"]["default_payment_method"].as_str());
    invoice["default_payment_method"].as_str().or(of_subscription).or(of_customer).map(str::to_owned)
}

pub(super) fn pay(work: &mut Work<'_>, call: &Call) -> Result<Arc<str>, Refusal> {
    let parameters = &call.parameters;
    let invoice = work.value(Kind::Invoice, &call.id, None)?;
    match text_of(&invoice, "status") {
        "paid" => return Err(Refusal::bad("Invoice is already paid").code("invoice_already_paid")),
        "void" => return Err(Refusal::bad("Voided invoices cannot be paid").code("invoice_not_editable")),
        _ => {}
    }
    let method = match parameters.text("payment_method") {
        Some(id) => Some(text_of(&payment_method::resolve(work, id, Some("payment_method"))?, "id").to_owned()),
        None => method_for(work, &invoice),
    };
    let by_hand = parameters.yes("paid_out_of_band");
    if method.is_none() && !by_hand && int_of(&invoice, "amount_due") > 0 {
        return Err(Refusal::bad(
            "There is no default_payment_method set on this Customer or Invoice. Please set a default_payment_method.",
        )
        .code("missing"));
    }
    if invoice["status"] == "draft" {
        finalize(work, &call.id)?;
    }
    let invoice = work.value(Kind::Invoice, &call.id, None)?;
    if by_hand && invoice["status"] != "paid" {
        if let Some(payment) = open_payment(work, &call.id) {
            payment_intent::cancel_intent(work, text_of(&payment["payment"], "payment_intent"), None)?;
            close_payment(work, &payment, "canceled");
        }
        return mark_paid(work, &call.id, true);
    }
    match method {
        Some(method) if invoice["status"] != "paid" => attempt(
            work,
            &call.id,
            &method,
            &How { off_session: parameters.at("off_session").is_none_or(|off| off == true), error_on_action: false },
        ),
        _ => work.text(Kind::Invoice, &call.id, None),
    }
}

/// Tries to pay an open invoice.
pub(crate) fn attempt(work: &mut Work<'_>, id: &str, method: &str, how: &How) -> Result<Arc<str>, Refusal> {
    let Some(payment) = open_payment(work, id) else { return work.text(Kind::Invoice, id, None) };
    let intent = text_of(&payment["payment"], "payment_intent").to_owned();
    work.change(Kind::PaymentIntent, &intent, |intent| {
        intent["payment_method"] = method.into();
        Ok(())
    })?;
    work.change(Kind::Invoice, id, |invoice| {
        invoice["attempt_count"] = (int_of(invoice, "attempt_count") + 1).into();
        invoice["attempted"] = true.into();
        Ok(())
    })?;
    let outcome = payment_intent::confirm(work, &intent, how);
    let paid =
        outcome.as_ref().is_ok_and(|text| crate::json::plain_member(text, "status").as_deref() == Some("succeeded"));
    if paid {
        close_payment(work, &payment, "paid");
        return mark_paid(work, id, false);
    }
    let invoice = work.text(Kind::Invoice, id, None)?;
    if outcome.is_ok() {
        work.emit("invoice.payment_action_required", &invoice);
    } else {
        work.emit("invoice.payment_failed", &invoice);
    }
    outcome.map(|_| invoice)
}

pub(super) fn close_payment(work: &mut Work<'_>, payment: &Value, status: &str) {
    let mut payment = payment.clone();
    payment["status"] = status.into();
    if status == "paid" {
        payment["amount_paid"] = payment["amount_requested"].clone();
        payment["status_transitions"]["paid_at"] = work.now.into();
    } else {
        payment["status_transitions"]["canceled_at"] = work.now.into();
    }
    let text = work.save(Kind::InvoicePayment, &payment);
    if status == "paid" {
        work.emit("invoice_payment.paid", &text);
    }
}

/// An invoice is paid: by a payment, by hand, or because there was nothing to pay.
pub(crate) fn mark_paid(work: &mut Work<'_>, id: &str, by_hand: bool) -> Result<Arc<str>, Refusal> {
    let now = work.now;
    let change = work.change(Kind::Invoice, id, |invoice| {
        invoice["status"] = "paid".into();
        // What was paid outside of Stripe is not Stripe's to count, yet nothing remains.
        invoice["amount_paid"] = if by_hand { json!(0) } else { invoice["amount_due"].clone() };
        invoice["amount_remaining"] = 0.into();
        invoice["next_payment_attempt"] = Value::Null;
        invoice["auto_advance"] = false.into();
        invoice["status_transitions"]["paid_at"] = now.into();
        Ok(())
    })?;
    work.emit_updated("invoice.updated", &change);
    work.emit("invoice.paid", &change.text);
    if !by_hand && int_of(&change.after, "amount_paid") > 0 {
        work.emit("invoice.payment_succeeded", &change.text);
    }
    if let Some(id) = change.after["parent"]["subscription_details"]["subscription"].as_str() {
        subscription::invoice_paid(work, id)?;
    }
    Ok(change.text)
}

pub(super) fn send(work: &mut Work<'_>, call: &Call) -> Result<Arc<str>, Refusal> {
    let invoice = work.value(Kind::Invoice, &call.id, None)?;
    if invoice["collection_method"] != "send_invoice" {
        return Err(Refusal::bad("You can only manually send an invoice if its collection method is 'send_invoice'."));
    }
    if invoice["status"] == "draft" {
        finalize(work, &call.id)?;
    }
    let text = work.text(Kind::Invoice, &call.id, None)?;
    work.emit("invoice.sent", &text);
    Ok(text)
}

pub(super) fn must_be_owed(work: &Work<'_>, id: &str, what: &str) -> Result<(), Refusal> {
    let invoice = work.value(Kind::Invoice, id, None)?;
    match text_of(&invoice, "status") {
        "open" => Ok(()),
        "uncollectible" if what == "void" => Ok(()),
        status => Err(Refusal::bad(format!("You can only {what} an open invoice; this one is {status}."))
            .code("invoice_not_editable")),
    }
}

pub(super) fn void(work: &mut Work<'_>, call: &Call) -> Result<Arc<str>, Refusal> {
    must_be_owed(work, &call.id, "void")?;
    void_invoice(work, &call.id)
}

/// Voids an invoice; its payment is cancelled.
pub(crate) fn void_invoice(work: &mut Work<'_>, id: &str) -> Result<Arc<str>, Refusal> {
    let now = work.now;
    if let Some(payment) = open_payment(work, id) {
        payment_intent::cancel_intent(work, text_of(&payment["payment"], "payment_intent"), Some("void_invoice"))?;
        close_payment(work, &payment, "canceled");
    }
    let change = work.change(Kind::Invoice, id, |invoice| {
        invoice["status"] = "void".into();
        invoice["auto_advance"] = false.into();
        invoice["next_payment_attempt"] = Value::Null;
        invoice["status_transitions"]["voided_at"] = now.into();
        Ok(())
    })?;
    work.emit_updated("invoice.updated", &change);
    work.emit("invoice.voided", &change.text);
    Ok(change.text)
}

pub(super) fn give_up(work: &mut Work<'_>, call: &Call) -> Result<Arc<str>, Refusal> {
    must_be_owed(work, &call.id, "mark as uncollectible")?;
    let now = work.now;
    let change = work.change(Kind::Invoice, &call.id, |invoice| {
        invoice["status"] = "uncollectible".into();
        invoice["auto_advance"] = false.into();
        invoice["next_payment_attempt"] = Value::Null;
        invoice["status_transitions"]["marked_uncollectible_at"] = now.into();
        Ok(())
    })?;
    work.emit_updated("invoice.updated", &change);
    work.emit("invoice.marked_uncollectible", &change.text);
    Ok(change.text)
}
