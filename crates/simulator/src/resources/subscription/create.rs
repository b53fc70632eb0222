//! Subscribing: everything is checked, then the first invoice is made and paid.

use super::{
    ITEMS_MAX, NewSubscription, NewSubscriptionItem, item_text,
    life::{bill, end},
    text,
};
use crate::resources::{
    Call, Kind,
    invoice::{self},
    payment_intent::How,
    price, test_clock,
};
use crate::{
    book::Due,
    calendar::{DAY, period_end},
    json::Raw,
    problem::Refusal,
    work::{Work, int_of, parse, text_of},
};
use serde_json::{Value, json};
use std::sync::Arc;

pub(super) fn recurring_price(work: &Work<'_>, id: &str, param: &str) -> Result<Value, Refusal> {
    let price = work.value(Kind::Price, id, Some(param))?;
    if !price["recurring"].is_object() {
        return Err(Refusal::bad(format!("The price specified is set to `type=one_time` but this field only accepts prices with `type=recurring`: {id}")).param(param));
    }
    if price["active"] != true {
        return Err(
            Refusal::bad("The price specified is inactive. This field only accepts active prices.").param(param)
        );
    }
    Ok(price)
}

pub(super) fn create(work: &mut Work<'_>, call: &Call) -> Result<Arc<str>, Refusal> {
    let parameters = &call.parameters;
    let metadata = parameters.new_metadata()?;
    let customer = work.value(Kind::Customer, parameters.text("customer").unwrap_or_default(), Some("customer"))?;
    let given = parameters.list("items");
    if given.is_empty() || given.len() > ITEMS_MAX {
        return Err(Refusal::missing("items"));
    }
    let mut prices = Vec::with_capacity(given.len());
    for (at, item) in given.iter().enumerate() {
        let price = recurring_price(work, text_of(item, "price"), &format!("items[{at}][price]"))?;
        prices.push((price, item["quantity"].as_i64().unwrap_or(1).max(0), item["metadata"].clone()));
    }
    let Some((first, ..)) = prices.first().cloned() else { return Err(Refusal::missing("items")) };
    if prices.iter().any(|(price, ..)| price["currency"] != first["currency"]) {
        return Err(Refusal::bad("All prices of a subscription must have the same currency.").param("items"));
    }
    if prices.iter().any(|(price, ..)| {
        price["recurring"]["interval"] != first["recurring"]["interval"]
            || price["recurring"]["interval_count"] != first["recurring"]["interval_count"]
    }) {
        return Err(Refusal::bad("The simulator does not mix intervals in one subscription.").param("items"));
    }
    let method = work.named(Kind::PaymentMethod, parameters, "default_payment_method")?;
    if let Some(method) = &method
        && method["customer"] != customer["id"]
    {
        return Err(Refusal::bad("The payment method must be attached to the customer.")
            .code("resource_missing")
            .param("default_payment_method"));
    }
    test_clock::check_subscription(work, &customer)?;
    let trial_end = match (trial_end_of(call, work.now)?, parameters.int("trial_period_days")) {
        (Some(end), _) => Some(end).filter(|end| *end > work.now),
        (None, Some(days)) if days > 0 => Some(work.now + days * DAY),
        _ => None,
    };
    let sends = parameters.text("collection_method") == Some("send_invoice");
    if sends && !parameters.has("days_until_due") {
        return Err(Refusal::missing("days_until_due"));
    }
    let behavior = parameters.text("payment_behavior").unwrap_or("allow_incomplete");
    let fallback = customer["invoice_settings"]["default_payment_method"].as_str();
    let pays_with = method.as_ref().map(|method| text_of(method, "id")).or(fallback).map(str::to_owned);
    let total: i64 = prices.iter().map(|(price, quantity, _)| price::amount(price, *quantity)).sum();
    if pays_with.is_none() && !sends && trial_end.is_none() && total > 0 && behavior != "default_incomplete" {
        return Err(Refusal::bad("This customer has no attached payment source or default payment method. Please consider adding a default payment method.")
            .code("resource_missing"));
    }

    let id = work.ids.new_id("sub_");
    let (interval, count) =
        (text_of(&first["recurring"], "interval").to_owned(), int_of(&first["recurring"], "interval_count"));
    let end = trial_end.unwrap_or_else(|| period_end(work.now, work.now, &interval, count));
    let items: Vec<String> = prices
        .iter()
        .map(|(price, quantity, metadata)| {
            let item = work.ids.new_id("si_");
            let metadata = if metadata.is_object() { metadata.clone() } else { json!({}) };
            item_text(&NewSubscriptionItem {
                id: &item,
                created: work.now,
                subscription: &id,
                period: (work.now, end),
                price: &price.to_string(),
                plan: &price::plan_of(price).to_string(),
                quantity: *quantity,
                metadata: &metadata,
            })
        })
        .collect();
    let items: Vec<Raw<'_>> = items.iter().map(|item| Raw(item)).collect();
    let now = work.now;
    let mut subscription = parse(&text(&NewSubscription {
        id: &id,
        livemode: work.book.livemode,
        created: now,
        customer: text_of(&customer, "id"),
        currency: text_of(&first, "currency"),
        status: if trial_end.is_some() {
            "trialing"
        } else if sends || total == 0 {
            "active"
        } else {
            "incomplete"
        },
        items: &items,
        latest_invoice: None,
        default_payment_method: method.as_ref().map(|method| text_of(method, "id")),
        cancel_at_period_end: parameters.yes("cancel_at_period_end"),
        cancel_at: parameters.int("cancel_at").or(parameters.yes("cancel_at_period_end").then_some(end)),
        canceled_at: (parameters.yes("cancel_at_period_end") || parameters.has("cancel_at")).then_some(now),
        ended_at: None,
        cancellation_reason: None,
        trial: trial_end.map(|end| (now, end)),
        metadata: &metadata,
    }));
    parameters.copy_to(&mut subscription, &["collection_method", "days_until_due", "description"]);
    if let Some(at_end) = parameters.text("trial_settings[end_behavior][missing_payment_method]") {
        subscription["trial_settings"]["end_behavior"]["missing_payment_method"] = at_end.into();
    }
    work.save(Kind::Subscription, &subscription);
    if customer["currency"].is_null() {
        work.change(Kind::Customer, text_of(&customer, "id"), |customer| {
            customer["currency"] = first["currency"].clone();
            Ok(())
        })?;
    }
    let invoice = bill(work, &subscription, "subscription_create")?;
    let created = work.change(Kind::Subscription, &id, |subscription| {
        subscription["latest_invoice"] = invoice.as_str().into();
        Ok(())
    })?;
    work.emit("customer.subscription.created", &created.text);
    if let Some(told) = trial_end.map(|end| end - TRIAL_TOLD_SECONDS).filter(|told| *told > now) {
        work.schedule(told, Due::TrialEnding(id.as_str().into()));
    }
    if created.after["status"] == "incomplete" {
        work.schedule(now + INCOMPLETE_SECONDS, Due::Expire(id.as_str().into()));
    }
    invoice::finalize(work, &invoice)?;
    if !sends
        && behavior != "default_incomplete"
        && trial_end.is_none()
        && total > 0
        && let Some(method) = pays_with
    {
        let how = How { off_session: parameters.yes("off_session"), error_on_action: false };
        let outcome = invoice::attempt(work, &invoice, &method, &how);
        if let (Err(refusal), "error_if_incomplete") = (outcome, behavior) {
            // Nothing of it stays but the failed charge.
            self::end(work, &id, "payment_failed")?;
            work.remove(Kind::Subscription, &id, None);
            return Err(refusal);
        }
    }
    if trial_end.is_some_and(|end| end - TRIAL_TOLD_SECONDS <= now) {
        super::trial_ending(work, &id)?;
    }
    work.text(Kind::Subscription, &id, None)
}

/// How long before its end a trial is told of.
const TRIAL_TOLD_SECONDS: i64 = 3 * DAY;
/// How long a first invoice may stay unpaid.
const INCOMPLETE_SECONDS: i64 = 23 * 3_600;

/// The end of the trial as given: a second, or `now`.
pub(super) fn trial_end_of(call: &Call, now: i64) -> Result<Option<i64>, Refusal> {
    let Some(text) = call.parameters.text("trial_end") else { return Ok(None) };
    if text == "now" {
        return Ok(Some(now));
    }
    match text.parse::<i64>() {
        Ok(end) if end > now => Ok(Some(end)),
        _ => {
            Err(Refusal::bad("Invalid timestamp: must be an integer Unix timestamp in the future.").param("trial_end"))
        }
    }
}
