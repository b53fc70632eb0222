//! What must be so when everything goes wrong, held against the drills' figures.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]
#![expect(clippy::print_stderr, reason = "seeds and figures are told where the test's own words go")]

mod idle;
mod order;
mod outage;

use drill::Place;
use platform::config::Config;
use std::{
    path::PathBuf,
    sync::{Mutex, PoisonError},
};
use testkit::{Engine, Stage};

/// Makes two tests of each drill, one on each engine, of which only one runs at a time: each wants the whole machine, and
/// side by side they would only take longer under the same bound.
macro_rules! one_after_another {
    ($($drill:ident),+ $(,)?) => { $(
        mod $drill {
            #[test]
            fn sqlite() {
                crate::alone(|| testkit::run(testkit::Engine::Sqlite, stringify!($drill), super::$drill));
            }
            #[test]
            fn postgres() {
                crate::alone(|| testkit::run(testkit::Engine::Postgres, stringify!($drill), super::$drill));
            }
        }
    )+ };
}
use one_after_another;

/// Runs something while no other drill runs.
fn alone(run: impl FnOnce()) {
    static ALONE: Mutex<()> = Mutex::new(());
    // One that failed says nothing about the next.
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    run();
}

/// The stage's database, for a node that opens it itself. The folder is for a node's files on PostgreSQL.
async fn place(stage: Stage) -> (Place, tempfile::TempDir) {
    let (engine, url, seed) = (stage.engine(), stage.url().to_owned(), stage.seed);
    // A folder of SQLite serves one store at a time.
    stage.store.close().await;
    let folder = tempfile::tempdir().unwrap();
    let config = match engine {
        Engine::Sqlite => {
            Config::embedded(PathBuf::from(url.strip_prefix("sqlite:").unwrap()).parent().unwrap().to_owned())
        }
        Engine::Postgres => {
            Config { database_url: Some(url.as_str().into()), ..Config::embedded(folder.path().to_owned()) }
        }
    };
    (Place { config, seed }, folder)
}
