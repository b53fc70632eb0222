//! Stripe's own description of its API, and a validator small enough to be read.

use serde_json::Value;
use std::{collections::BTreeSet, sync::OnceLock};

/// `openapi.json`, which lies beside the checkout wherever tests run.
pub(crate) struct Description {
    root: Value,
}

pub(crate) fn shared_file(name: &str) -> String {
    let path = format!("{}/../../../shared/stripe/{name}", env!("CARGO_MANIFEST_DIR"));
    std::fs::read_to_string(&path).unwrap_or_else(|error| {
        panic!("the simulator is held against Stripe's description, and {path} cannot be read: {error}")
    })
}

pub(crate) fn description() -> &'static Description {
    static DESCRIPTION: OnceLock<Description> = OnceLock::new();
    DESCRIPTION.get_or_init(|| Description { root: serde_json::from_str(&shared_file("openapi.json")).unwrap() })
}

impl Description {
    pub(crate) fn schema(&self, name: &str) -> &Value {
        let schema = &self.root["components"]["schemas"][name];
        assert!(!schema.is_null(), "there is no schema {name}");
        schema
    }

    /// The operation of a method and a concrete path; fixed words go before ids.
    pub(crate) fn operation(&self, method: &str, path: &str) -> Option<&Value> {
        let parts: Vec<&str> = path.split('/').collect();
        let mut found: Option<(&String, &Value)> = None;
        for (pattern, item) in self.root["paths"].as_object().unwrap() {
            let segments: Vec<&str> = pattern.split('/').collect();
            let fits = segments.len() == parts.len()
                && segments.iter().zip(&parts).all(|(segment, part)| segment.starts_with('{') || segment == part);
            let operation = &item[method.to_lowercase()];
            if fits && !operation.is_null() && found.is_none_or(|(other, _)| other.contains('{')) {
                found = Some((pattern, operation));
            }
        }
        found.map(|(_, operation)| operation)
    }

    /// Every `GET /v1/…` of the description.
    pub(crate) fn calls(&self) -> Vec<String> {
        let paths = self.root["paths"].as_object().unwrap();
        let calls = paths.iter().flat_map(|(path, item)| {
            let methods = item.as_object().unwrap().keys();
            methods.map(move |method| format!("{} {path}", method.to_uppercase()))
        });
        calls.collect()
    }

    /// The schemas that the object of an event may have.
    pub(crate) fn event_objects(&self, kind: &str) -> Vec<&str> {
        let names = self.root["x-events"][kind].as_array();
        names.into_iter().flatten().filter_map(Value::as_str).collect()
    }

    /// Whether thin events of a type name an object; nothing if there are none of it.
    pub(crate) fn thin_has_object(&self, kind: &str) -> Option<bool> {
        self.root["x-eventNotifications"][kind].as_bool()
    }

    fn resolve<'a>(&'a self, schema: &'a Value) -> &'a Value {
        match schema["$ref"].as_str() {
            Some(reference) => self.schema(reference.rsplit('/').next().unwrap()),
            None => schema,
        }
    }

    /// What is wrong with a value; nothing if it fits.
    pub(crate) fn faults(&self, schema: &Value, value: &Value, at: &str) -> Vec<String> {
        let nullable = schema["nullable"] == true;
        let schema = self.resolve(schema);
        if value.is_null() && (nullable || schema["nullable"] == true) {
            return Vec::new();
        }
        if let Some(choices) = schema["anyOf"].as_array() {
            return self.faults_of_choices(choices, value, at);
        }
        let mut faults = Vec::new();
        let fits = match schema["type"].as_str() {
            Some("string") => value.is_string(),
            Some("integer") => value.is_i64() || value.is_u64(),
            Some("number") => value.is_number(),
            Some("boolean") => value.is_boolean(),
            Some("array") => value.is_array(),
            Some("object") => value.is_object(),
            _ => true,
        };
        if !fits {
            return vec![format!("{at} should be {}, is {value}", schema["type"])];
        }
        if let Some(words) = schema["enum"].as_array()
            && schema["x-openEnum"] != true
            && !words.contains(value)
        {
            faults.push(format!("{at} is {value}, which is none of {words:?}"));
        }
        for (index, element) in value.as_array().into_iter().flatten().enumerate() {
            faults.extend(self.faults(&schema["items"], element, &format!("{at}[{index}]")));
        }
        if let (Some(properties), Some(object)) = (schema["properties"].as_object(), value.as_object()) {
            for required in schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str) {
                if !object.contains_key(required) {
                    faults.push(format!("{at}.{required} is missing"));
                }
            }
            for (name, member) in object {
                match properties.get(name) {
                    Some(property) => faults.extend(self.faults(property, member, &format!("{at}.{name}"))),
                    // An object that is described as having no members stands for any.
                    None if schema.get("additionalProperties").is_some() || properties.is_empty() => {}
                    None => faults.push(format!("{at}.{name} is not in the description")),
                }
            }
        }
        faults
    }

    /// Where several shapes are allowed, the faults of the one that names the same `object` tell most.
    fn faults_of_choices(&self, choices: &[Value], value: &Value, at: &str) -> Vec<String> {
        let mut fewest: Option<Vec<String>> = None;
        for choice in choices {
            let resolved = self.resolve(choice);
            let named = resolved["properties"]["object"]["enum"].as_array();
            if let (Some(named), Some(object)) = (named, value.get("object"))
                && !named.contains(object)
            {
                continue;
            }
            let faults = self.faults(choice, value, at);
            if faults.is_empty() {
                return faults;
            }
            if fewest.as_ref().is_none_or(|fewest| faults.len() < fewest.len()) {
                fewest = Some(faults);
            }
        }
        fewest.unwrap_or_else(|| vec![format!("{at} fits none of the shapes allowed: {value}")])
    }

    /// The top-level parameters of an operation: those of the query and the members of the body.
    fn top<'a>(&'a self, operation: &'a Value) -> Vec<(&'a str, &'a Value)> {
        let mut found = Vec::new();
        for parameter in operation["parameters"].as_array().into_iter().flatten() {
            if parameter["in"] == "query" {
                found.push((parameter["name"].as_str().unwrap(), &parameter["schema"]));
            }
        }
        for content in operation["requestBody"]["content"].as_object().into_iter().flat_map(|content| content.values())
        {
            let body = self.resolve(&content["schema"]);
            let members = body["properties"].as_object().into_iter().flatten();
            found.extend(members.map(|(name, schema)| (name.as_str(), schema)));
        }
        found
    }

    /// The schemas that a parameter path such as `items[][price]` leads to in an operation.
    pub(crate) fn parameter<'a>(&'a self, operation: &'a Value, path: &str) -> Vec<&'a Value> {
        let names: Vec<&str> = path.split('[').map(|part| part.trim_end_matches(']')).collect();
        let top = self.top(operation).into_iter().filter(|(name, _)| *name == names[0]);
        top.flat_map(|(_, schema)| self.led_to(schema, &names[1..])).collect()
    }

    fn led_to<'a>(&'a self, schema: &'a Value, names: &[&str]) -> Vec<&'a Value> {
        let schema = self.resolve(schema);
        let Some((name, rest)) = names.split_first() else { return vec![schema] };
        if let Some(choices) = schema["anyOf"].as_array() {
            return choices.iter().flat_map(|choice| self.led_to(choice, names)).collect();
        }
        let next = if name.is_empty() { &schema["items"] } else { &schema["properties"][*name] };
        if next.is_null() { Vec::new() } else { self.led_to(next, rest) }
    }

    /// Whether a parameter takes what a word of the simulator's tables stands for.
    pub(crate) fn takes(&self, schema: &Value, kind: &str) -> bool {
        let schema = self.resolve(schema);
        if let Some(choices) = schema["anyOf"].as_array() {
            return choices.iter().any(|choice| self.takes(choice, kind));
        }
        let is = |name: &str| schema["type"] == name;
        match kind {
            "int" => is("integer"),
            "bool" => is("boolean"),
            "decimal" => is("number") || is("string"),
            "metadata" => is("object") && !schema["additionalProperties"].is_null(),
            "times" => is("object") && !schema["properties"]["gte"].is_null(),
            "text" => is("string"),
            words => {
                let known = schema["enum"].as_array();
                words
                    .trim_start_matches("one(")
                    .trim_end_matches(')')
                    .split('|')
                    .all(|word| known.is_some_and(|known| known.iter().any(|other| other == word)))
            }
        }
    }

    /// The shortest parameter paths of an operation that lead to nothing of what is accepted.
    pub(crate) fn parameters_besides(&self, operation: &Value, accepted: &BTreeSet<&str>) -> Vec<String> {
        let mut found = BTreeSet::new();
        for (name, schema) in self.top(operation) {
            if name != "expand" {
                self.besides(schema, name.to_owned(), accepted, &mut found);
            }
        }
        found.into_iter().collect()
    }

    fn besides(&self, schema: &Value, path: String, accepted: &BTreeSet<&str>, found: &mut BTreeSet<String>) {
        if accepted.contains(path.as_str()) {
            return;
        }
        if !accepted.iter().any(|other| other.starts_with(&format!("{path}["))) {
            found.insert(path);
            return;
        }
        let schema = self.resolve(schema);
        for choice in schema["anyOf"].as_array().into_iter().flatten() {
            // A choice without members (an empty string, to unset) has nothing further.
            let choice = self.resolve(choice);
            if choice["properties"].is_object() || choice["items"].is_object() {
                self.besides(choice, path.clone(), accepted, found);
            }
        }
        if schema["items"].is_object() {
            self.besides(&schema["items"], format!("{path}[]"), accepted, found);
        }
        for (name, member) in schema["properties"].as_object().into_iter().flatten() {
            self.besides(member, format!("{path}[{name}]"), accepted, found);
        }
    }
}
