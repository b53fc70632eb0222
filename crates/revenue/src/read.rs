//! Reading only what is needed, and borrowing it: thousands of objects a second pass through here during a full sync,
//! where [`stripe::shape`]'s readers would spend most of their time on fields that revenue does not look at.

use kit::Currency;
use serde::{
    Deserialize, Deserializer,
    de::{self, IgnoredAny, MapAccess, SeqAccess, Visitor},
};
use std::{borrow::Cow, fmt};

/// A text, or the id of the whole object in its place (when it was expanded, or is deleted). Borrowed where it has no
/// escapes; serde's own `Option<Cow>` would copy each time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Text<'a>(pub(crate) Cow<'a, str>);

impl<'de: 'a, 'a> Deserialize<'de> for Text<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Text<'a>, D::Error> {
        struct TextOrObject;
        impl<'de> Visitor<'de> for TextOrObject {
            type Value = Text<'de>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a text, or an object with an id")
            }
            fn visit_borrowed_str<E: de::Error>(self, text: &'de str) -> Result<Text<'de>, E> {
                Ok(Text(Cow::Borrowed(text)))
            }
            fn visit_str<E: de::Error>(self, text: &str) -> Result<Text<'de>, E> {
                Ok(Text(Cow::Owned(text.to_owned())))
            }
            fn visit_map<A: MapAccess<'de>>(self, mut object: A) -> Result<Text<'de>, A::Error> {
                let mut id = None;
                while let Some(name) = object.next_key::<Text<'de>>()? {
                    if name.0 == "id" {
                        id = Some(object.next_value::<Text<'de>>()?);
                    } else {
                        object.next_value::<IgnoredAny>()?;
                    }
                }
                id.ok_or_else(|| de::Error::missing_field("id"))
            }
        }
        deserializer.deserialize_any(TextOrObject)
    }
}

/// A balance transaction within a dispute.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Movement<'a> {
    #[serde(borrow)]
    pub(crate) id: Text<'a>,
    pub(crate) created: i64,
    pub(crate) amount: i64,
    pub(crate) currency: Currency,
}

/// The balance transactions of a dispute: `null` is none, and ids alone say nothing of money.
#[derive(Clone, Debug, Default)]
pub(crate) struct Movements<'a>(pub(crate) Vec<Movement<'a>>);

impl<'de: 'a, 'a> Deserialize<'de> for Movements<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Movements<'a>, D::Error> {
        struct List;
        impl<'de> Visitor<'de> for List {
            type Value = Movements<'de>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a list of balance transactions")
            }
            fn visit_unit<E: de::Error>(self) -> Result<Movements<'de>, E> {
                Ok(Movements::default())
            }
            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Movements<'de>, A::Error> {
                let mut movements = Vec::new();
                while let Some(movement) = list.next_element()? {
                    movements.push(movement);
                }
                Ok(Movements(movements))
            }
        }
        deserializer.deserialize_any(List)
    }
}
