//! Subscriptions (FACTS section 11): items with their own periods, a first invoice at once, a renewal at each period's end.

use super::{
    Call, Endpoint, Kind, Resource, Verb, delete, get,
    invoice::{self, ATTEMPTS_MAX, Draft, RETRY_SECONDS},
    invoice_item::{self, NewItem},
    invoice_line::{self, NewLine, Origin, Priced},
    payment_intent::How,
    post, price,
};
use crate::{
    book::{Book, Due},
    calendar::{DAY, period_end},
    json::{Json, Raw, json_text},
    money,
    problem::Refusal,
    table::{Facet, Query, Test},
    work::{Work, int_of, parse, text_of},
};
use serde_json::{Value, json};
use std::sync::Arc;

pub(crate) static RESOURCE: Resource = Resource {
    kind: Kind::Subscription,
    object: "subscription",
    facets: &[Facet::id("customer"), Facet::word("status"), Facet::word("collection_method")],
    expands: &[
        "application",
        "customer",
        "default_payment_method",
        "default_source",
        "discounts",
        "latest_invoice",
        "on_behalf_of",
        "pending_setup_intent",
        "schedule",
        "test_clock",
    ],
    endpoints: &ENDPOINTS,
};

const CREATE: &str = "customer:text! items[][price]:text! items[][quantity]:int items[][metadata]:metadata \
    cancel_at:int cancel_at_period_end:bool collection_method:one(charge_automatically|send_invoice) currency:text \
    days_until_due:int default_payment_method:text description:text metadata:metadata off_session:bool \
    payment_behavior:one(allow_incomplete|default_incomplete|error_if_incomplete) trial_end:int trial_period_days:int";
const UPDATE: &str = "items[][id]:text items[][price]:text items[][quantity]:int items[][deleted]:bool items[][metadata]:metadata \
    cancel_at:int cancel_at_period_end:bool cancellation_details[comment]:text \
    cancellation_details[feedback]:one(customer_service|low_quality|missing_features|other|switched_service|too_complex|too_expensive|unused) \
    days_until_due:int default_payment_method:text description:text metadata:metadata off_session:bool \
    proration_behavior:one(create_prorations|none)";

static ENDPOINTS: [Endpoint; 5] = [
    get(
        "/v1/subscriptions",
        "collection_method:one(charge_automatically|send_invoice) created:times customer:text price:text \
         status:one(active|all|canceled|ended|incomplete|incomplete_expired|past_due|paused|trialing|unpaid)",
        "subscription",
        Verb::List(Kind::Subscription, prepare),
    ),
    get("/v1/subscriptions/{id}", "", "subscription", Verb::Retrieve(Kind::Subscription)),
    post("/v1/subscriptions", CREATE, "subscription", create),
    post("/v1/subscriptions/{id}", UPDATE, "subscription", update),
    delete(
        "/v1/subscriptions/{id}",
        "cancellation_details[comment]:text \
         cancellation_details[feedback]:one(customer_service|low_quality|missing_features|other|switched_service|too_complex|too_expensive|unused)",
        "subscription",
        cancel,
    ),
];

const ITEMS_MAX: usize = 20;

/// What a subscription item is made from; price and plan as texts.
pub(crate) struct NewSubscriptionItem<'a> {
    pub(crate) id: &'a str,
    pub(crate) created: i64,
    pub(crate) subscription: &'a str,
    pub(crate) period: (i64, i64),
    pub(crate) price: &'a str,
    pub(crate) plan: &'a str,
    pub(crate) quantity: i64,
    pub(crate) metadata: &'a dyn Json,
}

/// The subscription item object.
pub(crate) fn item_text(new: &NewSubscriptionItem<'_>) -> String {
    json_text!({
        "id": new.id,
        "object": "subscription_item",
        "billing_thresholds": null,
        "created": new.created,
        "current_period_end": new.period.1,
        "current_period_start": new.period.0,
        "current_trial": null,
        "discounts": [],
        "metadata": new.metadata,
        "plan": Raw(new.plan),
        "price": Raw(new.price),
        "quantity": new.quantity,
        "subscription": new.subscription,
        "tax_rates": [],
    })
}

/// What a subscription is made from.
pub(crate) struct NewSubscription<'a> {
    pub(crate) id: &'a str,
    pub(crate) livemode: bool,
    pub(crate) created: i64,
    pub(crate) customer: &'a str,
    pub(crate) currency: &'a str,
    pub(crate) status: &'a str,
    pub(crate) items: &'a [Raw<'a>],
    pub(crate) latest_invoice: Option<&'a str>,
    pub(crate) default_payment_method: Option<&'a str>,
    pub(crate) cancel_at_period_end: bool,
    pub(crate) cancel_at: Option<i64>,
    pub(crate) canceled_at: Option<i64>,
    pub(crate) ended_at: Option<i64>,
    pub(crate) cancellation_reason: Option<&'a str>,
    pub(crate) trial: Option<(i64, i64)>,
    pub(crate) metadata: &'a dyn Json,
}

/// The subscription object.
pub(crate) fn text(new: &NewSubscription<'_>) -> String {
    json_text!({
        "id": new.id,
        "object": "subscription",
        "application": null,
        "application_fee_percent": null,
        "automatic_tax": { "disabled_reason": null, "enabled": false, "liability": null },
        "billing_cycle_anchor": new.trial.map_or(new.created, |trial| trial.1),
        "billing_cycle_anchor_config": null,
        "billing_mode": { "flexible": { "proration_discounts": "included" }, "type": "flexible" },
        "billing_schedules": [],
        "billing_thresholds": null,
        "cancel_at": new.cancel_at,
        "cancel_at_period_end": new.cancel_at_period_end,
        "canceled_at": new.canceled_at,
        "cancellation_details": {
            "comment": null, "feedback": null, "feedback_option": null, "reason": new.cancellation_reason,
        },
        "collection_method": "charge_automatically",
        "created": new.created,
        "currency": new.currency,
        "customer": new.customer,
        "customer_account": null,
        "days_until_due": null,
        "default_payment_method": new.default_payment_method,
        "default_source": null,
        "default_tax_rates": [],
        "description": null,
        "discounts": [],
        "ended_at": new.ended_at,
        "invoice_settings": {
            "account_tax_ids": null, "custom_fields": null, "description": null, "footer": null, "issuer": { "type": "self" },
        },
        "items": {
            "object": "list",
            "data": new.items,
            "has_more": false,
            "url": format!("/v1/subscription_items?subscription={}", new.id),
        },
        "latest_invoice": new.latest_invoice,
        "livemode": new.livemode,
        "managed_payments": null,
        "metadata": new.metadata,
        "next_pending_invoice_item_invoice": null,
        "on_behalf_of": null,
        "pause_collection": null,
        "payment_settings": { "payment_method_options": null, "payment_method_types": null, "save_default_payment_method": "off" },
        "pending_invoice_item_interval": null,
        "pending_setup_intent": null,
        "pending_update": null,
        "schedule": null,
        "start_date": new.created,
        "status": new.status,
        "test_clock": null,
        "transfer_data": null,
        "trial_end": new.trial.map(|trial| trial.1),
        "trial_settings": { "end_behavior": { "billing_cycle_anchor": null, "missing_payment_method": "create_invoice" } },
        "trial_start": new.trial.map(|trial| trial.0),
    })
}

/// Without `status` the canceled ones are left out; `all` and `ended` are not statuses (FACTS section 8).
fn prepare(book: &Book, call: &mut Call, query: &mut Query) -> Result<(), Refusal> {
    let Some(facet) = book.table(Kind::Subscription).facet("status") else { return Ok(()) };
    let status = call.parameters.take("status").and_then(|status| status.as_str().map(str::to_owned));
    let ended = || vec!["canceled".to_owned(), "incomplete_expired".to_owned()];
    match status.as_deref() {
        Some("all") => {}
        Some("ended") => query.tests.push(Test::AnyOf(facet, ended())),
        Some(status) => query.tests.push(Test::Is(facet, status.to_owned())),
        None => query.tests.push(Test::NoneOf(facet, ended())),
    }
    if call.parameters.has("price") {
        return Err(Refusal::bad("The simulator does not filter subscriptions by price.").param("price"));
    }
    Ok(())
}

fn recurring_price(work: &Work<'_>, id: &str, param: &str) -> Result<Value, Refusal> {
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

fn create(work: &mut Work<'_>, call: &Call) -> Result<Arc<str>, Refusal> {
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
    let trial_end = match (parameters.int("trial_end"), parameters.int("trial_period_days")) {
        (Some(end), _) if end <= work.now => {
            return Err(Refusal::bad("trial_end must be a time in the future.").param("trial_end"));
        }
        (Some(end), _) => Some(end),
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
            work.book.table_mut(Kind::Subscription).remove(&id, None);
            return Err(refusal);
        }
    }
    work.text(Kind::Subscription, &id, None)
}

/// Makes the draft for the items' present periods and answers its id.
fn bill(work: &mut Work<'_>, subscription: &Value, reason: &str) -> Result<String, Refusal> {
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

fn period_of(item: &Value) -> (i64, i64) {
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

/// The period is over: end, or begin the next one and bill it.
pub(crate) fn renew(work: &mut Work<'_>, id: &str) -> Result<(), Refusal> {
    let subscription = work.value(Kind::Subscription, id, None)?;
    let ends = subscription["cancel_at_period_end"] == true
        || subscription["cancel_at"].as_i64().is_some_and(|at| at <= work.now);
    if ends {
        return end(work, id, "cancellation_requested").map(|_| ());
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
    invoice::finalize(work, &invoice)?;
    collect(work, &invoice)
}

/// Tries to pay a renewal; after the last try the subscription ends.
pub(crate) fn collect(work: &mut Work<'_>, invoice: &str) -> Result<(), Refusal> {
    let owed = work.value(Kind::Invoice, invoice, None)?;
    if owed["status"] != "open" || owed["collection_method"] == "send_invoice" {
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
    work.book.due.insert((again, Due::Collect(invoice.into())));
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
    Ok(change.text)
}

fn cancel(work: &mut Work<'_>, call: &Call) -> Result<Arc<str>, Refusal> {
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

fn details(subscription: &mut Value, call: &Call) {
    if let Some(Value::Object(details)) = call.parameters.at("cancellation_details") {
        for (member, value) in details {
            subscription["cancellation_details"][member.as_str()] = value.clone();
        }
    }
}

fn update(work: &mut Work<'_>, call: &Call) -> Result<Arc<str>, Refusal> {
    let parameters = &call.parameters;
    let now = work.now;
    let subscription = work.value(Kind::Subscription, &call.id, None)?;
    if subscription["status"] == "canceled" {
        return Err(Refusal::bad("A canceled subscription can only update its cancellation_details and metadata."));
    }
    work.named(Kind::PaymentMethod, parameters, "default_payment_method")?;
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
                let item = parse(&item_text(&NewSubscriptionItem {
                    id: &id,
                    created: now,
                    subscription: &call.id,
                    period: (now, period_of(first).1),
                    price: &price.to_string(),
                    plan: &price::plan_of(&price).to_string(),
                    quantity: given["quantity"].as_i64().unwrap_or(1).max(0),
                    metadata: &json!({}),
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
    Ok(change.text)
}

fn same_interval(old: &Value, new: &Value, param: &str) -> Result<(), Refusal> {
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
fn prorate(work: &mut Work<'_>, subscription: &Value, before: Option<&Value>, after: Option<&Value>) {
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
