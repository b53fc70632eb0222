//! Everything the overview shows, read once.

use crate::Console;
use gateway::{AccountStatus, AllocationState};
use inbox::Liveness;
use kit::{Currency, TenantId, Time};
use mirror::{KindCount, SyncStatus};
use platform::{
    Problem,
    job::{self, JobCounts},
    schedule::{self, ScheduleRow},
};
use revenue::{CurrencyTotal, DailyFigure, Sources, TieOut};
use std::sync::Arc;
use vault::{Connection, ConnectionState};

/// How many days the overview's chart shows; as many before are read to compare with.
pub(crate) const DAYS: i64 = 30;

/// One connection and how it stands.
pub struct ConnectionHealth {
    /// Which connection.
    pub connection: Connection,
    /// Its syncs.
    pub sync: SyncStatus,
    /// How Stripe answers, if it was called since this node started.
    pub stripe: Option<AccountStatus>,
    /// When the last event of it came in.
    pub last_event_at: Option<Time>,
    /// Whether its webhooks arrive.
    pub liveness: Liveness,
    /// Whether its reads come near what Stripe allows.
    pub reads: AllocationState,
}

impl ConnectionHealth {
    /// In step: active, everything read once, nothing hindered.
    pub fn is_in_step(&self) -> bool {
        self.connection.state == ConnectionState::Active
            && self.sync.last_completed.is_some()
            && self.sync.coverage.iter().all(|kind| kind.state == "complete")
    }

    /// Being read for the first time.
    pub fn is_filling(&self) -> bool {
        self.sync.last_completed.is_none() && self.sync.current.is_some()
    }
}

/// Everything the overview shows.
pub struct Moment {
    /// When it was read.
    pub now: Time,
    /// Active connections.
    pub connections: Vec<ConnectionHealth>,
    /// Mirrored objects.
    pub kinds: Vec<KindCount>,
    /// Events by state.
    pub inbox: inbox::Counts,
    /// Writes to Stripe by state.
    pub outbox: gateway::OutboxCounts,
    /// Jobs by state.
    pub jobs: JobCounts,
    /// Regular work.
    pub schedules: Vec<ScheduleRow>,
    /// Figures of the last 60 days.
    pub days: Vec<DailyFigure>,
    /// Figures of all time by currency.
    pub totals: Vec<CurrencyTotal>,
    /// What the figures come from.
    pub sources: Sources,
    /// Whether the figures are proved.
    pub tie_out: Arc<TieOut>,
}

impl Moment {
    /// Reads everything for one tenant.
    pub async fn read(console: &Console, tenant: TenantId) -> Result<Moment, Problem> {
        let now = console.base.now();
        let today = now.utc_day();
        let summary = console.mirror.summary(tenant).await?;
        let inbox = console.inbox.counts(tenant).await?;
        let mut tx = console.base.store.read(tenant).await?;
        let outbox = console.gateway.outbox_counts(&mut tx).await?;
        let jobs = job::counts(&mut tx).await?;
        let linked = console.vault.connections(&mut tx).await?;
        drop(tx);
        let mut tx = console.base.store.read_system().await?;
        let schedules = schedule::list(&mut tx).await?;
        drop(tx);
        let mut syncs = summary.connections;
        let mut connections = Vec::new();
        for connection in linked.into_iter().filter(|it| it.state != ConnectionState::Disconnected) {
            let Some(at) = syncs.iter().position(|(id, _)| *id == connection.id) else { continue };
            let (_, sync) = syncs.swap_remove(at);
            let events = inbox.connections.iter().find(|events| events.connection_id == connection.id);
            let last_event_at = events.and_then(|events| events.last_event_at);
            let stripe = console.gateway.status(&connection.id);
            let mut tx = console.base.store.read(tenant).await?;
            let liveness = console.mirror.liveness_by(&mut tx, &connection, &inbox, sync.stream.as_ref()).await?;
            drop(tx);
            let reads = console.mirror.reads(&connection).await?.allocation.state;
            connections.push(ConnectionHealth { connection, sync, stripe, last_event_at, liveness, reads });
        }
        Ok(Moment {
            now,
            connections,
            kinds: summary.kinds,
            inbox,
            outbox,
            jobs,
            schedules,
            days: console.revenue.series(tenant, today - 2 * DAYS + 1, today).await?,
            totals: console.revenue.totals(tenant).await?,
            sources: console.revenue.sources(tenant).await?,
            tie_out: console.revenue.tie_out_recent(tenant).await?,
        })
    }

    /// The currency with most charges: what is shown when none was asked for.
    pub fn main_currency(&self) -> Option<Currency> {
        self.totals.iter().max_by_key(|total| total.charges).map(|total| total.currency)
    }

    /// The figure of a day in a currency; nothing if nothing happened.
    pub fn day(&self, day: i64, currency: Currency) -> DailyFigure {
        let found = self.days.iter().find(|figure| figure.day == day && figure.currency == currency);
        found.copied().unwrap_or_else(|| DailyFigure::nothing(day, currency))
    }

    /// Mirrored objects that still exist at Stripe.
    pub fn objects(&self) -> i64 {
        self.kinds.iter().map(|kind| kind.objects - kind.deleted).sum()
    }

    /// When the last event came in.
    pub fn last_event_at(&self) -> Option<Time> {
        self.inbox.connections.iter().filter_map(|connection| connection.last_event_at).max()
    }
}
