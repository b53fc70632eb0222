//! The console's shell from outside: its samples, its colours, its files.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]
mod assets;
mod contrast;
mod samples;
