//! The buttons, and what pressing one does.

use crate::{
    faults::{CallFault, Fault, FaultPlan, LimitReason, WebhookFault},
    form,
    simulator::Simulator,
};
use serde_json::{Map, Value};
use std::time::Duration;

/// Buttons that belong together.
pub(super) struct Group {
    pub(super) title: &'static str,
    pub(super) hint: Option<&'static str>,
    pub(super) buttons: &'static [Button],
}

/// A button.
pub(super) struct Button {
    pub(super) name: &'static str,
    pub(super) label: &'static str,
    /// What it does.
    pub(super) does: &'static str,
    /// What to look for in Bursar.
    pub(super) see: &'static str,
    pub(super) fields: &'static [Field],
    act: Act,
}

/// A number that a button asks for.
pub(super) struct Field {
    pub(super) name: &'static str,
    pub(super) label: &'static str,
    pub(super) value: u32,
    pub(super) least: u32,
    pub(super) most: u32,
}

enum Act {
    Set(fn() -> Fault),
    Seed,
    Advance(u64),
    Keys { revoked: bool },
    Endpoints { enabled: bool },
    ForgetKeys,
}

const fn button(name: &'static str, label: &'static str, does: &'static str, see: &'static str, act: Act) -> Button {
    Button { name, label, does, see, fields: &[], act }
}

fn calls(what: CallFault, times: u32) -> Fault {
    Fault::call("*", what).times(times)
}

fn writes(what: CallFault, times: u32) -> Fault {
    Fault::call("POST *", what).times(times)
}

fn deliveries(what: WebhookFault, times: u32) -> Fault {
    Fault::webhooks("*", what).times(times)
}

fn limited(reason: LimitReason) -> Fault {
    calls(CallFault::RateLimit { reason }, 20)
}

const fn failing(status: u16, after_effect: bool, should_retry: Option<bool>) -> CallFault {
    CallFault::Status { status, after_effect, should_retry }
}

const SEED: [Field; 2] = [
    Field { name: "seed", label: "Seed", value: 1, least: 0, most: u32::MAX },
    Field { name: "each", label: "Each, of 10,000", value: 100, least: 1, most: 400 },
];

pub(super) const GROUPS: &[Group] = &[
    Group {
        title: "All at once",
        hint: None,
        buttons: &[
            Button {
                name: "seed",
                label: "Everything by seed",
                does: "Each kind of fault strikes by chance, and the same seed strikes the same way.",
                see: "Tries and repeats, no page that fails; after Clear all and a sync the tie-out is to the cent.",
                fields: &SEED,
                act: Act::Seed,
            },
            button(
                "outage",
                "Outage of one hour",
                "Every call is answered 503 until simulated time has moved an hour.",
                "The connection says that Stripe does not answer; a handful of calls an hour; all is made up for afterwards.",
                Act::Set(|| Fault::call("*", CallFault::failing(503)).for_seconds(3_600)),
            ),
            button(
                "blackout",
                "Silent hour",
                "Every connection is closed without an answer, for an hour of simulated time.",
                "The same as an outage.",
                Act::Set(|| Fault::call("*", CallFault::Drop { after_effect: false }).for_seconds(3_600)),
            ),
            button(
                "lose_100",
                "Lose the next 100 webhooks",
                "They are never sent. The event list has them.",
                "The counts stand still; a sync, or the sweep within a quarter of an hour, finds every one.",
                Act::Set(|| deliveries(WebhookFault::Drop, 100)),
            ),
        ],
    },
    Group {
        title: "Time",
        hint: Some(
            "Simulated time: renewals, payouts, late webhooks and retries follow it. Bursar’s own clock does not: movements of the balance that are ahead of it are on their way until it gets there.",
        ),
        buttons: &[
            button(
                "hour",
                "An hour on",
                "Moves simulated time by an hour.",
                "Outages end; what fell due arrives.",
                Act::Advance(3_600),
            ),
            button(
                "day",
                "A day on",
                "Moves simulated time by a day: payouts, renewals.",
                "New invoices, charges and payouts; idempotency keys are forgotten.",
                Act::Advance(86_400),
            ),
            button(
                "week",
                "A week on",
                "Moves simulated time by a week.",
                "A burst of events; the inbox keeps up.",
                Act::Advance(7 * 86_400),
            ),
        ],
    },
    Group {
        title: "Refused calls",
        hint: Some("Bursar makes few calls by itself: press Sync now at a connection to see these at once."),
        buttons: &[
            button(
                "global_rate",
                "429 account’s rate",
                "The next 20 calls are told that the account calls too often.",
                "Slower, no errors: the pace drops, and comes back.",
                Act::Set(|| limited(LimitReason::GlobalRate)),
            ),
            button(
                "endpoint_rate",
                "429 endpoint’s rate",
                "The next 20 calls are told that one endpoint is called too often.",
                "Slower on that endpoint alone.",
                Act::Set(|| limited(LimitReason::EndpointRate)),
            ),
            button(
                "global_concurrency",
                "429 account’s concurrency",
                "The next 20 calls are told that too many run at once.",
                "Fewer at once, no errors.",
                Act::Set(|| limited(LimitReason::GlobalConcurrency)),
            ),
            button(
                "endpoint_concurrency",
                "429 endpoint’s concurrency",
                "The next 20 calls are told that too many of one endpoint run at once.",
                "Fewer at once, no errors.",
                Act::Set(|| limited(LimitReason::EndpointConcurrency)),
            ),
            button(
                "resource_specific",
                "429 one object",
                "The next 20 calls are told that one object is asked for too often.",
                "Slower, no errors.",
                Act::Set(|| limited(LimitReason::ResourceSpecific)),
            ),
            button(
                "lock_timeout",
                "429 lock timeout",
                "The next 10 calls find their object locked.",
                "Tried again; nothing to see.",
                Act::Set(|| calls(CallFault::LockTimeout, 10)),
            ),
            button(
                "key_in_use",
                "409 key in use",
                "The next 3 writes are told that their idempotency key is at work.",
                "Tried again under the same key; done once.",
                Act::Set(|| writes(CallFault::KeyInUse, 3)),
            ),
        ],
    },
    Group {
        title: "Stripe’s own failures",
        hint: None,
        buttons: &[
            button(
                "status_500",
                "500, nothing done",
                "The next 10 calls fail before anything is done.",
                "Tried again; after five in a row the breaker opens for seconds.",
                Act::Set(|| calls(CallFault::failing(500), 10)),
            ),
            button(
                "status_500_retry",
                "500, try again",
                "The same, with Stripe-Should-Retry: true.",
                "Tried again.",
                Act::Set(|| calls(failing(500, false, Some(true)), 10)),
            ),
            button(
                "status_500_no_retry",
                "500, do not try again",
                "The next 5 calls fail with Stripe-Should-Retry: false.",
                "Not tried again at once; the job comes back later.",
                Act::Set(|| calls(failing(500, false, Some(false)), 5)),
            ),
            button(
                "status_500_done",
                "500, but done",
                "The next 3 writes are done and fail all the same; their keys remember the failure.",
                "Looked up, not done twice.",
                Act::Set(|| writes(CallFault::failing_after_effect(500), 3)),
            ),
            button(
                "status_502",
                "502",
                "The next 10 calls fail at Stripe’s edge.",
                "As 500.",
                Act::Set(|| calls(CallFault::failing(502), 10)),
            ),
            button(
                "status_503",
                "503",
                "The next 10 calls find Stripe unavailable.",
                "As 500.",
                Act::Set(|| calls(CallFault::failing(503), 10)),
            ),
            button(
                "every_third",
                "Every third call fails",
                "500 for each third call until it is cleared.",
                "Slower; nothing is missing.",
                Act::Set(|| Fault::call("*", CallFault::failing(500)).until_cleared().every(3)),
            ),
        ],
    },
    Group {
        title: "The way between",
        hint: None,
        buttons: &[
            button(
                "timeout",
                "No answer",
                "The next 3 calls are never answered.",
                "Given up after the time limit and tried again.",
                Act::Set(|| calls(CallFault::Timeout { hold_ms: 120_000, after_effect: false }, 3)),
            ),
            button(
                "timeout_done",
                "No answer, but done",
                "The next 3 writes are done and never answered.",
                "The same key fetches the answer; done once.",
                Act::Set(|| writes(CallFault::Timeout { hold_ms: 120_000, after_effect: true }, 3)),
            ),
            button(
                "drop",
                "Dropped",
                "The next 10 connections are closed before anything is done.",
                "Tried again.",
                Act::Set(|| calls(CallFault::Drop { after_effect: false }, 10)),
            ),
            button(
                "drop_done",
                "Dropped, but done",
                "The next 3 writes are done, then the connection is closed.",
                "The same key fetches the answer; done once.",
                Act::Set(|| writes(CallFault::Drop { after_effect: true }, 3)),
            ),
            button(
                "cut_body",
                "Cut bodies",
                "The next 5 answers end in the middle.",
                "Tried again; half an answer is never taken.",
                Act::Set(|| calls(CallFault::CutBody, 5)),
            ),
            button(
                "slow",
                "Slow answers",
                "The next 10 answers begin 5 seconds late.",
                "Slower.",
                Act::Set(|| calls(CallFault::Delay { delay_ms: 5_000 }, 10)),
            ),
            button(
                "dribble",
                "Dribbled bodies",
                "The next 10 bodies come in pieces over 5 seconds.",
                "Slower.",
                Act::Set(|| calls(CallFault::Dribble { over_ms: 5_000 }, 10)),
            ),
            button(
                "garbage",
                "A proxy’s error page",
                "The next 5 answers are HTML with 502.",
                "Tried again.",
                Act::Set(|| calls(CallFault::Garbage { status: 502, after_effect: false }, 5)),
            ),
            button(
                "sign_in_page",
                "A page in place of JSON",
                "The next 5 answers are HTML with 200, as a hotel’s network gives.",
                "Tried again; never taken for an answer.",
                Act::Set(|| calls(CallFault::Garbage { status: 200, after_effect: false }, 5)),
            ),
        ],
    },
    Group {
        title: "Webhooks",
        hint: None,
        buttons: &[
            button(
                "duplicate",
                "Doubled",
                "The next 100 are sent twice.",
                "Each event counts once.",
                Act::Set(|| deliveries(WebhookFault::Duplicate, 100)),
            ),
            button(
                "twin",
                "Two ids for one change",
                "The next 20 changes come under a second event id too.",
                "Two events in the inbox, one effect.",
                Act::Set(|| deliveries(WebhookFault::Twin, 20)),
            ),
            button(
                "late",
                "Late",
                "The next 50 come half a minute late.",
                "The last event grows old, then all come.",
                Act::Set(|| deliveries(WebhookFault::Delay { delay_ms: 30_000 }, 50)),
            ),
            button(
                "shuffle",
                "Disordered",
                "The next 100 come in any order within 10 seconds.",
                "The newest state stands in the end.",
                Act::Set(|| deliveries(WebhookFault::Shuffle { within_ms: 10_000 }, 100)),
            ),
            button(
                "disable",
                "Endpoint disabled",
                "With the next event the endpoint is disabled; what occurs from then on is never sent.",
                "Silence; a sync or the sweep finds what was missed. Enable it below, or Clear all.",
                Act::Set(|| deliveries(WebhookFault::DisableEndpoint, 1)),
            ),
            button(
                "disable_now",
                "Disable endpoints now",
                "The same without waiting for an event.",
                "Silence.",
                Act::Endpoints { enabled: false },
            ),
            button(
                "enable",
                "Enable endpoints",
                "What occurs from now on is sent again.",
                "Events come; what was missed, the sweep finds.",
                Act::Endpoints { enabled: true },
            ),
            button(
                "cut",
                "Cut by the sender",
                "The next 10 deliveries break off in the middle and come again in a minute.",
                "Nothing; the second try is kept.",
                Act::Set(|| deliveries(WebhookFault::Cut, 10)),
            ),
            button(
                "old",
                "Old timestamps",
                "The next 10 are signed ten minutes ago and come again, rightly, in a minute.",
                "Refused deliveries at the inbox, then the events.",
                Act::Set(|| deliveries(WebhookFault::OldTimestamp { seconds: 600 }, 10)),
            ),
            button(
                "wrong_signature",
                "Wrong signatures",
                "The next 10 are signed with another secret and come again, rightly, in a minute.",
                "Refused deliveries at the inbox, then the events.",
                Act::Set(|| deliveries(WebhookFault::WrongSignature, 10)),
            ),
            button(
                "unknown",
                "Unknown types",
                "Beside the next 5 comes an event of a type that nobody knows.",
                "Kept and processed without effect.",
                Act::Set(|| deliveries(WebhookFault::UnknownType, 5)),
            ),
        ],
    },
    Group {
        title: "Keys",
        hint: None,
        buttons: &[
            button(
                "revoke",
                "Revoke the keys",
                "All test keys of the account stop working between two calls.",
                "With the next call: Stripe refuses the key; replace it. Nothing more is sent.",
                Act::Keys { revoked: true },
            ),
            button(
                "restore",
                "Restore the keys",
                "They work again.",
                "Test the connection in Bursar, and it goes on.",
                Act::Keys { revoked: false },
            ),
            button(
                "forget",
                "Forget idempotency keys",
                "As happens by itself after 24 hours: a repeated write would run again.",
                "Nothing is done twice: what is older is looked up first.",
                Act::ForgetKeys,
            ),
        ],
    },
];

/// Presses a button, as the page's form says it; answers what was done, or why not.
pub(super) fn press(simulator: &Simulator, sent: &str) -> Result<String, String> {
    let sent = form::decode(sent).map_err(|refusal| refusal.message)?;
    let name = sent.get("press").and_then(Value::as_str).unwrap_or_default();
    if name == "heal" {
        simulator.heal();
        return Ok("Everything works again".to_owned());
    }
    if name == "clear" {
        let id = number(&sent, "id")?;
        return match simulator.faults().clear(id) {
            true => Ok("Cleared".to_owned()),
            false => Err("That fault is not set any more.".to_owned()),
        };
    }
    if name == "stop_plan" {
        simulator.faults().stop_plan();
        return Ok("Nothing more happens by chance".to_owned());
    }
    let button = GROUPS.iter().flat_map(|group| group.buttons).find(|button| button.name == name);
    let button = button.ok_or_else(|| format!("There is no button “{name}”."))?;
    let account = simulator.default_account().account_id;
    match button.act {
        Act::Set(fault) => simulator.faults().set(fault()).map(drop).map_err(|error| error.to_string())?,
        Act::Seed => {
            let each = u32::try_from(number(&sent, "each")?).unwrap_or(u32::MAX);
            let plan = FaultPlan::everything(number(&sent, "seed")?, each);
            simulator.faults().follow(plan).map_err(|error| error.to_string())?;
        }
        Act::Advance(seconds) => {
            simulator.advance(Duration::from_secs(seconds)).map_err(|error| error.to_string())?;
        }
        Act::Keys { revoked } => drop(simulator.set_keys_revoked(&account, false, revoked)),
        Act::Endpoints { enabled } => {
            simulator.set_endpoints_enabled(&account, false, enabled).map_err(|error| error.to_string())?;
        }
        Act::ForgetKeys => {
            simulator.forget_idempotency_keys(&account, false).map_err(|error| error.to_string())?;
        }
    }
    Ok(button.label.to_owned())
}

fn number(sent: &Map<String, Value>, name: &str) -> Result<u64, String> {
    let text = sent.get(name).and_then(Value::as_str).unwrap_or_default();
    text.parse().map_err(|_| format!("“{name}” is a whole number."))
}
