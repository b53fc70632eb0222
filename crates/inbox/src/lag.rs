//! How long events waited from their arrival to their effect: for `bursar bench webhooks`.

use crate::{Inbox, InboxError};
use kit::{TenantId, Time};
use store::{q, sql};

/// Most events that one look reads.
const MOST: i64 = 1_000_000;

impl Inbox {
    /// Microseconds from arrival to effect of each event that came in from `from` to `to` and has been processed, in no
    /// order; at most a million.
    ///
    /// # Errors
    /// The store's.
    pub async fn processing_lags(&self, tenant: TenantId, from: Time, to: Time) -> Result<Vec<u64>, InboxError> {
        let mut tx = self.inner.base.store.read(tenant).await?;
        let rows: Vec<(i64,)> = q(sql!(
            "SELECT processed_at - received_at FROM inbox_events
             WHERE tenant_id = $1 AND received_at >= $2 AND received_at < $3 AND processed_at IS NOT NULL LIMIT $4"
        ))
        .bind(tenant)
        .bind(from)
        .bind(to)
        .bind(MOST)
        .all(&mut tx)
        .await?;
        Ok(rows.into_iter().map(|(micros,)| u64::try_from(micros).unwrap_or(0)).collect())
    }
}
