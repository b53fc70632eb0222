//! The kit's own promises: fresh databases, gone afterwards; calls and logs as tests need them.

#![expect(clippy::unwrap_used, reason = "a test that meets what it does not expect has failed")]

mod calls;
mod logs;
mod stages;
