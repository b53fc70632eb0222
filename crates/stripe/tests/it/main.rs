//! The crate from outside: against sample objects, the API description, and a listener that misbehaves.

#![expect(clippy::unwrap_used, reason = "a helper of a test fails as its test does")]

mod samples;
mod wire;
