//! Moving to a new key while the server runs.

use crate::{NEW_KEY, OLD_KEY, OTHER_TENANT, TENANT, connect, vault_with};
use axum::middleware::from_fn_with_state;
use identity::Identity;
use kit::{ExposeSecret, Secret, SeededRandomness};
use serde_json::Value;
use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};
use store::{q, sql};
use testkit::{Call, Stage};
use vault::{KeyUsage, Keyring, Purpose, Refusal, Vault};

testkit::on_both_engines!(
    everything_moves_to_the_newest_key_while_it_is_used,
    two_nodes_may_rotate_at_once,
    what_does_not_open_is_named_and_left_alone,
    a_running_node_takes_up_a_new_key_of_its_folder_and_rotates_when_asked,
);

fn both_keys() -> String {
    format!("{NEW_KEY},{OLD_KEY}")
}

async fn seal_many(stage: &Stage, vault: &Vault, count: usize) {
    for (tenant, count) in [(TENANT, count - count / 3), (OTHER_TENANT, count / 3)] {
        let mut tx = stage.store.begin(tenant).await.unwrap();
        for number in 0..count {
            let secret = Secret::from(format!("whsec_{tenant}_{number}"));
            vault.seal(&mut tx, Purpose::WebhookSecret, &format!("con_{number}"), &secret).await.unwrap();
        }
        tx.commit().await.unwrap();
    }
}

async fn assert_all_open(stage: &Stage, vault: &Vault, count: usize) {
    for (tenant, count) in [(TENANT, count - count / 3), (OTHER_TENANT, count / 3)] {
        let mut tx = stage.store.read(tenant).await.unwrap();
        for number in 0..count {
            let opened = vault.unseal(&mut tx, Purpose::WebhookSecret, &format!("con_{number}")).await.unwrap();
            assert_eq!(opened[0].expose_secret(), format!("whsec_{tenant}_{number}"));
        }
    }
}

async fn usage(vault: &Vault) -> Vec<(String, u64, bool)> {
    let usage = vault.key_usage().await.unwrap();
    usage.into_iter().map(|KeyUsage { key_id, secrets, loaded }| (key_id, secrets, loaded)).collect()
}

async fn everything_moves_to_the_newest_key_while_it_is_used(stage: Stage) {
    seal_many(&stage, &vault_with(&stage, OLD_KEY), 130).await;
    let running = vault_with(&stage, &both_keys());
    let made = connect(&stage, &vault_with(&stage, OLD_KEY), TENANT, "acct_1", "sk_test_1").await;
    assert_eq!(usage(&running).await, [("k2".into(), 0, true), ("k1".into(), 131, true)]);

    let done = Arc::new(AtomicBool::new(false));
    let reader = tokio::spawn({
        let (stage, running, done, id) = (stage.clone(), running.clone(), Arc::clone(&done), made.id.clone());
        async move {
            let mut reads = 0_u32;
            while !done.load(Ordering::Acquire) || reads == 0 {
                let mut tx = stage.store.read(TENANT).await.unwrap();
                assert_eq!(running.unseal(&mut tx, Purpose::ApiKey, id.as_str()).await.unwrap().len(), 1);
                assert!(running.linked(&id).await.unwrap().is_some());
                reads += 1;
            }
        }
    });
    let mut steps = Vec::new();
    let report = running.rotate(|progress| steps.push((progress.done, progress.total))).await.unwrap();
    done.store(true, Ordering::Release);
    reader.await.unwrap();
    assert_eq!(steps, [(0, 131), (50, 131), (100, 131), (131, 131)]);
    assert_eq!((report.key_id.as_str(), report.resealed, report.refused), ("k2", 131, 0));
    assert_eq!(usage(&running).await, [("k2".into(), 131, true), ("k1".into(), 0, true)]);
    // The old key can be taken away now.
    let after = vault_with(&stage, NEW_KEY);
    assert_all_open(&stage, &after, 130).await;
    assert_eq!(after.linked(&made.id).await.unwrap().unwrap().api_key.expose_secret(), "sk_test_1");
    assert_eq!(after.rotate(|_| {}).await.unwrap().resealed, 0, "a second run finds nothing to do");
}

async fn two_nodes_may_rotate_at_once(stage: Stage) {
    seal_many(&stage, &vault_with(&stage, OLD_KEY), 220).await;
    let rotate = |stage: &Stage| {
        let vault = vault_with(stage, &both_keys());
        tokio::spawn(async move { vault.rotate(|_| {}).await.unwrap() })
    };
    let (first, second) = (rotate(&stage), rotate(&stage));
    let (first, second) = (first.await.unwrap(), second.await.unwrap());
    assert_eq!(first.resealed + second.resealed, 220, "each secret was moved once");
    assert_eq!(first.refused + second.refused, 0);
    assert_all_open(&stage, &vault_with(&stage, NEW_KEY), 220).await;
}

async fn what_does_not_open_is_named_and_left_alone(stage: Stage) {
    let old = vault_with(&stage, OLD_KEY);
    seal_many(&stage, &old, 60).await;
    let mut tx = stage.store.begin(TENANT).await.unwrap();
    let break_one = async |tx: &mut store::TenantTx, owner: &str, key_id: &str| {
        q(sql!("UPDATE vault_secrets SET key_id = $3, sealed = $4 WHERE tenant_id = $1 AND owner_id = $2"))
            .bind(TENANT)
            .bind(owner)
            .bind(key_id)
            .bind(vec![1_u8; 40])
            .change_one(tx)
            .await
            .unwrap();
    };
    break_one(&mut tx, "con_3", "k1").await;
    break_one(&mut tx, "con_4", "lost").await;
    tx.commit().await.unwrap();
    let running = vault_with(&stage, &both_keys());
    let report = running.rotate(|_| {}).await.unwrap();
    assert_eq!((report.resealed, report.refused), (58, 2));
    let mut refusals: Vec<_> =
        report.refusals.iter().map(|Refusal { owner, code, .. }| (owner.as_str(), *code)).collect();
    refusals.sort();
    assert_eq!(refusals, [("con_3", "secret_corrupt"), ("con_4", "secret_key_unknown")]);
    assert_eq!(usage(&running).await, [("k2".into(), 58, true), ("k1".into(), 1, true), ("lost".into(), 1, false)]);
}

async fn a_running_node_takes_up_a_new_key_of_its_folder_and_rotates_when_asked(stage: Stage) {
    let folder = tempfile::tempdir().unwrap();
    let load = |seed| Keyring::load_or_create(folder.path(), stage.now(), &SeededRandomness::new(seed)).unwrap();
    let node = Vault::open(crate::base(&stage), load(1));
    seal_many(&stage, &node, 10).await;
    let identity = Identity::open(crate::base(&stage));
    let token = identity.bootstrap(None).await.unwrap().admin_token.unwrap();
    let router = vault::slice(&node).routes.layer(from_fn_with_state(identity, identity::layer));
    let keys = async || {
        let answer = Call::get("/v1/vault/keys").bearer(token.expose_secret()).send(&router).await.expect(200);
        answer.json::<Value>()["data"]
            .as_array()
            .unwrap()
            .iter()
            .map(|key| key["secrets"].as_u64().unwrap())
            .collect::<Vec<_>>()
    };
    assert_eq!(keys().await, [10]);
    Call::post("/v1/vault/rotate").send(&router).await.expect_problem(401, "unauthorized");

    let added = Keyring::add_to_folder(folder.path(), stage.now(), &SeededRandomness::new(2)).unwrap();
    let answer = Call::post("/v1/vault/rotate").bearer(token.expose_secret()).send(&router).await.expect(200);
    let report: Value = answer.json();
    assert_eq!((report["key_id"].as_str(), report["resealed"].as_u64()), (Some(added.as_str()), Some(10)));
    assert_eq!(keys().await, [10, 0]);
    assert_all_open(&stage, &node, 10).await;
    assert_all_open(&stage, &Vault::open(crate::base(&stage), load(3)), 10).await;

    // A key file that was broken meanwhile is told, and the node works on with what it has.
    std::fs::write(folder.path().join("vault.keys"), "nonsense").unwrap();
    let refused = Call::post("/v1/vault/rotate").bearer(token.expose_secret()).send(&router).await;
    refused.expect_problem(500, "vault_keys_bad");
    assert_all_open(&stage, &node, 10).await;
}
