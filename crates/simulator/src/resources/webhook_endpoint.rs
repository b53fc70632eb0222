//! Webhook endpoints (FACTS section 9): at most 16, https in live mode, the secret shown once.

use super::{Call, Endpoint, Kind, Resource, Verb, delete, get, post, simple};
use crate::{
    API_VERSION,
    book::Book,
    json::json_text,
    problem::Refusal,
    resources::event::Hook,
    work::{Work, parse, text_of},
};
use serde_json::Value;
use std::sync::Arc;

pub(crate) static RESOURCE: Resource = Resource {
    kind: Kind::WebhookEndpoint,
    object: "webhook_endpoint",
    facets: &[],
    expands: &[],
    search: None,
    endpoints: &ENDPOINTS,
};

static ENDPOINTS: [Endpoint; 5] = [
    get("/v1/webhook_endpoints", "", "webhook", Verb::List(Kind::WebhookEndpoint, simple)),
    get("/v1/webhook_endpoints/{id}", "", "webhook", Verb::Retrieve(Kind::WebhookEndpoint)),
    post(
        "/v1/webhook_endpoints",
        "enabled_events[]:text! url:text! api_version:text description:text metadata:metadata",
        "webhook",
        create,
    ),
    post(
        "/v1/webhook_endpoints/{id}",
        "description:text disabled:bool enabled_events[]:text metadata:metadata url:text",
        "webhook",
        update,
    ),
    delete("/v1/webhook_endpoints/{id}", "", "webhook", remove),
];

const ENDPOINTS_MAX: usize = 16;

fn create(work: &mut Work<'_>, call: &Call) -> Result<Arc<str>, Refusal> {
    let parameters = &call.parameters;
    let url = parameters.text("url").unwrap_or_default();
    check_url(url, work.book.livemode)?;
    check_events(parameters.list("enabled_events"))?;
    let version = parameters.text("api_version").unwrap_or(API_VERSION);
    crate::exchange::check_version(version).map_err(|refusal| refusal.param("api_version"))?;
    if work.book.table(Kind::WebhookEndpoint).len() >= ENDPOINTS_MAX {
        return Err(Refusal::bad(format!("You have reached the maximum of {ENDPOINTS_MAX} test webhook endpoints."))
            .code("resource_limit_exceeded"));
    }
    let id = work.ids.new_id("we_");
    let secret = work.ids.letters("whsec_", 32);
    let text = work.insert(
        Kind::WebhookEndpoint,
        json_text!({
            "id": id,
            "object": "webhook_endpoint",
            "api_version": version,
            "application": null,
            "created": work.present,
            "description": parameters.text("description"),
            "enabled_events": parameters.list("enabled_events").to_vec(),
            "livemode": work.book.livemode,
            "metadata": parameters.new_metadata()?,
            "status": "enabled",
            "url": url,
        }),
    );
    // Kept beside the object, which shows it in the answer to this call and never again.
    work.book.secrets.insert(id, secret.as_str().into());
    refresh(work.book);
    let mut shown = parse(&text);
    shown["secret"] = secret.into();
    Ok(shown.to_string().into())
}

fn update(work: &mut Work<'_>, call: &Call) -> Result<Arc<str>, Refusal> {
    let parameters = &call.parameters;
    if let Some(url) = parameters.text("url") {
        check_url(url, work.book.livemode)?;
    }
    if parameters.has("enabled_events") {
        check_events(parameters.list("enabled_events"))?;
    }
    let change = work.change(Kind::WebhookEndpoint, &call.id, |endpoint| {
        parameters.merge_metadata(endpoint)?;
        parameters.copy_to(endpoint, &["description", "enabled_events", "url"]);
        if parameters.has("disabled") {
            endpoint["status"] = if parameters.yes("disabled") { "disabled" } else { "enabled" }.into();
        }
        Ok(())
    })?;
    refresh(work.book);
    Ok(change.text)
}

fn remove(work: &mut Work<'_>, call: &Call) -> Result<Arc<str>, Refusal> {
    work.value(Kind::WebhookEndpoint, &call.id, None)?;
    work.remove(Kind::WebhookEndpoint, &call.id, None);
    work.book.secrets.remove(&call.id);
    refresh(work.book);
    Ok(json_text!({ "id": call.id, "object": "webhook_endpoint", "deleted": true }).into())
}

/// Reads the endpoints again after a change to one of them.
pub(crate) fn refresh(book: &mut Book) {
    let endpoints = book.table(Kind::WebhookEndpoint).all().chain(book.table(Kind::EventDestination).all());
    book.hooks = endpoints
        .map(|text| parse(text))
        .filter(|endpoint| text_of(endpoint, "status") == "enabled")
        .map(|endpoint| Hook {
            thin: endpoint["event_payload"] == "thin",
            id: text_of(&endpoint, "id").into(),
            types: endpoint["enabled_events"]
                .as_array()
                .into_iter()
                .flatten()
                .filter_map(Value::as_str)
                .map(str::to_owned)
                .collect(),
        })
        .collect();
}

pub(crate) fn check_url(url: &str, livemode: bool) -> Result<(), Refusal> {
    let invalid = |message: &str| Err(Refusal::bad(message).code("url_invalid").param("url"));
    match url.split_once("://") {
        Some(("https", rest)) if !rest.is_empty() => Ok(()),
        Some(("http", rest)) if !rest.is_empty() && !livemode => Ok(()),
        Some(("http", _)) if livemode => invalid("Invalid URL: live mode webhook endpoints must use https."),
        _ => invalid("Invalid URL: An explicit scheme (such as https) must be provided."),
    }
}

/// Only types that exist can be asked for.
fn check_events(events: &[Value]) -> Result<(), Refusal> {
    for event in events.iter().filter_map(Value::as_str) {
        let shaped = event == "*"
            || (event.contains('.')
                && event.bytes().all(|byte| byte.is_ascii_lowercase() || matches!(byte, b'.' | b'_')));
        if !shaped {
            return Err(Refusal::bad(format!("Invalid enabled_events: {event} is not the name of an event type."))
                .param("enabled_events"));
        }
    }
    Ok(())
}
