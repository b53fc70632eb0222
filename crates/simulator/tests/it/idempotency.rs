//! The same key, the same answer.

use crate::stage::{Reply, Stage, options};
use kit::{HandClock, Time};
use serde_json::json;
use simulator::Options;
use std::time::Duration;

async fn keyed(stage: &Stage, key: &str, path: &str, form: &str) -> Reply {
    let request = stage.request("POST", path).bearer_auth(&stage.key).header("idempotency-key", key);
    let request = request.header("content-type", "application/x-www-form-urlencoded").body(form.to_owned());
    stage.send("POST", path, request).await
}

async fn customers(stage: &Stage) -> usize {
    stage.get("/v1/customers?limit=100").await.ok()["data"].as_array().unwrap().len()
}

#[tokio::test]
async fn a_repeated_call_is_replayed_and_a_different_one_refused() {
    let stage = Stage::new().await;
    let first = keyed(&stage, "key-1", "/v1/customers", "name=Ada").await;
    let again = keyed(&stage, "key-1", "/v1/customers", "name=Ada").await;
    assert_eq!(first.body, again.body);
    assert_eq!(again.header("idempotent-replayed"), "true");
    assert_eq!(again.header("original-request"), first.header("request-id"));
    assert_eq!(again.header("idempotency-key"), "key-1");
    assert_eq!(customers(&stage).await, 1);
    let other = keyed(&stage, "key-1", "/v1/customers", "name=Bob").await;
    assert_eq!((other.status, &other.body["error"]["type"]), (400, &json!("idempotency_error")));
    let event = stage.get("/v1/events?type=customer.created").await.ok()["data"][0].clone();
    assert_eq!(event["request"], json!({ "id": first.header("request-id"), "idempotency_key": "key-1" }));
}

#[tokio::test]
async fn declines_are_kept_and_failed_validation_is_not() {
    let stage = Stage::new().await;
    let wrong = keyed(&stage, "key-1", "/v1/customers", "bogus=1").await;
    assert_eq!(wrong.status, 400);
    assert_eq!(keyed(&stage, "key-1", "/v1/customers", "name=Ada").await.status, 200, "the key was never used up");
    let form = "amount=1000&currency=usd&payment_method=pm_card_chargeDeclined&confirm=true";
    let declined = keyed(&stage, "key-2", "/v1/payment_intents", form).await;
    let again = keyed(&stage, "key-2", "/v1/payment_intents", form).await;
    assert_eq!((declined.status, again.status), (402, 402));
    assert_eq!(declined.body["error"]["charge"], again.body["error"]["charge"]);
}

#[tokio::test]
async fn two_at_once_meet_and_a_day_later_the_key_is_free() {
    let clock = HandClock::at(Time::from_seconds(crate::stage::NOW));
    let stage = Stage::with(Options { clock: clock.shared(), ..options() }).await;
    stage
        .control("POST", "/_sim/faults", &json!({ "call": "POST /v1/customers", "fault": "delay", "delay_ms": 60_000 }))
        .await;
    let slow =
        stage.request("POST", "/v1/customers").bearer_auth(&stage.key).header("idempotency-key", "k").body("name=Ada");
    let slow = tokio::spawn(slow.header("content-type", "application/x-www-form-urlencoded").send());
    crate::stage::until("the slow call is under way", async || {
        (stage.simulator.stats().faults_waiting == 0).then_some(())
    })
    .await;
    let meanwhile = keyed(&stage, "k", "/v1/customers", "name=Ada").await;
    assert_eq!(meanwhile.refusal(), "409 idempotency_key_in_use -");
    // Cutting the connection frees the key: nothing had been executed.
    slow.abort();
    let free = crate::stage::until("the key is free", async || {
        let reply = keyed(&stage, "k", "/v1/customers", "name=Ada").await;
        (reply.status == 200).then_some(reply)
    });
    free.await;
    assert_eq!(customers(&stage).await, 1);
    clock.advance(Duration::from_secs(24 * 3_600 + 1));
    assert_eq!(keyed(&stage, "k", "/v1/customers", "name=Ada").await.status, 200);
    assert_eq!(customers(&stage).await, 2, "after a day the key runs again");
}

#[tokio::test]
async fn keys_are_forgotten_on_demand_and_by_moved_time() {
    let stage = Stage::new().await;
    for forget in ["a person forgets them", "simulated time moves on"] {
        let before = customers(&stage).await;
        for _ in 0..2 {
            assert_eq!(keyed(&stage, "k", "/v1/customers", "name=Ada").await.status, 200);
        }
        assert_eq!(customers(&stage).await, before + 1);
        match forget {
            "a person forgets them" => {
                assert_eq!(stage.control("DELETE", "/_sim/idempotency-keys", &json!({})).await["forgotten"], 1);
            }
            _ => stage.advance_days(1).await,
        }
        assert_eq!(keyed(&stage, "k", "/v1/customers", "name=Ada").await.status, 200);
        assert_eq!(customers(&stage).await, before + 2, "the same key ran again: {forget}");
        stage.control("DELETE", "/_sim/idempotency-keys", &json!({})).await;
    }
}
