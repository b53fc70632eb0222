//! A durable log beside SQLite's database: what has to be safe at once and can find its table a moment later.
//!
//! SQLite has one writer. Whoever must be durable within milliseconds would wait behind every transaction that does real
//! work; so it has a small file of its own, which nobody else writes. Records are read in the order they came, and
//! forgotten once what they say stands in the database. PostgreSQL has many writers and needs none of this.

use crate::{Result, StoreError};
use futures::TryStreamExt;
use sqlx::{
    ConnectOptions, Executor, SqlitePool,
    sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous},
};
use std::{
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
    time::Duration,
};

/// Two records of usual size, some 3 KB, share a page.
const PAGE_BYTES: u32 = 8192;

/// The log. Cheap to clone; closed with the [`Store`](crate::Store) that it belongs to.
#[derive(Clone)]
pub struct Journal {
    write: SqlitePool,
    read: SqlitePool,
    next: Arc<AtomicI64>,
    last: Arc<AtomicI64>,
}

/// One record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JournalRecord {
    /// Its number; later records have larger ones.
    pub sequence: i64,
    /// What was appended.
    pub bytes: Vec<u8>,
}

/// Where the log of a database is: `bursar.sqlite` has `bursar.journal.sqlite` beside it.
pub(crate) fn path_beside(database: &Path) -> PathBuf {
    database.with_extension("journal.sqlite")
}

impl Journal {
    /// Opens the log of a database, or makes it. The caller holds the folder's lock.
    pub(crate) async fn open(database: &Path, acquire_timeout: Duration) -> Result<Journal> {
        let path = path_beside(database);
        let connect = SqliteConnectOptions::new()
            .filename(&path)
            .create_if_missing(true)
            .page_size(PAGE_BYTES)
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(SqliteSynchronous::Full)
            .busy_timeout(Duration::from_secs(5))
            .pragma("wal_autocheckpoint", "500")
            .pragma("cache_size", "-2048")
            .disable_statement_logging();
        let at = |error| StoreError::from_sqlx(error, &format!("opening {}", path.display()));
        let write = SqlitePoolOptions::new()
            .max_connections(1)
            .acquire_timeout(acquire_timeout)
            .test_before_acquire(false)
            .idle_timeout(None)
            .max_lifetime(None)
            .connect_with(connect.clone())
            .await
            .map_err(at)?;
        write
            .execute("CREATE TABLE IF NOT EXISTS records (sequence INTEGER PRIMARY KEY, bytes BLOB NOT NULL)")
            .await
            .map_err(at)?;
        let last: i64 =
            sqlx::query_scalar("SELECT coalesce(max(sequence), 0) FROM records").fetch_one(&write).await.map_err(at)?;
        let read = SqlitePoolOptions::new()
            .max_connections(1)
            .acquire_timeout(acquire_timeout)
            .test_before_acquire(false)
            .connect_lazy_with(connect.create_if_missing(false).read_only(true));
        Ok(Journal { write, read, next: Arc::new(AtomicI64::new(last + 1)), last: Arc::new(AtomicI64::new(last)) })
    }

    /// Appends records in their order, all or none; they are durable when this returns. Answers the last one's number.
    ///
    /// # Errors
    /// `database_full` and what else the disk refuses: then none is kept.
    pub async fn append(&self, records: &[Vec<u8>]) -> Result<i64> {
        let (mut places, mut all) = (Vec::with_capacity(records.len()), Vec::new());
        for record in records {
            places.push([all.len() + 1, record.len()]);
            all.extend_from_slice(record);
        }
        let first = self.next.fetch_add(i64::try_from(records.len()).unwrap_or(i64::MAX), Ordering::Relaxed);
        // A statement by itself is a transaction by itself.
        sqlx::query(
            "INSERT INTO records (sequence, bytes)
             SELECT $1 + key, substr($3, value->>0, value->>1) FROM jsonb_each($2)",
        )
        .bind(first)
        .bind(crate::json_rows(&places)?)
        .bind(all)
        .execute(&self.write)
        .await
        .map_err(|error| StoreError::from_sqlx(error, "appending to the journal"))?;
        let last = first + places.len() as i64 - 1;
        self.last.fetch_max(last, Ordering::Relaxed);
        Ok(last)
    }

    /// The records after `after`, oldest first: at most `most`, and no more once they have `most_bytes` together.
    pub async fn read(&self, after: i64, most: u32, most_bytes: usize) -> Result<Vec<JournalRecord>> {
        let at = |error| StoreError::from_sqlx(error, "reading the journal");
        let mut rows = sqlx::query_as::<_, (i64, Vec<u8>)>(
            "SELECT sequence, bytes FROM records WHERE sequence > $1 ORDER BY sequence LIMIT $2",
        )
        .bind(after)
        .bind(most)
        .fetch(&self.read);
        let (mut records, mut bytes_read) = (Vec::new(), 0);
        while let Some((sequence, bytes)) = rows.try_next().await.map_err(at)? {
            bytes_read += bytes.len();
            records.push(JournalRecord { sequence, bytes });
            if bytes_read >= most_bytes {
                break;
            }
        }
        Ok(records)
    }

    /// The number of the last record that is durable; 0 if there never was one.
    pub fn last(&self) -> i64 {
        self.last.load(Ordering::Relaxed)
    }

    /// Forgets the records from `first` to `last`, both included.
    pub async fn forget(&self, first: i64, last: i64) -> Result<()> {
        sqlx::query("DELETE FROM records WHERE sequence BETWEEN $1 AND $2")
            .bind(first)
            .bind(last)
            .execute(&self.write)
            .await
            .map(drop)
            .map_err(|error| StoreError::from_sqlx(error, "forgetting records of the journal"))
    }

    pub(crate) async fn close(&self) {
        self.read.close().await;
        self.write.close().await;
    }
}
