//! How a kind of objects is cut into spans of creation time that are read in parallel, and no finer than helps.
//!
//! A list can only be walked from its newest object to its oldest, one page after another. To keep several calls in
//! flight a span that has more is cut in its unread remainder, and each half is walked on its own. Every cut costs up to
//! one call more than needed, because the last page of a span is rarely full; so a span is only cut while too few are
//! open, and only if enough pages seem to be left in it. Pure: seconds, as Stripe counts them.

/// Spans of one kind that are read at once: at 25 calls a second and 100 ms each, three are on the wire; the rest wait
/// their turn, so that no turn is lost while one answer is taken apart.
pub const PARALLEL: usize = 6;
/// Fewest pages that must seem to be left in a span that is cut.
const CUT_PAGES: i64 = 8;
/// The same once so many pages of the kind were read that a call more does not count.
const CUT_PAGES_LATE: i64 = 4;
/// From this many pages on a call more does not count.
const MANY_PAGES: i64 = 24;
/// Before Stripe had its first customers; only a guess at where to cut, never a bound on what is read.
const STRIPE_BEGAN: i64 = 1_280_000_000;

/// A span of creation times, both ends included, read from its newest second to its oldest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Range {
    /// Its number within the kind; stays when the span shrinks.
    pub number: i64,
    /// The oldest second; none for everything there is.
    pub from: Option<i64>,
    /// The newest second that may hold unread objects.
    pub to: i64,
    /// The last object that was read.
    pub cursor: Option<String>,
    /// Pages read.
    pub pages: i64,
    /// Objects read.
    pub objects: i64,
    /// Nothing is left in it.
    pub done: bool,
    /// About how many objects are left in it, for progress and for choosing what to read next.
    pub left: i64,
}

impl Range {
    /// A span of which nothing was read.
    pub fn new(number: i64, from: Option<i64>, to: i64) -> Range {
        Range { number, from, to, cursor: None, pages: 0, objects: 0, done: false, left: 0 }
    }
}

/// What a page says about its span.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PageSeen {
    /// Objects on it.
    pub objects: i64,
    /// Creation of its newest object.
    pub newest: Option<i64>,
    /// Creation of its oldest object.
    pub oldest: Option<i64>,
    /// Id of its last object.
    pub last_id: Option<String>,
    /// There are more behind it.
    pub has_more: bool,
}

/// What is known of the kind when a page arrives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Outlook {
    /// Spans of the kind that are open, this one included.
    pub open: usize,
    /// Pages of the kind read so far, this one included.
    pub pages: i64,
    /// The oldest object of any kind that was read to its end: where the account's data seems to begin.
    pub oldest: Option<i64>,
    /// The number for a new span.
    pub next_number: i64,
}

/// What becomes of a span after a page: it goes on or is done, and may give its older half away.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Advanced {
    /// The span itself.
    pub range: Range,
    /// Its older half, as a span of its own.
    pub older: Option<Range>,
}

/// Moves a span on by one page.
pub fn advance(range: &Range, page: &PageSeen, outlook: Outlook) -> Advanced {
    let mut next = Range {
        pages: range.pages + 1,
        objects: range.objects + page.objects,
        cursor: page.last_id.clone().or_else(|| range.cursor.clone()),
        to: page.oldest.unwrap_or(range.to).min(range.to),
        left: 0,
        ..range.clone()
    };
    if !page.has_more || page.last_id.is_none() {
        next.done = true;
        return Advanced { range: next, older: None };
    }
    let began = range.from.unwrap_or(STRIPE_BEGAN).max(outlook.oldest.unwrap_or(i64::MIN));
    let page_span = (page.newest.unwrap_or(range.to) - next.to).max(1);
    let left = |from: i64, to: i64| page.objects.max(1).saturating_mul((to - from).max(0)) / page_span;
    next.left = left(began, next.to).max(1);

    let is_guess = range.from.is_none() && outlook.oldest.is_none();
    let fewest_read = if is_guess { 4 } else { 2 };
    let cut_pages = if outlook.pages >= MANY_PAGES { CUT_PAGES_LATE } else { CUT_PAGES };
    let worthwhile = next.left / page.objects.max(1) >= cut_pages && outlook.pages >= fewest_read;
    let middle = began + (next.to - began) / 2;
    if outlook.open >= PARALLEL || !worthwhile || middle >= next.to || middle < began {
        return Advanced { range: next, older: None };
    }
    let mut older = Range::new(outlook.next_number, range.from, middle);
    older.left = left(began, middle).max(1);
    next.from = Some(middle + 1);
    next.left = left(middle + 1, next.to).max(1);
    Advanced { range: next, older: Some(older) }
}

/// The object behind the cursor was deleted, and Stripe does not know where to go on: begin at the second it was
/// created in. What is read twice is absorbed once.
pub fn without_cursor(range: &Range) -> Range {
    Range { cursor: None, ..range.clone() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn page(objects: i64, newest: i64, oldest: i64, has_more: bool) -> PageSeen {
        let some = |second: i64| (objects > 0).then_some(second);
        let last_id = (objects > 0).then(|| format!("ch_{oldest}"));
        PageSeen { objects, newest: some(newest), oldest: some(oldest), last_id, has_more }
    }

    fn outlook(open: usize, pages: i64, oldest: Option<i64>) -> Outlook {
        Outlook { open, pages, oldest, next_number: 9 }
    }

    /// Whether it is done, its bounds, and the bounds of its older half.
    type Expected = (bool, Option<i64>, i64, Option<(Option<i64>, i64)>);

    #[test]
    fn spans_are_cut_only_where_it_helps() {
        let check = |what: &str, range: Range, seen: PageSeen, outlook: Outlook, expected: Expected| {
            let advanced = advance(&range, &seen, outlook);
            let older = advanced.older.map(|older| (older.from, older.to));
            assert_eq!((advanced.range.done, advanced.range.from, advanced.range.to, older), expected, "{what}");
        };
        let began = 1_500_000_000;
        let whole = |to| Range::new(0, None, to);
        let inner = |from, to| Range::new(0, Some(from), to);
        check("empty", whole(began), page(0, 0, 0, false), outlook(1, 1, None), (true, None, began, None));
        check("last page", inner(0, 1_000), page(30, 900, 500, false), outlook(1, 1, None), (true, Some(0), 500, None));
        check(
            "few pages left",
            inner(0, 1_000),
            page(100, 1_000, 800, true),
            outlook(1, 5, None),
            (false, Some(0), 800, None),
        );
        check(
            "many left",
            inner(0, 1_000),
            page(100, 1_000, 980, true),
            outlook(1, 5, None),
            (false, Some(491), 980, Some((Some(0), 490))),
        );
        check(
            "enough open",
            inner(0, 1_000),
            page(100, 1_000, 980, true),
            outlook(6, 5, None),
            (false, Some(0), 980, None),
        );
        check(
            "first page tells little",
            inner(0, 1_000),
            page(100, 1_000, 980, true),
            outlook(1, 1, None),
            (false, Some(0), 980, None),
        );
        check(
            "late",
            inner(0, 1_000),
            page(100, 1_000, 820, true),
            outlook(2, 60, None),
            (false, Some(411), 820, Some((Some(0), 410))),
        );
        check(
            "a guess waits",
            whole(began),
            page(100, began, began - 1_000, true),
            outlook(1, 3, None),
            (false, None, began - 1_000, None),
        );
        check(
            "a known beginning",
            whole(began),
            page(100, began, began - 1_000, true),
            outlook(1, 3, Some(began - 21_000)),
            (false, Some(began - 10_999), began - 1_000, Some((None, began - 11_000))),
        );
        check("all in one second", inner(5, 5), page(100, 5, 5, true), outlook(1, 50, None), (false, Some(5), 5, None));
        check(
            "behind the beginning",
            whole(90),
            page(100, 90, 80, true),
            outlook(1, 50, Some(100)),
            (false, None, 80, None),
        );
    }

    /// Reads a made-up list by the rules above; answers calls made, the most spans open at once, and what was read.
    fn read_all(created: &[i64], page_size: usize, oldest: Option<i64>) -> (usize, usize, Vec<usize>) {
        let mut newest_first: Vec<(i64, usize)> = created.iter().copied().zip(0..).collect();
        newest_first.sort_by(|one, other| other.cmp(one));
        let (mut open, mut read, mut pages, mut most_open, mut next_number) =
            (vec![Range::new(0, None, i64::MAX)], Vec::new(), 0, 1, 1);
        while let Some(range) = open.pop() {
            let begin = range
                .cursor
                .as_ref()
                .map_or(0, |id| 1 + newest_first.iter().position(|(_, number)| id == &number.to_string()).unwrap());
            let fits = |item: &&(i64, usize)| item.0 <= range.to && range.from.is_none_or(|from| item.0 >= from);
            let rest: Vec<(i64, usize)> = newest_first[begin..].iter().filter(fits).copied().collect();
            let shown = &rest[..rest.len().min(page_size)];
            pages += 1;
            read.extend(shown.iter().map(|item| item.1));
            let seen = PageSeen {
                objects: shown.len() as i64,
                newest: shown.first().map(|item| item.0),
                oldest: shown.last().map(|item| item.0),
                last_id: shown.last().map(|item| item.1.to_string()),
                has_more: rest.len() > shown.len(),
            };
            let advanced = advance(&range, &seen, Outlook { open: open.len() + 1, pages, oldest, next_number });
            next_number += 1;
            open.extend(advanced.older);
            if !advanced.range.done {
                open.insert(0, advanced.range);
            }
            most_open = most_open.max(open.len());
        }
        read.sort_unstable();
        (pages as usize, most_open, read)
    }

    proptest::proptest! {
        #[test]
        fn everything_is_read_once_whatever_the_density(
            seconds in proptest::collection::vec(1_300_000_000_i64..1_300_100_000, 0..900),
            crowd in 0_usize..300, knows in proptest::bool::ANY,
        ) {
            let mut created = seconds;
            created.extend(std::iter::repeat_n(1_300_050_000, crowd));
            let oldest = created.iter().min().copied().filter(|_| knows);
            let (_, most_open, read) = read_all(&created, 10, oldest);
            proptest::prop_assert_eq!(read, (0..created.len()).collect::<Vec<_>>());
            proptest::prop_assert!(most_open <= PARALLEL);
        }
    }

    #[test]
    fn calls_stay_near_the_fewest() {
        let spread = |count: i64, grows: bool| -> Vec<i64> {
            let at =
                |number: i64| if grows { (number as f64 / count as f64).sqrt() } else { number as f64 / count as f64 };
            (0..count).map(|number| 1_700_000_000 + (at(number) * 63_000_000.0) as i64).collect()
        };
        for (count, knows, grows) in [
            (250, false, false),
            (2_000, false, true),
            (20_000, false, false),
            (60_000, true, true),
            (60_000, false, true),
        ] {
            let created = spread(count, grows);
            let (calls, most_open, _) = read_all(&created, 100, knows.then_some(1_700_000_000));
            let fewest = (count as usize).div_ceil(100);
            assert!(calls * 10 <= fewest * 15, "{calls} calls instead of {fewest} for {count}");
            assert!(count < 20_000 || most_open == PARALLEL, "{most_open} open for {count}");
        }
    }
}
