//! Work in the background: what days' charges were for is drawn from their rows again after they changed.

use crate::{Revenue, store::dimensions};
use platform::{Base, JobError, JobKind, JobRun, NewJob, job};
use std::time::Duration;
use store::TenantTx;

/// The job's kind. Its payload is empty: it looks for stale days itself.
const REFRESH: &str = "revenue.refresh";
/// How long changes are gathered before the job looks: figures are right without it, only slower to read.
const GATHER: Duration = Duration::from_secs(30);
/// Days drawn in one transaction. On SQLite nothing is acknowledged meanwhile, so a step must be over within milliseconds.
const DAYS_AT_ONCE: u32 = 4;

/// Has stale days drawn again soon; at most one such job of a tenant waits.
pub(crate) async fn enqueue_refresh(tx: &mut TenantTx, base: &Base) -> store::Result<()> {
    let (tenant, now) = (tx.tenant(), base.now());
    let job = NewJob::new(REFRESH, Some(tenant), &serde_json::json!({}), now)
        .dedupe(format!("{REFRESH}:{tenant}"))
        .at(now + GATHER);
    job::enqueue(tx, base, job).await.map(drop)
}

pub(crate) fn kinds(revenue: &Revenue) -> Vec<JobKind> {
    let revenue = revenue.clone();
    vec![JobKind::new(REFRESH, move |run| refresh(revenue.clone(), run)).concurrency(1)]
}

/// Draws the days that are over. The present day changes with every sale: drawing it again and again would cost by the
/// square of its sales, and it is drawn from its rows on reading anyway.
async fn refresh(revenue: Revenue, run: JobRun) -> Result<(), JobError> {
    let tenant = run.tenant()?;
    let today = run.base.now().utc_day();
    loop {
        let mut tx = revenue.base().store.begin(tenant).await?;
        run.hold(&mut tx).await?;
        if dimensions::refresh_step(&mut tx, tenant, today, DAYS_AT_ONCE).await? == 0 {
            run.finish(&mut tx).await?;
            tx.commit().await?;
            return Ok(());
        }
        tx.commit().await?;
        if run.stopping.is_cancelled() {
            return Err(JobError::Later { reason: "the program stops".to_owned(), at: run.base.now() });
        }
    }
}
