//! What can go wrong on the way to Stripe, sorted by what a caller can do about it.

use kit::Time;
use platform::{JobError, Problem};
use store::StoreError;
use stripe::{ApiError, CallError, ErrorClass};
use vault::{ConnectionId, VaultError};

/// A call or an intent that did not get its answer.
#[derive(Debug, thiserror::Error)]
pub enum GatewayError {
    /// Stripe refused, failed or could not be reached, after the retries that could help (GW-3).
    #[error("{0}")]
    Stripe(CallError),
    /// Calls of the account are stopped for a while, since too many failed (GW-4). Nothing was sent.
    #[error("calls to Stripe for this account are paused until {until}, since too many of them failed")]
    Paused {
        /// When the next probe may go.
        until: Time,
    },
    /// Too many calls wait, or a turn did not come while somebody was waiting. Nothing was sent.
    #[error("too many calls to Stripe wait for their turn")]
    Busy,
    /// The connection is unknown, disconnected or without a key. Nothing was sent.
    #[error("the connection {0} is unknown or disconnected")]
    NotConnected(ConnectionId),
    /// There is no such intent.
    #[error("there is no intent {0}")]
    NoSuchIntent(String),
    /// A write was to be sent without an idempotency key: a fault of ours (GW-5). Nothing was sent.
    #[error("{0} is a write without an intent")]
    UnkeyedWrite(String),
    /// Whoever asked for the intent could not take its answer; it is offered again.
    #[error("the answer to {purpose} {intent} could not be taken: {detail}")]
    AnswerNotTaken {
        /// What the intent was for.
        purpose: String,
        /// Which intent.
        intent: String,
        /// What went wrong.
        detail: String,
        /// Whether offering it again may help.
        can_retry: bool,
    },
    /// The vault did not give the key.
    #[error(transparent)]
    Vault(#[from] VaultError),
    /// The database did not serve.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Whether and when another try of the same work can help.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RetryLater {
    /// It cannot.
    Never,
    /// It can, after the usual delay.
    Soon,
    /// It can, not before this time.
    At(Time),
}

impl GatewayError {
    /// Whether and when the same work should be tried again by a job.
    pub fn retry_advice(&self) -> RetryLater {
        match self {
            GatewayError::Stripe(error) => match error.class() {
                ErrorClass::RateLimited { .. }
                | ErrorClass::LockTimeout
                | ErrorClass::IdempotencyInUse
                | ErrorClass::Conflict
                | ErrorClass::Server
                | ErrorClass::Network
                | ErrorClass::Unreadable => RetryLater::Soon,
                ErrorClass::Authentication
                | ErrorClass::Permission { .. }
                | ErrorClass::AccountInvalid
                | ErrorClass::InvalidRequest
                | ErrorClass::NotFound
                | ErrorClass::IdempotencyConflict
                | ErrorClass::Card => RetryLater::Never,
            },
            GatewayError::Paused { until } => RetryLater::At(*until),
            GatewayError::Busy => RetryLater::Soon,
            GatewayError::NotConnected(_) | GatewayError::NoSuchIntent(_) | GatewayError::UnkeyedWrite(_) => {
                RetryLater::Never
            }
            GatewayError::AnswerNotTaken { can_retry, .. } => {
                if *can_retry { RetryLater::Soon } else { RetryLater::Never }
            }
            GatewayError::Vault(error) => if error.can_retry() { RetryLater::Soon } else { RetryLater::Never },
            GatewayError::Store(error) => if error.can_retry() { RetryLater::Soon } else { RetryLater::Never },
        }
    }

    /// Stripe's own words, where Stripe answered.
    pub fn api_error(&self) -> Option<&ApiError> {
        match self {
            GatewayError::Stripe(CallError::Api(error)) => Some(error),
            _ => None,
        }
    }

    /// What Stripe's answer means, where the call got as far as Stripe.
    pub fn class(&self) -> Option<ErrorClass> {
        match self {
            GatewayError::Stripe(error) => Some(error.class()),
            _ => None,
        }
    }

    /// Stable code for programs.
    pub fn code(&self) -> &'static str {
        match self {
            GatewayError::Stripe(error) => error.code(),
            GatewayError::Paused { .. } => "stripe_paused",
            GatewayError::Busy => "gateway_busy",
            GatewayError::NotConnected(_) => "connection_not_usable",
            GatewayError::NoSuchIntent(_) => "not_found",
            GatewayError::UnkeyedWrite(_) => "internal",
            GatewayError::AnswerNotTaken { .. } => "answer_not_taken",
            GatewayError::Vault(error) => error.code(),
            GatewayError::Store(error) => error.code(),
        }
    }
}
