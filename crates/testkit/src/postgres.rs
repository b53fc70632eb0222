//! Fresh PostgreSQL databases: a template is migrated once a server, then each test gets a copy and drops it.

use crate::stage::{Contents, fingerprint};
use sqlx::{AssertSqlSafe, ConnectOptions, Connection, Executor, PgConnection, postgres::PgConnectOptions};
use std::sync::atomic::{AtomicU64, Ordering};
use store::{Store, StoreOptions};
use tokio::sync::OnceCell;

/// Where tests find a PostgreSQL whose user may create databases and roles. `cargo xtask test` sets it.
pub const POSTGRES_URL: &str = "BURSAR_TEST_POSTGRES_URL";

/// Two test programs must not make the template at the same time. Any number that nobody else locks.
const TEMPLATE_LOCK: i64 = 0x6275_7273_6172;

/// The template's name, once it is known to be there.
static TEMPLATE: OnceCell<String> = OnceCell::const_new();
static COUNT: AtomicU64 = AtomicU64::new(0);

/// One test's database.
pub(crate) struct Database {
    server: PgConnectOptions,
    name: String,
}

impl Database {
    /// Its address.
    pub(crate) fn url(&self) -> String {
        address(&self.server, &self.name)
    }

    /// Drops it, whoever is still connected.
    pub(crate) async fn remove(self) {
        let mut server = connect(&self.server).await;
        // The name is made here of letters and numbers.
        let drop = AssertSqlSafe(format!("DROP DATABASE IF EXISTS {} WITH (FORCE)", self.name));
        if let Err(error) = server.execute(drop).await {
            eprintln!("the test's database {} was not dropped: {error}", self.name);
        }
        let _ = server.close().await;
    }
}

/// A database of its own for one test.
pub(crate) async fn create(contents: Contents) -> Database {
    let server = server(std::env::var(POSTGRES_URL).ok());
    let template = match contents {
        Contents::Migrated => TEMPLATE.get_or_init(|| make_template(&server)).await,
        Contents::Empty => "template0",
    };
    let name = format!("bursar_test_{}_{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
    let mut connection = connect(&server).await;
    // A killed run with the same process number may have left one of this name on a server that lives longer.
    for statement in
        [format!("DROP DATABASE IF EXISTS {name} WITH (FORCE)"), format!("CREATE DATABASE {name} TEMPLATE {template}")]
    {
        connection.execute(AssertSqlSafe(statement)).await.expect("a database can be made for the test");
    }
    let _ = connection.close().await;
    Database { server, name }
}

/// The server, or a panic that says how to get one.
fn server(given: Option<String>) -> PgConnectOptions {
    let Some(url) = given.filter(|url| !url.trim().is_empty()) else {
        panic!(
            "{POSTGRES_URL} is not set, and tests of the store run on both engines.\n\
             Run them with `cargo xtask test` (one crate: `cargo xtask test -- -p bursar-inbox`),\n\
             or keep a server with `cargo xtask postgres` and export the line it prints."
        );
    };
    // The address holds a password, so it is not repeated.
    url.parse().unwrap_or_else(|error| {
        panic!("{POSTGRES_URL} is not an address like postgres://user:password@host/postgres: {error}")
    })
}

async fn connect(server: &PgConnectOptions) -> PgConnection {
    PgConnection::connect_with(server).await.unwrap_or_else(|error| {
        panic!("the PostgreSQL of {POSTGRES_URL} does not answer ({error}); `cargo xtask test` starts one by itself")
    })
}

fn address(server: &PgConnectOptions, database: &str) -> String {
    server.clone().database(database).to_url_lossy().to_string()
}

/// The migrated template of exactly these migrations; made by whoever comes first.
async fn make_template(server: &PgConnectOptions) -> String {
    let migrations = migrations::all();
    let text = migrations.iter().flat_map(|step| step.name.bytes().chain(step.text.bytes()));
    let name = format!("bursar_template_{:016x}", fingerprint(text));
    let mut connection = connect(server).await;
    // Held until the connection ends, also if this process is killed.
    sqlx::query("SELECT pg_advisory_lock($1)")
        .bind(TEMPLATE_LOCK)
        .execute(&mut connection)
        .await
        .expect("the lock is free");
    let ready: bool = sqlx::query_scalar("SELECT count(*) > 0 FROM pg_database WHERE datname = $1 AND datistemplate")
        .bind(&name)
        .fetch_one(&mut connection)
        .await
        .expect("the server lists its databases");
    if !ready {
        // One that is not marked as a template was left half-made.
        for statement in [
            format!("DROP DATABASE IF EXISTS {name} WITH (FORCE)"),
            format!("CREATE DATABASE {name} TEMPLATE template0"),
        ] {
            connection.execute(AssertSqlSafe(statement)).await.expect("a template database can be made");
        }
        let store = Store::open(&StoreOptions::new(address(server, &name))).await.expect("the template opens");
        store.migrate(&migrations).await.expect("the migrations run on PostgreSQL");
        store.close().await;
        // A copy is refused while anybody is connected, so from now on nobody can be.
        let finished = AssertSqlSafe(format!("ALTER DATABASE {name} IS_TEMPLATE true ALLOW_CONNECTIONS false"));
        connection.execute(finished).await.expect("the template can be marked as ready");
    }
    let _ = connection.close().await;
    name
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[should_panic(expected = "cargo xtask test")]
    fn without_a_server_the_panic_says_how_to_get_one() {
        server(None);
    }

    #[test]
    #[should_panic(expected = "is not an address like")]
    fn a_bad_address_is_told_without_repeating_it() {
        server(Some("nonsense".into()));
    }

    #[test]
    fn a_database_s_address_is_the_server_s_with_another_name() {
        let server = server(Some("postgres://bursar:secret@127.0.0.1:5433/postgres".into()));
        let address = address(&server, "bursar_test_1_0");
        assert!(address.starts_with("postgres://bursar:secret@127.0.0.1:5433/bursar_test_1_0"), "{address}");
    }
}
