//! What can go wrong with a call, what it means, and whether trying again can help.
//!
//! A denial, a failure and an unknown are never the same answer: [`ErrorClass`] names each. Stripe's words are kept
//! (type, code, param, decline code, request id), the key never is. Source: FACTS sections 5 to 7.

mod class;

pub use class::{ErrorClass, RetryAdvice};

use crate::request::Base;
use serde::{Deserialize, Serialize};
use std::fmt;

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

impl CallError {
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
}
