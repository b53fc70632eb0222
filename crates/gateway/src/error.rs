//! What can go wrong on the way to Stripe, sorted by what a caller can do about it.

use crate::IntentId;
use axum::http::StatusCode;
use kit::Time;
use platform::Problem;
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
    /// Stripe does not accept the connection's key any more; it waits for another. Nothing was sent.
    #[error("Stripe does not accept the key of connection {0}")]
    KeyRefused(ConnectionId),
    /// What became of an intent is not known yet.
    #[error("what became of intent {intent} is not known yet; it is looked at after {until}")]
    Unsettled {
        /// Which intent.
        intent: IntentId,
        /// When looking can help.
        until: Time,
    },
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
    /// The connection's address of Stripe is none. Nothing was sent.
    #[error(transparent)]
    Address(stripe::ClientError),
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
            GatewayError::Paused { until } | GatewayError::Unsettled { until, .. } => RetryLater::At(*until),
            GatewayError::Busy => RetryLater::Soon,
            GatewayError::NotConnected(_)
            | GatewayError::KeyRefused(_)
            | GatewayError::NoSuchIntent(_)
            | GatewayError::UnkeyedWrite(_)
            | GatewayError::Address(_) => RetryLater::Never,
            GatewayError::AnswerNotTaken { can_retry, .. } => {
                if *can_retry {
                    RetryLater::Soon
                } else {
                    RetryLater::Never
                }
            }
            GatewayError::Vault(error) => {
                if error.can_retry() {
                    RetryLater::Soon
                } else {
                    RetryLater::Never
                }
            }
            GatewayError::Store(error) => {
                if error.can_retry() {
                    RetryLater::Soon
                } else {
                    RetryLater::Never
                }
            }
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
            GatewayError::KeyRefused(_) => "stripe_key_refused",
            GatewayError::Unsettled { .. } => "intent_unsettled",
            GatewayError::NoSuchIntent(_) => "not_found",
            GatewayError::UnkeyedWrite(_) => "internal",
            GatewayError::AnswerNotTaken { .. } => "answer_not_taken",
            GatewayError::Address(error) => error.code(),
            GatewayError::Vault(error) => error.code(),
            GatewayError::Store(error) => error.code(),
        }
    }
}

impl From<GatewayError> for Problem {
    fn from(error: GatewayError) -> Problem {
        let (code, text) = (error.code(), format!("{error}."));
        match &error {
            GatewayError::Stripe(call) => stripe_problem(call),
            GatewayError::Paused { until } => {
                Problem::new(StatusCode::SERVICE_UNAVAILABLE, code, "Calls to Stripe are paused", text)
                    .what_to_do("Bursar tries Stripe again by itself; see status.stripe.com if it lasts.")
                    .with("until", until.to_string())
            }
            GatewayError::Busy => Problem::new(StatusCode::SERVICE_UNAVAILABLE, code, "Too many calls wait", text)
                .what_to_do("Try again in a moment."),
            GatewayError::NotConnected(_) => {
                Problem::conflict(code, text).what_to_do("Connect the account, then try again.")
            }
            GatewayError::KeyRefused(_) => {
                Problem::conflict(code, text).what_to_do(ErrorClass::Authentication.remedy())
            }
            GatewayError::Unsettled { until, .. } => {
                Problem::conflict(code, text).what_to_do("Look at the outbox later.").with("until", until.to_string())
            }
            GatewayError::NoSuchIntent(id) => Problem::not_found("intent", id),
            GatewayError::Address(_) => Problem::new(StatusCode::BAD_GATEWAY, code, "Stripe cannot be reached", text)
                .what_to_do("Correct the configured address of Stripe (stripe_api_base)."),
            GatewayError::UnkeyedWrite(_) | GatewayError::AnswerNotTaken { .. } => Problem::internal(&error),
            GatewayError::Vault(error) => error.clone().into(),
            GatewayError::Store(error) => error.clone().into(),
        }
    }
}

/// Stripe's refusal or failure as our callers meet it: Stripe's words are kept (GW-7).
fn stripe_problem(error: &CallError) -> Problem {
    let class = error.class();
    let (status, title) = match class {
        ErrorClass::RateLimited { .. } | ErrorClass::LockTimeout => {
            (StatusCode::SERVICE_UNAVAILABLE, "Stripe asks to slow down")
        }
        ErrorClass::Authentication | ErrorClass::Permission { .. } | ErrorClass::AccountInvalid => {
            (StatusCode::UNPROCESSABLE_ENTITY, "Stripe does not allow it with this key")
        }
        ErrorClass::InvalidRequest | ErrorClass::Card => (StatusCode::UNPROCESSABLE_ENTITY, "Stripe refused it"),
        ErrorClass::NotFound => (StatusCode::NOT_FOUND, "Stripe has no such object"),
        ErrorClass::IdempotencyConflict | ErrorClass::IdempotencyInUse | ErrorClass::Conflict => {
            (StatusCode::CONFLICT, "In conflict with another change at Stripe")
        }
        ErrorClass::Server | ErrorClass::Network | ErrorClass::Unreadable => {
            (StatusCode::BAD_GATEWAY, "Stripe did not answer usably")
        }
    };
    let mut problem = Problem::new(status, error.code(), title, error.to_string()).what_to_do(class.remedy());
    if let CallError::Api(api) = error {
        problem = problem.with("stripe_status", api.status);
        let words = [
            ("stripe_type", &api.error_type),
            ("stripe_code", &api.code),
            ("stripe_param", &api.param),
            ("stripe_decline_code", &api.decline_code),
        ];
        for (name, value) in words {
            if let Some(value) = value {
                problem = problem.with(name, value.as_str());
            }
        }
    }
    match error.request_id() {
        Some(id) => problem.with("stripe_request_id", id),
        None => problem,
    }
}
