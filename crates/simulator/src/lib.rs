//! A stateful stand-in for Stripe that shares no code with the client it tests.
//!
//! Read in this order: [`Simulator`] and its [`Options`]; `exchange` (what happens to a request); `resources` (a file per type
//! of object); `book` and `table` (where objects are kept); `generate` (a believable business); `webhooks`.
//!
//! Nothing happens by itself: simulated time does something only when it is moved, or while there is traffic.

#![recursion_limit = "512"]

mod book;
mod books;
mod calendar;
mod control;
mod exchange;
mod expand;
mod faults;
mod fixtures;
mod form;
mod generate;

mod idempotency;
mod ids;
mod json;
mod keys;
mod limits;
mod money;
mod parameters;
mod problem;
mod resources;
mod routes;
mod server;
mod simulator;
mod stats;
mod table;
mod traffic;
mod unsimulated;
mod webhooks;
mod work;

pub use books::{Presented, Settled, Totals};
pub use faults::{CallFault, Fault, WebhookFault};
pub use generate::{Business, Payouts, Summary};
pub use limits::Limits;
pub use simulator::{AccountKeys, Loaded, Options, Simulator, SimulatorError};
pub use stats::{Stats, WebhookStats};
pub use traffic::TrafficPlan;
pub use webhooks::RetryPlan;

/// The version whose shapes the simulator answers in, and the account's default.
pub const API_VERSION: &str = "2026-10-28.endive";

/// The calls that the simulator does and the parameters of each, for the test that holds them against Stripe's
/// description: method, path pattern, parameter paths such as `items[][price]`.
pub fn accepted_parameters() -> Vec<(&'static str, &'static str, Vec<String>)> {
    let routes = routes::all().iter();
    routes
        .map(|route| {
            let paths = route.accepts.paths().map(str::to_owned).collect();
            (routes::word(route.endpoint.method), route.endpoint.pattern, paths)
        })
        .collect()
}

/// The calls of Stripe's that the simulator refuses by name, as `GET /v1/transfers`.
pub fn unsimulated() -> &'static [&'static str] {
    &unsimulated::UNSIMULATED
}
