//! What every webhook asks: quick, soon aware of changes, and not to be hammered through.

use crate::{OTHER_TENANT, TENANT, connect, vault};
use kit::{Environment, ExposeSecret, Secret};
use std::sync::Arc;
use store::{q, sql};
use testkit::{Stage, wait_for};
use vault::ConnectionId;

testkit::on_both_engines!(
    a_hit_asks_no_database,
    a_change_is_seen_at_once,
    an_account_is_found_in_its_own_environment_for_every_organization,
    many_made_up_ids_share_their_looks_and_hide_nobody,
    a_connection_made_after_it_was_asked_for_is_found,
    a_caller_that_hangs_up_does_not_hold_up_the_others,
);

async fn a_hit_asks_no_database(stage: Stage) {
    let vault = vault(&stage);
    let made = connect(&stage, &vault, TENANT, "acct_1", "sk_test_1").await;
    let first = vault.linked(&made.id).await.unwrap().unwrap();
    assert_eq!(first.api_key.expose_secret(), "sk_test_1");
    stage.store.close().await;
    let second = vault.linked(&made.id).await.unwrap().unwrap();
    assert!(Arc::ptr_eq(&first, &second));
    let unknown = vault.linked(&ConnectionId::from_text("con_x")).await;
    assert_eq!(unknown.unwrap_err().code(), "database_unavailable", "what is not known needs the database");
}

async fn a_change_is_seen_at_once(stage: Stage) {
    let vault = vault(&stage);
    let made = connect(&stage, &vault, TENANT, "acct_1", "sk_test_1").await;
    assert!(vault.linked(&made.id).await.unwrap().unwrap().webhook_secrets.is_empty());
    let mut tx = stage.store.begin(TENANT).await.unwrap();
    vault.add_webhook_secret(&mut tx, &made.id, &Secret::from("whsec_1")).await.unwrap();
    assert!(vault.linked(&made.id).await.unwrap().unwrap().webhook_secrets.is_empty(), "not before the commit");
    tx.commit().await.unwrap();
    let linked = vault.linked(&made.id).await.unwrap().unwrap();
    assert_eq!(linked.webhook_secrets[0].expose_secret(), "whsec_1");
}

/// On PostgreSQL only: SQLite's folder belongs to one process.
#[test]
fn a_change_of_another_node_is_seen_soon() {
    testkit::run(testkit::Engine::Postgres, "a_change_of_another_node_is_seen_soon", changed_by_another_node);
}

async fn changed_by_another_node(stage: Stage) {
    let vault = vault(&stage);
    let made = connect(&stage, &vault, TENANT, "acct_1", "sk_test_1").await;
    let listener = stage.store.clone();
    let listening = tokio::spawn(async move { listener.listen().await });
    assert!(vault.linked(&made.id).await.unwrap().is_some());
    let other_store = store::Store::open(&stage.options()).await.unwrap();
    let mut other_stage = stage.clone();
    other_stage.store = other_store.clone();
    let other = crate::vault(&other_stage);
    let mut tx = other_store.begin(TENANT).await.unwrap();
    other.disconnect(&mut tx, &made.id, false).await.unwrap();
    tx.commit().await.unwrap();
    wait_for("the end of the connection", async || vault.linked(&made.id).await.unwrap().is_none().then_some(())).await;
    listening.abort();
    other_store.close().await;
}

async fn an_account_is_found_in_its_own_environment_for_every_organization(stage: Stage) {
    let vault = vault(&stage);
    connect(&stage, &vault, TENANT, "acct_1", "sk_test_1").await;
    connect(&stage, &vault, OTHER_TENANT, "acct_1", "sk_test_2").await;
    connect(&stage, &vault, TENANT, "acct_2", "sk_test_3").await;
    let keys = async |account, environment| {
        let found = vault.linked_by_account(account, environment).await.unwrap();
        found.iter().map(|linked| linked.api_key.expose_secret().to_owned()).collect::<Vec<_>>()
    };
    let mut both = keys("acct_1", Environment::Test).await;
    both.sort();
    assert_eq!(both, ["sk_test_1", "sk_test_2"]);
    assert_eq!(keys("acct_2", Environment::Test).await, ["sk_test_3"]);
    assert_eq!(keys("acct_1", Environment::Live).await, [""; 0]);
    assert_eq!(keys("acct_9", Environment::Test).await, [""; 0]);
}

async fn many_made_up_ids_share_their_looks_and_hide_nobody(stage: Stage) {
    let vault = vault(&stage);
    let made = connect(&stage, &vault, TENANT, "acct_1", "sk_test_1").await;
    let mut tx = stage.store.begin(TENANT).await.unwrap();
    let broken = connect_in(&vault, &mut tx).await;
    q(sql!("DELETE FROM vault_secrets WHERE tenant_id = $1 AND owner_id = $2"))
        .bind(TENANT)
        .bind(broken.as_str())
        .change_one(&mut tx)
        .await
        .unwrap();
    tx.commit().await.unwrap();
    let asked = (0..1_000).map(|number| {
        let id = match number % 10 {
            0 => made.id.clone(),
            1 => broken.clone(),
            _ => ConnectionId::from_text(format!("con_made_up_{number}")),
        };
        let vault = vault.clone();
        tokio::spawn(async move { (number % 10, vault.linked(&id).await) })
    });
    for answer in asked.collect::<Vec<_>>() {
        match answer.await.unwrap() {
            (0, found) => assert!(found.unwrap().is_some()),
            (1, refused) => assert_eq!(refused.unwrap_err().code(), "secret_missing"),
            (_, found) => assert!(found.unwrap().is_none()),
        }
    }
}

async fn connect_in(vault: &vault::Vault, tx: &mut store::TenantTx) -> ConnectionId {
    let key = Secret::from("sk_test_2");
    vault.insert_connection(tx, crate::new_connection("acct_2", &key)).await.unwrap().id
}

async fn a_connection_made_after_it_was_asked_for_is_found(stage: Stage) {
    let vault = vault(&stage);
    assert!(vault.linked_by_account("acct_1", Environment::Test).await.unwrap().is_empty());
    connect(&stage, &vault, TENANT, "acct_1", "sk_test_1").await;
    assert_eq!(vault.linked_by_account("acct_1", Environment::Test).await.unwrap().len(), 1);
}

async fn a_caller_that_hangs_up_does_not_hold_up_the_others(stage: Stage) {
    let vault = vault(&stage);
    let made = connect(&stage, &vault, TENANT, "acct_1", "sk_test_1").await;
    for round in 0..50 {
        let callers: Vec<_> = (0..8)
            .map(|caller| {
                let vault = vault.clone();
                let id = if caller == 7 {
                    made.id.clone()
                } else {
                    ConnectionId::from_text(format!("con_{round}_{caller}"))
                };
                tokio::spawn(async move { vault.linked(&id).await })
            })
            .collect();
        tokio::task::yield_now().await;
        for caller in &callers[..7] {
            caller.abort();
        }
        let last = callers.into_iter().next_back().unwrap();
        assert!(last.await.unwrap().unwrap().is_some());
    }
}
