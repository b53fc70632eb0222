//! Sealing and opening through the database.

use crate::{NEW_KEY, OLD_KEY, OTHER_TENANT, TENANT, base, connect, vault, vault_with};
use kit::{ExposeSecret, Secret};
use std::time::Duration;
use store::{q, sql};
use testkit::{Logs, Stage, wait_for};
use vault::{Purpose, Vault};

testkit::on_both_engines!(
    every_statement_is_understood,
    secrets_come_back_newest_first_until_they_are_retired,
    what_stands_in_the_database_is_not_the_secret,
    a_secret_moved_to_another_row_is_refused,
    an_altered_secret_is_refused_and_an_unknown_key_named,
    secrets_that_ended_are_deleted_a_day_later,
    neither_log_nor_error_shows_a_secret,
);

async fn seal(stage: &Stage, vault: &Vault, owner: &str, text: &str) {
    let mut tx = stage.store.begin(TENANT).await.unwrap();
    vault.seal(&mut tx, Purpose::WebhookSecret, owner, &Secret::from(text)).await.unwrap();
    tx.commit().await.unwrap();
}

async fn opened(stage: &Stage, vault: &Vault, owner: &str) -> Result<Vec<String>, &'static str> {
    let mut tx = stage.store.read(TENANT).await.unwrap();
    let secrets = vault.unseal(&mut tx, Purpose::WebhookSecret, owner).await.map_err(|error| error.code())?;
    Ok(secrets.iter().map(|secret| secret.expose_secret().to_owned()).collect())
}

async fn every_statement_is_understood(stage: Stage) {
    assert!(stage.store.prepare_all().await.unwrap() > 20);
}

async fn secrets_come_back_newest_first_until_they_are_retired(stage: Stage) {
    let vault = vault(&stage);
    seal(&stage, &vault, "con_1", "first").await;
    stage.clock.advance(Duration::from_secs(1));
    seal(&stage, &vault, "con_1", "second").await;
    seal(&stage, &vault, "con_2", "of another").await;
    assert_eq!(opened(&stage, &vault, "con_1").await.unwrap(), ["second", "first"]);
    assert_eq!(opened(&stage, &vault, "con_3").await.unwrap(), [""; 0]);

    let retire = async |at| {
        let mut tx = stage.store.begin(TENANT).await.unwrap();
        let retired = vault.retire(&mut tx, Purpose::WebhookSecret, "con_1", at).await.unwrap();
        tx.commit().await.unwrap();
        retired
    };
    assert_eq!(retire(stage.now() + Duration::from_secs(3600)).await, 2);
    seal(&stage, &vault, "con_1", "third").await;
    let mut both = opened(&stage, &vault, "con_1").await.unwrap();
    both.sort();
    assert_eq!(both, ["first", "second", "third"], "during the grace old and new open");
    stage.clock.advance(Duration::from_secs(3600));
    assert_eq!(opened(&stage, &vault, "con_1").await.unwrap(), ["third"]);
    assert_eq!(retire(stage.now() + Duration::from_secs(3600)).await, 1, "what has ended is not given a later end");
    assert_eq!(opened(&stage, &vault, "con_2").await.unwrap(), ["of another"]);
}

async fn what_stands_in_the_database_is_not_the_secret(stage: Stage) {
    let vault = vault(&stage);
    seal(&stage, &vault, "con_1", "whsec_plain_to_see").await;
    let mut tx = stage.store.begin(TENANT).await.unwrap();
    let sealed: Vec<u8> =
        q(sql!("SELECT sealed FROM vault_secrets WHERE tenant_id = $1")).bind(TENANT).scalar(&mut tx).await.unwrap();
    assert!(!String::from_utf8_lossy(&sealed).contains("whsec"));
    assert_eq!(sealed.len(), 1 + 12 + "whsec_plain_to_see".len() + 16);
}

async fn a_secret_moved_to_another_row_is_refused(stage: Stage) {
    let vault = vault(&stage);
    let alter = async |change: &str| {
        // Each time from the beginning: one secret of one owner.
        let mut tx = stage.store.begin(TENANT).await.unwrap();
        q(sql!("DELETE FROM vault_secrets WHERE tenant_id = $1")).bind(TENANT).execute(&mut tx).await.unwrap();
        vault.seal(&mut tx, Purpose::WebhookSecret, "con_1", &Secret::from("whsec_1")).await.unwrap();
        let moved = match change {
            "nothing" => q(sql!("SELECT 1 FROM vault_secrets WHERE tenant_id = $1")),
            "owner" => q(sql!("UPDATE vault_secrets SET owner_id = 'con_2' WHERE tenant_id = $1")),
            "purpose" => q(sql!("UPDATE vault_secrets SET purpose = 'api_key' WHERE tenant_id = $1")),
            "id" => q(sql!("UPDATE vault_secrets SET id = 'sec_x' WHERE tenant_id = $1")),
            _ => unreachable!("{change}"),
        };
        moved.bind(TENANT).execute(&mut tx).await.unwrap();
        tx.commit().await.unwrap();
    };
    let read = async |purpose, owner| {
        let mut tx = stage.store.read(TENANT).await.unwrap();
        vault.unseal(&mut tx, purpose, owner).await.map(|it| it.len()).map_err(|error| error.code())
    };
    alter("nothing").await;
    assert_eq!(read(Purpose::WebhookSecret, "con_1").await, Ok(1));
    alter("owner").await;
    assert_eq!(read(Purpose::WebhookSecret, "con_2").await, Err("secret_corrupt"));
    alter("purpose").await;
    assert_eq!(read(Purpose::ApiKey, "con_1").await, Err("secret_corrupt"));
    alter("id").await;
    assert_eq!(read(Purpose::WebhookSecret, "con_1").await, Err("secret_corrupt"));
}

async fn an_altered_secret_is_refused_and_an_unknown_key_named(stage: Stage) {
    let connection = connect(&stage, &vault(&stage), TENANT, "acct_1", "sk_test_1").await;
    let other = vault_with(&stage, NEW_KEY);
    let error = other.linked(&connection.id).await.unwrap_err();
    assert_eq!(error.code(), "secret_key_unknown");
    assert!(error.to_string().contains("`k1`"), "{error}");
    assert!(!error.can_retry());

    let mut tx = stage.store.begin(TENANT).await.unwrap();
    let sealed: Vec<u8> =
        q(sql!("SELECT sealed FROM vault_secrets WHERE tenant_id = $1")).bind(TENANT).scalar(&mut tx).await.unwrap();
    let mut altered = sealed;
    altered[20] ^= 1;
    q(sql!("UPDATE vault_secrets SET sealed = $2 WHERE tenant_id = $1"))
        .bind(TENANT)
        .bind(altered)
        .change_one(&mut tx)
        .await
        .unwrap();
    tx.commit().await.unwrap();
    let error = vault(&stage).linked(&connection.id).await.unwrap_err();
    assert_eq!(error.code(), "secret_corrupt");
    // Another tenant's secrets are not touched by it.
    let whole = connect(&stage, &vault(&stage), OTHER_TENANT, "acct_1", "sk_test_2").await;
    assert!(vault(&stage).linked(&whole.id).await.unwrap().is_some());
}

async fn secrets_that_ended_are_deleted_a_day_later(stage: Stage) {
    let vault = vault(&stage);
    seal(&stage, &vault, "con_1", "ended").await;
    let mut tx = stage.store.begin(TENANT).await.unwrap();
    vault.retire(&mut tx, Purpose::WebhookSecret, "con_1", stage.now()).await.unwrap();
    tx.commit().await.unwrap();
    seal(&stage, &vault, "con_1", "goes on").await;

    let stopping = platform::CancellationToken::new();
    let slice = vault::slice(&vault);
    let (schedules, kinds) = (slice.schedules, slice.jobs);
    let scheduler = tokio::spawn(platform::schedule::run(base(&stage), schedules, stopping.clone()));
    let worker = tokio::spawn(platform::worker::run(base(&stage), kinds, stopping.clone()));
    wait_for("only the secret that goes on", async || {
        stage.clock.advance(Duration::from_secs(1800));
        let mut tx = stage.store.read(TENANT).await.unwrap();
        let left: i64 = q(sql!("SELECT count(*) FROM vault_secrets WHERE tenant_id = $1"))
            .bind(TENANT)
            .scalar(&mut tx)
            .await
            .unwrap();
        assert!(left > 0);
        (left == 1).then_some(())
    })
    .await;
    assert!(stage.now() >= testkit::START + Duration::from_secs(24 * 3600), "not before a day has passed");
    assert_eq!(opened(&stage, &vault, "con_1").await.unwrap(), ["goes on"]);
    stopping.cancel();
    scheduler.await.unwrap();
    worker.await.unwrap();
}

async fn neither_log_nor_error_shows_a_secret(stage: Stage) {
    let logs = Logs::catch();
    let secret = "sk_test_nobody_may_ever_read_this";
    let vault = vault_with(&stage, OLD_KEY);
    let connection = connect(&stage, &vault, TENANT, "acct_1", secret).await;
    let linked = vault.linked(&connection.id).await.unwrap().unwrap();
    assert_eq!(linked.api_key.expose_secret(), secret);
    let shown = format!("{linked:?} {connection:?} {}", serde_json::to_string(&connection).unwrap());
    assert!(!shown.contains("nobody_may"), "a secret can be seen");
    let error = vault_with(&stage, NEW_KEY).linked(&connection.id).await.unwrap_err();
    let problem = platform::Problem::from(error.clone());
    assert!(!format!("{error} {error:?} {problem:?}").contains("nobody_may"));
    let too_long = Secret::from(format!("{secret}{}", "x".repeat(20_000)));
    let mut tx = stage.store.begin(TENANT).await.unwrap();
    let error = vault.seal(&mut tx, Purpose::ApiKey, "con_1", &too_long).await.unwrap_err();
    assert_eq!(error.code(), "secret_too_large");
    logs.assert_absent(secret);
    logs.assert_absent("AQEBAQEBAQEB");
}
