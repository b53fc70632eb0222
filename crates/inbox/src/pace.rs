//! When the processor steps back, so that acknowledgements win.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

/// Most events in one transaction.
pub const MAX_BATCH: u32 = 256;
/// With more deliveries than this waiting, the processor steps back.
pub const PRESSURE: usize = 24;
/// For how long at most: events must not wait for ever behind newer ones.
pub const LONGEST_YIELD: Duration = Duration::from_millis(200);

/// How many deliveries wait for their commit.
#[derive(Debug, Default)]
pub struct Pressure {
    waiting: AtomicUsize,
}

impl Pressure {
    /// Counts a delivery in until the guard is dropped.
    pub fn enter(self: &Arc<Pressure>) -> Waiting {
        self.waiting.fetch_add(1, Ordering::Relaxed);
        Waiting(Arc::clone(self))
    }

    /// Deliveries that wait for their commit now.
    pub fn waiting(&self) -> usize {
        self.waiting.load(Ordering::Relaxed)
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

    #[test]
    fn a_delivery_counts_until_it_is_answered() {
        let pressure = Arc::new(Pressure::default());
        let (one, two) = (pressure.enter(), pressure.enter());
        assert_eq!(pressure.waiting(), 2);
        drop(one);
        drop(two);
        assert_eq!(pressure.waiting(), 0);
    }
}
