//! What every crate's tests stand on: fresh databases on both engines, a clock moved by hand, repeatable randomness,
//! waits for states, calls to a router, and a look at the log.
//!
//! Everything here panics where a test cannot go on: a helper that skipped or went on regardless would make tests
//! pass that have tested nothing. Knows no slice, so that it can test what is below any of them.
//!
//! ```text
//! testkit::on_both_engines!(a_webhook_is_kept_once);
//!
//! async fn a_webhook_is_kept_once(stage: Stage) {
//!     let router = inbox::router(stage.store.clone(), stage.clock.shared());
//!     Call::post("/webhooks/stripe").json(&event).send(&router).await.expect(200);
//! }
//! ```

#![expect(clippy::print_stderr, reason = "what a failed test says goes where the test's own words go")]

pub mod behind;
pub mod call;
pub mod logs;
mod postgres;
pub mod serve;
mod sqlite;
pub mod stage;
pub mod stripe;
pub mod wait;

pub use call::{Answer, Call};
pub use logs::Logs;
pub use postgres::POSTGRES_URL;
pub use serve::Served;
pub use stage::{START, Stage, run};
pub use store::Engine;
pub use stripe::SimulatedStripe;
pub use wait::wait_for;
