//! The life of a connection: linked, its key refused and replaced, ended.

use crate::{OTHER_TENANT, TENANT, connect, new_connection, vault};
use kit::{ExposeSecret, Secret};
use std::time::Duration;
use store::{q, sql};
use testkit::Stage;
use vault::{ConnectionId, ConnectionState, Purpose, VaultError};

testkit::on_both_engines!(
    a_new_connection_is_active_and_knows_what_it_was_given,
    the_same_account_twice_is_a_conflict_that_names_the_first,
    a_refused_key_is_replaced_without_a_gap,
    an_ended_connection_has_no_secrets_and_does_not_come_back,
    erasing_takes_the_names_and_leaves_the_ids,
    good_calls_are_written_once_a_minute,
    nobody_sees_another_tenants_connections,
    changes_of_what_is_not_there_are_refused,
);

async fn a_new_connection_is_active_and_knows_what_it_was_given(stage: Stage) {
    let vault = vault(&stage);
    let made = connect(&stage, &vault, TENANT, "acct_1", "sk_test_1").await;
    assert!(made.id.as_str().starts_with("con_"));
    assert_eq!((made.tenant, made.state.clone(), made.created_at), (TENANT, ConnectionState::Active, stage.now()));
    assert_eq!(
        (made.provider.as_str(), made.account_id.as_str(), made.display_name.as_str()),
        ("stripe", "acct_1", "Acme")
    );
    assert_eq!((made.lookback_days, made.api_base.clone(), made.last_good_call_at), (Some(90), None, None));
    let mut tx = stage.store.begin(TENANT).await.unwrap();
    vault.set_display_name(&mut tx, &made.id, "Acme GmbH").await.unwrap();
    vault.set_lookback_days(&mut tx, &made.id, None).await.unwrap();
    vault.set_webhook_endpoint(&mut tx, &made.id, Some("we_1")).await.unwrap();
    vault.add_webhook_secret(&mut tx, &made.id, &Secret::from("whsec_1")).await.unwrap();
    tx.commit().await.unwrap();
    let mut tx = stage.store.read(TENANT).await.unwrap();
    let read = vault.connection(&mut tx, &made.id).await.unwrap().unwrap();
    assert_eq!(
        (read.display_name.as_str(), read.lookback_days, read.webhook_endpoint_id.as_deref()),
        ("Acme GmbH", None, Some("we_1"))
    );
    assert_eq!(vault.connections(&mut tx).await.unwrap(), [read]);
    let secrets = vault.unseal(&mut tx, Purpose::WebhookSecret, made.id.as_str()).await.unwrap();
    assert_eq!(secrets[0].expose_secret(), "whsec_1");
}

async fn the_same_account_twice_is_a_conflict_that_names_the_first(stage: Stage) {
    let vault = vault(&stage);
    let first = connect(&stage, &vault, TENANT, "acct_1", "sk_test_1").await;
    let mut tx = stage.store.begin(TENANT).await.unwrap();
    let key = Secret::from("sk_test_2");
    let refused = vault.insert_connection(&mut tx, new_connection("acct_1", &key)).await.unwrap_err();
    assert_eq!(refused.code(), "account_already_connected");
    let VaultError::AccountAlreadyConnected { existing, account_id } = &refused else { panic!("{refused}") };
    assert_eq!((existing, account_id.as_str()), (&first.id, "acct_1"));
    let problem = platform::Problem::from(refused.clone());
    assert_eq!((problem.status, problem.more["connection"].as_str()), (409, Some(first.id.as_str())));
    // The transaction is still good for something else, on PostgreSQL too.
    vault.insert_connection(&mut tx, new_connection("acct_2", &key)).await.unwrap();
    tx.commit().await.unwrap();
    // Another organization may connect the same account, and this one may after ending the first.
    connect(&stage, &vault, OTHER_TENANT, "acct_1", "sk_test_3").await;
    let mut tx = stage.store.begin(TENANT).await.unwrap();
    vault.disconnect(&mut tx, &first.id, false).await.unwrap();
    vault.insert_connection(&mut tx, new_connection("acct_1", &key)).await.unwrap();
    tx.commit().await.unwrap();
}

async fn a_refused_key_is_replaced_without_a_gap(stage: Stage) {
    let vault = vault(&stage);
    let made = connect(&stage, &vault, TENANT, "acct_1", "sk_test_old").await;
    let mut tx = stage.store.begin(TENANT).await.unwrap();
    let reason = "Expired API Key provided".to_owned();
    vault.set_state(&mut tx, &made.id, ConnectionState::KeyRefused { reason: reason.clone() }).await.unwrap();
    tx.commit().await.unwrap();
    let linked = vault.linked(&made.id).await.unwrap().unwrap();
    assert_eq!(linked.connection.state, ConnectionState::KeyRefused { reason });
    assert!(vault.all_connections().await.unwrap().is_empty(), "nothing is scheduled for a key that is refused");

    stage.clock.advance(Duration::from_secs(1));
    let mut tx = stage.store.begin(TENANT).await.unwrap();
    vault.replace_key(&mut tx, &made.id, &Secret::from("rk_test_new"), "rk_test_…", "restricted").await.unwrap();
    assert_eq!(vault.linked(&made.id).await.unwrap().unwrap().api_key.expose_secret(), "sk_test_old");
    tx.commit().await.unwrap();
    let linked = vault.linked(&made.id).await.unwrap().unwrap();
    assert_eq!(linked.api_key.expose_secret(), "rk_test_new");
    assert_eq!(
        (linked.connection.state.clone(), linked.connection.key_kind.as_str()),
        (ConnectionState::Active, "restricted")
    );
    assert_eq!(vault.all_connections().await.unwrap().len(), 1);
    let mut tx = stage.store.read(TENANT).await.unwrap();
    assert_eq!(vault.unseal(&mut tx, Purpose::ApiKey, made.id.as_str()).await.unwrap().len(), 1, "the old key ended");
}

async fn an_ended_connection_has_no_secrets_and_does_not_come_back(stage: Stage) {
    let vault = vault(&stage);
    let made = connect(&stage, &vault, TENANT, "acct_1", "sk_test_1").await;
    let mut tx = stage.store.begin(TENANT).await.unwrap();
    vault.add_webhook_secret(&mut tx, &made.id, &Secret::from("whsec_1")).await.unwrap();
    tx.commit().await.unwrap();
    assert!(vault.linked(&made.id).await.unwrap().is_some());
    let mut tx = stage.store.begin(TENANT).await.unwrap();
    vault.disconnect(&mut tx, &made.id, false).await.unwrap();
    tx.commit().await.unwrap();
    assert!(vault.linked(&made.id).await.unwrap().is_none());
    let mut tx = stage.store.begin(TENANT).await.unwrap();
    let left: i64 =
        q(sql!("SELECT count(*) FROM vault_secrets WHERE tenant_id = $1")).bind(TENANT).scalar(&mut tx).await.unwrap();
    assert_eq!(left, 0);
    let read = vault.connection(&mut tx, &made.id).await.unwrap().unwrap();
    assert_eq!((read.state, read.display_name.as_str()), (ConnectionState::Disconnected, "Acme"));
    let id = &made.id;
    let key = Secret::from("sk_test_2");
    let refusals = [
        vault.set_state(&mut tx, id, ConnectionState::Active).await.unwrap_err(),
        vault.replace_key(&mut tx, id, &key, "", "secret").await.unwrap_err(),
        vault.add_webhook_secret(&mut tx, id, &key).await.unwrap_err(),
        vault.set_webhook_endpoint(&mut tx, id, None).await.unwrap_err(),
        vault.set_display_name(&mut tx, id, "x").await.unwrap_err(),
        vault.disconnect(&mut tx, id, true).await.unwrap_err(),
    ];
    for refused in refusals {
        assert_eq!(refused.code(), "connection_disconnected");
    }
    assert_eq!(vault.unseal(&mut tx, Purpose::ApiKey, id.as_str()).await.unwrap().len(), 0);
}

async fn erasing_takes_the_names_and_leaves_the_ids(stage: Stage) {
    let vault = vault(&stage);
    let made = connect(&stage, &vault, TENANT, "acct_1", "sk_test_1").await;
    let mut tx = stage.store.begin(TENANT).await.unwrap();
    vault.disconnect(&mut tx, &made.id, true).await.unwrap();
    tx.commit().await.unwrap();
    let mut tx = stage.store.read(TENANT).await.unwrap();
    let read = vault.connection(&mut tx, &made.id).await.unwrap().unwrap();
    assert_eq!((read.display_name.as_str(), read.key_hint.as_str(), read.account_id.as_str()), ("", "", "acct_1"));
}

async fn good_calls_are_written_once_a_minute(stage: Stage) {
    let vault = vault(&stage);
    let made = connect(&stage, &vault, TENANT, "acct_1", "sk_test_1").await;
    let last = async || {
        let mut tx = stage.store.read(TENANT).await.unwrap();
        vault.connection(&mut tx, &made.id).await.unwrap().unwrap().last_good_call_at
    };
    let first = stage.now();
    assert!(vault.note_good_call(&made).await.unwrap());
    stage.clock.advance(Duration::from_secs(59));
    assert!(!vault.note_good_call(&made).await.unwrap());
    assert_eq!(last().await, Some(first));
    stage.clock.advance(Duration::from_secs(1));
    assert!(vault.note_good_call(&made).await.unwrap());
    assert_eq!(last().await, Some(stage.now()));
}

async fn nobody_sees_another_tenants_connections(stage: Stage) {
    let vault = vault(&stage);
    let made = connect(&stage, &vault, TENANT, "acct_1", "sk_test_1").await;
    let mut tx = stage.store.begin(OTHER_TENANT).await.unwrap();
    assert!(vault.connection(&mut tx, &made.id).await.unwrap().is_none());
    assert!(vault.connections(&mut tx).await.unwrap().is_empty());
    assert!(vault.unseal(&mut tx, Purpose::ApiKey, made.id.as_str()).await.unwrap().is_empty());
    assert_eq!(vault.disconnect(&mut tx, &made.id, false).await.unwrap_err().code(), "not_found");
    tx.commit().await.unwrap();
    assert!(vault.linked(&made.id).await.unwrap().is_some());
}

async fn changes_of_what_is_not_there_are_refused(stage: Stage) {
    let vault = vault(&stage);
    let id = ConnectionId::from_text("con_nowhere");
    let key = Secret::from("sk_test_1");
    let mut tx = stage.store.begin(TENANT).await.unwrap();
    let refusals = [
        vault.set_state(&mut tx, &id, ConnectionState::Active).await.unwrap_err(),
        vault.replace_key(&mut tx, &id, &key, "", "secret").await.unwrap_err(),
        vault.add_webhook_secret(&mut tx, &id, &key).await.unwrap_err(),
        vault.set_lookback_days(&mut tx, &id, None).await.unwrap_err(),
    ];
    for refused in refusals {
        assert_eq!(refused.code(), "not_found");
        assert_eq!(platform::Problem::from(refused).status, 404);
    }
}
