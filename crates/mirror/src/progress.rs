//! How far a sync is: counted objects, and an honest guess at the rest.

use crate::{PartState, SyncPart, store::syncs::SyncJob};
use kit::Time;
use serde::{Serialize, Serializer};

/// How far a sync is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Progress {
    /// Objects read.
    pub objects: u64,
    /// Pages read.
    pub pages: u64,
    /// About how many objects are left, judged by the time that is left to be read and how dense objects were so far.
    pub remaining: u64,
    /// Share that is read, in whole percents, rounded down: 100 means that nothing is left.
    pub percent: u64,
    /// Objects read in each second since the start.
    pub per_second: u64,
    /// About how many seconds it will take yet; none before a rate is known.
    pub seconds_left: Option<u64>,
}

/// How far a sync is, from its parts.
pub fn progress(parts: &[SyncPart], started_at: Option<Time>, now: Time) -> Progress {
    let sum = |of: fn(&SyncPart) -> i64| parts.iter().map(|part| u64::try_from(of(part)).unwrap_or(0)).sum::<u64>();
    // What is hindered is not waited for.
    let is_open =
        |part: &&SyncPart| part.state == PartState::Pending.as_str() || part.state == PartState::Running.as_str();
    let open: Vec<&SyncPart> = parts.iter().filter(is_open).collect();
    let objects = sum(|part| part.objects);
    let remaining = open.iter().map(|part| u64::try_from(part.remaining).unwrap_or(0)).sum::<u64>();
    let percent = match (open.is_empty(), objects + remaining) {
        (true, _) => 100,
        (false, 0) => 0,
        (false, all) => (objects * 100 / all).min(99),
    };
    let milliseconds = started_at.map_or(0, |at| now.since(at).as_millis() as u64);
    let per_second = objects.saturating_mul(1_000).checked_div(milliseconds).unwrap_or(0);
    let seconds_left = (per_second > 0).then(|| remaining.div_ceil(per_second));
    Progress { objects, pages: sum(|part| part.pages), remaining, percent, per_second, seconds_left }
}

impl SyncJob {
    /// When it began.
    pub fn began(&self) -> Option<Time> {
        self.started_at.map(Time::from_micros)
    }
}

/// Writes microseconds since 1970 as RFC 3339.
pub(crate) fn time_text<S: Serializer>(micros: &i64, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(&Time::from_micros(*micros))
}

/// The same, or `null`.
pub(crate) fn some_time_text<S: Serializer>(micros: &Option<i64>, serializer: S) -> Result<S::Ok, S::Error> {
    match micros {
        Some(micros) => time_text(micros, serializer),
        None => serializer.serialize_none(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn part(state: PartState, objects: i64, remaining: i64) -> SyncPart {
        SyncPart {
            object_type: "charge".into(),
            state: state.as_str().into(),
            reason: None,
            from_second: None,
            to_second: 0,
            objects,
            pages: (objects + 99) / 100,
            remaining,
        }
    }

    #[test]
    fn a_hundred_percent_means_that_nothing_is_left() {
        let check = |parts: &[SyncPart], percent: u64, left: Option<u64>| {
            let progress = progress(parts, Some(Time::from_seconds(10)), Time::from_seconds(20));
            assert_eq!((progress.percent, progress.seconds_left), (percent, left), "{parts:?}");
        };
        check(&[], 100, None);
        check(&[part(PartState::Pending, 0, 0)], 0, None);
        check(&[part(PartState::Running, 1_000, 1_000)], 50, Some(10));
        check(&[part(PartState::Running, 1_000, 0)], 99, Some(0));
        check(&[part(PartState::Complete, 1_000, 0), part(PartState::Running, 0, 3_000)], 25, Some(30));
        check(&[part(PartState::Complete, 1_000, 0), part(PartState::Forbidden, 0, 0)], 100, Some(0));
    }
}
