//! The command line as a person uses it: the program itself, in processes of its own.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod kills;
