//! The whole program, from its port to its database, against the simulated Stripe.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]
#![expect(clippy::print_stderr, reason = "what a test waits for is told where its own words go")]

mod addresses;
mod bad_input;
mod browser;
mod chromium;
mod faults;
mod first_sync;
mod ground;
mod nodes;
mod statements;
mod webhooks;
mod world;
