//! The inbox as programs see it.

use crate::world::{LIVE, TEST, World, event, event_of, world};
use axum::{Extension, Router};
use identity::{Caller, CallerKind, OrganizationId};
use inbox::SinkError;
use kit::{Environment, TenantId};
use serde_json::{Value, json};
use testkit::{Call, Stage};

testkit::on_both_engines!(
    events_are_listed_and_shown,
    an_event_is_replayed_on_demand,
    requests_that_cannot_be_understood_are_refused,
    nobody_sees_another_tenant_s_events,
);

/// The routes as a signed-in caller reaches them.
pub(crate) fn signed_in(world: &World, tenant: TenantId) -> Router {
    let environment = if tenant == LIVE { Environment::Live } else { Environment::Test };
    let organization = OrganizationId::from_text("org_1");
    world.router().layer(Extension(Caller { organization, environment, tenant, kind: CallerKind::Token }))
}

async fn events_are_listed_and_shown(stage: Stage) {
    let world = world(stage).await;
    let router = signed_in(&world, TEST);
    for (id, event_type) in [("evt_1", "charge.updated"), ("evt_2", "invoice.paid"), ("evt_3", "charge.refunded")] {
        world.deliver(&event_of(id, event_type, "")).await.expect(200);
    }
    world.process().await;
    let page: Value = Call::get("/v1/inbox?type=charge.*&limit=1&state=").send(&router).await.expect(200).json();
    assert_eq!((&page["data"][0]["id"], &page["has_more"]), (&json!("evt_3"), &json!(true)));
    let next = format!("/v1/inbox?type=charge.*&limit=1&cursor={}", page["next_cursor"].as_str().unwrap());
    let page: Value = Call::get(&next).send(&router).await.expect(200).json();
    assert_eq!((&page["data"][0]["id"], &page["has_more"]), (&json!("evt_1"), &json!(false)));
    assert!(page["data"][0].get("payload").is_none());

    let shown: Value = Call::get("/v1/inbox/evt_2").send(&router).await.expect(200).json();
    assert_eq!(shown["state"], "processed");
    assert_eq!((&shown["source"], &shown["retry_count"]), (&json!("webhook"), &json!(0)));
    assert_eq!(shown["object"], json!({"type": "invoice", "id": "invoice_of_evt_2"}));
    assert_eq!(shown["received_at"], "2026-01-15T12:00:00Z");
    assert_eq!(shown["payload"]["data"]["object"]["note"], "Zürich \"quoted\" \\ €");
    Call::get("/v1/inbox/evt_9").send(&router).await.expect_problem(404, "not_found");
}

async fn an_event_is_replayed_on_demand(stage: Stage) {
    let world = world(stage).await;
    let router = signed_in(&world, TEST);
    for id in ["evt_1", "evt_2"] {
        world.deliver(&event(id)).await.expect(200);
    }
    world.sink.fail_with(|_| Some(SinkError::Poison("never".to_owned())));
    world.process().await;
    world.sink.succeed();
    let answer: Value = Call::post("/v1/inbox/evt_1/replay").send(&router).await.expect(202).json();
    assert_eq!(answer, json!({"replayed": 1}));
    let answer: Value =
        Call::post("/v1/inbox/replay").json(&json!({"state": "dead"})).send(&router).await.expect(202).json();
    assert_eq!(answer, json!({"replayed": 1}));
    world.process().await;
    let all = json!({"from": "2026-01-15T12:00:00Z", "to": "2026-01-15T14:00:00+01:00", "ids": ["evt_2", "evt_1"]});
    let answer: Value = Call::post("/v1/inbox/replay").json(&all).send(&router).await.expect(202).json();
    assert_eq!(answer, json!({"replayed": 2}));
    world.process().await;
    assert_eq!(world.effects(TEST).await, 4);
    Call::post("/v1/inbox/evt_9/replay").send(&router).await.expect_problem(404, "not_found");
}

async fn requests_that_cannot_be_understood_are_refused(stage: Stage) {
    let world = world(stage).await;
    let router = signed_in(&world, TEST);
    for (path, code) in [
        ("/v1/inbox?state=gone", "bad_field"),
        ("/v1/inbox?cursor=nonsense", "bad_field"),
        ("/v1/inbox?limit=many", "bad_field"),
        ("/v1/inbox?colour=red", "bad_field"),
    ] {
        Call::get(path).send(&router).await.expect_problem(400, code);
    }
    for (body, code) in [
        (json!({}), "replay_without_filter"),
        (json!({"from": "yesterday"}), "bad_field"),
        (json!({"state": "gone"}), "bad_field"),
        (json!({"colour": "red"}), "bad_field"),
        (json!({"ids": vec!["evt"; 1_001]}), "bad_field"),
    ] {
        Call::post("/v1/inbox/replay").json(&body).send(&router).await.expect_problem(400, code);
    }
}

async fn nobody_sees_another_tenant_s_events(stage: Stage) {
    let world = world(stage).await;
    world.deliver(&event("evt_1")).await.expect(200);
    let other = signed_in(&world, LIVE);
    Call::get("/v1/inbox/evt_1").send(&other).await.expect_problem(404, "not_found");
    Call::post("/v1/inbox/evt_1/replay").send(&other).await.expect_problem(404, "not_found");
    let page: Value = Call::get("/v1/inbox").send(&other).await.expect(200).json();
    assert_eq!(page["data"], json!([]));
    Call::get("/v1/inbox").send(&world.router()).await.expect_problem(401, "unauthorized");
}
