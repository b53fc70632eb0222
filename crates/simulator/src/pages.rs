//! Pages of v2 lists: tokens in place of cursors, the way to the next page as a URL, times in RFC 3339 (FACTS sections 3 and 8).

use crate::{
    book::Book,
    json::Json,
    problem::Refusal,
    resources::{Call, Kind},
    table::{From, Place, Query, Test},
};
use kit::Time;
use std::sync::Arc;

const LIMIT_DEFAULT: i64 = 20;
const LIMIT_MAX: i64 = 100;

/// A second as v2 writes it, `2026-11-21T12:00:00.000Z`.
pub(crate) fn written(second: i64) -> String {
    let text = Time::from_seconds(second).to_string();
    format!("{}.000Z", text.trim_end_matches('Z'))
}

/// A page of v2.
pub(crate) struct Page {
    texts: Vec<Arc<str>>,
    next: Option<String>,
    previous: Option<String>,
}

/// Reads the page that a call asks for, of the rows that pass the tests and were created within a range.
pub(crate) fn read(
    book: &Book,
    kind: Kind,
    call: &Call,
    tests: Vec<Test>,
    created: (i64, i64),
) -> Result<Page, Refusal> {
    let limit = call.parameters.int("limit").unwrap_or(LIMIT_DEFAULT);
    if !(1..=LIMIT_MAX).contains(&limit) {
        return Err(Refusal::bad(format!("limit must be between 1 and {LIMIT_MAX}."))
            .code("invalid_fields")
            .param("limit"));
    }
    let from = call.parameters.text("page").map_or(Ok(From::Newest), place_of)?;
    let query = Query { limit: usize::try_from(limit).unwrap_or(20), from, created, tests };
    let table = book.table(kind);
    let found = table.page(&query);
    let place = |text: Option<&Arc<str>>| {
        text.and_then(|text| crate::json::plain_member(text, "id")).and_then(|id| table.place(&id))
    };
    let (first, last) = (place(found.texts.first()), place(found.texts.last()));
    let (older, newer) = match from {
        From::Newest => (found.has_more, false),
        From::After(_) => (found.has_more, true),
        From::Before(_) => (true, found.has_more),
    };
    let url = |direction: char, place: Option<Place>| place.map(|place| url_of(call, direction, place));
    Ok(Page { next: url('a', last.filter(|_| older)), previous: url('b', first.filter(|_| newer)), texts: found.texts })
}

/// `{data, next_page_url, previous_page_url}`, each object as `shown` writes it.
pub(crate) fn text(page: &Page, shown: impl Fn(&str) -> String) -> String {
    let mut out = String::from("{\"data\":[");
    for (at, text) in page.texts.iter().enumerate() {
        if at > 0 {
            out.push(',');
        }
        out.push_str(&shown(text));
    }
    out.push_str("],\"next_page_url\":");
    page.next.write(&mut out);
    out.push_str(",\"previous_page_url\":");
    page.previous.write(&mut out);
    out.push('}');
    out
}

/// The call again, with the token of another page in place of its own.
fn url_of(call: &Call, direction: char, place: Place) -> String {
    let token = hex::encode(format!("{direction}.{}.{}", place.0, place.1));
    let kept = call.query.split('&').filter(|pair| !pair.is_empty() && !pair.starts_with("page="));
    let pairs: Vec<&str> = kept.collect();
    let joined = if pairs.is_empty() { String::new() } else { format!("{}&", pairs.join("&")) };
    format!("{}?{joined}page={token}", call.path)
}

fn place_of(token: &str) -> Result<From, Refusal> {
    let text = hex::decode(token).ok().and_then(|bytes| String::from_utf8(bytes).ok());
    let from = text.as_deref().and_then(|text| {
        let (direction, place) = text.split_once('.')?;
        let (created, arrival) = place.split_once('.')?;
        let place = (created.parse().ok()?, arrival.parse().ok()?);
        match direction {
            "a" => Some(From::After(place)),
            "b" => Some(From::Before(place)),
            _ => None,
        }
    });
    from.ok_or_else(|| Refusal::bad("The page token is not one of this list's.").code("invalid_fields").param("page"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_and_tokens_are_v2s() {
        assert_eq!(written(1_795_262_400), "2026-11-21T12:00:00.000Z");
        let call =
            Call { path: "/v2/core/events".into(), query: "limit=2&page=61&types[0]=x".into(), ..Call::default() };
        let url = url_of(&call, 'a', (5, 7));
        assert_eq!(url, format!("/v2/core/events?limit=2&types[0]=x&page={}", hex::encode("a.5.7")));
        assert!(matches!(place_of(&hex::encode("a.5.7")), Ok(From::After((5, 7)))));
        assert!(matches!(place_of(&hex::encode("b.5.7")), Ok(From::Before((5, 7)))));
        for wrong in ["", "zz", "61", &hex::encode("c.5.7"), &hex::encode("a.5")] {
            assert!(place_of(wrong).is_err(), "{wrong}");
        }
    }
}
