//! What each error means, and whether trying again can help: every decision about an answer is made here.

use super::{ApiError, CallError, NetworkFault, RateLimitReason, Unsendable};
use std::borrow::Cow;

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
            CallError::Unreadable { status: 200..=299 | 429 | 500..=599, .. } => RetryAdvice::Linear { retries: 3 },
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::UnreadableReason;

    /// `status type code should-retry | class advice`, with `-` for what is absent.
    const TABLE: &str = "
        400 invalid_request_error parameter_unknown      - | stripe_invalid_request     never
        400 invalid_request_error resource_missing       - | stripe_invalid_request     never
        400 invalid_request_error parameter_unknown   true | stripe_invalid_request     exponential 3
        400 invalid_request_error rate_limit             - | stripe_rate_limited        exponential 5
        400 rate_limit            -                      - | stripe_rate_limited        exponential 5
        400 idempotency_error     -                      - | stripe_idempotency_conflict never
        400 -                     invalid_grant          - | stripe_invalid_request     never
        401 invalid_request_error -                      - | stripe_key_refused         never
        401 authentication_error  api_key_expired        - | stripe_key_refused         never
        401 oauth_error           invalid_client         - | stripe_key_refused         never
        403 invalid_request_error secret_key_required    - | stripe_key_refused         never
        402 card_error            card_declined          - | stripe_declined            never
        402 card_error            card_declined       true | stripe_declined            exponential 3
        403 invalid_request_error -                      - | stripe_permission_missing  never
        403 invalid_request_error account_invalid        - | stripe_account_invalid     never
        404 invalid_request_error resource_missing       - | stripe_not_found           never
        404 invalid_request_error -                      - | stripe_invalid_request     never
        409 idempotency_error     idempotency_key_in_use - | stripe_idempotency_in_use  exponential 5
        409 invalid_request_error -                      - | stripe_conflict            exponential 3
        409 invalid_request_error -                  false | stripe_conflict            never
        424 api_error             -                      - | stripe_failed              exponential 3
        429 invalid_request_error rate_limit             - | stripe_rate_limited        exponential 5
        429 invalid_request_error -                      - | stripe_rate_limited        exponential 5
        429 invalid_request_error rate_limit         false | stripe_rate_limited        never
        429 invalid_request_error rate_limit          true | stripe_rate_limited        exponential 5
        429 invalid_request_error lock_timeout           - | stripe_lock_timeout        exponential 5
        500 api_error             -                      - | stripe_failed              exponential 3
        500 api_error             -                  false | stripe_failed              never
        503 -                     -                      - | stripe_failed              exponential 3
        418 -                     -                      - | stripe_invalid_request     never
    ";

    fn given(text: &str) -> Option<String> {
        (text != "-").then(|| text.to_owned())
    }

    fn written(advice: RetryAdvice) -> String {
        match advice {
            RetryAdvice::Never => "never".to_owned(),
            RetryAdvice::Exponential { retries } => format!("exponential {retries}"),
            RetryAdvice::Linear { retries } => format!("linear {retries}"),
        }
    }

    fn check(error: &CallError, code: &str, advice: &str) {
        assert_eq!((error.code(), written(error.retry_advice()).as_str()), (code, advice), "{error:?}");
        assert!(!error.class().remedy().is_empty());
    }

    #[test]
    fn answers_are_classed_and_advised() {
        for row in TABLE.lines().map(str::trim).filter(|row| !row.is_empty()) {
            let (given_part, expected) = row.split_once(" | ").unwrap();
            let words: Vec<&str> = given_part.split_whitespace().collect();
            let error = CallError::Api(Box::new(ApiError {
                status: words[0].parse().unwrap(),
                error_type: given(words[1]),
                code: given(words[2]),
                should_retry: given(words[3]).map(|word| word.parse().unwrap()),
                ..ApiError::default()
            }));
            let (code, advice) = expected.split_once(' ').unwrap();
            check(&error, code, advice.trim());
        }
    }

    #[test]
    fn what_gave_no_answer_is_classed_and_advised() {
        let network = |fault| CallError::Network { fault, before_sent: false, detail: String::new() };
        for fault in
            [NetworkFault::Name, NetworkFault::Connect, NetworkFault::Timeout, NetworkFault::Cut, NetworkFault::Other]
        {
            check(&network(fault), "stripe_unreachable", "linear 3");
        }
        check(&network(NetworkFault::Tls), "stripe_unreachable", "never");
        let unreadable = |status| CallError::Unreadable { status, request_id: None, reason: UnreadableReason::NotJson };
        check(&unreadable(200), "stripe_unreadable_answer", "linear 3");
        check(&unreadable(302), "stripe_unreadable_answer", "never");
        check(&unreadable(404), "stripe_unreadable_answer", "never");
        check(&unreadable(502), "stripe_unreadable_answer", "linear 3");
        check(&CallError::Unsendable(Unsendable::ApiKey), "stripe_key_refused", "never");
        check(&CallError::Unsendable(Unsendable::Path), "stripe_invalid_request", "never");
    }

    #[test]
    fn outages_and_doubts_are_told_from_refusals() {
        let api = |status| CallError::Api(Box::new(ApiError { status, ..ApiError::default() }));
        let network =
            |before_sent| CallError::Network { fault: NetworkFault::Connect, before_sent, detail: String::new() };
        let unreadable = |status| CallError::Unreadable { status, request_id: None, reason: UnreadableReason::NotJson };
        let check = |error: CallError, is_outage: bool, in_doubt: bool| {
            assert_eq!((error.is_outage(), error.may_have_had_effect()), (is_outage, in_doubt), "{error:?}");
        };
        check(api(400), false, false);
        check(api(429), false, false);
        check(api(500), true, true);
        check(network(true), true, false);
        check(network(false), true, true);
        check(unreadable(200), false, true);
        check(unreadable(403), false, false);
        check(unreadable(503), true, true);
        check(CallError::Unsendable(Unsendable::Account), false, false);
    }

    #[test]
    fn a_missing_permission_is_named_as_stripe_names_it() {
        let check = |message: &str, permission: Option<&str>| {
            let error = ApiError { status: 403, message: message.to_owned(), ..ApiError::default() };
            assert_eq!(error.class(), ErrorClass::Permission { permission: permission.map(str::to_owned) });
        };
        check(
            "The provided key 'rk_test_*' lacks the required permissions. Having 'rak_charge_read' would allow this.",
            Some("rak_charge_read"),
        );
        check("Needs rak_balance_transaction_source_read.", Some("rak_balance_transaction_source_read"));
        check("You may not do this.", None);
        let class = ErrorClass::Permission { permission: Some("rak_charge_read".into()) };
        assert!(class.remedy().contains("`rak_charge_read`"));
    }

    #[test]
    fn a_lost_cursor_is_told_from_a_lost_object() {
        let error = |param: Option<&str>| ApiError {
            status: 400,
            code: Some("resource_missing".into()),
            param: param.map(str::to_owned),
            ..ApiError::default()
        };
        assert!(error(Some("starting_after")).is_cursor_missing() && error(Some("ending_before")).is_cursor_missing());
        assert!(!error(Some("customer")).is_cursor_missing() && !error(None).is_cursor_missing());
    }

    #[test]
    fn reasons_of_limits_keep_their_words() {
        for text in [
            "global-rate",
            "endpoint-rate",
            "global-concurrency",
            "endpoint-concurrency",
            "resource-specific",
            "of-tomorrow",
        ] {
            let reason = RateLimitReason::from(text.to_owned());
            assert_eq!(reason.to_string(), text);
            assert_eq!(matches!(reason, RateLimitReason::Other(_)), text == "of-tomorrow");
        }
    }
}
