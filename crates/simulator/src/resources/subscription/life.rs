//! What time brings a subscription: bills, renewals, retries, its end.

use crate::resources::{
    Call, Kind,
    invoice::{self, ATTEMPTS_MAX, Draft, RETRY_SECONDS},
    invoice_item,
    invoice_line::{self, NewLine, Origin, Priced},
    payment_intent::How,
    price,
};
use crate::{
    book::Due,
    calendar::{DAY, period_end},
    problem::Refusal,
    work::{Work, int_of, parse, text_of},
};
use serde_json::Value;
use std::sync::Arc;

/// Makes the draft for the items' present periods and answers its id.
pub(super) fn bill(work: &mut Work<'_>, subscription: &Value, reason: &str) -> Result<String, Refusal> {
    let customer = work.value(Kind::Customer, text_of(subscription, "customer"), None)?;
    let items = subscription["items"]["data"].as_array().cloned().unwrap_or_default();
    let period = items.first().map_or((work.now, work.now), period_of);
    let trial = subscription["status"] == "trialing";
    let draft = Draft {
        customer: &customer,
        currency: text_of(subscription, "currency"),
        billing_reason: reason,
        subscription: Some(subscription),
        period: (work.now, work.now),
        auto_advance: true,
    };
    let id = invoice::open_draft(work, &draft);
    if reason != "subscription_create" {
        for pending in invoice_item::pending(work, text_of(&customer, "id"), text_of(subscription, "currency")) {
            invoice_item::take(work, &pending, &id)?;
        }
    }
    for item in &items {
        let (price, quantity) = (&item["price"], int_of(item, "quantity"));
        let product =
            work.book.get(Kind::Product, text_of(price, "product")).map(|text| parse(text)).unwrap_or_default();
        let name = product["name"].as_str().unwrap_or("Subscription").to_owned();
        let description = if trial { format!("Trial period for {name}") } else { format!("{quantity} × {name}") };
        let line = work.ids.new_id("il_");
        let text = invoice_line::text(&NewLine {
            id: &line,
            invoice: &id,
            livemode: work.book.livemode,
            amount: if trial { 0 } else { price::amount(price, quantity) },
            currency: text_of(price, "currency"),
            description: Some(&description),
            quantity,
            unit_amount_decimal: if trial { "0" } else { text_of(price, "unit_amount_decimal") },
            period,
            priced: Some(Priced { price: text_of(price, "id"), product: text_of(price, "product") }),
            origin: Origin::Subscription { subscription: text_of(subscription, "id"), item: text_of(item, "id") },
            metadata: &subscription["metadata"],
        });
        work.insert(Kind::InvoiceLine, text);
    }
    invoice::recompute(work, &id)?;
    let sends = subscription["collection_method"] == "send_invoice";
    let due = work.now + int_of(subscription, "days_until_due") * DAY;
    let change = work.change(Kind::Invoice, &id, |invoice| {
        if sends {
            invoice["collection_method"] = "send_invoice".into();
            invoice["due_date"] = due.into();
        }
        Ok(())
    })?;
    work.emit("invoice.created", &change.text);
    Ok(id)
}

pub(super) fn period_of(item: &Value) -> (i64, i64) {
    (int_of(item, "current_period_start"), int_of(item, "current_period_end"))
}

/// A subscription's invoice was paid: it is active again, or at last.
pub(crate) fn invoice_paid(work: &mut Work<'_>, id: &str) -> Result<(), Refusal> {
    let Ok(subscription) = work.value(Kind::Subscription, id, None) else { return Ok(()) };
    if !matches!(text_of(&subscription, "status"), "incomplete" | "past_due" | "unpaid") {
        return Ok(());
    }
    let change = work.change(Kind::Subscription, id, |subscription| {
        subscription["status"] = "active".into();
        Ok(())
    })?;
    work.emit_updated("customer.subscription.updated", &change);
    Ok(())
}

/// A trial is about to end.
pub(crate) fn trial_ending(work: &mut Work<'_>, id: &str) -> Result<(), Refusal> {
    let text = work.text(Kind::Subscription, id, None)?;
    if crate::json::plain_member(&text, "status").as_deref() == Some("trialing") {
        work.emit("customer.subscription.trial_will_end", &text);
    }
    Ok(())
}

/// The first invoice was not paid in time: the subscription never began.
pub(crate) fn expire(work: &mut Work<'_>, id: &str) -> Result<(), Refusal> {
    let subscription = work.value(Kind::Subscription, id, None)?;
    if subscription["status"] != "incomplete" {
        return Ok(());
    }
    let now = work.now;
    let change = work.change(Kind::Subscription, id, |subscription| {
        subscription["status"] = "incomplete_expired".into();
        subscription["ended_at"] = now.into();
        Ok(())
    })?;
    work.emit_updated("customer.subscription.updated", &change);
    let invoice = text_of(&subscription, "latest_invoice");
    if work.value(Kind::Invoice, invoice, None).is_ok_and(|invoice| invoice["status"] == "open") {
        invoice::void_invoice(work, invoice)?;
    }
    Ok(())
}

/// What becomes of a trial that ends without a payment method, if not a bill.
fn end_trial(work: &mut Work<'_>, subscription: &Value) -> Result<bool, Refusal> {
    let id = text_of(subscription, "id");
    let customer = work.value(Kind::Customer, text_of(subscription, "customer"), None)?;
    let pays = subscription["default_payment_method"].is_string()
        || customer["invoice_settings"]["default_payment_method"].is_string();
    if subscription["status"] != "trialing" || pays || subscription["collection_method"] == "send_invoice" {
        return Ok(false);
    }
    match text_of(&subscription["trial_settings"]["end_behavior"], "missing_payment_method") {
        "pause" => {
            let change = work.change(Kind::Subscription, id, |subscription| {
                subscription["status"] = "paused".into();
                Ok(())
            })?;
            let previous = serde_json::json!({ "status": change.before["status"] });
            crate::resources::event::emit(work, "customer.subscription.paused", &change.text, Some(&previous));
            Ok(true)
        }
        "cancel" => end(work, id, "payment_failed").map(|_| true),
        _ => Ok(false),
    }
}

/// A paused subscription goes on with a period that begins now.
pub(super) fn resume(work: &mut Work<'_>, call: &Call) -> Result<Arc<str>, Refusal> {
    let subscription = work.value(Kind::Subscription, &call.id, None)?;
    if subscription["status"] != "paused" {
        return Err(Refusal::bad("This subscription cannot be resumed: it is not paused.").param("id"));
    }
    if subscription["collection_method"] == "send_invoice" {
        return Err(Refusal::bad("Only subscriptions with collection_method=charge_automatically can be resumed."));
    }
    let now = work.now;
    let change = work.change(Kind::Subscription, &call.id, |subscription| {
        subscription["status"] = "active".into();
        begin_period(subscription, now);
        Ok(())
    })?;
    let invoice = bill(work, &change.after, "subscription_update")?;
    let after = work.change(Kind::Subscription, &call.id, |subscription| {
        subscription["latest_invoice"] = invoice.as_str().into();
        Ok(())
    })?;
    work.emit("customer.subscription.resumed", &after.text);
    invoice::finalize(work, &invoice)?;
    collect(work, &invoice)?;
    work.text(Kind::Subscription, &call.id, None)
}

/// The items' next periods begin at a second, which is the anchor from then on.
pub(super) fn begin_period(subscription: &mut Value, start: i64) {
    subscription["billing_cycle_anchor"] = start.into();
    for item in subscription["items"]["data"].as_array_mut().into_iter().flatten() {
        let recurring = &item["price"]["recurring"];
        let end = period_end(start, start, text_of(recurring, "interval"), int_of(recurring, "interval_count"));
        item["current_period_start"] = start.into();
        item["current_period_end"] = end.into();
    }
}

/// The period is over: end, or begin the next one and bill it.
pub(crate) fn renew(work: &mut Work<'_>, id: &str) -> Result<(), Refusal> {
    let subscription = work.value(Kind::Subscription, id, None)?;
    if !matches!(text_of(&subscription, "status"), "active" | "trialing" | "past_due") {
        return Ok(());
    }
    let ends = subscription["cancel_at_period_end"] == true
        || subscription["cancel_at"].as_i64().is_some_and(|at| at <= work.now);
    if ends {
        return end(work, id, "cancellation_requested").map(|_| ());
    }
    if end_trial(work, &subscription)? {
        return Ok(());
    }
    let anchor = int_of(&subscription, "billing_cycle_anchor");
    let change = work.change(Kind::Subscription, id, |subscription| {
        if subscription["status"] == "trialing" {
            subscription["status"] = "active".into();
        }
        for item in subscription["items"]["data"].as_array_mut().into_iter().flatten() {
            let start = int_of(item, "current_period_end");
            let recurring = &item["price"]["recurring"];
            let end = period_end(anchor, start, text_of(recurring, "interval"), int_of(recurring, "interval_count"));
            item["current_period_start"] = start.into();
            item["current_period_end"] = end.into();
        }
        Ok(())
    })?;
    let invoice = bill(work, &change.after, "subscription_cycle")?;
    let after = work.change(Kind::Subscription, id, |subscription| {
        subscription["latest_invoice"] = invoice.as_str().into();
        Ok(())
    })?;
    work.emit_updated("customer.subscription.updated", &crate::work::Change { before: change.before, ..after });
    invoice::advance_later(work, &invoice)
}

/// Tries to pay a renewal; after the last try the subscription ends.
pub(crate) fn collect(work: &mut Work<'_>, invoice: &str) -> Result<(), Refusal> {
    let owed = work.value(Kind::Invoice, invoice, None)?;
    if owed["status"] != "open" || owed["collection_method"] == "send_invoice" || owed["auto_advance"] == false {
        return Ok(());
    }
    let paid = match invoice::method_for(work, &owed) {
        Some(method) => {
            invoice::attempt(work, invoice, &method, &How { off_session: true, error_on_action: false }).is_ok()
        }
        None => false,
    };
    if paid {
        return Ok(());
    }
    let Some(id) = owed["parent"]["subscription_details"]["subscription"].as_str() else { return Ok(()) };
    if int_of(&owed, "attempt_count") + 1 >= ATTEMPTS_MAX {
        invoice::void_invoice(work, invoice)?;
        return end(work, id, "payment_failed").map(|_| ());
    }
    let again = work.now + RETRY_SECONDS;
    work.schedule(again, Due::Collect(invoice.into()));
    let change = work.change(Kind::Invoice, invoice, |invoice| {
        invoice["next_payment_attempt"] = again.into();
        Ok(())
    })?;
    work.emit_updated("invoice.updated", &change);
    let change = work.change(Kind::Subscription, id, |subscription| {
        subscription["status"] = "past_due".into();
        Ok(())
    })?;
    work.emit_updated("customer.subscription.updated", &change);
    Ok(())
}

/// Ends a subscription now.
pub(crate) fn end(work: &mut Work<'_>, id: &str, reason: &str) -> Result<Arc<str>, Refusal> {
    let now = work.now;
    let change = work.change(Kind::Subscription, id, |subscription| {
        subscription["status"] = "canceled".into();
        subscription["ended_at"] = now.into();
        if subscription["canceled_at"].is_null() {
            subscription["canceled_at"] = now.into();
        }
        subscription["cancel_at_period_end"] = false.into();
        subscription["cancellation_details"]["reason"] = reason.into();
        Ok(())
    })?;
    work.emit("customer.subscription.deleted", &change.text);
    // What is unpaid stays as it is: nobody tries to collect it any more.
    for invoice in work.book.table(Kind::Invoice).with("subscription", id) {
        let unpaid = matches!(crate::json::plain_member(&invoice, "status").as_deref(), Some("draft" | "open"));
        let advances = crate::json::plain_member(&invoice, "auto_advance").as_deref() == Some("true");
        if unpaid && advances {
            let invoice = crate::json::plain_member(&invoice, "id").unwrap_or_default().into_owned();
            let change = work.change(Kind::Invoice, &invoice, |invoice| {
                invoice["auto_advance"] = false.into();
                invoice["automatically_finalizes_at"] = Value::Null;
                invoice["next_payment_attempt"] = Value::Null;
                Ok(())
            })?;
            work.emit_updated("invoice.updated", &change);
        }
    }
    Ok(change.text)
}

pub(super) fn cancel(work: &mut Work<'_>, call: &Call) -> Result<Arc<str>, Refusal> {
    let subscription = work.value(Kind::Subscription, &call.id, None)?;
    if matches!(text_of(&subscription, "status"), "canceled" | "incomplete_expired") {
        return Err(Refusal::no_such("subscription", &call.id, None));
    }
    work.change(Kind::Subscription, &call.id, |subscription| {
        details(subscription, call);
        Ok(())
    })?;
    end(work, &call.id, "cancellation_requested")
}

pub(super) fn details(subscription: &mut Value, call: &Call) {
    if let Some(Value::Object(details)) = call.parameters.at("cancellation_details") {
        for (member, value) in details {
            subscription["cancellation_details"][member.as_str()] = value.clone();
        }
    }
}
