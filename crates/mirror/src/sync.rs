//! Sync jobs: asked for, begun, carried on after a crash, ended. What is read is decided in `backfill` and
//! `incremental`.

use crate::{
    Mirror, MirrorError, backfill, incremental, jobs,
    range::Range,
    store::{
        known, rereads,
        streams::{self, Covered, Stream},
        syncs::{self, Figures, PartUpdate, RangeUpdate, SyncJob},
    },
};
use gateway::{GatewayError, Lane, ReadFor};
use kit::Time;
use platform::{Base, JobError, JobRun};
use serde::{Deserialize, Serialize};
use std::{sync::Arc, time::Duration};
use store::TenantTx;
use stripe::{ErrorClass, ObjectKind};
use vault::{Connection, ConnectionId, ConnectionState, Linked};

kit::define_id!(
    /// A sync job.
    SyncId,
    "syn"
);

/// How much is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SyncKind {
    /// Every object.
    Full,
    /// What changed since the last time.
    Incremental,
}

impl SyncKind {
    /// As the database and the API write it.
    pub fn as_str(self) -> &'static str {
        match self {
            SyncKind::Full => "full",
            SyncKind::Incremental => "incremental",
        }
    }
}

/// How far one kind of objects is. Only `Complete` is complete.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PartState {
    /// Not begun.
    Pending,
    /// Being read.
    Running,
    /// Read to its end.
    Complete,
    /// The key may not read it.
    Forbidden,
    /// Stripe kept answering that there were too many calls.
    Throttled,
    /// Stripe refused or failed to list it.
    Failed,
}

impl PartState {
    /// As the database and the API write it.
    pub fn as_str(self) -> &'static str {
        match self {
            PartState::Pending => "pending",
            PartState::Running => "running",
            PartState::Complete => "complete",
            PartState::Forbidden => "forbidden",
            PartState::Throttled => "throttled",
            PartState::Failed => "failed",
        }
    }

    /// The state of a name; none for a name that stands for none.
    pub fn of_name(name: &str) -> Option<PartState> {
        let all = [
            PartState::Pending,
            PartState::Running,
            PartState::Complete,
            PartState::Forbidden,
            PartState::Throttled,
            PartState::Failed,
        ];
        all.into_iter().find(|state| state.as_str() == name)
    }

    /// Whether the key or Stripe stood in the way, so that it is to be tried again alone.
    pub fn is_hindered(self) -> bool {
        matches!(self, PartState::Forbidden | PartState::Throttled | PartState::Failed)
    }
}

/// Stripe keeps events for 30 days; a day is left for clocks and for the reading itself.
pub const MOST_DOWNTIME: Duration = Duration::from_secs(29 * 86_400);
/// A run is tried so often before the sync counts as failed; the next one carries on where it stopped.
pub(crate) const MOST_TRIES: u32 = 8;

/// The oldest second of a kind that is read: `lookback_days` bounds what happens all the time, and not whom it happens
/// to, since an old customer, product, price or subscription may matter today.
pub fn oldest_second(kind: ObjectKind, lookback_days: Option<u32>, ceiling: Time) -> Option<i64> {
    let days = lookback_days?;
    match kind {
        ObjectKind::Customer | ObjectKind::Product | ObjectKind::Price | ObjectKind::Subscription => None,
        ObjectKind::Charge
        | ObjectKind::Refund
        | ObjectKind::Dispute
        | ObjectKind::BalanceTransaction
        | ObjectKind::Invoice
        | ObjectKind::InvoicePayment
        | ObjectKind::Payout => Some(ceiling.seconds() - i64::from(days) * 86_400),
    }
}

/// Kinds whose objects can be deleted at Stripe; those of the others stay for ever.
const MAY_VANISH: [ObjectKind; 4] = [ObjectKind::Customer, ObjectKind::Product, ObjectKind::Price, ObjectKind::Invoice];

/// Why a run of a sync stops before its end.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SyncError {
    /// Nothing that a later run could do better: the key is refused, the account is gone.
    #[error("{message}")]
    Ended { code: &'static str, message: String },
    /// A later run carries on.
    #[error("{0}")]
    Again(String),
    /// A later run carries on, not before `at`.
    #[error("{reason}")]
    Later { reason: String, at: Time },
    /// The job is another worker's now.
    #[error("another worker carries the sync on")]
    LostLease,
}

impl From<store::StoreError> for SyncError {
    fn from(error: store::StoreError) -> SyncError {
        SyncError::Again(format!("{error:?}"))
    }
}

impl From<MirrorError> for SyncError {
    fn from(error: MirrorError) -> SyncError {
        SyncError::Again(format!("{error:?}"))
    }
}

impl From<JobError> for SyncError {
    fn from(error: JobError) -> SyncError {
        match error {
            JobError::LostLease => SyncError::LostLease,
            other => SyncError::Again(other.to_string()),
        }
    }
}

impl SyncError {
    /// What an error of the gateway means for the whole sync.
    pub(crate) fn of_call(error: &GatewayError) -> SyncError {
        match error {
            GatewayError::Paused { until } => SyncError::Later { reason: error.to_string(), at: *until },
            GatewayError::NotConnected(_) => SyncError::Ended { code: error.code(), message: error.to_string() },
            _ => match error.class() {
                Some(ErrorClass::Authentication | ErrorClass::AccountInvalid) => {
                    SyncError::Ended { code: error.code(), message: error.to_string() }
                }
                _ => SyncError::Again(error.to_string()),
            },
        }
    }
}

/// Everything a run of a sync needs.
#[derive(Clone)]
pub(crate) struct SyncRun {
    pub(crate) mirror: Mirror,
    pub(crate) job: JobRun,
    pub(crate) linked: Arc<Linked>,
    pub(crate) sync: String,
    pub(crate) ceiling: Time,
}

impl SyncRun {
    pub(crate) fn base(&self) -> &Base {
        self.mirror.base()
    }

    pub(crate) fn connection(&self) -> &Connection {
        &self.linked.connection
    }

    /// One call of a listing, in the background lane.
    pub(crate) async fn call(&self, request: stripe::Request) -> Result<gateway::Answer, GatewayError> {
        self.call_for(ReadFor::Sync, request).await
    }

    /// One call in the background lane, counted as made for this.
    pub(crate) async fn call_for(
        &self,
        what_for: ReadFor,
        request: stripe::Request,
    ) -> Result<gateway::Answer, GatewayError> {
        self.mirror.gateway().reading_for(what_for).call(&self.linked, request, Lane::Background).await
    }

    /// Begins a transaction that fails unless this run still holds the job.
    pub(crate) async fn begin(&self) -> Result<TenantTx, SyncError> {
        let mut tx = self.base().store.begin(self.connection().tenant).await?;
        self.job.hold(&mut tx).await?;
        Ok(tx)
    }

    pub(crate) fn stop_if_asked(&self) -> Result<(), SyncError> {
        if self.job.stopping.is_cancelled() {
            return Err(SyncError::Later { reason: "the program is stopping".to_owned(), at: self.base().now() });
        }
        Ok(())
    }
}

/// Asks for a sync of a connection, in the caller's transaction; one that waits already is enough. A full one takes the
/// place of an incremental one that waits.
pub(crate) async fn request(
    tx: &mut TenantTx,
    base: &Base,
    connection: &ConnectionId,
    kind: SyncKind,
    requested_by: &str,
) -> Result<(), MirrorError> {
    let (tenant, now) = (tx.tenant(), base.now());
    let id = SyncId::new(now, &*base.randomness);
    let is_new = syncs::request(tx, tenant, &id, connection, kind, requested_by, now).await?;
    if !is_new && kind == SyncKind::Full {
        syncs::make_full(tx, tenant, connection).await?;
    }
    jobs::enqueue_sync(tx, base, connection).await?;
    Ok(())
}

/// Runs the sync that is under way or waits, and after it the one that waits.
pub(crate) async fn run(mirror: Mirror, job: JobRun, connection: ConnectionId) -> Result<(), JobError> {
    let tenant = job.tenant()?;
    loop {
        let mut tx = mirror.base().store.read(tenant).await?;
        let current = syncs::current(&mut tx, tenant, &connection).await?;
        drop(tx);
        let Some(current) = current else { return Ok(()) };
        let outcome = match linked(&mirror, &connection).await {
            Ok(linked) => {
                let ceiling = current.ceiling_at.map_or_else(|| mirror.base().now(), Time::from_micros);
                let run =
                    SyncRun { mirror: mirror.clone(), job: job.clone(), linked, sync: current.id.clone(), ceiling };
                run_one(&run, &current).await
            }
            Err(error) => Err(error),
        };
        match outcome {
            Ok(()) => {}
            Err(SyncError::Later { reason, at }) => return Err(JobError::Later { reason, at }),
            Err(SyncError::LostLease) => return Err(JobError::LostLease),
            Err(SyncError::Again(reason)) if job.attempt < MOST_TRIES => return Err(JobError::Retry(reason)),
            Err(SyncError::Again(reason)) => fail(&mirror, &job, &current, "sync_failed", &reason).await?,
            Err(SyncError::Ended { code, message }) => fail(&mirror, &job, &current, code, &message).await?,
        }
    }
}

async fn linked(mirror: &Mirror, connection: &ConnectionId) -> Result<Arc<Linked>, SyncError> {
    let found = mirror.vault().linked(connection).await.map_err(|error| SyncError::Again(error.to_string()))?;
    let gone = |message: String| SyncError::Ended { code: "connection_not_usable", message };
    let linked = found.ok_or_else(|| gone(format!("the connection {connection} is unknown or disconnected")))?;
    match &linked.connection.state {
        ConnectionState::Active => Ok(linked),
        ConnectionState::KeyRefused { reason } => Err(gone(format!("Stripe refuses the key: {reason}"))),
        ConnectionState::Disconnected => Err(gone(format!("the connection {connection} is disconnected"))),
    }
}

async fn fail(mirror: &Mirror, job: &JobRun, current: &SyncJob, code: &str, message: &str) -> Result<(), JobError> {
    tracing::warn!(sync.id = current.id, connection.id = current.connection_id, code, error = message, "a sync failed");
    let (base, tenant) = (mirror.base(), job.tenant()?);
    let now = base.now();
    let mut tx = base.store.begin(tenant).await?;
    job.hold(&mut tx).await?;
    if current.state == "pending" {
        syncs::start(&mut tx, tenant, &current.id, now, now).await?;
    }
    let message: String = message.chars().take(1_000).collect();
    syncs::end(&mut tx, tenant, &current.id, Some((code, &message)), now).await?;
    tx.wake(crate::WAKE);
    tx.commit().await?;
    Ok(())
}

async fn run_one(run: &SyncRun, current: &SyncJob) -> Result<(), SyncError> {
    let tenant = run.connection().tenant;
    let mut tx = run.base().store.read(tenant).await?;
    let stream = streams::find(&mut tx, tenant, &run.connection().id).await?;
    drop(tx);
    // After too long a silence the event list has gaps, so everything is listed again.
    let unread = stream.as_ref().map(|it| it.last_sweep_at.unwrap_or(it.anchor_at));
    let too_old = unread.is_some_and(|at| run.base().now().since(Time::from_micros(at)) > MOST_DOWNTIME);
    let is_full = current.kind == SyncKind::Full.as_str() || stream.is_none() || too_old;
    if current.state == "pending" {
        let anchor = if stream.is_none() || too_old { Some(incremental::first_anchor(run).await?) } else { None };
        begin(run, is_full, anchor).await?;
    }
    run.stop_if_asked()?;
    // Events are found before old objects are read: they are what people wait for.
    incremental::sweep(run).await?;
    backfill::run(run).await?;
    finish(run, is_full).await
}

/// Marks the sync as running, under a ceiling that stays, with a part for each kind that is to be listed.
async fn begin(run: &SyncRun, is_full: bool, anchor: Option<Stream>) -> Result<(), SyncError> {
    let (tenant, connection, now) = (run.connection().tenant, run.connection(), run.base().now());
    let mut tx = run.begin().await?;
    syncs::start(&mut tx, tenant, &run.sync, run.ceiling, now).await?;
    if let Some(anchor) = &anchor {
        streams::save(&mut tx, tenant, &connection.id, anchor).await?;
        syncs::add_figures(&mut tx, tenant, &run.sync, Figures { calls: 1, ..Figures::default() }).await?;
    }
    let coverage = streams::coverage(&mut tx, tenant, &connection.id).await?;
    for kind in ObjectKind::ALL {
        let name = kind.object_name();
        let known = coverage.iter().find(|it| it.object_type == name);
        let is_complete = known.is_some_and(|it| it.state == PartState::Complete.as_str());
        if !is_full && is_complete {
            continue;
        }
        let to = run.ceiling.seconds();
        // What was hindered before goes on where it stopped; what came since is told by events.
        let unread =
            if is_full { Vec::new() } else { syncs::unread_before(&mut tx, tenant, &connection.id, name).await? };
        let from = match unread.is_empty() {
            true => oldest_second(kind, connection.lookback_days, run.ceiling),
            // Another number of days counts from the next full sync: no more is read, and so no more is claimed.
            false => known::last_listing(&mut tx, tenant, &connection.id, name).await?.and_then(|it| it.from),
        };
        let ranges = if unread.is_empty() { vec![Range::new(0, from, to)] } else { unread };
        syncs::add_part(&mut tx, tenant, &run.sync, name, from, to).await?;
        let rows: Vec<RangeUpdate> = (0..)
            .zip(&ranges)
            .map(|(number, range)| backfill::range_update(kind, &Range { number, ..range.clone() }))
            .collect();
        syncs::save_ranges(&mut tx, tenant, &run.sync, &rows).await?;
        // After a gap in the events even what was complete is not known to be so.
        if !is_complete || anchor.is_some() {
            let state = PartState::Running;
            let covered = Covered { kind: name, state, reason: None, from: None, until: None };
            streams::cover(&mut tx, tenant, &connection.id, covered, now).await?;
        }
    }
    tx.wake(crate::WAKE);
    tx.commit().await?;
    Ok(())
}

/// Ends the sync and tells whoever wants to know. What was hindered is told with it, and not counted as complete.
///
/// What a whole listing did not show is read again: it may have gone while nobody listened.
async fn finish(run: &SyncRun, is_full: bool) -> Result<(), SyncError> {
    let (tenant, connection) = (run.connection().tenant, &run.connection().id);
    let now = run.base().now();
    let mut tx = run.begin().await?;
    let parts = syncs::parts(&mut tx, tenant, &run.sync).await?;
    let hindered: Vec<&str> = parts
        .iter()
        .filter(|part| part.state != PartState::Complete.as_str())
        .map(|part| part.object_type.as_str())
        .collect();
    let mut unlisted = 0;
    for kind in MAY_VANISH.into_iter().filter(|_| is_full) {
        let name = kind.object_name();
        let complete = PartState::Complete.as_str();
        let Some(part) = parts.iter().find(|part| part.object_type == name && part.state == complete) else { continue };
        let from = part.from_second.map(Time::from_seconds);
        let missing =
            rereads::Unlisted { account: &run.connection().account_id, kind: name, from, ceiling: run.ceiling };
        unlisted += rereads::add_unlisted(&mut tx, tenant, connection, missing, now).await?;
    }
    if unlisted > 0 {
        jobs::enqueue_reread(&mut tx, run.base(), connection, now).await?;
    }
    syncs::end(&mut tx, tenant, &run.sync, None, now).await?;
    let payload = serde_json::json!({
        "sync_id": run.sync, "objects": parts.iter().map(|part| part.objects).sum::<i64>(), "incomplete": hindered,
    });
    platform::notice::publish(&mut tx, run.base(), crate::SYNCED, connection.as_str(), payload).await?;
    tx.wake(crate::WAKE);
    tx.commit().await?;
    Ok(())
}

/// A part's new state, with nothing read.
pub(crate) fn part_state(kind: ObjectKind, state: PartState, reason: Option<String>, remaining: i64) -> PartUpdate {
    PartUpdate { kind: kind.object_name(), state, reason, objects: 0, pages: 0, remaining }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lookback_bounds_what_happens_and_not_whom_it_happens_to() {
        let ceiling = Time::from_seconds(1_000_000);
        for kind in ObjectKind::ALL {
            assert_eq!(oldest_second(kind, None, ceiling), None, "{kind}");
        }
        assert_eq!(oldest_second(ObjectKind::Charge, Some(10), ceiling), Some(136_000));
        assert_eq!(oldest_second(ObjectKind::Subscription, Some(10), ceiling), None);
    }
}
