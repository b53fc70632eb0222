//! What came back: the body of a success, the words of an error, and what the headers say of both.

use crate::error::{ApiError, CallError, RateLimitReason, UnreadableReason};
use bytes::Bytes;
use http::HeaderMap;
use serde::de::DeserializeOwned;
use serde_json::Value;
use std::fmt;

/// A successful answer. `Debug` leaves the body out: it may hold the secret of a new webhook endpoint.
#[derive(Clone, PartialEq, Eq)]
pub struct Response {
    /// HTTP status, 200 to 299.
    pub status: u16,
    /// The body as it came: UTF-8 and JSON.
    pub body: Bytes,
    /// What the headers said.
    pub notes: AnswerNotes,
}

/// What the headers of an answer say about it. Source: FACTS section 2.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AnswerNotes {
    /// Stripe's id of the call.
    pub request_id: Option<String>,
    /// The answer is that of an earlier call with the same idempotency key.
    pub idempotent_replayed: bool,
    /// The version that shaped the answer.
    pub version: Option<String>,
    /// Stripe's word on whether to try again.
    pub should_retry: Option<bool>,
    /// Which limit was met.
    pub rate_limited_reason: Option<RateLimitReason>,
    /// A warning for developers, about the key for instance.
    pub notice: Option<String>,
}

impl fmt::Debug for Response {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Response")
            .field("status", &self.status)
            .field("body_bytes", &self.body.len())
            .field("notes", &self.notes)
            .finish()
    }
}

impl Response {
    /// The body as text.
    pub fn text(&self) -> &str {
        // Checked to be UTF-8 when the answer was made.
        std::str::from_utf8(&self.body).unwrap_or_default()
    }

    /// Reads the body into a type.
    pub fn read<T: DeserializeOwned>(&self) -> Result<T, CallError> {
        serde_json::from_slice(&self.body).map_err(|_| self.unexpected())
    }

    /// The body as a page of a list, borrowing each object's text from it.
    pub fn page(&self) -> Result<crate::ListPage<'_>, CallError> {
        crate::ListPage::read(self.text()).map_err(|_| self.unexpected())
    }

    /// The error for an answer that is JSON, but not of the shape the caller knows.
    pub fn unexpected(&self) -> CallError {
        CallError::Unreadable {
            status: self.status,
            request_id: self.notes.request_id.clone(),
            reason: UnreadableReason::Unexpected,
        }
    }
}

impl AnswerNotes {
    pub(super) fn read(headers: &HeaderMap) -> AnswerNotes {
        let text =
            |name: &str| headers.get(name)?.to_str().ok().map(|value| value.chars().take(500).collect::<String>());
        AnswerNotes {
            request_id: text("request-id"),
            idempotent_replayed: text("idempotent-replayed").as_deref() == Some("true"),
            version: text("stripe-version"),
            should_retry: text("stripe-should-retry").and_then(|value| value.parse().ok()),
            rate_limited_reason: text("stripe-rate-limited-reason").map(RateLimitReason::from),
            notice: text("stripe-notice"),
        }
    }
}

/// Stripe's error object, or OAuth's `{"error": "name", "error_description": "…"}`.
///
/// # Errors
/// If it is not JSON, or neither of the two.
pub fn read_api_error(status: u16, body: &str, notes: &AnswerNotes) -> Result<ApiError, UnreadableReason> {
    let body: Value = serde_json::from_str(body).map_err(|_| UnreadableReason::NotJson)?;
    let text = |value: &Value, name: &str| value.get(name)?.as_str().map(str::to_owned);
    let known = ApiError {
        status,
        request_id: notes.request_id.clone(),
        should_retry: notes.should_retry,
        rate_limited_reason: notes.rate_limited_reason.clone(),
        ..ApiError::default()
    };
    match body.get("error") {
        Some(Value::String(name)) => Ok(ApiError {
            error_type: Some("oauth_error".to_owned()),
            code: Some(name.clone()),
            message: text(&body, "error_description").unwrap_or_default(),
            ..known
        }),
        Some(error @ Value::Object(_)) => Ok(ApiError {
            error_type: text(error, "type"),
            code: text(error, "code"),
            decline_code: text(error, "decline_code"),
            param: text(error, "param"),
            message: text(error, "message").or_else(|| text(error, "user_message")).unwrap_or_default(),
            doc_url: text(error, "doc_url"),
            ..known
        }),
        _ => Err(UnreadableReason::Unexpected),
    }
}
