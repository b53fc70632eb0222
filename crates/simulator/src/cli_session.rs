//! What `stripe listen` of the official CLI needs (FACTS section 15): a session, then a WebSocket on which it is told every event.
//!
//! A session belongs to one account in one mode. It outlives its connection, so that the CLI can come back to it; what happens
//! while nobody is connected is lost to it, as with Stripe.

mod socket;

pub(crate) use socket::{is_for, subscribe};

use crate::{
    API_VERSION,
    problem::Refusal,
    resources::{Call, Endpoint, Method, Verb},
    work::Work,
};
use kit::Secret;
use serde_json::{Value, json};
use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};
use tokio::sync::mpsc;

/// The CLI's own calls, which Stripe's description does not hold.
pub(crate) static ENDPOINTS: [Endpoint; 1] = [Endpoint {
    method: Method::Post,
    pattern: "/v1/stripecli/sessions",
    accepts: "device_name:text! websocket_features[]:one(webhooks|v2_events)! filters:text forward_to_url:text \
              forward_connect_to_url:text forward_thin_to_url:text forward_thin_connect_to_url:text",
    permission: "stripecli_session",
    verb: Verb::Write(open),
}];

/// At most this many sessions are remembered for an account in one mode; the oldest is forgotten.
const SESSIONS_MAX: usize = 16;
/// At most this many events wait for a CLI that is slow to take them; more are lost to it.
const EVENTS_WAITING_MAX: usize = 4_096;
/// How long the CLI waits before it connects again, in seconds.
const RECONNECT_SECONDS: i64 = 1;

/// One session of the CLI.
struct Session {
    id: String,
    secret: Secret,
    /// Where events go while it is connected.
    connected: Option<mpsc::Sender<Arc<str>>>,
}

/// The sessions of one account in one mode.
#[derive(Default)]
pub(crate) struct Listeners {
    sessions: Vec<Session>,
}

/// What a connection is given: the secret that its session signs with, and its events.
pub(crate) struct Subscription {
    secret: Secret,
    events: mpsc::Receiver<Arc<str>>,
}

impl Listeners {
    /// Tells every CLI that is connected of an event.
    pub(crate) fn tell(&mut self, event: &Arc<str>) {
        for session in &mut self.sessions {
            let Some(sender) = &session.connected else { continue };
            match sender.try_send(event.clone()) {
                Ok(()) => {}
                Err(mpsc::error::TrySendError::Closed(_)) => session.connected = None,
                Err(mpsc::error::TrySendError::Full(_)) => {
                    tracing::warn!(session = %session.id, "a listening CLI is too slow: it is not told of an event");
                }
            }
        }
    }

    /// Connects a session; a connection that it had is closed.
    fn connect(&mut self, id: &str) -> Option<Subscription> {
        let session = self.sessions.iter_mut().find(|session| session.id == id)?;
        let (sender, events) = mpsc::channel(EVENTS_WAITING_MAX);
        session.connected = Some(sender);
        Some(Subscription { secret: session.secret.clone(), events })
    }

    /// Closes every connection.
    pub(crate) fn close(&mut self) {
        for session in &mut self.sessions {
            session.connected = None;
        }
    }

    fn add(&mut self, session: Session) {
        if self.sessions.len() >= SESSIONS_MAX {
            self.sessions.remove(0);
        }
        self.sessions.push(session);
    }
}

/// Opens a session. What the CLI is told of is decided by the first feature it asks for, as its own WebSocket is.
fn open(work: &mut Work<'_>, call: &Call) -> Result<Arc<str>, Refusal> {
    let features: Vec<&str> = call
        .parameters
        .at("websocket_features")
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
        .collect();
    if features != ["webhooks"] {
        return Err(Refusal::bad(
            "The simulator tells the CLI of snapshot events alone: use `--all-snapshot` or `--events`.",
        )
        .code("simulator_does_not_do_this")
        .param("websocket_features"));
    }
    let Some(host) = work.cause.as_ref().map(|cause| cause.host.clone()).filter(|host| !host.is_empty()) else {
        return Err(Refusal::bad("The request has no Host header, so that no address can be given to come back to."));
    };
    let id = work.ids.letters("cliws_", 24);
    let secret = work.ids.letters("whsec_", 32);
    let answer = json!({
        "websocket_id": id,
        "websocket_url": format!("ws://{host}{}", socket::PATH),
        "websocket_authorized_feature": "webhooks",
        "secret": secret,
        "default_version": API_VERSION,
        "latest_version": API_VERSION,
        "reconnect_delay": RECONNECT_SECONDS,
        "display_connect_filter_warning": false,
    });
    work.book.listeners.add(Session { id, secret: Secret::from(secret), connected: None });
    Ok(answer.to_string().into())
}

/// What passed between the simulator and listening CLIs so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct CliStats {
    /// Connections open now.
    pub connected: u64,
    /// Events told, each to one CLI.
    pub told: u64,
    /// Events that a CLI said it has received.
    pub acknowledged: u64,
    /// Events that a CLI passed on, and whose receiver answered with a success.
    pub delivered: u64,
    /// Events that a CLI passed on, and whose receiver answered otherwise.
    pub refused: u64,
}

/// The same, as it is counted.
#[derive(Debug, Default)]
pub(crate) struct CliCounts {
    connected: AtomicU64,
    told: AtomicU64,
    acknowledged: AtomicU64,
    delivered: AtomicU64,
    refused: AtomicU64,
}

impl CliCounts {
    pub(crate) fn read(&self) -> CliStats {
        let read = |count: &AtomicU64| count.load(Ordering::Relaxed);
        CliStats {
            connected: read(&self.connected),
            told: read(&self.told),
            acknowledged: read(&self.acknowledged),
            delivered: read(&self.delivered),
            refused: read(&self.refused),
        }
    }
}

/// The messages that tell a CLI of one event: in the account's version, and in the newest for `listen --latest`. It leaves
/// out the one that it was not asked for.
fn messages(event: &str, event_id: &str, conversation: &str, signature: &str) -> [String; 2] {
    [None, Some(API_VERSION)].map(|version| {
        json!({
            "type": "webhook_event",
            "event_payload": event,
            "http_headers": {
                "Accept": "*/*; q=0.5, application/xml",
                "Cache-Control": "no-cache",
                "Content-Type": "application/json; charset=utf-8",
                "Stripe-Signature": signature,
                "User-Agent": "Stripe/1.0 (+https://stripe.com/docs/webhooks)",
            },
            "endpoint": { "api_version": version },
            "webhook_id": format!("wh_{event_id}"),
            "webhook_conversation_id": conversation,
        })
        .to_string()
    })
}

/// What a CLI says back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Said {
    /// It has an event.
    Acknowledged,
    /// It passed an event on, and this is the status of the answer.
    Answered(u16),
    /// Something else, which is left alone.
    Other,
}

fn said(text: &str) -> Said {
    let Ok(message) = serde_json::from_str::<Value>(text) else { return Said::Other };
    match message["type"].as_str() {
        Some("event_ack") => Said::Acknowledged,
        Some("webhook_response") => {
            Said::Answered(message["status"].as_u64().and_then(|status| u16::try_from(status).ok()).unwrap_or_default())
        }
        _ => Said::Other,
    }
}

impl CliCounts {
    fn hear(&self, said: Said) {
        let count = match said {
            Said::Acknowledged => &self.acknowledged,
            Said::Answered(200..=299) => &self.delivered,
            Said::Answered(_) => &self.refused,
            Said::Other => return,
        };
        count.fetch_add(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn session(id: &str) -> Session {
        Session { id: id.to_owned(), secret: Secret::from("whsec_x"), connected: None }
    }

    #[test]
    fn a_session_is_told_while_it_is_connected_and_can_come_back() {
        let mut listeners = Listeners::default();
        listeners.add(session("a"));
        let event: Arc<str> = "{}".into();
        listeners.tell(&event);
        assert!(listeners.connect("b").is_none());
        let mut first = listeners.connect("a").unwrap();
        listeners.tell(&event);
        assert_eq!(first.events.try_recv().unwrap(), event);
        let mut second = listeners.connect("a").unwrap();
        assert!(matches!(first.events.try_recv(), Err(mpsc::error::TryRecvError::Disconnected)));
        listeners.tell(&event);
        assert_eq!(second.events.try_recv().unwrap(), event);
        drop(second);
        listeners.tell(&event);
        assert!(listeners.sessions[0].connected.is_none());
        assert!(listeners.connect("a").is_some());
    }

    #[test]
    fn a_slow_cli_loses_events_and_holds_nobody_up() {
        let mut listeners = Listeners::default();
        listeners.add(session("a"));
        let mut subscription = listeners.connect("a").unwrap();
        let event: Arc<str> = "{}".into();
        (0..EVENTS_WAITING_MAX + 5).for_each(|_| listeners.tell(&event));
        let mut heard = 0;
        while subscription.events.try_recv().is_ok() {
            heard += 1;
        }
        assert_eq!(heard, EVENTS_WAITING_MAX);
    }

    #[test]
    fn old_sessions_make_room_for_new_ones() {
        let mut listeners = Listeners::default();
        for number in 0..=SESSIONS_MAX {
            listeners.add(session(&number.to_string()));
        }
        assert!(listeners.connect("0").is_none() && listeners.connect("1").is_some());
        assert_eq!(listeners.sessions.len(), SESSIONS_MAX);
    }

    #[test]
    fn what_the_cli_says_is_understood() {
        let check = |text: &str, expected: Said| assert_eq!(said(text), expected, "{text}");
        check(r#"{"type":"event_ack","event_id":"wh_1","webhook_conversation_id":"wc_1"}"#, Said::Acknowledged);
        check(r#"{"type":"webhook_response","status":204,"body":""}"#, Said::Answered(204));
        check(r#"{"type":"webhook_response","status":-1}"#, Said::Answered(0));
        check(r#"{"type":"request_log_event"}"#, Said::Other);
        check("nonsense", Said::Other);
    }

    #[test]
    fn an_event_is_told_in_both_versions() {
        let [default, latest] = messages(r#"{"id":"evt_1"}"#, "evt_1", "wc_1", "t=1,v1=00");
        let (default, latest): (Value, Value) =
            (serde_json::from_str(&default).unwrap(), serde_json::from_str(&latest).unwrap());
        assert_eq!(
            (&default["endpoint"]["api_version"], &latest["endpoint"]["api_version"]),
            (&Value::Null, &API_VERSION.into())
        );
        assert_eq!(default["event_payload"], r#"{"id":"evt_1"}"#);
        assert_eq!(default["http_headers"]["Stripe-Signature"], "t=1,v1=00");
    }
}
