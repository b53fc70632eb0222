//! Runs jobs: claims what is due, keeps the lease, records the outcome.

use crate::{Base, CancellationToken, JobError, JobId, JobKind, JobRun, job};
use futures::FutureExt;
use kit::Time;
use std::{
    collections::HashMap,
    panic::AssertUnwindSafe,
    sync::{Arc, atomic::AtomicBool},
    time::Duration,
};
use store::{json_rows, q, sql};
use tokio::task::JoinSet;

/// How long a claim lasts without being renewed. A node that sleeps longer has lost its jobs.
pub const LEASE: Duration = Duration::from_secs(30);
/// A wake may be lost; this is how long that can go unnoticed.
const SAFETY_POLL: Duration = Duration::from_secs(5);
/// How long running jobs may finish their step when the program stops.
const GRACE: Duration = Duration::from_secs(20);

#[derive(sqlx::FromRow)]
struct Claimed {
    id: String,
    kind: String,
    tenant_id: Option<i64>,
    payload: store::Json<serde_json::Value>,
    attempts: i64,
    max_attempts: i64,
}

/// Runs jobs of the given kinds until `stopping` is cancelled; then waits for the running ones.
pub async fn run(base: Base, kinds: Vec<JobKind>, stopping: CancellationToken) {
    let worker_name = kit::Id::new("worker", base.now(), &*base.randomness);
    let kinds: HashMap<&'static str, JobKind> = kinds.into_iter().map(|kind| (kind.name, kind)).collect();
    let mut running: JoinSet<&'static str> = JoinSet::new();
    let mut busy: HashMap<&'static str, usize> = HashMap::new();
    let mut wake = base.store.wakes().subscribe(job::WAKE);
    while !stopping.is_cancelled() {
        while let Some(ended) = running.try_join_next() {
            note_end(ended, &mut busy);
        }
        let free: Vec<&str> = kinds
            .values()
            .filter(|kind| busy.get(kind.name).copied().unwrap_or(0) < kind.concurrency)
            .map(|kind| kind.name)
            .collect();
        let claimed = if free.is_empty() { Ok(None) } else { claim(&base, worker_name.as_str(), &free).await };
        match claimed {
            Ok(Some(claimed)) => {
                let Some(kind) = kinds.get(claimed.kind.as_str()) else { continue };
                *busy.entry(kind.name).or_default() += 1;
                running.spawn(run_one(base.clone(), kind.clone(), claimed, stopping.clone()));
                continue;
            }
            Ok(None) => {}
            Err(error) => tracing::warn!(?error, "claiming jobs failed; trying again shortly"),
        }
        let next_due = next_due(&base, &free).await.unwrap_or(None);
        tokio::select! {
            () = stopping.cancelled() => {}
            () = wake.woken_or(SAFETY_POLL) => {}
            Some(ended) = running.join_next(), if !running.is_empty() => note_end(ended, &mut busy),
            () = async { match next_due { Some(at) => base.clock.sleep_until(at).await, None => std::future::pending().await } } => {}
        }
    }
    let drained = async { while running.join_next().await.is_some() {} };
    tokio::select! {
        () = drained => {}
        () = kit::clock::pause(GRACE) => tracing::warn!("jobs still ran when the grace ended; their leases will pass to another worker"),
    }
}

fn note_end(ended: Result<&'static str, tokio::task::JoinError>, busy: &mut HashMap<&'static str, usize>) {
    // `run_one` catches panics, so an error here is only a task aborted at the end of the process.
    if let Ok(kind) = ended
        && let Some(count) = busy.get_mut(kind)
    {
        *count = count.saturating_sub(1);
    }
}

async fn claim(base: &Base, worker: &str, kinds: &[&str]) -> store::Result<Option<Claimed>> {
    let now = base.now();
    // Looking costs a reader, not the writer: an idle worker must not stand in the way of acknowledgements.
    if next_due(base, kinds).await?.is_none_or(|due| due > now) {
        return Ok(None);
    }
    let mut tx = base.store.begin_system().await?;
    let claimed = q(sql!(
        "UPDATE jobs SET state = 'running', worker = $1, lease_until = $3, attempts = attempts + 1
         WHERE id = (
             SELECT id FROM jobs j
             WHERE ((state = 'ready' AND run_at <= $2) OR (state = 'running' AND lease_until < $2))
               AND kind IN (SELECT value FROM " pg "json_array_elements_text($4::json) AS t(value)" lite "jsonb_each($4)" ")
               AND (state = 'running' OR dedupe_key IS NULL
                    OR NOT EXISTS (SELECT 1 FROM jobs other WHERE other.dedupe_key = j.dedupe_key AND other.state = 'running'))
             ORDER BY run_at LIMIT 1 " pg "FOR UPDATE SKIP LOCKED" ")
         RETURNING id, kind, tenant_id, payload, attempts, max_attempts"
    ))
    .bind(worker)
    .bind(now)
    .bind(now + LEASE)
    .bind(json_rows(kinds)?)
    .optional(&mut tx)
    .await?;
    tx.commit().await?;
    Ok(claimed)
}

/// When the next job of these kinds is due: waiting ones at `run_at`, running ones when their lease ends.
async fn next_due(base: &Base, kinds: &[&str]) -> store::Result<Option<Time>> {
    let mut tx = base.store.read_system().await?;
    let due: Option<i64> = q(sql!(
        "SELECT min(due) FROM (
             SELECT min(run_at) AS due FROM jobs j
             WHERE state = 'ready' AND kind IN (SELECT value FROM " pg "json_array_elements_text($1::json) AS t(value)" lite "jsonb_each($1)" ")
               AND (dedupe_key IS NULL
                    OR NOT EXISTS (SELECT 1 FROM jobs other WHERE other.dedupe_key = j.dedupe_key AND other.state = 'running'))
             UNION ALL SELECT min(lease_until) + 1 FROM jobs WHERE state = 'running') AS both_kinds"
    ))
    .bind(json_rows(kinds)?)
    .scalar(&mut tx)
    .await?;
    Ok(due.map(Time::from_micros))
}

async fn run_one(base: Base, kind: JobKind, claimed: Claimed, stopping: CancellationToken) -> &'static str {
    let run = JobRun {
        base: base.clone(),
        id: JobId::from_text(claimed.id),
        tenant: claimed.tenant_id.map(kit::TenantId),
        attempt: u32::try_from(claimed.attempts).unwrap_or(u32::MAX),
        stopping,
        payload: claimed.payload.0,
        finished: Arc::new(AtomicBool::new(false)),
    };
    let started = kit::Stopwatch::start();
    // A worker that died with the job counts as a try: a job that kills its worker must not do so for ever.
    let outcome = if claimed.attempts > claimed.max_attempts {
        Err(JobError::GiveUp("its worker ended without an outcome too often".to_owned()))
    } else {
        let handled = AssertUnwindSafe((kind.handler)(run.clone())).catch_unwind();
        tokio::select! {
            outcome = handled => outcome.unwrap_or_else(|panic| Err(JobError::Retry(format!("the job panicked: {}", panic_text(&*panic))))),
            () = keep_lease(&run) => Err(JobError::LostLease),
        }
    };
    let outcome = match outcome {
        Ok(()) if run.finished.load(std::sync::atomic::Ordering::Acquire) => Ok(()),
        Ok(()) => mark_done(&run).await,
        Err(error) => Err(error),
    };
    let duration_ms = started.elapsed_ms();
    match &outcome {
        Ok(()) => tracing::debug!(job.id = %run.id, job.kind = kind.name, duration_ms, "job done"),
        Err(JobError::LostLease) => {
            tracing::warn!(job.id = %run.id, job.kind = kind.name, duration_ms, "another worker holds the job now");
        }
        Err(error) => {
            tracing::warn!(job.id = %run.id, job.kind = kind.name, attempt = run.attempt, duration_ms, %error, "job failed");
            if let Err(error) = record_failure(&run, &kind, error, claimed.max_attempts).await {
                tracing::warn!(job.id = %run.id, ?error, "the failure could not be recorded; the lease will end by itself");
            }
        }
    }
    kind.name
}

async fn mark_done(run: &JobRun) -> Result<(), JobError> {
    let mut tx = run.base.store.begin_system().await?;
    run.finish(&mut tx).await?;
    tx.commit().await?;
    Ok(())
}

/// Renews the lease while the job runs; resolves when it is lost.
async fn keep_lease(run: &JobRun) {
    let mut held_until = run.base.now() + LEASE;
    loop {
        kit::clock::pause(LEASE / 3).await;
        let now = run.base.now();
        let renewed: store::Result<u64> = async {
            let mut tx = run.base.store.begin_system().await?;
            let renewed =
                q(sql!("UPDATE jobs SET lease_until = $3 WHERE id = $1 AND attempts = $2 AND state = 'running'"))
                    .bind(run.id.as_str())
                    .bind(run.attempt)
                    .bind(now + LEASE)
                    .execute(&mut tx)
                    .await?;
            tx.commit().await?;
            Ok(renewed)
        }
        .await;
        match renewed {
            Ok(1) => held_until = now + LEASE,
            // The handler marked it done in its own transaction and is about to return.
            Ok(_) if run.finished.load(std::sync::atomic::Ordering::Acquire) => {}
            Ok(_) => return,
            Err(_) if now > held_until => return,
            Err(_) => {}
        }
    }
}

async fn record_failure(run: &JobRun, kind: &JobKind, error: &JobError, max_attempts: i64) -> store::Result<()> {
    let now = run.base.now();
    let (state, run_at, uses_try) = match error {
        JobError::Later { at, .. } => ("ready", *at, false),
        JobError::GiveUp(_) => ("dead", now, true),
        JobError::Retry(_) if i64::from(run.attempt) >= max_attempts => ("dead", now, true),
        JobError::Retry(_) | JobError::LostLease => {
            ("ready", now + kind.retry.delay(run.attempt, run.base.randomness.below(1_000)), true)
        }
    };
    let mut tx = run.base.store.begin_system().await?;
    // If a job with the same key waits already, that one carries on and this one is done.
    q(sql!(
        "UPDATE jobs SET lease_until = NULL, last_error = $4, run_at = $5, attempts = attempts - $6, finished_at = $7,
                state = CASE WHEN $3 = 'ready' AND dedupe_key IS NOT NULL
                    AND EXISTS (SELECT 1 FROM jobs other WHERE other.dedupe_key = jobs.dedupe_key AND other.state = 'ready')
                    THEN 'done' ELSE $3 END
         WHERE id = $1 AND attempts = $2 AND state = 'running'"
    ))
    .bind(run.id.as_str())
    .bind(run.attempt)
    .bind(state)
    .bind(error.to_string().chars().take(2_000).collect::<String>())
    .bind(run_at)
    .bind(i64::from(!uses_try))
    .bind((state == "dead").then_some(now.micros()))
    .execute(&mut tx)
    .await?;
    tx.wake(job::WAKE);
    tx.commit().await
}

fn panic_text(panic: &(dyn std::any::Any + Send)) -> &str {
    panic
        .downcast_ref::<&str>()
        .copied()
        .or_else(|| panic.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("without a message")
}
