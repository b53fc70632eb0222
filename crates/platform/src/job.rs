//! Durable jobs: a row written in the transaction that makes it necessary, done in the transaction of its effect.
//!
//! At most one job of a dedupe key waits and at most one runs. A job is leased to one worker; a worker that lost its
//! lease cannot mark the job done, because the attempt's number no longer fits.

use crate::Base;
use futures::future::BoxFuture;
use kit::{TenantId, Time};
use serde::{Serialize, de::DeserializeOwned};
use std::{fmt, sync::Arc, time::Duration};
use store::{StoreError, SystemTx, Tx, q, sql};

kit::define_id!(
    /// A job.
    JobId,
    "job"
);

/// Topic that wakes idle workers.
pub const WAKE: &str = "jobs";

/// What a crate that enqueues says about a job.
#[derive(Clone, Debug)]
pub struct NewJob {
    /// Which kind; its handler is found by this name.
    pub kind: &'static str,
    /// Whose work it is; `None` for work over all tenants.
    pub tenant: Option<TenantId>,
    /// Ids, as JSON; kept readable for ever, because rows outlive releases.
    pub payload: serde_json::Value,
    /// Not before this time.
    pub run_at: Time,
    /// While a job with this key waits, enqueueing another does nothing.
    pub dedupe_key: Option<String>,
    /// How often it is tried before it is kept as dead.
    pub max_attempts: u32,
}

impl NewJob {
    /// A job to run at once, tried up to 12 times.
    pub fn new(kind: &'static str, tenant: Option<TenantId>, payload: &impl Serialize, now: Time) -> NewJob {
        // Payloads are structs of ids, which always serialize; a null would be refused by the handler by name.
        let payload = serde_json::to_value(payload).unwrap_or_default();
        NewJob { kind, tenant, payload, run_at: now, dedupe_key: None, max_attempts: 12 }
    }

    /// Enqueue at most one waiting job with this key.
    pub fn dedupe(mut self, key: impl Into<String>) -> NewJob {
        self.dedupe_key = Some(key.into());
        self
    }

    /// Not before `at`.
    pub fn at(mut self, at: Time) -> NewJob {
        self.run_at = at;
        self
    }
}

/// Writes the job into the caller's transaction and wakes a worker when that commits.
///
/// Answers `None` if a job with the same dedupe key already waits.
pub async fn enqueue(tx: &mut Tx, base: &Base, job: NewJob) -> store::Result<Option<JobId>> {
    let now = base.now();
    let id = JobId::new(now, &*base.randomness);
    let inserted = q(sql!(
        "INSERT INTO jobs (id, kind, tenant_id, payload, state, run_at, max_attempts, dedupe_key, created_at)
         VALUES ($1, $2, $3, $4, 'ready', $5, $6, $7, $8)
         ON CONFLICT (dedupe_key) WHERE state = 'ready' DO NOTHING"
    ))
    .bind(id.as_str())
    .bind(job.kind)
    .bind(job.tenant.map(|tenant| tenant.0))
    .bind(job.payload)
    .bind(job.run_at)
    .bind(job.max_attempts)
    .bind(job.dedupe_key)
    .bind(now)
    .execute(tx)
    .await?;
    if inserted == 1 {
        tx.wake(WAKE);
    }
    Ok((inserted == 1).then_some(id))
}

/// How many jobs can run now, and how many run: for whoever waits until work that is due is done.
///
/// # Errors
/// Those of the database.
pub async fn due_and_running(tx: &mut SystemTx, now: Time) -> store::Result<(i64, i64)> {
    let counts: Option<(i64, i64)> = q(sql!(
        "SELECT (SELECT count(*) FROM jobs WHERE state = 'ready' AND run_at <= $1),
                (SELECT count(*) FROM jobs WHERE state = 'running')"
    ))
    .bind(now)
    .optional(tx)
    .await?;
    Ok(counts.unwrap_or_default())
}

/// Why a job's run did not succeed, and whether another may.
#[derive(Debug, thiserror::Error)]
pub enum JobError {
    /// Try again, after the retry plan's delay.
    #[error("{0}")]
    Retry(String),
    /// Try again, not before a time that the cause tells; does not use up a try.
    #[error("{reason}")]
    Later {
        /// Why it has to wait.
        reason: String,
        /// Not before.
        at: Time,
    },
    /// No further run can help; the job is kept as dead and shown.
    #[error("{0}")]
    GiveUp(String),
    /// Another worker holds the job now; this run's effects were rolled back.
    #[error("the lease on the job was lost")]
    LostLease,
}

impl From<StoreError> for JobError {
    fn from(error: StoreError) -> JobError {
        // Even a fault of ours may pass with the next release; the tries are bounded anyway.
        JobError::Retry(format!("{error:?}"))
    }
}

/// Delays between tries: doubling from `first` up to `most`, with jitter of a quarter.
#[derive(Clone, Copy, Debug)]
pub struct RetryPlan {
    /// Delay after the first failure.
    pub first: Duration,
    /// Longest delay.
    pub most: Duration,
}

impl Default for RetryPlan {
    fn default() -> RetryPlan {
        RetryPlan { first: Duration::from_secs(2), most: Duration::from_secs(900) }
    }
}

impl RetryPlan {
    /// The delay after the `attempt`th failure; `random` spreads it over ±25 %.
    pub fn delay(&self, attempt: u32, random: u64) -> Duration {
        let doubled = self.first.saturating_mul(1_u32.checked_shl(attempt.saturating_sub(1)).unwrap_or(u32::MAX));
        let capped = doubled.min(self.most);
        capped.mul_f64(0.75 + (random % 1_000) as f64 / 2_000.0)
    }
}

/// One run of a job, as its handler sees it.
#[derive(Clone)]
pub struct JobRun {
    /// The ground to stand on.
    pub base: Base,
    /// Which job.
    pub id: JobId,
    /// Whose work it is.
    pub tenant: Option<TenantId>,
    /// Which try this is, from 1.
    pub attempt: u32,
    /// When the program wants to stop: finish the current step and return [`JobError::Later`].
    pub stopping: crate::CancellationToken,
    pub(crate) payload: serde_json::Value,
    pub(crate) finished: Arc<std::sync::atomic::AtomicBool>,
}

impl JobRun {
    /// The ids the job was enqueued with.
    pub fn payload<T: DeserializeOwned>(&self) -> Result<T, JobError> {
        serde_json::from_value(self.payload.clone())
            .map_err(|error| JobError::GiveUp(format!("the payload of {} cannot be read: {error}", self.id)))
    }

    /// The job's tenant; a job of this kind without one is a fault.
    pub fn tenant(&self) -> Result<TenantId, JobError> {
        self.tenant.ok_or_else(|| JobError::GiveUp(format!("{} has no tenant", self.id)))
    }

    /// Makes the transaction fail unless this run still holds the lease. For steps of a long job.
    pub async fn hold(&self, tx: &mut Tx) -> Result<(), JobError> {
        let held = q(sql!("UPDATE jobs SET last_error = NULL WHERE id = $1 AND attempts = $2 AND state = 'running'"))
            .bind(self.id.as_str())
            .bind(self.attempt)
            .execute(tx)
            .await?;
        if held == 1 { Ok(()) } else { Err(JobError::LostLease) }
    }

    /// Marks the job done in the transaction that holds its effect.
    pub async fn finish(&self, tx: &mut Tx) -> Result<(), JobError> {
        let marked = q(sql!(
            "UPDATE jobs SET state = 'done', finished_at = $3, lease_until = NULL, last_error = NULL
             WHERE id = $1 AND attempts = $2 AND state = 'running'"
        ))
        .bind(self.id.as_str())
        .bind(self.attempt)
        .bind(self.base.now())
        .execute(tx)
        .await?;
        if marked != 1 {
            return Err(JobError::LostLease);
        }
        // A job with the same key may have been enqueued meanwhile and can run now.
        tx.wake(WAKE);
        self.finished.store(true, std::sync::atomic::Ordering::Release);
        Ok(())
    }
}

/// A kind of job and how it is run.
#[derive(Clone)]
pub struct JobKind {
    /// The name in `jobs.kind`.
    pub name: &'static str,
    /// How many may run at once in one process.
    pub concurrency: usize,
    /// Delays between tries.
    pub retry: RetryPlan,
    /// Does the work; must be safe to run twice.
    pub handler: Arc<dyn Fn(JobRun) -> BoxFuture<'static, Result<(), JobError>> + Send + Sync>,
}

impl JobKind {
    /// A kind of which up to four run at once.
    pub fn new<F, Fut>(name: &'static str, handler: F) -> JobKind
    where
        F: Fn(JobRun) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<(), JobError>> + Send + 'static,
    {
        let handler = Arc::new(move |run| -> BoxFuture<'static, Result<(), JobError>> { Box::pin(handler(run)) });
        JobKind { name, concurrency: 4, retry: RetryPlan::default(), handler }
    }

    /// How many may run at once in one process.
    pub fn concurrency(mut self, most: usize) -> JobKind {
        self.concurrency = most;
        self
    }

    /// Delays between tries.
    pub fn retry(mut self, plan: RetryPlan) -> JobKind {
        self.retry = plan;
        self
    }
}

impl fmt::Debug for JobKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("JobKind").field("name", &self.name).field("concurrency", &self.concurrency).finish()
    }
}

/// How many jobs stand in each state, for the overview and for tests.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct JobCounts {
    /// Waiting, due or not.
    pub ready: i64,
    /// Leased to a worker.
    pub running: i64,
    /// Given up.
    pub dead: i64,
}

/// Counts the jobs this transaction sees.
pub async fn counts(tx: &mut Tx) -> store::Result<JobCounts> {
    let rows: Vec<(String, i64)> =
        q(sql!("SELECT state, count(*) FROM jobs WHERE state IN ('ready', 'running', 'dead') GROUP BY state"))
            .all(tx)
            .await?;
    let mut counts = JobCounts::default();
    for (state, count) in rows {
        match state.as_str() {
            "ready" => counts.ready = count,
            "running" => counts.running = count,
            _ => counts.dead = count,
        }
    }
    Ok(counts)
}

/// A job's row, for lists and for whoever waits for its outcome.
#[derive(Clone, Debug, Serialize, sqlx::FromRow)]
pub struct JobRow {
    /// Which job.
    pub id: String,
    /// Its kind.
    pub kind: String,
    /// `ready`, `running`, `done` or `dead`.
    pub state: String,
    /// Runs so far.
    pub attempts: i64,
    /// Not before, in microseconds since 1970.
    pub run_at: i64,
    /// What went wrong last.
    pub last_error: Option<String>,
    /// When it ended, in microseconds since 1970.
    pub finished_at: Option<i64>,
}

/// Finds one job among those this transaction sees.
pub async fn find(tx: &mut Tx, id: &JobId) -> store::Result<Option<JobRow>> {
    q(sql!("SELECT id, kind, state, attempts, run_at, last_error, finished_at FROM jobs WHERE id = $1"))
        .bind(id.as_str())
        .optional(tx)
        .await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn delays_double_up_to_the_most_and_spread_by_a_quarter() {
        let plan = RetryPlan { first: Duration::from_secs(2), most: Duration::from_secs(60) };
        let check = |attempt, random, milliseconds| {
            assert_eq!(plan.delay(attempt, random), Duration::from_millis(milliseconds), "{attempt} {random}");
        };
        check(1, 500, 2_000);
        check(2, 500, 4_000);
        check(5, 500, 32_000);
        check(6, 500, 60_000);
        check(400, 500, 60_000);
        check(1, 0, 1_500);
    }
}
