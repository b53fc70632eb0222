//! What each verb accepts, written as a table of text, and the checked parameters of one call.
//!
//! A table is words of the form `path:kind`, with `!` at the end where the parameter must be given:
//! `amount:int! currency:text! items[][price]:text metadata:metadata`. Whatever is not in the table is refused by name,
//! so that nobody believes the simulator did something it ignored: as unknown where Stripe has no such parameter, and as
//! not simulated where it has (`unsimulated_parameters.txt`, held against Stripe's description by a test).

use crate::problem::Refusal;
use serde_json::{Map, Value};
use std::collections::HashMap;

/// What a parameter holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Shape {
    /// Any text.
    Text,
    /// An integer of 64 bits.
    Int,
    /// `true` or `false`.
    Bool,
    /// A decimal number, kept as text.
    Decimal,
    /// One of some words.
    One(Vec<&'static str>),
    /// Text pairs of the caller's choosing (FACTS section 3).
    Metadata,
    /// A time, or a range of times.
    Times,
}

/// A parsed table.
#[derive(Debug, Default)]
pub(crate) struct Accepts {
    shapes: HashMap<String, Shape>,
    required: Vec<String>,
    /// What Stripe takes here besides: the shortest paths that lead to nothing in the table.
    unsimulated: &'static str,
}

impl std::fmt::Display for Shape {
    /// The word of the table.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Shape::Text => f.write_str("text"),
            Shape::Int => f.write_str("int"),
            Shape::Bool => f.write_str("bool"),
            Shape::Decimal => f.write_str("decimal"),
            Shape::One(words) => write!(f, "one({})", words.join("|")),
            Shape::Metadata => f.write_str("metadata"),
            Shape::Times => f.write_str("times"),
        }
    }
}

/// The parameters of one call, checked: numbers are numbers, arrays are arrays, `null` means "unset".
#[derive(Clone, Debug, Default)]
pub(crate) struct Parameters {
    tree: Map<String, Value>,
}

/// What every list accepts.
pub(crate) const LIST: &str = "limit:int starting_after:text ending_before:text";

impl Accepts {
    /// Reads a table. `expand` is accepted everywhere, as Stripe does.
    pub(crate) fn parse(tables: &[&'static str]) -> Accepts {
        let mut accepts = Accepts::default();
        for word in tables.iter().flat_map(|table| table.split_whitespace()).chain(["expand[]:text"]) {
            let (word, required) = match word.strip_suffix('!') {
                Some(word) => (word, true),
                None => (word, false),
            };
            let (path, kind) = word.split_once(':').unwrap_or((word, "text"));
            let shape = match kind {
                "int" => Shape::Int,
                "bool" => Shape::Bool,
                "decimal" => Shape::Decimal,
                "metadata" => Shape::Metadata,
                "times" => Shape::Times,
                words if words.starts_with("one(") => {
                    Shape::One(words.trim_start_matches("one(").trim_end_matches(')').split('|').collect())
                }
                _ => Shape::Text,
            };
            if required {
                accepts.required.push(path.to_owned());
            }
            accepts.shapes.insert(path.to_owned(), shape);
        }
        accepts
    }

    /// Names what Stripe takes in this call and the simulator does not.
    pub(crate) fn besides(&mut self, unsimulated: &'static str) {
        self.unsimulated = unsimulated;
    }

    /// The paths accepted and what they hold, for the test that holds them against Stripe's description.
    pub(crate) fn shapes(&self) -> impl Iterator<Item = (&str, &Shape)> {
        self.shapes.iter().map(|(path, shape)| (path.as_str(), shape))
    }

    /// Checks what was sent.
    pub(crate) fn check(&self, sent: Map<String, Value>) -> Result<Parameters, Refusal> {
        let mut tree = Map::new();
        for (name, value) in sent {
            let checked = self.value(&name, &name, value)?;
            tree.insert(name, checked);
        }
        for required in &self.required {
            let top = required.split('[').next().unwrap_or(required);
            let given = match required.split_once("[]") {
                // Required within the elements of a list: only of elements that were sent.
                Some((_, within)) => match tree.get(top) {
                    Some(Value::Array(elements)) => {
                        let name = within.trim_matches(['[', ']']);
                        name.is_empty() || elements.iter().all(|element| element.get(name).is_some())
                    }
                    _ => !required.ends_with("[]"),
                },
                None => tree.get(top).is_some(),
            };
            if !given {
                return Err(Refusal::missing(required.trim_end_matches("[]")));
            }
            if tree.get(top).is_some_and(Value::is_null) {
                return Err(Refusal::bad(format!("You passed an empty string for '{required}'. We assume empty values are an attempt to unset a parameter; however '{required}' cannot be unset."))
                    .code("parameter_invalid_empty")
                    .param(required.as_str()));
            }
        }
        Ok(Parameters { tree })
    }

    /// `path` is where we are in the table (`items[][price]`), `name` what the caller wrote (`items[0][price]`).
    fn value(&self, path: &str, name: &str, value: Value) -> Result<Value, Refusal> {
        let shape = self.shapes.get(path);
        match (shape, value) {
            (Some(Shape::Metadata), value) => metadata(name, value),
            (Some(Shape::Times), Value::Object(range)) => {
                let mut checked = Map::new();
                for (bound, value) in range {
                    let name = format!("{name}[{bound}]");
                    if !matches!(bound.as_str(), "gt" | "gte" | "lt" | "lte") {
                        return Err(unknown(&name));
                    }
                    checked.insert(bound, scalar(&Shape::Int, &name, value)?);
                }
                Ok(Value::Object(checked))
            }
            (Some(Shape::Times), value) => scalar(&Shape::Int, name, value),
            (Some(shape), value @ Value::String(_)) => scalar(shape, name, value),
            (None, Value::Object(children)) if self.begins(&format!("{path}[]")) => {
                let mut elements = Vec::with_capacity(children.len());
                for (at, child) in children {
                    elements.push(self.value(&format!("{path}[]"), &format!("{name}[{at}]"), child)?);
                }
                Ok(Value::Array(elements))
            }
            (None, Value::Object(children)) if self.begins(&format!("{path}[")) => {
                let mut checked = Map::new();
                for (key, child) in children {
                    let child = self.value(&format!("{path}[{key}]"), &format!("{name}[{key}]"), child)?;
                    checked.insert(key, child);
                }
                Ok(Value::Object(checked))
            }
            (None, Value::String(text)) if text.is_empty() && self.begins(&format!("{path}[")) => Ok(Value::Null),
            (None, Value::String(_)) if self.begins(&format!("{path}[]")) => {
                Err(Refusal::bad("Invalid array").param(name))
            }
            (None, Value::String(_)) if self.begins(&format!("{path}[")) => {
                Err(Refusal::bad("Invalid object").param(name))
            }
            _ => Err(self.refuse(path, name)),
        }
    }

    /// A parameter that is not in the table: Stripe may have it all the same.
    fn refuse(&self, path: &str, name: &str) -> Refusal {
        let known = self
            .unsimulated
            .split_whitespace()
            .any(|known| path.strip_prefix(known).is_some_and(|rest| rest.is_empty() || rest.starts_with('[')));
        if known {
            return Refusal::bad(format!(
                "The simulator does not do the parameter {name} of this call. Stripe has it; see the simulator's README."
            ))
            .code("simulator_does_not_do_this")
            .param(name);
        }
        unknown(name)
    }

    fn begins(&self, prefix: &str) -> bool {
        self.shapes.keys().any(|path| path.starts_with(prefix))
    }
}

fn unknown(name: &str) -> Refusal {
    if name.split('[').next() == Some("payment_method_types") {
        // Since 2026-09-30.endive (FACTS section 1).
        return Refusal::bad("The payment_method_types parameter is no longer supported. Use dynamic payment methods, allowed_payment_method_types or excluded_payment_method_types.")
            .code("payment_method_types_no_longer_supported")
            .param(name);
    }
    Refusal::bad(format!("Received unknown parameter: {name}")).code("parameter_unknown").param(name)
}

fn scalar(shape: &Shape, name: &str, value: Value) -> Result<Value, Refusal> {
    let Value::String(text) = value else { return Err(unknown(name)) };
    if text.is_empty() {
        return Ok(Value::Null);
    }
    match shape {
        Shape::Int | Shape::Times => text.parse::<i64>().map(Value::from).map_err(|_| {
            Refusal::bad(format!("Invalid integer: {text}")).code("parameter_invalid_integer").param(name)
        }),
        Shape::Bool => match text.as_str() {
            "true" => Ok(Value::Bool(true)),
            "false" => Ok(Value::Bool(false)),
            _ => Err(Refusal::bad(format!("Invalid boolean: {text}")).param(name)),
        },
        Shape::Decimal => {
            let digits = text.strip_prefix('-').unwrap_or(&text);
            let (whole, fraction) = digits.split_once('.').unwrap_or((digits, "0"));
            let fine =
                [whole, fraction].iter().all(|part| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit()));
            if fine {
                Ok(Value::String(text))
            } else {
                Err(Refusal::bad(format!("Invalid decimal: {text}")).param(name))
            }
        }
        Shape::One(words) if !words.contains(&text.as_str()) => {
            Err(Refusal::bad(format!("Invalid {name}: must be one of {}", words.join(", "))).param(name))
        }
        Shape::One(_) | Shape::Text | Shape::Metadata => Ok(Value::String(text)),
    }
}

/// 50 keys of 40 characters without square brackets, values of 500 characters (FACTS section 3).
fn metadata(name: &str, value: Value) -> Result<Value, Refusal> {
    let Value::Object(pairs) = value else {
        return match value {
            Value::String(text) if text.is_empty() => Ok(Value::Null),
            _ => Err(Refusal::bad("Invalid object").param(name)),
        };
    };
    for (key, value) in &pairs {
        let Value::String(value) = value else {
            return Err(Refusal::bad(format!("Metadata values must be strings; '{key}' is an object."))
                .param(format!("{name}[{key}]")));
        };
        if key.chars().count() > 40 {
            return Err(
                Refusal::bad(format!("Metadata keys can have up to 40 characters; '{key}' has more.")).param(name)
            );
        }
        if value.chars().count() > 500 {
            return Err(Refusal::bad(format!(
                "Metadata values can have up to 500 characters; that of '{key}' has more."
            ))
            .param(format!("{name}[{key}]")));
        }
    }
    Ok(Value::Object(pairs))
}

impl Parameters {
    /// Parameters that the simulator itself makes, for a call that stands for another.
    pub(crate) fn of(value: Value) -> Parameters {
        match value {
            Value::Object(tree) => Parameters { tree },
            _ => Parameters::default(),
        }
    }

    /// The value at a path such as `recurring[interval]`, if it was given and not unset.
    pub(crate) fn at(&self, path: &str) -> Option<&Value> {
        let mut segments = path.split('[').map(|segment| segment.trim_end_matches(']'));
        let mut value = self.tree.get(segments.next()?)?;
        for segment in segments {
            value = value.get(segment)?;
        }
        Some(value).filter(|value| !value.is_null())
    }

    /// Whether the parameter was given, even if only to unset it.
    pub(crate) fn has(&self, name: &str) -> bool {
        self.tree.contains_key(name)
    }

    /// A text.
    pub(crate) fn text(&self, path: &str) -> Option<&str> {
        self.at(path)?.as_str()
    }

    /// An integer.
    pub(crate) fn int(&self, path: &str) -> Option<i64> {
        self.at(path)?.as_i64()
    }

    /// A boolean, false when it was not given.
    pub(crate) fn yes(&self, path: &str) -> bool {
        self.at(path).and_then(Value::as_bool).unwrap_or(false)
    }

    /// A list; empty when it was not given.
    pub(crate) fn list(&self, path: &str) -> &[Value] {
        self.at(path).and_then(Value::as_array).map_or(&[], Vec::as_slice)
    }

    /// All top-level parameters.
    pub(crate) fn all(&self) -> impl Iterator<Item = (&String, &Value)> {
        self.tree.iter()
    }

    /// Takes one parameter out.
    pub(crate) fn take(&mut self, name: &str) -> Option<Value> {
        self.tree.shift_remove(name)
    }

    /// Copies the named top-level parameters, where given, into an object: a text unset becomes null.
    pub(crate) fn copy_to(&self, object: &mut Value, names: &[&str]) {
        for name in names {
            if let Some(value) = self.tree.get(*name) {
                object[*name] = value.clone();
            }
        }
    }

    /// Merges `metadata`: a key with an empty value is removed, an empty `metadata` removes all.
    pub(crate) fn merge_metadata(&self, object: &mut Value) -> Result<(), Refusal> {
        let Some(given) = self.tree.get("metadata") else { return Ok(()) };
        let mut merged = object["metadata"].as_object().cloned().unwrap_or_default();
        match given {
            Value::Object(pairs) => {
                for (key, value) in pairs {
                    if value == "" {
                        merged.shift_remove(key);
                    } else {
                        merged.insert(key.clone(), value.clone());
                    }
                }
            }
            _ => merged.clear(),
        }
        if merged.len() > 50 {
            return Err(Refusal::bad("You can have up to 50 metadata keys on an object.").param("metadata"));
        }
        object["metadata"] = Value::Object(merged);
        Ok(())
    }

    /// The metadata for a new object.
    pub(crate) fn new_metadata(&self) -> Result<Value, Refusal> {
        let mut holder = serde_json::json!({ "metadata": {} });
        self.merge_metadata(&mut holder)?;
        Ok(holder["metadata"].take())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::form::decode;

    #[test]
    fn parameters_are_checked_against_the_table() {
        let mut accepts = Accepts::parse(&[
            "amount:int! capture:bool rate:decimal items[][price]:text! items[][quantity]:int address[city]:text metadata:metadata created:times kind:one(a|b) types[]:text",
        ]);
        accepts.besides("source address[line9] items[][price_data]");
        let check = |text: &str, expected: &str| {
            let answer = match decode(text).and_then(|tree| accepts.check(tree)) {
                Ok(parameters) => Value::Object(parameters.tree).to_string(),
                Err(refusal) => format!("{} {}", refusal.code.unwrap_or("-"), refusal.param.unwrap_or_default()),
            };
            assert_eq!(answer, expected, "{text}");
        };
        check("amount=5&capture=true&rate=-0.25", r#"{"amount":5,"capture":true,"rate":"-0.25"}"#);
        check("amount=5&items[1][price]=p", r#"{"amount":5,"items":[{"price":"p"}]}"#);
        check("amount=5&items[0][quantity]=2", "parameter_missing items[][price]");
        check("amount=5&address[city]=", r#"{"amount":5,"address":{"city":null}}"#);
        check("amount=5&address=", r#"{"amount":5,"address":null}"#);
        check("amount=5&types[]=x&types[]=y&expand[]=z", r#"{"amount":5,"types":["x","y"],"expand":["z"]}"#);
        check("amount=5&created[gte]=1&kind=a", r#"{"amount":5,"created":{"gte":1},"kind":"a"}"#);
        check("amount=5&created[from]=1", "parameter_unknown created[from]");
        check("amount=5&kind=c", "- kind");
        check("amount=x", "parameter_invalid_integer amount");
        check("amount=", "parameter_invalid_empty amount");
        check("", "parameter_missing amount");
        check("amount=1&bogus=1", "parameter_unknown bogus");
        check("amount=1&items[0][bogus]=1", "parameter_unknown items[0][bogus]");
        check("amount=1&address[bogus]=1", "parameter_unknown address[bogus]");
        check("amount=1&capture=yes", "- capture");
        check("amount=1&source=tok", "simulator_does_not_do_this source");
        check("amount=1&source[object]=card", "simulator_does_not_do_this source");
        check("amount=1&sources=tok", "parameter_unknown sources");
        check("amount=1&address[line9]=x", "simulator_does_not_do_this address[line9]");
        check("amount=1&items[0][price_data][currency]=usd", "simulator_does_not_do_this items[0][price_data]");
        check("amount=1&metadata[a]=1&metadata[0]=", r#"{"amount":1,"metadata":{"a":"1","0":""}}"#);
        check("amount=1&payment_method_types[]=card", "payment_method_types_no_longer_supported payment_method_types");
    }
}
