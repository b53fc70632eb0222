//! Changing a subscription: its items, with what that costs or gives back.

use super::{
    ITEMS_MAX, NewSubscriptionItem,
    create::{self, recurring_price},
    item_text,
    life::{details, period_of},
};
use crate::resources::{
    Call, Kind,
    invoice_item::{self, NewItem},
    invoice_line::Priced,
    price,
};
use crate::{
    json::Raw,
    money,
    problem::Refusal,
    work::{Work, int_of, parse, text_of},
};
use serde_json::{Value, json};
use std::sync::Arc;

pub(crate) fn update(work: &mut Work<'_>, call: &Call) -> Result<Arc<str>, Refusal> {
    let parameters = &call.parameters;
    let now = work.now;
    let subscription = work.value(Kind::Subscription, &call.id, None)?;
    if subscription["status"] == "canceled" {
        return Err(Refusal::bad("A canceled subscription can only update its cancellation_details and metadata."));
    }
    work.named(Kind::PaymentMethod, parameters, "default_payment_method")?;
    let trial_end = create::trial_end_of(call, now)?;
    let mut items = subscription["items"]["data"].as_array().cloned().unwrap_or_default();
    let mut prorations = Vec::new();
    for (at, given) in parameters.list("items").iter().enumerate() {
        let name = |member: &str| format!("items[{at}][{member}]");
        let position = match given["id"].as_str() {
            Some(id) => Some(
                items
                    .iter()
                    .position(|item| item["id"] == id)
                    .ok_or_else(|| Refusal::no_such("subscription_item", id, Some(&name("id"))))?,
            ),
            None => None,
        };
        let price = match given["price"].as_str() {
            Some(id) => Some(recurring_price(work, id, &name("price"))?),
            None => None,
        };
        match (position, price) {
            (Some(position), _) if given["deleted"] == true => {
                let gone = items.remove(position);
                prorations.push((Some(gone), None));
            }
            (Some(position), price) => {
                let before = items[position].clone();
                let item = &mut items[position];
                if let Some(price) = price {
                    same_interval(&item["price"], &price, &name("price"))?;
                    item["plan"] = price::plan_of(&price);
                    item["price"] = price;
                }
                if let Some(quantity) = given["quantity"].as_i64() {
                    item["quantity"] = quantity.max(0).into();
                }
                if given["metadata"].is_object() {
                    item["metadata"] = given["metadata"].clone();
                }
                if before["price"]["id"] != item["price"]["id"] || before["quantity"] != item["quantity"] {
                    prorations.push((Some(before), Some(item.clone())));
                }
            }
            (None, Some(price)) => {
                let Some(first) = items.first() else { return Err(Refusal::missing("items")) };
                same_interval(&first["price"], &price, &name("price"))?;
                let id = work.ids.new_id("si_");
                let metadata = if given["metadata"].is_object() { given["metadata"].clone() } else { json!({}) };
                let item = parse(&item_text(&NewSubscriptionItem {
                    id: &id,
                    created: now,
                    subscription: &call.id,
                    period: (now, period_of(first).1),
                    price: &price.to_string(),
                    plan: &price::plan_of(&price).to_string(),
                    quantity: given["quantity"].as_i64().unwrap_or(1).max(0),
                    metadata: &metadata,
                }));
                prorations.push((None, Some(item.clone())));
                items.push(item);
            }
            (None, None) => return Err(Refusal::missing(&name("price"))),
        }
    }
    if items.is_empty() || items.len() > ITEMS_MAX {
        return Err(Refusal::bad("A subscription must have between 1 and 20 items.").param("items"));
    }
    if parameters.text("proration_behavior") != Some("none") && subscription["status"] != "trialing" {
        for (before, after) in &prorations {
            prorate(work, &subscription, before.as_ref(), after.as_ref());
        }
    }
    let change = work.change(Kind::Subscription, &call.id, |subscription| {
        parameters.merge_metadata(subscription)?;
        parameters.copy_to(subscription, &["days_until_due", "default_payment_method", "description", "cancel_at"]);
        let end = items.first().map(|item| period_of(item).1);
        subscription["items"]["data"] = Value::Array(items);
        details(subscription, call);
        if let Some(at_end) = parameters.text("trial_settings[end_behavior][missing_payment_method]") {
            subscription["trial_settings"]["end_behavior"]["missing_payment_method"] = at_end.into();
        }
        if let Some(trial_end) = trial_end {
            // The periods go to the trial's end, which renews them: at once when it ends now.
            subscription["trial_end"] = trial_end.into();
            subscription["billing_cycle_anchor"] = trial_end.into();
            if subscription["trial_start"].is_null() {
                subscription["trial_start"] = now.into();
            }
            subscription["status"] = "trialing".into();
            for item in subscription["items"]["data"].as_array_mut().into_iter().flatten() {
                item["current_period_end"] = trial_end.into();
            }
        }
        if parameters.has("cancel_at_period_end") {
            let ends = parameters.yes("cancel_at_period_end");
            subscription["cancel_at_period_end"] = ends.into();
            subscription["cancel_at"] = if ends { end.into() } else { Value::Null };
        }
        if subscription["cancel_at"].is_null() {
            subscription["canceled_at"] = Value::Null;
            subscription["cancellation_details"]["reason"] = Value::Null;
        } else if subscription["canceled_at"].is_null() {
            subscription["canceled_at"] = now.into();
            subscription["cancellation_details"]["reason"] = "cancellation_requested".into();
        }
        Ok(())
    })?;
    work.emit_updated("customer.subscription.updated", &change);
    if trial_end == Some(now) {
        super::renew(work, &call.id)?;
        return work.text(Kind::Subscription, &call.id, None);
    }
    Ok(change.text)
}

pub(super) fn same_interval(old: &Value, new: &Value, param: &str) -> Result<(), Refusal> {
    let same = old["currency"] == new["currency"]
        && old["recurring"]["interval"] == new["recurring"]["interval"]
        && old["recurring"]["interval_count"] == new["recurring"]["interval_count"];
    if same {
        Ok(())
    } else {
        Err(Refusal::bad("The simulator changes prices within one currency and interval only.").param(param))
    }
}

/// Gives back the unused part of the old item and bills the rest of the period of the new one, on the next invoice.
pub(super) fn prorate(work: &mut Work<'_>, subscription: &Value, before: Option<&Value>, after: Option<&Value>) {
    let now = work.now;
    for (item, sign, what) in [(before, -1, "Unused time on"), (after, 1, "Remaining time on")] {
        let Some(item) = item else { continue };
        let (start, end) = period_of(before.or(after).unwrap_or(item));
        let whole = price::amount(&item["price"], int_of(item, "quantity"));
        let amount = sign * money::share(whole, (end - now).max(0), (end - start).max(1));
        let product = work
            .book
            .get(Kind::Product, text_of(&item["price"], "product"))
            .map(|text| parse(text))
            .unwrap_or_default();
        let description = format!("{what} {}", product["name"].as_str().unwrap_or("subscription"));
        let id = work.ids.new_id("ii_");
        let text = work.insert(
            Kind::InvoiceItem,
            invoice_item::text(&NewItem {
                id: &id,
                livemode: work.book.livemode,
                date: now,
                customer: text_of(subscription, "customer"),
                amount,
                currency: text_of(subscription, "currency"),
                description: Some(&description),
                invoice: None,
                period: (now, end),
                priced: Some(Priced {
                    price: text_of(&item["price"], "id"),
                    product: text_of(&item["price"], "product"),
                }),
                unit_amount_decimal: &amount.to_string(),
                quantity: 1,
                proration: true,
                subscription: Some(text_of(subscription, "id")),
                metadata: &Raw("{}"),
            }),
        );
        work.emit("invoiceitem.created", &text);
    }
}
