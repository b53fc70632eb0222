//! What a verb works with: one book, the present second, and the means to look up, create, change and emit.

use crate::{
    book::{Book, Due},
    ids::Ids,
    parameters::Parameters,
    problem::Refusal,
    resources::{Kind, event},
};
use serde_json::{Map, Value};
use std::sync::Arc;

/// The request that causes a change, as its events name it; none when Stripe itself acts.
#[derive(Clone, Debug)]
pub(crate) struct Cause {
    pub(crate) request_id: String,
    pub(crate) idempotency_key: Option<String>,
    /// Where the caller reached the simulator, as `127.0.0.1:12111`; empty if it does not say.
    pub(crate) host: String,
}

/// An event to be delivered to an endpoint.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Delivery {
    pub(crate) event: Arc<str>,
    pub(crate) endpoint: Arc<str>,
}

/// A change to one object.
pub(crate) struct Change {
    pub(crate) before: Value,
    pub(crate) after: Value,
    pub(crate) text: Arc<str>,
}

/// The context of a verb.
pub(crate) struct Work<'a> {
    pub(crate) book: &'a mut Book,
    pub(crate) ids: &'a Ids,
    /// The second at which the objects of billing are: the test clock's where one is concerned, else the present.
    pub(crate) now: i64,
    /// The present second of simulated time: money moves and events are made in it, also under a test clock.
    pub(crate) present: i64,
    /// The test clock of the customer that all this is about.
    pub(crate) clock: Option<Arc<str>>,
    pub(crate) cause: Option<Cause>,
    /// What webhook endpoints are to be told once the book is released.
    pub(crate) deliveries: Vec<Delivery>,
}

impl Work<'_> {
    /// The text of an object, where `param` names the parameter that holds its id (none: the path).
    pub(crate) fn text(&self, kind: Kind, id: &str, param: Option<&str>) -> Result<Arc<str>, Refusal> {
        self.book.get(kind, id).cloned().ok_or_else(|| Refusal::no_such(kind.object(), id, param))
    }

    /// An object as a tree; a deleted one is refused.
    pub(crate) fn value(&self, kind: Kind, id: &str, param: Option<&str>) -> Result<Value, Refusal> {
        let value = parse(&self.text(kind, id, param)?);
        if value["deleted"] == true {
            return Err(Refusal::no_such(kind.object(), id, param));
        }
        Ok(value)
    }

    /// The object named by a parameter, if it was given.
    pub(crate) fn named(&self, kind: Kind, parameters: &Parameters, param: &str) -> Result<Option<Value>, Refusal> {
        parameters.text(param).map(|id| self.value(kind, id, Some(param))).transpose()
    }

    /// Works in the time of a test clock, where one is concerned.
    pub(crate) fn at_clock(&mut self, clock: Option<Arc<str>>) {
        let frozen = clock.as_deref().and_then(|clock| self.book.clocks.get(clock)).map(|clock| clock.frozen);
        if let Some(frozen) = frozen {
            self.now = frozen;
            self.clock = clock;
        }
    }

    /// Adds an object.
    pub(crate) fn insert(&mut self, kind: Kind, text: impl Into<Arc<str>>) -> Arc<str> {
        let mut text = text.into();
        if let Some(clock) = &self.clock
            && matches!(kind, Kind::Customer | Kind::Subscription | Kind::Invoice | Kind::InvoiceItem)
        {
            // Only null is replaced: what has a clock keeps it. Metadata holds no nulls.
            let named = format!("\"test_clock\":\"{clock}\"");
            text = text.replacen("\"test_clock\":null", &named, 1).into();
        }
        if kind.resource().search.is_some() {
            let id = crate::json::plain_member(&text, "id").unwrap_or_default();
            self.book.note(self.present, kind, &id);
        }
        let now = self.now;
        self.book.put(kind, text, now)
    }

    /// Takes an object away; `tombstone` is what can still be read of it.
    pub(crate) fn remove(&mut self, kind: Kind, id: &str, tombstone: Option<Arc<str>>) {
        if kind.resource().search.is_some() {
            self.book.note(self.present, kind, id);
        }
        self.book.table_mut(kind).remove(id, tombstone);
    }

    /// Notes what is to happen, by the test clock if one is concerned.
    pub(crate) fn schedule(&mut self, at: i64, due: Due) {
        let clock = self.clock.clone();
        self.book.due_of(clock.as_deref()).insert((at, due));
    }

    /// Replaces an object.
    pub(crate) fn save(&mut self, kind: Kind, value: &Value) -> Arc<str> {
        self.insert(kind, value.to_string())
    }

    /// Changes an object and remembers what it was.
    pub(crate) fn change(
        &mut self,
        kind: Kind,
        id: &str,
        change: impl FnOnce(&mut Value) -> Result<(), Refusal>,
    ) -> Result<Change, Refusal> {
        let before = self.value(kind, id, None)?;
        let mut after = before.clone();
        change(&mut after)?;
        let text = self.save(kind, &after);
        Ok(Change { before, after, text })
    }

    /// Emits an event about an object.
    pub(crate) fn emit(&mut self, kind: &'static str, object: &str) {
        event::emit(self, kind, object, None);
    }

    /// Emits `*.updated` with what the members were before; nothing if nothing changed.
    pub(crate) fn emit_updated(&mut self, kind: &'static str, change: &Change) {
        let previous = previous_attributes(&change.before, &change.after);
        if !previous.is_empty() {
            event::emit(self, kind, &change.text, Some(&Value::Object(previous)));
        }
    }
}

/// An object's tree. Texts are written by the simulator alone; one that does not parse reads as null.
pub(crate) fn parse(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or(Value::Null)
}

/// The text of a member, empty if it has none.
pub(crate) fn text_of<'a>(object: &'a Value, member: &str) -> &'a str {
    object[member].as_str().unwrap_or_default()
}

/// The integer of a member, zero if it has none.
pub(crate) fn int_of(object: &Value, member: &str) -> i64 {
    object[member].as_i64().unwrap_or_default()
}

/// The old values of the members that differ; of nested objects only the members that differ, arrays whole.
pub(crate) fn previous_attributes(before: &Value, after: &Value) -> Map<String, Value> {
    let (Value::Object(before), Value::Object(after)) = (before, after) else { return Map::new() };
    let mut previous = Map::new();
    for (member, new) in after {
        let old = before.get(member).unwrap_or(&Value::Null);
        if old == new {
            continue;
        }
        let old = match (old, new) {
            (Value::Object(_), Value::Object(_)) => Value::Object(previous_attributes(old, new)),
            _ => old.clone(),
        };
        previous.insert(member.clone(), old);
    }
    for (member, old) in before {
        if !after.contains_key(member) {
            previous.insert(member.clone(), old.clone());
        }
    }
    previous
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn previous_attributes_hold_only_what_changed() {
        let before = json!({"a": 1, "metadata": {"x": "1", "y": "2"}, "list": [1, 2], "gone": 5});
        let after = json!({"a": 1, "metadata": {"x": "3", "z": "4"}, "list": [1, 3]});
        let expected = json!({"metadata": {"x": "1", "z": null, "y": "2"}, "list": [1, 2], "gone": 5});
        assert_eq!(Value::Object(previous_attributes(&before, &after)), expected);
    }
}
