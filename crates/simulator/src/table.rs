//! One type of object: its texts in order of creation, and the indexes that lists are answered from.
//!
//! Rows are ordered by (created, arrival), so that a page is a walk of `limit` steps from any cursor or time, also while
//! new rows arrive at the front (FACTS section 8).

use crate::json::{members, plain, plain_member};
use std::{
    collections::{BTreeMap, HashMap},
    ops::Bound,
    sync::Arc,
};

/// Where a row stands: second of creation, then order of arrival.
pub(crate) type Place = (i64, u64);

/// A member of the objects that lists filter on.
#[derive(Debug)]
pub(crate) struct Facet {
    /// The list parameter that filters on it, such as `customer` or `payment[payment_intent]`.
    pub(crate) param: &'static str,
    /// Where it is in the object; empty for what the simulator knows and the object does not say.
    pub(crate) path: &'static str,
    /// Whether rows can be found by it without walking over the others.
    pub(crate) indexed: bool,
}

impl Facet {
    /// An id of another object: indexed.
    pub(crate) const fn id(param: &'static str) -> Facet {
        Facet { param, path: param, indexed: true }
    }
    /// An id at another place than the parameter's name.
    pub(crate) const fn id_at(param: &'static str, path: &'static str) -> Facet {
        Facet { param, path, indexed: true }
    }
    /// A word with few values: rows are walked.
    pub(crate) const fn word(param: &'static str) -> Facet {
        Facet { param, path: param, indexed: false }
    }
    /// A word at another place than the parameter's name.
    pub(crate) const fn word_at(param: &'static str, path: &'static str) -> Facet {
        Facet { param, path, indexed: false }
    }
}

/// What a row must say to be listed.
#[derive(Clone, Debug)]
pub(crate) enum Test {
    /// The facet has this value.
    Is(usize, String),
    /// The facet has one of these values.
    AnyOf(usize, Vec<String>),
    /// The facet has none of these values.
    NoneOf(usize, Vec<String>),
    /// The facet begins with this.
    Begins(usize, String),
    /// The facet does not begin with this.
    NotBegins(usize, &'static str),
    /// The facet is a number from .. to, both included.
    Within(usize, i64, i64),
    /// The facet is absent or null.
    Absent(usize),
}

/// Where a page begins.
#[derive(Clone, Copy, Debug)]
pub(crate) enum From {
    /// At the newest.
    Newest,
    /// Just after (older than) this row.
    After(Place),
    /// Just before (newer than) this row.
    Before(Place),
}

/// A page asked for.
#[derive(Clone, Debug)]
pub(crate) struct Query {
    pub(crate) limit: usize,
    pub(crate) from: From,
    pub(crate) created: (i64, i64),
    pub(crate) tests: Vec<Test>,
}

impl Query {
    /// The newest `limit` rows.
    pub(crate) fn newest(limit: usize) -> Query {
        Query { limit, from: From::Newest, created: (i64::MIN, i64::MAX), tests: Vec::new() }
    }
}

/// A page found, newest first.
pub(crate) struct Page {
    pub(crate) texts: Vec<Arc<str>>,
    pub(crate) has_more: bool,
}

struct Row {
    text: Arc<str>,
    facets: Box<[Option<Box<str>>]>,
}

/// All objects of one type in one account and mode.
pub(crate) struct Table {
    facets: &'static [Facet],
    rows: BTreeMap<Place, Row>,
    places: HashMap<Box<str>, Place>,
    /// One map per facet; empty for facets without an index.
    indexes: Vec<HashMap<Box<str>, Vec<Place>>>,
    /// What remains of deleted objects: `{id, object, deleted: true}`.
    deleted: HashMap<Box<str>, Arc<str>>,
    arrivals: u64,
}

impl Table {
    pub(crate) fn new(facets: &'static [Facet]) -> Table {
        Table {
            facets,
            rows: BTreeMap::new(),
            places: HashMap::new(),
            indexes: facets.iter().map(|_| HashMap::new()).collect(),
            deleted: HashMap::new(),
            arrivals: 0,
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.rows.len()
    }

    /// The text of an object, or what remains of a deleted one.
    pub(crate) fn get(&self, id: &str) -> Option<&Arc<str>> {
        match self.places.get(id) {
            Some(place) => self.rows.get(place).map(|row| &row.text),
            None => self.deleted.get(id),
        }
    }

    pub(crate) fn place(&self, id: &str) -> Option<Place> {
        self.places.get(id).copied()
    }

    /// Adds an object or replaces its text. `created` is used only for a new one.
    pub(crate) fn put(&mut self, id: &str, created: i64, text: Arc<str>) {
        let place = match self.places.get(id) {
            Some(place) => *place,
            None => {
                self.arrivals += 1;
                let place = (created, self.arrivals);
                self.places.insert(id.into(), place);
                place
            }
        };
        let before = self.rows.get(&place).map(|row| &row.facets);
        let facets = read_facets(self.facets, &text, before.map(AsRef::as_ref));
        let old = self.rows.insert(place, Row { text, facets });
        self.reindex(place, old.map(|row| row.facets));
    }

    /// Sets a facet that the object's text does not say, such as the payout of a balance transaction.
    pub(crate) fn mark(&mut self, id: &str, param: &str, value: Option<&str>) {
        let (Some(place), Some(at)) = (self.place(id), self.facet(param)) else { return };
        let Some(row) = self.rows.get_mut(&place) else { return };
        let before = row.facets.clone();
        row.facets[at] = value.map(Into::into);
        self.reindex(place, Some(before));
    }

    fn reindex(&mut self, place: Place, before: Option<Box<[Option<Box<str>>]>>) {
        let Some(row) = self.rows.get(&place) else { return };
        for (at, _) in self.facets.iter().enumerate().filter(|(_, facet)| facet.indexed) {
            let old = before.as_ref().and_then(|facets| facets[at].as_deref());
            let new = row.facets[at].as_deref();
            if old == new {
                continue;
            }
            let index = &mut self.indexes[at];
            if let Some(places) = old.and_then(|old| index.get_mut(old)) {
                places.retain(|other| *other != place);
            }
            if let Some(new) = new {
                let places = match index.get_mut(new) {
                    Some(places) => places,
                    None => index.entry(new.into()).or_default(),
                };
                if let Err(position) = places.binary_search(&place) {
                    places.insert(position, place);
                }
            }
        }
    }

    /// Takes an object away; what is left of it can still be read if `tombstone` is given.
    pub(crate) fn remove(&mut self, id: &str, tombstone: Option<Arc<str>>) {
        if let Some(place) = self.places.remove(id)
            && let Some(row) = self.rows.remove(&place)
        {
            for (at, value) in row.facets.iter().enumerate() {
                if let Some(places) = value.as_deref().and_then(|value| self.indexes[at].get_mut(value)) {
                    places.retain(|other| *other != place);
                }
            }
        }
        if let Some(tombstone) = tombstone {
            self.deleted.insert(id.into(), tombstone);
        }
    }

    /// Forgets what was created before `second`; returns how many.
    pub(crate) fn forget_before(&mut self, second: i64) -> usize {
        let mut forgotten = 0;
        while let Some((&(created, _), row)) = self.rows.first_key_value() {
            if created >= second {
                break;
            }
            let Some(id) = plain_member(&row.text, "id").map(|id| id.into_owned()) else { break };
            self.remove(&id, None);
            forgotten += 1;
        }
        forgotten
    }

    /// The number of a facet by its list parameter.
    pub(crate) fn facet(&self, param: &str) -> Option<usize> {
        self.facets.iter().position(|facet| facet.param == param)
    }

    /// Every object whose facet has this value, oldest first.
    pub(crate) fn with(&self, param: &str, value: &str) -> Vec<Arc<str>> {
        let Some(at) = self.facet(param) else { return Vec::new() };
        let places = self.indexes[at].get(value).map_or(&[][..], Vec::as_slice);
        places.iter().filter_map(|place| self.rows.get(place)).map(|row| row.text.clone()).collect()
    }

    /// Every object, oldest first.
    pub(crate) fn all(&self) -> impl Iterator<Item = &Arc<str>> {
        self.rows.values().map(|row| &row.text)
    }

    /// The text of an object that is there, not what remains of a deleted one.
    pub(crate) fn live(&self, id: &str) -> Option<&Arc<str>> {
        self.places.get(id).and_then(|place| self.rows.get(place)).map(|row| &row.text)
    }

    /// Every object with its place, newest first.
    pub(crate) fn newest_first(&self) -> impl Iterator<Item = (Place, &Arc<str>)> {
        self.rows.iter().rev().map(|(place, row)| (*place, &row.text))
    }

    /// An object by its position, for picking one at random among the newest `within`.
    pub(crate) fn nth_newest(&self, position: usize) -> Option<&Arc<str>> {
        self.rows.values().nth_back(position).map(|row| &row.text)
    }

    /// Answers a list.
    pub(crate) fn page(&self, query: &Query) -> Page {
        let mut low = Bound::Included((query.created.0, 0));
        let mut high = Bound::Included((query.created.1, u64::MAX));
        let backwards = match query.from {
            From::Newest => false,
            From::After(place) => {
                if place <= (query.created.1, u64::MAX) {
                    high = Bound::Excluded(place);
                }
                false
            }
            From::Before(place) => {
                if place >= (query.created.0, 0) {
                    low = Bound::Excluded(place);
                }
                true
            }
        };
        if empty(low, high) {
            return Page { texts: Vec::new(), has_more: false };
        }
        let by_index = query.tests.iter().find_map(|test| match test {
            Test::Is(at, value) if self.facets[*at].indexed => {
                Some(self.indexes[*at].get(value.as_str()).map_or(&[][..], Vec::as_slice))
            }
            _ => None,
        });
        let fits = |row: &&Row| query.tests.iter().all(|test| test.fits(&row.facets));
        let take = query.limit + 1;
        let mut texts: Vec<Arc<str>> = match by_index {
            Some(places) => {
                let start = places.partition_point(|place| !above(low, *place));
                let end = places.partition_point(|place| below(high, *place));
                let places = places.get(start..end).unwrap_or(&[]);
                let rows = places.iter().filter_map(|place| self.rows.get(place));
                if backwards {
                    rows.filter(fits).take(take).map(|row| row.text.clone()).collect()
                } else {
                    rows.rev().filter(fits).take(take).map(|row| row.text.clone()).collect()
                }
            }
            None => {
                let rows = self.rows.range((low, high)).map(|(_, row)| row);
                if backwards {
                    rows.filter(fits).take(take).map(|row| row.text.clone()).collect()
                } else {
                    rows.rev().filter(fits).take(take).map(|row| row.text.clone()).collect()
                }
            }
        };
        let has_more = texts.len() > query.limit;
        texts.truncate(query.limit);
        if backwards {
            texts.reverse();
        }
        Page { texts, has_more }
    }
}

/// Reads all facets in one walk over the text; what the text does not say is taken over from `before`.
fn read_facets(facets: &[Facet], text: &str, before: Option<&[Option<Box<str>>]>) -> Box<[Option<Box<str>>]> {
    let mut found: Box<[Option<Box<str>>]> = vec![None; facets.len()].into();
    let mut left = 0;
    for (at, facet) in facets.iter().enumerate() {
        match facet.path {
            "" => found[at] = before.and_then(|before| before[at].clone()),
            _ => left += 1,
        }
    }
    if left == 0 {
        return found;
    }
    members(text, |name, value| {
        for (at, facet) in facets.iter().enumerate() {
            let (head, rest) = facet.path.split_once('.').unwrap_or((facet.path, ""));
            if head == name {
                let value = if rest.is_empty() { plain(value) } else { plain_member(value, rest) };
                found[at] = value.map(Into::into);
                left -= 1;
            }
        }
        left > 0
    });
    found
}

impl Test {
    fn fits(&self, facets: &[Option<Box<str>>]) -> bool {
        match self {
            Test::Is(at, value) => facets[*at].as_deref() == Some(value),
            Test::AnyOf(at, values) => {
                facets[*at].as_deref().is_some_and(|facet| values.iter().any(|value| value == facet))
            }
            Test::NoneOf(at, values) => {
                !facets[*at].as_deref().is_some_and(|facet| values.iter().any(|value| value == facet))
            }
            Test::Begins(at, start) => facets[*at].as_deref().is_some_and(|facet| facet.starts_with(start.as_str())),
            Test::NotBegins(at, start) => !facets[*at].as_deref().is_some_and(|facet| facet.starts_with(start)),
            Test::Within(at, from, to) => facets[*at]
                .as_deref()
                .and_then(|facet| facet.parse::<i64>().ok())
                .is_some_and(|number| (*from..=*to).contains(&number)),
            Test::Absent(at) => facets[*at].is_none(),
        }
    }
}

fn above(low: Bound<Place>, place: Place) -> bool {
    match low {
        Bound::Included(low) => place >= low,
        Bound::Excluded(low) => place > low,
        Bound::Unbounded => true,
    }
}

fn below(high: Bound<Place>, place: Place) -> bool {
    match high {
        Bound::Included(high) => place <= high,
        Bound::Excluded(high) => place < high,
        Bound::Unbounded => true,
    }
}

/// `BTreeMap::range` panics on a range that is upside down, or empty with both ends excluded.
fn empty(low: Bound<Place>, high: Bound<Place>) -> bool {
    match (low, high) {
        (Bound::Included(low), Bound::Included(high)) => low > high,
        (Bound::Included(low) | Bound::Excluded(low), Bound::Included(high) | Bound::Excluded(high)) => low >= high,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    static FACETS: [Facet; 3] =
        [Facet::id("customer"), Facet::word("status"), Facet { param: "payout", path: "", indexed: true }];

    fn table() -> Table {
        let mut table = Table::new(&FACETS);
        for number in 0..10_i64 {
            let customer = number % 2;
            let text = format!(r#"{{"id":"x{number}","customer":"cus{customer}","status":"s{}"}}"#, number % 3);
            table.put(&format!("x{number}"), 100 + number / 3, text.into());
        }
        table
    }

    fn ids(page: &Page) -> String {
        page.texts.iter().filter_map(|text| plain_member(text, "id")).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn pages_go_both_ways_and_filters_hold() {
        let table = table();
        let place = |id: &str| table.place(id).unwrap();
        let check = |query: Query, expected: &str, more: bool| {
            let page = table.page(&query);
            assert_eq!((ids(&page).as_str(), page.has_more), (expected, more), "{query:?}");
        };
        let query = Query::newest(3);
        check(query.clone(), "x9 x8 x7", true);
        check(Query { from: From::After(place("x7")), ..query.clone() }, "x6 x5 x4", true);
        check(Query { from: From::After(place("x2")), ..query.clone() }, "x1 x0", false);
        check(Query { from: From::After(place("x0")), ..query.clone() }, "", false);
        check(Query { from: From::Before(place("x2")), ..query.clone() }, "x5 x4 x3", true);
        check(Query { from: From::Before(place("x7")), ..query.clone() }, "x9 x8", false);
        check(Query { from: From::Before(place("x9")), ..query.clone() }, "", false);
        check(Query { created: (101, 101), ..query.clone() }, "x5 x4 x3", false);
        check(Query { created: (104, 103), ..query.clone() }, "", false);
        check(Query { created: (100, 100), from: From::After(place("x5")), ..query.clone() }, "x2 x1 x0", false);
        check(Query { created: (103, 109), from: From::After(place("x2")), ..query.clone() }, "", false);
        let even = vec![Test::Is(0, "cus0".to_owned())];
        check(Query { tests: even.clone(), ..query.clone() }, "x8 x6 x4", true);
        check(Query { tests: even.clone(), from: From::After(place("x5")), ..query.clone() }, "x4 x2 x0", false);
        check(Query { tests: even, from: From::Before(place("x5")), ..query.clone() }, "x8 x6", false);
        check(Query { tests: vec![Test::Is(0, "nobody".to_owned())], ..query.clone() }, "", false);
        check(
            Query { tests: vec![Test::NoneOf(1, vec!["s0".to_owned(), "s1".to_owned()])], ..query },
            "x8 x5 x2",
            false,
        );
    }

    #[test]
    fn changes_move_rows_between_indexes_and_deletions_leave_a_trace() {
        let mut table = table();
        table.put("x3", 5, r#"{"id":"x3","customer":"cus0","status":"s0"}"#.into());
        assert_eq!(table.with("customer", "cus1").len(), 4);
        assert_eq!(table.with("customer", "cus0").len(), 6);
        assert_eq!(table.place("x3").unwrap().0, 101, "a change does not move an object in time");
        table.mark("x3", "payout", Some("po_1"));
        table.put("x3", 5, r#"{"id":"x3","customer":"cus0","status":"s1"}"#.into());
        assert_eq!(table.with("payout", "po_1").len(), 1, "a mark survives a change");
        table.remove("x3", Some(r#"{"id":"x3","deleted":true}"#.into()));
        assert_eq!(table.len(), 9);
        assert!(table.get("x3").unwrap().contains("deleted"));
        assert!(table.with("payout", "po_1").is_empty());
        assert_eq!(table.forget_before(101), 3);
        assert_eq!(table.len(), 6);
        assert!(table.get("x0").is_none());
    }
}
