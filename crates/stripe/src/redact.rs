//! Cutting out what opens a payment: Stripe puts `client_secret` into payment intents, setup intents and checkout
//! sessions, in events as in answers. Nobody here needs it, so it is not kept.
//!
//! A body is neither parsed nor copied unless the name stands in it: one search of its bytes, on the way to an
//! acknowledgement.

use memchr::memmem::Finder;
use std::{borrow::Cow, sync::LazyLock};

/// The field as it stands in JSON. Inside a text the quotes would be escaped, so this matches names only.
const FIELD: &str = "\"client_secret\"";
/// What stands in a secret's place.
const REDACTED: &str = "[redacted]";

static FINDER: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new(FIELD));

/// A JSON document without what its fields `client_secret` hold, at any depth; the same bytes if there are none. A value
/// that is no text, such as `null`, is left.
pub fn without_client_secrets(body: &str) -> Cow<'_, str> {
    let mut kept = String::new();
    let mut copied = 0;
    for at in FINDER.find_iter(body.as_bytes()) {
        let Some((from, to)) = text_after(body, at + FIELD.len()).filter(|found| found.0 >= copied) else { continue };
        if &body[from..to] == REDACTED {
            continue;
        }
        kept.push_str(&body[copied..from]);
        kept.push_str(REDACTED);
        copied = to;
    }
    if copied == 0 {
        return Cow::Borrowed(body);
    }
    kept.push_str(&body[copied..]);
    Cow::Owned(kept)
}

/// Where the text begins and ends, without its quotes, that a name ending at `at` has as its value.
fn text_after(body: &str, at: usize) -> Option<(usize, usize)> {
    let bytes = body.as_bytes();
    let skip = |mut at: usize| {
        while bytes.get(at).is_some_and(u8::is_ascii_whitespace) {
            at += 1;
        }
        at
    };
    let colon = skip(at);
    if bytes.get(colon) != Some(&b':') {
        return None;
    }
    let quote = skip(colon + 1);
    if bytes.get(quote) != Some(&b'"') {
        return None;
    }
    let from = quote + 1;
    let mut end = from;
    loop {
        match bytes.get(end)? {
            b'"' => return Some((from, end)),
            b'\\' => end += 2,
            _ => end += 1,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_opens_a_payment_is_cut_out_wherever_it_stands() {
        let check = |body: &str, expected: &str| assert_eq!(without_client_secrets(body), expected, "{body}");
        let cut = r#"{"id":"pi_1","client_secret":"[redacted]","x":1}"#;
        check(r#"{"id":"pi_1","client_secret":"pi_1_secret_2","x":1}"#, cut);
        check(cut, cut);
        check(
            "{\n  \"client_secret\": \"s\",\n  \"x\": 1\n}",
            "{\n  \"client_secret\": \"[redacted]\",\n  \"x\": 1\n}",
        );
        check(r#"{"client_secret":"a\"b\\","x":"y"}"#, r#"{"client_secret":"[redacted]","x":"y"}"#);
        check(
            r#"{"a":{"client_secret":"s"},"b":[{"client_secret":"é"}]}"#,
            r#"{"a":{"client_secret":"[redacted]"},"b":[{"client_secret":"[redacted]"}]}"#,
        );
        for untouched in [
            "",
            "{}",
            r#"{"client_secret":null}"#,
            r#"{"client_secret":{"x":"y"}}"#,
            r#"{"x":"client_secret"}"#,
            r#"["client_secret","s"]"#,
            r#"{"note":"\"client_secret\":\"s\""}"#,
            r#"{"other_client_secret":"s"}"#,
            r#"{"client_secret":"cut"#,
            r#"{"client_secret":"cut\"#,
            r#"{"client_secret""#,
        ] {
            assert!(
                matches!(without_client_secrets(untouched), Cow::Borrowed(text) if text == untouched),
                "{untouched}"
            );
        }
    }

    proptest::proptest! {
        #[test]
        fn a_document_stays_a_document(secret in ".{0,40}", before in ".{0,20}", spaced in proptest::bool::ANY) {
            let value = serde_json::json!({ "a": before, "client_secret": secret, "z": [{ "client_secret": secret }] });
            let body = if spaced { serde_json::to_string_pretty(&value) } else { serde_json::to_string(&value) };
            let kept: serde_json::Value = serde_json::from_str(&without_client_secrets(&body.unwrap())).unwrap();
            let expected = serde_json::json!({
                "a": before, "client_secret": REDACTED, "z": [{ "client_secret": REDACTED }],
            });
            proptest::prop_assert_eq!(kept, expected);
        }
    }
}
