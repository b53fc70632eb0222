//! Setup intents: a card is kept for later without taking money (FACTS section 10).

use super::{
    Call, Endpoint, Kind, Resource, Verb,
    cards::{self, Behaviour},
    get, payment_method, post, simple,
};
use crate::{
    json::{Json, json_text},
    problem::Refusal,
    table::Facet,
    work::{Work, parse, text_of},
};
use serde_json::{Value, json};
use std::sync::Arc;

pub(crate) static RESOURCE: Resource = Resource {
    kind: Kind::SetupIntent,
    object: "setup_intent",
    facets: &[Facet::id("customer"), Facet::id("payment_method")],
    expands: &["application", "customer", "latest_attempt", "mandate", "on_behalf_of", "payment_method"],
    search: None,
    endpoints: &ENDPOINTS,
};

const CREATE: &str = "allowed_payment_method_types[]:text automatic_payment_methods[enabled]:bool \
    automatic_payment_methods[allow_redirects]:one(always|never) confirm:bool customer:text description:text \
    metadata:metadata payment_method:text return_url:text usage:one(off_session|on_session) use_stripe_sdk:bool";

static ENDPOINTS: [Endpoint; 6] = [
    get(
        "/v1/setup_intents",
        "created:times customer:text payment_method:text",
        "setup_intent",
        Verb::List(Kind::SetupIntent, simple),
    ),
    get("/v1/setup_intents/{id}", "client_secret:text", "setup_intent", Verb::Retrieve(Kind::SetupIntent)),
    post("/v1/setup_intents", CREATE, "setup_intent", create),
    post(
        "/v1/setup_intents/{id}",
        "customer:text description:text metadata:metadata payment_method:text",
        "setup_intent",
        update,
    ),
    post(
        "/v1/setup_intents/{id}/confirm",
        "payment_method:text return_url:text use_stripe_sdk:bool",
        "setup_intent",
        confirm_call,
    ),
    post(
        "/v1/setup_intents/{id}/cancel",
        "cancellation_reason:one(abandoned|duplicate|requested_by_customer)",
        "setup_intent",
        cancel,
    ),
];

/// What a setup intent is made from.
struct NewSetup<'a> {
    id: &'a str,
    secret: &'a str,
    livemode: bool,
    created: i64,
    customer: Option<&'a str>,
    payment_method: Option<&'a str>,
    usage: &'a str,
    metadata: &'a dyn Json,
}

/// The setup intent object.
fn text(new: &NewSetup<'_>) -> String {
    json_text!({
        "id": new.id,
        "object": "setup_intent",
        "allowed_payment_method_types": null,
        "application": null,
        "automatic_payment_methods": { "allow_redirects": "always", "enabled": true },
        "cancellation_reason": null,
        "client_secret": format!("{}_secret_{}", new.id, new.secret),
        "created": new.created,
        "customer": new.customer,
        "customer_account": null,
        "description": null,
        "excluded_payment_method_types": null,
        "flow_directions": null,
        "last_setup_error": null,
        "latest_attempt": null,
        "livemode": new.livemode,
        "mandate": null,
        "metadata": new.metadata,
        "next_action": null,
        "on_behalf_of": null,
        "payment_method": new.payment_method,
        "payment_method_configuration_details": null,
        "payment_method_options": null,
        "payment_method_types": ["card"],
        "single_use_mandate": null,
        "status": if new.payment_method.is_some() { "requires_confirmation" } else { "requires_payment_method" },
        "usage": new.usage,
    })
}

fn create(work: &mut Work<'_>, call: &Call) -> Result<Arc<str>, Refusal> {
    let parameters = &call.parameters;
    let metadata = parameters.new_metadata()?;
    work.named(Kind::Customer, parameters, "customer")?;
    let method = method_of(work, call, &Value::Null)?;
    if parameters.yes("confirm") && method.is_none() {
        return Err(Refusal::missing("payment_method"));
    }
    if parameters.has("return_url") && !parameters.yes("confirm") {
        return Err(Refusal::bad("return_url can only be used with confirm=true.").param("return_url"));
    }
    let (id, secret) = (work.ids.new_id("seti_"), work.ids.letters("", 25));
    let mut intent = parse(&text(&NewSetup {
        id: &id,
        secret: &secret,
        livemode: work.book.livemode,
        created: work.present,
        customer: parameters.text("customer"),
        payment_method: method.as_ref().map(|method| text_of(method, "id")),
        usage: parameters.text("usage").unwrap_or("off_session"),
        metadata: &metadata,
    }));
    parameters.copy_to(&mut intent, &["description"]);
    if let Some(types) = parameters.at("allowed_payment_method_types") {
        intent["allowed_payment_method_types"] = types.clone();
    }
    let text = work.save(Kind::SetupIntent, &intent);
    work.emit("setup_intent.created", &text);
    if parameters.yes("confirm") { confirm(work, &id) } else { Ok(text) }
}

/// The payment method named by the call; it belongs to nobody or to the intent's customer.
fn method_of(work: &mut Work<'_>, call: &Call, intent: &Value) -> Result<Option<Value>, Refusal> {
    let Some(id) = call.parameters.text("payment_method") else { return Ok(None) };
    let method = payment_method::resolve(work, id, Some("payment_method"))?;
    let customer = call.parameters.text("customer").or_else(|| intent["customer"].as_str());
    match method["customer"].as_str() {
        Some(owner) if customer != Some(owner) => Err(Refusal::bad(
            "The provided PaymentMethod cannot be attached to this SetupIntent: it belongs to another customer, or the customer was not given.",
        )
        .param("payment_method")),
        _ => Ok(Some(method)),
    }
}

fn update(work: &mut Work<'_>, call: &Call) -> Result<Arc<str>, Refusal> {
    let parameters = &call.parameters;
    let intent = open(work, &call.id, "update")?;
    work.named(Kind::Customer, parameters, "customer")?;
    let method = method_of(work, call, &intent)?;
    let change = work.change(Kind::SetupIntent, &call.id, |intent| {
        parameters.merge_metadata(intent)?;
        parameters.copy_to(intent, &["customer", "description"]);
        if let Some(method) = &method {
            intent["payment_method"] = method["id"].clone();
            intent["status"] = "requires_confirmation".into();
        }
        Ok(())
    })?;
    // As with payment intents, no event tells of this.
    Ok(change.text)
}

/// The intent, unless it has come to its end.
fn open(work: &Work<'_>, id: &str, what: &str) -> Result<Value, Refusal> {
    let intent = work.value(Kind::SetupIntent, id, None)?;
    match text_of(&intent, "status") {
        status @ ("succeeded" | "canceled") => {
            Err(Refusal::bad(format!("You cannot {what} this SetupIntent because it has a status of {status}."))
                .code("setup_intent_unexpected_state")
                .with("setup_intent", intent.clone()))
        }
        _ => Ok(intent),
    }
}

fn confirm_call(work: &mut Work<'_>, call: &Call) -> Result<Arc<str>, Refusal> {
    let intent = open(work, &call.id, "confirm")?;
    let given = method_of(work, call, &intent)?;
    let method = match given.as_ref().map(|method| text_of(method, "id")).or_else(|| intent["payment_method"].as_str())
    {
        Some(id) => id.to_owned(),
        None => {
            return Err(Refusal::bad("You cannot confirm this SetupIntent because it's missing a payment method.")
                .code("setup_intent_unexpected_state")
                .with("setup_intent", intent));
        }
    };
    work.change(Kind::SetupIntent, &call.id, |intent| {
        intent["payment_method"] = method.into();
        Ok(())
    })?;
    confirm(work, &call.id)
}

/// The card decides; one that is kept is attached to the intent's customer.
fn confirm(work: &mut Work<'_>, id: &str) -> Result<Arc<str>, Refusal> {
    let intent = work.value(Kind::SetupIntent, id, None)?;
    let method = work.value(Kind::PaymentMethod, text_of(&intent, "payment_method"), Some("payment_method"))?;
    match cards::behaviour(payment_method::shown(&method).last4) {
        Behaviour::Authenticates => {
            let change = work.change(Kind::SetupIntent, id, |intent| {
                intent["status"] = "requires_action".into();
                intent["next_action"] =
                    json!({ "type": "use_stripe_sdk", "use_stripe_sdk": { "type": "three_d_secure_redirect" } });
                Ok(())
            })?;
            work.emit("setup_intent.requires_action", &change.text);
            Ok(change.text)
        }
        // The card that fails later is fine until it is charged.
        Behaviour::Declines(code, decline_code, message) if payment_method::shown(&method).last4 != "0341" => {
            let refusal = Refusal::declined(code, decline_code, message).with("payment_method", method.clone());
            let change = work.change(Kind::SetupIntent, id, |intent| {
                let mut error = refusal.body("req")["error"].take();
                if let Some(error) = error.as_object_mut() {
                    error.shift_remove("request_log_url");
                }
                intent["last_setup_error"] = error;
                intent["payment_method"] = Value::Null;
                intent["status"] = "requires_payment_method".into();
                Ok(())
            })?;
            work.emit("setup_intent.setup_failed", &change.text);
            Err(refusal.with("setup_intent", change.after))
        }
        _ => {
            if let (Some(customer), None) = (intent["customer"].as_str(), method["customer"].as_str()) {
                payment_method::attach_to(work, text_of(&method, "id"), customer)?;
            }
            let change = work.change(Kind::SetupIntent, id, |intent| {
                intent["status"] = "succeeded".into();
                intent["next_action"] = Value::Null;
                intent["last_setup_error"] = Value::Null;
                Ok(())
            })?;
            work.emit("setup_intent.succeeded", &change.text);
            Ok(change.text)
        }
    }
}

fn cancel(work: &mut Work<'_>, call: &Call) -> Result<Arc<str>, Refusal> {
    open(work, &call.id, "cancel")?;
    let reason = call.parameters.text("cancellation_reason");
    let change = work.change(Kind::SetupIntent, &call.id, |intent| {
        intent["status"] = "canceled".into();
        intent["cancellation_reason"] = reason.into();
        intent["next_action"] = Value::Null;
        Ok(())
    })?;
    work.emit("setup_intent.canceled", &change.text);
    Ok(change.text)
}
