//! The whole program, from its port to its database, against the simulated Stripe.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod first_sync;
mod statements;
mod webhooks;
mod world;
