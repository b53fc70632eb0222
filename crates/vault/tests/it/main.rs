//! The vault on both engines: what seals and opens, what is refused, the hot path, and rotation under traffic.

#![expect(clippy::unwrap_used, reason = "a test that meets what it does not expect has failed")]

mod connections;
mod hot_path;
mod rotation;
mod secrets;

use kit::{Environment, Secret, TenantId};
use platform::Base;
use testkit::Stage;
use vault::{Connection, Keyring, NewConnection, Vault};

const TENANT: TenantId = TenantId(1);
const OTHER_TENANT: TenantId = TenantId(2);
const OLD_KEY: &str = "k1:AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE=";
const NEW_KEY: &str = "k2:AgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgI=";

fn base(stage: &Stage) -> Base {
    Base { store: stage.store.clone(), clock: stage.clock.shared(), randomness: stage.randomness.clone() }
}

fn vault_with(stage: &Stage, keys: &str) -> Vault {
    Vault::open(base(stage), Keyring::parse(&Secret::from(keys)).unwrap())
}

fn vault(stage: &Stage) -> Vault {
    vault_with(stage, OLD_KEY)
}

fn new_connection<'a>(account_id: &'a str, api_key: &'a Secret) -> NewConnection<'a> {
    NewConnection {
        provider: "stripe",
        account_id,
        environment: Environment::Test,
        display_name: "Acme",
        api_key,
        key_hint: "sk_test_…4242",
        key_kind: "secret",
        lookback_days: Some(90),
        api_base: None,
    }
}

async fn connect(stage: &Stage, vault: &Vault, tenant: TenantId, account_id: &str, key: &str) -> Connection {
    let mut tx = stage.store.begin(tenant).await.unwrap();
    let connection = vault.insert_connection(&mut tx, new_connection(account_id, &Secret::from(key))).await.unwrap();
    tx.commit().await.unwrap();
    connection
}
