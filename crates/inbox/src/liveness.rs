//! Whether a connection's webhooks arrive, and what proves it (INB-7).
//!
//! Pure. Silence alone proves nothing: where nothing happens, nothing is to be heard. So what came by webhook is held
//! against what Stripe's own event list says happened.

use crate::inbox::MISSED_AFTER;
use kit::Time;
use serde::{Deserialize, Serialize, Serializer};
use std::time::Duration;

/// A webhook younger than this is life enough; an older one is held against the event list.
const HEARD_LATELY: Duration = Duration::from_secs(86_400);
/// The event list is read each quarter of an hour; what it said longer ago than this proves nothing about now.
const LIST_IS_FRESH: Duration = Duration::from_secs(2_100);

/// What is known of how a connection's webhooks come in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Heard {
    /// There is a secret that a webhook could be signed with.
    pub can_hear: bool,
    /// When the connection was made.
    pub connected_at: Time,
    /// When the last webhook came in.
    pub last_webhook_at: Option<Time>,
    /// When the last event happened that no webhook told of.
    pub last_missed_at: Option<Time>,
    /// What the event list says.
    pub listed: Option<Listed>,
    /// What is wrong with the endpoint at Stripe, if it was seen to be.
    pub endpoint: Option<SeenOff>,
}

/// What Stripe's event list says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Listed {
    /// When the newest event in it happened.
    pub newest_event_at: Option<Time>,
    /// When it was last read to its end.
    pub read_at: Time,
}

/// An endpoint that was seen not to serve.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SeenOff {
    /// Why it does not.
    pub why: Off,
    /// When it was seen.
    pub seen_at: Time,
}

/// Why an endpoint does not serve.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Off {
    /// Switched off at Stripe.
    Disabled,
    /// Removed at Stripe.
    Gone,
    /// It sends to another address, or not everything.
    OtherAddress,
}

/// Whether webhooks arrive.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "state", rename_all = "snake_case")]
pub enum Liveness {
    /// They do.
    Alive {
        /// When the last one came.
        #[serde(serialize_with = "time_text")]
        last_at: Time,
    },
    /// Events happened that no webhook told of, and none came since.
    Silent {
        /// When the last one came; none if none ever did.
        #[serde(serialize_with = "some_time_text")]
        last_at: Option<Time>,
        /// When the last event happened that was missed.
        #[serde(serialize_with = "time_text")]
        missed_at: Time,
    },
    /// None came, and none was to come: the event list has nothing newer.
    NothingToHear {
        /// Since when.
        #[serde(serialize_with = "time_text")]
        since: Time,
    },
    /// The endpoint at Stripe does not serve.
    Disabled {
        /// Why.
        why: Off,
        /// When that was seen.
        #[serde(serialize_with = "time_text")]
        seen_at: Time,
    },
    /// Nothing proves anything yet.
    Unproven,
    /// There is no endpoint; events are found in the event list alone.
    NotSetUp,
}

/// A time as RFC 3339.
fn time_text<S: Serializer>(at: &Time, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(at)
}

fn some_time_text<S: Serializer>(at: &Option<Time>, serializer: S) -> Result<S::Ok, S::Error> {
    at.map(|at| at.to_string()).serialize(serializer)
}

/// Whether webhooks arrive, as far as anything proves it.
pub fn liveness(heard: &Heard, now: Time) -> Liveness {
    let Heard { last_webhook_at, last_missed_at, connected_at, .. } = *heard;
    if !heard.can_hear {
        return Liveness::NotSetUp;
    }
    // What came after the look proves more than the look.
    if let Some(SeenOff { why, seen_at }) =
        heard.endpoint.filter(|off| last_webhook_at.is_none_or(|at| at <= off.seen_at))
    {
        return Liveness::Disabled { why, seen_at };
    }
    if let Some(missed_at) = last_missed_at.filter(|missed| last_webhook_at.is_none_or(|at| at <= *missed)) {
        return Liveness::Silent { last_at: last_webhook_at, missed_at };
    }
    if let Some(last_at) = last_webhook_at.filter(|at| now.since(*at) < HEARD_LATELY) {
        return Liveness::Alive { last_at };
    }
    let since = last_webhook_at.unwrap_or(connected_at);
    // What a webhook told of is in the list too; it may have taken its time.
    let nothing_newer = |listed: &Listed| listed.newest_event_at.is_none_or(|newest| newest <= since + MISSED_AFTER);
    let is_fresh = |listed: &Listed| now.since(listed.read_at) < LIST_IS_FRESH;
    match heard.listed.filter(|listed| is_fresh(listed) && nothing_newer(listed)) {
        Some(_) => Liveness::NothingToHear { since },
        None => Liveness::Unproven,
    }
}

impl Liveness {
    /// As the database and the API write it.
    pub fn name(&self) -> &'static str {
        match self {
            Liveness::Alive { .. } => "alive",
            Liveness::Silent { .. } => "silent",
            Liveness::NothingToHear { .. } => "nothing_to_hear",
            Liveness::Disabled { .. } => "disabled",
            Liveness::Unproven => "unproven",
            Liveness::NotSetUp => "not_set_up",
        }
    }

    /// Webhooks are known not to arrive.
    pub fn is_trouble(&self) -> bool {
        matches!(self, Liveness::Silent { .. } | Liveness::Disabled { .. })
    }

    /// Webhooks are known to arrive, or to be absent rightly.
    pub fn is_well(&self) -> bool {
        matches!(self, Liveness::Alive { .. } | Liveness::NothingToHear { .. })
    }

    /// What it means, in a sentence without its end.
    pub fn meaning(&self) -> &'static str {
        match self {
            Liveness::Alive { .. } => "Webhooks arrive",
            Liveness::Silent { .. } => "Events happened at Stripe, and no webhook told of them",
            Liveness::NothingToHear { .. } => "Nothing happened that a webhook could have told of",
            Liveness::Disabled { why: Off::Disabled, .. } => "The webhook endpoint is switched off at Stripe",
            Liveness::Disabled { why: Off::Gone, .. } => "The webhook endpoint is gone from Stripe",
            Liveness::Disabled { why: Off::OtherAddress, .. } => {
                "The webhook endpoint at Stripe points elsewhere, or does not tell everything"
            }
            Liveness::Unproven => "No webhook came yet, and nothing proves that one should have",
            Liveness::NotSetUp => "No webhook endpoint is set up; events are found by reading the event list",
        }
    }

    /// What to do about it; nothing where all is well.
    pub fn what_to_do(&self) -> Option<&'static str> {
        match self {
            Liveness::Alive { .. } | Liveness::NothingToHear { .. } => None,
            Liveness::Unproven => Some("Wait for the event list to be read, or send a test event from Stripe."),
            Liveness::Silent { .. } => Some(
                "Check that Stripe reaches the public address and that the signing secret is the endpoint’s; then repair the endpoint. Nothing is lost meanwhile: events are found in the event list, some minutes later.",
            ),
            Liveness::Disabled { .. } => Some(
                "Repair the endpoint. Nothing is lost meanwhile: events are found in the event list, some minutes later.",
            ),
            Liveness::NotSetUp => Some(
                "Set public_url and repair the endpoint, or make one by hand and enter its signing secret: events then arrive within seconds.",
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Hours since the connection was made, which was long ago.
    fn at(hours: f64) -> Time {
        Time::from_seconds(1_790_000_000) + Duration::from_secs((hours * 3_600.0) as u64)
    }

    /// Reads a line such as `webhook 3 missed 5 list 9/10 off 4`, in hours, and tells the state at hour 100: `list 9/10`
    /// was read at 10 and has its newest event at 9.
    fn check(story: &str, expected: Liveness) {
        let mut heard = Heard {
            can_hear: true,
            connected_at: at(0.0),
            last_webhook_at: None,
            last_missed_at: None,
            listed: None,
            endpoint: None,
        };
        let words: Vec<&str> = story.split_whitespace().collect();
        for pair in words.chunks(2) {
            let hours = |text: &str| at(text.parse().unwrap());
            match pair {
                ["deaf", _] => heard.can_hear = false,
                ["webhook", when] => heard.last_webhook_at = Some(hours(when)),
                ["missed", when] => heard.last_missed_at = Some(hours(when)),
                ["off", when] => heard.endpoint = Some(SeenOff { why: Off::Gone, seen_at: hours(when) }),
                ["list", when] => {
                    let (newest, read) = when.split_once('/').unwrap();
                    let newest_event_at = (newest != "-").then(|| hours(newest));
                    heard.listed = Some(Listed { newest_event_at, read_at: hours(read) });
                }
                other => panic!("{other:?} is no part of a story"),
            }
        }
        assert_eq!(liveness(&heard, at(100.0)), expected, "{story}");
    }

    #[test]
    fn what_came_is_held_against_what_happened() {
        use Liveness::{Alive, Disabled, NotSetUp, NothingToHear, Silent, Unproven};
        let silent = |last: Option<f64>, missed| Silent { last_at: last.map(at), missed_at: at(missed) };
        check("", Unproven);
        check("deaf x missed 90 list 90/99.9", NotSetUp);
        check("list -/99.9", NothingToHear { since: at(0.0) });
        check("list -/99", Unproven);
        check("list 50/99.9", Unproven);
        check("missed 50 list 50/99.9", silent(None, 50.0));
        check("webhook 99", Alive { last_at: at(99.0) });
        check("webhook 99 list 99.5/99.9", Alive { last_at: at(99.0) });
        check("webhook 99 missed 98", Alive { last_at: at(99.0) });
        check("webhook 98 missed 99", silent(Some(98.0), 99.0));
        check("webhook 98 missed 98", silent(Some(98.0), 98.0));
        check("webhook 40", Unproven);
        check("webhook 40 list 40/99.9", NothingToHear { since: at(40.0) });
        check("webhook 40 list 40.05/99.9", NothingToHear { since: at(40.0) });
        check("webhook 40 list 60/99.9", Unproven);
        check("webhook 40 list 40/80", Unproven);
        check("webhook 40 off 41", Disabled { why: Off::Gone, seen_at: at(41.0) });
        check("webhook 99 off 98", Alive { last_at: at(99.0) });
        check("off 98 missed 99", Disabled { why: Off::Gone, seen_at: at(98.0) });
    }

    #[test]
    fn whatever_is_not_well_says_what_to_do() {
        let off = |why| Liveness::Disabled { why, seen_at: at(1.0) };
        for state in [
            Liveness::Alive { last_at: at(1.0) },
            Liveness::Silent { last_at: None, missed_at: at(1.0) },
            Liveness::NothingToHear { since: at(1.0) },
            off(Off::Disabled),
            off(Off::Gone),
            off(Off::OtherAddress),
            Liveness::Unproven,
            Liveness::NotSetUp,
        ] {
            assert_eq!(state.what_to_do().is_none(), state.is_well(), "{state:?}");
            assert!(!state.meaning().ends_with('.'), "{state:?}");
            assert!(!state.is_trouble() || !state.is_well(), "{state:?}");
        }
    }
}
