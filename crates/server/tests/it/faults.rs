//! Everything that Stripe and the way to it can do wrong, one fault after the other, and by chance: nothing is missing
//! afterwards, nothing was done twice, and it ties out to the cent. `docs/operating/faults.md` has the table.

use crate::world::World;
use kit::ExposeSecret;
use serde_json::{Value, json};
use simulator::{CallFault, Fault, FaultPlan, LimitReason, TrafficPlan, WebhookFault};
use std::{cell::Cell, time::Duration};
use testkit::{Stage, on_both_engines, wait_for};

on_both_engines!(
    each_fault_of_a_read_is_made_up_for,
    each_fault_of_a_write_leaves_it_done_once,
    a_write_whose_key_was_forgotten_is_looked_up,
    an_hour_of_outage_is_made_up_for,
    a_key_revoked_in_flight_stops_its_connection_until_it_works_again,
    each_fault_of_a_delivery_is_made_up_for,
    what_a_disabled_endpoint_missed_is_found_in_the_event_list,
    faults_by_seed_change_nothing_in_the_end,
);

/// A node whose account is connected and read.
async fn connected(stage: Stage) -> (World, String) {
    let world = World::start(stage).await;
    world.generate(20, 80);
    let connection = world.connect().await;
    world.synced(&connection).await;
    world.settled().await;
    world.assert_ties_out().await;
    (world, connection)
}

async fn pay(world: &World) {
    let form = "amount=4200&currency=usd&payment_method=pm_card_visa&confirm=true";
    world.at_stripe("POST", "/v1/payment_intents", form).await;
}

fn set(world: &World, fault: Fault) {
    world.stripe.simulator.faults().set(fault).unwrap();
}

fn fired(world: &World) -> u64 {
    world.stripe.simulator.faults().report().fired.values().sum()
}

/// A wait in which work that was put off comes due: after two seconds, and then every ten, the clock is moved by a
/// quarter of an hour. Not more often, since a worker whose lease ends by it loses what it is at. Says whether it was
/// moved.
fn nudge(world: &World, looks: &Cell<u32>) -> bool {
    looks.set(looks.get() + 1);
    let is_time = looks.get() % 200 == 40;
    if is_time {
        world.hand.advance(Duration::from_secs(900));
    }
    is_time
}

/// Asks for a sync, again where one was given up, until one has completed that was not there before.
async fn completes(world: &World, connection: &str, why: &str) {
    let ask = async || {
        let path = format!("/v1/connections/{connection}/sync");
        world.post(&path, &json!({ "kind": "incremental" })).await.expect(202);
    };
    let before = world.sync_status(connection).await["last_completed"]["id"].clone();
    ask().await;
    let looks = Cell::new(0);
    wait_for(why, || async {
        let is_time = nudge(world, &looks);
        let status = world.sync_status(connection).await;
        let has_completed = status["last_completed"]["id"] != before;
        if is_time && !has_completed && status["current"].is_null() {
            ask().await;
        }
        (has_completed && status["current"].is_null()).then_some(())
    })
    .await;
}

async fn each_fault_of_a_read_is_made_up_for(stage: Stage) {
    let (mut world, connection) = connected(stage).await;
    let limited = LimitReason::ALL.map(|reason| CallFault::RateLimit { reason });
    let failing = |should_retry| CallFault::Status { status: 500, after_effect: false, should_retry };
    let others = [
        CallFault::LockTimeout,
        CallFault::failing(500),
        failing(Some(true)),
        failing(Some(false)),
        CallFault::failing(502),
        CallFault::failing(503),
        CallFault::Timeout { hold_ms: 200, after_effect: false },
        CallFault::Drop { after_effect: false },
        CallFault::CutBody,
        CallFault::Delay { delay_ms: 200 },
        CallFault::Dribble { over_ms: 200 },
        CallFault::Garbage { status: 502, after_effect: false },
        CallFault::Garbage { status: 200, after_effect: false },
    ];
    for what in limited.into_iter().chain(others) {
        let before = fired(&world);
        pay(&world).await;
        set(&world, Fault::call("GET *", what.clone()).times(2));
        completes(&world, &connection, &format!("a sync to complete in spite of {}", what.name())).await;
        assert!(fired(&world) > before, "{} happened to nobody", what.name());
        world.stripe.simulator.faults().clear_all();
        world.settled().await;
        world.assert_payments_agree().await;
    }
    completes(&world, &connection, "a last sync").await;
    world.settled().await;
    world.assert_ties_out().await;
    world.stop_node().await;
}

/// The ids of the webhook endpoints at Stripe.
async fn endpoints(world: &World) -> Vec<String> {
    let list = world.at_stripe("GET", "/v1/webhook_endpoints?limit=100", "").await;
    let ids = list["data"].as_array().unwrap().iter().map(|it| it["id"].as_str().unwrap().to_owned());
    ids.collect()
}

/// Waits until the connection knows its webhook endpoint, and fails unless Stripe has that one and no other.
async fn has_one_endpoint(world: &World, connection: &str, why: &str) {
    let looks = Cell::new(0);
    let known = wait_for(&format!("the endpoint to be known, after {why}"), || async {
        nudge(world, &looks);
        let shown: Value = world.get(&format!("/v1/connections/{connection}")).await.expect(200).json();
        shown["webhook"]["endpoint_id"].as_str().map(str::to_owned)
    })
    .await;
    assert_eq!(endpoints(world).await, [known], "{why}");
}

async fn each_fault_of_a_write_leaves_it_done_once(stage: Stage) {
    let mut world = World::start(stage).await;
    let garbage = |status, after_effect| CallFault::Garbage { status, after_effect };
    for (what, times) in [
        (CallFault::RateLimit { reason: LimitReason::EndpointRate }, 2),
        (CallFault::LockTimeout, 2),
        (CallFault::KeyInUse, 2),
        (CallFault::failing(500), 2),
        (CallFault::failing_after_effect(500), 1),
        (CallFault::failing_after_effect(503), 1),
        (CallFault::Timeout { hold_ms: 200, after_effect: false }, 2),
        (CallFault::Timeout { hold_ms: 200, after_effect: true }, 2),
        (CallFault::Drop { after_effect: false }, 2),
        (CallFault::Drop { after_effect: true }, 2),
        (CallFault::CutBody, 2),
        (garbage(502, true), 2),
        (garbage(200, true), 2),
    ] {
        let (why, before) = (what.name(), fired(&world));
        set(&world, Fault::call("POST /v1/webhook_endpoints", what).times(times));
        let connection = world.connect().await;
        has_one_endpoint(&world, &connection, &why).await;
        assert!(fired(&world) > before, "{why} happened to nobody");
        world.stripe.simulator.faults().clear_all();
        world.synced(&connection).await;
        // What it was told is used: a payment comes by webhook.
        pay(&world).await;
        world.settled().await;
        world.assert_payments_agree().await;
        let ended = world.request("DELETE", &format!("/v1/connections/{connection}?data=erase"));
        world.send(ended.bearer_auth(crate::world::TOKEN)).await.expect(200);
        assert_eq!(endpoints(&world).await, [""; 0], "{why}");
    }
    world.stop_node().await;
}

async fn a_write_whose_key_was_forgotten_is_looked_up(stage: Stage) {
    let mut world = World::start(stage).await;
    // It is done at once, and for a day no answer comes back.
    let lost = CallFault::Drop { after_effect: true };
    set(&world, Fault::call("POST /v1/webhook_endpoints", lost).until_cleared());
    let connection = world.connect().await;
    assert_eq!(endpoints(&world).await.len(), 1);
    world.hand.advance(Duration::from_secs(25 * 3_600));
    world.stripe.simulator.faults().clear_all();
    // Under the same key it would be made a second time now.
    has_one_endpoint(&world, &connection, "a day without an answer").await;
    world.stop_node().await;
}

async fn an_hour_of_outage_is_made_up_for(stage: Stage) {
    let (mut world, connection) = connected(stage).await;
    set(&world, Fault::webhooks("*", WebhookFault::Drop).for_seconds(3_600));
    for _ in 0..3 {
        pay(&world).await;
    }
    set(&world, Fault::call("*", CallFault::failing(503)).for_seconds(3_600));
    let sync = format!("/v1/connections/{connection}/sync");
    let requests = world.stripe.simulator.stats().requests;
    world.post(&sync, &json!({ "kind": "incremental" })).await.expect(202);
    wait_for("the breaker to open", || async {
        let report = world.stripe.simulator.faults().report();
        (report.fired.get("status 503").copied() >= Some(5)).then_some(())
    })
    .await;
    // Most of the hour, a minute at a time; what is put off is tried and put off again.
    for _ in 0..50 {
        world.hand.advance(Duration::from_secs(60));
        world.get("/v1/objects").await.expect(200);
    }
    let asked = world.stripe.simulator.stats().requests - requests;
    assert!(asked < 60, "{asked} calls left in most of an hour of outage");
    world.hand.advance(Duration::from_secs(1_200));
    assert_eq!(world.stripe.simulator.faults().report().set, []);
    completes(&world, &connection, "the work that waited to complete").await;
    world.settled().await;
    world.assert_ties_out().await;
    world.stop_node().await;
}

async fn a_key_revoked_in_flight_stops_its_connection_until_it_works_again(stage: Stage) {
    let (mut world, connection) = connected(stage).await;
    let simulator = world.stripe.simulator.clone();
    let key = world.stripe.secret_key();
    assert!(simulator.revoke_key(&key));
    let state = async || {
        let shown: Value = world.get(&format!("/v1/connections/{connection}")).await.expect(200).json();
        shown["state"].as_str().unwrap().to_owned()
    };
    let sync = format!("/v1/connections/{connection}/sync");
    world.post(&sync, &json!({ "kind": "incremental" })).await.expect(202);
    wait_for("the refused key to be known", || async { (state().await == "key_refused").then_some(()) }).await;
    wait_for("the sync to end", || async { world.sync_status(&connection).await["current"].is_null().then_some(()) })
        .await;
    let asked = simulator.stats().requests;
    // Whatever falls due in an hour: nothing is sent with a refused key.
    world.hand.advance(Duration::from_secs(3_600));
    world.get("/v1/objects").await.expect(200);
    assert_eq!(simulator.stats().requests, asked);
    // Webhooks go on meanwhile.
    assert!(simulator.restore_key(&key));
    pay(&world).await;
    let test = world.post(&format!("/v1/connections/{connection}/test"), &json!({})).await.expect(200);
    assert!(!test.text().contains(key.expose_secret()));
    assert_eq!(state().await, "active");
    completes(&world, &connection, "a sync with the key that works again").await;
    world.settled().await;
    world.assert_ties_out().await;
    world.stop_node().await;
}

async fn each_fault_of_a_delivery_is_made_up_for(stage: Stage) {
    let (mut world, connection) = connected(stage).await;
    // What is expected among the tries that the simulator tells of.
    for (what, told) in [
        (WebhookFault::Drop, "lost"),
        (WebhookFault::Duplicate, "200"),
        (WebhookFault::Twin, "200"),
        (WebhookFault::Delay { delay_ms: 500 }, "200"),
        (WebhookFault::Shuffle { within_ms: 500 }, "200"),
        (WebhookFault::Cut, "broke off"),
        (WebhookFault::OldTimestamp { seconds: 600 }, "401"),
        (WebhookFault::WrongSignature, "401"),
        (WebhookFault::UnknownType, "200"),
    ] {
        let before = fired(&world);
        set(&world, Fault::webhooks("*", what).times(8));
        pay(&world).await;
        pay(&world).await;
        world.settled().await;
        assert!(fired(&world) > before, "{what:?} happened to nothing");
        assert!(world.stripe.simulator.deliveries().iter().any(|it| it.outcome == told), "{what:?}: no {told}");
        world.stripe.simulator.faults().clear_all();
        if what == WebhookFault::Drop {
            world.sync(&connection).await;
            world.settled().await;
        }
        world.assert_payments_agree().await;
    }
    let unknown: Value = world.get("/v1/inbox?type=novelty.introduced").await.expect(200).json();
    let events = unknown["data"].as_array().unwrap();
    assert!(!events.is_empty() && events.iter().all(|event| event["state"] == "processed"), "{unknown:#}");
    world.sync(&connection).await;
    world.settled().await;
    world.assert_ties_out().await;
    world.stop_node().await;
}

async fn what_a_disabled_endpoint_missed_is_found_in_the_event_list(stage: Stage) {
    let (mut world, connection) = connected(stage).await;
    set(&world, Fault::webhooks("*", WebhookFault::DisableEndpoint));
    let delivered = world.stripe.simulator.stats().webhooks.delivered;
    for _ in 0..3 {
        pay(&world).await;
    }
    wait_for("the endpoint to be disabled", || async {
        (world.stripe.simulator.faults().report().endpoints_disabled == 1).then_some(())
    })
    .await;
    pay(&world).await;
    completes(&world, &connection, "a sync that reads the event list").await;
    world.settled().await;
    world.assert_ties_out().await;
    assert!(world.stripe.simulator.stats().webhooks.delivered <= delivered + 12, "the last payment was never sent");
    // Switched on again, the next one comes by itself.
    let repair = format!("/v1/connections/{connection}/webhook-endpoint/repair");
    world.post(&repair, &json!({})).await.expect(200);
    let delivered = world.stripe.simulator.stats().webhooks.delivered;
    pay(&world).await;
    world.settled().await;
    assert!(world.stripe.simulator.stats().webhooks.delivered > delivered, "events come again");
    world.assert_payments_agree().await;
    world.stop_node().await;
}

async fn faults_by_seed_change_nothing_in_the_end(stage: Stage) {
    let (mut world, connection) = connected(stage).await;
    let simulator = world.stripe.simulator.clone();
    let account = world.stripe.account.account_id.clone();
    for seed in [1, 2] {
        eprintln!("faults by seed {seed}");
        simulator.faults().follow(FaultPlan::everything(seed, 40)).unwrap();
        simulator.start_traffic(&account, false, &TrafficPlan { per_second: 40 }).unwrap();
        let before = simulator.stats().webhooks.deliveries;
        for part in 1..=3 {
            // It may take as long as it likes, and be put off.
            let path = format!("/v1/connections/{connection}/sync");
            world.post(&path, &json!({ "kind": "incremental" })).await.expect(202);
            wait_for("the account to have lived a little", || async {
                (simulator.stats().webhooks.deliveries >= before + part * 100).then_some(())
            })
            .await;
            world.hand.advance(Duration::from_secs(900));
        }
        simulator.stop_traffic();
        simulator.heal();
        completes(&world, &connection, "a sync after them").await;
        world.settled().await;
        completes(&world, &connection, "a sync of what came last").await;
        world.settled().await;
        world.assert_ties_out().await;
    }
    let report = simulator.faults().report();
    assert!(report.fired.len() > 10, "{:?}", report.fired);
    world.stop_node().await;
}
