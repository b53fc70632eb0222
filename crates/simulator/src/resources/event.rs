//! Events: what happened, with the object as it was then (FACTS section 9). Kept for 30 days.
//!
//! Every one can be had in two shapes: the snapshot of v1, which is what is kept, and the thin notification of v2, which is
//! drawn from it. Events that v2 alone has are kept among them and left out of v1.

mod thin;

pub(crate) use thin::ping;

use super::{Call, Endpoint, Kind, Resource, Verb, get, post};
use crate::{
    API_VERSION,
    book::Book,
    calendar::DAY,
    json::{Json, Raw, json_text, plain_member},
    problem::Refusal,
    table::{Facet, Query, Test},
    work::{Cause, Delivery, Work},
};
use kit::Secret;
use serde_json::Value;
use std::sync::Arc;

pub(crate) static RESOURCE: Resource = Resource {
    kind: Kind::Event,
    object: "event",
    // Whether every endpoint has taken it is known to the simulator alone.
    facets: &[
        Facet::word("type"),
        Facet { param: "delivery_success", path: "", indexed: false },
        Facet::word_at("object_id", "data.object.id"),
    ],
    expands: &[],
    search: None,
    endpoints: &ENDPOINTS,
};

static ENDPOINTS: [Endpoint; 5] = [
    get(
        "/v1/events",
        "created:times delivery_success:bool type:text types[]:text",
        "event",
        Verb::List(Kind::Event, prepare),
    ),
    get("/v1/events/{id}", "", "event", Verb::Compute(retrieve)),
    get(
        "/v2/core/events",
        "created:times limit:int object_id:text page:text types[]:text",
        "event",
        Verb::Compute(thin::list),
    ),
    get("/v2/core/events/{id}", "", "event", Verb::Compute(thin::retrieve)),
    // Not in the published description; the CLI uses it to resend.
    post("/v1/events/{id}/retry", "for_stripecli:bool account:text webhook_endpoint:text", "event", retry),
];

/// How long events can be read.
const KEPT_SECONDS: i64 = 30 * DAY;
const TYPES_MAX: usize = 20;

/// A webhook endpoint as events are matched with it.
#[derive(Clone, Debug)]
pub(crate) struct Hook {
    pub(crate) id: Arc<str>,
    pub(crate) types: Vec<String>,
    /// Whether it takes thin notifications, whose types begin with `v1.`.
    pub(crate) thin: bool,
}

impl Hook {
    fn wants(&self, kind: &str) -> bool {
        self.types.iter().any(|wanted| {
            wanted == "*" || if self.thin { wanted.strip_prefix("v1.") == Some(kind) } else { wanted == kind }
        })
    }
}

/// What an endpoint or destination is sent.
pub(crate) struct Sent {
    pub(crate) url: String,
    pub(crate) secret: Secret,
    /// The type, as the body names it.
    pub(crate) kind: String,
    pub(crate) body: String,
}

/// An event as one endpoint or destination gets it; none if that has gone or is disabled, or the event is too old.
pub(crate) fn sent(book: &Book, endpoint: &str, event: &str) -> Option<Sent> {
    let text = book.get(Kind::Event, event)?;
    let secret = book.secrets.get(endpoint)?.clone();
    let kind = plain_member(text, "type")?.into_owned();
    if let Some(endpoint) = book.get(Kind::WebhookEndpoint, endpoint) {
        if plain_member(endpoint, "status")? != "enabled" {
            return None;
        }
        let body = rendered(text, plain_member(endpoint, "api_version").as_deref());
        return Some(Sent { url: plain_member(endpoint, "url")?.into_owned(), secret, kind, body });
    }
    let destination = book.get(Kind::EventDestination, endpoint)?;
    if plain_member(destination, "status")? != "enabled" {
        return None;
    }
    let url = plain_member(destination, "webhook_endpoint.url")?.into_owned();
    if plain_member(destination, "event_payload")? == "thin" || kind.starts_with("v2.") {
        let body = thin::text(text);
        return Some(Sent { url, secret, kind: plain_member(&body, "type")?.into_owned(), body });
    }
    let body = rendered(text, plain_member(destination, "snapshot_api_version").as_deref());
    Some(Sent { url, secret, kind, body })
}

/// What an event is made from.
pub(crate) struct NewEvent<'a> {
    pub(crate) id: &'a str,
    pub(crate) livemode: bool,
    pub(crate) created: i64,
    pub(crate) kind: &'a str,
    /// The text of the object as it was then.
    pub(crate) object: &'a str,
    pub(crate) previous: Option<&'a Value>,
    pub(crate) pending_webhooks: i64,
    pub(crate) cause: Option<&'a Cause>,
}

/// The event object. `api_version` and `pending_webhooks` come before `data`, so that the first of each name is the event's own.
pub(crate) fn text(new: &NewEvent<'_>) -> String {
    let mut out = String::with_capacity(new.object.len() + 512);
    crate::json::json_into!(out, {
        "id": new.id,
        "object": "event",
        "api_version": API_VERSION,
        "created": new.created,
        "livemode": new.livemode,
        "pending_webhooks": new.pending_webhooks,
        "type": new.kind,
    });
    out.pop();
    out.push_str(",\"data\":{\"object\":");
    out.push_str(new.object);
    if let Some(previous) = new.previous {
        out.push_str(",\"previous_attributes\":");
        previous.write(&mut out);
    }
    out.push_str("},\"request\":");
    match new.cause {
        Some(cause) => out.push_str(&json_text!({ "id": cause.request_id, "idempotency_key": cause.idempotency_key })),
        None => out.push_str("{\"id\":null,\"idempotency_key\":null}"),
    }
    out.push('}');
    out
}

/// Records an event and notes the endpoints that are to be told.
pub(crate) fn emit(work: &mut Work<'_>, kind: &'static str, object: &str, previous: Option<&Value>) {
    let id = work.ids.new_id("evt_");
    let told: Vec<Arc<str>> =
        work.book.hooks.iter().filter(|hook| hook.wants(kind)).map(|hook| hook.id.clone()).collect();
    let text = text(&NewEvent {
        id: &id,
        livemode: work.book.livemode,
        created: work.present,
        kind,
        object,
        previous,
        pending_webhooks: i64::try_from(told.len()).unwrap_or(i64::MAX),
        cause: work.cause.as_ref(),
    });
    let text = work.insert(Kind::Event, text);
    work.book.listeners.tell(&text);
    let delivered = if told.is_empty() { "true" } else { "false" };
    let events = work.book.table_mut(Kind::Event);
    events.mark(&id, "delivery_success", Some(delivered));
    events.forget_before(work.present - KEPT_SECONDS);
    let event: Arc<str> = id.into();
    work.deliveries.extend(told.into_iter().map(|endpoint| Delivery { event: event.clone(), endpoint }));
}

/// One endpoint has taken the event: one fewer is pending, and the event is delivered when none is.
pub(crate) fn delivered(book: &mut Book, id: &str) {
    let Some(text) = book.get(Kind::Event, id).cloned() else { return };
    let pending = (crate::json::integer_member(&text, "pending_webhooks").unwrap_or(1) - 1).max(0);
    let text = with_member(&text, "pending_webhooks", &Raw(&pending.to_string()));
    book.put(Kind::Event, text, 0);
    if pending == 0 {
        book.table_mut(Kind::Event).mark(id, "delivery_success", Some("true"));
    }
}

/// The event as an endpoint of this version gets it.
pub(crate) fn rendered(text: &str, api_version: Option<&str>) -> String {
    match api_version {
        Some(version) if version != API_VERSION => with_member(text, "api_version", &version),
        _ => text.to_owned(),
    }
}

/// The text with one of the members before `data` replaced.
fn with_member(text: &str, member: &str, value: &dyn Json) -> String {
    let Some(old) = crate::json::member(text, member) else { return text.to_owned() };
    let name = format!("\"{member}\":");
    let Some(at) = text.find(&name).map(|at| at + name.len()) else { return text.to_owned() };
    let mut out = String::with_capacity(text.len() + 16);
    out.push_str(&text[..at]);
    value.write(&mut out);
    out.push_str(&text[at + old.len()..]);
    out
}

/// A snapshot event; those of v2 alone are read there.
fn retrieve(book: &Book, call: &Call, now: i64) -> Result<String, Refusal> {
    let text = kept(book, &call.id, now).filter(|text| !is_thin(text));
    text.map(|text| text.to_string()).ok_or_else(|| Refusal::no_such("event", &call.id, None))
}

/// An event that can still be read: old ones are forgotten when the next one is made, which may be late.
fn kept<'a>(book: &'a Book, id: &str, now: i64) -> Option<&'a Arc<str>> {
    let events = book.table(Kind::Event);
    let young = events.place(id).is_some_and(|(created, _)| created >= now - KEPT_SECONDS);
    events.get(id).filter(|_| young)
}

/// Whether it is an event that v2 alone has.
fn is_thin(text: &str) -> bool {
    plain_member(text, "object").as_deref() == Some("v2.core.event")
}

fn prepare(book: &Book, call: &mut Call, query: &mut Query) -> Result<(), Refusal> {
    let Some(facet) = book.table(Kind::Event).facet("type") else { return Ok(()) };
    query.tests.push(Test::NotBegins(facet, "v2."));
    query.created.0 = query.created.0.max(call.now - KEPT_SECONDS);
    let kind = call.parameters.take("type").and_then(|kind| kind.as_str().map(str::to_owned));
    let kinds = call.parameters.take("types");
    if kind.is_some() && kinds.is_some() {
        return Err(Refusal::bad("You may only specify one of these parameters: type, types.").param("types"));
    }
    if let Some(kind) = kind {
        query.tests.push(match kind.strip_suffix('*') {
            Some(start) => Test::Begins(facet, start.to_owned()),
            None => Test::Is(facet, kind),
        });
    }
    if let Some(Value::Array(kinds)) = kinds {
        if kinds.len() > TYPES_MAX {
            return Err(Refusal::bad(format!("You can name up to {TYPES_MAX} types.")).param("types"));
        }
        query.tests.push(Test::AnyOf(facet, kinds.iter().filter_map(Value::as_str).map(str::to_owned).collect()));
    }
    Ok(())
}

fn retry(work: &mut Work<'_>, call: &Call) -> Result<Arc<str>, Refusal> {
    let text = kept(work.book, &call.id, work.present).filter(|text| !is_thin(text)).cloned();
    let text = text.ok_or_else(|| Refusal::no_such("event", &call.id, None))?;
    if call.parameters.yes("for_stripecli") {
        // For whoever listens with the CLI, and for no endpoint.
        work.book.listeners.tell(&text);
        return Ok(text);
    }
    let kind = crate::json::plain_member(&text, "type").unwrap_or_default().into_owned();
    let only = call.parameters.text("webhook_endpoint");
    if let Some(endpoint) = only {
        work.value(Kind::WebhookEndpoint, endpoint, Some("webhook_endpoint"))?;
    }
    let event: Arc<str> = call.id.as_str().into();
    let told: Vec<Arc<str>> = work
        .book
        .hooks
        .iter()
        .filter(|hook| only.map_or_else(|| hook.wants(&kind), |only| hook.id.as_ref() == only))
        .map(|hook| hook.id.clone())
        .collect();
    work.deliveries.extend(told.into_iter().map(|endpoint| Delivery { event: event.clone(), endpoint }));
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_events_own_members_are_replaced_and_not_those_of_its_object() {
        let object =
            r#"{"id":"evt_x","metadata":{"\"pending_webhooks\":7":"x"},"api_version":"old","pending_webhooks":7}"#;
        let text = text(&NewEvent {
            id: "evt_1",
            livemode: false,
            created: 5,
            kind: "charge.succeeded",
            object,
            previous: None,
            pending_webhooks: 2,
            cause: None,
        });
        let rendered = rendered(&text, Some("2025-03-31.basil"));
        let value: Value = serde_json::from_str(&rendered).unwrap();
        assert_eq!(value["api_version"], "2025-03-31.basil");
        assert_eq!(value["data"]["object"]["api_version"], "old");
        let fewer: Value = serde_json::from_str(&with_member(&text, "pending_webhooks", &1_i64)).unwrap();
        assert_eq!((&fewer["pending_webhooks"], &fewer["data"]["object"]["pending_webhooks"]), (&1.into(), &7.into()));
    }
}
