//! Refusals in Stripe's shape (FACTS section 5): one type, a constructor for each kind a caller can tell apart.

use serde_json::{Map, Value, json};

/// Why a call was refused. It becomes the `error` object of the answer.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{status} {kind}: {message}")]
pub(crate) struct Refusal {
    /// HTTP status of the answer.
    pub(crate) status: u16,
    /// `type` of the error: `invalid_request_error`, `card_error`, `idempotency_error` or `api_error`.
    pub(crate) kind: &'static str,
    /// Stripe's `code`, where there is one.
    pub(crate) code: Option<&'static str>,
    /// What a person reads.
    pub(crate) message: String,
    /// The parameter at fault.
    pub(crate) param: Option<String>,
    /// Further members of the error object: `decline_code`, `charge`, `payment_intent` …
    pub(crate) more: Map<String, Value>,
    /// `Stripe-Rate-Limited-Reason` of a 429.
    pub(crate) limited_by: Option<&'static str>,
    /// `Stripe-Should-Retry`, where the answer says so.
    pub(crate) should_retry: Option<bool>,
}

impl Refusal {
    /// A refusal with a status and a message only.
    pub(crate) fn new(status: u16, message: impl Into<String>) -> Refusal {
        Refusal {
            status,
            kind: "invalid_request_error",
            code: None,
            message: message.into(),
            param: None,
            more: Map::new(),
            limited_by: None,
            should_retry: None,
        }
    }

    /// 400: the request is wrong.
    pub(crate) fn bad(message: impl Into<String>) -> Refusal {
        Refusal::new(400, message)
    }

    /// The same refusal with Stripe's code.
    #[must_use]
    pub(crate) fn code(mut self, code: &'static str) -> Refusal {
        self.code = Some(code);
        self
    }

    /// The same refusal naming a parameter.
    #[must_use]
    pub(crate) fn param(mut self, param: impl Into<String>) -> Refusal {
        self.param = Some(param.into());
        self
    }

    /// The same refusal with one more member.
    #[must_use]
    pub(crate) fn with(mut self, member: &str, value: Value) -> Refusal {
        self.more.insert(member.to_owned(), value);
        self
    }

    /// 400 `parameter_missing`.
    pub(crate) fn missing(param: &str) -> Refusal {
        Refusal::bad(format!("Missing required param: {param}.")).code("parameter_missing").param(param)
    }

    /// 404 for an id in the path, 400 for an id in a parameter: both `resource_missing`.
    pub(crate) fn no_such(noun: &str, id: &str, param: Option<&str>) -> Refusal {
        let status = if param.is_some() { 400 } else { 404 };
        Refusal::new(status, format!("No such {noun}: '{id}'")).code("resource_missing").param(param.unwrap_or("id"))
    }

    /// 402: the card was declined.
    pub(crate) fn declined(code: &'static str, decline_code: Option<&str>, message: &str) -> Refusal {
        let mut refusal = Refusal::new(402, message).code(code);
        refusal.kind = "card_error";
        match decline_code {
            Some(decline_code) => refusal.with("decline_code", decline_code.into()),
            None => refusal,
        }
    }

    /// 429 with the reason that Stripe names in `Stripe-Rate-Limited-Reason` (FACTS section 7).
    pub(crate) fn limited(reason: &'static str) -> Refusal {
        let mut refusal = Refusal::new(
            429,
            "Request rate limit exceeded. Requests are arriving faster than this account may send them; slow down and retry.",
        )
        .code("rate_limit");
        refusal.limited_by = Some(reason);
        refusal
    }

    /// 500 in Stripe's shape.
    pub(crate) fn internal(message: impl Into<String>) -> Refusal {
        let mut refusal = Refusal::new(500, message);
        refusal.kind = "api_error";
        refusal
    }

    /// The body of an answer of v2: a code is always there, and what is wrong with the fields has one code for all
    /// (FACTS section 5).
    pub(crate) fn body_v2(&self, request_id: &str) -> Value {
        let mut body = self.body(request_id);
        let fields = [
            "parameter_missing",
            "parameter_unknown",
            "parameter_invalid_empty",
            "parameter_invalid_integer",
            "url_invalid",
        ];
        let code = match (self.code, self.status) {
            (Some(code), _) if fields.contains(&code) => "invalid_fields",
            (Some(code), _) => code,
            (None, 400) if self.param.is_some() => "invalid_fields",
            (None, 401) => "unauthenticated",
            (None, 403) => "forbidden",
            (None, 404) => "not_found",
            (None, 429) => "rate_limit",
            (None, 500..) => "internal_error",
            (None, _) => "invalid_request",
        };
        if self.status == 429 {
            body["error"]["type"] = "rate_limit".into();
        }
        body["error"]["code"] = code.into();
        body
    }

    /// The body of the answer.
    pub(crate) fn body(&self, request_id: &str) -> Value {
        let mut error = Map::new();
        error.insert("type".to_owned(), self.kind.into());
        if let Some(code) = self.code {
            error.insert("code".to_owned(), code.into());
            error.insert(
                "doc_url".to_owned(),
                format!("https://stripe.com/docs/error-codes/{}", code.replace('_', "-")).into(),
            );
        }
        error.insert("message".to_owned(), self.message.clone().into());
        if let Some(param) = &self.param {
            error.insert("param".to_owned(), param.clone().into());
        }
        for (member, value) in &self.more {
            error.insert(member.clone(), value.clone());
        }
        error.insert(
            "request_log_url".to_owned(),
            format!("https://dashboard.stripe.com/test/logs/{request_id}").into(),
        );
        json!({ "error": error })
    }
}
