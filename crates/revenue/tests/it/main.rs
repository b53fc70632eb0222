//! Revenue held against objects in any order, on both engines.
#![expect(clippy::unwrap_used, reason = "a test stops at what it did not expect")]

mod objects;
mod order;
mod stories;
