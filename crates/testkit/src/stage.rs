//! What one test plays on: its own database, its own time, its own randomness.

use crate::{postgres, sqlite};
use kit::{HandClock, SeededRandomness, SharedRandomness, Time};
use std::{
    panic::{AssertUnwindSafe, catch_unwind, resume_unwind},
    path::PathBuf,
    time::Duration,
};
use store::{Engine, Store, StoreOptions};

/// When every test's clock begins: 2026-01-15T12:00:00Z.
pub const START: Time = Time::from_seconds(1_768_478_400);

/// Another seed than the test's own, to look for what one seed does not show.
const SEED: &str = "BURSAR_TEST_SEED";
/// A test that takes longer hangs. Generous, because the machine may be building meanwhile.
const TEST_BOUND: Duration = Duration::from_secs(180);
/// How long what a test left running may take to end.
const SHUTDOWN_BOUND: Duration = Duration::from_secs(5);

/// One test's world. Cheap to clone; the database is removed when the test is over, however it ends.
#[derive(Clone)]
pub struct Stage {
    /// The database, migrated and empty.
    pub store: Store,
    /// Stands at [`START`] until it is moved.
    pub clock: HandClock,
    /// The stream that belongs to [`Stage::seed`].
    pub randomness: SharedRandomness,
    /// Printed when the test fails; the same for the same test, unless `BURSAR_TEST_SEED` says another.
    pub seed: u64,
    options: StoreOptions,
}

impl Stage {
    /// Which database this is.
    pub fn engine(&self) -> Engine {
        self.store.engine()
    }

    /// The clock's time.
    pub fn now(&self) -> Time {
        kit::Clock::now(&self.clock)
    }

    /// How the database is opened, for tests that open it as a server does.
    pub fn options(&self) -> StoreOptions {
        self.options.clone()
    }

    /// The database's address: `postgres://…` or `sqlite:PATH`.
    pub fn url(&self) -> &str {
        &self.options.url
    }

    /// Closes the database and opens it again, as after a restart: what was not committed is gone.
    ///
    /// # Panics
    /// On SQLite, if a clone of the store lives on somewhere: its folder belongs to one process at a time.
    pub async fn reopen(self) -> Stage {
        let Stage { store, clock, randomness, seed, options } = self;
        store.close().await;
        drop(store);
        let store =
            Store::open(&options).await.expect("the database opens again; every clone of the store has to go first");
        Stage { store, clock, randomness, seed, options }
    }
}

/// A database of its own for one test, and how to get rid of it.
enum Database {
    Sqlite(tempfile::TempDir),
    Postgres(Box<postgres::Database>),
}

/// Runs one test body on a fresh database of the given engine. [`on_both_engines!`](crate::on_both_engines) calls this.
///
/// # Panics
/// If the body does, if it takes longer than three minutes, and if there is no PostgreSQL to test on.
pub fn run<Body, Running>(engine: Engine, name: &str, body: Body)
where
    Body: FnOnce(Stage) -> Running,
    Running: Future,
    Running::Output: Outcome,
{
    run_with(engine, name, Contents::Migrated, body);
}

/// As [`run`], on a database without any table: for tests of the migrations themselves.
///
/// # Panics
/// As [`run`].
pub fn run_empty<Body, Running>(engine: Engine, name: &str, body: Body)
where
    Body: FnOnce(Stage) -> Running,
    Running: Future,
    Running::Output: Outcome,
{
    run_with(engine, name, Contents::Empty, body);
}

/// What a test's database holds at first.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Contents {
    /// Every table, no row.
    Migrated,
    /// Not even tables.
    Empty,
}

fn run_with<Body, Running>(engine: Engine, name: &str, contents: Contents, body: Body)
where
    Body: FnOnce(Stage) -> Running,
    Running: Future,
    Running::Output: Outcome,
{
    let seed = seed_of(name);
    let runtime = runtime();
    let (database, options) = runtime.block_on(create(engine, contents));
    let played = catch_unwind(AssertUnwindSafe(|| {
        runtime.block_on(async {
            let store = Store::open(&options).await.expect("the test's database opens");
            let clock = HandClock::at(START);
            let stage = Stage { store, clock, randomness: SeededRandomness::shared(seed), seed, options };
            let Ok(outcome) = tokio::time::timeout(TEST_BOUND, body(stage)).await else {
                panic!("the test was not over after {} s", TEST_BOUND.as_secs());
            };
            outcome.check();
        });
    }));
    // First whatever the test left running, then the database under it.
    runtime.shutdown_timeout(SHUTDOWN_BOUND);
    remove(database);
    if let Err(panic) = played {
        eprintln!("{name} failed on {engine:?} with {SEED}={seed}");
        resume_unwind(panic);
    }
}

fn runtime() -> tokio::runtime::Runtime {
    // Two threads, so that what can only go wrong between threads has a chance to.
    tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().expect("a runtime starts")
}

async fn create(engine: Engine, contents: Contents) -> (Database, StoreOptions) {
    match engine {
        Engine::Sqlite => {
            let folder = sqlite::create(contents).await;
            let options = StoreOptions::in_folder(folder.path());
            (Database::Sqlite(folder), options)
        }
        Engine::Postgres => {
            let database = postgres::create(contents).await;
            let options = StoreOptions { max_connections: 8, ..StoreOptions::new(database.url()) };
            (Database::Postgres(Box::new(database)), options)
        }
    }
}

fn remove(database: Database) {
    match database {
        Database::Sqlite(folder) => {
            let path: PathBuf = folder.path().to_owned();
            if let Err(error) = folder.close() {
                eprintln!("{} was not removed: {error}", path.display());
            }
        }
        Database::Postgres(database) => runtime().block_on(database.remove()),
    }
}

/// A stable number for a test's name, so that a test repeats itself, and different tests differ.
fn seed_of(name: &str) -> u64 {
    match std::env::var(SEED) {
        Ok(given) => given.trim().parse().unwrap_or_else(|_| panic!("{SEED}={given} is not a number")),
        Err(_) => fingerprint(name.bytes()),
    }
}

/// FNV-1a: short, and the same on every machine and in every release of Rust.
pub(crate) fn fingerprint(bytes: impl Iterator<Item = u8>) -> u64 {
    bytes.fold(0xcbf2_9ce4_8422_2325, |sum, byte| (sum ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3))
}

/// What a test body may return: nothing, or a result whose error fails the test.
pub trait Outcome {
    /// Panics unless the test passed.
    fn check(self);
}

impl Outcome for () {
    fn check(self) {}
}

impl<E: std::fmt::Debug> Outcome for Result<(), E> {
    fn check(self) {
        if let Err(error) = self {
            panic!("the test ended with an error: {error:?}");
        }
    }
}

/// Makes two tests of each story: `story::sqlite` and `story::postgres`, each on a database of its own.
///
/// A story is a plain `async fn story(stage: Stage)` beside it. One that is not listed is never called, which the
/// compiler says.
#[macro_export]
macro_rules! on_both_engines {
    ($($story:ident),+ $(,)?) => { $(
        mod $story {
            #[test]
            fn sqlite() {
                $crate::run($crate::Engine::Sqlite, stringify!($story), super::$story);
            }
            #[test]
            fn postgres() {
                $crate::run($crate::Engine::Postgres, stringify!($story), super::$story);
            }
        }
    )+ };
}

/// As [`on_both_engines!`], on databases without any table.
#[macro_export]
macro_rules! on_both_empty_engines {
    ($($story:ident),+ $(,)?) => { $(
        mod $story {
            #[test]
            fn sqlite() {
                $crate::stage::run_empty($crate::Engine::Sqlite, stringify!($story), super::$story);
            }
            #[test]
            fn postgres() {
                $crate::stage::run_empty($crate::Engine::Postgres, stringify!($story), super::$story);
            }
        }
    )+ };
}
