//! What every object says of itself, and pages of objects; both borrow from the text.

use super::ShapeError;
use kit::Time;
use serde::Deserialize;
use serde_json::value::RawValue;
use std::borrow::Cow;

/// The fields that nearly all objects share.
#[derive(Clone, Debug)]
pub struct Head<'a> {
    /// The kind, such as `charge`.
    pub object: Cow<'a, str>,
    /// The id; `invoice.upcoming` has an invoice without one.
    pub id: Option<Cow<'a, str>>,
    /// When it was made, where it says so in seconds.
    pub created: Option<Time>,
    /// `deleted: true` stands where the object was.
    pub deleted: bool,
    /// Live or test data, where it says so. Refunds do not.
    pub livemode: Option<bool>,
    /// `metadata` as it came; none where there is no such field, or `null`.
    pub metadata: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct Wire<'a> {
    #[serde(borrow)]
    object: Text<'a>,
    #[serde(borrow, default)]
    id: Option<Text<'a>>,
    #[serde(borrow, default)]
    created: Option<&'a RawValue>,
    #[serde(default)]
    deleted: Option<bool>,
    #[serde(default)]
    livemode: Option<bool>,
    #[serde(borrow, default)]
    metadata: Option<&'a RawValue>,
}

/// Text that is borrowed where it has no escapes; serde's own `Option<Cow>` would copy each time.
#[derive(Deserialize)]
#[serde(transparent)]
pub(crate) struct Text<'a>(#[serde(borrow)] pub(crate) Cow<'a, str>);

impl<'a> Head<'a> {
    /// Reads the head of one object.
    pub fn read(text: &'a str) -> Result<Head<'a>, ShapeError> {
        let wire: Wire<'a> = serde_json::from_str(text).map_err(|error| unreadable("object", &error))?;
        Ok(Head {
            object: wire.object.0,
            id: wire.id.map(|id| id.0),
            created: wire.created.and_then(|raw| raw.get().parse().ok()).map(Time::from_seconds),
            deleted: wire.deleted.unwrap_or(false),
            livemode: wire.livemode,
            metadata: wire.metadata,
        })
    }

    /// `metadata` as JSON text, `{}` where there is none.
    pub fn metadata_text(&self) -> &'a str {
        self.metadata.map_or("{}", RawValue::get)
    }
}

/// One page of a list, newest first.
#[derive(Clone, Debug, Deserialize)]
pub struct ListPage<'a> {
    /// There are more objects after the last one.
    pub has_more: bool,
    /// The objects as they came.
    #[serde(borrow)]
    pub data: Vec<&'a RawValue>,
}

impl<'a> ListPage<'a> {
    /// Reads a page.
    pub fn read(text: &'a str) -> Result<ListPage<'a>, ShapeError> {
        serde_json::from_str(text).map_err(|error| unreadable("list", &error))
    }

    /// The heads of the page's objects.
    pub fn heads(&self) -> impl Iterator<Item = Result<Head<'a>, ShapeError>> + '_ {
        self.data.iter().map(|raw| Head::read(raw.get()))
    }
}

fn unreadable(object: &'static str, error: &serde_json::Error) -> ShapeError {
    ShapeError::Unreadable { object, id: "without id".to_owned(), reason: error.to_string() }
}

/// Whether brackets nest at most so deep. Raw values are skipped without recursion, so that the parser itself would
/// let through what overflows the next one's stack.
pub(crate) fn depth_is_at_most(text: &str, limit: usize) -> bool {
    let (mut depth, mut in_text, mut escaped) = (0_usize, false, false);
    for byte in text.bytes() {
        if in_text {
            match byte {
                _ if escaped => escaped = false,
                b'\\' => escaped = true,
                b'"' => in_text = false,
                _ => {}
            }
            continue;
        }
        match byte {
            b'"' => in_text = true,
            b'{' | b'[' => {
                depth += 1;
                if depth > limit {
                    return false;
                }
            }
            b'}' | b']' => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn heads_of_all_kinds_are_read() {
        let head = Head::read(r#"{"object":"customer","id":"cus_1","deleted":true}"#).unwrap();
        assert!(head.deleted && head.created.is_none() && head.livemode.is_none());
        assert_eq!(head.metadata_text(), "{}");
        let head = Head::read(r#"{"object":"balance","livemode":true,"metadata":null}"#).unwrap();
        assert_eq!((head.id.as_deref(), head.livemode, head.metadata.is_none()), (None, Some(true), true));
        let head = Head::read(
            r#"{"object":"v2.core.account","id":"acct_1","created":"2026-09-21T14:13:20Z","metadata":{"a":"\u00e9"}}"#,
        )
        .unwrap();
        assert_eq!((head.created, head.metadata_text()), (None, r#"{"a":"\u00e9"}"#));
        for broken in ["", "[]", "7", "{}", r#"{"object":7}"#, r#"{"object":"a","id":{}}"#, r#"{"object":"a"} x"#] {
            assert_eq!(
                Head::read(broken).map(|_| ()).map_err(|error| error.code()),
                Err("object_unreadable"),
                "{broken}"
            );
        }
    }

    #[test]
    fn pages_keep_the_bytes_of_their_objects() {
        let page = ListPage::read(r#"{"object":"list","url":"/v1/charges","has_more":true,"data":[{"object":"charge", "id":"ch_1"},{"object":"charge","id":"ch_2"}]}"#).unwrap();
        assert!(page.has_more);
        assert_eq!(page.data[0].get(), r#"{"object":"charge", "id":"ch_1"}"#);
        let ids: Vec<_> = page.heads().map(|head| head.unwrap().id.unwrap()).collect();
        assert_eq!(ids, ["ch_1", "ch_2"]);
        assert!(ListPage::read(r#"{"object":"list","data":[]}"#).is_err());
    }

    #[test]
    fn depth_counts_brackets_outside_of_text() {
        let check = |text: &str, depth: usize| {
            assert!(depth_is_at_most(text, depth) && (depth == 0 || !depth_is_at_most(text, depth - 1)), "{text}");
        };
        check("7", 0);
        check("{}", 1);
        check(r#"{"a":[{"b":"[[[{{{"},[]]}"#, 3);
        check(r#"{"a":"\"[[[","b":"\\"}"#, 1);
        check("}}}[[", 2);
    }
}
