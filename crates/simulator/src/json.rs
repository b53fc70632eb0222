//! Writing objects straight to JSON text, and reading single members out of such text.
//!
//! A generated business holds hundreds of thousands of objects. Building a tree for each and then printing it costs
//! ten times what writing the text costs, and keeping trees costs ten times the memory. So objects are kept as their
//! text: lists are answered by joining texts, and only a change parses one.

use serde_json::Value;
use std::{borrow::Cow, sync::Arc};

/// Something that can be written as a JSON value.
pub(crate) trait Json {
    /// Appends the value to `out`.
    fn write(&self, out: &mut String);
}

impl Json for str {
    fn write(&self, out: &mut String) {
        out.push('"');
        if self.bytes().all(|byte| byte >= 0x20 && byte != b'"' && byte != b'\\') {
            out.push_str(self);
        } else {
            for letter in self.chars() {
                match letter {
                    '"' => out.push_str("\\\""),
                    '\\' => out.push_str("\\\\"),
                    control if control < ' ' => out.push_str(&format!("\\u{:04x}", control as u32)),
                    other => out.push(other),
                }
            }
        }
        out.push('"');
    }
}
impl Json for String {
    fn write(&self, out: &mut String) {
        self.as_str().write(out);
    }
}
impl Json for Arc<str> {
    fn write(&self, out: &mut String) {
        self.as_ref().write(out);
    }
}
impl Json for Cow<'_, str> {
    fn write(&self, out: &mut String) {
        self.as_ref().write(out);
    }
}
impl Json for bool {
    fn write(&self, out: &mut String) {
        out.push_str(if *self { "true" } else { "false" });
    }
}
impl Json for i64 {
    fn write(&self, out: &mut String) {
        let mut digits = [0_u8; 20];
        let mut at = digits.len();
        let mut rest = self.unsigned_abs();
        loop {
            at -= 1;
            digits[at] = b'0' + (rest % 10) as u8;
            rest /= 10;
            if rest == 0 {
                break;
            }
        }
        if *self < 0 {
            out.push('-');
        }
        out.extend(digits[at..].iter().map(|digit| *digit as char));
    }
}
impl<T: Json + ?Sized> Json for &T {
    fn write(&self, out: &mut String) {
        (**self).write(out);
    }
}
impl<T: Json> Json for Option<T> {
    fn write(&self, out: &mut String) {
        match self {
            Some(value) => value.write(out),
            None => out.push_str("null"),
        }
    }
}
impl<T: Json> Json for [T] {
    fn write(&self, out: &mut String) {
        out.push('[');
        for (at, value) in self.iter().enumerate() {
            if at > 0 {
                out.push(',');
            }
            value.write(out);
        }
        out.push(']');
    }
}
impl<T: Json> Json for Vec<T> {
    fn write(&self, out: &mut String) {
        self.as_slice().write(out);
    }
}
impl Json for Value {
    fn write(&self, out: &mut String) {
        out.push_str(&self.to_string());
    }
}

/// Text that already is JSON.
pub(crate) struct Raw<'a>(pub(crate) &'a str);
impl Json for Raw<'_> {
    fn write(&self, out: &mut String) {
        out.push_str(self.0);
    }
}

/// Metadata as pairs, for objects that are made by the thousand.
#[derive(Clone, Default)]
pub(crate) struct Pairs(pub(crate) Vec<(&'static str, String)>);
impl Json for Pairs {
    fn write(&self, out: &mut String) {
        out.push('{');
        for (at, (key, value)) in self.0.iter().enumerate() {
            if at > 0 {
                out.push(',');
            }
            key.write(out);
            out.push(':');
            value.write(out);
        }
        out.push('}');
    }
}

/// Writes an object as JSON text: `json_text!({ "id": id, "customer": null, "outcome": { "type": kind } })`.
///
/// Values are `null`, nested `{…}`, lists `[…]` of values, or any expression that is [`Json`].
macro_rules! json_text {
    ({ $($body:tt)* }) => {{
        let mut out = String::with_capacity(1536);
        $crate::json::json_into!(out, { $($body)* });
        out
    }};
}

/// The worker of [`json_text!`]: appends one value to a `String`.
macro_rules! json_into {
    ($out:ident, {}) => { $out.push_str("{}") };
    ($out:ident, { $key:literal : $($rest:tt)+ }) => {{
        $out.push_str(concat!("{\"", $key, "\":"));
        $crate::json::json_into!(@member $out $($rest)+);
        $out.push('}');
    }};
    ($out:ident, []) => { $out.push_str("[]") };
    ($out:ident, [ $($element:tt),+ $(,)? ]) => {{
        $out.push('[');
        $( $crate::json::json_into!(@element $out $element); $out.push(','); )+
        $out.pop();
        $out.push(']');
    }};
    (@element $out:ident null) => { $out.push_str("null") };
    (@element $out:ident { $($inner:tt)* }) => { $crate::json::json_into!($out, { $($inner)* }) };
    (@element $out:ident $value:expr) => { $crate::json::Json::write(&$value, &mut $out) };
    (@member $out:ident null , $key:literal : $($rest:tt)+) => {
        $out.push_str(concat!("null,\"", $key, "\":"));
        $crate::json::json_into!(@member $out $($rest)+);
    };
    (@member $out:ident null $(,)?) => { $out.push_str("null") };
    (@member $out:ident { $($inner:tt)* } , $key:literal : $($rest:tt)+) => {
        $crate::json::json_into!($out, { $($inner)* });
        $out.push_str(concat!(",\"", $key, "\":"));
        $crate::json::json_into!(@member $out $($rest)+);
    };
    (@member $out:ident { $($inner:tt)* } $(,)?) => { $crate::json::json_into!($out, { $($inner)* }) };
    (@member $out:ident [ $($inner:tt)* ] , $key:literal : $($rest:tt)+) => {
        $crate::json::json_into!($out, [ $($inner)* ]);
        $out.push_str(concat!(",\"", $key, "\":"));
        $crate::json::json_into!(@member $out $($rest)+);
    };
    (@member $out:ident [ $($inner:tt)* ] $(,)?) => { $crate::json::json_into!($out, [ $($inner)* ]) };
    (@member $out:ident $value:expr , $key:literal : $($rest:tt)+) => {
        $crate::json::Json::write(&$value, &mut $out);
        $out.push_str(concat!(",\"", $key, "\":"));
        $crate::json::json_into!(@member $out $($rest)+);
    };
    (@member $out:ident $value:expr $(,)?) => { $crate::json::Json::write(&$value, &mut $out) };
}
pub(crate) use {json_into, json_text};

/// Calls `seen` with each member of an object and the raw text of its value, for as long as it answers true. `text` must
/// be compact JSON of ours.
pub(crate) fn members<'a>(text: &'a str, mut seen: impl FnMut(&'a str, &'a str) -> bool) {
    let bytes = text.as_bytes();
    let mut at = 1;
    while at < bytes.len() && bytes[at] == b'"' {
        let key_end = string_end(bytes, at);
        let value_start = key_end + 1;
        let value_end = value_end(bytes, value_start);
        if !seen(&text[at + 1..key_end - 1], &text[value_start..value_end]) {
            return;
        }
        at = value_end + 1;
    }
}

/// The raw text of one member, found by a path such as `parent.subscription_details.subscription`.
pub(crate) fn member<'a>(text: &'a str, path: &str) -> Option<&'a str> {
    let (key, rest) = match path.split_once('.') {
        Some((key, rest)) => (key, Some(rest)),
        None => (path, None),
    };
    let mut found = None;
    if text.starts_with('{') {
        members(text, |name, value| {
            if name == key {
                found = Some(value);
            }
            found.is_none()
        });
    }
    match (found, rest) {
        (Some(value), Some(rest)) => member(value, rest),
        (found, _) => found,
    }
}

/// What a raw scalar says: a string without its quotes, a number or boolean as written; nothing for null, `{` and `[`.
pub(crate) fn plain(raw: &str) -> Option<Cow<'_, str>> {
    match raw.as_bytes().first()? {
        b'"' if !raw.contains('\\') => Some(Cow::Borrowed(&raw[1..raw.len() - 1])),
        b'"' => serde_json::from_str::<String>(raw).ok().map(Cow::Owned),
        b'n' | b'{' | b'[' => None,
        _ => Some(Cow::Borrowed(raw)),
    }
}

/// One member as plain text; `None` when it is absent, null or not a scalar.
pub(crate) fn plain_member<'a>(text: &'a str, path: &str) -> Option<Cow<'a, str>> {
    member(text, path).and_then(plain)
}

/// One member as an integer.
pub(crate) fn integer_member(text: &str, path: &str) -> Option<i64> {
    member(text, path)?.parse().ok()
}

/// The index just after the string that opens at `start`.
fn string_end(bytes: &[u8], start: usize) -> usize {
    let mut at = start + 1;
    while at < bytes.len() {
        match bytes[at] {
            b'\\' => at += 2,
            b'"' => return at + 1,
            _ => at += 1,
        }
    }
    bytes.len()
}

/// The index just after the value that begins at `start`.
fn value_end(bytes: &[u8], start: usize) -> usize {
    let mut at = start;
    let mut depth = 0_usize;
    while at < bytes.len() {
        match bytes[at] {
            b'"' => {
                at = string_end(bytes, at);
                if depth == 0 {
                    return at;
                }
                continue;
            }
            b'{' | b'[' => depth += 1,
            b'}' | b']' if depth == 0 => return at,
            b'}' | b']' => {
                depth -= 1;
                if depth == 0 {
                    return at + 1;
                }
            }
            b',' if depth == 0 => return at,
            _ => {}
        }
        at += 1;
    }
    bytes.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_written_as_serde_reads_it() {
        let name = "Zoë \"the\\ \u{1} quick\"";
        let text = json_text!({
            "id": "x", "name": name, "none": null, "some": Some(-7_i64), "list": [1_i64, { "a": true }, null],
            "empty": {}, "nothing": [], "deep": { "a": { "b": [] }, "c": Raw("[1,2]") }, "least": i64::MIN,
        });
        let read: Value = serde_json::from_str(&text).unwrap();
        assert_eq!(read["name"], name);
        assert_eq!(read["some"], -7);
        assert_eq!(read["list"], serde_json::json!([1, {"a": true}, null]));
        assert_eq!(read["deep"], serde_json::json!({"a": {"b": []}, "c": [1, 2]}));
        assert_eq!(read["least"], i64::MIN);
        assert_eq!(read.to_string().len(), text.len(), "compact, as serde writes it");
    }

    #[test]
    fn members_are_found_without_parsing_the_rest() {
        let text =
            r#"{"a":"x\"},","b":{"customer":"inner","c":[1,{"d":2}]},"customer":"outer","n":null,"i":-12,"t":true}"#;
        let check =
            |path: &str, expected: Option<&str>| assert_eq!(plain_member(text, path).as_deref(), expected, "{path}");
        check("a", Some("x\"},"));
        check("customer", Some("outer"));
        check("b.customer", Some("inner"));
        check("b.c", None);
        check("n", None);
        check("i", Some("-12"));
        check("t", Some("true"));
        check("missing", None);
        check("a.b", None);
        assert_eq!(plain_member("{}", "a"), None);
    }
}
