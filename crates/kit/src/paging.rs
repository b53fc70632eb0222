//! Cursor paging: every list has a limit, and a cursor that points behind the last row seen.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use serde::{Deserialize, Serialize, de::DeserializeOwned};

/// Fewest rows a list may be asked for.
pub const MIN_LIMIT: u32 = 1;
/// Rows a list answers when nothing is asked.
pub const DEFAULT_LIMIT: u32 = 50;
/// Most rows one answer holds.
pub const MAX_LIMIT: u32 = 200;

/// Where a list goes on: the sort key of the last row, opaque to callers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Cursor(String);

/// A cursor that this program did not write.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the cursor is not one that a list of this kind has returned; leave it out to start at the beginning")]
pub struct BadCursor;

impl Cursor {
    /// Encodes a sort key.
    pub fn encode<K: Serialize>(key: &K) -> Cursor {
        // Sort keys are tuples of numbers and text, which always serialize.
        Cursor(URL_SAFE_NO_PAD.encode(serde_json::to_vec(key).unwrap_or_default()))
    }

    /// Reads the sort key back.
    pub fn decode<K: DeserializeOwned>(&self) -> Result<K, BadCursor> {
        let bytes = URL_SAFE_NO_PAD.decode(&self.0).map_err(|_| BadCursor)?;
        serde_json::from_slice(&bytes).map_err(|_| BadCursor)
    }

    /// The cursor as it stands in an address.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// What a caller may say about a list: `?limit=50&cursor=…`.
#[derive(Clone, Debug, Default, Deserialize)]
pub struct PageRequest {
    /// Rows wanted, 1 to 200; 50 if left out.
    pub limit: Option<u32>,
    /// Where to go on, from the last answer's `next_cursor`.
    pub cursor: Option<Cursor>,
}

impl PageRequest {
    /// Rows to read, within the bounds.
    pub fn limit(&self) -> u32 {
        self.limit.unwrap_or(DEFAULT_LIMIT).clamp(MIN_LIMIT, MAX_LIMIT)
    }

    /// The sort key to go on behind, if any.
    pub fn after<K: DeserializeOwned>(&self) -> Result<Option<K>, BadCursor> {
        self.cursor.as_ref().map(Cursor::decode).transpose()
    }
}

/// One page of a list.
#[derive(Clone, Debug, Serialize)]
pub struct Page<T> {
    /// The rows.
    pub data: Vec<T>,
    /// Whether more rows follow.
    pub has_more: bool,
    /// Where to go on; absent on the last page.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next_cursor: Option<Cursor>,
}

impl<T> Page<T> {
    /// Cuts a page out of `rows`, which were read with a limit of one more than `limit`.
    pub fn cut<K: Serialize>(mut rows: Vec<T>, limit: u32, key: impl Fn(&T) -> K) -> Page<T> {
        let limit = limit as usize;
        let has_more = rows.len() > limit;
        rows.truncate(limit);
        let next_cursor = if has_more { rows.last().map(|row| Cursor::encode(&key(row))) } else { None };
        Page { data: rows, has_more, next_cursor }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_points_behind_its_last_row() {
        let page = Page::cut(vec![1, 2, 3], 2, |row| (*row, "x".to_owned()));
        assert_eq!(page.data, [1, 2]);
        let cursor = page.next_cursor.unwrap();
        assert_eq!(cursor.decode::<(i32, String)>(), Ok((2, "x".to_owned())));
        assert_eq!(cursor.decode::<Vec<bool>>(), Err(BadCursor));
        assert!(!Page::cut(vec![1, 2], 2, |row| *row).has_more);
    }
}
