//! Two nodes on one PostgreSQL.

use crate::world::{Plan, World, free_address};
use gateway::LimitOptions;
use platform::config::Config;
use serde_json::Value;
use server::Running;
use simulator::Options;
use std::time::Duration;
use testkit::{Engine, Stage, run, wait_for};
use vault::ConnectionId;

#[test]
fn two_nodes_share_the_work_and_one_may_go() {
    run(Engine::Postgres, "two_nodes_share_the_work_and_one_may_go", two_nodes);
}

async fn two_nodes(stage: Stage) {
    let limits = LimitOptions { account_test: 200, endpoint: 15, ..LimitOptions::default() };
    let stripe = Options { latency: Duration::from_millis(20), ..Options::default() };
    let mut world = World::start_with(stage, Plan { stripe, limits: Some(limits), ..Plan::default() }).await;
    world.generate(60, 2_000);
    let address = free_address();
    let second = world.another(&Config { listen: address, ..world.config.clone() }).await.unwrap();
    let connection = world.connect().await;
    wait_for("some pages of charges to be read", || async { (world.calls("GET /v1/charges") >= 4).then_some(()) })
        .await;
    // Both may run it; one does. Each of its pages is read once.
    let status = world.sync_status(&connection).await;
    assert_eq!(status["current"]["state"], "running", "{status:#}");

    // Each event is told to both nodes at once, and counts once.
    let charges = pay_many(&world, 10).await;
    world.synced(&connection).await;
    world.settled().await;
    let pages = world.calls("GET /v1/charges");
    assert!(pages <= 30, "20 pages of charges were read by {pages} calls");
    let before = events(&world).await;
    for charge in &charges {
        let list: Value = world.get(&format!("/v1/inbox?object={charge}")).await.expect(200).json();
        let event = list["data"][0]["id"].as_str().unwrap().to_owned();
        let shown: Value = world.get(&format!("/v1/inbox/{event}")).await.expect(200).json();
        let body = shown["payload"].to_string();
        let answers = [world.config.listen, address].map(|node| deliver(&world, &second, node, &connection, &body));
        assert_eq!(futures::future::join_all(answers).await, [200, 200]);
    }
    world.settled().await;
    assert_eq!(events(&world).await, before);

    // The first one goes in the middle of a sync; what was begun is finished by the other.
    let body = serde_json::json!({ "kind": "full" });
    world.post(&format!("/v1/connections/{connection}/sync"), &body).await.expect(202);
    wait_for("the sync to be under way", || async { (world.calls("GET /v1/charges") > pages + 2).then_some(()) }).await;
    let moved_to = world.config.listen;
    world.kill_node().await;
    world.hand.advance(platform::worker::LEASE + Duration::from_secs(1));
    world.config.listen = address;
    world.take_over(second);
    let status = world.synced(&connection).await;
    assert_eq!(status["last_completed"]["kind"], "full");
    assert_eq!(status["last_completed"]["requested_by"], "person");
    // Its webhooks go to an address where nobody is, until it is back.
    pay_many(&world, 3).await;
    world.config.listen = moved_to;
    let first = world.another(&world.config).await.unwrap();
    world.config.listen = address;
    world.settled().await;
    world.sync(&connection).await;
    world.settled().await;
    world.assert_ties_out().await;
    first.stop().await;
    world.stop_node().await;
}

async fn pay_many(world: &World, times: usize) -> Vec<String> {
    let mut charges = Vec::new();
    for _ in 0..times {
        let form = "amount=1500&currency=eur&payment_method=pm_card_visa&confirm=true";
        let paid = world.at_stripe("POST", "/v1/payment_intents", form).await;
        charges.push(paid["latest_charge"].as_str().unwrap().to_owned());
    }
    charges
}

async fn events(world: &World) -> usize {
    let page: Value = world.get("/v1/inbox?limit=200").await.expect(200).json();
    page["data"].as_array().unwrap().len()
}

async fn deliver(world: &World, any: &Running, node: std::net::SocketAddr, connection: &str, body: &str) -> u16 {
    let linked = any.parts.vault.linked(&ConnectionId::from_text(connection)).await.unwrap().unwrap();
    let signature = stripe::signature::sign(body.as_bytes(), &linked.webhook_secrets, world.now());
    let request = world.request_at(node, "POST", &format!("/webhooks/stripe/{connection}"));
    world.send(request.header("stripe-signature", signature).body(body.to_owned())).await.status.as_u16()
}
