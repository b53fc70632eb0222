//! Search: Stripe's query language over what the index has seen, which lags behind what has changed (FACTS section 8).
//!
//! There is no index here: objects are read one after the other, newest first. What keeps a search from seeing a change
//! at once is [`Unindexed`], the texts that the newest changes have replaced.

mod query;

pub(crate) use query::{Field, Query};

use crate::{
    book::Book,
    expand,
    json::{Json, integer_member, plain_member},
    problem::Refusal,
    resources::{Call, Kind},
    table::Place,
    work::parse,
};
use serde_json::Value;
use std::{
    collections::{HashMap, VecDeque},
    sync::Arc,
};

/// What every search accepts.
pub(crate) const ACCEPTS: &str = "query:text! page:text limit:int";

/// At most this many changes are hidden; beyond that the oldest are seen early.
const HIDDEN_MAX: usize = 100_000;

/// The changes that searches do not see yet.
#[derive(Debug, Default)]
pub(crate) struct Unindexed {
    /// How long a change stays hidden.
    pub(crate) lag_seconds: i64,
    changes: VecDeque<Hidden>,
}

/// A change that is hidden.
#[derive(Debug)]
struct Hidden {
    at: i64,
    kind: Kind,
    id: Box<str>,
    /// The text before; none for what was made.
    before: Option<Arc<str>>,
}

impl Book {
    /// Notes that an object is about to change.
    pub(crate) fn note(&mut self, now: i64, kind: Kind, id: &str) {
        let before = self.table(kind).live(id).cloned();
        let unindexed = &mut self.unindexed;
        let seen = now - unindexed.lag_seconds;
        while unindexed.changes.front().is_some_and(|hidden| hidden.at <= seen) || unindexed.changes.len() > HIDDEN_MAX
        {
            unindexed.changes.pop_front();
        }
        if unindexed.lag_seconds > 0 {
            unindexed.changes.push_back(Hidden { at: now, kind, id: id.into(), before });
        }
    }
}

impl Unindexed {
    /// What the index still holds in place of what is there now: the oldest text of each object that changed lately.
    fn of(&self, kind: Kind, now: i64) -> HashMap<&str, Option<&Arc<str>>> {
        let hidden = self.changes.iter().rev().take_while(|hidden| hidden.at > now - self.lag_seconds);
        let of_kind = hidden.filter(|hidden| hidden.kind == kind);
        of_kind.map(|hidden| (hidden.id.as_ref(), hidden.before.as_ref())).collect()
    }
}

/// Answers a search.
pub(crate) fn answer(book: &Book, kind: Kind, call: &Call, now: i64, expands: &[&str]) -> Result<String, Refusal> {
    let limit = call.parameters.int("limit").unwrap_or(10);
    if !(1..=100).contains(&limit) {
        return Err(Refusal::bad("This value must be between 1 and 100.")
            .code("parameter_invalid_integer")
            .param("limit"));
    }
    let limit = usize::try_from(limit).unwrap_or(10);
    let query = Query::parse(call.parameters.text("query").unwrap_or_default(), kind)?;
    let from = call.parameters.text("page").map(place_of).transpose()?;
    let counts = expands.contains(&"total_count");

    let mut found: Vec<(Place, &Arc<str>)> = Vec::new();
    let mut total = 0_usize;
    for (place, text) in visible(book, kind, now) {
        if !query.fits(text) {
            continue;
        }
        total += 1;
        if from.is_none_or(|from| place < from) && found.len() <= limit {
            found.push((place, text));
        }
        if found.len() > limit && !counts {
            break;
        }
    }
    let has_more = found.len() > limit;
    found.truncate(limit);
    let next_page = found.last().filter(|_| has_more).map(|(place, _)| page_of(*place));
    let mut out = String::from("{\"object\":\"search_result\",\"url\":");
    call.path.write(&mut out);
    out.push_str(",\"has_more\":");
    has_more.write(&mut out);
    out.push_str(",\"next_page\":");
    next_page.write(&mut out);
    if counts {
        out.push_str(",\"total_count\":");
        i64::try_from(total).unwrap_or(i64::MAX).write(&mut out);
    }
    out.push_str(",\"data\":[");
    for (at, (_, text)) in found.iter().enumerate() {
        if at > 0 {
            out.push(',');
        }
        out.push_str(text);
    }
    out.push_str("]}");
    let paths: Vec<&str> = expands.iter().copied().filter(|path| *path != "total_count").collect();
    if paths.is_empty() {
        return Ok(out);
    }
    let mut list: Value = parse(&out);
    expand::check_list(&paths)?;
    expand::expand(book, &mut list, &paths)?;
    Ok(list.to_string())
}

/// What the index holds, newest first.
fn visible(book: &Book, kind: Kind, now: i64) -> impl Iterator<Item = (Place, &Arc<str>)> {
    let table = book.table(kind);
    let hidden = book.unindexed.of(kind, now);
    // Deleted lately: the index still has them, the table has not.
    let mut gone: Vec<(Place, &Arc<str>)> = hidden
        .iter()
        .filter(|(id, _)| table.place(id).is_none())
        .filter_map(|(_, before)| before.map(|text| ((integer_member(text, "created").unwrap_or(0), 0), text)))
        .collect();
    gone.sort_by_key(|(place, text)| (*place, text.as_ptr()));
    let rows = table.newest_first().filter_map(move |(place, text)| {
        if hidden.is_empty() {
            return Some((place, text));
        }
        let id = plain_member(text, "id").unwrap_or_default();
        match hidden.get(id.as_ref()) {
            Some(Some(before)) => Some((place, *before)),
            Some(None) => None,
            None => Some((place, text)),
        }
    });
    let mut rows = rows.peekable();
    std::iter::from_fn(move || {
        let next = rows.peek().map(|(place, _)| *place);
        match gone.last() {
            Some((place, _)) if next.is_none_or(|next| *place > next) => gone.pop(),
            _ => rows.next(),
        }
    })
}

/// A page token: where the page before ended. Opaque to the caller.
fn page_of(place: Place) -> String {
    hex::encode(format!("{}.{}", place.0, place.1))
}

fn place_of(page: &str) -> Result<Place, Refusal> {
    let bytes = hex::decode(page).ok();
    let text = bytes.and_then(|bytes| String::from_utf8(bytes).ok());
    let place = text.as_deref().and_then(|text| {
        let (created, arrival) = text.split_once('.')?;
        Some((created.parse().ok()?, arrival.parse().ok()?))
    });
    place.ok_or_else(|| Refusal::bad(format!("Invalid page token: {page}")).param("page"))
}
