//! What can go wrong with a call, what it means, and whether trying again can help.
//!
//! A denial, a failure and an unknown are never the same answer: [`ErrorClass`] names each. Stripe's words are kept
//! (type, code, param, decline code, request id), the key never is. Source: FACTS sections 5 to 7.

use crate::request::Base;
use serde::{Deserialize, Serialize};
use std::{borrow::Cow, fmt};

/// A call that gave no usable answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CallError {
    /// Stripe answered with an error.
    #[error("{0}")]
    Api(Box<ApiError>),
    /// There was no whole answer. Unless `before_sent`, Stripe may have carried the call out.
    #[error("no answer from Stripe ({fault}): {detail}")]
    Network {
        /// Where it broke.
        fault: NetworkFault,
        /// Nothing of the request had left when it broke, so it cannot have had an effect.
        before_sent: bool,
        /// The causes, one after another, without the address.
        detail: String,
    },
    /// There was an answer that is not Stripe's kind: a proxy's page, a cut document, one too large.
    #[error("the answer with status {status} cannot be read: {reason}")]
    Unreadable {
        /// HTTP status of the answer.
        status: u16,
        /// Stripe's request id, where the answer had one.
        request_id: Option<String>,
        /// What is wrong with it.
        reason: UnreadableReason,
    },
    /// The call was never made, since a part of it cannot be written on the wire.
    #[error("the call cannot be sent: {0}")]
    Unsendable(Unsendable),
}

/// Where the network broke.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum NetworkFault {
    /// The name of the host did not resolve.
    Name,
    /// No connection was made: refused, unreachable.
    Connect,
    /// A connection was made and its encryption failed, a wrong certificate for instance.
    Tls,
    /// The time limit of the call passed.
    Timeout,
    /// The connection ended before the whole answer was there.
    Cut,
    /// Anything else between here and the answer.
    Other,
}

impl fmt::Display for NetworkFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            NetworkFault::Name => "the host's name does not resolve",
            NetworkFault::Connect => "no connection",
            NetworkFault::Tls => "encryption failed",
            NetworkFault::Timeout => "it took too long",
            NetworkFault::Cut => "the connection was cut",
            NetworkFault::Other => "the network failed",
        })
    }
}

/// Why an answer cannot be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum UnreadableReason {
    /// Its bytes are not UTF-8.
    NotUtf8,
    /// It is not JSON.
    NotJson,
    /// It is JSON of a shape that this call does not answer with.
    Unexpected,
    /// It is larger than the limit of the client.
    TooLarge,
}

impl fmt::Display for UnreadableReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            UnreadableReason::NotUtf8 => "it is not UTF-8",
            UnreadableReason::NotJson => "it is not JSON",
            UnreadableReason::Unexpected => "it is JSON, but not of the expected shape",
            UnreadableReason::TooLarge => "it is larger than the limit",
        })
    }
}

/// The part of a call that cannot be written on the wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unsendable {
    /// The API key is empty or holds characters that no header can.
    #[error("the API key is empty or has characters that no key has, such as a line end; paste it again")]
    ApiKey,
    /// The account id holds characters that no header can.
    #[error("the account id has characters that no id has")]
    Account,
    /// The idempotency key is empty, longer than 255, or holds characters that no header can.
    #[error("the idempotency key must be 1 to 255 printable characters")]
    IdempotencyKey,
    /// The path does not begin with `/` or holds what belongs to no path.
    #[error("the path must begin with one `/` and have neither query nor spaces")]
    Path,
    /// There is no address for the host.
    #[error("no address is configured for {0:?}")]
    Base(Base),
}

/// An error in Stripe's own words.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ApiError {
    /// HTTP status.
    pub status: u16,
    /// `type`: `invalid_request_error`, `card_error`, … Open: new ones may arrive. `oauth_error` is ours, for OAuth's shape.
    #[serde(rename = "type")]
    pub error_type: Option<String>,
    /// `code`, such as `resource_missing`; for OAuth the error's name, such as `invalid_grant`.
    pub code: Option<String>,
    /// Why the bank declined.
    pub decline_code: Option<String>,
    /// The parameter the error is about.
    pub param: Option<String>,
    /// Stripe's text for developers, or for users where v2 gives one.
    pub message: String,
    /// Where Stripe explains the code.
    pub doc_url: Option<String>,
    /// Stripe's id of the call. A lock timeout has none.
    pub request_id: Option<String>,
    /// Stripe's own word on whether to try again, from `Stripe-Should-Retry`.
    pub should_retry: Option<bool>,
    /// Which limit was met, from `Stripe-Rate-Limited-Reason`.
    pub rate_limited_reason: Option<RateLimitReason>,
}

impl fmt::Display for ApiError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Stripe answered {}", self.status)?;
        for (label, value) in [("", &self.code), ("decline code ", &self.decline_code), ("parameter ", &self.param)] {
            if let Some(value) = value {
                write!(f, ", {label}`{value}`")?;
            }
        }
        write!(f, ": {}", self.message)?;
        match &self.request_id {
            Some(id) => write!(f, " ({id})"),
            None => Ok(()),
        }
    }
}

/// Which limit a rate-limited call met (FACTS section 7).
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(from = "String", into = "String")]
pub enum RateLimitReason {
    /// Calls a second over the whole account.
    GlobalRate,
    /// Calls a second to one endpoint.
    EndpointRate,
    /// Calls at once over the whole account.
    GlobalConcurrency,
    /// Calls at once to one endpoint.
    EndpointConcurrency,
    /// A limit of one object, such as updates of one payment intent.
    ResourceSpecific,
    /// A reason we have not heard of.
    Other(String),
}

impl From<String> for RateLimitReason {
    fn from(text: String) -> RateLimitReason {
        match text.as_str() {
            "global-rate" => RateLimitReason::GlobalRate,
            "endpoint-rate" => RateLimitReason::EndpointRate,
            "global-concurrency" => RateLimitReason::GlobalConcurrency,
            "endpoint-concurrency" => RateLimitReason::EndpointConcurrency,
            "resource-specific" => RateLimitReason::ResourceSpecific,
            _ => RateLimitReason::Other(text),
        }
    }
}

impl From<RateLimitReason> for String {
    fn from(reason: RateLimitReason) -> String {
        reason.to_string()
    }
}

impl fmt::Display for RateLimitReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            RateLimitReason::GlobalRate => "global-rate",
            RateLimitReason::EndpointRate => "endpoint-rate",
            RateLimitReason::GlobalConcurrency => "global-concurrency",
            RateLimitReason::EndpointConcurrency => "endpoint-concurrency",
            RateLimitReason::ResourceSpecific => "resource-specific",
            RateLimitReason::Other(text) => text,
        })
    }
}

/// What an error means for the caller.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ErrorClass {
    /// Too many calls; the reason where Stripe gave one.
    RateLimited {
        /// Which limit was met.
        reason: Option<RateLimitReason>,
    },
    /// Another call holds the object.
    LockTimeout,
    /// The key is wrong, revoked, expired or of the wrong kind.
    Authentication,
    /// The key may not do this.
    Permission {
        /// The permission that is missing, such as `rak_charge_read`, where Stripe named it.
        permission: Option<String>,
    },
    /// The connected account does not exist or has withdrawn its consent: stop all work for it (FACTS section 13).
    AccountInvalid,
    /// Stripe does not accept the call as it is.
    InvalidRequest,
    /// The object in the path does not exist, or not in this mode or account.
    NotFound,
    /// This idempotency key was used with other parameters.
    IdempotencyConflict,
    /// The first call with this idempotency key is still running.
    IdempotencyInUse,
    /// Another change was made at the same time.
    Conflict,
    /// The payment was refused; for other calls, they were valid and failed.
    Card,
    /// Stripe, or a service behind it, failed.
    Server,
    /// There was no whole answer.
    Network,
    /// There was an answer that cannot be read.
    Unreadable,
}

/// Whether, how and how often to try again. The waiting itself is the gateway's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RetryAdvice {
    /// Trying again gives the same answer.
    Never,
    /// With waits that double each time, with jitter.
    Exponential {
        /// Retries after the first try.
        retries: u32,
    },
    /// With waits that grow by the same amount each time.
    Linear {
        /// Retries after the first try.
        retries: u32,
    },
}

impl CallError {
    /// What the error means. HTTP status decides first, since older error types still appear.
    pub fn class(&self) -> ErrorClass {
        match self {
            CallError::Api(error) => error.class(),
            CallError::Network { .. } => ErrorClass::Network,
            CallError::Unreadable { .. } => ErrorClass::Unreadable,
            CallError::Unsendable(Unsendable::ApiKey) => ErrorClass::Authentication,
            CallError::Unsendable(
                Unsendable::Account | Unsendable::IdempotencyKey | Unsendable::Path | Unsendable::Base(_),
            ) => ErrorClass::InvalidRequest,
        }
    }

    /// Whether to try again (GW-3). Stripe's own word (`Stripe-Should-Retry`) beats ours. A write may only be tried
    /// again under the same idempotency key, unless it broke `before_sent`.
    pub fn retry_advice(&self) -> RetryAdvice {
        let ours = match self {
            CallError::Unreadable { status, .. } if matches!(status, 200..=299 | 429 | 500..=599) => {
                RetryAdvice::Linear { retries: 3 }
            }
            CallError::Unreadable { .. } => RetryAdvice::Never,
            CallError::Network { fault: NetworkFault::Tls, .. } => RetryAdvice::Never,
            CallError::Api(_) | CallError::Network { .. } | CallError::Unsendable(_) => self.class().retry_advice(),
        };
        match (self, ours) {
            (CallError::Api(error), _) if error.should_retry == Some(false) => RetryAdvice::Never,
            (CallError::Api(error), RetryAdvice::Never) if error.should_retry == Some(true) => {
                RetryAdvice::Exponential { retries: 3 }
            }
            _ => ours,
        }
    }

    /// Whether the error speaks of Stripe or the way there being ill, and not of this call: what a circuit breaker
    /// counts. Answers that refuse are signs of health; so are rate limits, which have a remedy of their own.
    pub fn is_outage(&self) -> bool {
        match self.class() {
            ErrorClass::Server | ErrorClass::Network => true,
            ErrorClass::Unreadable => matches!(self, CallError::Unreadable { status: 500..=599, .. }),
            ErrorClass::RateLimited { .. }
            | ErrorClass::LockTimeout
            | ErrorClass::Authentication
            | ErrorClass::Permission { .. }
            | ErrorClass::AccountInvalid
            | ErrorClass::InvalidRequest
            | ErrorClass::NotFound
            | ErrorClass::IdempotencyConflict
            | ErrorClass::IdempotencyInUse
            | ErrorClass::Conflict
            | ErrorClass::Card => false,
        }
    }

    /// Whether Stripe may have carried the call out although no answer says so: a write in this state is in doubt.
    pub fn may_have_had_effect(&self) -> bool {
        match self {
            CallError::Network { before_sent, .. } => !before_sent,
            CallError::Unreadable { status, .. } => !matches!(status, 400..=499),
            CallError::Api(error) => error.status >= 500,
            CallError::Unsendable(_) => false,
        }
    }

    /// Stripe's id of the call, where there is one.
    pub fn request_id(&self) -> Option<&str> {
        match self {
            CallError::Api(error) => error.request_id.as_deref(),
            CallError::Unreadable { request_id, .. } => request_id.as_deref(),
            CallError::Network { .. } | CallError::Unsendable(_) => None,
        }
    }

    /// HTTP status of the answer, where there was one.
    pub fn status(&self) -> Option<u16> {
        match self {
            CallError::Api(error) => Some(error.status),
            CallError::Unreadable { status, .. } => Some(*status),
            CallError::Network { .. } | CallError::Unsendable(_) => None,
        }
    }

    /// A stable code for logs, metrics and our own API.
    pub fn code(&self) -> &'static str {
        self.class().code()
    }
}

impl ApiError {
    /// What the error means.
    pub fn class(&self) -> ErrorClass {
        let code = self.code.as_deref().unwrap_or_default();
        let error_type = self.error_type.as_deref().unwrap_or_default();
        match (self.status, code) {
            (_, "lock_timeout") => ErrorClass::LockTimeout,
            (_, "account_invalid") => ErrorClass::AccountInvalid,
            (_, "secret_key_required" | "api_key_expired" | "invalid_client") | (401, _) => ErrorClass::Authentication,
            (429, _) | (_, "rate_limit") => ErrorClass::RateLimited { reason: self.rate_limited_reason.clone() },
            (_, "idempotency_key_in_use") => ErrorClass::IdempotencyInUse,
            (400 | 404 | 409, _) if error_type == "idempotency_error" => ErrorClass::IdempotencyConflict,
            (400, _) if matches!(error_type, "rate_limit" | "rate_limit_error") => {
                ErrorClass::RateLimited { reason: self.rate_limited_reason.clone() }
            }
            (403, _) => ErrorClass::Permission { permission: self.named_permission() },
            (404, "resource_missing") => ErrorClass::NotFound,
            (402, _) => ErrorClass::Card,
            (409, _) => ErrorClass::Conflict,
            (424 | 500.., _) => ErrorClass::Server,
            _ => ErrorClass::InvalidRequest,
        }
    }

    /// Whether the object that a list was to continue after is gone: go on by `created` instead (FACTS section 8).
    pub fn is_cursor_missing(&self) -> bool {
        self.code.as_deref() == Some("resource_missing")
            && matches!(self.param.as_deref(), Some("starting_after" | "ending_before"))
    }

    /// Stripe names the missing permission of a restricted key only in its message.
    fn named_permission(&self) -> Option<String> {
        let named = &self.message[self.message.find("rak_")?..];
        let end = named.find(|letter: char| !letter.is_ascii_alphanumeric() && letter != '_').unwrap_or(named.len());
        Some(named[..end].to_owned())
    }
}

impl ErrorClass {
    /// The advice for the class alone; [`CallError::retry_advice`] also heeds Stripe's word.
    pub fn retry_advice(&self) -> RetryAdvice {
        match self {
            ErrorClass::RateLimited { .. } | ErrorClass::LockTimeout | ErrorClass::IdempotencyInUse => {
                RetryAdvice::Exponential { retries: 5 }
            }
            ErrorClass::Server | ErrorClass::Conflict => RetryAdvice::Exponential { retries: 3 },
            ErrorClass::Network | ErrorClass::Unreadable => RetryAdvice::Linear { retries: 3 },
            ErrorClass::Authentication
            | ErrorClass::Permission { .. }
            | ErrorClass::AccountInvalid
            | ErrorClass::InvalidRequest
            | ErrorClass::NotFound
            | ErrorClass::IdempotencyConflict
            | ErrorClass::Card => RetryAdvice::Never,
        }
    }

    /// A stable code for logs, metrics and our own API.
    pub fn code(&self) -> &'static str {
        match self {
            ErrorClass::RateLimited { .. } => "stripe_rate_limited",
            ErrorClass::LockTimeout => "stripe_lock_timeout",
            ErrorClass::Authentication => "stripe_key_refused",
            ErrorClass::Permission { .. } => "stripe_permission_missing",
            ErrorClass::AccountInvalid => "stripe_account_invalid",
            ErrorClass::InvalidRequest => "stripe_invalid_request",
            ErrorClass::NotFound => "stripe_not_found",
            ErrorClass::IdempotencyConflict => "stripe_idempotency_conflict",
            ErrorClass::IdempotencyInUse => "stripe_idempotency_in_use",
            ErrorClass::Conflict => "stripe_conflict",
            ErrorClass::Card => "stripe_declined",
            ErrorClass::Server => "stripe_failed",
            ErrorClass::Network => "stripe_unreachable",
            ErrorClass::Unreadable => "stripe_unreadable_answer",
        }
    }

    /// What a person can do about it.
    pub fn remedy(&self) -> Cow<'static, str> {
        Cow::Borrowed(match self {
            ErrorClass::RateLimited { .. } => "Bursar slows down and tries again by itself.",
            ErrorClass::LockTimeout | ErrorClass::IdempotencyInUse | ErrorClass::Conflict => {
                "Another call is changing the same object. Try again in a moment."
            }
            ErrorClass::Authentication => {
                "Stripe does not accept this API key: it is mistyped, expired, revoked or of the wrong kind. Copy a current secret or restricted key from the Stripe dashboard and replace it here."
            }
            ErrorClass::Permission { permission: Some(permission) } => {
                return Cow::Owned(format!(
                    "The API key lacks the permission `{permission}`. Grant it to the restricted key in the Stripe dashboard, or use another key."
                ));
            }
            ErrorClass::Permission { permission: None } => {
                "The API key may not do this. Grant the permission to the restricted key in the Stripe dashboard, or use another key."
            }
            ErrorClass::AccountInvalid => {
                "The connected account is gone or has withdrawn its consent. Connect it again."
            }
            ErrorClass::InvalidRequest => "Stripe does not accept this call as it is. Its message says which part.",
            ErrorClass::NotFound => {
                "The object does not exist in this account and mode. Check its id, and whether it is live or test data."
            }
            ErrorClass::IdempotencyConflict => {
                "This write was made before with other values. Look at its result before you make a new one."
            }
            ErrorClass::Card => "The payment was refused. The decline code says why.",
            ErrorClass::Server => {
                "Stripe has a fault of its own. Bursar tries again; see status.stripe.com if it lasts."
            }
            ErrorClass::Network => {
                "Stripe could not be reached. Check the network, name resolution and the configured address."
            }
            ErrorClass::Unreadable => {
                "Something between here and Stripe answered in its place. Check the configured address and any proxy."
            }
        })
    }
}
