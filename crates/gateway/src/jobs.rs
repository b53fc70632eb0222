//! Background work: carrying intents out, finding those left behind, writing counts.

use crate::{Gateway, GatewayError, IntentId, RetryLater, api, store as rows};
use kit::{TenantId, Time};
use platform::{Background, Base, Cadence, JobError, JobKind, JobRun, NewJob, RetryPlan, Roles, Schedule, Slice, job};
use serde::{Deserialize, Serialize};
use std::time::Duration;
use store::Tx;

const CARRY_OUT: &str = "gateway.carry_out";
const SWEEP: &str = "gateway.sweep_outbox";
/// An open intent that nothing happened to for this long has lost its job.
const LEFT_BEHIND: Duration = Duration::from_secs(15 * 60);
/// A connection whose key is refused is looked at again this often; replacing the key does so at once.
const KEY_REFUSED_WAIT: Duration = Duration::from_secs(15 * 60);

/// Which intent to carry out.
#[derive(Debug, Serialize, Deserialize, PartialEq, Eq)]
pub(crate) struct CarryOut {
    pub(crate) intent: String,
}

/// Enqueues a job that carries an intent out, unless one waits already.
pub(crate) async fn enqueue(tx: &mut Tx, base: &Base, id: &IntentId, at: Time) -> store::Result<()> {
    let tenant = tx.scope();
    enqueue_for(tx, base, tenant, id.as_str(), at).await
}

async fn enqueue_for(tx: &mut Tx, base: &Base, tenant: Option<TenantId>, id: &str, at: Time) -> store::Result<()> {
    let payload = CarryOut { intent: id.to_owned() };
    let job = NewJob { max_attempts: 30, ..NewJob::new(CARRY_OUT, tenant, &payload, base.now()) };
    job::enqueue(tx, base, job.at(at).dedupe(format!("intent:{id}"))).await.map(drop)
}

/// What this feature gives the server.
pub fn slice(gateway: &Gateway) -> Slice {
    let (carrying, sweeping, flushing) = (gateway.clone(), gateway.clone(), gateway.clone());
    let carry_out = JobKind::new(CARRY_OUT, move |run: JobRun| {
        let gateway = carrying.clone();
        async move {
            let CarryOut { intent } = run.payload()?;
            let carried = gateway.carry_out(run.tenant()?, &IntentId::from_text(intent)).await;
            carried.map(drop).map_err(|error| gateway.job_error(error))
        }
    });
    let sweep = JobKind::new(SWEEP, move |run: JobRun| {
        let gateway = sweeping.clone();
        async move { gateway.sweep(&run).await }
    });
    Slice {
        name: "gateway",
        routes: api::routes(gateway.clone()),
        jobs: vec![
            carry_out
                .concurrency(8)
                .retry(RetryPlan { first: Duration::from_secs(2), most: Duration::from_secs(3_600) }),
            sweep.concurrency(1),
        ],
        schedules: vec![Schedule { name: "outbox", cadence: Cadence::Every(Duration::from_secs(300)), kind: SWEEP }],
        background: vec![Background {
            name: "gateway.counts",
            role: Roles::ALL,
            run: Box::new(move |stopping| Box::pin(flushing.keep_flushing(stopping))),
        }],
        ..Slice::default()
    }
}

impl Gateway {
    /// Enqueues jobs for open intents that have lost theirs: a job that ended as dead, for instance.
    async fn sweep(&self, run: &JobRun) -> Result<(), JobError> {
        let base = &self.inner.base;
        let now = base.now();
        let mut tx = base.store.read_system().await?;
        let left = rows::left_behind(&mut tx, now - LEFT_BEHIND).await?;
        drop(tx);
        let mut tx = base.store.begin_system().await?;
        for (tenant, id) in &left {
            enqueue_for(&mut tx, base, Some(TenantId(*tenant)), id, now).await?;
        }
        run.finish(&mut tx).await?;
        tx.commit().await?;
        if !left.is_empty() {
            tracing::info!(intents = left.len(), "open intents without progress were nudged");
        }
        Ok(())
    }

    /// Carries out again, at once, what waited for a connection's key to work.
    pub(crate) async fn nudge(&self, tx: &mut store::TenantTx, connection: &vault::ConnectionId) -> store::Result<()> {
        let now = self.inner.base.now();
        for (id,) in rows::open_of_connection(tx, connection).await? {
            let tenant = tx.tenant();
            // The waiting job is put off for long; another key lets this one run beside it. Both are safe.
            let payload = CarryOut { intent: id.clone() };
            let job = NewJob::new(CARRY_OUT, Some(tenant), &payload, now).dedupe(format!("intent-now:{id}"));
            job::enqueue(tx, &self.inner.base, job).await?;
        }
        Ok(())
    }

    /// What a job should do about an error of the gateway.
    pub fn job_error(&self, error: GatewayError) -> JobError {
        let now = self.inner.base.now();
        let reason = error.to_string();
        match (&error, error.retry_advice()) {
            (GatewayError::KeyRefused(_), _) => JobError::Later { reason, at: now + KEY_REFUSED_WAIT },
            (GatewayError::Stripe(call), _) if call.class() == stripe::ErrorClass::Authentication => {
                JobError::Later { reason, at: now + KEY_REFUSED_WAIT }
            }
            (GatewayError::Busy, _) => JobError::Later { reason, at: now + Duration::from_secs(5) },
            (_, RetryLater::At(at)) => JobError::Later { reason, at },
            (_, RetryLater::Soon) => JobError::Retry(reason),
            (_, RetryLater::Never) => JobError::GiveUp(reason),
        }
    }
}
