//! The form encoding of Stripe's v1 API: `a[b][c]=x`, `items[0][price]=x`, `true`, `false`.
//!
//! Parameters are kept as JSON (that is also how an intent stores them) and become a form only on the wire. What is
//! `null` or empty is left out, so that an absent option never erases anything; a field is unset on purpose with
//! [`UNSET`]. Source: FACTS section 3.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};
use serde_json::{Map, Value};

/// The value that unsets a field or a metadata key.
pub const UNSET: &str = "";

/// Deepest nesting that is decoded; Stripe's own parameters stay far below.
const MAX_DEPTH: usize = 16;
/// Most pairs that are decoded from one form.
const MAX_PAIRS: usize = 10_000;

pub(crate) const UNRESERVED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~');

/// Why a text is not a form of Stripe's kind.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FormError {
    /// Percent-encoding that is not UTF-8.
    #[error("the form is not UTF-8")]
    NotUtf8,
    /// Brackets that do not pair up.
    #[error("the name `{0}` has brackets that do not pair up")]
    Brackets(String),
    /// One name given twice, or as a value and as a nest.
    #[error("the name `{0}` is given more than once")]
    Conflict(String),
    /// More than 16 levels or 10,000 pairs.
    #[error("the form is too large: 16 levels and 10,000 pairs are the most that is read")]
    TooLarge,
}

/// Encodes parameters. Brackets stay as they are; everything else that needs it is percent-encoded.
pub fn encode(params: &Map<String, Value>) -> String {
    let mut form = String::new();
    for (name, value) in params {
        encode_value(&mut form, &utf8_percent_encode(name, UNRESERVED).to_string(), value);
    }
    form
}

fn encode_value(form: &mut String, name: &str, value: &Value) {
    let mut pair = |text: &str| {
        if !form.is_empty() {
            form.push('&');
        }
        form.push_str(name);
        form.push('=');
        form.extend(utf8_percent_encode(text, UNRESERVED));
    };
    match value {
        Value::Null => {}
        Value::Bool(flag) => pair(if *flag { "true" } else { "false" }),
        Value::Number(number) => pair(&number.to_string()),
        Value::String(text) => pair(text),
        Value::Array(values) => {
            for (index, value) in values.iter().enumerate() {
                encode_value(form, &format!("{name}[{index}]"), value);
            }
        }
        Value::Object(fields) => {
            for (field, value) in fields {
                encode_value(form, &format!("{name}[{}]", utf8_percent_encode(field, UNRESERVED)), value);
            }
        }
    }
}

/// Decodes a form into nested JSON whose leaves are all text, with brackets raw or encoded and arrays as `a[0]` or `a[]`.
/// For tests, tools and fuzzing: it is the inverse of [`encode`].
pub fn decode(form: &str) -> Result<Map<String, Value>, FormError> {
    let mut root = Map::new();
    for (count, pair) in form.split('&').filter(|pair| !pair.is_empty()).enumerate() {
        if count >= MAX_PAIRS {
            return Err(FormError::TooLarge);
        }
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        let segments = segments(&brackets_decoded(name))?;
        insert(&mut root, &segments, plain(value)?, name)?;
    }
    Ok(root.into_iter().map(|(name, value)| (name, arrays_found(value))).collect())
}

fn plain(text: &str) -> Result<String, FormError> {
    let spaced = text.replace('+', " ");
    percent_decode_str(&spaced).decode_utf8().map(|text| text.into_owned()).map_err(|_| FormError::NotUtf8)
}

/// Brackets that a client percent-encoded are structure too, since Stripe's names hold none of their own.
fn brackets_decoded(name: &str) -> String {
    name.replace("%5B", "[").replace("%5b", "[").replace("%5D", "]").replace("%5d", "]")
}

fn segments(name: &str) -> Result<Vec<String>, FormError> {
    let brackets = || FormError::Brackets(name.chars().take(80).collect());
    let (first, mut rest) = name.split_at(name.find('[').unwrap_or(name.len()));
    if first.is_empty() || first.contains(']') {
        return Err(brackets());
    }
    let mut segments = vec![plain(first)?];
    while !rest.is_empty() {
        let inside = rest.strip_prefix('[').ok_or_else(brackets)?;
        let (segment, after) = inside.split_once(']').ok_or_else(brackets)?;
        if segment.contains('[') {
            return Err(brackets());
        }
        if segments.len() >= MAX_DEPTH {
            return Err(FormError::TooLarge);
        }
        segments.push(plain(segment)?);
        rest = after;
    }
    Ok(segments)
}

fn insert(nest: &mut Map<String, Value>, segments: &[String], value: String, name: &str) -> Result<(), FormError> {
    let conflict = || FormError::Conflict(name.chars().take(80).collect());
    let Some((first, rest)) = segments.split_first() else { return Err(conflict()) };
    let key = if first.is_empty() { nest.len().to_string() } else { first.clone() };
    if rest.is_empty() {
        return match nest.insert(key, Value::String(value)) {
            None => Ok(()),
            Some(_) => Err(conflict()),
        };
    }
    match nest.entry(key).or_insert_with(|| Value::Object(Map::new())) {
        Value::Object(inner) => insert(inner, rest, value, name),
        _ => Err(conflict()),
    }
}

/// A nest whose names are exactly 0 to n-1 is an array.
fn arrays_found(value: Value) -> Value {
    let Value::Object(mut fields) = value else { return value };
    let is_array = !fields.is_empty() && (0..fields.len()).all(|index| fields.contains_key(&index.to_string()));
    if is_array {
        let values = (0..fields.len()).filter_map(|index| fields.remove(&index.to_string()));
        return Value::Array(values.map(arrays_found).collect());
    }
    Value::Object(fields.into_iter().map(|(name, value)| (name, arrays_found(value))).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    fn map(value: Value) -> Map<String, Value> {
        match value {
            Value::Object(fields) => fields,
            other => panic!("{other} is no object"),
        }
    }

    #[test]
    fn parameters_become_the_forms_stripe_reads() {
        let check = |params: Value, form: &str| assert_eq!(encode(&map(params)), form);
        check(json!({}), "");
        check(json!({"limit": 100, "active": true, "auto": false}), "limit=100&active=true&auto=false");
        check(json!({"created": {"gte": 1, "lte": -2}}), "created[gte]=1&created[lte]=-2");
        check(json!({"expand": ["data.customer", "b"]}), "expand[0]=data.customer&expand[1]=b");
        check(json!({"items": [{"price": "p", "quantity": 2}]}), "items[0][price]=p&items[0][quantity]=2");
        check(json!({"a": {"b": {"c": [["x"]]}}}), "a[b][c][0][0]=x");
        check(json!({"name": "Jürgen & Söhne=100 %+"}), "name=J%C3%BCrgen%20%26%20S%C3%B6hne%3D100%20%25%2B");
        check(json!({"metadata": {"order no": "7", "gone": UNSET}}), "metadata[order%20no]=7&metadata[gone]=");
        check(json!({"tax_percent": 12.5}), "tax_percent=12.5");
    }

    #[test]
    fn what_was_not_said_is_not_sent() {
        assert_eq!(encode(&map(json!({"a": null, "metadata": {}, "expand": [], "b": {"c": null}}))), "");
    }

    #[test]
    fn forms_of_other_clients_are_read_too() {
        let check = |form: &str, params: Value| assert_eq!(decode(form), Ok(map(params)), "{form}");
        check("", json!({}));
        check("a=1&b=", json!({"a": "1", "b": ""}));
        check("expand[]=x&expand[]=y", json!({"expand": ["x", "y"]}));
        check("a%5Bb%5D%5B0%5D=x+y", json!({"a": {"b": ["x y"]}}));
        check("items[1][p]=b&items[0][p]=a", json!({"items": [{"p": "a"}, {"p": "b"}]}));
        check("flag", json!({"flag": ""}));
    }

    #[test]
    fn broken_forms_are_refused() {
        let check = |form: &str, error: FormError| assert_eq!(decode(form), Err(error), "{form}");
        check("a=%FF", FormError::NotUtf8);
        check("a[b=1", FormError::Brackets("a[b".into()));
        check("[b]=1", FormError::Brackets("[b]".into()));
        check("a[b]c=1", FormError::Brackets("a[b]c".into()));
        check("a=1&a=2", FormError::Conflict("a".into()));
        check("a=1&a[b]=2", FormError::Conflict("a[b]".into()));
        check("a[b]=2&a=1", FormError::Conflict("a".into()));
        check(&format!("a{}=1", "[b]".repeat(20)), FormError::TooLarge);
        check(&"a[]=1&".repeat(10_001), FormError::TooLarge);
    }

    /// Nested parameters with text leaves, no empty nests, and no names that look like an index.
    fn nested() -> impl Strategy<Value = Value> {
        let name = "[a-z_ é&=%+]{1,6}";
        let leaf = any::<String>().prop_map(Value::String);
        leaf.prop_recursive(4, 24, 4, move |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 1..4).prop_map(Value::Array),
                prop::collection::btree_map(name, inner, 1..4).prop_map(|fields| json!(fields)),
            ]
        })
    }

    proptest! {
        #[test]
        fn decoding_undoes_encoding(params in prop::collection::btree_map("[a-z]{1,8}", nested(), 0..5)) {
            let params = map(json!(params));
            prop_assert_eq!(decode(&encode(&params)).unwrap(), params);
        }

        #[test]
        fn any_text_is_decoded_or_refused(text in any::<String>()) {
            let _ = decode(&text);
        }

        #[test]
        fn what_is_decoded_survives_another_round(text in "[a-c\\[\\]0-2=&%]{0,40}") {
            if let Ok(params) = decode(&text) {
                prop_assert!(decode(&encode(&params)).is_ok());
            }
        }
    }
}
