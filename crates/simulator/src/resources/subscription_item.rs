//! Subscription items as calls of their own: each is a change to the subscription that holds it (FACTS section 11).

use super::{Call, Endpoint, Kind, Verb, delete, get, post, subscription};
use crate::{
    book::Book,
    json::json_text,
    parameters::Parameters,
    problem::Refusal,
    work::{Work, parse, text_of},
};
use serde_json::{Value, json};
use std::sync::Arc;

const PRORATION: &str = "proration_behavior:one(create_prorations|none)";

pub(crate) static ENDPOINTS: [Endpoint; 5] = [
    get(
        "/v1/subscription_items",
        "subscription:text! limit:int starting_after:text ending_before:text",
        "subscription",
        Verb::Compute(list),
    ),
    get("/v1/subscription_items/{id}", "", "subscription", Verb::Compute(retrieve)),
    post(
        "/v1/subscription_items",
        "subscription:text! price:text! quantity:int metadata:metadata proration_behavior:one(create_prorations|none)",
        "subscription",
        create,
    ),
    post(
        "/v1/subscription_items/{id}",
        "price:text quantity:int metadata:metadata off_session:bool proration_behavior:one(create_prorations|none)",
        "subscription",
        update,
    ),
    delete("/v1/subscription_items/{id}", PRORATION, "subscription", remove),
];

/// The subscription that holds an item. Items have no table: a subscription holds at most twenty.
fn holder(book: &Book, id: &str) -> Result<Value, Refusal> {
    let quoted = format!("\"{id}\"");
    let holds = |subscription: &Value| items(subscription).iter().any(|item| item["id"] == id);
    book.table(Kind::Subscription)
        .all()
        .filter(|text| text.contains(&quoted))
        .map(|text| parse(text))
        .find(holds)
        .ok_or_else(|| Refusal::no_such("subscription_item", id, None))
}

fn items(subscription: &Value) -> &[Value] {
    subscription["items"]["data"].as_array().map_or(&[], Vec::as_slice)
}

fn list(book: &Book, call: &Call, _: i64) -> Result<String, Refusal> {
    let parameters = &call.parameters;
    let id = parameters.text("subscription").unwrap_or_default();
    let text =
        book.get(Kind::Subscription, id).ok_or_else(|| Refusal::no_such("subscription", id, Some("subscription")))?;
    let subscription = parse(text);
    let mut all = items(&subscription);
    let place = |param: &str| -> Result<Option<usize>, Refusal> {
        let Some(id) = parameters.text(param) else { return Ok(None) };
        let place = items(&subscription).iter().position(|item| item["id"] == id);
        place.map(Some).ok_or_else(|| Refusal::no_such("subscription_item", id, Some(param)))
    };
    if let Some(after) = place("starting_after")? {
        all = all.get(after + 1..).unwrap_or_default();
    }
    if let Some(before) = place("ending_before")? {
        all = all.get(..before).unwrap_or_default();
    }
    let limit = usize::try_from(parameters.int("limit").unwrap_or(10).clamp(1, 100)).unwrap_or(10);
    let shown = all.get(..limit.min(all.len())).unwrap_or_default().to_vec();
    Ok(json_text!({
        "object": "list", "data": shown, "has_more": all.len() > limit, "url": call.path,
    }))
}

fn retrieve(book: &Book, call: &Call, _: i64) -> Result<String, Refusal> {
    let subscription = holder(book, &call.id)?;
    let item = items(&subscription).iter().find(|item| item["id"] == call.id.as_str());
    item.map(Value::to_string).ok_or_else(|| Refusal::no_such("subscription_item", &call.id, None))
}

/// The subscription's own update, of this one item.
fn change(work: &mut Work<'_>, subscription: &str, call: &Call, item: Value) -> Result<Value, Refusal> {
    let mut parameters = json!({ "items": [item] });
    for name in ["proration_behavior", "off_session"] {
        if let Some(value) = call.parameters.at(name) {
            parameters[name] = value.clone();
        }
    }
    let call = Call {
        path: call.path.clone(),
        query: String::new(),
        now: call.now,
        id: subscription.to_owned(),
        parameters: Parameters::of(parameters),
    };
    subscription::update(work, &call).map(|text| parse(&text))
}

fn given(call: &Call) -> Value {
    let mut item = json!({});
    for name in ["price", "quantity", "metadata"] {
        if let Some(value) = call.parameters.at(name) {
            item[name] = value.clone();
        }
    }
    item
}

fn create(work: &mut Work<'_>, call: &Call) -> Result<Arc<str>, Refusal> {
    let subscription = call.parameters.text("subscription").unwrap_or_default();
    work.value(Kind::Subscription, subscription, Some("subscription"))?;
    let after = change(work, subscription, call, given(call))?;
    let item = items(&after).last().map(Value::to_string).unwrap_or_default();
    Ok(item.into())
}

fn update(work: &mut Work<'_>, call: &Call) -> Result<Arc<str>, Refusal> {
    let before = holder(work.book, &call.id)?;
    let mut item = given(call);
    item["id"] = call.id.as_str().into();
    change(work, text_of(&before, "id"), call, item)?;
    retrieve(work.book, call, work.now).map(Into::into)
}

fn remove(work: &mut Work<'_>, call: &Call) -> Result<Arc<str>, Refusal> {
    let before = holder(work.book, &call.id)?;
    change(work, text_of(&before, "id"), call, json!({ "id": call.id, "deleted": true }))?;
    Ok(json_text!({ "id": call.id, "object": "subscription_item", "deleted": true }).into())
}
