//! What the doors tell of themselves: a key's permissions, what reads were for, how a webhook endpoint stands.

use crate::{
    TENANT, World,
    connections::{ALL_READ, play},
    quick,
};
use gateway::{EndpointState, Lane, ReadFor, Repaired};
use kit::{ExposeSecret, Secret};
use serde_json::{Value, json};
use stripe::{
    ObjectKind,
    api::{self, ListParams, WebhookEndpointChange},
};
use testkit::{Call, SimulatedStripe, Stage, on_both_engines};
use vault::ConnectionId;

on_both_engines!(
    the_doctor_names_what_a_key_lacks_and_the_least_to_ask_for,
    what_stripe_refuses_later_is_known_until_the_key_is_replaced,
    reads_are_counted_by_what_they_were_for,
    an_endpoint_that_was_switched_off_is_switched_on_again,
    an_endpoint_that_is_gone_is_made_anew,
    without_a_public_address_no_endpoint_is_made,
);

async fn the_doctor_names_what_a_key_lacks_and_the_least_to_ask_for(stage: Stage) {
    let play = play(&stage, None).await;
    let test =
        async |key: &str| Call::post("/v1/connections/test").json(&json!({"api_key": key})).send(&play.router).await;
    let without_webhooks: Vec<&str> = ALL_READ.iter().copied().filter(|name| *name != "rak_webhook_write").collect();
    let key = play.restricted(&without_webhooks);
    let report: Value = test(key.expose_secret()).await.expect(200).json();
    assert_eq!((&report["ok"], &report["warnings"][0]["code"]), (&json!(true), &json!("webhook_permission_missing")));
    let finding = |permission: &str| {
        let findings = report["findings"].as_array().unwrap();
        findings.iter().find(|it| it["permission"] == permission).unwrap()["access"].clone()
    };
    assert_eq!((finding("rak_charge_read"), finding("rak_webhook_write")), (json!("granted"), json!("missing")));
    let address = report["least_key"]["create_at"].as_str().unwrap();
    assert!(address.contains("permissions[]=rak_balance_transaction_source_read"), "{address}");

    // The sync does without it, so the account is connected; the page says what cannot be done.
    let connection: Value = play.connect(json!({"api_key": key.expose_secret()})).await.expect(201).json();
    let path = format!("/v1/connections/{}/key-report", connection["id"].as_str().unwrap());
    let before = play.stripe.simulator.stats().calls.values().sum::<u64>();
    let kept: Value = Call::get(&path).send(&play.router).await.expect(200).json();
    assert_eq!((&kept["ok"], &kept["key"]["key_kind"]), (&json!(true), &json!("restricted")));
    assert_eq!(kept["checked_at"], play.world.stage.now().to_string());
    let after = play.stripe.simulator.stats().calls.values().sum::<u64>();
    assert_eq!(after, before, "what was found out when it was connected is not asked again");

    let refused: Value = test("pk_test_x").await.expect_problem(422, "key_publishable").json();
    assert!(refused["least_key"]["permissions"].as_array().unwrap().len() > 9, "{refused}");
    Call::get("/v1/connections/con_unknown/key-report").send(&play.router).await.expect_problem(404, "not_found");
}

async fn what_stripe_refuses_later_is_known_until_the_key_is_replaced(stage: Stage) {
    let stripe = SimulatedStripe::start(&stage).await;
    let world = World::new(&stage, quick(&stripe.base_url()));
    let restrict =
        |permissions: &[&str]| stripe.simulator.restricted_key(&stripe.account.account_id, false, permissions).unwrap();
    let id = world.connected(restrict(&["rak_charge_read"]).expose_secret()).await;
    let linked = world.linked(&id).await;
    let list = |kind| api::list(kind, &ListParams { limit: 1, ..ListParams::default() });
    world.gateway.call(&linked, list(ObjectKind::Charge), Lane::Background).await.unwrap();
    for _ in 0..2 {
        world.gateway.call(&linked, list(ObjectKind::Payout), Lane::Background).await.unwrap_err();
    }
    world.gateway.flush_counts().await.unwrap();
    let known = world.gateway.known_diagnosis(TENANT, &id).await.unwrap();
    assert_eq!((known.ok, known.warnings[0].code), (false, "permissions_missing"));
    let payouts = known.permissions.iter().find(|it| it.permission.permission == "rak_payout_read").unwrap();
    assert!(payouts.refused.as_ref().unwrap().contains("rak_payout_read"), "{payouts:?}");
    let key: Secret = restrict(&ALL_READ);
    // The scripted connection is of no account of the simulator's, so its key is replaced beneath the gateway.
    let mut tx = world.stage.store.begin(TENANT).await.unwrap();
    world.gateway.vault().replace_key(&mut tx, &id, &key, "rk_test_…", "restricted").await.unwrap();
    tx.commit().await.unwrap();
    stage.clock.advance(std::time::Duration::from_secs(1));
    let linked = world.linked(&id).await;
    world.gateway.call(&linked, list(ObjectKind::Payout), Lane::Background).await.unwrap();
    assert!(
        !world.gateway.known_diagnosis(TENANT, &id).await.unwrap().ok,
        "one call that works tells of one kind only"
    );
}

async fn reads_are_counted_by_what_they_were_for(stage: Stage) {
    let play = play(&stage, Some("http://127.0.0.1:9")).await;
    let key = play.restricted(&ALL_READ);
    let connection: Value = play.connect(json!({"api_key": key.expose_secret()})).await.expect(201).json();
    let id = ConnectionId::from_text(connection["id"].as_str().unwrap());
    let linked = play.world.linked(&id).await;
    let list = || api::list(ObjectKind::Charge, &ListParams::default());
    for what_for in [ReadFor::Sync, ReadFor::Sync, ReadFor::Sweep, ReadFor::Reread, ReadFor::Other] {
        play.world.gateway.reading_for(what_for).call(&linked, list(), Lane::Background).await.unwrap();
    }
    play.world.gateway.look_at_endpoint(&linked).await.unwrap().unwrap();
    play.world.gateway.flush_counts().await.unwrap();
    let shown: Value = Call::get(&format!("/v1/connections/{id}")).send(&play.router).await.expect(200).json();
    let reads = &shown["calls"]["reads_for"];
    // The account, eleven kinds and the event list were tried when it was connected; then its endpoint was looked at.
    assert_eq!(reads, &json!({"sync": 2, "sweep": 1, "reread": 1, "probe": 14, "other": 1}));
    assert_eq!(shown["calls"]["reads_30_days"], 19);
    assert_eq!(shown["calls"]["writes_30_days"], 1, "the endpoint was made");
}

async fn an_endpoint_that_was_switched_off_is_switched_on_again(stage: Stage) {
    let play = play(&stage, Some("http://127.0.0.1:9")).await;
    let connection: Value = play.connect(json!({"api_key": play.key()})).await.expect(201).json();
    let id = ConnectionId::from_text(connection["id"].as_str().unwrap());
    let endpoint = connection["webhook"]["endpoint_id"].as_str().unwrap().to_owned();
    let linked = play.world.linked(&id).await;
    let look = async || play.world.gateway.look_at_endpoint(&linked).await.unwrap().unwrap().state;
    assert_eq!(look().await, EndpointState::Enabled);
    for change in [
        WebhookEndpointChange { disabled: Some(true), ..WebhookEndpointChange::default() },
        WebhookEndpointChange { url: Some("http://127.0.0.1:9/other".to_owned()), ..WebhookEndpointChange::default() },
    ] {
        let request = api::update_webhook_endpoint(&endpoint, &change).with_idempotency_key(format!("{change:?}"));
        play.world.gateway.call(&linked, request, Lane::Interactive).await.unwrap();
        assert_ne!(look().await, EndpointState::Enabled);
        let path = format!("/v1/connections/{id}/webhook-endpoint/repair");
        let answer: Value = Call::post(&path).send(&play.router).await.expect(200).json();
        assert_eq!(answer, json!({"did": "switched_on", "webhook_endpoint_id": endpoint}));
        let mut tx = play.world.stage.store.read(TENANT).await.unwrap();
        let seen = play.world.gateway.seen_endpoint(&mut tx, &linked.connection).await.unwrap().unwrap();
        drop(tx);
        assert_eq!(seen.state, EndpointState::Enabled, "the answer tells without another look");
        assert_eq!(look().await, EndpointState::Enabled);
    }
}

async fn an_endpoint_that_is_gone_is_made_anew(stage: Stage) {
    let play = play(&stage, Some("http://127.0.0.1:9")).await;
    let connection: Value = play.connect(json!({"api_key": play.key()})).await.expect(201).json();
    let id = ConnectionId::from_text(connection["id"].as_str().unwrap());
    let first = connection["webhook"]["endpoint_id"].as_str().unwrap().to_owned();
    let linked = play.world.linked(&id).await;
    play.world.gateway.call(&linked, api::delete_webhook_endpoint(&first), Lane::Interactive).await.unwrap();
    assert_eq!(play.world.gateway.look_at_endpoint(&linked).await.unwrap().unwrap().state, EndpointState::Gone);
    assert_eq!(play.world.gateway.repair_endpoint(TENANT, &id).await.unwrap(), Repaired::Made);
    let linked = play.world.linked(&id).await;
    let second = linked.connection.webhook_endpoint_id.clone().unwrap();
    assert_ne!(first, second);
    assert_eq!((play.endpoints(), linked.webhook_secrets.len()), (1, 2), "the first secret serves for a day");
    // One that stands well and is repaired all the same is made anew too, and none is left behind.
    assert_eq!(play.world.gateway.repair_endpoint(TENANT, &id).await.unwrap(), Repaired::Made);
    assert_eq!(play.endpoints(), 1);
}

async fn without_a_public_address_no_endpoint_is_made(stage: Stage) {
    let play = play(&stage, None).await;
    let connection: Value = play.connect(json!({"api_key": play.key()})).await.expect(201).json();
    let path = format!("/v1/connections/{}/webhook-endpoint/repair", connection["id"].as_str().unwrap());
    Call::post(&path).send(&play.router).await.expect_problem(409, "webhook_endpoint_impossible");
    Call::post("/v1/connections/con_unknown/webhook-endpoint/repair")
        .send(&play.router)
        .await
        .expect_problem(404, "not_found");
}
