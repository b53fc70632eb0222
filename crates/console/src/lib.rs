//! Pages that cross slices: the overview.
//!
//! Read in this order: `moment` everything the overview shows, read once; `trouble` what of it is wrong; `overview` how it looks; `live` how it
//! stays true while somebody looks.

mod live;
mod moment;
mod overview;
mod trouble;

use axum::{
    Router,
    extract::{Query, State},
    response::{IntoResponse, Response},
    routing::get,
};
use gateway::Gateway;
use identity::{Caller, Frame};
use inbox::Inbox;
use mirror::Mirror;
use platform::{Base, NavItem, Problem, Slice};
use revenue::Revenue;
use serde::Deserialize;
use vault::Vault;

pub use moment::{ConnectionHealth, Moment};

/// What the overview asks. Cheap to clone.
#[derive(Clone)]
pub struct Console {
    /// Store and clock.
    pub base: Base,
    /// Connections.
    pub vault: Vault,
    /// The outbox and how Stripe answers.
    pub gateway: Gateway,
    /// Events.
    pub inbox: Inbox,
    /// Objects and syncs.
    pub mirror: Mirror,
    /// Figures.
    pub revenue: Revenue,
}

/// What the address of the overview carries, so that a view can be shared.
#[derive(Clone, Debug, Default, Deserialize)]
pub(crate) struct Looking {
    /// Code of the currency shown; the one with most charges if left out.
    pub(crate) currency: Option<String>,
}

/// What this crate gives the server.
pub fn slice(console: Console) -> Slice {
    let routes = Router::new().route("/", get(page)).route("/live/overview", get(live::stream)).with_state(console);
    let nav = vec![NavItem { label: "Overview", href: "/", icon: "overview", order: 0 }];
    Slice { name: "console", routes, nav, ..Slice::default() }
}

async fn page(
    State(console): State<Console>,
    caller: Caller,
    Frame(frame): Frame,
    Query(looking): Query<Looking>,
) -> Result<Response, Problem> {
    let moment = Moment::read(&console, caller.tenant).await?;
    Ok(overview::page(&moment, &looking, &frame).into_response())
}
