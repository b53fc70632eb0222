//! Every test has a database of its own, on both engines, and leaves nothing behind.

use sqlx::{ConnectOptions, Connection};
use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    path::Path,
    sync::Mutex,
    time::Duration,
};
use store::{Engine, q, sql};
use testkit::{START, Stage, stage::run_empty};

testkit::on_both_engines!(
    a_stage_is_migrated_and_its_clock_stands,
    what_was_committed_survives_a_restart,
    a_story_may_end_with_an_error_to_fail
);
testkit::on_both_empty_engines!(an_empty_stage_has_no_tables_and_can_be_migrated);

async fn a_stage_is_migrated_and_its_clock_stands(stage: Stage) {
    let newest = migrations::all().last().map_or(0, |step| step.version);
    assert_eq!(stage.store.schema_version().await.unwrap(), newest);
    assert_eq!(stage.now(), START);
    stage.clock.advance(Duration::from_secs(60));
    assert_eq!(stage.now(), START + Duration::from_secs(60));
}

async fn an_empty_stage_has_no_tables_and_can_be_migrated(stage: Stage) {
    assert_eq!(stage.store.schema_version().await.unwrap(), 0);
    let report = stage.store.migrate(&migrations::all()).await.unwrap();
    assert_eq!(report.before, 0);
}

async fn a_story_may_end_with_an_error_to_fail(stage: Stage) -> store::Result<()> {
    stage.store.check().await
}

async fn what_was_committed_survives_a_restart(stage: Stage) {
    let version = stage.store.schema_version().await.unwrap();
    let stage = stage.reopen().await;
    assert_eq!(stage.store.schema_version().await.unwrap(), version);
    let mut tx = stage.store.begin_system().await.unwrap();
    let one: i64 = q(sql!("SELECT CAST(1 AS BIGINT)")).scalar(&mut tx).await.unwrap();
    assert_eq!(one, 1);
}

#[test]
fn two_tests_of_one_name_have_the_same_seed_and_others_another() {
    let seeds = Mutex::new(Vec::new());
    for name in ["one", "one", "another"] {
        run_empty(Engine::Sqlite, name, async |stage| seeds.lock().unwrap().push(stage.seed));
    }
    let seeds = seeds.into_inner().unwrap();
    if std::env::var_os("BURSAR_TEST_SEED").is_none() {
        assert_eq!(seeds[0], seeds[1]);
        assert_ne!(seeds[0], seeds[2]);
    }
}

#[test]
fn the_database_is_gone_after_the_test_even_if_it_failed() {
    for engine in [Engine::Sqlite, Engine::Postgres] {
        for fails in [false, true] {
            let url = Mutex::new(String::new());
            let played = catch_unwind(AssertUnwindSafe(|| {
                testkit::run(engine, "gone", async |stage: Stage| {
                    url.lock().unwrap().push_str(stage.url());
                    // Somebody who is still connected does not keep the database alive.
                    std::mem::forget(stage.store.begin_system().await.unwrap());
                    assert!(!fails, "this test fails on purpose");
                });
            }));
            assert_eq!(played.is_err(), fails);
            assert_gone(engine, &url.into_inner().unwrap());
        }
    }
}

fn assert_gone(engine: Engine, url: &str) {
    match engine {
        Engine::Sqlite => {
            let file = Path::new(url.strip_prefix("sqlite:").unwrap());
            assert!(!file.parent().unwrap().exists(), "{} is still there", file.display());
        }
        Engine::Postgres => {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            let connected = runtime.block_on(async {
                let options: sqlx::postgres::PgConnectOptions = url.parse().unwrap();
                options.disable_statement_logging().connect().await
            });
            match connected {
                Ok(connection) => {
                    let _ = runtime.block_on(connection.close());
                    panic!("the database is still there");
                }
                Err(error) => assert!(error.to_string().contains("does not exist"), "{error}"),
            }
        }
    }
}
