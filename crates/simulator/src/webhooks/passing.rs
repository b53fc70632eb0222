//! How much time has passed for what is to be sent later.

use kit::Stopwatch;
use std::time::Duration;

/// Time since the start. Between two looks as much has passed as on the machine's clock or as simulated time was moved,
/// whichever is more: a retry in an hour comes when somebody moves time by an hour, and also while it stands still.
#[derive(Debug)]
pub(super) struct Passing {
    started: Stopwatch,
    seen: Duration,
    simulated_micros: Option<i64>,
    passed: Duration,
}

impl Default for Passing {
    fn default() -> Passing {
        Passing { started: Stopwatch::start(), seen: Duration::ZERO, simulated_micros: None, passed: Duration::ZERO }
    }
}

impl Passing {
    /// How much has passed, at this microsecond of simulated time.
    pub(super) fn look(&mut self, simulated_micros: i64) -> Duration {
        let elapsed = self.started.elapsed();
        self.look_at(elapsed, simulated_micros)
    }

    fn look_at(&mut self, elapsed: Duration, simulated_micros: i64) -> Duration {
        let moved = simulated_micros - self.simulated_micros.unwrap_or(simulated_micros);
        let moved = Duration::from_micros(u64::try_from(moved).unwrap_or(0));
        self.passed += elapsed.saturating_sub(self.seen).max(moved);
        self.seen = elapsed;
        self.simulated_micros = Some(simulated_micros);
        self.passed
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_passes_by_the_machine_or_by_hand() {
        let mut passing = Passing::default();
        let mut check = |elapsed_s: u64, simulated_s: i64, expected_s: u64| {
            let passed = passing.look_at(Duration::from_secs(elapsed_s), simulated_s * 1_000_000);
            assert_eq!(passed.as_secs(), expected_s, "after {elapsed_s} s, at {simulated_s}");
        };
        check(0, 1_000, 0);
        check(5, 1_000, 5);
        check(6, 87_400, 86_405);
        check(16, 87_400, 86_415);
        check(17, 87_405, 86_420);
        check(18, 87_000, 86_421);
    }
}
