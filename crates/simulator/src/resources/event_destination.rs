//! Event destinations of v2: where events are sent, as snapshots or as thin notifications (FACTS section 9).
//!
//! Only webhook endpoints are simulated. Neither the URL nor the signing secret is shown unless `include[]` names it, and
//! the secret only in the answer that makes the destination.

use super::{Call, Endpoint, Kind, Resource, Verb, delete, event, get, post, webhook_endpoint};
use crate::{
    API_VERSION,
    book::Book,
    json::json_text,
    pages,
    problem::Refusal,
    work::{Work, parse, text_of},
};
use serde_json::{Value, json};
use std::sync::Arc;

pub(crate) static RESOURCE: Resource = Resource {
    kind: Kind::EventDestination,
    object: "v2.core.event_destination",
    facets: &[],
    expands: &[],
    search: None,
    endpoints: &ENDPOINTS,
};

const CREATE: &str = "enabled_events[]:text! event_payload:one(snapshot|thin)! name:text! type:one(webhook_endpoint)! \
    description:text events_from[]:text include[]:text metadata:metadata snapshot_api_version:text webhook_endpoint[url]:text";
const UPDATE: &str =
    "description:text enabled_events[]:text include[]:text metadata:metadata name:text webhook_endpoint[url]:text";

static ENDPOINTS: [Endpoint; 8] = [
    get("/v2/core/event_destinations", "include[]:text limit:int page:text", "webhook", Verb::Compute(list)),
    get("/v2/core/event_destinations/{id}", "include[]:text", "webhook", Verb::Compute(retrieve)),
    post("/v2/core/event_destinations", CREATE, "webhook", create),
    post("/v2/core/event_destinations/{id}", UPDATE, "webhook", update),
    delete("/v2/core/event_destinations/{id}", "", "webhook", remove),
    post("/v2/core/event_destinations/{id}/disable", "", "webhook", disable),
    post("/v2/core/event_destinations/{id}/enable", "", "webhook", enable),
    post("/v2/core/event_destinations/{id}/ping", "", "webhook", ping),
];

const DESTINATIONS_MAX: usize = 16;

/// The object as it is shown.
fn shown(text: &str, call: &Call, secret: Option<&str>) -> String {
    let mut destination = parse(text);
    let includes = |name: &str| call.parameters.list("include").iter().any(|included| included == name);
    let mut endpoint = json!({});
    if includes("webhook_endpoint.url") {
        endpoint["url"] = destination["webhook_endpoint"]["url"].clone();
    }
    if let Some(secret) = secret.filter(|_| includes("webhook_endpoint.signing_secret")) {
        endpoint["signing_secret"] = secret.into();
    }
    destination["webhook_endpoint"] = endpoint;
    destination.to_string()
}

fn list(book: &Book, call: &Call, _: i64) -> Result<String, Refusal> {
    let page = pages::read(book, Kind::EventDestination, call, Vec::new(), (i64::MIN, i64::MAX))?;
    Ok(pages::text(&page, |text| shown(text, call, None)))
}

fn found<'a>(book: &'a Book, id: &str) -> Result<&'a Arc<str>, Refusal> {
    book.get(Kind::EventDestination, id)
        .ok_or_else(|| Refusal::new(404, format!("Event destination '{id}' not found.")).code("not_found"))
}

fn retrieve(book: &Book, call: &Call, _: i64) -> Result<String, Refusal> {
    found(book, &call.id).map(|text| shown(text, call, None))
}

fn check(work: &Work<'_>, call: &Call, payload: &str) -> Result<(), Refusal> {
    let parameters = &call.parameters;
    if let Some(url) = parameters.text("webhook_endpoint[url]") {
        webhook_endpoint::check_url(url, work.book.livemode)
            .map_err(|refusal| refusal.param("webhook_endpoint.url"))?;
    }
    for kind in parameters.list("enabled_events").iter().filter_map(Value::as_str) {
        let generations = (kind.starts_with("v1."), kind.starts_with("v2."));
        let fits = match payload {
            "thin" => kind == "*" || generations.0 || generations.1,
            _ => kind == "*" || !(generations.0 || generations.1),
        };
        if !fits || !kind.contains(['.', '*']) {
            return Err(Refusal::bad(format!("The event type {kind} cannot be sent as a {payload} event."))
                .code("invalid_fields")
                .param("enabled_events"));
        }
    }
    Ok(())
}

fn create(work: &mut Work<'_>, call: &Call) -> Result<Arc<str>, Refusal> {
    let parameters = &call.parameters;
    let payload = parameters.text("event_payload").unwrap_or("snapshot");
    check(work, call, payload)?;
    let Some(url) = parameters.text("webhook_endpoint[url]") else {
        return Err(Refusal::missing("webhook_endpoint"));
    };
    let version = parameters.text("snapshot_api_version");
    if payload == "thin" && version.is_some() {
        return Err(Refusal::bad("Thin events are not pinned to a version.")
            .code("invalid_fields")
            .param("snapshot_api_version"));
    }
    if let Some(version) = version {
        crate::exchange::check_version(version).map_err(|refusal| refusal.param("snapshot_api_version"))?;
    }
    let from = parameters.list("events_from");
    if from.iter().any(|from| from != "@self") {
        return Err(Refusal::bad("The simulator sends events of the account itself only (@self).")
            .code("simulator_does_not_do_this")
            .param("events_from"));
    }
    if work.book.table(Kind::EventDestination).len() >= DESTINATIONS_MAX {
        return Err(
            Refusal::bad(format!("You can have at most {DESTINATIONS_MAX} event destinations.")).code("limit_exceeded")
        );
    }
    let mode = if work.book.livemode { "live_" } else { "test_" };
    let id = work.ids.letters(&format!("ed_{mode}"), 36);
    let secret = work.ids.letters("whsec_", 32);
    let now = pages::written(work.present);
    let mut destination = parse(&json_text!({
        "id": id,
        "object": "v2.core.event_destination",
        "created": now,
        "description": parameters.text("description").unwrap_or_default(),
        "enabled_events": parameters.list("enabled_events").to_vec(),
        "event_payload": payload,
        "events_from": ["@self"],
        "livemode": work.book.livemode,
        "metadata": parameters.new_metadata()?,
        "name": parameters.text("name"),
        "status": "enabled",
        "type": "webhook_endpoint",
        "updated": now,
        "webhook_endpoint": { "url": url },
    }));
    if payload == "snapshot" {
        destination["snapshot_api_version"] = version.unwrap_or(API_VERSION).into();
    }
    let text = work.save(Kind::EventDestination, &destination);
    work.book.secrets.insert(id, secret.as_str().into());
    webhook_endpoint::refresh(work.book);
    Ok(shown(&text, call, Some(&secret)).into())
}

/// Changes a destination and reads the destinations again.
fn change(
    work: &mut Work<'_>,
    call: &Call,
    change: impl FnOnce(&mut Value) -> Result<(), Refusal>,
) -> Result<Arc<str>, Refusal> {
    found(work.book, &call.id)?;
    let now = pages::written(work.present);
    let change = work.change(Kind::EventDestination, &call.id, |destination| {
        change(destination)?;
        destination["updated"] = now.into();
        Ok(())
    })?;
    webhook_endpoint::refresh(work.book);
    Ok(shown(&change.text, call, None).into())
}

fn update(work: &mut Work<'_>, call: &Call) -> Result<Arc<str>, Refusal> {
    let payload = parse(found(work.book, &call.id)?);
    check(work, call, text_of(&payload, "event_payload"))?;
    let parameters = &call.parameters;
    change(work, call, |destination| {
        parameters.merge_metadata(destination)?;
        parameters.copy_to(destination, &["enabled_events", "name"]);
        if parameters.has("description") {
            destination["description"] = parameters.text("description").unwrap_or_default().into();
        }
        if let Some(url) = parameters.text("webhook_endpoint[url]") {
            destination["webhook_endpoint"]["url"] = url.into();
        }
        Ok(())
    })
}

fn remove(work: &mut Work<'_>, call: &Call) -> Result<Arc<str>, Refusal> {
    found(work.book, &call.id)?;
    work.remove(Kind::EventDestination, &call.id, None);
    work.book.secrets.remove(&call.id);
    webhook_endpoint::refresh(work.book);
    Ok(json_text!({ "id": call.id, "object": "v2.core.event_destination" }).into())
}

fn disable(work: &mut Work<'_>, call: &Call) -> Result<Arc<str>, Refusal> {
    change(work, call, |destination| {
        destination["status"] = "disabled".into();
        destination["status_details"] = json!({ "disabled": { "reason": "user" } });
        Ok(())
    })
}

fn enable(work: &mut Work<'_>, call: &Call) -> Result<Arc<str>, Refusal> {
    change(work, call, |destination| {
        destination["status"] = "enabled".into();
        if let Some(members) = destination.as_object_mut() {
            members.shift_remove("status_details");
        }
        Ok(())
    })
}

/// A test event of v2's own, sent to this destination alone, whatever it has asked for.
fn ping(work: &mut Work<'_>, call: &Call) -> Result<Arc<str>, Refusal> {
    let destination = parse(found(work.book, &call.id)?);
    if destination["status"] != "enabled" {
        return Err(Refusal::bad("The event destination is disabled; enable it first.").code("not_enabled"));
    }
    Ok(event::ping(work, &call.id))
}
