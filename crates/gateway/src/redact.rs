//! Cutting secrets out of what is kept or shown: a stored answer must open nothing.

use serde_json::Value;

/// What stands in a secret's place.
const REDACTED: &str = "[redacted]";
/// Longest text that is kept.
pub const MOST_BYTES: usize = 64 << 10;

/// Names of fields that hold secrets: webhook endpoints, payment and setup intents, sessions, OAuth.
fn is_secret(name: &str) -> bool {
    matches!(name, "secret" | "client_secret" | "access_token" | "refresh_token" | "api_key" | "password")
        || name.ends_with("_secret")
}

/// Replaces what fields with secrets hold, at any depth.
pub fn redact(value: &mut Value) {
    match value {
        Value::Object(fields) => {
            for (name, field) in fields {
                if is_secret(name) && field.is_string() { *field = REDACTED.into() } else { redact(field) }
            }
        }
        Value::Array(items) => items.iter_mut().for_each(redact),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

/// A JSON document without its secrets; none if it is no JSON or larger than what is kept.
pub fn redacted_text(text: &str) -> Option<String> {
    if text.len() > MOST_BYTES {
        return None;
    }
    let mut value: Value = serde_json::from_str(text).ok()?;
    redact(&mut value);
    Some(value.to_string())
}

/// Whether an object is, or holds, a secret that opens something of ours: a new webhook endpoint's, for instance. Such
/// an answer is for its handler alone. (`client_secret` opens one payment only, and events carry it too.)
pub fn carries_secret(text: &str) -> bool {
    #[derive(serde::Deserialize)]
    struct Head {
        secret: Option<Value>,
        access_token: Option<Value>,
    }
    serde_json::from_str::<Head>(text).is_ok_and(|head| head.secret.is_some() || head.access_token.is_some())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_cut_out_at_any_depth() {
        let check = |text: &str, expected: &str| assert_eq!(redacted_text(text).as_deref(), Some(expected), "{text}");
        check(r#"{"id":"we_1","secret":"whsec_1"}"#, r#"{"id":"we_1","secret":"[redacted]"}"#);
        check(r#"{"a":[{"client_secret":"x"}]}"#, r#"{"a":[{"client_secret":"[redacted]"}]}"#);
        check(
            r#"{"secret":null,"confirmation_secret":{"client_secret":"x"}}"#,
            r#"{"secret":null,"confirmation_secret":{"client_secret":"[redacted]"}}"#,
        );
        assert!(carries_secret(r#"{"id":"we_1","secret":"whsec_1"}"#));
        assert!(!carries_secret(r#"{"id":"pi_1","client_secret":"x"}"#));
        assert_eq!(redacted_text("not json"), None);
        assert_eq!(redacted_text(&format!("\"{}\"", "x".repeat(MOST_BYTES))), None);
    }
}
