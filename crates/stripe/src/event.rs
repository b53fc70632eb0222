//! Reading a webhook's body once, borrowing from it: enough to store it, route it and absorb its object.
//!
//! Snapshot events carry the object as it was; thin ones only name it. Nothing here trusts the body: depth is bounded,
//! and every way of not being an event has its name. Source: FACTS section 9.

use crate::shape::{Head, Text, depth_is_at_most};
use kit::Time;
use serde::Deserialize;
use serde_json::value::RawValue;
use std::borrow::Cow;

/// Deepest nesting that is read. Stripe's deepest objects stay below 20; parsers further on give up at 128.
pub const MAX_DEPTH: usize = 100;

/// A webhook's body, read.
#[derive(Clone, Debug)]
pub enum Envelope<'a> {
    /// `object: "event"`: with the object in it.
    Snapshot(Snapshot<'a>),
    /// `object: "v2.core.event"`: says what to fetch.
    Thin(Thin<'a>),
}

/// An event with its object, rendered once in the version of the endpoint and never again.
#[derive(Clone, Debug)]
pub struct Snapshot<'a> {
    /// `evt_…`, the same for each try of a delivery.
    pub id: Cow<'a, str>,
    /// Such as `charge.refunded`.
    pub event_type: Cow<'a, str>,
    /// The connected account it happened on; none for the endpoint's own.
    pub account: Option<Cow<'a, str>>,
    /// Where it happened, for organisations.
    pub context: Option<Cow<'a, str>>,
    /// The version that shaped the object; see [`crate::version::understood`].
    pub api_version: Option<Cow<'a, str>>,
    /// When it happened, in whole seconds: too coarse to order events by.
    pub created: Time,
    /// Live or test data.
    pub livemode: bool,
    /// `data.object` as it came.
    pub object: &'a RawValue,
    /// What `data.object` says of itself. `invoice.upcoming` has an object without id.
    pub head: Head<'a>,
    /// The event tells of the object's deletion, or the object says so itself. See [`is_object_deletion`].
    pub object_is_deleted: bool,
    /// `data.previous_attributes`: what changed, on `*.updated`.
    pub previous_attributes: Option<&'a RawValue>,
    /// The call that caused it; none when Stripe itself did.
    pub request_id: Option<Cow<'a, str>>,
    /// That call's idempotency key: tells which of our own writes an event echoes.
    pub idempotency_key: Option<Cow<'a, str>>,
}

/// An event that only names what it is about.
#[derive(Clone, Debug)]
pub struct Thin<'a> {
    /// `evt_…`.
    pub id: Cow<'a, str>,
    /// Such as `v1.billing.meter.error_report_triggered`.
    pub event_type: Cow<'a, str>,
    /// When it happened.
    pub created: Time,
    /// Live or test data.
    pub livemode: bool,
    /// The account it happened on.
    pub context: Option<Cow<'a, str>>,
    /// What it is about.
    pub related_object: Option<RelatedObject<'a>>,
    /// The snapshot event of the same change, where there is one.
    pub snapshot_event: Option<Cow<'a, str>>,
}

/// What a thin event is about.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct RelatedObject<'a> {
    /// The object's id.
    #[serde(borrow)]
    pub id: Cow<'a, str>,
    /// Its kind, such as `billing.meter`.
    #[serde(borrow, rename = "type")]
    pub object_type: Cow<'a, str>,
    /// Path to read it from.
    #[serde(borrow, default)]
    pub url: Cow<'a, str>,
}

/// Why a body is no event.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EventError {
    /// The bytes are not UTF-8.
    #[error("the body is not UTF-8")]
    NotUtf8,
    /// Not JSON, or cut.
    #[error("the body is not JSON (line {line}, column {column})")]
    NotJson {
        /// Line of the first fault, from 1.
        line: usize,
        /// Column of the first fault, from 1.
        column: usize,
    },
    /// Nested deeper than [`MAX_DEPTH`].
    #[error("the body is nested more than {MAX_DEPTH} levels deep")]
    TooDeep,
    /// JSON, but no event of either kind.
    #[error("the body is JSON but not an event: {0}")]
    NotAnEvent(&'static str),
}

impl EventError {
    /// A stable code.
    pub fn code(&self) -> &'static str {
        match self {
            EventError::NotUtf8 => "body_not_utf8",
            EventError::NotJson { .. } => "body_not_json",
            EventError::TooDeep => "body_too_deep",
            EventError::NotAnEvent(_) => "body_not_an_event",
        }
    }
}

/// Both kinds of event in one shape; which fields must be there depends on the kind.
#[derive(Deserialize)]
struct Wire<'a> {
    #[serde(borrow, default)]
    object: Option<Text<'a>>,
    #[serde(borrow, default)]
    id: Option<Text<'a>>,
    #[serde(borrow, default, rename = "type")]
    event_type: Option<Text<'a>>,
    /// Seconds in a snapshot, text in a thin event.
    #[serde(borrow, default)]
    created: Option<&'a RawValue>,
    #[serde(default)]
    livemode: Option<bool>,
    #[serde(borrow, default)]
    account: Option<Text<'a>>,
    #[serde(borrow, default)]
    context: Option<Text<'a>>,
    #[serde(borrow, default)]
    api_version: Option<Text<'a>>,
    #[serde(borrow, default)]
    data: Option<WireData<'a>>,
    #[serde(borrow, default)]
    request: Option<WireRequest<'a>>,
    #[serde(borrow, default)]
    related_object: Option<RelatedObject<'a>>,
    #[serde(borrow, default)]
    snapshot_event: Option<Text<'a>>,
}

#[derive(Deserialize)]
struct WireData<'a> {
    #[serde(borrow, default)]
    object: Option<&'a RawValue>,
    #[serde(borrow, default)]
    previous_attributes: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct WireRequest<'a> {
    #[serde(borrow, default)]
    id: Option<Text<'a>>,
    #[serde(borrow, default)]
    idempotency_key: Option<Text<'a>>,
}

impl<'a> Envelope<'a> {
    /// Reads a body. The signature has been checked before; still nothing is taken for granted.
    pub fn read(body: &'a [u8]) -> Result<Envelope<'a>, EventError> {
        let text = std::str::from_utf8(body).map_err(|_| EventError::NotUtf8)?;
        if !depth_is_at_most(text, MAX_DEPTH) {
            return Err(EventError::TooDeep);
        }
        let wire: Wire<'a> = serde_json::from_str(text).map_err(|error| match error.classify() {
            serde_json::error::Category::Data => EventError::NotAnEvent("a field has another type than in events"),
            _ => EventError::NotJson { line: error.line(), column: error.column() },
        })?;
        let kind = wire.object.as_ref().ok_or(EventError::NotAnEvent("it has no `object`"))?;
        match &*kind.0 {
            "event" => snapshot(wire).map(Envelope::Snapshot),
            "v2.core.event" => thin(wire).map(Envelope::Thin),
            _ => Err(EventError::NotAnEvent("its `object` is neither `event` nor `v2.core.event`")),
        }
    }

    /// The event's id.
    pub fn id(&self) -> &str {
        match self {
            Envelope::Snapshot(event) => &event.id,
            Envelope::Thin(event) => &event.id,
        }
    }

    /// The event's type.
    pub fn event_type(&self) -> &str {
        match self {
            Envelope::Snapshot(event) => &event.event_type,
            Envelope::Thin(event) => &event.event_type,
        }
    }

    /// When it happened.
    pub fn created(&self) -> Time {
        match self {
            Envelope::Snapshot(event) => event.created,
            Envelope::Thin(event) => event.created,
        }
    }

    /// Live or test data.
    pub fn livemode(&self) -> bool {
        match self {
            Envelope::Snapshot(event) => event.livemode,
            Envelope::Thin(event) => event.livemode,
        }
    }

    /// The connected account it happened on: `account`, or for newer events `context`.
    pub fn account(&self) -> Option<&str> {
        match self {
            Envelope::Snapshot(event) => event.account.as_deref().or(event.context.as_deref()),
            Envelope::Thin(event) => event.context.as_deref(),
        }
    }
}

fn required<'a>(text: Option<Text<'a>>, why: &'static str) -> Result<Cow<'a, str>, EventError> {
    text.map(|text| text.0).filter(|text| !text.is_empty()).ok_or(EventError::NotAnEvent(why))
}

fn optional(text: Option<Text<'_>>) -> Option<Cow<'_, str>> {
    text.map(|text| text.0)
}

fn snapshot(wire: Wire<'_>) -> Result<Snapshot<'_>, EventError> {
    let event_type = required(wire.event_type, "it has no `type`")?;
    let seconds = wire.created.and_then(|raw| raw.get().parse().ok());
    let data = wire.data.ok_or(EventError::NotAnEvent("it has no `data`"))?;
    let object = data.object.ok_or(EventError::NotAnEvent("it has no `data.object`"))?;
    let head =
        Head::read(object.get()).map_err(|_| EventError::NotAnEvent("its `data.object` is no object of Stripe's"))?;
    let (request_id, idempotency_key) = match wire.request {
        Some(request) => (optional(request.id), optional(request.idempotency_key)),
        None => (None, None),
    };
    Ok(Snapshot {
        id: required(wire.id, "it has no `id`")?,
        account: optional(wire.account),
        context: optional(wire.context),
        api_version: optional(wire.api_version),
        created: Time::from_seconds(seconds.ok_or(EventError::NotAnEvent("its `created` is not a time in seconds"))?),
        livemode: wire.livemode.ok_or(EventError::NotAnEvent("it has no `livemode`"))?,
        object_is_deleted: head.deleted || is_object_deletion(&event_type),
        event_type,
        object,
        head,
        previous_attributes: data.previous_attributes,
        request_id,
        idempotency_key,
    })
}

fn thin(wire: Wire<'_>) -> Result<Thin<'_>, EventError> {
    let written = wire.created.and_then(|raw| serde_json::from_str::<Text<'_>>(raw.get()).ok());
    let created = written.and_then(|text| text.0.parse::<jiff::Timestamp>().ok());
    let created = created.ok_or(EventError::NotAnEvent("its `created` is not a time in RFC 3339"))?;
    Ok(Thin {
        id: required(wire.id, "it has no `id`")?,
        event_type: required(wire.event_type, "it has no `type`")?,
        created: Time::from_micros(created.as_microsecond()),
        livemode: wire.livemode.ok_or(EventError::NotAnEvent("it has no `livemode`"))?,
        context: optional(wire.context),
        related_object: wire.related_object,
        snapshot_event: optional(wire.snapshot_event),
    })
}

/// Whether events of this type tell that their object is gone.
///
/// Their object is rendered as it last was, mostly without `deleted: true`, so the type has to say it. The exception is
/// `customer.subscription.deleted`: it is the event for the end of a subscription, which stays, with status `canceled`.
pub fn is_object_deletion(event_type: &str) -> bool {
    event_type.ends_with(".deleted") && !matches!(event_type, "customer.subscription.deleted" | "apps.install.deleted")
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const CHARGE: &str = r#"{"id":"evt_1","object":"event","api_version":"2026-10-28.endive","created":1790000000,
        "data":{"object":{"id":"ch_1","object":"charge","amount":5,"created":1789999990,"livemode":false,"metadata":{"a":"b"}},
        "previous_attributes":{"amount":4}},"livemode":false,"pending_webhooks":1,
        "request":{"id":"req_1","idempotency_key":"int\u0065nt_1"},"type":"charge.updated","account":"acct_7"}"#;
    const THIN: &str = r#"{"id":"evt_2","object":"v2.core.event","type":"v1.billing.meter.error_report_triggered",
        "created":"2026-09-21T14:13:20.123Z","livemode":true,"context":"acct_8","reason":null,
        "related_object":{"id":"mtr_1","type":"billing.meter","url":"/v1/billing/meters/mtr_1"},"snapshot_event":null}"#;

    #[test]
    fn a_snapshot_is_read_without_copying_its_object() {
        let Ok(Envelope::Snapshot(event)) = Envelope::read(CHARGE.as_bytes()) else { panic!() };
        assert_eq!(
            (&*event.id, &*event.event_type, event.created),
            ("evt_1", "charge.updated", Time::from_seconds(1_790_000_000))
        );
        assert_eq!(
            (event.account.as_deref(), event.api_version.as_deref()),
            (Some("acct_7"), Some("2026-10-28.endive"))
        );
        assert_eq!((event.head.object.as_ref(), event.head.id.as_deref()), ("charge", Some("ch_1")));
        assert_eq!((event.request_id.as_deref(), event.idempotency_key.as_deref()), (Some("req_1"), Some("intent_1")));
        assert_eq!(event.previous_attributes.map(RawValue::get), Some(r#"{"amount":4}"#));
        assert!(CHARGE.as_bytes().as_ptr_range().contains(&event.object.get().as_ptr()));
        assert!(matches!(event.id, Cow::Borrowed(_)) && !event.object_is_deleted && !event.livemode);
    }

    #[test]
    fn a_thin_event_is_read() {
        let Ok(Envelope::Thin(event)) = Envelope::read(THIN.as_bytes()) else { panic!() };
        assert_eq!(event.created, Time::from_micros(1_790_000_000_123_000));
        assert_eq!(event.related_object.unwrap().url, "/v1/billing/meters/mtr_1");
        assert_eq!((event.context.as_deref(), event.snapshot_event), (Some("acct_8"), None));
        assert_eq!(Envelope::read(THIN.as_bytes()).unwrap().account(), Some("acct_8"));
    }

    #[test]
    fn an_object_without_id_is_no_fault() {
        let body = CHARGE.replace(r#""id":"ch_1","#, "").replace("charge.updated", "invoice.upcoming");
        let Ok(Envelope::Snapshot(event)) = Envelope::read(body.as_bytes()) else { panic!() };
        assert_eq!(event.head.id, None);
    }

    #[test]
    fn deletions_are_told_from_ends() {
        let check = |event_type: &str, flag: &str, deleted: bool| {
            let body = CHARGE.replace("charge.updated", event_type).replace(r#""amount":5"#, flag);
            let Ok(Envelope::Snapshot(event)) = Envelope::read(body.as_bytes()) else { panic!() };
            assert_eq!(event.object_is_deleted, deleted, "{event_type} {flag}");
        };
        check("customer.deleted", r#""amount":5"#, true);
        check("product.deleted", r#""deleted":true"#, true);
        check("customer.updated", r#""deleted":true"#, true);
        check("customer.updated", r#""deleted":false"#, false);
        check("price.deleted", r#""amount":5"#, true);
        check("invoice.deleted", r#""amount":5"#, true);
        check("test_helpers.test_clock.deleted", r#""amount":5"#, true);
        check("customer.subscription.deleted", r#""amount":5"#, false);
        check("charge.refunded", r#""amount":5"#, false);
    }

    #[test]
    fn what_is_no_event_is_refused_by_name() {
        let check = |body: &[u8], code: &str| {
            let outcome = Envelope::read(body).map(|_| ()).map_err(|error| error.code());
            assert_eq!(outcome, Err(code), "{}", String::from_utf8_lossy(&body[..body.len().min(80)]));
        };
        check(b"", "body_not_json");
        check(b"\xff\xfe", "body_not_utf8");
        check(b"{\"id\":\"\xc3\x28\"}", "body_not_utf8");
        check(b"id=evt_1&object=event", "body_not_json");
        check(&CHARGE.as_bytes()[..CHARGE.len() - 1], "body_not_json");
        check(format!("{CHARGE}x").as_bytes(), "body_not_json");
        check("[".repeat(200_000).as_bytes(), "body_too_deep");
        check(
            CHARGE.replace(r#""amount":5"#, &format!(r#""a":{}1{}"#, "[".repeat(99), "]".repeat(99))).as_bytes(),
            "body_too_deep",
        );
        check(b"[]", "body_not_an_event");
        check(b"null", "body_not_an_event");
        check(b"{}", "body_not_an_event");
        check(br#"{"object":"charge","id":"ch_1"}"#, "body_not_an_event");
        for (from, to) in [
            (r#""id":"evt_1""#, r#""id":7"#),
            (r#""id":"evt_1""#, r#""id":"""#),
            (r#""id":"evt_1","#, ""),
            (r#""created":1790000000"#, r#""created":"soon""#),
            (r#""created":1790000000"#, r#""created":1.5"#),
            (r#""livemode":false,"pending_webhooks":1"#, r#""pending_webhooks":1"#),
            (r#""type":"charge.updated","#, ""),
            (r#""object":"charge","#, ""),
            (r#""data":"#, r#""date":"#),
        ] {
            let body = CHARGE.replacen(from, to, 1);
            assert_ne!(body, CHARGE, "{from}");
            check(body.as_bytes(), "body_not_an_event");
        }
        check(THIN.replace("2026-09-21T14:13:20.123Z", "yesterday").as_bytes(), "body_not_an_event");
        check(THIN.replace("v2.core.event", "v3.core.event").as_bytes(), "body_not_an_event");
    }

    proptest! {
        #[test]
        fn any_bytes_are_judged_without_harm(body in any::<Vec<u8>>()) {
            prop_assert!(Envelope::read(&body).is_err());
        }

        #[test]
        fn altered_events_are_judged_without_harm(at in 0..CHARGE.len(), byte in any::<u8>()) {
            let mut body = CHARGE.as_bytes().to_vec();
            body[at] = byte;
            let _ = Envelope::read(&body);
        }
    }
}
