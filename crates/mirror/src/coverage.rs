//! What is known to be complete (REV-5b): for every kind of objects which times were read, up to when changes are known,
//! and where the holes are.
//!
//! Pure. Nothing is complete because nothing failed: a time counts only where a listing was read to its end, or the event
//! list was read to its end since. Times are those at which objects were made; what changed since is told by events.

mod paint;
mod why;

pub use why::Why;

use self::paint::Paint;
use crate::{
    incremental::{IDLE_LOOK, OVERLAP},
    sync::{MOST_DOWNTIME, PartState},
};
use kit::Time;
use serde::{Serialize, Serializer};
use std::time::Duration;
use stripe::{ObjectKind, kind::EventCoverage};

/// The event list is read each quarter of an hour: if it was not for longer than two, something is wrong.
pub(crate) const OVERDUE: Duration = Duration::from_secs(2_100);
const MICROS_A_SECOND: i64 = 1_000_000;

/// What is known of one kind.
#[derive(Clone, Debug)]
pub struct KindFacts {
    /// Which kind.
    pub kind: ObjectKind,
    /// How its last listing ended; none if it was never listed.
    pub state: Option<PartState>,
    /// Why it is not complete, in words.
    pub reason: Option<String>,
    /// The oldest creation that was asked for, once a listing ended; none for everything.
    pub covered_from: Option<Time>,
    /// The ceiling of the last listing that was read to its end.
    pub covered_until: Option<Time>,
    /// The listing that is under way, or was stopped.
    pub listing: Option<Listing>,
    /// The oldest event of this kind that has no effect yet.
    pub waiting_since: Option<Time>,
    /// Events of this kind that were given up, and the oldest of them.
    pub given_up: Option<(i64, Time)>,
    /// Objects that could not be read again although they had to be.
    pub unreadable: i64,
}

/// A listing that has not come to its end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listing {
    /// The oldest second; none for everything.
    pub from: Option<i64>,
    /// The newest second.
    pub to: i64,
    /// Spans that were not read: their oldest and newest seconds.
    pub unread: Vec<(Option<i64>, i64)>,
}

/// What is known of the whole connection.
#[derive(Clone, Copy, Debug)]
pub struct Following {
    /// When it is looked at.
    pub now: Time,
    /// Whether calls can be made.
    pub link: Link,
    /// Whether the key may read the event list; none before it was tried.
    pub events: Option<PartState>,
    /// When the event list was last read to its end.
    pub last_sweep_at: Option<Time>,
    /// Balance transactions made before this were listed.
    pub balance_through_at: Option<Time>,
    /// Webhooks are known to arrive.
    pub hears_webhooks: bool,
}

/// Whether calls can be made with a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Link {
    /// They can.
    Works,
    /// Stripe refuses the key.
    KeyRefused,
    /// A person ended it.
    Ended,
}

/// Whether what was made in a time is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Known {
    /// All of it.
    Complete,
    /// Probably all of it; the proof is yet to come.
    Unproven,
    /// Not all of it.
    Gap,
    /// A person did not ask for it.
    NotAsked,
}

/// A span of creation times of which one thing is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span {
    /// When it begins; none for the beginning of the account.
    pub from: Option<Time>,
    /// When it ends; it is not part of the span.
    pub until: Time,
    /// Whether what was made then is known.
    pub known: Known,
    /// By what, or why not.
    pub why: Why,
}

impl Serialize for Span {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        #[derive(Serialize)]
        struct SpanView {
            from: Option<String>,
            until: String,
            known: Known,
            why: Why,
            what_to_do: Option<&'static str>,
        }
        let Span { from, until, known, why } = *self;
        let (from, until) = (from.map(|at| at.to_string()), until.to_string());
        SpanView { from, until, known, why, what_to_do: why.what_to_do() }.serialize(serializer)
    }
}

/// A time as RFC 3339, or `null`.
pub(crate) fn time_text<S: Serializer>(at: &Option<Time>, serializer: S) -> Result<S::Ok, S::Error> {
    at.map(|at| at.to_string()).serialize(serializer)
}

/// What is to be said of a kind in a word.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// All that was asked for is known.
    Complete,
    /// It is being read.
    Reading,
    /// Something is missing.
    Incomplete,
    /// Nothing was read.
    NotBegun,
}

/// What is known of one kind.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct KindCoverage {
    /// Stripe's name of the kind.
    pub object_type: &'static str,
    /// In a word.
    pub verdict: Verdict,
    /// Everything that is called complete is so as of this moment.
    #[serde(serialize_with = "time_text")]
    pub as_of: Option<Time>,
    /// The whole of time up to now, oldest first.
    pub spans: Vec<Span>,
    /// Why something is missing, in Stripe's or our words.
    pub reason: Option<String>,
    /// Events that were given up.
    pub events_given_up: i64,
    /// Objects that could not be read again although they had to be.
    pub unreadable: i64,
    /// What to do about the gravest hole.
    pub what_to_do: Option<&'static str>,
}

/// What is known of one kind.
pub fn coverage(facts: &KindFacts, following: &Following) -> KindCoverage {
    let now = following.now.micros();
    let mut paint = Paint::new(now);
    let listed_until = paint_listing(&mut paint, facts);
    let mut as_of = None;
    if let Some(listed_until) = listed_until {
        let known_until = followed_until(facts, following).unwrap_or(listed_until).clamp(listed_until.min(now), now);
        let by = match facts.kind.events() {
            EventCoverage::Full => Why::Events,
            EventCoverage::Partial => Why::EventsInPart,
            EventCoverage::None => Why::ListedRegularly,
        };
        paint.over(listed_until, known_until, Known::Complete, by);
        let (known, why) = trailing(facts, following, known_until);
        paint.over(known_until, now, known, why);
        let waits = facts.waiting_since.map(Time::micros).filter(|since| *since < known_until);
        if let Some(since) = waits {
            paint.over_complete(since, Known::Unproven, Why::EventsWaiting);
        }
        let lost = facts.given_up.map(|(_, since)| since.micros());
        if let Some(since) = lost {
            paint.over_complete(since.min(now), Known::Gap, Why::EventsGivenUp);
        }
        as_of = Some([waits, lost].into_iter().flatten().fold(known_until, i64::min));
    }
    let asked_from = match &facts.listing {
        Some(listing) if facts.state != Some(PartState::Complete) => listing.from.map(|from| from * MICROS_A_SECOND),
        _ => facts.covered_from.map(Time::micros),
    };
    if let Some(from) = asked_from {
        paint.over(i64::MIN, from.min(now), Known::NotAsked, Why::Lookback);
    }
    let spans = paint.spans();
    let verdict = verdict(&spans, facts);
    let to_do = spans.iter().rev().filter(|span| span.known == Known::Gap).find_map(|span| span.why.what_to_do());
    let unreadable = "Some objects could not be read again; run a full sync once Stripe answers for them.";
    KindCoverage {
        object_type: facts.kind.object_name(),
        verdict,
        as_of: as_of.filter(|_| spans.iter().any(|span| span.known == Known::Complete)).map(Time::from_micros),
        reason: facts.reason.clone().filter(|_| verdict != Verdict::Complete),
        events_given_up: facts.given_up.map_or(0, |(events, _)| events),
        unreadable: facts.unreadable,
        what_to_do: to_do.or((facts.unreadable > 0).then_some(unreadable)),
        spans,
    }
}

/// Paints what was listed and what was not; answers up to when.
fn paint_listing(paint: &mut Paint, facts: &KindFacts) -> Option<i64> {
    if facts.state == Some(PartState::Complete)
        && let Some(until) = facts.covered_until
    {
        paint.over(i64::MIN, until.micros(), Known::Complete, Why::Listed);
        return Some(until.micros());
    }
    let state = facts.state?;
    let Some(listing) = &facts.listing else {
        paint.over(i64::MIN, i64::MAX, Known::Gap, hole(state));
        return None;
    };
    let end = |second: i64| second.saturating_add(1).saturating_mul(MICROS_A_SECOND);
    paint.over(i64::MIN, end(listing.to), Known::Complete, Why::Listed);
    for (from, to) in &listing.unread {
        let from = from.map_or(i64::MIN, |from| from.saturating_mul(MICROS_A_SECOND));
        paint.over(from, end(*to), Known::Gap, hole(state));
    }
    Some(end(listing.to))
}

fn hole(state: PartState) -> Why {
    match state {
        PartState::Pending => Why::NotBegun,
        PartState::Running | PartState::Complete => Why::Reading,
        PartState::Forbidden => Why::Forbidden,
        PartState::Throttled => Why::Throttled,
        PartState::Failed => Why::Failed,
    }
}

/// Up to when what happened since the listing is known.
fn followed_until(facts: &KindFacts, following: &Following) -> Option<i64> {
    if facts.state == Some(PartState::Forbidden) {
        return None;
    }
    let by_events = following.last_sweep_at.filter(|_| following.events == Some(PartState::Complete));
    let until = match facts.kind.events() {
        EventCoverage::None => following.balance_through_at,
        // The list may show an event a little after its time: what is younger is read once more next time.
        EventCoverage::Full | EventCoverage::Partial => by_events.map(|at| at - OVERLAP),
    };
    until.map(Time::micros)
}

/// What is to be said of the time since.
fn trailing(facts: &KindFacts, following: &Following, known_until: i64) -> (Known, Why) {
    let unread = following.now.since(Time::from_micros(known_until));
    match following.link {
        Link::Ended => return (Known::Gap, Why::Disconnected),
        Link::KeyRefused => return (Known::Gap, Why::KeyRefused),
        Link::Works => {}
    }
    if facts.state == Some(PartState::Forbidden) {
        return (Known::Gap, Why::Forbidden);
    }
    let by_events = facts.kind.events() != EventCoverage::None;
    if by_events && following.events == Some(PartState::Forbidden) {
        return (Known::Gap, Why::EventsForbidden);
    }
    if unread > MOST_DOWNTIME {
        return (Known::Gap, Why::Downtime);
    }
    // Where nothing happens the balance is listed once a week.
    let patience = if by_events { OVERDUE + OVERLAP } else { IDLE_LOOK + OVERDUE };
    if unread > patience {
        return (Known::Gap, Why::Behind);
    }
    let why = if following.hears_webhooks && by_events { Why::Webhooks } else { Why::NextReading };
    (Known::Unproven, why)
}

fn verdict(spans: &[Span], facts: &KindFacts) -> Verdict {
    let gaps = || spans.iter().filter(|span| span.known == Known::Gap);
    if facts.state.is_none() || gaps().any(|span| span.why == Why::NotBegun) {
        return Verdict::NotBegun;
    }
    match gaps().all(|span| span.why == Why::Reading) {
        true if gaps().next().is_some() => Verdict::Reading,
        true if facts.unreadable == 0 => Verdict::Complete,
        _ => Verdict::Incomplete,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: i64 = 1_790_000_000;

    /// A time so many minutes before now.
    fn before(minutes: i64) -> Time {
        Time::from_seconds(NOW - minutes * 60)
    }

    fn charges(state: PartState) -> KindFacts {
        KindFacts {
            kind: ObjectKind::Charge,
            state: Some(state),
            reason: None,
            covered_from: None,
            covered_until: None,
            listing: None,
            waiting_since: None,
            given_up: None,
            unreadable: 0,
        }
    }

    fn complete() -> KindFacts {
        KindFacts { covered_until: Some(before(1_000)), ..charges(PartState::Complete) }
    }

    fn at_work() -> Following {
        Following {
            now: before(0),
            link: Link::Works,
            events: Some(PartState::Complete),
            last_sweep_at: Some(before(10)),
            balance_through_at: Some(before(20)),
            hears_webhooks: true,
        }
    }

    /// `..-1000 complete/listed` for each span, in minutes before now, and the verdict before them.
    fn check(what: &str, facts: &KindFacts, following: &Following, expected: &str) {
        let found = coverage(facts, following);
        let minutes = |at: Time| (at.seconds() - NOW) as f64 / 60.0;
        let word = |value: serde_json::Value| value.as_str().unwrap().to_owned();
        let mut said = vec![word(serde_json::to_value(found.verdict).unwrap())];
        for span in &found.spans {
            let (known, why) = (serde_json::to_value(span.known).unwrap(), serde_json::to_value(span.why).unwrap());
            let from = span.from.map_or(String::new(), |from| minutes(from).to_string());
            said.push(format!("{from}..{} {}/{}", minutes(span.until), word(known), word(why)));
        }
        assert_eq!(said.join(", "), expected, "{what}");
        // Spans have neither holes nor overlaps, end now, and each hole says what to do.
        assert!(found.spans.windows(2).all(|pair| Some(pair[0].until) == pair[1].from), "{what}");
        assert!(found.spans.first().unwrap().from.is_none() && found.spans.last().unwrap().until == following.now);
        let gaps = found.spans.iter().filter(|span| span.known == Known::Gap);
        assert!(gaps.clone().all(|gap| gap.why.what_to_do().is_some()), "{what}");
        assert!(gaps.count() == 0 || (found.what_to_do.is_some() && found.verdict != Verdict::Complete), "{what}");
    }

    #[test]
    fn what_was_listed_and_followed_is_complete_up_to_the_last_reading() {
        let tail = "-15..0 unproven/webhooks";
        let (work, listed) = (at_work(), "..-1000 complete/listed, -1000..-15 complete/events");
        check("all well", &complete(), &work, &format!("complete, {listed}, {tail}"));
        let deaf = Following { hears_webhooks: false, ..work };
        check("no webhooks", &complete(), &deaf, &format!("complete, {listed}, -15..0 unproven/next_reading"));
        let days = KindFacts { covered_from: Some(before(9_000)), ..complete() };
        let asked = "..-9000 not_asked/lookback, -9000..-1000 complete/listed, -1000..-15 complete/events";
        check("days of history", &days, &work, &format!("complete, {asked}, {tail}"));
        let balance = KindFacts { kind: ObjectKind::BalanceTransaction, ..complete() };
        check(
            "balance",
            &balance,
            &work,
            "complete, ..-1000 complete/listed, -1000..-20 complete/listed_regularly, -20..0 unproven/next_reading",
        );
        let idle = Following { balance_through_at: Some(before(6 * 1_440)), last_sweep_at: Some(before(1)), ..work };
        let old = KindFacts { covered_until: Some(before(20_000)), ..balance.clone() };
        check(
            "an idle account's balance is listed once a week",
            &old,
            &idle,
            "complete, ..-20000 complete/listed, -20000..-8640 complete/listed_regularly, -8640..0 unproven/next_reading",
        );
        let paid = KindFacts { kind: ObjectKind::InvoicePayment, ..complete() };
        check(
            "events tell of a part",
            &paid,
            &work,
            &format!("complete, ..-1000 complete/listed, -1000..-15 complete/events_in_part, {tail}"),
        );
        let fresh = KindFacts { covered_until: Some(before(2)), ..complete() };
        check(
            "listed after the last reading",
            &fresh,
            &work,
            "complete, ..-2 complete/listed, -2..0 unproven/webhooks",
        );
    }

    #[test]
    fn what_was_not_read_is_a_gap_wherever_it_is() {
        let work = at_work();
        let never = KindFacts { state: None, ..charges(PartState::Pending) };
        check("never", &never, &work, "not_begun, ..0 gap/not_begun");
        check("no listing known", &charges(PartState::Running), &work, "reading, ..0 gap/reading");
        let second = |minutes: i64| NOW - minutes * 60;
        let listing = |from: Option<i64>, unread: &[(Option<i64>, i64)]| {
            let unread = unread.iter().map(|(from, to)| (from.map(second), second(*to) - 1)).collect();
            Some(Listing { from: from.map(second), to: second(30) - 1, unread })
        };
        let reading =
            KindFacts { listing: listing(None, &[(None, 900), (Some(600), 400)]), ..charges(PartState::Running) };
        check(
            "half read",
            &reading,
            &work,
            "reading, ..-900 gap/reading, -900..-600 complete/listed, -600..-400 gap/reading, -400..-30 complete/listed, -30..-15 complete/events, -15..0 unproven/webhooks",
        );
        let throttled = KindFacts { listing: listing(Some(700), &[(Some(700), 500)]), ..charges(PartState::Throttled) };
        check(
            "throttled within days of history",
            &throttled,
            &work,
            "incomplete, ..-700 not_asked/lookback, -700..-500 gap/throttled, -500..-30 complete/listed, -30..-15 complete/events, -15..0 unproven/webhooks",
        );
        let forbidden = KindFacts { listing: listing(None, &[(None, 30)]), ..charges(PartState::Forbidden) };
        check("forbidden", &forbidden, &work, "incomplete, ..0 gap/forbidden");
        let taken_away = KindFacts {
            covered_until: Some(before(5_000)),
            listing: listing(None, &[(None, 300)]),
            ..charges(PartState::Forbidden)
        };
        check(
            "forbidden half-way",
            &taken_away,
            &work,
            "incomplete, ..-300 gap/forbidden, -300..-30 complete/listed, -30..0 gap/forbidden",
        );
    }

    #[test]
    fn what_happened_since_is_a_gap_when_nothing_tells_of_it() {
        let work = at_work();
        let listed = "..-1000 complete/listed";
        let tail = |following: &Following, expected: &str| {
            check(expected, &complete(), following, &format!("incomplete, {listed}, {expected}"));
        };
        let kept = "-1000..-15 complete/events";
        tail(&Following { link: Link::KeyRefused, ..work }, &format!("{kept}, -15..0 gap/key_refused"));
        tail(&Following { link: Link::Ended, ..work }, &format!("{kept}, -15..0 gap/disconnected"));
        tail(&Following { last_sweep_at: Some(before(60)), ..work }, "-1000..-65 complete/events, -65..0 gap/behind");
        tail(&Following { events: Some(PartState::Forbidden), ..work }, "-1000..0 gap/events_forbidden");
        let long = KindFacts { covered_until: Some(before(90_000)), ..complete() };
        let away = Following { last_sweep_at: Some(before(50_000)), ..work };
        check(
            "away for five weeks",
            &long,
            &away,
            "incomplete, ..-90000 complete/listed, -90000..-50005 complete/events, -50005..0 gap/downtime",
        );
        let balance = KindFacts { kind: ObjectKind::BalanceTransaction, ..complete() };
        let late = Following { balance_through_at: Some(before(900)), events: Some(PartState::Forbidden), ..work };
        check(
            "the balance needs no events",
            &balance,
            &late,
            "complete, ..-1000 complete/listed, -1000..-900 complete/listed_regularly, -900..0 unproven/next_reading",
        );
    }

    #[test]
    fn events_without_their_effect_take_back_what_they_told() {
        let work = at_work();
        let waiting = KindFacts { waiting_since: Some(before(40)), ..complete() };
        check(
            "waiting",
            &waiting,
            &work,
            "complete, ..-1000 complete/listed, -1000..-40 complete/events, -40..-15 unproven/events_waiting, -15..0 unproven/webhooks",
        );
        let lost = KindFacts { given_up: Some((2, before(40))), ..complete() };
        check(
            "given up",
            &lost,
            &work,
            "incomplete, ..-1000 complete/listed, -1000..-40 complete/events, -40..-15 gap/events_given_up, -15..0 unproven/webhooks",
        );
        assert_eq!(coverage(&lost, &work).as_of, Some(before(40)));
        let unreadable = coverage(&KindFacts { unreadable: 1, ..complete() }, &work);
        assert_eq!((unreadable.verdict, unreadable.what_to_do.is_some()), (Verdict::Incomplete, true));
    }
}
