//! Intents: what is to be done at Stripe, recorded before it is done (GW-5), and the rule of what comes next.
//!
//! Pure: no database, no clock. [`crate::outbox`] carries intents out.

use crate::Lane;
use kit::{TenantId, Time};
use serde::{Deserialize, Serialize};
use std::time::Duration;
use stripe::{CallError, ErrorClass, Method, Request};
use vault::ConnectionId;

kit::define_id!(
    /// Something to be done at Stripe.
    IntentId,
    "int"
);

/// Stripe keeps idempotency keys for 24 hours at least; an hour is left for clocks that differ and slow calls.
pub const KEY_SAFE_FOR: Duration = Duration::from_secs(23 * 3600);
/// An intent that never reached Stripe is given up after this long: whoever asked has other plans by then.
pub const UNSENT_FOR_AT_MOST: Duration = Duration::from_secs(7 * 24 * 3600);
/// After an answer that leaves open what happened, Stripe is given this long to come to rest before it is asked.
pub const SETTLING_TIME: Duration = Duration::from_secs(60);

/// What whoever asks for an intent says.
#[derive(Clone, Debug)]
pub struct NewIntent {
    /// Under which connection's key.
    pub connection: ConnectionId,
    /// The write itself, POST or DELETE. Its idempotency key is set by the gateway.
    pub request: Request,
    /// The connected account that it acts for, if any (GW-1).
    pub on_account: Option<String>,
    /// Whether somebody waits for it.
    pub lane: Lane,
    /// What it is for; the [`ReplyHandler`](crate::ReplyHandler) is found by this name.
    pub purpose: &'static str,
    /// The id of ours that it is about, for lists and for the handler.
    pub subject: String,
}

/// Something to be done at Stripe, and how far it came.
#[derive(Clone, Debug)]
pub struct Intent {
    /// Whose it is.
    pub tenant: TenantId,
    /// Which.
    pub id: IntentId,
    /// Under which connection's key.
    pub connection: ConnectionId,
    /// What it is for.
    pub purpose: String,
    /// The id of ours that it is about.
    pub subject: String,
    /// Whether somebody waits for it.
    pub lane: Lane,
    /// The write itself, with its idempotency key.
    pub request: Request,
    /// The connected account that it acts for.
    pub on_account: Option<String>,
    /// How far it came.
    pub state: IntentState,
    /// How often it was begun to be sent.
    pub tries: u32,
    /// When it was asked for.
    pub created_at: Time,
}

/// How far an intent came.
#[derive(Clone, Debug, PartialEq)]
pub enum IntentState {
    /// Nothing was sent, or what was sent certainly had no effect.
    Pending,
    /// It was sent, or was about to be, and no answer that settles it is recorded.
    Sent {
        /// When it was first sent under its present key: Stripe knows the key from then on.
        since: Time,
        /// When it was last sent.
        last: Time,
        /// Stripe failed while carrying it out. It would replay that failure under the same key.
        failed_at_stripe: bool,
    },
    /// Stripe did it.
    Done {
        /// When the answer was recorded.
        at: Time,
        /// What Stripe answered, without secrets.
        answer: StoredAnswer,
    },
    /// Stripe refused it; it had no effect.
    Refused {
        /// When the refusal was recorded.
        at: Time,
        /// Why.
        refusal: Refusal,
    },
    /// Whether it had an effect cannot be found out by the program: a person has to look.
    InDoubt {
        /// Since when.
        at: Time,
        /// What was tried.
        why: String,
    },
}

impl IntentState {
    /// The name in the database and in the API.
    pub fn name(&self) -> &'static str {
        match self {
            IntentState::Pending => "pending",
            IntentState::Sent { .. } => "sent",
            IntentState::Done { .. } => "done",
            IntentState::Refused { .. } => "refused",
            IntentState::InDoubt { .. } => "in_doubt",
        }
    }
}

/// Stripe's answer as it is kept: fields that hold secrets are cut out.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct StoredAnswer {
    /// HTTP status.
    pub status: u16,
    /// Stripe's id of the call.
    pub request_id: Option<String>,
    /// The body, as JSON text; none if it was too large to keep.
    pub body: Option<String>,
}

/// Stripe's refusal as it is kept (GW-7).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refusal {
    /// Our stable code, such as `stripe_declined`.
    pub code: String,
    /// HTTP status, where Stripe answered.
    pub status: Option<u16>,
    /// Stripe's `type`.
    pub stripe_type: Option<String>,
    /// Stripe's `code`.
    pub stripe_code: Option<String>,
    /// Why the bank declined.
    pub decline_code: Option<String>,
    /// The parameter it is about.
    pub param: Option<String>,
    /// Stripe's text.
    pub message: String,
    /// Stripe's id of the call.
    pub request_id: Option<String>,
}

impl Refusal {
    /// What Stripe said, in the shape that is kept.
    pub fn from_call_error(error: &CallError) -> Refusal {
        let refusal = Refusal {
            code: error.code().to_owned(),
            status: error.status(),
            stripe_type: None,
            stripe_code: None,
            decline_code: None,
            param: None,
            message: error.to_string(),
            request_id: error.request_id().map(str::to_owned),
        };
        match error {
            CallError::Api(api) => Refusal {
                stripe_type: api.error_type.clone(),
                stripe_code: api.code.clone(),
                decline_code: api.decline_code.clone(),
                param: api.param.clone(),
                message: api.message.clone(),
                ..refusal
            },
            CallError::Network { .. } | CallError::Unreadable { .. } | CallError::Unsendable(_) => refusal,
        }
    }

    /// A refusal of our own: nothing was sent.
    pub fn ours(code: &str, message: impl Into<String>) -> Refusal {
        Refusal {
            code: code.to_owned(),
            status: None,
            stripe_type: None,
            stripe_code: None,
            decline_code: None,
            param: None,
            message: message.into(),
            request_id: None,
        }
    }
}

/// How an intent ended, for whoever waits for it.
#[derive(Clone, Debug, PartialEq)]
pub enum IntentOutcome {
    /// Stripe did it.
    Done(StoredAnswer),
    /// Stripe refused it; it had no effect.
    Refused(Refusal),
    /// A person has to look whether it had an effect.
    InDoubt(String),
}

/// What to do next with an intent.
#[derive(Clone, Debug, PartialEq)]
pub enum Step {
    /// Send it under its key.
    Send,
    /// Find out first whether it had an effect: Stripe may have forgotten the key, or would replay its own failure.
    LookUp,
    /// Too early to look: not before this time.
    Wait(Time),
    /// It never reached Stripe and is too old.
    GiveUp,
    /// It has ended.
    Ended,
}

/// What to do next with an intent, at `now`.
pub fn next_step(state: &IntentState, method: Method, created_at: Time, now: Time) -> Step {
    match state {
        IntentState::Pending if now.since(created_at) > UNSENT_FOR_AT_MOST => Step::GiveUp,
        IntentState::Pending => Step::Send,
        // Deleting twice is deleting once; v1 takes no key for it.
        IntentState::Sent { .. } if method == Method::Delete => Step::Send,
        IntentState::Sent { last, failed_at_stripe: true, .. } if now.since(*last) < SETTLING_TIME => {
            Step::Wait(*last + SETTLING_TIME)
        }
        IntentState::Sent { failed_at_stripe: true, .. } => Step::LookUp,
        IntentState::Sent { since, .. } if now.since(*since) > KEY_SAFE_FOR => Step::LookUp,
        IntentState::Sent { .. } => Step::Send,
        IntentState::Done { .. } | IntentState::Refused { .. } | IntentState::InDoubt { .. } => Step::Ended,
    }
}

/// What a call that gave no usable answer means for its intent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Failure {
    /// It had no effect and never will as it is.
    Refused,
    /// It had no effect; the same call may succeed later.
    NoEffect,
    /// Stripe may have carried it out; its key tells.
    Unknown,
    /// Stripe failed on it; its key would replay the failure.
    FailedAtStripe,
    /// The key was used for another write before: what is at Stripe is not what the intent says.
    Contradicted,
    /// The key is not accepted: it had no effect, and waits for another key.
    KeyRefused,
}

/// What a call that gave no usable answer means for its intent.
pub fn failure_of(error: &CallError) -> Failure {
    match error.class() {
        ErrorClass::Authentication => Failure::KeyRefused,
        ErrorClass::Permission { .. }
        | ErrorClass::AccountInvalid
        | ErrorClass::InvalidRequest
        | ErrorClass::NotFound
        | ErrorClass::Card => Failure::Refused,
        ErrorClass::IdempotencyConflict => Failure::Contradicted,
        ErrorClass::RateLimited { .. } | ErrorClass::LockTimeout | ErrorClass::Conflict => Failure::NoEffect,
        ErrorClass::IdempotencyInUse => Failure::Unknown,
        ErrorClass::Server => Failure::FailedAtStripe,
        ErrorClass::Network | ErrorClass::Unreadable if !error.may_have_had_effect() => Failure::NoEffect,
        ErrorClass::Network | ErrorClass::Unreadable => Failure::Unknown,
    }
}

/// The idempotency key of an intent. A later generation is used only after a look at Stripe found no effect of the
/// earlier ones.
pub fn idempotency_key(id: &IntentId, generation: u32) -> String {
    match generation {
        0 => format!("bursar-{id}"),
        later => format!("bursar-{id}-{later}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use kit::SeededRandomness;
    use stripe::{ApiError, NetworkFault, UnreadableReason};

    const HOUR: Duration = Duration::from_secs(3_600);

    #[test]
    fn the_next_step_follows_from_state_and_age() {
        let now = Time::from_seconds(1_800_000_000);
        let sent = |hours_ago: u32, last_seconds_ago: u64, failed_at_stripe| IntentState::Sent {
            since: now - HOUR * hours_ago,
            last: now - Duration::from_secs(last_seconds_ago),
            failed_at_stripe,
        };
        let check = |state: IntentState, method, created_hours_ago: u32, expected: Step| {
            assert_eq!(
                next_step(&state, method, now - HOUR * created_hours_ago, now),
                expected,
                "{state:?} {method:?}"
            );
        };
        use Method::{Delete, Post};
        check(IntentState::Pending, Post, 0, Step::Send);
        check(IntentState::Pending, Post, 167, Step::Send);
        check(IntentState::Pending, Post, 169, Step::GiveUp);
        check(sent(0, 5, false), Post, 0, Step::Send);
        check(sent(22, 5, false), Post, 22, Step::Send);
        check(sent(24, 5, false), Post, 24, Step::LookUp);
        check(sent(24, 5, false), Delete, 24, Step::Send);
        check(sent(0, 5, true), Post, 0, Step::Wait(now + Duration::from_secs(55)));
        check(sent(0, 60, true), Post, 0, Step::LookUp);
        check(sent(300, 60, false), Post, 300, Step::LookUp);
        let answer = StoredAnswer { status: 200, request_id: None, body: None };
        check(IntentState::Done { at: now, answer }, Post, 900, Step::Ended);
        check(IntentState::Refused { at: now, refusal: Refusal::ours("x", "y") }, Post, 900, Step::Ended);
        check(IntentState::InDoubt { at: now, why: String::new() }, Post, 900, Step::Ended);
    }

    #[test]
    fn a_failure_says_whether_there_was_an_effect() {
        let api = |status, code: &str, error_type: &str| {
            CallError::Api(Box::new(ApiError {
                status,
                code: Some(code.to_owned()),
                error_type: Some(error_type.to_owned()),
                ..ApiError::default()
            }))
        };
        let network = |before_sent| CallError::Network { fault: NetworkFault::Cut, before_sent, detail: String::new() };
        let unreadable = |status| CallError::Unreadable { status, request_id: None, reason: UnreadableReason::NotJson };
        let check = |error: CallError, expected| assert_eq!(failure_of(&error), expected, "{error:?}");
        check(api(400, "parameter_missing", "invalid_request_error"), Failure::Refused);
        check(api(400, "idempotency_key_reused", "idempotency_error"), Failure::Contradicted);
        check(api(401, "", ""), Failure::KeyRefused);
        check(api(402, "card_declined", "card_error"), Failure::Refused);
        check(api(403, "", ""), Failure::Refused);
        check(api(404, "resource_missing", ""), Failure::Refused);
        check(api(409, "idempotency_key_in_use", ""), Failure::Unknown);
        check(api(409, "", ""), Failure::NoEffect);
        check(api(429, "rate_limit", ""), Failure::NoEffect);
        check(api(429, "lock_timeout", ""), Failure::NoEffect);
        check(api(500, "", ""), Failure::FailedAtStripe);
        check(network(true), Failure::NoEffect);
        check(network(false), Failure::Unknown);
        check(unreadable(200), Failure::Unknown);
        check(unreadable(502), Failure::Unknown);
        check(unreadable(404), Failure::NoEffect);
    }

    #[test]
    fn keys_follow_from_the_intent() {
        let id = IntentId::new(Time::from_seconds(1), &SeededRandomness::new(1));
        assert_eq!(idempotency_key(&id, 0), format!("bursar-{id}"));
        assert_eq!(idempotency_key(&id, 2), format!("bursar-{id}-2"));
    }

    /// Rows outlive releases: what was ever stored must be readable for ever.
    #[test]
    fn stored_shapes_stay_readable() {
        let request: Request = serde_json::from_str(include_str!("../golden/2026-11-request.json")).unwrap();
        assert_eq!(request.path, "/v1/webhook_endpoints");
        let answer: StoredAnswer = serde_json::from_str(include_str!("../golden/2026-11-answer.json")).unwrap();
        assert_eq!(answer.status, 200);
        let refusal: Refusal = serde_json::from_str(include_str!("../golden/2026-11-refusal.json")).unwrap();
        assert_eq!(refusal.decline_code.as_deref(), Some("insufficient_funds"));
        let job: crate::jobs::CarryOut =
            serde_json::from_str(include_str!("../golden/2026-11-carry-out.json")).unwrap();
        assert_eq!(job.intent, "int_01jdz6v7w8k9m0n1p2q3r4s5t6");
    }
}
