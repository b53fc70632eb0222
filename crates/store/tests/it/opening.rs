//! What refuses to open says why and what to do.

use store::{Engine, ErrorKind, Migration, Store, StoreOptions};
use testkit::Stage;

testkit::on_both_engines!(
    migrating_twice_changes_nothing,
    a_database_that_a_newer_program_migrated_is_refused,
    a_second_program_on_one_folder_is_refused,
    every_statement_of_the_store_prepares,
);

async fn migrating_twice_changes_nothing(stage: Stage) {
    let newest = migrations::all().last().unwrap().version;
    let report = stage.store.migrate(&migrations::all()).await.unwrap();
    assert_eq!((report.before, report.after), (newest, newest));
}

async fn a_database_that_a_newer_program_migrated_is_refused(stage: Stage) {
    let older: Vec<Migration> = migrations::all().into_iter().take(1).collect();
    let refused = stage.store.migrate(&older).await.unwrap_err();
    assert!(matches!(refused.kind(), ErrorKind::NewerSchema { program: 1, .. }), "{refused}");
    assert_eq!(refused.code(), "database_newer");
    let mut changed = migrations::all();
    changed[0].text.push_str("-- changed later\n");
    let refused = stage.store.migrate(&changed).await.unwrap_err();
    assert_eq!(refused.code(), "migration_changed");
}

async fn a_second_program_on_one_folder_is_refused(stage: Stage) {
    let second = Store::open(&stage.options()).await;
    match stage.engine() {
        Engine::Sqlite => assert_eq!(second.err().unwrap().code(), "folder_in_use"),
        Engine::Postgres => second.unwrap().close().await,
    }
}

async fn every_statement_of_the_store_prepares(stage: Stage) {
    assert!(stage.store.prepare_all().await.unwrap() > 5);
}

#[tokio::test]
async fn addresses_that_lead_nowhere_are_told_apart() {
    let check = async |url: &str, code: &str| {
        let mut options = StoreOptions::new(url);
        options.acquire_timeout = std::time::Duration::from_secs(2);
        let refused = Store::open(&options).await.err().unwrap();
        assert_eq!(refused.code(), code, "{url}: {refused:?}");
        assert!(!refused.what_to_do().is_empty());
        assert!(!format!("{refused:?}").contains("hunter2"), "a password must not be shown: {refused:?}");
    };
    check("mysql://localhost/x", "bad_database_url").await;
    check("postgres://user:hunter2@127.0.0.1:9/none", "database_unavailable").await;
    check("postgres://user:hunter2@host:notaport/none", "bad_database_url").await;
    check("sqlite:/proc/none/bursar.sqlite", "database_unavailable").await;
}

#[tokio::test]
async fn a_file_that_is_no_database_is_called_corrupt() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("bursar.sqlite"), vec![7_u8; 20_000]).unwrap();
    let refused = Store::open(&StoreOptions::in_folder(folder.path())).await.err().unwrap();
    assert_eq!(refused.code(), "database_corrupt", "{refused:?}");
}
