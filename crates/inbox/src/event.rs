//! What is kept of an event.

use kit::Time;
use serde::{Deserialize, Serialize};
use std::{fmt, str::FromStr};
use stripe::{Envelope, EventError};
use vault::ConnectionId;

/// Longest event id, type or account that is kept. Stripe's ids have up to 255 characters (FACTS section 3).
pub const MAX_WORD_BYTES: usize = 255;

/// How an event came to us.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Source {
    /// Stripe delivered it.
    Webhook,
    /// It was found in Stripe's event list.
    Sweep,
    /// Somebody handed it in.
    Manual,
}

impl Source {
    /// As the database and the API write it.
    pub fn as_str(self) -> &'static str {
        match self {
            Source::Webhook => "webhook",
            Source::Sweep => "sweep",
            Source::Manual => "manual",
        }
    }
}

impl FromStr for Source {
    type Err = UnknownWord;
    fn from_str(text: &str) -> Result<Source, UnknownWord> {
        match text {
            "webhook" => Ok(Source::Webhook),
            "sweep" => Ok(Source::Sweep),
            "manual" => Ok(Source::Manual),
            _ => Err(UnknownWord::new(text, "webhook, sweep or manual")),
        }
    }
}

/// How far an event is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum State {
    /// Stored and acknowledged, not tried yet.
    Ready,
    /// Its effect is in the database.
    Processed,
    /// Tried in vain, and to be tried again.
    Failed,
    /// Given up; only a replay tries it again.
    Dead,
}

impl State {
    /// All states, in the order an event passes them.
    pub const ALL: [State; 4] = [State::Ready, State::Processed, State::Failed, State::Dead];

    /// As the database and the API write it.
    pub fn as_str(self) -> &'static str {
        match self {
            State::Ready => "ready",
            State::Processed => "processed",
            State::Failed => "failed",
            State::Dead => "dead",
        }
    }
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for State {
    type Err = UnknownWord;
    fn from_str(text: &str) -> Result<State, UnknownWord> {
        State::ALL
            .into_iter()
            .find(|state| state.as_str() == text)
            .ok_or_else(|| UnknownWord::new(text, "ready, processed, failed or dead"))
    }
}

/// A word that names no state or source.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{word}` is not one of {known}")]
pub struct UnknownWord {
    word: String,
    known: &'static str,
}

impl UnknownWord {
    fn new(word: &str, known: &'static str) -> UnknownWord {
        UnknownWord { word: word.chars().take(32).collect(), known }
    }
}

/// An event as it is handed to a sink.
#[derive(Clone, Debug)]
pub struct StoredEvent {
    /// `evt_…`.
    pub event_id: String,
    /// Through which connection it came.
    pub connection_id: ConnectionId,
    /// Where it happened: the event's `account`, else the connection's own.
    pub account_id: String,
    /// Such as `charge.refunded`.
    pub event_type: String,
    /// The version that shaped its object; none for thin events.
    pub api_version: Option<String>,
    /// When it happened, in whole seconds: too coarse to order events by.
    pub created: Time,
    /// When we stored it.
    pub received_at: Time,
    /// Kind of the object it carries or names.
    pub object_type: Option<String>,
    /// Id of the object it carries or names; `invoice.upcoming` has none.
    pub object_id: Option<String>,
    /// The whole event, byte for byte as received.
    pub body: String,
    /// It only names its object, which has to be fetched.
    pub thin: bool,
}

/// What an event's body says of itself: the small row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Facts {
    /// `evt_…`.
    pub event_id: String,
    /// Such as `charge.refunded`.
    pub event_type: String,
    /// The event's own `account`, on deliveries of a Connect endpoint.
    pub account: Option<String>,
    /// The version that shaped its object.
    pub api_version: Option<String>,
    /// When it happened, in whole seconds.
    pub created: Time,
    /// Live or test data.
    pub livemode: bool,
    /// Kind of the object it carries or names.
    pub object_type: Option<String>,
    /// Id of the object it carries or names.
    pub object_id: Option<String>,
    /// It only names its object.
    pub thin: bool,
}

impl Facts {
    /// Reads an event's body once.
    ///
    /// # Errors
    /// `body_not_utf8`, `body_not_json`, `body_too_deep`, `body_not_an_event`.
    pub fn read(body: &[u8]) -> Result<Facts, EventError> {
        let envelope = Envelope::read(body)?;
        let own = |text: &str| text.to_owned();
        let (object_type, object_id, api_version, thin) = match &envelope {
            Envelope::Snapshot(event) => (
                Some(own(&event.head.object)),
                event.head.id.as_deref().map(own),
                event.api_version.as_deref().map(own),
                false,
            ),
            Envelope::Thin(event) => {
                let related = event.related_object.as_ref();
                (related.map(|it| own(&it.object_type)), related.map(|it| own(&it.id)), None, true)
            }
        };
        let facts = Facts {
            event_id: own(envelope.id()),
            event_type: own(envelope.event_type()),
            account: envelope.account().map(own),
            api_version,
            created: Time::from_seconds(envelope.created().seconds()),
            livemode: envelope.livemode(),
            object_type,
            object_id,
            thin,
        };
        facts.check_lengths()?;
        Ok(facts)
    }

    /// Words become keys of indexes, which have a bound; and a NUL is no text for PostgreSQL.
    fn check_lengths(&self) -> Result<(), EventError> {
        let words = [Some(&self.event_id), Some(&self.event_type)]
            .into_iter()
            .chain([&self.account, &self.api_version, &self.object_type, &self.object_id].map(Option::as_ref))
            .flatten();
        for word in words {
            if word.len() > MAX_WORD_BYTES {
                return Err(EventError::NotAnEvent("one of its ids or words has more than 255 bytes"));
            }
            if word.contains('\0') {
                return Err(EventError::NotAnEvent("one of its ids or words holds a NUL character"));
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CHARGE: &str = r#"{"id":"evt_1","object":"event","api_version":"2026-10-28.endive","created":1790000000,"data":{"object":{"id":"ch_1","object":"charge"}},"livemode":false,"type":"charge.updated","account":"acct_7"}"#;
    const THIN: &str = r#"{"id":"evt_2","object":"v2.core.event","type":"v1.billing.meter.no_meter_found","created":"2026-09-21T14:13:20.900Z","livemode":true,"related_object":{"id":"mtr_1","type":"billing.meter","url":"/v1/billing/meters/mtr_1"}}"#;

    #[test]
    fn both_kinds_of_event_are_read() {
        let charge = Facts::read(CHARGE.as_bytes()).unwrap();
        assert_eq!((charge.event_id.as_str(), charge.event_type.as_str()), ("evt_1", "charge.updated"));
        assert_eq!((charge.object_type.as_deref(), charge.object_id.as_deref()), (Some("charge"), Some("ch_1")));
        assert_eq!((charge.account.as_deref(), charge.thin, charge.livemode), (Some("acct_7"), false, false));

        let thin = Facts::read(THIN.as_bytes()).unwrap();
        assert_eq!((thin.object_type.as_deref(), thin.object_id.as_deref()), (Some("billing.meter"), Some("mtr_1")));
        assert_eq!((thin.created, thin.thin, thin.livemode), (Time::from_seconds(1_790_000_000), true, true));
    }

    #[test]
    fn words_that_no_index_takes_are_refused() {
        let check = |body: String| assert_eq!(Facts::read(body.as_bytes()).unwrap_err().code(), "body_not_an_event");
        check(CHARGE.replace("evt_1", &"e".repeat(256)));
        check(CHARGE.replace("acct_7", &"a".repeat(300)));
        check(CHARGE.replace("ch_1", "ch_\\u0000"));
        assert!(Facts::read(CHARGE.replace("evt_1", &"e".repeat(255)).as_bytes()).is_ok());
    }

    #[test]
    fn states_and_sources_are_read_as_written() {
        for state in State::ALL {
            assert_eq!(state.as_str().parse(), Ok(state));
        }
        for source in [Source::Webhook, Source::Sweep, Source::Manual] {
            assert_eq!(source.as_str().parse(), Ok(source));
        }
        assert_eq!(
            "gone".parse::<State>().unwrap_err().to_string(),
            "`gone` is not one of ready, processed, failed or dead"
        );
    }
}
