//! Cursors of lists, Stripe's errors, and the problems that we answer. The input: lines of text; the last holds the rest.

use axum::response::IntoResponse;
use futures::FutureExt;
use http_body_util::BodyExt;
use kit::{Cursor, PageRequest};
use platform::Problem;
use serde::{Serialize, de::DeserializeOwned};
use serde_json::{Value, json};
use std::fmt::Debug;
use stripe::{
    CallError,
    client::{AnswerNotes, read_api_error},
};

/// See the module.
pub fn run(bytes: &[u8]) -> bool {
    let Ok(text) = std::str::from_utf8(bytes) else { return false };
    let (first, rest) = text.split_once('\n').unwrap_or((text, ""));
    // All are tried, whichever is understood.
    let understood = [cursor(first), api_error(rest), api_error(text)];
    problem(first, rest);
    understood.contains(&true)
}

/// A cursor is one of ours or refused, and ours comes back as it was.
fn cursor(text: &str) -> bool {
    let Ok(asked) = serde_json::from_value::<PageRequest>(json!({ "cursor": text, "limit": text.len() })) else {
        return false;
    };
    assert!((1..=200).contains(&asked.limit()), "a page of {}", asked.limit());
    let understood = [
        same::<(i64, String)>(&asked),
        same::<(i64, i64, String)>(&asked),
        same::<String>(&asked),
        same::<Value>(&asked),
    ];
    understood.contains(&true)
}

fn same<K: Serialize + DeserializeOwned + PartialEq + Debug>(asked: &PageRequest) -> bool {
    let Ok(Some(key)) = asked.after::<K>() else { return false };
    assert_eq!(Cursor::encode(&key).decode::<K>(), Ok(key), "a key does not come back");
    true
}

/// Whatever Stripe, or a proxy in its name, answers to a call that failed.
fn api_error(body: &str) -> bool {
    let status = 400 + u16::try_from(body.len() % 200).unwrap_or_default();
    let Ok(error) = read_api_error(status, body, &AnswerNotes::default()) else { return false };
    let error = CallError::Api(Box::new(error));
    assert_eq!(error.status(), Some(status));
    let _ = (error.class(), error.retry_advice(), error.is_outage(), error.may_have_had_effect(), error.code());
    let _ = (error.to_string(), format!("{error:?}"));
    true
}

/// A problem is one JSON document that says what was put into it.
fn problem(detail: &str, field: &str) {
    let problem = Problem::bad_field(field, detail).with("more", detail);
    let status = problem.status_code();
    let response = problem.into_response();
    assert_eq!(response.status(), status);
    assert_eq!(response.headers()[http::header::CONTENT_TYPE], "application/problem+json");
    let body = response.into_body().collect().now_or_never().and_then(Result::ok);
    let body = body.map(|body| body.to_bytes()).unwrap_or_default();
    let told: Value = serde_json::from_slice(&body).unwrap_or_default();
    assert_eq!((&told["detail"], &told["field"], &told["more"]), (&detail.into(), &field.into(), &detail.into()));
    assert_eq!(told["status"], status.as_u16());
}
