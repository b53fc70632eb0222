//! Counting calls per connection and day: Stripe allows only so many reads in 30 days (GW-2, FACTS section 7).
//!
//! Counted in memory and written in batches, so that a read of Stripe costs no write of ours. What a crash loses is a
//! few seconds' worth of counts.

use crate::{Gateway, store as rows};
use kit::{TenantId, Time};
use platform::CancellationToken;
use std::{
    collections::HashMap,
    mem,
    sync::{Mutex, PoisonError},
    time::Duration,
};
use vault::{Connection, ConnectionId};

/// Reads that Stripe allows every account in 30 days, however few payments it has.
pub const READ_ALLOWANCE_FLOOR: i64 = 10_000;
/// Reads that Stripe allows per payment, as an average over 30 days.
pub const READS_PER_TRANSACTION: i64 = 500;
/// How often counts are written.
const FLUSH_EVERY: Duration = Duration::from_secs(10);
/// Connections and days counted at once before new ones are left out until the next flush.
const MOST_COUNTED: usize = 100_000;

/// Counts not written yet.
#[derive(Default)]
pub(crate) struct ReadCounts {
    pending: Mutex<Pending>,
}

#[derive(Default)]
struct Pending {
    days: HashMap<(TenantId, ConnectionId, i64), DayCount>,
    good: HashMap<ConnectionId, Connection>,
}

/// Calls of one connection on one day.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct DayCount {
    pub(crate) reads: i64,
    pub(crate) writes: i64,
    pub(crate) throttled: i64,
}

impl ReadCounts {
    /// Counts one try that was sent.
    pub(crate) fn count(&self, connection: &Connection, throttled: bool, is_read: bool, now: Time) {
        let mut pending = self.pending.lock().unwrap_or_else(PoisonError::into_inner);
        let key = (connection.tenant, connection.id.clone(), now.utc_day());
        if pending.days.len() >= MOST_COUNTED && !pending.days.contains_key(&key) {
            return;
        }
        let day = pending.days.entry(key).or_default();
        day.reads += i64::from(is_read);
        day.writes += i64::from(!is_read);
        day.throttled += i64::from(throttled);
    }

    /// Notes that a call of this connection succeeded.
    pub(crate) fn note_good(&self, connection: &Connection) {
        let mut pending = self.pending.lock().unwrap_or_else(PoisonError::into_inner);
        if pending.good.len() < MOST_COUNTED && !pending.good.contains_key(&connection.id) {
            pending.good.insert(connection.id.clone(), connection.clone());
        }
    }
}

/// Calls of one connection, for pages.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct CallFigures {
    /// Reads in the last 30 days.
    pub reads_30_days: i64,
    /// Reads today (UTC).
    pub reads_today: i64,
    /// Writes in the last 30 days.
    pub writes_30_days: i64,
    /// Calls that Stripe refused as too many, in the last 30 days.
    pub throttled_30_days: i64,
    /// Reads that Stripe allows in 30 days at the least.
    pub read_allowance_floor: i64,
}

impl Gateway {
    /// Calls of a connection up to the last flush, a few seconds ago.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn call_figures(
        &self,
        tx: &mut ::store::TenantTx,
        connection: &ConnectionId,
    ) -> ::store::Result<CallFigures> {
        rows::call_figures(tx, connection, self.inner.base.now().utc_day()).await
    }

    /// Writes the counts made since the last time.
    ///
    /// # Errors
    /// Those of the database; the counts are kept then.
    pub async fn flush_counts(&self) -> ::store::Result<()> {
        let Pending { days, good } = {
            let mut pending = self.inner.reads.pending.lock().unwrap_or_else(PoisonError::into_inner);
            mem::take(&mut *pending)
        };
        for connection in good.values() {
            if let Err(error) = self.inner.vault.note_good_call(connection).await {
                tracing::warn!(%error, connection.id = %connection.id, "the last good call was not noted");
            }
        }
        if days.is_empty() {
            return Ok(());
        }
        let written = rows::add_calls(&self.inner.base, &days).await;
        if written.is_err() {
            let mut pending = self.inner.reads.pending.lock().unwrap_or_else(PoisonError::into_inner);
            for (key, count) in days {
                let day = pending.days.entry(key).or_default();
                day.reads += count.reads;
                day.writes += count.writes;
                day.throttled += count.throttled;
            }
        }
        written
    }

    /// Writes counts every few seconds until the program stops, and once more then.
    pub(crate) async fn keep_flushing(self, stopping: CancellationToken) {
        while !stopping.is_cancelled() {
            tokio::select! {
                () = stopping.cancelled() => {}
                () = kit::clock::pause(FLUSH_EVERY) => {}
            }
            if let Err(error) = self.flush_counts().await {
                tracing::warn!(?error, "counts of calls were not written; they are kept for the next time");
            }
        }
    }
}
