//! Stories of the inbox, on both engines.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on says where")]

mod api;
mod door;
mod pages;
mod processing;
mod replaying;
mod statements;
mod world;
