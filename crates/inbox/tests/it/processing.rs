//! From a stored event to its effect.

use crate::world::{TEST, World, base, connect, event, event_of, world};
use inbox::{ConnectionCounts, Delivery, SinkError, Source, State};
use kit::{Environment, TenantId};
use std::{collections::HashSet, sync::Arc, time::Duration};
use store::{Store, StoreOptions, q, sql};
use testkit::{Stage, wait_for};

testkit::on_both_engines!(
    events_are_handed_over_as_they_came,
    a_stored_event_is_processed_without_being_asked_for,
    effect_and_mark_commit_together,
    a_failing_event_does_not_hold_up_its_neighbours,
    a_failed_event_is_tried_for_a_day_then_kept_as_dead,
    what_no_try_can_help_is_given_up_at_once,
    a_panic_is_a_failure_of_one_event,
    when_the_database_does_not_serve_no_try_is_lost,
    nodes_share_the_work_and_each_event_is_processed_once,
    every_tenant_has_its_turn,
    figures_tell_how_events_come_in,
    a_silence_is_told_once_and_its_end_once,
    what_has_no_effect_yet_is_told_by_kind,
    a_connection_s_events_are_erased_when_asked,
);

async fn deliver(world: &World, ids: impl IntoIterator<Item = String>) {
    for id in ids {
        world.deliver(&event(&id)).await.expect(200);
    }
}

fn ids(numbers: std::ops::Range<u32>) -> impl Iterator<Item = String> {
    numbers.map(|number| format!("evt_{number:03}"))
}

async fn state_of(world: &World, id: &str) -> (State, u32) {
    let summary = world.inbox.event(TEST, id).await.unwrap().summary;
    (summary.state, summary.retry_count)
}

async fn events_are_handed_over_as_they_came(stage: Stage) {
    let world = world(stage).await;
    let thin = r#"{"id":"evt_thin","object":"v2.core.event","type":"v1.billing.meter.error_report_triggered","created":"2026-01-15T11:59:58.750Z","livemode":false,"related_object":{"id":"mtr_1","type":"billing.meter","url":"/v1/billing/meters/mtr_1"}}"#;
    world.deliver(thin).await.expect(200);
    world.process().await;
    let event = world.sink.last.lock().unwrap().take().unwrap();
    assert_eq!(
        (event.event_id.as_str(), event.connection_id.clone(), event.thin),
        ("evt_thin", world.connection.id.clone(), true)
    );
    assert_eq!((event.object_type.as_deref(), event.object_id.as_deref()), (Some("billing.meter"), Some("mtr_1")));
    assert_eq!((event.created, event.received_at), (testkit::START - Duration::from_secs(2), testkit::START));
    assert_eq!((event.body.as_str(), event.api_version), (thin, None));
    assert_eq!(
        (event.account_id.as_str(), event.event_type.as_str()),
        ("acct_1", "v1.billing.meter.error_report_triggered")
    );
}

async fn a_stored_event_is_processed_without_being_asked_for(stage: Stage) {
    let world = world(stage).await;
    let stopping = platform::CancellationToken::new();
    let loops = inbox::slice(&world.inbox, world.sink.clone()).background;
    let running: Vec<_> =
        loops.into_iter().map(|background| tokio::spawn((background.run)(stopping.clone()))).collect();
    deliver(&world, ids(0..3)).await;
    wait_for("three events to be processed", async || (world.effects(TEST).await == 3).then_some(())).await;
    // A failed one comes back when its time has come, without anything else waking the loop.
    world.sink.fail_with(|_| Some(SinkError::Retry("not now".to_owned())));
    deliver(&world, ids(3..4)).await;
    wait_for("the failure", async || (state_of(&world, "evt_003").await == (State::Failed, 1)).then_some(())).await;
    world.sink.succeed();
    world.stage.clock.advance(Duration::from_secs(10));
    wait_for("the second try", async || (state_of(&world, "evt_003").await.0 == State::Processed).then_some(())).await;
    stopping.cancel();
    for task in running {
        task.await.unwrap();
    }
}

async fn effect_and_mark_commit_together(stage: Stage) {
    let world = world(stage).await;
    deliver(&world, ids(0..1)).await;
    world.sink.fail_with(|_| Some(SinkError::Retry("after the effect was written".to_owned())));
    world.process().await;
    assert_eq!((world.effects(TEST).await, state_of(&world, "evt_000").await), (0, (State::Failed, 1)));
    world.sink.succeed();
    world.stage.clock.advance(Duration::from_secs(10));
    world.process().await;
    assert_eq!((world.effects(TEST).await, state_of(&world, "evt_000").await), (1, (State::Processed, 1)));
    let summary = world.inbox.event(TEST, "evt_000").await.unwrap().summary;
    assert_eq!((summary.processed_at, summary.next_try_at, summary.last_error), (Some(world.stage.now()), None, None));
}

async fn a_failing_event_does_not_hold_up_its_neighbours(stage: Stage) {
    let world = world(stage).await;
    deliver(&world, ids(0..40)).await;
    world.sink.fail_with(|event| {
        matches!(event.event_id.as_str(), "evt_007" | "evt_031").then(|| SinkError::Retry("bad luck".to_owned()))
    });
    world.process().await;
    let counts = world.inbox.counts(TEST).await.unwrap();
    assert_eq!((counts.processed_24h, counts.failed, counts.ready), (38, 2, 0));
    assert_eq!(world.effects(TEST).await, 38);
    let failed = world.inbox.event(TEST, "evt_007").await.unwrap().summary;
    assert_eq!((failed.state, failed.retry_count, failed.last_error.as_deref()), (State::Failed, 1, Some("bad luck")));
    // The next batch is not held up by it again.
    world.stage.clock.advance(Duration::from_secs(10));
    deliver(&world, ids(40..45)).await;
    world.sink.calls.lock().unwrap().clear();
    world.process().await;
    let calls = world.sink.calls.lock().unwrap().clone();
    assert!(calls.iter().any(|call| call.len() == 5), "the new ones are one batch: {calls:?}");
    assert_eq!(world.effects(TEST).await, 43);
}

async fn a_failed_event_is_tried_for_a_day_then_kept_as_dead(stage: Stage) {
    let world = world(stage).await;
    deliver(&world, ids(0..2)).await;
    world.sink.fail_with(|event| (event.event_id == "evt_001").then(|| SinkError::Retry("never".to_owned())));
    for tries in 1..=12 {
        world.process().await;
        let summary = world.inbox.event(TEST, "evt_001").await.unwrap().summary;
        assert_eq!(summary.retry_count, tries);
        if tries < 12 {
            let next = summary.next_try_at.unwrap();
            assert!(next > world.stage.now() && summary.state == State::Failed);
            world.stage.clock.set(next);
        } else {
            assert_eq!(
                (summary.state, summary.next_try_at, summary.last_error.as_deref()),
                (State::Dead, None, Some("never"))
            );
        }
    }
    let waited = world.stage.now().since(testkit::START);
    assert!(waited > Duration::from_secs(15 * 3600), "given up after {waited:?}");
    let counts = world.inbox.counts(TEST).await.unwrap();
    assert_eq!((counts.dead, counts.failed, counts.ready), (1, 0, 0));
    assert_eq!(notices(&world, "inbox.event_dead").await, ["evt_001"]);
    world.stage.clock.advance(Duration::from_secs(90 * 86_400));
    world.process().await;
    assert_eq!(state_of(&world, "evt_001").await, (State::Dead, 12));
}

async fn notices(world: &World, topic: &'static str) -> Vec<String> {
    let mut tx = world.stage.store.read(TEST).await.unwrap();
    platform::notice::subjects(&mut tx, topic).await.unwrap()
}

async fn what_no_try_can_help_is_given_up_at_once(stage: Stage) {
    let world = world(stage).await;
    deliver(&world, ids(0..5)).await;
    world.sink.fail_with(|event| (event.event_id == "evt_002").then(|| SinkError::Poison("no such shape".to_owned())));
    world.process().await;
    assert_eq!(state_of(&world, "evt_002").await, (State::Dead, 1));
    assert_eq!(notices(&world, "inbox.event_dead").await, ["evt_002"]);
    assert_eq!(world.effects(TEST).await, 4);
}

async fn a_panic_is_a_failure_of_one_event(stage: Stage) {
    let world = world(stage).await;
    deliver(&world, ids(0..4)).await;
    world.sink.fail_with(|event| {
        assert!(event.event_id != "evt_001", "a fault in a projection");
        None
    });
    world.process().await;
    assert_eq!(world.effects(TEST).await, 3);
    let summary = world.inbox.event(TEST, "evt_001").await.unwrap().summary;
    assert_eq!(summary.state, State::Failed);
    assert!(summary.last_error.unwrap().contains("a fault in a projection"));
}

async fn when_the_database_does_not_serve_no_try_is_lost(stage: Stage) {
    let world = world(stage).await;
    deliver(&world, ids(0..2)).await;
    let folder = std::env::temp_dir().join(format!("bursar-inbox-{}-{:?}", world.stage.seed, world.stage.engine()));
    let closed = Store::open(&StoreOptions::in_folder(&folder)).await.unwrap();
    closed.close().await;
    let unavailable = closed.begin(TEST).await.err().unwrap();
    assert!(unavailable.can_retry());
    world.sink.fail_with(move |_| Some(SinkError::Store(unavailable.clone())));
    inbox::processor::drain(&world.inbox, world.sink.clone()).await.unwrap_err();
    assert_eq!(state_of(&world, "evt_000").await, (State::Ready, 0));
    world.sink.succeed();
    world.process().await;
    assert_eq!(world.effects(TEST).await, 2);
    let _ = std::fs::remove_dir_all(folder);
}

async fn nodes_share_the_work_and_each_event_is_processed_once(stage: Stage) {
    // SQLite is one process with one loop; there the same holds for one node.
    let nodes = if stage.engine() == store::Engine::Postgres { 3 } else { 1 };
    let world = world(stage).await;
    let bodies: Vec<String> = (0..1_000).map(|number| event(&format!("evt_{number:04}"))).collect();
    let mut tx = world.stage.store.begin(TEST).await.unwrap();
    let bodies: Vec<&str> = bodies.iter().map(String::as_str).collect();
    let accepted = world.inbox.accept(&mut tx, &world.connection, Source::Manual, &bodies).await.unwrap();
    tx.commit().await.unwrap();
    assert_eq!(accepted.new, 1_000);
    let drains = (0..nodes).map(|_| {
        let inbox = inbox::Inbox::new(base(&world.stage), world.vault.clone(), inbox::InboxOptions::default());
        let sink = Arc::clone(&world.sink);
        tokio::spawn(async move { inbox::processor::drain(&inbox, sink).await })
    });
    for drained in futures::future::join_all(drains).await {
        drained.unwrap().unwrap();
    }
    // A node that found everything taken stops looking; the one that took it finishes.
    world.process().await;
    let seen = world.sink.seen();
    assert_eq!((seen.len(), seen.iter().collect::<HashSet<_>>().len()), (1_000, 1_000));
    assert_eq!(world.effects(TEST).await, 1_000);
}

async fn every_tenant_has_its_turn(stage: Stage) {
    let world = world(stage).await;
    for number in 3..8 {
        let tenant = TenantId(number);
        let connection = connect(&world.vault, &world.stage, tenant, Environment::Test, "acct_1", None).await;
        let mut tx = world.stage.store.begin(tenant).await.unwrap();
        let bodies = [event("evt_1"), event("evt_2")];
        let bodies: Vec<&str> = bodies.iter().map(String::as_str).collect();
        world.inbox.accept(&mut tx, &connection, Source::Sweep, &bodies).await.unwrap();
        tx.commit().await.unwrap();
    }
    world.process().await;
    for number in 3..8 {
        assert_eq!(world.effects(TenantId(number)).await, 2);
        assert_eq!(world.inbox.counts(TenantId(number)).await.unwrap().processed_24h, 2);
    }
    assert_eq!(world.inbox.counts(TEST).await.unwrap().processed_24h, 0);
}

async fn figures_tell_how_events_come_in(stage: Stage) {
    let world = world(stage).await;
    let of =
        async |world: &World| -> ConnectionCounts { world.inbox.counts(TEST).await.unwrap().connections[0].clone() };
    deliver(&world, ids(0..3)).await;
    world.stage.clock.advance(Duration::from_secs(60));
    let counts = world.inbox.counts(TEST).await.unwrap();
    assert_eq!((counts.ready, counts.oldest_ready_age), (3, Some(Duration::from_secs(60))));
    world.process().await;
    let counts = world.inbox.counts(TEST).await.unwrap();
    assert_eq!((counts.ready, counts.oldest_ready_age, counts.processed_24h), (0, None, 3));
    let connection = of(&world).await;
    assert_eq!((connection.by_webhook_24h, connection.missed_24h), (3, 0));
    assert_eq!(connection.delivery(), Delivery::Alive { last_at: testkit::START });

    // An hour later the sweep finds what was never delivered.
    world.stage.clock.advance(Duration::from_secs(3_600));
    let happened = (world.stage.now() - Duration::from_secs(900)).seconds();
    let missed = event_of("evt_9", "charge.updated", "")
        .replace(&(testkit::START.seconds() - 2).to_string(), &happened.to_string());
    let mut tx = world.stage.store.begin(TEST).await.unwrap();
    world.inbox.accept(&mut tx, &world.connection, Source::Sweep, &[&missed]).await.unwrap();
    tx.commit().await.unwrap();
    world.process().await;
    let connection = of(&world).await;
    assert_eq!((connection.processed_24h, connection.by_webhook_24h, connection.missed_24h), (4, 3, 1));
    assert_eq!(connection.delivery(), Delivery::Silent { since: kit::Time::from_seconds(happened) });
    deliver(&world, ids(10..11)).await;
    world.process().await;
    assert_eq!(of(&world).await.delivery(), Delivery::Alive { last_at: world.stage.now() });
    world.stage.clock.advance(Duration::from_secs(26 * 3_600));
    assert_eq!(world.inbox.counts(TEST).await.unwrap().processed_24h, 0);
}

async fn a_connection_s_events_are_erased_when_asked(stage: Stage) {
    let world = world(stage).await;
    let kept = connect(&world.vault, &world.stage, TEST, Environment::Test, "acct_2", None).await;
    let bodies: Vec<String> = (0..700).map(|number| event(&format!("evt_{number:04}"))).collect();
    let bodies: Vec<&str> = bodies.iter().map(String::as_str).collect();
    let mut tx = world.stage.store.begin(TEST).await.unwrap();
    world.inbox.accept(&mut tx, &world.connection, Source::Manual, &bodies).await.unwrap();
    world.inbox.accept(&mut tx, &kept, Source::Manual, &bodies[..3]).await.unwrap();
    tx.commit().await.unwrap();
    world.process().await;
    let subscriber = inbox::slice(&world.inbox, world.sink.clone()).subscribers.remove(0);
    for (erase, left) in [(false, 703), (true, 3)] {
        let notice = platform::Notice {
            tenant: TEST,
            topic: subscriber.topic.to_owned(),
            subject: world.connection.id.to_string(),
            payload: serde_json::json!({ "erase": erase }),
        };
        (subscriber.tell)(base(&world.stage), notice).await.unwrap();
        let mut tx = world.stage.store.read(TEST).await.unwrap();
        let events: i64 = q(sql!("SELECT count(*) FROM inbox_events")).scalar(&mut tx).await.unwrap();
        let payloads: i64 = q(sql!("SELECT count(*) FROM inbox_payloads")).scalar(&mut tx).await.unwrap();
        assert_eq!((events, payloads), (left, left), "erase: {erase}");
    }
    assert_eq!(world.inbox.counts(TEST).await.unwrap().connections.len(), 1);
}

async fn a_silence_is_told_once_and_its_end_once(stage: Stage) {
    use inbox::Liveness;
    let world = world(stage).await;
    let now = world.stage.now();
    let silent = Liveness::Silent { last_at: None, missed_at: now };
    let alive = Liveness::Alive { last_at: now };
    let mut new = Vec::new();
    for found in [alive, silent, silent, Liveness::Unproven, silent, alive, alive, silent] {
        let mut tx = world.stage.store.begin(TEST).await.unwrap();
        new.push(world.inbox.tell_liveness(&mut tx, &world.connection.id, &found).await.unwrap());
        tx.commit().await.unwrap();
    }
    assert_eq!(new, [true, true, false, true, true, true, false, true]);
    let id = world.connection.id.to_string();
    assert_eq!(notices(&world, inbox::SILENT).await, [id.clone(), id.clone()]);
    assert_eq!(notices(&world, inbox::HEARD_AGAIN).await, [id]);
}

async fn what_has_no_effect_yet_is_told_by_kind(stage: Stage) {
    let world = world(stage).await;
    deliver(&world, ids(0..2)).await;
    world.inbox.settle().await.unwrap();
    let mut tx = world.stage.store.read(TEST).await.unwrap();
    let found = world.inbox.unfinished(&mut tx, &world.connection.id).await.unwrap();
    drop(tx);
    assert_eq!(found.len(), 1);
    assert_eq!((found[0].object_type.as_deref(), found[0].waiting, found[0].dead), (Some("charge"), 2, 0));
    assert_eq!(found[0].waiting_since, Some(testkit::START - Duration::from_secs(2)));
    world.process().await;
    let mut tx = world.stage.store.read(TEST).await.unwrap();
    assert_eq!(world.inbox.unfinished(&mut tx, &world.connection.id).await.unwrap(), []);
}
