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
