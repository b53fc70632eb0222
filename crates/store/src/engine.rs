//! Opening a database, and beginning transactions on it.

use crate::{
    ErrorKind, Journal, Result, Sql, StoreError, SystemTx, TenantTx, Tx, Wakes, migrate::PROGRAM_ROLE, tx::Connection,
    wake,
};
use kit::TenantId;
use sqlx::{
    AssertSqlSafe, Connection as _, Executor, PgPool, SqlSafeStr, SqlitePool,
    postgres::{PgConnectOptions, PgPoolOptions},
    sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous},
};
use std::{
    fs::File,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

/// Which database it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Engine {
    /// The embedded default: one folder, one process.
    Sqlite,
    /// Several nodes on one server.
    Postgres,
}

/// How to open a database.
#[derive(Clone, Debug)]
pub struct StoreOptions {
    /// `postgres://…`, or `sqlite:PATH` of the database's file.
    pub url: String,
    /// Most connections to PostgreSQL, and most readers of SQLite.
    pub max_connections: u32,
    /// How long a transaction waits for a connection before the database counts as unavailable.
    pub acquire_timeout: Duration,
}

impl StoreOptions {
    /// Usual bounds for a database at `url`.
    pub fn new(url: impl Into<String>) -> StoreOptions {
        StoreOptions { url: url.into(), max_connections: 16, acquire_timeout: Duration::from_secs(10) }
    }

    /// The embedded database in a data folder.
    pub fn in_folder(folder: &Path) -> StoreOptions {
        StoreOptions::new(format!("sqlite:{}", folder.join("bursar.sqlite").display()))
    }
}

/// A database, open for use. Cheap to clone.
#[derive(Clone)]
pub struct Store {
    inner: Arc<Inner>,
}

struct Inner {
    pools: Pools,
    wakes: Wakes,
    /// Held until the store is closed: one process a folder.
    lock: Mutex<Option<File>>,
}

pub(crate) enum Pools {
    /// One writer, because SQLite has a single write lock anyway and queueing in the pool beats `SQLITE_BUSY`.
    Sqlite { write: SqlitePool, read: SqlitePool, journal: Journal },
    /// `owner` migrates; `program` works under the role that owns nothing.
    Postgres { owner: PgPool, program: PgPool },
}

impl Store {
    /// Opens the database. On PostgreSQL this connects once, so that a wrong address is told at once.
    ///
    /// # Errors
    /// `bad_database_url`, `database_unavailable`, `folder_in_use`.
    pub async fn open(options: &StoreOptions) -> Result<Store> {
        let wakes = Wakes::default();
        let (pools, lock) = if options.url.starts_with("postgres://") || options.url.starts_with("postgresql://") {
            (open_postgres(options).await?, None)
        } else if let Some(path) = options.url.strip_prefix("sqlite:") {
            let path = PathBuf::from(path.strip_prefix("//").unwrap_or(path));
            let lock = lock_folder_of(&path)?;
            (open_sqlite(&path, options).await?, Some(lock))
        } else {
            return Err(StoreError::new(ErrorKind::BadUrl, "opening the database"));
        };
        Ok(Store { inner: Arc::new(Inner { pools, wakes, lock: Mutex::new(lock) }) })
    }

    /// Which database it is.
    pub fn engine(&self) -> Engine {
        match self.inner.pools {
            Pools::Sqlite { .. } => Engine::Sqlite,
            Pools::Postgres { .. } => Engine::Postgres,
        }
    }

    /// SQLite's durable log for what cannot wait for the writer; none on PostgreSQL, where nobody waits for another.
    pub fn journal(&self) -> Option<&Journal> {
        match &self.inner.pools {
            Pools::Sqlite { journal, .. } => Some(journal),
            Pools::Postgres { .. } => None,
        }
    }

    pub(crate) fn pools(&self) -> &Pools {
        &self.inner.pools
    }

    /// Where work that commits tells those who wait for it.
    pub fn wakes(&self) -> &Wakes {
        &self.inner.wakes
    }

    /// Begins a transaction that writes one tenant's rows.
    pub async fn begin(&self, tenant: TenantId) -> Result<TenantTx> {
        Ok(TenantTx::new(self.begin_scoped(Some(tenant), false).await?, tenant))
    }

    /// Begins a transaction that only reads one tenant's rows; on SQLite it never waits for a writer.
    pub async fn read(&self, tenant: TenantId) -> Result<TenantTx> {
        Ok(TenantTx::new(self.begin_scoped(Some(tenant), true).await?, tenant))
    }

    /// Begins a transaction over the queues that serve all tenants.
    pub async fn begin_system(&self) -> Result<SystemTx> {
        Ok(SystemTx::new(self.begin_scoped(None, false).await?))
    }

    /// Begins a transaction that only reads the queues that serve all tenants.
    pub async fn read_system(&self) -> Result<SystemTx> {
        Ok(SystemTx::new(self.begin_scoped(None, true).await?))
    }

    async fn begin_scoped(&self, tenant: Option<TenantId>, read_only: bool) -> Result<Tx> {
        let connection = match &self.inner.pools {
            Pools::Sqlite { read, .. } if read_only => read.begin_with("BEGIN").await.map(Connection::Sqlite),
            Pools::Sqlite { write, .. } => write.begin_with("BEGIN IMMEDIATE").await.map(Connection::Sqlite),
            Pools::Postgres { program, .. } => {
                // One round trip: the transaction and whose it is. Only a number is written into the text.
                let begin = if read_only { "BEGIN READ ONLY" } else { "BEGIN" };
                let scope = match tenant {
                    Some(TenantId(id)) => format!("{begin}; SET LOCAL bursar.tenant = '{id}'"),
                    None => format!("{begin}; SET LOCAL bursar.system = 'on'"),
                };
                program.begin_with(AssertSqlSafe(scope)).await.map(Connection::Postgres)
            }
        }
        .map_err(|error| StoreError::from_sqlx(error, "BEGIN"))?;
        Ok(Tx::new(connection, self.inner.wakes.clone(), tenant))
    }

    /// Passes wakes of other nodes on to this process. Runs until the store is closed; at once done on SQLite.
    pub async fn listen(&self) {
        if let Pools::Postgres { owner, .. } = &self.inner.pools {
            wake::listen(owner.clone(), self.inner.wakes.clone()).await;
        }
    }

    /// Whether the database answers.
    pub async fn check(&self) -> Result<()> {
        let at = "checking the database";
        match &self.inner.pools {
            Pools::Sqlite { read, .. } => sqlx::query("SELECT 1").execute(read).await.map(drop),
            Pools::Postgres { program, .. } => sqlx::query("SELECT 1").execute(program).await.map(drop),
        }
        .map_err(|error| StoreError::from_sqlx(error, at))
    }

    /// Waits for running transactions, then closes every connection and leaves the folder to others, whoever still holds
    /// a clone.
    pub async fn close(&self) {
        match &self.inner.pools {
            Pools::Sqlite { write, read, journal } => {
                journal.close().await;
                read.close().await;
                write.close().await;
            }
            Pools::Postgres { owner, program } => {
                program.close().await;
                owner.close().await;
            }
        }
        drop(self.inner.lock.lock().unwrap_or_else(PoisonError::into_inner).take());
    }

    /// Asks the engine to plan every statement of the program: what a checked query macro would do, for both engines.
    ///
    /// # Errors
    /// One line for each statement that does not prepare, naming its place.
    pub async fn prepare_all(&self) -> Result<usize, Vec<String>> {
        let mut failures = Vec::new();
        let mut prepared = 0;
        for statement in Sql::all() {
            let outcome = match &self.inner.pools {
                Pools::Sqlite { write, .. } => match write.acquire().await {
                    Ok(mut connection) => connection.prepare(statement.sqlite.into_sql_str()).await.map(drop),
                    Err(error) => Err(error),
                },
                Pools::Postgres { program, .. } => match program.acquire().await {
                    Ok(mut connection) => {
                        let outcome = connection.prepare(statement.postgres.into_sql_str()).await.map(drop);
                        outcome.and(connection.clear_cached_statements().await)
                    }
                    Err(error) => Err(error),
                },
            };
            match outcome {
                Ok(()) => prepared += 1,
                Err(error) => failures.push(format!("{}: {error}", statement.at)),
            }
        }
        if failures.is_empty() { Ok(prepared) } else { Err(failures) }
    }
}

async fn open_postgres(options: &StoreOptions) -> Result<Pools> {
    let connect: PgConnectOptions =
        options.url.parse().map_err(|error| StoreError::from_sqlx(error, "reading DATABASE_URL"))?;
    let connect = connect.application_name("bursar");
    let owner = PgPoolOptions::new()
        .max_connections(2)
        .acquire_timeout(options.acquire_timeout)
        .connect_with(connect.clone())
        .await
        .map_err(|error| StoreError::from_sqlx(error, "connecting to PostgreSQL"))?;
    let program = PgPoolOptions::new()
        .max_connections(options.max_connections)
        .acquire_timeout(options.acquire_timeout)
        .test_before_acquire(false)
        .after_connect(|connection, _| {
            Box::pin(async move {
                // A plan made while a table was small must not serve it when it is large: plans are kept for as long as
                // a connection lives, and planning costs little against the rows that a bulk statement carries.
                let settings = format!("SET ROLE {PROGRAM_ROLE}; SET plan_cache_mode = force_custom_plan");
                connection.execute(AssertSqlSafe(settings)).await?;
                Ok(())
            })
        })
        .connect_lazy_with(connect);
    Ok(Pools::Postgres { owner, program })
}

/// Bulk reads come in pages of some 200 KB; a larger page size spares overflow chains for objects of 2 to 4 KB.
const SQLITE_PAGE_BYTES: u32 = 8192;

async fn open_sqlite(path: &Path, options: &StoreOptions) -> Result<Pools> {
    let connect = SqliteConnectOptions::new()
        .filename(path)
        .create_if_missing(true)
        .page_size(SQLITE_PAGE_BYTES)
        .journal_mode(SqliteJournalMode::Wal)
        // What has been acknowledged to somebody survives a power cut; grouping makes that affordable.
        .synchronous(SqliteSynchronous::Full)
        .busy_timeout(Duration::from_secs(5))
        .foreign_keys(true)
        .pragma("wal_autocheckpoint", "4000")
        .pragma("journal_size_limit", "67108864")
        .pragma("temp_store", "memory")
        .statement_cache_capacity(256);
    let at = |error| StoreError::from_sqlx(error, &format!("opening {}", path.display()));
    let write = SqlitePoolOptions::new()
        .max_connections(1)
        .acquire_timeout(options.acquire_timeout)
        .test_before_acquire(false)
        .idle_timeout(None)
        .max_lifetime(None)
        // SQLite ends a transaction by itself when the disk is full; the driver then believes for ever that it is still
        // open, and refuses to begin another (server/tests/it/ground.rs, a_full_disk_refuses_and_recovers).
        .before_acquire(|connection, _| Box::pin(async move { Ok(!connection.is_in_transaction()) }))
        .connect_with(connect.clone().pragma("cache_size", "-32768"))
        .await
        .map_err(at)?;
    let read = SqlitePoolOptions::new()
        .max_connections(options.max_connections.clamp(1, 4))
        .acquire_timeout(options.acquire_timeout)
        .test_before_acquire(false)
        .connect_lazy_with(connect.create_if_missing(false).read_only(true).pragma("cache_size", "-8192"));
    let journal = Journal::open(path, options.acquire_timeout).await?;
    Ok(Pools::Sqlite { write, read, journal })
}

/// Two processes on one folder would not see each other's wakes and would fight for the write lock: the second is told.
fn lock_folder_of(database: &Path) -> Result<File> {
    let folder = database.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let unavailable = |error: std::io::Error| {
        StoreError::with_source(ErrorKind::Unavailable, format!("opening the data folder {}", folder.display()), error)
    };
    std::fs::create_dir_all(folder).map_err(unavailable)?;
    let mut name = database.file_name().unwrap_or_default().to_owned();
    name.push(".lock");
    let lock = File::options().create(true).truncate(false).write(true).open(folder.join(name)).map_err(unavailable)?;
    match lock.try_lock() {
        Ok(()) => Ok(lock),
        Err(std::fs::TryLockError::WouldBlock) => {
            Err(StoreError::new(ErrorKind::FolderInUse, folder.display().to_string()))
        }
        Err(std::fs::TryLockError::Error(error)) => Err(unavailable(error)),
    }
}
