//! How single fields are read: ids, times, decimals.

use kit::Time;
use serde::{
    Deserialize, Deserializer, Serialize,
    de::{self, IgnoredAny, MapAccess, Visitor},
};
use serde_json::Value;
use std::{collections::BTreeMap, fmt, ops::Deref};

/// An id of Stripe's, read from an id or from the whole object in its place (when it was expanded, or is deleted).
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(transparent)]
pub struct ObjectId(String);

impl ObjectId {
    /// The id as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The id as text of one's own.
    pub fn into_string(self) -> String {
        self.0
    }
}

impl Deref for ObjectId {
    type Target = str;
    fn deref(&self) -> &str {
        &self.0
    }
}

impl From<&str> for ObjectId {
    fn from(text: &str) -> ObjectId {
        ObjectId(text.to_owned())
    }
}

impl PartialEq<str> for ObjectId {
    fn eq(&self, other: &str) -> bool {
        self.0 == other
    }
}

impl PartialEq<&str> for ObjectId {
    fn eq(&self, other: &&str) -> bool {
        self.0 == *other
    }
}

impl fmt::Display for ObjectId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for ObjectId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for ObjectId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<ObjectId, D::Error> {
        struct IdOrObject;

        impl<'de> Visitor<'de> for IdOrObject {
            type Value = ObjectId;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an id, or an object with an id")
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<ObjectId, E> {
                Ok(ObjectId(text.to_owned()))
            }

            fn visit_map<A: MapAccess<'de>>(self, mut object: A) -> Result<ObjectId, A::Error> {
                let mut id = None;
                while let Some(name) = object.next_key::<std::borrow::Cow<'de, str>>()? {
                    if name == "id" {
                        id = Some(object.next_value::<String>()?);
                    } else {
                        object.next_value::<IgnoredAny>()?;
                    }
                }
                id.map(ObjectId).ok_or_else(|| de::Error::missing_field("id"))
            }
        }

        deserializer.deserialize_any(IdOrObject)
    }
}

/// A time in whole seconds.
pub(super) fn seconds<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Time, D::Error> {
    i64::deserialize(deserializer).map(Time::from_seconds)
}

/// A time in whole seconds, or none.
pub(super) fn maybe_seconds<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Time>, D::Error> {
    Option::<i64>::deserialize(deserializer).map(|seconds| seconds.map(Time::from_seconds))
}

/// A value that is `null` where it means its default: a list that is empty, a flag that is off.
pub(super) fn null_is_default<'de, D, T>(deserializer: D) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de> + Default,
{
    Option::<T>::deserialize(deserializer).map(Option::unwrap_or_default)
}

/// Metadata. Stripe's values are text; were one not, its JSON is kept rather than the object refused.
pub(super) fn metadata<'de, D: Deserializer<'de>>(deserializer: D) -> Result<BTreeMap<String, String>, D::Error> {
    let fields = Option::<BTreeMap<String, Value>>::deserialize(deserializer)?.unwrap_or_default();
    let as_text = |value| match value {
        Value::String(text) => text,
        other => other.to_string(),
    };
    Ok(fields.into_iter().map(|(name, value)| (name, as_text(value))).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_read_from_ids_and_from_objects() {
        let check = |text: &str, id: Option<&str>| {
            assert_eq!(serde_json::from_str::<ObjectId>(text).ok().as_deref(), id, "{text}");
        };
        check(r#""cus_1""#, Some("cus_1"));
        check(r#"{"object":"customer","nested":{"id":"no"},"id":"cus_1","deleted":true}"#, Some("cus_1"));
        check(r#"{"object":"customer"}"#, None);
        check("7", None);
        check("[]", None);
        assert_eq!(serde_json::from_str::<Option<ObjectId>>("null").unwrap(), None);
    }
}
