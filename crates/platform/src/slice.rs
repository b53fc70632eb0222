//! What a feature gives the server.

use crate::{CancellationToken, JobKind, Schedule, Subscriber};
use futures::future::BoxFuture;

/// Everything one feature brings: its routes, its work, its place in the navigation.
#[derive(Default)]
pub struct Slice {
    /// The crate's short name.
    pub name: &'static str,
    /// JSON and pages, with their state already given.
    pub routes: axum::Router,
    /// Routes that prove by themselves who is calling, such as signed webhooks: no session, token or idempotency key is
    /// looked at before them.
    pub open_routes: axum::Router,
    /// Kinds of jobs it can run.
    pub jobs: Vec<JobKind>,
    /// Work it wants done regularly.
    pub schedules: Vec<Schedule>,
    /// Notices it wants to hear.
    pub subscribers: Vec<Subscriber>,
    /// Loops that run as long as the process does.
    pub background: Vec<Background>,
    /// Entries of the console's navigation.
    pub nav: Vec<NavItem>,
}

/// A loop that runs as long as the process does, on the nodes that have its role.
pub struct Background {
    /// For logs.
    pub name: &'static str,
    /// On which nodes it runs.
    pub role: Roles,
    /// The loop; it ends soon after the token is cancelled.
    pub run: Box<dyn FnOnce(CancellationToken) -> BoxFuture<'static, ()> + Send>,
}

/// One entry of the console's navigation.
#[derive(Clone, Debug)]
pub struct NavItem {
    /// The word people read.
    pub label: &'static str,
    /// Where it leads.
    pub href: &'static str,
    /// Name of an icon of the console shell.
    pub icon: &'static str,
    /// Smaller comes first.
    pub order: u32,
}

/// What a node does. All roles by default; several nodes of each can share one PostgreSQL.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Roles {
    /// Answers HTTP.
    pub api: bool,
    /// Runs jobs and processes the inbox and the outbox.
    pub worker: bool,
    /// Starts scheduled work.
    pub scheduler: bool,
}

impl Roles {
    /// Everything in one process.
    pub const ALL: Roles = Roles { api: true, worker: true, scheduler: true };
    /// Only background work.
    pub const WORKER: Roles = Roles { api: false, worker: true, scheduler: false };
    /// Only HTTP.
    pub const API: Roles = Roles { api: true, worker: false, scheduler: false };

    /// Whether a node with these roles runs something meant for `wanted`.
    pub fn serves(self, wanted: Roles) -> bool {
        (self.api && wanted.api) || (self.worker && wanted.worker) || (self.scheduler && wanted.scheduler)
    }

    /// Reads `api,worker`; the error names the word that is no role.
    pub fn parse(text: &str) -> Result<Roles, String> {
        let mut roles = Roles { api: false, worker: false, scheduler: false };
        for word in text.split(',').map(str::trim) {
            match word {
                "all" => roles = Roles::ALL,
                "api" => roles.api = true,
                "worker" => roles.worker = true,
                "scheduler" => roles.scheduler = true,
                other => return Err(format!("`{other}` is not a role: use api, worker, scheduler or all")),
            }
        }
        Ok(roles)
    }
}
