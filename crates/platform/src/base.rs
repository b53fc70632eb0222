//! What is handed to every slice: the store, the clock, randomness.

use kit::{SharedClock, SharedRandomness, Time};
use store::Store;

/// The ground under a slice. Cheap to clone.
#[derive(Clone)]
pub struct Base {
    /// The database.
    pub store: Store,
    /// Where `now` comes from.
    pub clock: SharedClock,
    /// Where ids, tokens and jitter come from.
    pub randomness: SharedRandomness,
}

impl Base {
    /// The present time.
    pub fn now(&self) -> Time {
        self.clock.now()
    }
}
