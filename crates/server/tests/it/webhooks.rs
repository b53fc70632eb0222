//! The account goes on living, and the copy follows it, whatever becomes of the webhooks.

use crate::world::World;
use serde_json::{Value, json};
use simulator::{Fault, TrafficPlan, WebhookFault};
use testkit::{Stage, on_both_engines, wait_for};
use vault::ConnectionId;

on_both_engines!(
    webhooks_keep_it_in_step,
    each_event_counts_once_however_often_and_late_it_comes,
    lost_webhooks_are_found_by_the_event_list,
);

/// A node whose account is connected and read.
async fn connected(stage: Stage) -> (World, String) {
    let world = World::start(stage).await;
    world.generate(40, 200);
    let connection = world.connect().await;
    world.synced(&connection).await;
    world.settled().await;
    world.assert_ties_out().await;
    (world, connection)
}

async fn pay(world: &World, more: &str) -> String {
    let form = format!("amount=4200&currency=usd&payment_method=pm_card_visa&confirm=true{more}");
    let paid = world.at_stripe("POST", "/v1/payment_intents", &form).await;
    paid["latest_charge"].as_str().unwrap().to_owned()
}

async fn webhooks_keep_it_in_step(stage: Stage) {
    let (mut world, connection) = connected(stage).await;
    let customer = world.at_stripe("POST", "/v1/customers", "name=New").await;
    let customer = customer["id"].as_str().unwrap();
    let refunded = pay(&world, &format!("&customer={customer}")).await;
    let disputed = pay(&world, "").await;
    world.at_stripe("POST", "/v1/refunds", &format!("charge={refunded}&amount=1200")).await;
    world.at_simulator("/_sim/disputes", &json!({ "charge": disputed })).await;
    world.at_stripe("DELETE", &format!("/v1/customers/{customer}"), "").await;
    world.settled().await;
    // Nobody asked Stripe for any of this.
    world.assert_payments_agree().await;
    let gone: Value = world.get(&format!("/v1/objects/customer/{customer}")).await.expect(200).json();
    assert_eq!(gone["deleted"], true);
    let charge: Value = world.get(&format!("/v1/objects/charge/{refunded}")).await.expect(200).json();
    assert_eq!(charge["object"]["amount_refunded"], 1200);

    traffic(&world, 60).await;
    world.settled().await;
    world.assert_payments_agree().await;
    // Movements of the balance have no events of their own: the next sync lists them.
    world.sync(&connection).await;
    world.settled().await;
    world.assert_ties_out().await;
    world.stop_node().await;
}

/// Lets the account live until this many deliveries were made.
async fn traffic(world: &World, deliveries: u64) {
    let simulator = &world.stripe.simulator;
    let before = simulator.stats().webhooks.deliveries;
    let account = &world.stripe.account.account_id;
    simulator.start_traffic(account, false, &TrafficPlan { per_second: 60 }).unwrap();
    wait_for("the account to have lived a little", || async {
        (simulator.stats().webhooks.deliveries >= before + deliveries).then_some(())
    })
    .await;
    simulator.stop_traffic();
}

async fn each_event_counts_once_however_often_and_late_it_comes(stage: Stage) {
    let (mut world, connection) = connected(stage).await;
    for (times, what) in [
        (40, WebhookFault::Duplicate),
        (60, WebhookFault::Shuffle { within_ms: 1_500 }),
        (40, WebhookFault::Delay { delay_ms: 1_000 }),
        (40, WebhookFault::Duplicate),
    ] {
        world.stripe.simulator.faults().set(Fault::webhooks("*", what).times(times)).unwrap();
    }
    traffic(&world, 200).await;
    // Some are read from the list before their webhooks come.
    world.sync(&connection).await;
    let charge = pay(&world, "&metadata[order_id]=twice").await;
    world.settled().await;

    // The same event five times at once, and five times more.
    let page: Value = world.get(&format!("/v1/inbox?object={charge}")).await.expect(200).json();
    let events = page["data"].as_array().unwrap();
    let event = events.iter().find(|event| event["type"] == "charge.succeeded").unwrap()["id"].as_str().unwrap();
    let shown: Value = world.get(&format!("/v1/inbox/{event}")).await.expect(200).json();
    let body = shown["payload"].to_string();
    for _ in 0..2 {
        let deliveries = (0..5).map(|_| deliver(&world, &connection, &body));
        for answer in futures::future::join_all(deliveries).await {
            assert_eq!(answer, (200, r#"{"received":true}"#.to_owned()));
        }
    }
    world.settled().await;
    let again: Value = world.get(&format!("/v1/inbox?object={charge}")).await.expect(200).json();
    assert_eq!(again["data"].as_array().unwrap().len(), events.len(), "what is known is not stored again");
    // Processed once more by hand, it changes nothing either.
    world.post(&format!("/v1/inbox/{event}/replay"), &json!({})).await.expect(202);
    world.settled().await;
    world.assert_payments_agree().await;
    world.sync(&connection).await;
    world.settled().await;
    world.assert_ties_out().await;
    world.stop_node().await;
}

/// Delivers a body as Stripe does, signed now with the connection's secret.
async fn deliver(world: &World, connection: &str, body: &str) -> (u16, String) {
    let linked = world.node().parts.vault.linked(&ConnectionId::from_text(connection)).await.unwrap().unwrap();
    let signature = stripe::signature::sign(body.as_bytes(), &linked.webhook_secrets, world.now());
    let request = world.request("POST", &format!("/webhooks/stripe/{connection}"));
    let answer = world.send(request.header("stripe-signature", signature).body(body.to_owned())).await;
    (answer.status.as_u16(), answer.text())
}

async fn lost_webhooks_are_found_by_the_event_list(stage: Stage) {
    let (mut world, connection) = connected(stage).await;
    let lost = Fault::webhooks("*", WebhookFault::Drop).until_cleared();
    world.stripe.simulator.faults().set(lost).unwrap();
    let known = world.mirrored().await;
    pay(&world, "").await;
    traffic(&world, 150).await;
    world.settled().await;
    assert_eq!(world.mirrored().await, known, "nothing came");
    assert_eq!(world.stripe.simulator.stats().webhooks.delivered, 0);

    let status = world.sync(&connection).await;
    assert!(status["last_completed"]["events_found"].as_i64().unwrap() >= 150, "{status:#}");
    world.settled().await;
    world.assert_ties_out().await;
    // Found late, an event has the effect that its webhook would have had; the webhook then has none.
    world.stripe.simulator.faults().clear_all();
    let page: Value = world.get("/v1/inbox?limit=1").await.expect(200).json();
    assert_eq!(page["data"][0]["source"], "sweep");
    let event = page["data"][0]["id"].as_str().unwrap();
    let shown: Value = world.get(&format!("/v1/inbox/{event}")).await.expect(200).json();
    assert_eq!(deliver(&world, &connection, &shown["payload"].to_string()).await.0, 200);
    world.settled().await;
    world.assert_ties_out().await;
    world.stop_node().await;
}
