//! Counting calls per connection and day: Stripe allows only so many reads in 30 days (GW-2, FACTS section 7); and
//! noting what it refuses for want of a permission.
//!
//! Kept in memory and written in batches, so that a read of Stripe costs no write of ours. What a crash loses is a few
//! seconds' worth of counts.

use crate::{
    Gateway,
    allocation::{READ_ALLOWANCE_FLOOR, ReadFor, ReadsFor},
    store as rows,
};
use kit::{TenantId, Time};
use platform::CancellationToken;
use std::{
    collections::HashMap,
    mem,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};
use vault::{Connection, ConnectionId};

/// How often counts are written.
const FLUSH_EVERY: Duration = Duration::from_secs(10);
/// Connections and days counted at once before new ones are left out until the next flush.
const MOST_COUNTED: usize = 100_000;
/// Refusals kept at once before new ones are left out until the next flush.
const MOST_DENIED: usize = 10_000;
/// Longest text of Stripe's that is kept, in characters.
const LONGEST_MESSAGE: usize = 500;

/// Counts not written yet.
#[derive(Default)]
pub(crate) struct ReadCounts {
    pending: Mutex<Pending>,
}

#[derive(Default)]
struct Pending {
    days: HashMap<(TenantId, ConnectionId, i64), DayCount>,
    good: HashMap<ConnectionId, Connection>,
    denied: HashMap<(TenantId, ConnectionId, String), NewDenial>,
}

/// Calls of one connection on one day.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct DayCount {
    pub(crate) reads: ReadsFor,
    pub(crate) writes: i64,
    pub(crate) throttled: i64,
}

impl DayCount {
    fn add(&mut self, other: DayCount) {
        self.reads += other.reads;
        self.writes += other.writes;
        self.throttled += other.throttled;
    }
}

/// What Stripe refused to a key at one endpoint.
#[derive(Clone, Debug)]
pub(crate) struct NewDenial {
    pub(crate) permission: String,
    pub(crate) message: String,
    pub(crate) denials: i64,
    pub(crate) last_at: Time,
}

/// One try as it is counted.
#[derive(Clone, Copy, Debug)]
pub(crate) struct CountedTry {
    pub(crate) throttled: bool,
    pub(crate) is_write: bool,
    /// None if Stripe does not count it as a read.
    pub(crate) read: Option<ReadFor>,
}

impl ReadCounts {
    fn pending(&self) -> MutexGuard<'_, Pending> {
        self.pending.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Counts tries that were sent.
    pub(crate) fn count(&self, connection: &Connection, tries: CountedTry, times: i64, now: Time) {
        let mut pending = self.pending();
        let key = (connection.tenant, connection.id.clone(), now.utc_day());
        if pending.days.len() >= MOST_COUNTED && !pending.days.contains_key(&key) {
            return;
        }
        let day = pending.days.entry(key).or_default();
        if let Some(what_for) = tries.read {
            day.reads.add(what_for, times);
        }
        day.writes += if tries.is_write { times } else { 0 };
        day.throttled += if tries.throttled { times } else { 0 };
    }

    /// Notes that a call of this connection succeeded.
    pub(crate) fn note_good(&self, connection: &Connection) {
        let mut pending = self.pending();
        if pending.good.len() < MOST_COUNTED && !pending.good.contains_key(&connection.id) {
            pending.good.insert(connection.id.clone(), connection.clone());
        }
    }

    /// Notes that Stripe refused a call for want of a permission.
    pub(crate) fn note_denied(
        &self,
        connection: &Connection,
        endpoint: String,
        permission: Option<String>,
        message: &str,
        now: Time,
    ) {
        let mut pending = self.pending();
        let key = (connection.tenant, connection.id.clone(), endpoint);
        if pending.denied.len() >= MOST_DENIED && !pending.denied.contains_key(&key) {
            return;
        }
        let message: String = message.chars().take(LONGEST_MESSAGE).collect();
        let permission = permission.unwrap_or_default();
        let new = NewDenial { permission, message, denials: 0, last_at: now };
        let denial = pending.denied.entry(key).or_insert_with(|| new.clone());
        *denial = NewDenial { denials: denial.denials + 1, ..new };
    }

    /// Forgets what was refused to a key that was replaced.
    pub(crate) fn forget_denied(&self, connection: &ConnectionId) {
        self.pending().denied.retain(|key, _| key.1 != *connection);
    }
}

/// Calls of one connection, for pages.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct CallFigures {
    /// Reads in the last 30 days.
    pub reads_30_days: i64,
    /// Reads today (UTC).
    pub reads_today: i64,
    /// What the reads of the last 30 days were for.
    pub reads_for: ReadsFor,
    /// Writes in the last 30 days.
    pub writes_30_days: i64,
    /// Calls that Stripe refused as too many, in the last 30 days.
    pub throttled_30_days: i64,
    /// Reads that Stripe allows in 30 days at the least.
    pub read_allowance_floor: i64,
    /// Each day that had calls, oldest first: days since 1970 (UTC).
    #[serde(skip)]
    pub days: Vec<(i64, ReadsFor)>,
}

impl CallFigures {
    /// From each day's counts, oldest first.
    pub(crate) fn of_days(days: Vec<(i64, DayCount)>, today: i64) -> CallFigures {
        let mut figures = CallFigures { read_allowance_floor: READ_ALLOWANCE_FLOOR, ..CallFigures::default() };
        for (day, count) in days {
            figures.reads_for += count.reads;
            figures.reads_30_days += count.reads.total();
            figures.writes_30_days += count.writes;
            figures.throttled_30_days += count.throttled;
            figures.reads_today += if day == today { count.reads.total() } else { 0 };
            figures.days.push((day, count.reads));
        }
        figures
    }
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
        let today = self.inner.base.now().utc_day();
        Ok(CallFigures::of_days(rows::call_days(tx, connection, today).await?, today))
    }

    /// Writes the counts made since the last time.
    ///
    /// # Errors
    /// Those of the database; the counts are kept then.
    pub async fn flush_counts(&self) -> ::store::Result<()> {
        let Pending { days, good, denied } = mem::take(&mut *self.inner.reads.pending());
        for connection in good.values() {
            if let Err(error) = self.inner.vault.note_good_call(connection).await {
                tracing::warn!(%error, connection.id = %connection.id, "the last good call was not noted");
            }
        }
        if days.is_empty() && denied.is_empty() {
            return Ok(());
        }
        let written = async {
            let mut tx = self.inner.base.store.begin_system().await?;
            rows::add_calls(&mut tx, &days).await?;
            rows::add_denials(&mut tx, &denied).await?;
            tx.commit().await
        };
        let written = written.await;
        if written.is_err() {
            let mut pending = self.inner.reads.pending();
            for (key, count) in days {
                pending.days.entry(key).or_default().add(count);
            }
            for (key, denial) in denied {
                pending.denied.entry(key).or_insert(denial);
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
