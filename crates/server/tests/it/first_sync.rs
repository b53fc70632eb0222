//! A business is connected, and everything it ever did is read.

use crate::world::{Plan, World};
use gateway::LimitOptions;
use simulator::Options;
use std::time::Duration;
use testkit::{Stage, on_both_engines, wait_for};

on_both_engines!(
    a_business_is_connected_back_filled_and_ties_out,
    a_sync_that_is_killed_in_the_middle_carries_on,
    a_sync_that_is_stopped_in_the_middle_carries_on,
);

async fn a_business_is_connected_back_filled_and_ties_out(stage: Stage) {
    let mut world = World::start(stage).await;
    world.generate(60, 600);
    let connection = world.connect().await;
    let status = world.synced(&connection).await;
    assert_eq!(status["last_completed"]["kind"], "full");
    let coverage = status["coverage"].as_array().unwrap();
    assert!(coverage.len() >= stripe::ObjectKind::ALL.len(), "{coverage:#?}");
    assert!(coverage.iter().all(|kind| kind["state"] == "complete"), "{coverage:#?}");
    world.settled().await;
    world.assert_ties_out().await;
    // Nothing is left over that another run would find.
    let before = world.mirrored().await;
    let status = world.sync(&connection).await;
    assert_eq!(status["last_completed"]["kind"], "incremental");
    assert_eq!(world.mirrored().await, before);
    world.assert_ties_out().await;
    world.stop_node().await;
}

/// A Stripe that answers slowly, and a pace that leaves time to be interrupted.
fn slow() -> Plan {
    let limits = LimitOptions { account_test: 200, endpoint: 15, ..LimitOptions::default() };
    Plan {
        stripe: Options { latency: Duration::from_millis(30), ..Options::default() },
        limits: Some(limits),
        ..Plan::default()
    }
}

async fn a_sync_that_is_killed_in_the_middle_carries_on(stage: Stage) {
    let mut world = World::start_with(stage, slow()).await;
    world.generate(60, 2_500);
    let connection = world.connect().await;
    let before = read_some_charges(&world, &connection).await;
    world.kill_node().await;
    // The lease of the one that died has to end before another may go on.
    world.hand.advance(platform::worker::LEASE + Duration::from_secs(1));
    carries_on(&mut world, &connection, before).await;
}

async fn a_sync_that_is_stopped_in_the_middle_carries_on(stage: Stage) {
    let mut world = World::start_with(stage, slow()).await;
    world.generate(60, 2_500);
    let connection = world.connect().await;
    let before = read_some_charges(&world, &connection).await;
    world.stop_node().await;
    carries_on(&mut world, &connection, before).await;
}

/// Pages of charges that are stored.
async fn pages_of_charges(world: &World, connection: &str) -> u64 {
    let status = world.sync_status(connection).await;
    let parts = status["parts"].as_array().unwrap();
    parts.iter().find(|part| part["object_type"] == "charge").map_or(0, |part| part["pages"].as_u64().unwrap())
}

async fn read_some_charges(world: &World, connection: &str) -> u64 {
    wait_for("some pages of charges to be stored", || async {
        let pages = pages_of_charges(world, connection).await;
        (pages >= 4).then_some(pages)
    })
    .await
}

async fn carries_on(world: &mut World, connection: &str, stored_before: u64) {
    let calls_before = world.calls("GET /v1/charges");
    assert!(calls_before < 25, "it was to be interrupted in the middle, but {calls_before} pages were read");
    world.start_node().await;
    world.synced(connection).await;
    world.settled().await;
    world.assert_ties_out().await;
    // 2,500 charges are 25 pages; spans of time end in pages that are not full. What was under way when it was
    // interrupted is read again, and nothing that was stored.
    let calls = world.calls("GET /v1/charges");
    let again = calls - calls_before;
    assert!(
        again + stored_before <= 40,
        "{calls_before} pages were read before, {stored_before} stored, {again} after"
    );
    world.stop_node().await;
}
