//! Form and query decoding as Stripe does it (FACTS section 3): nested brackets, numbered and `[]` arrays, brackets
//! raw or percent-encoded.

use crate::problem::Refusal;
use percent_encoding::percent_decode_str;
use serde_json::{Map, Value};

/// Bounds of one request, so that no request can make the simulator work without end.
const PAIRS_MAX: usize = 2_000;
const DEPTH_MAX: usize = 8;

/// Decodes `a[b][0][c]=x&…` into maps; numbered arrays stay maps with number keys until the parameter table says what they are.
pub(crate) fn decode(text: &str) -> Result<Map<String, Value>, Refusal> {
    let mut tree = Map::new();
    for (at, pair) in text.split('&').filter(|pair| !pair.is_empty()).enumerate() {
        if at >= PAIRS_MAX {
            return Err(Refusal::bad(format!("A request may have at most {PAIRS_MAX} parameters.")));
        }
        let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
        let key = unescape(key)?;
        let value = unescape(value)?;
        insert(&mut tree, &segments(&key)?, value);
    }
    Ok(tree)
}

/// The members of a JSON body, as a form would spell them: texts for scalars, numbered maps for lists, an empty text for
/// null, which unsets in both generations.
pub(crate) fn from_json(body: &[u8]) -> Result<Map<String, Value>, Refusal> {
    let body: Value = serde_json::from_slice(body)
        .map_err(|error| Refusal::bad(format!("The request body is not valid JSON: {error}")).code("invalid_json"))?;
    match body {
        Value::Object(_) => match spelled(body, 0)? {
            Value::Object(tree) => Ok(tree),
            _ => Ok(Map::new()),
        },
        _ => Err(Refusal::bad("The request body must be a JSON object.").code("invalid_json")),
    }
}

fn spelled(value: Value, depth: usize) -> Result<Value, Refusal> {
    if depth > DEPTH_MAX {
        return Err(
            Refusal::bad(format!("The request body is nested deeper than {DEPTH_MAX} levels.")).code("invalid_json")
        );
    }
    Ok(match value {
        Value::Null => Value::String(String::new()),
        Value::Bool(yes) => Value::String(yes.to_string()),
        Value::Number(number) => Value::String(number.to_string()),
        Value::String(text) => Value::String(text),
        Value::Array(elements) => {
            let elements = elements.into_iter().enumerate();
            let spelled = elements.map(|(at, element)| Ok((at.to_string(), spelled(element, depth + 1)?)));
            Value::Object(spelled.collect::<Result<_, Refusal>>()?)
        }
        Value::Object(members) => {
            let spelled = members.into_iter().map(|(name, member)| Ok((name, spelled(member, depth + 1)?)));
            Value::Object(spelled.collect::<Result<_, Refusal>>()?)
        }
    })
}

fn unescape(text: &str) -> Result<String, Refusal> {
    percent_decode_str(&text.replace('+', " "))
        .decode_utf8()
        .map(|decoded| decoded.into_owned())
        .map_err(|_| Refusal::bad("Invalid request: the parameters are not UTF-8."))
}

/// `a[b][]` becomes `a`, `b` and an empty segment.
fn segments(key: &str) -> Result<Vec<&str>, Refusal> {
    let malformed = || Refusal::bad(format!("Invalid parameter name: {key}")).param(key);
    let Some((head, mut rest)) = key.split_once('[') else { return Ok(vec![key]) };
    let mut found = vec![head];
    loop {
        let (segment, after) = rest.split_once(']').ok_or_else(malformed)?;
        found.push(segment);
        if found.len() > DEPTH_MAX {
            return Err(malformed());
        }
        match after.strip_prefix('[') {
            Some(next) => rest = next,
            None if after.is_empty() => return Ok(found),
            None => return Err(malformed()),
        }
    }
}

fn insert(tree: &mut Map<String, Value>, path: &[&str], value: String) {
    let [head, rest @ ..] = path else { return };
    let Some(next) = rest.first() else {
        let key = if head.is_empty() { tree.len().to_string() } else { (*head).to_owned() };
        tree.insert(key, Value::String(value));
        return;
    };
    let key = match head {
        // `items[][price]=a&items[][quantity]=2` continues the last element until a name in it repeats.
        &"" => {
            let last = tree.len().checked_sub(1).map(|at| at.to_string());
            match last {
                Some(last) if tree.get(&last).is_some_and(|element| element.get(*next).is_none()) => last,
                _ => tree.len().to_string(),
            }
        }
        name => (*name).to_owned(),
    };
    let child = tree.entry(key).or_insert_with(|| Value::Object(Map::new()));
    if !child.is_object() {
        *child = Value::Object(Map::new());
    }
    if let Value::Object(map) = child {
        insert(map, rest, value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_spelling_of_nesting_is_understood() {
        let check = |text: &str, expected: &str| {
            assert_eq!(Value::Object(decode(text).unwrap()).to_string(), expected, "{text}");
        };
        check("", "{}");
        check("a=1&b=two+words", r#"{"a":"1","b":"two words"}"#);
        check("a%5Bb%5D%5Bc%5D=x", r#"{"a":{"b":{"c":"x"}}}"#);
        check("expand[]=a&expand[]=b", r#"{"expand":{"0":"a","1":"b"}}"#);
        check("expand[0]=a&expand[1]=b", r#"{"expand":{"0":"a","1":"b"}}"#);
        check("items[0][price]=p&items[0][quantity]=2", r#"{"items":{"0":{"price":"p","quantity":"2"}}}"#);
        check(
            "items[][price]=p&items[][quantity]=2&items[][price]=q",
            r#"{"items":{"0":{"price":"p","quantity":"2"},"1":{"price":"q"}}}"#,
        );
        check("metadata[billing.model]=a%26b&metadata[x]=", r#"{"metadata":{"billing.model":"a&b","x":""}}"#);
        check("created[gte]=1&flag", r#"{"created":{"gte":"1"},"flag":""}"#);
        let json = |text: &str| from_json(text.as_bytes()).map(|tree| Value::Object(tree).to_string());
        assert_eq!(
            json(r#"{"a":{"b":[true,2,"x"]},"c":null}"#).unwrap(),
            r#"{"a":{"b":{"0":"true","1":"2","2":"x"}},"c":""}"#
        );
        for wrong in ["", "{", "[1]", "[[[[[[[[[[[1]]]]]]]]]]]"] {
            assert_eq!(json(wrong).unwrap_err().code, Some("invalid_json"), "{wrong}");
        }
        for wrong in ["a[b=1", "a[b]c=1", "a[b][c][d][e][f][g][h][i]=1", "a=%ff"] {
            assert!(decode(wrong).is_err(), "{wrong}");
        }
    }
}
