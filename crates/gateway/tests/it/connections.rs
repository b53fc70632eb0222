//! Connections by API key, through HTTP against the simulator: each refusal has its own name.

use crate::{OTHER_TENANT, TENANT, World, quick, scripted::Scripted};
use gateway::{BreakerOptions, Gateway, GatewayOptions, Lane};
use kit::{Environment, ExposeSecret, Secret};
use serde_json::{Value, json};
use std::{
    sync::{Arc, Mutex},
    time::Duration,
};
use testkit::{Answer, Call, SimulatedStripe, Stage, on_both_engines};
use vault::ConnectionId;

on_both_engines!(
    an_account_is_connected_with_its_webhook_endpoint,
    each_bad_key_is_refused_by_its_own_name,
    a_restricted_key_needs_its_permissions,
    the_same_account_twice_is_a_conflict,
    a_key_is_tested_without_connecting,
    a_connection_is_tested_and_its_key_replaced,
    a_connection_is_renamed_and_listed,
    events_can_come_another_way_later,
    a_disconnected_account_leaves_nothing_at_stripe,
    an_endpoint_whose_answer_was_lost_is_made_anew,
    stripe_being_away_is_told_as_such,
    a_good_test_ends_the_pause,
);

/// Every permission that a sync needs.
pub(crate) const ALL_READ: [&str; 12] = [
    "rak_charge_read",
    "rak_dispute_read",
    "rak_balance_transaction_source_read",
    "rak_customer_read",
    "rak_product_read",
    "rak_plan_read",
    "rak_subscription_read",
    "rak_invoice_read",
    "rak_payout_read",
    "rak_event_read",
    "rak_refund_read",
    "rak_webhook_write",
];

pub(crate) struct Play {
    pub(crate) world: World,
    pub(crate) stripe: SimulatedStripe,
    pub(crate) router: axum::Router,
}

pub(crate) async fn play(stage: &Stage, public_url: Option<&str>) -> Play {
    let stripe = SimulatedStripe::start(stage).await;
    let options = GatewayOptions { public_url: public_url.map(str::to_owned), ..quick(&stripe.base_url()) };
    let world = World::new(stage, options);
    let router = world.router();
    Play { world, stripe, router }
}

impl Play {
    pub(crate) async fn connect(&self, body: Value) -> Answer {
        Call::post("/v1/connections").json(&body).send(&self.router).await
    }

    pub(crate) fn key(&self) -> String {
        self.stripe.secret_key().expose_secret().to_owned()
    }

    pub(crate) fn restricted(&self, permissions: &[&str]) -> Secret {
        self.stripe.simulator.restricted_key(&self.stripe.account.account_id, false, permissions).unwrap()
    }

    pub(crate) fn endpoints(&self) -> usize {
        let counts = self.stripe.simulator.counts(&self.stripe.account.account_id, false).unwrap();
        counts.get("webhook_endpoint").copied().unwrap_or(0)
    }

    fn gateway(&self) -> &Gateway {
        &self.world.gateway
    }
}

async fn an_account_is_connected_with_its_webhook_endpoint(stage: Stage) {
    let play = play(&stage, Some("http://127.0.0.1:9/")).await;
    let answer = play.connect(json!({"api_key": play.key(), "lookback_days": 90})).await.expect(201);
    let connection: Value = answer.json();
    let id = connection["id"].as_str().unwrap().to_owned();
    assert_eq!(answer.location(), Some(format!("/v1/connections/{id}").as_str()));
    assert_eq!(connection["account_id"], play.stripe.account.account_id);
    assert_eq!(connection["display_name"], "Bursar Demo");
    assert_eq!((&connection["state"], &connection["environment"]), (&json!("active"), &json!("test")));
    assert_eq!((&connection["key_kind"], &connection["lookback_days"]), (&json!("secret"), &json!(90)));
    assert_eq!(connection["webhook"]["address"], format!("http://127.0.0.1:9/webhooks/stripe/{id}"));
    assert!(connection["webhook"]["endpoint_id"].as_str().unwrap().starts_with("we_"), "{connection}");
    assert!(!answer.text().contains(&play.key()), "the key is not repeated");
    let linked = play.world.linked(&ConnectionId::from_text(&id)).await;
    assert!(linked.webhook_secrets[0].expose_secret().starts_with("whsec_"));
    assert_eq!(play.endpoints(), 1);
    play.world.hear("connection.created", 1).await;
    let outbox: Value = Call::get("/v1/outbox").send(&play.router).await.expect(200).json();
    assert_eq!(outbox["data"][0]["state"], "done");
    assert_eq!(outbox["data"][0]["answer"]["body"]["secret"], "[redacted]");
    let shown: Value = Call::get(&format!("/v1/connections/{id}")).send(&play.router).await.expect(200).json();
    assert_eq!(shown["calls"]["read_allowance_floor"], 10_000);
    assert_eq!(shown["status"]["breaker"]["state"], "closed");
    let theirs = play.world.router_for(OTHER_TENANT, Environment::Test);
    Call::get(&format!("/v1/connections/{id}")).send(&theirs).await.expect_problem(404, "not_found");
    Call::delete(&format!("/v1/connections/{id}")).send(&theirs).await.expect_problem(404, "not_found");
    Call::post(&format!("/v1/connections/{id}/test")).send(&theirs).await.expect_problem(404, "not_found");
}

async fn each_bad_key_is_refused_by_its_own_name(stage: Stage) {
    let play = play(&stage, None).await;
    let account = &play.stripe.account;
    let check = async |key: &str, code: &str| {
        let answer = play.connect(json!({"api_key": key})).await.expect_problem(422, code);
        let problem: Value = answer.json();
        assert!(!problem["what_to_do"].as_str().unwrap().is_empty(), "{code} says what to do");
        assert!(key.len() < 12 || !answer.text().contains(key), "{code} does not repeat the key");
    };
    check("", "key_empty").await;
    check("hello", "key_unknown").await;
    check("sk_test_ab cd", "key_whitespace").await;
    check("sk_test_****4242", "key_bad_characters").await;
    check("whsec_0123456789", "key_is_webhook_secret").await;
    check("acct_0123456789", "key_is_an_id").await;
    check(account.publishable_key_test.expose_secret(), "key_publishable").await;
    check(account.secret_key_live.expose_secret(), "key_of_other_environment").await;
    check("sk_test_0123456789abcdefghij", "stripe_key_refused").await;
    assert!(play.stripe.simulator.revoke_key(&play.stripe.secret_key()));
    check(&play.key(), "stripe_key_refused").await;
    let body = |more: Value| {
        let mut body = json!({"api_key": "sk_test_x"});
        body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        body
    };
    for bad in [
        json!({"lookback_days": 0}),
        json!({"lookback_days": -1}),
        json!({"lookback_days": 99_999_999}),
        json!({"display_name": "  "}),
        json!({"display_name": "x".repeat(101)}),
        json!({"webhook": "sometimes"}),
        json!({"webhook": {"secret": "sk_test_x"}}),
        json!({"unknown": 1}),
    ] {
        play.connect(body(bad)).await.expect_problem(400, "bad_field");
    }
    Call::post("/v1/connections")
        .header("content-type", "application/json")
        .body("{")
        .send(&play.router)
        .await
        .expect_problem(400, "bad_json");
    Call::post("/v1/connections").body("x").send(&play.router).await.expect_problem(400, "bad_content_type");
    let list: Value = Call::get("/v1/connections").send(&play.router).await.expect(200).json();
    assert_eq!(list["data"], json!([]), "nothing is kept of what was refused");
    let mut tx = stage.store.read_system().await.unwrap();
    assert_eq!(platform::job::counts(&mut tx).await.unwrap().ready, 0, "and nobody is told");
}

async fn a_restricted_key_needs_its_permissions(stage: Stage) {
    let play = play(&stage, None).await;
    let all_but_two: Vec<&str> =
        ALL_READ.iter().copied().filter(|name| !matches!(*name, "rak_payout_read" | "rak_event_read")).collect();
    let lacking = play.restricted(&all_but_two);
    let answer = play.connect(json!({"api_key": lacking.expose_secret()})).await;
    let problem: Value = answer.expect_problem(422, "key_permissions_missing").json();
    assert_eq!(problem["missing_permissions"], json!(["rak_payout_read", "rak_event_read"]));
    let enough = play.restricted(&ALL_READ);
    let connection: Value = play.connect(json!({"api_key": enough.expose_secret()})).await.expect(201).json();
    assert_eq!(connection["key_kind"], "restricted");
    assert_eq!(connection["account_id"], play.stripe.account.account_id);
}

async fn the_same_account_twice_is_a_conflict(stage: Stage) {
    let play = play(&stage, None).await;
    let first: Value = play.connect(json!({"api_key": play.key()})).await.expect(201).json();
    let second = play.connect(json!({"api_key": play.key()})).await.expect_problem(409, "account_already_connected");
    assert_eq!(second.json::<Value>()["connection"], first["id"]);
    // Another tenant, and the same account after it was disconnected, are free to connect.
    let theirs = play.world.router_for(OTHER_TENANT, Environment::Test);
    Call::post("/v1/connections").json(&json!({"api_key": play.key()})).send(&theirs).await.expect(201);
    let path = format!("/v1/connections/{}", first["id"].as_str().unwrap());
    Call::delete(&path).send(&play.router).await.expect(200);
    play.connect(json!({"api_key": play.key()})).await.expect(201);
}

async fn a_key_is_tested_without_connecting(stage: Stage) {
    let play = play(&stage, None).await;
    let test =
        async |key: &str| Call::post("/v1/connections/test").json(&json!({"api_key": key})).send(&play.router).await;
    let report: Value = test(&play.key()).await.expect(200).json();
    assert_eq!((&report["ok"], &report["permissions"]), (&json!(true), &json!([])));
    let lacking = play.restricted(&["rak_charge_read"]);
    let report: Value = test(lacking.expose_secret()).await.expect(200).json();
    assert_eq!(report["ok"], false);
    let granted = |object: &str| {
        let probes = report["permissions"].as_array().unwrap();
        probes.iter().find(|probe| probe["object"] == object).unwrap()["granted"].clone()
    };
    assert_eq!((granted("charges"), granted("refunds"), granted("payouts")), (json!(true), json!(true), json!(false)));
    test("pk_test_x").await.expect_problem(422, "key_publishable");
    let list: Value = Call::get("/v1/connections").send(&play.router).await.expect(200).json();
    assert_eq!(list["data"], json!([]));
}

async fn a_connection_is_tested_and_its_key_replaced(stage: Stage) {
    let play = play(&stage, None).await;
    let connection: Value = play.connect(json!({"api_key": play.key()})).await.expect(201).json();
    let path = format!("/v1/connections/{}", connection["id"].as_str().unwrap());
    let test = async || Call::post(&format!("{path}/test")).send(&play.router).await;
    let state = async || {
        let shown: Value = Call::get(&path).send(&play.router).await.expect(200).json();
        shown["state"].as_str().unwrap().to_owned()
    };
    assert_eq!(test().await.expect(200).json::<Value>()["ok"], true);
    play.stripe.simulator.revoke_key(&play.stripe.secret_key());
    test().await.expect_problem(422, "stripe_key_refused");
    assert_eq!(state().await, "key_refused");
    let replace =
        async |key: &str| Call::post(&format!("{path}/key")).json(&json!({"api_key": key})).send(&play.router).await;
    replace("pk_test_x").await.expect_problem(422, "key_publishable");
    let other = play.stripe.simulator.account_with_keys("Another");
    replace(other.secret_key_test.expose_secret()).await.expect_problem(422, "key_of_other_account");
    replace(play.stripe.account.secret_key_live.expose_secret()).await.expect_problem(422, "key_of_other_environment");
    assert_eq!(state().await, "key_refused", "a refused replacement changes nothing");
    let fresh = play.restricted(&ALL_READ);
    let shown: Value = replace(fresh.expose_secret()).await.expect(200).json();
    assert_eq!((&shown["state"], &shown["key_kind"]), (&json!("active"), &json!("restricted")));
    assert_eq!(test().await.expect(200).json::<Value>()["ok"], true);
    play.world.hear("connection.key_replaced", 1).await;
}

async fn a_connection_is_renamed_and_listed(stage: Stage) {
    let play = play(&stage, None).await;
    let first: Value = play.connect(json!({"api_key": play.key(), "display_name": "First"})).await.expect(201).json();
    stage.clock.advance(Duration::from_secs(1));
    let other = play.stripe.simulator.account_with_keys("Another");
    let key = other.secret_key_test.expose_secret();
    let webhook = json!({"secret": "whsec_by_hand_0123456789"});
    let second: Value = play.connect(json!({"api_key": key, "webhook": webhook})).await.expect(201).json();
    let linked = play.world.linked(&ConnectionId::from_text(second["id"].as_str().unwrap())).await;
    assert_eq!(linked.webhook_secrets[0].expose_secret(), "whsec_by_hand_0123456789");
    let path = format!("/v1/connections/{}", first["id"].as_str().unwrap());
    let change = async |body: Value| Call::patch(&path).json(&body).send(&play.router).await;
    let shown: Value = change(json!({"display_name": " Renamed ", "lookback_days": 30})).await.expect(200).json();
    assert_eq!((&shown["display_name"], &shown["lookback_days"]), (&json!("Renamed"), &json!(30)));
    let shown: Value = change(json!({"lookback_days": null})).await.expect(200).json();
    assert_eq!((&shown["display_name"], &shown["lookback_days"]), (&json!("Renamed"), &json!(null)));
    change(json!({"lookback_days": 0})).await.expect_problem(400, "bad_field");
    change(json!({"api_key": "x"})).await.expect_problem(400, "bad_field");
    let page: Value = Call::get("/v1/connections?limit=1").send(&play.router).await.expect(200).json();
    assert_eq!((&page["data"][0]["id"], &page["has_more"]), (&first["id"], &json!(true)));
    let next = format!("/v1/connections?limit=1&cursor={}", page["next_cursor"].as_str().unwrap());
    let page: Value = Call::get(&next).send(&play.router).await.expect(200).json();
    assert_eq!((&page["data"][0]["id"], &page["has_more"]), (&second["id"], &json!(false)));
}

async fn events_can_come_another_way_later(stage: Stage) {
    let play = play(&stage, Some("http://127.0.0.1:9")).await;
    let body = json!({"api_key": play.key(), "webhook": "none"});
    let connection: Value = play.connect(body).await.expect(201).json();
    assert_eq!((&connection["webhook"]["endpoint_id"], play.endpoints()), (&json!(null), 0));
    let id = ConnectionId::from_text(connection["id"].as_str().unwrap());
    let path = format!("/v1/connections/{id}");
    let change = async |webhook: Value| {
        let body = json!({"webhook": webhook});
        let shown: Value = Call::patch(&path).json(&body).send(&play.router).await.expect(200).json();
        (shown["webhook"]["endpoint_id"].is_string(), play.endpoints())
    };
    assert_eq!(change(json!("auto")).await, (true, 1));
    assert_eq!(change(json!("auto")).await, (true, 1), "there is one already");
    assert_eq!(change(json!({"secret": "whsec_by_hand_0123456789"})).await, (false, 0));
    let secrets = &play.world.linked(&id).await.webhook_secrets;
    assert!(secrets.iter().any(|secret| secret.expose_secret() == "whsec_by_hand_0123456789"));
    assert_eq!(secrets.len(), 2, "the one before serves on while the change is made at Stripe");
    assert_eq!(change(json!({"secret": "whsec_by_hand_9876543210"})).await, (false, 0));
    assert_eq!(play.world.linked(&id).await.webhook_secrets.len(), 3);
    play.world.stage.clock.advance(Duration::from_secs(24 * 3_600));
    play.world.stage.store.wakes().wake(vault::WAKE);
    let secrets = &play.world.linked(&id).await.webhook_secrets;
    let left: Vec<&str> = secrets.iter().map(|secret| secret.expose_secret()).collect();
    assert_eq!(left, ["whsec_by_hand_9876543210"], "a day later only the newest serves");
    assert_eq!(change(json!("none")).await, (false, 0));
    let bad = json!({"webhook": {"secret": "sk_test_x"}});
    Call::patch(&path).json(&bad).send(&play.router).await.expect_problem(400, "bad_field");
}

async fn a_disconnected_account_leaves_nothing_at_stripe(stage: Stage) {
    let mut play = play(&stage, Some("http://127.0.0.1:9")).await;
    let connection: Value = play.connect(json!({"api_key": play.key()})).await.expect(201).json();
    let path = format!("/v1/connections/{}", connection["id"].as_str().unwrap());
    Call::delete(&format!("{path}?data=maybe")).send(&play.router).await.expect_problem(400, "bad_field");
    let answer: Value = Call::delete(&format!("{path}?data=erase")).send(&play.router).await.expect(200).json();
    assert_eq!((answer, play.endpoints()), (json!({}), 0));
    play.world.hear("connection.disconnected", 1).await;
    Call::delete(&path).send(&play.router).await.expect_problem(409, "connection_disconnected");
    Call::post(&format!("{path}/test")).send(&play.router).await.expect_problem(409, "connection_disconnected");
    Call::delete("/v1/connections/con_unknown").send(&play.router).await.expect_problem(404, "not_found");
    // Stripe being away does not keep a connection alive; the endpoint that stays is named.
    let connection: Value = play.connect(json!({"api_key": play.key()})).await.expect(201).json();
    play.stripe.go_away().await;
    let path = format!("/v1/connections/{}", connection["id"].as_str().unwrap());
    let answer: Value = Call::delete(&path).send(&play.router).await.expect(200).json();
    assert_eq!(answer["webhook_endpoint_left"], connection["webhook"]["endpoint_id"]);
}

async fn an_endpoint_whose_answer_was_lost_is_made_anew(stage: Stage) {
    let play = play(&stage, Some("http://127.0.0.1:9")).await;
    let lost = simulator::Fault::call("POST /v1/webhook_endpoints", simulator::CallFault::failing_after_effect(500));
    play.stripe.simulator.faults().set(lost).unwrap();
    let connection: Value = play.connect(json!({"api_key": play.key()})).await.expect(201).json();
    assert_eq!(connection["webhook"]["endpoint_id"], json!(null), "connected all the same; a job goes on");
    assert_eq!(play.endpoints(), 1, "it was made, and its key answers with the failure for ever");
    // An endpoint tells its secret only once: the one that is there is replaced.
    stage.clock.advance(Duration::from_secs(61));
    let outbox: Value = Call::get("/v1/outbox").send(&play.router).await.expect(200).json();
    let intent = gateway::IntentId::from_text(outbox["data"][0]["id"].as_str().unwrap());
    play.gateway().carry_out(TENANT, &intent).await.unwrap();
    assert_eq!(play.endpoints(), 1);
    let id = ConnectionId::from_text(connection["id"].as_str().unwrap());
    let linked = play.world.linked(&id).await;
    assert_eq!(linked.webhook_secrets.len(), 1);
    assert!(linked.connection.webhook_endpoint_id.is_some());
}

async fn a_good_test_ends_the_pause(stage: Stage) {
    let mut stripe = SimulatedStripe::start(&stage).await;
    let options = GatewayOptions { breaker: BreakerOptions::default(), ..quick(&stripe.base_url()) };
    let world = World::new(&stage, options);
    let key = stripe.secret_key();
    let answer =
        Call::post("/v1/connections").json(&json!({"api_key": key.expose_secret()})).send(&world.router()).await;
    let id = ConnectionId::from_text(answer.expect(201).json::<Value>()["id"].as_str().unwrap());
    stripe.go_away().await;
    let linked = world.linked(&id).await;
    for _ in 0..2 {
        world.gateway.call(&linked, ::stripe::api::balance(), Lane::Interactive).await.unwrap_err();
    }
    stripe.come_back().await;
    let paused = world.gateway.call(&linked, ::stripe::api::balance(), Lane::Interactive).await.unwrap_err();
    assert_eq!(paused.code(), "stripe_paused");
    world.gateway.test_connection(TENANT, &id).await.unwrap();
    world.gateway.call(&linked, ::stripe::api::balance(), Lane::Interactive).await.unwrap();
}

async fn stripe_being_away_is_told_as_such(stage: Stage) {
    let mut play = play(&stage, None).await;
    play.stripe.go_away().await;
    let answer = play.connect(json!({"api_key": play.key()})).await.expect_problem(502, "stripe_unreachable");
    assert!(!answer.text().contains(&play.key()));
    play.stripe.come_back().await;
    play.connect(json!({"api_key": play.key()})).await.expect(201);
    // Something else that answers in Stripe's place is not taken for Stripe.
    let other = Scripted::default();
    let page = Arc::new(Mutex::new(other.serve().await));
    let world = World::new(&stage, quick(&page.lock().unwrap().url("")));
    let answer = Call::post("/v1/connections/test").json(&json!({"api_key": play.key()}));
    answer.send(&world.router()).await.expect_problem(502, "stripe_unreadable_answer");
}
