//! What goes wrong with calls.

use crate::{problem::Refusal, resources::Method};
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// Why a call is refused with 429, as `Stripe-Rate-Limited-Reason` says it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum LimitReason {
    /// Too many calls of the account.
    GlobalRate,
    /// Too many calls of one endpoint.
    EndpointRate,
    /// Too many calls of the account at the same time.
    GlobalConcurrency,
    /// Too many calls of one endpoint at the same time.
    EndpointConcurrency,
    /// Too many calls about one object.
    ResourceSpecific,
}

impl LimitReason {
    /// All of them.
    pub const ALL: [LimitReason; 5] = [
        LimitReason::GlobalRate,
        LimitReason::EndpointRate,
        LimitReason::GlobalConcurrency,
        LimitReason::EndpointConcurrency,
        LimitReason::ResourceSpecific,
    ];

    /// As the header says it.
    pub fn as_header(self) -> &'static str {
        match self {
            LimitReason::GlobalRate => "global-rate",
            LimitReason::EndpointRate => "endpoint-rate",
            LimitReason::GlobalConcurrency => "global-concurrency",
            LimitReason::EndpointConcurrency => "endpoint-concurrency",
            LimitReason::ResourceSpecific => "resource-specific",
        }
    }
}

/// What goes wrong with a call. Without `after_effect` nothing is executed; with it the call has its effect and its
/// idempotency key remembers the answer, and only what the caller gets is wrong.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "fault")]
pub enum CallFault {
    /// 429 with a reason; not executed.
    RateLimit {
        /// Which limit.
        reason: LimitReason,
    },
    /// 429 `lock_timeout`, without a request id or a reason, `Stripe-Should-Retry: true`; not executed.
    LockTimeout,
    /// 409 `idempotency_key_in_use`, as if the first call with the key were still running. Reads are spared.
    KeyInUse,
    /// This status: 500 and above are Stripe's own fault. After the effect it is also what the idempotency key remembers.
    Status {
        /// 400 to 599.
        status: u16,
        /// Whether the call has its effect all the same.
        #[serde(default)]
        after_effect: bool,
        /// What `Stripe-Should-Retry` says; none for no such header.
        #[serde(default)]
        should_retry: Option<bool>,
    },
    /// No answer until the client leaves; after `hold_ms` the connection is closed.
    Timeout {
        /// How long the client is left waiting, at most 600,000.
        #[serde(default = "hold_ms")]
        hold_ms: u64,
        /// Whether the call has its effect all the same.
        #[serde(default)]
        after_effect: bool,
    },
    /// The connection is closed without an answer.
    Drop {
        /// Whether the call has its effect all the same.
        #[serde(default)]
        after_effect: bool,
    },
    /// The answer's head and half of its body, then the connection is closed; `Content-Length` names the whole. Executed.
    CutBody,
    /// The answer begins late; then the call is executed.
    Delay {
        /// By how much, at most 600,000.
        delay_ms: u64,
    },
    /// The answer's body comes in small pieces. Executed.
    Dribble {
        /// How long it takes in all, at most 600,000.
        over_ms: u64,
    },
    /// A page of HTML in place of JSON, as a proxy between the two gives it, without any of Stripe's headers.
    Garbage {
        /// Its status; a proxy's own failure is 502, and a page that asks for a sign-in is 200.
        #[serde(default = "bad_gateway")]
        status: u16,
        /// Whether the call has its effect all the same.
        #[serde(default)]
        after_effect: bool,
    },
}

fn hold_ms() -> u64 {
    120_000
}

fn bad_gateway() -> u16 {
    502
}

/// Nothing is held or delayed for longer.
const WAIT_MS_MAX: u64 = 600_000;

/// What a proxy answers when it cannot do better.
pub(crate) const PROXY_PAGE: &str = "<!DOCTYPE html>\n<html><head><title>502 Bad Gateway</title></head>\n\
<body><center><h1>502 Bad Gateway</h1></center><hr><center>proxy</center></body></html>\n";

impl CallFault {
    /// 500 with no word on retrying.
    pub fn failing(status: u16) -> CallFault {
        CallFault::Status { status, after_effect: false, should_retry: None }
    }

    /// The same after the effect.
    pub fn failing_after_effect(status: u16) -> CallFault {
        CallFault::Status { status, after_effect: true, should_retry: None }
    }

    /// Its name, as reports count it: `rate_limit global-rate`, `status 500 after_effect`.
    pub fn name(&self) -> String {
        let after = |word: &str, after_effect: &bool| match after_effect {
            true => format!("{word} after_effect"),
            false => word.to_owned(),
        };
        match self {
            CallFault::RateLimit { reason } => format!("rate_limit {}", reason.as_header()),
            CallFault::LockTimeout => "lock_timeout".to_owned(),
            CallFault::KeyInUse => "key_in_use".to_owned(),
            CallFault::Status { status, after_effect, .. } => after(&format!("status {status}"), after_effect),
            CallFault::Timeout { after_effect, .. } => after("timeout", after_effect),
            CallFault::Drop { after_effect } => after("drop", after_effect),
            CallFault::CutBody => "cut_body".to_owned(),
            CallFault::Delay { .. } => "delay".to_owned(),
            CallFault::Dribble { .. } => "dribble".to_owned(),
            CallFault::Garbage { status, after_effect } => after(&format!("garbage {status}"), after_effect),
        }
    }

    pub(crate) fn check(&self) -> Result<(), String> {
        let wait_ms = match self {
            CallFault::Timeout { hold_ms, .. } => *hold_ms,
            CallFault::Delay { delay_ms } => *delay_ms,
            CallFault::Dribble { over_ms } => *over_ms,
            _ => 0,
        };
        if wait_ms > WAIT_MS_MAX {
            return Err("at most 600,000 milliseconds are waited".to_owned());
        }
        match self {
            CallFault::Status { status, .. } if !(400..600).contains(status) => {
                Err("a status that fails is 400 to 599".to_owned())
            }
            CallFault::Garbage { status, .. } if !(200..600).contains(status) => {
                Err("a status is 200 to 599".to_owned())
            }
            _ => Ok(()),
        }
    }

    /// Whether it can happen to a call of this method.
    pub(crate) fn can_happen_to(&self, method: Method) -> bool {
        *self != CallFault::KeyInUse || method == Method::Post
    }

    /// How long the call waits before anything is done.
    pub(crate) fn delay(&self) -> Duration {
        match self {
            CallFault::Delay { delay_ms } => Duration::from_millis(*delay_ms),
            _ => Duration::ZERO,
        }
    }

    /// Whether the call is not executed at all.
    pub(crate) fn is_before_effect(&self) -> bool {
        match self {
            CallFault::RateLimit { .. } | CallFault::LockTimeout | CallFault::KeyInUse => true,
            CallFault::Status { after_effect, .. }
            | CallFault::Timeout { after_effect, .. }
            | CallFault::Drop { after_effect }
            | CallFault::Garbage { after_effect, .. } => !after_effect,
            CallFault::CutBody | CallFault::Delay { .. } | CallFault::Dribble { .. } => false,
        }
    }

    /// The refusal in Stripe's shape that is answered in place of the call's own answer, if it is one.
    pub(crate) fn refusal(&self) -> Option<Refusal> {
        match self {
            CallFault::RateLimit { reason } => Some(Refusal::limited(reason.as_header())),
            CallFault::LockTimeout => {
                let mut refusal = Refusal::new(
                    429,
                    "This object cannot be accessed right now because another API request or Stripe process is currently accessing it. If you see this error intermittently, retry the request.",
                )
                .code("lock_timeout");
                refusal.should_retry = Some(true);
                Some(refusal)
            }
            CallFault::KeyInUse => {
                let mut refusal = Refusal::new(409, "There is currently another in-progress request using this idempotency key (that probably means you submitted twice, and the other request is still going through). Please try again later.")
                    .code("idempotency_key_in_use");
                refusal.kind = "idempotency_error";
                Some(refusal)
            }
            CallFault::Status { status, should_retry, .. } => {
                let mut refusal = match status {
                    500.. => Refusal::internal("An unknown error occurred."),
                    _ => Refusal::new(*status, "The simulator was told to refuse this call."),
                };
                refusal.status = *status;
                refusal.should_retry = *should_retry;
                Some(refusal)
            }
            _ => None,
        }
    }
}
