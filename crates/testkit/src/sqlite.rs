//! Fresh SQLite databases: migrated once a process, then copied.

use crate::stage::Contents;
use store::{Store, StoreOptions};
use tempfile::TempDir;
use tokio::sync::OnceCell;

/// The bytes of a migrated database without rows.
static TEMPLATE: OnceCell<Vec<u8>> = OnceCell::const_new();
/// The name that [`StoreOptions::in_folder`] gives.
const FILE: &str = "bursar.sqlite";

/// A folder that is removed with the handle, holding a database or nothing yet.
pub(crate) async fn create(contents: Contents) -> TempDir {
    let folder = folder();
    if contents == Contents::Migrated {
        let template = TEMPLATE.get_or_init(migrate_template).await;
        std::fs::write(folder.path().join(FILE), template).expect("the temporary folder takes a database");
    }
    folder
}

async fn migrate_template() -> Vec<u8> {
    let folder = folder();
    let store = Store::open(&StoreOptions::in_folder(folder.path())).await.expect("an empty SQLite database opens");
    store.migrate(&migrations::all()).await.expect("the migrations run on SQLite");
    // The last connection to close moves everything from the log into the one file.
    store.close().await;
    std::fs::read(folder.path().join(FILE)).expect("the migrated database can be read")
}

fn folder() -> TempDir {
    tempfile::Builder::new().prefix("bursar-test-").tempdir().expect("a temporary folder can be made")
}
