//! What is wrong is refused by its own name, with what to do, and nothing secret is repeated or logged.

use crate::world::{TOKEN, World};
use kit::{ExposeSecret, Secret, Time};
use serde_json::{Value, json};
use std::time::Duration;
use testkit::{Answer, Logs, Stage, on_both_engines};

on_both_engines!(
    each_unusable_key_is_refused_by_its_own_name,
    stripe_that_cannot_be_reached_is_told_as_such,
    each_bad_delivery_is_refused_by_its_own_name,
    who_is_unknown_is_told_so,
);

const WEBHOOK_SECRET: &str = "whsec_0123456789abcdefghijklmnopqrstuv";

/// Fails the test unless the answer is a whole problem: a status, a stable code, and what to do.
#[track_caller]
fn problem(answer: Answer, status: u16, code: &str) -> Value {
    let problem: Value = answer.expect_problem(status, code).json();
    for member in ["title", "detail", "what_to_do", "type"] {
        assert!(problem[member].as_str().is_some_and(|text| !text.is_empty()), "{code} has no {member}: {problem}");
    }
    problem
}

async fn each_unusable_key_is_refused_by_its_own_name(stage: Stage) {
    let logs = Logs::catch();
    let mut world = World::start(stage).await;
    let account = world.stripe.account.clone();
    let restricted = world.stripe.simulator.restricted_key(&account.account_id, false, &["rak_charge_read"]).unwrap();
    let revoked = world.stripe.simulator.account_with_keys("Revoked").secret_key_test;
    assert!(world.stripe.simulator.revoke_key(&revoked));
    let unknown = Secret::from("sk_test_nobodyknowsthiskey0123");
    let malformed = Secret::from("sk_test_with spaces in it");
    let cases = [
        (&account.publishable_key_test, "key_publishable"),
        (&malformed, "key_whitespace"),
        (&revoked, "stripe_key_refused"),
        (&unknown, "stripe_key_refused"),
        (&account.secret_key_live, "key_of_other_environment"),
        (&restricted, "key_permissions_missing"),
    ];
    for (key, code) in cases {
        for path in ["/v1/connections", "/v1/connections/test"] {
            let answer = world.post(path, &json!({ "api_key": key.expose_secret() })).await;
            if code == "key_permissions_missing" && path.ends_with("/test") {
                // A test tells what is missing and is itself done.
                assert_eq!(answer.expect(200).json::<Value>()["ok"], false);
                continue;
            }
            assert!(!answer.text().contains(key.expose_secret()), "{code}: the key is not repeated");
            let problem = problem(answer, 422, code);
            if code == "key_permissions_missing" {
                assert!(problem["what_to_do"].as_str().unwrap().contains("rak_payout_read"), "{problem}");
                let missing = problem["missing_permissions"].as_array().unwrap();
                let once = missing.iter().filter(|it| *it == "rak_invoice_read").count();
                assert_eq!(
                    once, 1,
                    "each is named once, though invoices and their payments need the same: {missing:?}"
                );
            }
        }
        logs.assert_absent(key.expose_secret());
    }
    // A test key in the live environment.
    let key = account.secret_key_test.expose_secret();
    let request = world.request("POST", "/v1/connections").bearer_auth(TOKEN).header("bursar-environment", "live");
    let request = request.header("content-type", "application/json").body(json!({ "api_key": key }).to_string());
    problem(world.send(request).await, 422, "key_of_other_environment");
    let list: Value = world.get("/v1/connections").await.expect(200).json();
    assert_eq!(list["data"], json!([]), "nothing is kept of what was refused");

    // What is accepted is not repeated either, and a key that is revoked later is told by its name.
    let connection = world.connect().await;
    world.synced(&connection).await;
    assert!(world.stripe.simulator.revoke_key(&account.secret_key_test));
    let answer = world.post(&format!("/v1/connections/{connection}/test"), &json!({})).await;
    problem(answer, 422, "stripe_key_refused");
    let shown: Value = world.get(&format!("/v1/connections/{connection}")).await.expect(200).json();
    assert_eq!(shown["state"], "key_refused");
    logs.assert_absent(key);
    world.stop_node().await;
}

async fn stripe_that_cannot_be_reached_is_told_as_such(stage: Stage) {
    let mut world = World::start(stage).await;
    world.stripe.go_away().await;
    let key = world.stripe.secret_key();
    let answer = world.post("/v1/connections", &json!({ "api_key": key.expose_secret() })).await;
    problem(answer, 502, "stripe_unreachable");
    // Readiness is about ourselves: a Stripe that is away does not take a node out of service.
    world.send(world.request("GET", "/readyz")).await.expect(200);
    world.stripe.come_back().await;
    let connection = world.connect().await;
    world.synced(&connection).await;
    world.stop_node().await;
}

/// Delivers these bytes with this signature header.
async fn deliver(world: &World, path: &str, signature: Option<String>, body: impl Into<reqwest::Body>) -> Answer {
    let mut request = world.request("POST", path).body(body);
    if let Some(signature) = signature {
        request = request.header("stripe-signature", signature);
    }
    world.send(request).await
}

fn event(livemode: bool) -> String {
    json!({
        "id": "evt_1", "object": "event", "type": "customer.created", "created": testkit::START.seconds(),
        "livemode": livemode, "api_version": "2026-10-28.endive", "pending_webhooks": 1,
        "data": { "object": { "id": "cus_1", "object": "customer", "created": testkit::START.seconds(),
            "livemode": livemode, "email": "someone.private@customer.example" } },
    })
    .to_string()
}

async fn each_bad_delivery_is_refused_by_its_own_name(stage: Stage) {
    let logs = Logs::catch();
    let mut world = World::start(stage).await;
    let key = world.stripe.secret_key();
    let body = json!({ "api_key": key.expose_secret(), "webhook": { "secret": WEBHOOK_SECRET } });
    let made: Value = world.post("/v1/connections", &body).await.expect(201).json();
    let connection = made["id"].as_str().unwrap().to_owned();
    world.synced(&connection).await;
    let path = format!("/webhooks/stripe/{connection}");
    let secrets = [Secret::from(WEBHOOK_SECRET)];
    let sign = |body: &[u8], at: Time| Some(stripe::signature::sign(body, &secrets, at));
    let (good, now) = (event(false), world.now());
    let hour = Duration::from_secs(3_600);

    let other = [Secret::from("whsec_of_somebody_else")];
    let forged = Some(stripe::signature::sign(good.as_bytes(), &other, now));
    problem(deliver(&world, &path, forged, good.clone()).await, 401, "signature_mismatch");
    problem(deliver(&world, &path, None, good.clone()).await, 401, "signature_missing");
    problem(deliver(&world, &path, Some("t=now".to_owned()), good.clone()).await, 401, "signature_malformed");
    let old = sign(good.as_bytes(), Time::from_seconds(now.seconds() - 3_600));
    problem(deliver(&world, &path, old, good.clone()).await, 401, "signature_too_old");
    problem(deliver(&world, &path, sign(good.as_bytes(), now + hour), good.clone()).await, 401, "signature_in_future");
    let altered = good.replace("cus_1", "cus_2");
    problem(deliver(&world, &path, sign(good.as_bytes(), now), altered).await, 401, "signature_mismatch");
    let large = vec![b' '; (1 << 20) + 1];
    problem(deliver(&world, &path, sign(&large, now), large).await, 413, "body_too_large");
    problem(deliver(&world, &path, sign(b"not json", now), "not json").await, 400, "body_not_json");
    problem(deliver(&world, &path, sign(b"{}", now), "{}").await, 400, "body_not_an_event");
    let not_utf8 = [good.as_bytes(), b"\xff"].concat();
    problem(deliver(&world, &path, sign(&not_utf8, now), not_utf8).await, 400, "body_not_utf8");
    let live = event(true);
    problem(deliver(&world, &path, sign(live.as_bytes(), now), live).await, 400, "environment_mismatch");
    let unknown = "/webhooks/stripe/con_00000000000000000000000000";
    problem(deliver(&world, unknown, sign(good.as_bytes(), now), good.clone()).await, 404, "connection_unknown");
    for path in ["/webhooks/stripe", "/webhooks/stripe-connect", "/api/webhooks/stripe"] {
        problem(deliver(&world, path, sign(good.as_bytes(), now), good.clone()).await, 404, "webhook_secret_missing");
    }
    let inbox: Value = world.get("/v1/inbox").await.expect(200).json();
    assert_eq!(inbox["data"], json!([]), "nothing of what was refused is kept");

    // The door is still open for what is right.
    deliver(&world, &path, sign(good.as_bytes(), now), good).await.expect(200);
    world.settled().await;
    world.get("/v1/objects/customer/cus_1").await.expect(200);
    logs.assert_absent(WEBHOOK_SECRET);
    logs.assert_absent("someone.private@customer.example");
    world.stop_node().await;
}

async fn who_is_unknown_is_told_so(stage: Stage) {
    let logs = Logs::catch();
    let mut world = World::start(stage).await;
    let wrong = "bsr_a_token_that_is_nobodys_0123456789";
    problem(world.send(world.request("GET", "/v1/connections")).await, 401, "unauthorized");
    problem(world.send(world.request("POST", "/v1/connections")).await, 401, "unauthorized");
    problem(world.send(world.request("GET", "/v1/connections").bearer_auth(wrong)).await, 401, "token_refused");
    problem(world.get("/v1/nothing/here").await, 404, "unknown_route");
    problem(world.send(world.request("GET", "/nothing/here")).await, 404, "unknown_route");
    let put = world.send(world.request("PUT", "/v1/connections").bearer_auth(TOKEN)).await;
    assert_eq!(put.header("allow"), Some("POST,GET,HEAD"));
    problem(put, 405, "method_not_allowed");
    problem(world.get("/v1/connections/con_nobody").await, 404, "not_found");
    problem(world.get("/v1/connections?cursor=nonsense").await, 400, "bad_field");
    problem(world.get("/v1/inbox?state=lost").await, 400, "bad_field");
    problem(world.get("/v1/inbox/evt_nobody").await, 404, "not_found");
    let request =
        world.request("POST", "/v1/connections").bearer_auth(TOKEN).header("content-type", "application/json");
    problem(world.send(request.body("{")).await, 400, "bad_json");
    problem(world.post("/v1/connections/con_nobody/sync", &json!({ "kind": "some" })).await, 422, "bad_request");
    problem(world.get("/v1/objects/charge?limit=many").await, 400, "bad_request");
    logs.assert_absent(TOKEN);
    logs.assert_absent(wrong);
    world.stop_node().await;
}
