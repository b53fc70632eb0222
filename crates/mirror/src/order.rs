//! Which of two versions of an object is the newer one: the rule that makes the end state the same whatever the order
//! of arrival.
//!
//! Each version was true in some [`Interval`]. Intervals that do not overlap decide. Those that overlap (two events of
//! one second, an event within a fetch) and differ are *contested*: nobody knows which is newer, so the object is read
//! again, and until then a choice is shown that at least does not depend on who came first.

use crate::Interval;
use std::cmp::Ordering;

/// What is known about when the stored body was true.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Version {
    /// `begin`: the latest begin of all that was seen. `end`: the latest end of all that was seen, so that only what
    /// begins after it is certainly newer than everything.
    pub seen: Interval,
    /// The object is gone. Final.
    pub deleted: bool,
    /// Something that cannot be ordered against it was different.
    pub contested: bool,
    /// Only that it is gone is known, not what it was.
    pub stub: bool,
}

/// How an incoming version stands to the stored one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The stored body stays: the incoming one is older, or the same.
    Keep,
    /// The incoming body is newer.
    Replace,
    /// They differ and nobody knows which is newer.
    Contested,
}

/// Orders two versions of one object. `same_body` says that they say the same.
pub fn order(stored: &Version, incoming: &Version, same_body: bool) -> Verdict {
    if incoming.stub {
        // It tells that the object is gone, and nothing of what it was.
        return Verdict::Keep;
    }
    if stored.stub || stored.seen.is_before(&incoming.seen) {
        return Verdict::Replace;
    }
    if same_body || incoming.seen.end < stored.seen.begin { Verdict::Keep } else { Verdict::Contested }
}

/// What is stored after both have been seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Merged {
    /// What is then known of the stored body.
    pub version: Version,
    /// Whether the incoming body is the stored one from now on.
    pub take_incoming: bool,
}

/// Merges two versions of one object. Merging any set of versions in any order, any number of times, gives the same
/// body and the same marks; only `contested` may stand where another order knew better, which costs one more look and
/// never gives a wrong body.
///
/// `bodies` compares the stored body's text with the incoming one's: the choice between contested ones.
pub fn merge(stored: &Version, incoming: &Version, same_body: bool, bodies: Ordering) -> Merged {
    let deleted = stored.deleted || incoming.deleted;
    if incoming.stub {
        let both = stored.stub;
        let seen = if both { latest(stored.seen, incoming.seen) } else { stored.seen };
        let version = Version { seen, deleted, contested: false, stub: both };
        return Merged { version, take_incoming: both && !same_body && bodies == Ordering::Less };
    }
    let seen = if stored.stub { incoming.seen } else { latest(stored.seen, incoming.seen) };
    let (take_incoming, contested) = match order(stored, incoming, same_body) {
        Verdict::Keep => (false, stored.contested),
        Verdict::Replace => (true, false),
        // The later begin has the better chance to be newer; of two events of one second neither has.
        Verdict::Contested => match incoming.seen.begin.cmp(&stored.seen.begin) {
            Ordering::Greater => (true, true),
            Ordering::Equal => (bodies == Ordering::Less, true),
            Ordering::Less => (false, true),
        },
    };
    // What is gone is not read again: the answer would only say once more that it is gone.
    Merged { version: Version { seen, deleted, contested: contested && !deleted, stub: false }, take_incoming }
}

fn latest(one: Interval, other: Interval) -> Interval {
    Interval { begin: one.begin.max(other.begin), end: one.end.max(other.end) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use kit::Time;
    use proptest::prelude::*;

    fn version(begin: i64, end: i64) -> Version {
        let seen = Interval { begin: Time::from_micros(begin), end: Time::from_micros(end) };
        Version { seen, deleted: false, contested: false, stub: false }
    }

    #[test]
    fn intervals_that_do_not_overlap_decide() {
        use Verdict::{Contested, Keep, Replace};
        let check = |stored: (i64, i64), incoming: (i64, i64), same: bool, verdict| {
            let (stored, incoming) = (version(stored.0, stored.1), version(incoming.0, incoming.1));
            assert_eq!(order(&stored, &incoming, same), verdict, "{stored:?} {incoming:?} {same}");
        };
        check((10, 20), (21, 30), false, Replace);
        check((10, 20), (21, 30), true, Replace);
        check((10, 20), (1, 9), false, Keep);
        check((10, 20), (20, 30), false, Contested);
        check((10, 20), (1, 10), false, Contested);
        check((10, 20), (10, 20), false, Contested);
        check((10, 20), (12, 15), false, Contested);
        check((10, 20), (10, 20), true, Keep);
        check((10, 20), (1, 30), true, Keep);
    }

    #[test]
    fn an_event_and_a_fetch_are_ordered_by_time() {
        let event = |second| Interval::of_event(Time::from_seconds(second));
        let fetch = |began, ended| Interval::of_fetch(Time::from_micros(began), Time::from_micros(ended));
        // A fetch that began in the second after an event beats it, but only once clocks cannot be the reason.
        assert!(event(10).is_before(&fetch(11_300_000, 11_400_000)));
        assert!(!event(10).is_before(&fetch(11_100_000, 11_400_000)));
        assert!(!event(10).is_before(&fetch(10_500_000, 10_600_000)));
        assert!(fetch(9_000_000, 9_500_000).is_before(&event(10)));
        assert!(!event(10).is_before(&event(10)));
        assert!(event(10).is_before(&event(11)));
    }

    #[test]
    fn what_is_gone_stays_gone_and_keeps_what_it_was() {
        let gone = Version { deleted: true, ..version(10, 20) };
        let stub = Version { deleted: true, stub: true, ..version(50, 51) };
        let whole = merge(&gone, &version(30, 40), false, Ordering::Less);
        assert!(whole.version.deleted && whole.take_incoming && !whole.version.contested);
        let overlapping = merge(&gone, &version(15, 16), false, Ordering::Less);
        assert!(overlapping.version.deleted && !overlapping.version.contested);
        let marked = merge(&version(10, 20), &stub, false, Ordering::Less);
        assert_eq!(marked, Merged { version: gone, take_incoming: false });
        let filled = merge(&stub, &version(10, 20), false, Ordering::Less);
        assert_eq!(filled, Merged { version: gone, take_incoming: true });
    }

    type Seen = (i64, i64, u8, u8);

    /// Merges all, and answers the version with its body.
    fn merged(seen: &[Seen]) -> Option<(Version, String)> {
        let body = |letter: u8| ["a", "b", "c"][usize::from(letter % 3)].to_owned();
        seen.iter().fold(None, |state, (begin, length, letter, what)| {
            let mut incoming = version(*begin, begin + length);
            (incoming.deleted, incoming.stub) = (*what >= 8, *what == 9);
            let text = if incoming.stub { "gone".to_owned() } else { body(*letter) };
            Some(match state {
                None => (incoming, text),
                Some((stored, known)) => {
                    let step = merge(&stored, &incoming, known == text, known.cmp(&text));
                    (step.version, if step.take_incoming { text } else { known })
                }
            })
        })
    }

    fn shuffled() -> impl Strategy<Value = (Vec<Seen>, Vec<Seen>)> {
        let seen = (0_i64..40, 0_i64..8, 0_u8..3, 0_u8..10);
        proptest::collection::vec(seen, 1..10).prop_flat_map(|seen| {
            let again: Vec<Seen> = seen.iter().chain(&seen).copied().collect();
            (Just(seen), Just(again).prop_shuffle())
        })
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(4_000))]
        #[test]
        fn any_order_any_number_of_times_ends_in_the_same_state((once, again) in shuffled()) {
            let (Some((one, one_body)), Some((other, other_body))) = (merged(&once), merged(&again)) else { panic!() };
            prop_assert_eq!((one.seen, one.deleted, one.stub), (other.seen, other.deleted, other.stub));
            // Where one order knows that nothing is contested, its body is the right one, and the other shows it too.
            prop_assert_eq!(one_body, other_body);
        }

        #[test]
        fn a_look_after_everything_settles_it((once, again) in shuffled()) {
            let last: Seen = (100, 1, 1, 0);
            for mut seen in [once, again] {
                seen.push(last);
                let (version, body) = merged(&seen).unwrap();
                prop_assert!(!version.contested);
                prop_assert_eq!(body.as_str(), "b");
            }
        }

        #[test]
        fn what_cannot_be_ordered_is_never_passed_over((once, _) in shuffled()) {
            // Without deletions, since what is gone is not read again.
            let once: Vec<Seen> = once.iter().map(|seen| (seen.0, seen.1, seen.2, 0)).collect();
            let whole: Vec<&Seen> = once.iter().collect();
            let newest_begin = whole.iter().map(|seen| seen.0).max().unwrap();
            let (version, body) = merged(&once).unwrap();
            let letter = |seen: &Seen| ["a", "b", "c"][usize::from(seen.2 % 3)];
            let differs = whole.iter().any(|seen| seen.0 + seen.1 >= newest_begin && letter(seen) != body);
            prop_assert!(version.contested || !differs, "{once:?}");
        }
    }
}
