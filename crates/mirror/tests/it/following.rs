//! Keeping in step: events in any order, lost webhooks, an idle account, objects read again.

use crate::world::{TENANT, World, world};
use inbox::EventSink;
use mirror::SyncKind;
use simulator::Business;
use stripe::{Params, Request};
use testkit::{Call, Stage, wait_for};
use vault::ConnectionState;

testkit::on_both_engines!(
    a_lost_webhook_is_found_in_the_event_list,
    an_idle_account_costs_one_call,
    a_contested_object_is_read_again,
    what_waits_is_read_once_a_key_works_again,
    what_went_while_nobody_listened_is_found_gone,
    an_old_shape_is_fetched_again,
    a_projection_is_rebuilt_to_the_same_rows,
    a_disconnected_account_can_be_erased,
    objects_and_syncs_are_answered_as_json,
);

fn customer(name: &str) -> Request {
    Request::post("/v1/customers", Params::none().with("name", name))
}

/// A world whose first sync is through.
async fn synced(stage: Stage) -> (World, tokio_util::sync::DropGuard) {
    let world = world(stage).await;
    world.stripe.generate(&Business { customers: 30, charges: 150, ..Business::default() });
    let working = world.working();
    assert_eq!(world.sync(SyncKind::Full).await.state, "completed");
    world.process().await;
    world.pass(900);
    (world, working)
}

async fn a_lost_webhook_is_found_in_the_event_list(stage: Stage) {
    let (world, _working) = synced(stage).await;
    let made = world.at_stripe(customer("Late")).await;
    let id = made["id"].as_str().unwrap();
    world.pass(60);
    world.at_stripe(Request::post(format!("/v1/customers/{id}"), Params::none().with("name", "Later"))).await;
    assert_eq!(world.body("customer", id).await, None);
    let job = world.sync(SyncKind::Incremental).await;
    assert_eq!((job.state.as_str(), job.events_found), ("completed", 2));
    world.process().await;
    assert_eq!(world.body("customer", id).await.unwrap()["name"], "Later");

    world.pass(60);
    world.at_stripe(Request::delete(format!("/v1/customers/{id}"))).await;
    world.pass(900);
    world.sync(SyncKind::Incremental).await;
    world.process().await;
    assert!(world.mirrored("customer").await[id]);
    assert_eq!(world.body("customer", id).await.unwrap()["name"], "Later", "what is gone is kept as it was");
}

async fn an_idle_account_costs_one_call(stage: Stage) {
    let (world, _working) = synced(stage).await;
    world.sync(SyncKind::Incremental).await;
    world.pass(900);
    world.sync(SyncKind::Incremental).await;
    let before: u64 = world.calls().values().sum();
    for _ in 0..4 {
        world.pass(900);
        let job = world.sync(SyncKind::Incremental).await;
        assert_eq!((job.state.as_str(), job.events_found), ("completed", 0));
    }
    let calls: u64 = world.calls().values().sum::<u64>() - before;
    assert_eq!(calls, 4, "{:?}", world.calls());
}

async fn a_contested_object_is_read_again(stage: Stage) {
    let (world, _working) = synced(stage).await;
    let id = world.at_stripe(customer("First")).await["id"].as_str().unwrap().to_owned();
    // Within the same second, so that the events' times do not tell which came first.
    world.at_stripe(Request::post(format!("/v1/customers/{id}"), Params::none().with("name", "Second"))).await;
    world.sync(SyncKind::Incremental).await;
    world.process().await;
    world.pass(5);
    wait_for("the object to be read again", async || {
        world.pass(1);
        let row = world.mirror.object(TENANT, "customer", &id).await.unwrap()?;
        (!row.contested).then_some(())
    })
    .await;
    assert_eq!(world.body("customer", &id).await.unwrap()["name"], "Second");
    assert_eq!(world.mirror.summary(TENANT).await.unwrap().rereads_waiting, 0);
}

/// The job gives up while the key is refused; what it was to read must not be forgotten.
async fn what_waits_is_read_once_a_key_works_again(stage: Stage) {
    let (world, _working) = synced(stage).await;
    let id = world.at_stripe(customer("First")).await["id"].as_str().unwrap().to_owned();
    world.at_stripe(Request::post(format!("/v1/customers/{id}"), Params::none().with("name", "Second"))).await;
    world.sync(SyncKind::Incremental).await;
    let set = async |state: ConnectionState| {
        let mut tx = world.stage.store.begin(TENANT).await.unwrap();
        world.vault.set_state(&mut tx, &world.connection.id, state).await.unwrap();
        tx.commit().await.unwrap();
    };
    set(ConnectionState::KeyRefused { reason: "revoked".to_owned() }).await;
    world.process().await;
    world.pass(60);
    wait_for("the job to give up", async || {
        let mut tx = world.stage.store.read_system().await.unwrap();
        (platform::job::counts(&mut tx).await.unwrap().dead > 0).then_some(())
    })
    .await;
    assert_eq!(world.mirror.summary(TENANT).await.unwrap().rereads_waiting, 1);

    set(ConnectionState::Active).await;
    let mut tx = world.stage.store.begin_system().await.unwrap();
    let job = platform::NewJob::new("mirror.sync_all", None, &serde_json::json!({}), world.stage.now());
    platform::job::enqueue(&mut tx, &world.base, job).await.unwrap();
    tx.commit().await.unwrap();
    wait_for("the object to be read again", async || {
        world.pass(1);
        (world.mirror.summary(TENANT).await.unwrap().rereads_waiting == 0).then_some(())
    })
    .await;
    assert_eq!(world.body("customer", &id).await.unwrap()["name"], "Second");
}

/// Stripe keeps events for 30 days: of what was deleted before that only a listing tells, by not showing it.
async fn what_went_while_nobody_listened_is_found_gone(stage: Stage) {
    let (world, _working) = synced(stage).await;
    let stays = world.at_stripe(customer("Stays")).await["id"].as_str().unwrap().to_owned();
    let goes = world.at_stripe(customer("Goes")).await["id"].as_str().unwrap().to_owned();
    world.sync(SyncKind::Incremental).await;
    world.process().await;
    world.at_stripe(Request::delete(format!("/v1/customers/{goes}"))).await;
    world.pass(40 * 86_400);
    world.stripe.simulator.advance(std::time::Duration::ZERO).unwrap();
    world.sync(SyncKind::Incremental).await;
    wait_for("the deleted customer to be found gone", async || {
        world.pass(1);
        world.mirrored("customer").await[&goes].then_some(())
    })
    .await;
    assert!(!world.mirrored("customer").await[&stays]);
    assert_eq!(world.mirror.summary(TENANT).await.unwrap().rereads_waiting, 0);
}

async fn an_old_shape_is_fetched_again(stage: Stage) {
    let (world, _working) = synced(stage).await;
    let id = world.at_stripe(customer("Whole")).await["id"].as_str().unwrap().to_owned();
    let created = world.stage.now().seconds();
    let body = serde_json::json!({
        "id": "evt_old", "object": "event", "type": "customer.created", "api_version": "2020-08-27", "created": created,
        "livemode": false, "data": { "object": { "id": id, "object": "customer", "account_balance": 0 } },
    });
    let event = inbox::StoredEvent {
        event_id: "evt_old".to_owned(),
        connection_id: world.connection.id.clone(),
        account_id: world.connection.account_id.clone(),
        event_type: "customer.created".to_owned(),
        api_version: Some("2020-08-27".to_owned()),
        created: world.stage.now(),
        received_at: world.stage.now(),
        object_type: Some("customer".to_owned()),
        object_id: Some(id.clone()),
        body: body.to_string(),
        thin: false,
    };
    let mut tx = world.stage.store.begin(TENANT).await.unwrap();
    EventSink::absorb(&world.mirror, &mut tx, &[event]).await.unwrap();
    tx.commit().await.unwrap();
    let found = wait_for("the object in our shape", async || world.body("customer", &id).await).await;
    assert_eq!(found["name"], "Whole");
}

async fn a_projection_is_rebuilt_to_the_same_rows(stage: Stage) {
    let (world, _working) = synced(stage).await;
    let before = world.copybook.objects.lock().unwrap().clone();
    let scope = world.mirror.scope_of(&world.connection);
    let rebuilt = world.mirror.rebuild(&scope, "copybook").await.unwrap();
    assert_eq!(rebuilt as usize, before.len());
    // While it was under way changes went on to be told, each once: the copybook would have failed otherwise.
    world.at_stripe(customer("After")).await;
    world.sync(SyncKind::Incremental).await;
    world.process().await;
    assert_eq!(world.copybook.objects.lock().unwrap().len(), before.len() + 1);
    world.mirror.rebuild(&scope, "copybook").await.unwrap();
    let before = world.copybook.objects.lock().unwrap().clone();
    let objects = world.mirror.clone();
    let (_, rebuilt) = tokio::join!(
        async {
            for number in 0..20 {
                world.at_stripe(customer(&format!("Meanwhile {number}"))).await;
                world.pass(2);
                world.sync(SyncKind::Incremental).await;
                world.process().await;
            }
        },
        async {
            for _ in 0..5 {
                objects.rebuild(&scope, "copybook").await.unwrap();
            }
            objects.rebuild(&scope, "copybook").await
        }
    );
    assert!(rebuilt.unwrap() as usize >= before.len());
    let told = world.copybook.objects.lock().unwrap().clone();
    assert_eq!(told.len(), before.len() + 20);
    let before = told;
    world.mirror.rebuild(&scope, "copybook").await.unwrap();
    assert_eq!(*world.copybook.objects.lock().unwrap(), before);
    assert_eq!(world.mirror.rebuild(&scope, "other").await.unwrap_err().code(), "not_found");
}

async fn a_disconnected_account_can_be_erased(stage: Stage) {
    let (world, _working) = synced(stage).await;
    world.gateway.disconnect(TENANT, &world.connection.id, true).await.unwrap();
    wait_for("the data to be gone", async || {
        let summary = world.mirror.summary(TENANT).await.unwrap();
        (summary.kinds.is_empty() && world.copybook.objects.lock().unwrap().is_empty()).then_some(())
    })
    .await;
    assert!(world.mirrored("charge").await.is_empty());
    let mut tx = world.stage.store.read(TENANT).await.unwrap();
    assert!(world.vault.connection(&mut tx, &world.connection.id).await.unwrap().is_some());
}

async fn objects_and_syncs_are_answered_as_json(stage: Stage) {
    let (world, _working) = synced(stage).await;
    let router = world.router();
    let id = &world.connection.id;
    let status: serde_json::Value =
        Call::get(&format!("/v1/connections/{id}/sync-status")).send(&router).await.expect(200).json();
    assert_eq!(
        (&status["current"], &status["last_completed"]["state"]),
        (&serde_json::Value::Null, &"completed".into())
    );
    let answer = Call::post(&format!("/v1/connections/{id}/sync"))
        .json(&serde_json::json!({"kind": "full"}))
        .send(&router)
        .await;
    answer.expect(202);
    world.synced().await;
    let jobs: serde_json::Value =
        Call::get(&format!("/v1/connections/{id}/sync-jobs?limit=1")).send(&router).await.expect(200).json();
    assert_eq!((&jobs["data"][0]["kind"], &jobs["has_more"]), (&"full".into(), &true.into()));
    let next = format!("/v1/connections/{id}/sync-jobs?limit=1&cursor={}", jobs["next_cursor"].as_str().unwrap());
    let older: serde_json::Value = Call::get(&next).send(&router).await.expect(200).json();
    assert_ne!(older["data"][0]["id"], jobs["data"][0]["id"]);

    let first: serde_json::Value = Call::get("/v1/objects/charge?limit=100").send(&router).await.expect(200).json();
    let cursor = first["next_cursor"].as_str().unwrap();
    let rest: serde_json::Value =
        Call::get(&format!("/v1/objects/charge?limit=200&cursor={cursor}")).send(&router).await.expect(200).json();
    let count = first["data"].as_array().unwrap().len() + rest["data"].as_array().unwrap().len();
    assert_eq!(count, world.mirrored("charge").await.len());
    let charge = first["data"][0]["object"]["id"].as_str().unwrap();
    let one: serde_json::Value =
        Call::get(&format!("/v1/objects/charge/{charge}")).send(&router).await.expect(200).json();
    assert_eq!(one["object"]["object"], "charge");

    Call::get("/v1/objects/charge/ch_none").send(&router).await.expect_problem(404, "not_found");
    Call::get("/v1/objects/charge?cursor=x").send(&router).await.expect_problem(400, "bad_field");
    Call::post("/v1/connections/con_none/sync").send(&router).await.expect_problem(404, "not_found");
}
