//! Form encoding both ways: our client's, against the simulator's decoder, which shares no code with it.
//!
//! The input is a form as somebody sends it, and also the stuff that parameters are made of.

use arbitrary::{Result, Unstructured};
use serde_json::{Map, Value};
use std::collections::BTreeMap;
use stripe::form;

/// A form as paths and texts: what both decoders must agree on, however they nest it.
type Leaves = BTreeMap<Vec<String>, String>;

/// Both decoders refuse more than this many levels or pairs, the simulator first.
const DEPTH_MAX: usize = 6;
const FIELDS_MAX: usize = 5;

/// See the module.
pub fn run(bytes: &[u8]) -> bool {
    // An input too short for what it begins is no failure.
    let built = parameters(&mut Unstructured::new(bytes)).map(|parameters| comes_back(&parameters)).is_ok();
    std::str::from_utf8(bytes).map_or(built, as_sent)
}

/// Any text: neither decoder falls over, and where both understand it, they understand the same.
fn as_sent(text: &str) -> bool {
    let (ours, theirs) = (form::decode(text), simulator::decode_form(text));
    let Ok(ours) = ours else { return false };
    let again = form::decode(&form::encode(&ours));
    assert_eq!(again.as_ref(), Ok(&ours), "what was decoded does not come back: {text}");
    // `a[]` numbers by what is there already, which each does in its own way.
    let numbered = !ours.is_empty() && !text.contains("[]") && !text.to_ascii_lowercase().contains("%5b%5d");
    if let (true, Ok(theirs)) = (numbered && !mixes_empty_brackets(text), theirs) {
        assert_eq!(leaves(&ours), leaves(&theirs), "{text}");
    }
    true
}

/// `[%5D` and `%5B]` are empty brackets too.
fn mixes_empty_brackets(text: &str) -> bool {
    let text = text.to_ascii_lowercase();
    text.contains("[%5d") || text.contains("%5b]")
}

/// Any parameters: what our client encodes is what the simulator decodes.
fn comes_back(parameters: &Map<String, Value>) {
    let encoded = form::encode(parameters);
    let expected = leaves(parameters);
    let ours = form::decode(&encoded).map(|decoded| leaves(&decoded));
    assert_eq!(ours.as_ref(), Ok(&expected), "ours: {encoded}");
    let theirs = simulator::decode_form(&encoded).map(|decoded| leaves(&decoded));
    assert_eq!(theirs.as_ref(), Ok(&expected), "the simulator's: {encoded}");
}

fn leaves(parameters: &Map<String, Value>) -> Leaves {
    let mut found = Leaves::new();
    fields_of(parameters, &mut Vec::new(), &mut found);
    found
}

fn fields_of(fields: &Map<String, Value>, path: &mut Vec<String>, found: &mut Leaves) {
    for (name, value) in fields {
        leaf(name.clone(), value, path, found);
    }
}

fn leaf(name: String, value: &Value, path: &mut Vec<String>, found: &mut Leaves) {
    path.push(name);
    let text = match value {
        Value::Null => None,
        Value::Bool(flag) => Some(flag.to_string()),
        Value::Number(number) => Some(number.to_string()),
        Value::String(text) => Some(text.clone()),
        Value::Array(values) => {
            values.iter().enumerate().for_each(|(at, value)| leaf(at.to_string(), value, path, found));
            None
        }
        Value::Object(fields) => {
            fields_of(fields, path, found);
            None
        }
    };
    if let Some(text) = text {
        found.insert(path.clone(), text);
    }
    path.pop();
}

fn parameters(bytes: &mut Unstructured<'_>) -> Result<Map<String, Value>> {
    fields(bytes, 0)
}

fn fields(bytes: &mut Unstructured<'_>, depth: usize) -> Result<Map<String, Value>> {
    let count = bytes.int_in_range(1..=FIELDS_MAX)?;
    (0..count).map(|_| Ok((name(bytes)?, value(bytes, depth + 1)?))).collect()
}

/// Stripe's names are never empty and hold no brackets.
fn name(bytes: &mut Unstructured<'_>) -> Result<String> {
    let name: String = bytes.arbitrary::<&str>()?.chars().filter(|it| !matches!(it, '[' | ']')).take(20).collect();
    Ok(if name.is_empty() { "metadata".to_owned() } else { name })
}

fn value(bytes: &mut Unstructured<'_>, depth: usize) -> Result<Value> {
    Ok(match bytes.int_in_range(0..=if depth < DEPTH_MAX { 5 } else { 3 })? {
        0 => Value::Null,
        1 => bytes.arbitrary::<bool>()?.into(),
        2 => bytes.arbitrary::<i64>()?.into(),
        3 => bytes.arbitrary::<&str>()?.into(),
        4 => (0..bytes.int_in_range(0..=FIELDS_MAX)?)
            .map(|_| value(bytes, depth + 1))
            .collect::<Result<Vec<Value>>>()?
            .into(),
        _ => fields(bytes, depth)?.into(),
    })
}
