//! Jobs, schedule, notices and idempotency keys on both engines.
#![expect(missing_docs, reason = "a test binary has no public items to document")]

mod idempotency;
mod jobs;
mod schedule;

use platform::Base;
use testkit::Stage;

/// What a slice would be handed.
fn base(stage: &Stage) -> Base {
    Base { store: stage.store.clone(), clock: stage.clock.shared(), randomness: stage.randomness.clone() }
}
