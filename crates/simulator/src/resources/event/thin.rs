//! Thin notifications of v2, drawn from the snapshot events that are kept; ids of the two differ by their prefix.

use super::{Call, KEPT_SECONDS, Kind, is_thin, kept};
use crate::{
    book::Book,
    json::{Raw, integer_member, json_text, member, plain_member},
    pages,
    problem::Refusal,
    resources::Verb,
    table::Test,
    work::{Delivery, Work},
};
use serde_json::Value;
use std::sync::Arc;

const TYPES_MAX: usize = 20;
const PING: &str = "v2.core.event_destination.ping";

/// The id of the thin notification of a snapshot event.
fn thin_id(snapshot: &str, livemode: bool) -> String {
    let mode = if livemode { "live" } else { "test" };
    format!("evt_{mode}_{}", snapshot.trim_start_matches("evt_"))
}

/// The thin notification of what is kept.
pub(super) fn text(kept: &str) -> String {
    if is_thin(kept) {
        return kept.to_owned();
    }
    let word = |name: &str| plain_member(kept, name).unwrap_or_default();
    let livemode = word("livemode") == "true";
    let snapshot = word("id");
    let mut out = json_text!({
        "id": thin_id(&snapshot, livemode),
        "object": "v2.core.event",
        "created": pages::written(integer_member(kept, "created").unwrap_or_default()),
        "livemode": livemode,
        "type": format!("v1.{}", word("type")),
        "snapshot_event": snapshot,
    });
    if let Some(reason) = reason(member(kept, "request").unwrap_or("null")) {
        out.pop();
        out.push_str(",\"reason\":");
        out.push_str(&reason);
        out.push('}');
    }
    if let Some(related) = member(kept, "data.object").and_then(related) {
        out.pop();
        out.push_str(",\"related_object\":");
        out.push_str(&related);
        out.push('}');
    }
    out
}

/// The request that caused it; none when Stripe itself did.
fn reason(request: &str) -> Option<String> {
    let id = plain_member(request, "id")?;
    // The key is a text in every case: an empty one where there was none.
    let key = plain_member(request, "idempotency_key").unwrap_or_default();
    Some(json_text!({ "request": { "id": id, "idempotency_key": key }, "type": "request" }))
}

/// Where the object can be read, if it can.
fn related(object: &str) -> Option<String> {
    let (id, word) = (plain_member(object, "id")?, plain_member(object, "object")?);
    let kind = Kind::of(&word)?;
    let endpoints = kind.resource().endpoints.iter();
    let pattern = endpoints
        .filter(|endpoint| matches!(endpoint.verb, Verb::Retrieve(of) if of == kind))
        .map(|endpoint| endpoint.pattern)
        .next()?;
    Some(json_text!({ "id": id, "type": word, "url": pattern.replacen("{id}", &id, 1) }))
}

/// `GET /v2/core/events`: eventually consistent, so the newest of it lags.
pub(super) fn list(book: &Book, call: &Call, now: i64) -> Result<String, Refusal> {
    let parameters = &call.parameters;
    let table = book.table(Kind::Event);
    let mut tests = Vec::new();
    let types = parameters.list("types");
    if types.len() > TYPES_MAX {
        return Err(Refusal::bad(format!("You can name up to {TYPES_MAX} types."))
            .code("invalid_fields")
            .param("types"));
    }
    if let Some(facet) = table.facet("type").filter(|_| !types.is_empty()) {
        // Types of snapshots are not types of v2: `charge.succeeded` finds nothing, `v1.charge.succeeded` does.
        let kept = types.iter().filter_map(Value::as_str).map(|kind| match kind.strip_prefix("v1.") {
            Some(kind) => kind.to_owned(),
            None if kind.starts_with("v2.") => kind.to_owned(),
            None => format!("v1.{kind}"),
        });
        tests.push(Test::AnyOf(facet, kept.collect()));
    }
    if let (Some(id), Some(facet)) = (parameters.text("object_id"), table.facet("object_id")) {
        tests.push(Test::Is(facet, id.to_owned()));
    }
    let (from, to) = parameters.at("created").map_or((i64::MIN, i64::MAX), crate::exchange::range);
    let seen = now - book.event_lag_seconds;
    let page = pages::read(book, Kind::Event, call, tests, (from.max(now - KEPT_SECONDS), to.min(seen)))?;
    Ok(pages::text(&page, text))
}

/// `GET /v2/core/events/{id}`, at once.
pub(super) fn retrieve(book: &Book, call: &Call, now: i64) -> Result<String, Refusal> {
    let id = call.id.as_str();
    let found = kept(book, id, now).filter(|text| is_thin(text)).or_else(|| {
        let own = if book.livemode { "evt_live_" } else { "evt_test_" };
        kept(book, &format!("evt_{}", id.strip_prefix(own)?), now)
    });
    found
        .map(|found| text(found))
        .ok_or_else(|| Refusal::new(404, format!("Event '{id}' not found.")).code("not_found"))
}

/// The event that tries a destination out, and its delivery.
pub(crate) fn ping(work: &mut Work<'_>, destination: &str) -> Arc<str> {
    let id = thin_id(&work.ids.new_id("evt_"), work.book.livemode);
    let related = json_text!({
        "id": destination, "type": "v2.core.event_destination", "url": format!("/v2/core/event_destinations/{destination}"),
    });
    let cause = work.cause.as_ref();
    let request = cause.map(|cause| json_text!({ "id": cause.request_id, "idempotency_key": cause.idempotency_key }));
    let reason = request.and_then(|request| reason(&request));
    let mut out = json_text!({
        "id": id,
        "object": "v2.core.event",
        "created": pages::written(work.present),
        "livemode": work.book.livemode,
        "type": PING,
        "related_object": Raw(&related),
    });
    if let Some(reason) = reason {
        out.pop();
        out.push_str(",\"reason\":");
        out.push_str(&reason);
        out.push('}');
    }
    let present = work.present;
    let text = work.book.put(Kind::Event, out, present);
    work.deliveries.push(Delivery { event: id.into(), endpoint: destination.into() });
    text
}
