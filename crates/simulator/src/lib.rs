//! A stateful stand-in for Stripe that shares no code with the client it tests.
//!
//! Read in this order: [`Simulator`] and its [`Options`]; `exchange` (what happens to a request); `resources` (a file per type
//! of object); `book` and `table` (where objects are kept); `passing` (what time brings); `search`; `generate` (a believable
//! business); `webhooks`.
//!
//! Nothing happens by itself: simulated time does something only when it is moved, or while there is traffic.

#![recursion_limit = "512"]

mod book;
mod books;
mod calendar;
mod cli_session;
mod control;
mod exchange;
mod expand;
mod fault_page;
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
mod pages;
mod parameters;
mod passing;
mod problem;
mod resources;
mod routes;
mod search;
mod server;
mod simulator;
mod stats;
mod table;
mod traffic;
mod unsimulated;
mod webhooks;
mod work;

pub use books::{Presented, Settled, Totals};
pub use cli_session::CliStats;
pub use faults::{
    CallFault, Chance, Fault, FaultPlan, FaultReport, Faults, FiredFault, LimitReason, SetFault, Target, WebhookFault,
};
pub use generate::{Business, Payouts, Summary};
pub use limits::Limits;
pub use simulator::{AccountKeys, Loaded, Options, Simulator, SimulatorError};
pub use stats::{DeliveryTold, Stats, WebhookStats};
pub use traffic::TrafficPlan;
pub use webhooks::RetryPlan;

/// The version whose shapes the simulator answers in, and the account's default unless [`Options`] name another.
pub const API_VERSION: &str = "2026-10-28.endive";

/// A call that the simulator does, for the tests that hold it against Stripe's description.
#[derive(Clone, Debug)]
pub struct Simulated {
    /// `GET`, `POST` or `DELETE`.
    pub method: &'static str,
    /// `/v1/charges/{id}`
    pub pattern: &'static str,
    /// The middle of the permission's name that a restricted key needs: `charge` for `rak_charge_read`.
    pub permission: &'static str,
    /// Parameter paths such as `items[][price]`, and what each holds: `text`, `int`, `one(a|b)` …
    pub parameters: Vec<(String, String)>,
}

/// The calls that the simulator does.
pub fn simulated() -> Vec<Simulated> {
    let routes = routes::all().iter();
    routes
        .map(|route| Simulated {
            method: routes::word(route.endpoint.method),
            pattern: route.endpoint.pattern,
            permission: route.endpoint.permission,
            parameters: route.accepts.shapes().map(|(path, shape)| (path.to_owned(), shape.to_string())).collect(),
        })
        .collect()
}

/// What a form means to the simulator: nested names, with numbers for the elements of lists, and texts. For tests that hold
/// a client's encoding against it.
///
/// # Errors
/// What a caller would be told: a name whose brackets do not pair, text that is not UTF-8, too many levels or parameters.
pub fn decode_form(text: &str) -> Result<serde_json::Map<String, serde_json::Value>, String> {
    form::decode(text).map_err(|refusal| refusal.message)
}

/// The calls of Stripe's that the simulator refuses by name, as `GET /v1/transfers`.
pub fn unsimulated() -> &'static [&'static str] {
    &unsimulated::UNSIMULATED
}
