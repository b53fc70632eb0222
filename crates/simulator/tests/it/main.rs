//! The simulator as its callers meet it: through HTTP, every answer held against Stripe's description.

#![expect(clippy::unwrap_used, reason = "a test's helpers stop at what they did not expect")]

mod business;
mod calls;
mod catalogue;
mod clients;
mod clocks;
mod description;
mod encoding;
mod events;
mod faults;
mod idempotency;
mod keys;
mod lists;
mod money;
mod payments;
mod search;
mod stage;
mod subscriptions;
mod triggers;
mod walk;
mod webhooks;
