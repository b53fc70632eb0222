//! What goes wrong, on demand and by seed (FACTS sections 5, 6, 7 and 9).
//!
//! A [`Fault`] is scripted: it names calls or events, what goes wrong with them, and for how many or how long. A
//! [`FaultPlan`] leaves it to chance, which a seed makes repeatable. Both are set through [`Faults`], which
//! [`Simulator::faults`](crate::Simulator::faults) gives, or at `/_sim/faults` and `/_sim/plan`.

mod call;
mod desk;
mod kept;
mod plan;
mod webhook;

pub(crate) use call::PROXY_PAGE;
pub use call::{CallFault, LimitReason};
pub use desk::Faults;
pub(crate) use kept::{FaultBook, Occasion};
pub use kept::{FaultReport, FiredFault, SetFault};
pub(crate) use plan::mixed;
pub use plan::{Chance, FaultPlan};
pub use webhook::WebhookFault;

use crate::routes;
use serde::{Serialize, de::DeserializeOwned};
use serde_json::{Map, Value};

/// What goes wrong, and with what.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub enum Target {
    /// With calls.
    Call {
        /// `GET /v1/charges`, `POST /v1/invoices/{id}/pay`, `POST *` for all that begin so, or `*` for every call.
        call: String,
        /// What goes wrong.
        #[serde(flatten)]
        what: CallFault,
    },
    /// With deliveries of events.
    Webhooks {
        /// An event type, `charge.*` for all that begin so, or `*` for every delivery.
        webhooks: String,
        /// What goes wrong.
        #[serde(flatten)]
        what: WebhookFault,
    },
}

/// A fault for coming calls or deliveries. It happens once unless said otherwise.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Fault {
    /// What goes wrong, and with what.
    #[serde(flatten)]
    pub target: Target,
    /// How often it happens; none for as often as it is met.
    pub times: Option<u32>,
    /// It happens to every this-many-th that it fits: 1 to each, 3 to the third, the sixth and so on.
    pub every: u32,
    /// It ends when simulated time has moved this far; none for no end.
    pub for_seconds: Option<u64>,
}

impl Fault {
    /// Something that goes wrong with the next call of a pattern.
    pub fn call(call: impl Into<String>, what: CallFault) -> Fault {
        Fault::of(Target::Call { call: call.into(), what })
    }

    /// Something that goes wrong with the next delivery of an event of a pattern.
    pub fn webhooks(webhooks: impl Into<String>, what: WebhookFault) -> Fault {
        Fault::of(Target::Webhooks { webhooks: webhooks.into(), what })
    }

    fn of(target: Target) -> Fault {
        Fault { target, times: Some(1), every: 1, for_seconds: None }
    }

    /// The same, this often.
    #[must_use]
    pub fn times(self, times: u32) -> Fault {
        Fault { times: Some(times), ..self }
    }

    /// The same, until it is cleared.
    #[must_use]
    pub fn until_cleared(self) -> Fault {
        Fault { times: None, ..self }
    }

    /// The same, to every `every`-th only.
    #[must_use]
    pub fn every(self, every: u32) -> Fault {
        Fault { every, ..self }
    }

    /// The same as often as it is met, until simulated time has moved this far: an outage.
    #[must_use]
    pub fn for_seconds(self, seconds: u64) -> Fault {
        Fault { times: None, for_seconds: Some(seconds), ..self }
    }

    /// Reads what `POST /_sim/faults` takes; the message says what is wrong with it.
    pub(crate) fn from_json(value: Value) -> Result<Fault, String> {
        let mut members = object(value)?;
        let has_end = members.contains_key("times") || members.contains_key("for_seconds");
        let times: Option<u32> = take(&mut members, "times")?.unwrap_or_default();
        let every: Option<u32> = take(&mut members, "every")?;
        let for_seconds: Option<u64> = take(&mut members, "for_seconds")?.unwrap_or_default();
        let target = Target::from_members(members)?;
        let times = if has_end { times } else { Some(1) };
        Ok(Fault { target, times, every: every.unwrap_or(1), for_seconds })
    }

    /// Refuses what could never happen.
    pub(crate) fn check(&self) -> Result<(), String> {
        if self.every == 0 {
            return Err("`every` counts from 1".to_owned());
        }
        if self.times == Some(0) {
            return Err("`times` counts from 1".to_owned());
        }
        self.target.check()
    }
}

impl Target {
    pub(crate) fn from_members(mut members: Map<String, Value>) -> Result<Target, String> {
        let call: Option<String> = take(&mut members, "call")?;
        let webhooks: Option<String> = take(&mut members, "webhooks")?;
        match (call, webhooks) {
            (Some(call), None) => Ok(Target::Call { call, what: whole(members)? }),
            (None, Some(webhooks)) => Ok(Target::Webhooks { webhooks, what: whole(members)? }),
            _ => {
                Err("name either `call` (as `GET /v1/charges` or `*`) or `webhooks` (an event type or `*`)".to_owned())
            }
        }
    }

    /// Refuses a pattern that nothing fits: a misspelled one would make a test pass that has tested nothing.
    pub(crate) fn check(&self) -> Result<(), String> {
        match self {
            Target::Call { call, what } => {
                if !routes::all().iter().any(|route| fits(call, &route.name)) {
                    return Err(format!("no call of the simulator's is `{call}`"));
                }
                what.check()
            }
            Target::Webhooks { webhooks, what } => {
                let shaped = webhooks.bytes().all(|byte| byte.is_ascii_lowercase() || b"0123456789._*".contains(&byte));
                if !shaped || webhooks.is_empty() {
                    return Err(format!("`{webhooks}` is not the name of an event type"));
                }
                what.check()
            }
        }
    }
}

/// Whether a name is what a pattern says: the same, or any that begins like a pattern ending in `*`.
fn fits(pattern: &str, name: &str) -> bool {
    match pattern.strip_suffix('*') {
        Some(start) => name.starts_with(start),
        None => pattern == name,
    }
}

pub(crate) fn object(value: Value) -> Result<Map<String, Value>, String> {
    match value {
        Value::Object(members) => Ok(members),
        _ => Err("the body is not a JSON object".to_owned()),
    }
}

/// A member, taken out.
pub(crate) fn take<T: DeserializeOwned>(members: &mut Map<String, Value>, name: &str) -> Result<Option<T>, String> {
    let Some(value) = members.remove(name) else { return Ok(None) };
    serde_json::from_value(value).map(Some).map_err(|error| format!("`{name}`: {error}"))
}

/// The value of all these members, each of which must mean something.
fn whole<T: DeserializeOwned + Serialize>(members: Map<String, Value>) -> Result<T, String> {
    let names: Vec<String> = members.keys().cloned().collect();
    let value: T = serde_json::from_value(Value::Object(members)).map_err(|error| error.to_string())?;
    let known = serde_json::to_value(&value).map_err(|error| error.to_string())?;
    match names.iter().find(|name| known.get(name.as_str()).is_none()) {
        Some(unknown) => Err(format!("`{unknown}` means nothing for this fault")),
        None => Ok(value),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn faults_are_read_from_json_and_nothing_is_ignored() {
        let check = |json: &str, expected: Result<Fault, &str>| {
            let read = serde_json::from_str(json).map_err(|error| error.to_string()).and_then(Fault::from_json);
            let read = read.and_then(|fault| fault.check().map(|()| fault));
            match expected {
                Ok(fault) => assert_eq!(read.as_ref(), Ok(&fault), "{json}"),
                Err(part) => assert!(read.clone().is_err_and(|error| error.contains(part)), "{json}: {read:?}"),
            }
        };
        let failing = CallFault::Status { status: 500, after_effect: true, should_retry: None };
        check(
            r#"{"call":"POST /v1/refunds","times":2,"fault":"status","status":500,"after_effect":true}"#,
            Ok(Fault::call("POST /v1/refunds", failing).times(2)),
        );
        check(r#"{"call":"*","fault":"drop"}"#, Ok(Fault::call("*", CallFault::Drop { after_effect: false })));
        check(
            r#"{"call":"GET *","fault":"rate_limit","reason":"global-rate","every":3,"times":null}"#,
            Ok(Fault::call("GET *", CallFault::RateLimit { reason: LimitReason::GlobalRate }).every(3).until_cleared()),
        );
        check(
            r#"{"call":"*","fault":"lock_timeout","for_seconds":3600}"#,
            Ok(Fault::call("*", CallFault::LockTimeout).for_seconds(3_600)),
        );
        check(
            r#"{"webhooks":"charge.*","fault":"shuffle","within_ms":50}"#,
            Ok(Fault::webhooks("charge.*", WebhookFault::Shuffle { within_ms: 50 })),
        );
        check(r#"{"webhooks":"*","fault":"drop"}"#, Ok(Fault::webhooks("*", WebhookFault::Drop)));
        check(r#"{"fault":"drop"}"#, Err("either `call`"));
        check(r#"{"call":"*","webhooks":"*","fault":"drop"}"#, Err("either `call`"));
        check(r#"{"call":"GET /v1/nonsense","fault":"drop"}"#, Err("no call"));
        check(r#"{"call":"*","fault":"drop","after_efect":true}"#, Err("`after_efect` means nothing"));
        check(r#"{"call":"*","fault":"lock_timeout","status":1}"#, Err("`status` means nothing"));
        check(r#"{"call":"*","fault":"status","status":200}"#, Err("400 to 599"));
        check(r#"{"call":"*","fault":"nonsense"}"#, Err("unknown variant"));
        check(r#"{"call":"*","fault":"drop","times":0}"#, Err("counts from 1"));
        check(r#"{"call":"*","fault":"drop","every":0}"#, Err("counts from 1"));
        check(r#"{"call":"*","fault":"delay","delay_ms":700000}"#, Err("600,000"));
        check(r#"{"webhooks":"Nonsense!","fault":"drop"}"#, Err("event type"));
        check("[]", Err("not a JSON object"));
    }

    #[test]
    fn patterns_are_names_or_their_beginnings() {
        for (pattern, name, expected) in [
            ("*", "GET /v1/charges", true),
            ("GET /v1/charges", "GET /v1/charges", true),
            ("GET /v1/charges", "GET /v1/charges/{id}", false),
            ("GET /v1/charges*", "GET /v1/charges/{id}", true),
            ("POST *", "GET /v1/charges", false),
            ("charge.*", "charge.succeeded", true),
            ("charge.*", "charges", false),
        ] {
            assert_eq!(fits(pattern, name), expected, "{pattern} {name}");
        }
    }
}
