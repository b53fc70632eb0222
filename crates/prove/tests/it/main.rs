//! The prover proves itself: seeds agree, a lie is found.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod agrees;
