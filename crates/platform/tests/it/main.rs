//! Jobs, schedule, notices and idempotency keys on both engines.
#![expect(clippy::unwrap_used, reason = "a story that cannot go on has failed")]

mod idempotency;
mod jobs;
mod schedule;

use platform::Base;
use testkit::Stage;

/// What a slice would be handed.
fn base(stage: &Stage) -> Base {
    Base { store: stage.store.clone(), clock: stage.clock.shared(), randomness: stage.randomness.clone() }
}
