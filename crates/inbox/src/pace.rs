//! How much the processor takes at once, so that acknowledgements win.
//!
//! SQLite has one writer: while a batch is absorbed no delivery is acknowledged. So the batch is cut to what takes a few
//! milliseconds as long as deliveries come in, and under pressure the processor steps back altogether.

use ::store::Engine;
use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
    time::Duration,
};

/// Most events in one transaction.
pub const MAX_BATCH: u32 = 256;
/// Fewest, however slow they are: below this the commit costs more than the events.
pub const MIN_BATCH: u32 = 8;
/// How long a batch may hold SQLite's writer while deliveries come in: small against the 10 ms that an acknowledgement may
/// take, of which it can also meet the commit before it.
pub const WRITER_BUDGET: Duration = Duration::from_millis(3);
/// With more deliveries than this waiting, the processor steps back.
pub const PRESSURE: usize = 24;
/// For how long at most: events must not wait for ever behind newer ones.
pub const LONGEST_YIELD: Duration = Duration::from_millis(200);

/// Each time the oldest event has waited this long, a batch may hold the writer once more its budget: on a machine that is
/// too slow for both, acknowledgements get slower rather than events later and later.
pub const LAG_STEP: Duration = Duration::from_millis(50);
/// The most that a batch's budget grows by lag.
const MOST_LAG_STEPS: u32 = 16;

/// Sizes the processor's batches. A rule on measured times; figures only, never money or state.
#[derive(Clone, Copy, Debug)]
pub struct Pace {
    single_writer: bool,
    /// How many events fit the budget, as far as is known.
    fitting: u32,
    /// How many budgets the batch under way may take.
    budgets: u32,
}

impl Pace {
    /// Begins small and grows.
    pub fn new(engine: Engine) -> Pace {
        Pace { single_writer: engine == Engine::Sqlite, fitting: 2 * MIN_BATCH, budgets: 1 }
    }

    /// How many events to take. `deliveries` says whether any came in since the last batch, `lag` how long the oldest
    /// event of the last batch had waited.
    pub fn batch(&mut self, deliveries: bool, lag: Duration) -> u32 {
        let steps = u32::try_from(lag.as_micros() / LAG_STEP.as_micros()).unwrap_or(MOST_LAG_STEPS);
        self.budgets = 1 + steps.min(MOST_LAG_STEPS);
        if self.single_writer && deliveries { (self.fitting * self.budgets).min(MAX_BATCH) } else { MAX_BATCH }
    }

    /// Learns from the batch, which held the writer for `took`.
    pub fn learn(&mut self, events: u32, took: Duration) {
        let budget = WRITER_BUDGET * self.budgets;
        if took > budget {
            let fitting = u128::from(events) * WRITER_BUDGET.as_micros() / took.as_micros().max(1);
            self.fitting = u32::try_from(fitting).unwrap_or(MAX_BATCH).clamp(MIN_BATCH, MAX_BATCH);
        } else if events >= (self.fitting * self.budgets).min(MAX_BATCH) {
            self.fitting = (self.fitting + self.fitting / 4 + 1).min(MAX_BATCH);
        }
    }
}

/// How many deliveries wait for their commit, and how many there ever were.
#[derive(Debug, Default)]
pub struct Pressure {
    waiting: AtomicUsize,
    total: AtomicU64,
}

impl Pressure {
    /// Counts a delivery in until the guard is dropped.
    pub fn enter(self: &Arc<Pressure>) -> Waiting {
        self.waiting.fetch_add(1, Ordering::Relaxed);
        self.total.fetch_add(1, Ordering::Relaxed);
        Waiting(Arc::clone(self))
    }

    /// Deliveries that wait for their commit now.
    pub fn waiting(&self) -> usize {
        self.waiting.load(Ordering::Relaxed)
    }

    /// Deliveries since the process started.
    pub fn total(&self) -> u64 {
        self.total.load(Ordering::Relaxed)
    }
}

/// A delivery that waits for its commit.
#[derive(Debug)]
pub struct Waiting(Arc<Pressure>);

impl Drop for Waiting {
    fn drop(&mut self) {
        self.0.waiting.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NO_LAG: Duration = Duration::ZERO;

    #[test]
    fn batches_fit_the_budget_while_deliveries_come_in() {
        let mut pace = Pace::new(Engine::Sqlite);
        assert_eq!((pace.batch(true, NO_LAG), pace.batch(false, NO_LAG)), (16, 256));
        for _ in 0..20 {
            let batch = pace.batch(true, NO_LAG);
            pace.learn(batch, Duration::from_millis(1));
        }
        assert_eq!(pace.batch(true, NO_LAG), 256, "fast batches grow to the most");
        pace.learn(256, Duration::from_millis(12));
        assert_eq!(pace.batch(true, NO_LAG), 64);
        pace.learn(64, Duration::from_millis(900));
        assert_eq!(pace.batch(true, NO_LAG), MIN_BATCH);
        pace.learn(3, Duration::from_millis(1));
        assert_eq!(pace.batch(true, NO_LAG), MIN_BATCH, "a batch that was not full teaches nothing");
        pace.learn(8, Duration::from_millis(1));
        assert_eq!(pace.batch(true, NO_LAG), 11);
    }

    #[test]
    fn events_that_have_waited_get_more_of_the_writer() {
        let mut pace = Pace::new(Engine::Sqlite);
        let check = |pace: &mut Pace, lag_ms, batch| {
            assert_eq!(pace.batch(true, Duration::from_millis(lag_ms)), batch, "after {lag_ms} ms");
        };
        check(&mut pace, 49, 16);
        check(&mut pace, 50, 32);
        check(&mut pace, 220, 80);
        check(&mut pace, 60_000, 256);
        pace.learn(256, Duration::from_millis(17 * 3 + 51));
        check(&mut pace, 0, 8);
        check(&mut pace, 60_000, 136);
        pace.learn(136, Duration::from_millis(17 * 3));
        check(&mut pace, 0, 11);
    }

    #[test]
    fn several_writers_need_no_budget() {
        let mut pace = Pace::new(Engine::Postgres);
        pace.learn(256, Duration::from_millis(900));
        assert_eq!(pace.batch(true, NO_LAG), MAX_BATCH);
    }

    #[test]
    fn a_delivery_counts_until_it_is_answered() {
        let pressure = Arc::new(Pressure::default());
        let (one, two) = (pressure.enter(), pressure.enter());
        assert_eq!((pressure.waiting(), pressure.total()), (2, 2));
        drop(one);
        drop(two);
        assert_eq!((pressure.waiting(), pressure.total()), (0, 2));
    }
}
