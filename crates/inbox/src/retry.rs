//! When a failed event is tried again, and when it is given up (INB-6).

use kit::Time;
use std::time::Duration;

/// After this many failed tries an event is kept as dead.
pub const MAX_TRIES: u32 = 12;
/// After the first failure.
const FIRST_DELAY: Duration = Duration::from_secs(5);
/// The longest pause: what fails for hours waits for a person or for another release.
const LONGEST_DELAY: Duration = Duration::from_secs(6 * 3600);

/// What happens to an event that failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AfterFailure {
    /// It is tried again, not before this time.
    TryAgain(Time),
    /// It is kept as dead.
    GiveUp,
}

/// Decides after the `failures`th failed try (from 1). `random` spreads the delay over ±25 %.
///
/// Delays triple from five seconds to six hours: twelve tries take about a day, so that an error that a person or a
/// release has to cure is still being tried when it is.
pub fn after_failure(failures: u32, now: Time, random: u64) -> AfterFailure {
    if failures >= MAX_TRIES {
        return AfterFailure::GiveUp;
    }
    let tripled = FIRST_DELAY.saturating_mul(3_u32.saturating_pow(failures.saturating_sub(1)));
    let per_mille = 750 + u32::try_from(random % 501).unwrap_or(0);
    AfterFailure::TryAgain(now + tripled.min(LONGEST_DELAY) * per_mille / 1_000)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn delays_triple_up_to_six_hours_and_end() {
        let now = Time::from_seconds(1_000_000);
        let check = |failures, random, seconds: Option<i64>| {
            let expected = match seconds {
                Some(seconds) => AfterFailure::TryAgain(Time::from_seconds(1_000_000 + seconds)),
                None => AfterFailure::GiveUp,
            };
            assert_eq!(after_failure(failures, now, random), expected, "after {failures}");
        };
        check(1, 250, Some(5));
        check(2, 250, Some(15));
        check(5, 250, Some(405));
        check(8, 250, Some(10_935));
        check(9, 250, Some(21_600));
        check(11, 250, Some(21_600));
        check(11, 0, Some(16_200));
        check(11, 500, Some(27_000));
        check(12, 250, None);
        check(u32::MAX, 250, None);
    }
}
