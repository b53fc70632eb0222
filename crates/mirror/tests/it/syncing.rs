//! Full syncs: everything is read, once, and a crash or a refusal costs no more than it must.

use crate::world::{TENANT, world, world_with};
use kit::Clock;
use mirror::SyncKind;
use simulator::{Business, CallFault, Fault, LimitReason};
use stripe::ObjectKind;
use testkit::{SimulatedStripe, Stage, wait_for};

testkit::on_both_engines!(
    a_full_sync_reads_every_object_in_few_calls,
    a_sync_goes_on_at_the_page_where_it_stopped,
    a_forbidden_kind_is_told_and_not_counted_as_complete,
    a_throttled_kind_is_retried_alone,
    a_lookback_bounds_what_is_read,
    a_refused_key_ends_the_sync,
);

fn business() -> Business {
    Business { customers: 300, charges: 3_000, ..Business::default() }
}

async fn a_full_sync_reads_every_object_in_few_calls(stage: Stage) {
    let world = world(stage).await;
    let made = world.stripe.generate(&business()).objects;
    let _working = world.working();
    let job = world.sync(SyncKind::Full).await;
    assert_eq!((job.state.as_str(), job.error), ("completed", None));

    let mut fewest = 0;
    for kind in ObjectKind::ALL {
        let name = kind.object_name();
        let there = made.get(name).copied().unwrap_or(0);
        assert_eq!(world.mirrored(name).await.len(), there, "{name}");
        fewest += there.div_ceil(100).max(1) as u64;
    }
    let calls: u64 =
        ObjectKind::ALL.iter().map(|kind| world.calls().get(&kind.list_pattern()).copied().unwrap_or(0)).sum();
    assert!(calls * 2 <= fewest * 3, "{calls} calls, where {fewest} would do: {:?}", world.calls());
    let status = world.status().await;
    assert!(
        ObjectKind::ALL.iter().all(|kind| {
            status.coverage.iter().any(|it| it.object_type == kind.object_name() && it.state == "complete")
        }),
        "{:?}",
        status.coverage
    );
    assert_eq!(world.copybook.objects.lock().unwrap().keys().filter(|key| key.0 == "charge").count(), made["charge"]);

    // Once more changes nothing and tells nobody.
    let told = *world.copybook.told.lock().unwrap();
    world.pass(60);
    assert_eq!(world.sync(SyncKind::Full).await.state, "completed");
    assert_eq!(*world.copybook.told.lock().unwrap(), told);
}

async fn a_sync_goes_on_at_the_page_where_it_stopped(stage: Stage) {
    let mut world = world(stage).await;
    let made = world.stripe.generate(&business()).objects;
    let working = world.working();
    world.ask(SyncKind::Full).await;
    wait_for("some pages", async || world.status().await.parts.iter().any(|part| part.pages >= 3).then_some(())).await;
    // The program is killed, and Stripe cannot be reached for a while.
    drop(working);
    world.stripe.go_away().await;
    wait_for("the job to be given back", async || {
        // Calls wait for the breaker, whose time does not pass by itself here.
        world.pass(5);
        let mut tx = world.stage.store.read(TENANT).await.unwrap();
        let jobs = platform::job::counts(&mut tx).await.unwrap();
        (jobs.running == 0).then_some(())
    })
    .await;
    let before: i64 = world.status().await.parts.iter().map(|part| part.pages).sum();
    world.stripe.come_back().await;
    world.pass(120);
    let _working = world.working();
    let job = world.synced().await;
    assert_eq!((job.state.as_str(), job.error), ("completed", None));
    for kind in ObjectKind::ALL {
        let name = kind.object_name();
        assert_eq!(world.mirrored(name).await.len(), made.get(name).copied().unwrap_or(0), "{name}");
    }
    assert!(before > 0);
}

async fn a_forbidden_kind_is_told_and_not_counted_as_complete(stage: Stage) {
    let stripe = SimulatedStripe::start(&stage).await;
    let permissions: Vec<&str> = ObjectKind::ALL
        .iter()
        .map(|kind| kind.permission())
        .filter(|permission| *permission != "rak_dispute_read")
        .chain([stripe::kind::EVENTS_PERMISSION])
        .collect();
    let key = stripe.simulator.restricted_key(&stripe.account.account_id, false, &permissions).unwrap();
    let world = world_with(stage, stripe, key, None).await;
    world.stripe.generate(&Business { customers: 40, charges: 300, ..Business::default() });
    let _working = world.working();
    assert_eq!(world.sync(SyncKind::Full).await.state, "completed");
    let status = world.status().await;
    let of = |kind: &str| status.coverage.iter().find(|it| it.object_type == kind).unwrap();
    assert_eq!((of("dispute").state.as_str(), of("charge").state.as_str()), ("forbidden", "complete"));
    assert!(of("dispute").reason.as_deref().unwrap().contains("rak_dispute_read"), "{:?}", of("dispute").reason);
    assert_eq!(of("dispute").covered_until, None);
}

async fn a_throttled_kind_is_retried_alone(stage: Stage) {
    let world = world(stage).await;
    world.stripe.generate(&Business { customers: 40, charges: 300, ..Business::default() });
    let throttled = CallFault::RateLimit { reason: LimitReason::EndpointRate };
    // More than the tries of one call, and of all calls of the kind in this sync.
    world.stripe.simulator.faults().set(Fault::call("GET /v1/refunds", throttled).times(200)).unwrap();
    let _working = world.working();
    assert_eq!(world.sync(SyncKind::Full).await.state, "completed");
    let state = async || {
        let status = world.status().await;
        status.coverage.into_iter().find(|it| it.object_type == "refund").unwrap().state
    };
    assert_eq!(state().await, "throttled");
    world.stripe.simulator.faults().clear_all();
    let lists = |calls: &std::collections::BTreeMap<String, u64>| calls.get("GET /v1/charges").copied().unwrap_or(0);
    let before = lists(&world.calls());
    assert_eq!(world.sync(SyncKind::Incremental).await.state, "completed");
    assert_eq!(state().await, "complete");
    assert!(lists(&world.calls()) <= before + 1, "what was complete is not listed again");
}

async fn a_lookback_bounds_what_is_read(stage: Stage) {
    let stripe = SimulatedStripe::start(&stage).await;
    let key = stripe.secret_key();
    let world = world_with(stage, stripe, key, Some(30)).await;
    let made = world.stripe.generate(&business()).objects;
    let _working = world.working();
    assert_eq!(world.sync(SyncKind::Full).await.state, "completed");
    assert_eq!(world.mirrored("customer").await.len(), made["customer"]);
    let charges = world.mirrored("charge").await;
    assert!(!charges.is_empty() && charges.len() < made["charge"]);
    let oldest = world.stage.clock.now().seconds() - 30 * 86_400;
    for id in charges.keys() {
        assert!(world.body("charge", id).await.unwrap()["created"].as_i64().unwrap() >= oldest, "{id}");
    }
}

async fn a_refused_key_ends_the_sync(stage: Stage) {
    let world = world(stage).await;
    assert!(world.stripe.simulator.revoke_key(&world.stripe.secret_key()));
    let _working = world.working();
    let job = world.sync(SyncKind::Full).await;
    assert_eq!(job.state, "failed");
    assert!(job.error_code.is_some(), "{job:?}");
}
