//! Work that is done regularly: secrets that ended are deleted.

use crate::{Vault, store};
use platform::{Cadence, JobError, JobKind, JobRun, Schedule};
use std::time::Duration;

const PURGE: &str = "vault.purge_retired";
/// Kept a little longer than they open, for whoever has to find out what was in use when.
const KEPT_FOR: Duration = Duration::from_secs(24 * 3600);
const STEP: u32 = 200;

pub(crate) fn kinds(vault: &Vault) -> Vec<JobKind> {
    let vault = vault.clone();
    let purge = JobKind::new(PURGE, move |run: JobRun| {
        let vault = vault.clone();
        async move { purge(&vault, &run).await }
    });
    vec![purge.concurrency(1)]
}

pub(crate) fn schedules() -> Vec<Schedule> {
    vec![Schedule { name: PURGE, cadence: Cadence::Every(Duration::from_secs(3600)), kind: PURGE }]
}

async fn purge(vault: &Vault, run: &JobRun) -> Result<(), JobError> {
    loop {
        let mut tx = vault.inner.base.store.begin_system().await?;
        let deleted = store::delete_retired(&mut tx, run.base.now() - KEPT_FOR, STEP)
            .await
            .map_err(|error| JobError::Retry(error.to_string()))?;
        tx.commit().await?;
        if deleted < u64::from(STEP) {
            return Ok(());
        }
        if run.stopping.is_cancelled() {
            return Err(JobError::Later { reason: "the program stops".to_owned(), at: run.base.now() });
        }
    }
}
