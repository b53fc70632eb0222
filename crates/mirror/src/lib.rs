//! The local copy of Stripe's objects, and the one door by which anything from Stripe comes in.
//!
//! Read in this order: [`observation`] what is learned, [`order`](mod@order) which version is newer, [`projection`] what features
//! make of it, [`absorb`] the door itself and [`door`] who comes in by it; then how the copy is filled and kept in step:
//! [`sync`] jobs, [`range`] and `backfill` the full listing, `incremental` the event list, `reread` objects read
//! again; [`progress`] how far a sync is; [`coverage`] what is known to be complete, and [`health`] how a connection
//! stands as a whole; [`mirror`] the mirror as others hold it. The SQL is in `store`.

pub mod absorb;
mod api;
mod backfill;
pub mod coverage;
pub mod door;
pub mod error;
pub mod health;
mod incremental;
mod jobs;
pub mod mirror;
pub mod observation;
pub mod order;
mod page;
mod pages;
pub mod progress;
pub mod projection;
pub mod range;
mod reread;
mod store;
pub mod sync;
mod view;

pub use crate::store::{
    objects::{KindCount, ObjectRow},
    streams::{Coverage, Stream},
    syncs::{SyncJob, SyncPart},
};
pub use absorb::{Absorbed, Absorber};
pub use coverage::{KindCoverage, Verdict as CoverageVerdict};
pub use error::MirrorError;
pub use health::{CoverageReport, ReadsReport};
pub use mirror::{Mirror, Summary, SyncStatus};
pub use observation::{Interval, Observation, Source};
pub use order::{Verdict, Version, order};
pub use projection::{Change, Projection, Scope};
pub use sync::{PartState, SyncId, SyncKind};

/// Topic that wakes live pages: a sync moved on.
pub const WAKE: &str = "mirror";
/// Topic of the notice that a sync has completed; its subject is the connection's id.
pub const SYNCED: &str = "connection.synced";

/// What the mirror gives the server.
pub fn slice(mirror: &Mirror) -> platform::Slice {
    platform::Slice {
        name: "mirror",
        routes: api::routes(mirror.clone()).merge(pages::routes(mirror.clone())),
        jobs: jobs::kinds(mirror),
        schedules: jobs::schedules(),
        subscribers: jobs::subscribers(mirror),
        nav: vec![platform::NavItem { label: "Integrations", href: "/connections", icon: "integrations", order: 70 }],
        ..platform::Slice::default()
    }
}
