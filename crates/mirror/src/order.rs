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
