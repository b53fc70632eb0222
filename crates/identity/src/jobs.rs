//! Work that is done regularly: sessions and codes that ended are deleted.

use crate::{Identity, store};
use platform::{Cadence, JobError, JobKind, JobRun, Schedule};
use std::time::Duration;

const PURGE: &str = "identity.purge_expired";
const STEP: u32 = 500;

pub(crate) fn kinds(identity: &Identity) -> Vec<JobKind> {
    let identity = identity.clone();
    let purge = JobKind::new(PURGE, move |run: JobRun| {
        let identity = identity.clone();
        async move { purge(&identity, &run).await }
    });
    vec![purge.concurrency(1)]
}

pub(crate) fn schedules() -> Vec<Schedule> {
    vec![Schedule { name: PURGE, cadence: Cadence::Every(Duration::from_secs(3600)), kind: PURGE }]
}

async fn purge(identity: &Identity, run: &JobRun) -> Result<(), JobError> {
    loop {
        let mut tx = identity.inner.base.store.begin_system().await?;
        let deleted = store::delete_expired(&mut tx, run.base.now(), STEP).await?;
        tx.commit().await?;
        if deleted < u64::from(STEP) {
            return Ok(());
        }
        if run.stopping.is_cancelled() {
            return Err(JobError::Later { reason: "the program stops".to_owned(), at: run.base.now() });
        }
    }
}
