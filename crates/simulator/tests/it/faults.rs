//! Limits and faults, and the control routes.

use crate::stage::{Stage, options};
use serde_json::json;
use simulator::{Limits, Options};

#[tokio::test]
async fn calls_above_the_limit_are_refused_with_the_reason() {
    let limits = Limits::Stripe { live_per_second: 100, sandbox_per_second: 1, endpoint_per_second: 1 };
    let stage = Stage::with(Options { limits, ..options() }).await;
    let mut reasons = Vec::new();
    // However slow the machine is, a burst of this size arrives faster than one a second.
    for round in 0..40 {
        let path = if round % 2 == 0 { "/v1/customers" } else { "/v1/charges" };
        let reply = stage.get(path).await;
        if reply.status == 429 {
            assert_eq!(reply.body["error"]["code"], "rate_limit");
            reasons.push(reply.header("stripe-rate-limited-reason").to_owned());
        }
    }
    assert!(reasons.contains(&"global-rate".to_owned()), "{reasons:?}");
    let stats = stage.simulator.stats();
    let limited: u64 = stats.limited.values().sum();
    assert_eq!(limited, u64::try_from(reasons.len()).unwrap());
    assert_eq!(stats.statuses[&429], limited);
    assert_eq!(stats.calls.values().sum::<u64>(), 40 - limited);
}

#[tokio::test]
async fn calls_fail_before_or_after_their_effect() {
    let stage = Stage::new().await;
    let count = async || stage.get("/v1/customers").await.ok()["data"].as_array().unwrap().len();
    let call = "POST /v1/customers";
    stage.control("POST", "/_sim/faults", &json!({ "call": call, "fault": "status", "status": 500 })).await;
    assert_eq!(stage.post("/v1/customers", "name=a").await.status, 500);
    assert_eq!(count().await, 0);
    stage
        .control(
            "POST",
            "/_sim/faults",
            &json!({ "call": call, "fault": "status", "status": 503, "after_effect": true }),
        )
        .await;
    assert_eq!(stage.post("/v1/customers", "name=a").await.status, 503);
    assert_eq!(count().await, 1);
    stage.control("POST", "/_sim/faults", &json!({ "call": call, "times": 2, "fault": "status", "status": 429 })).await;
    for _ in 0..2 {
        let limited = stage.post("/v1/customers", "name=a").await;
        assert_eq!((limited.status, limited.header("stripe-rate-limited-reason")), (429, "endpoint-rate"));
    }
    stage.control("POST", "/_sim/faults", &json!({ "call": call, "fault": "status", "status": 409 })).await;
    let locked = stage.post("/v1/customers", "name=a").await;
    assert_eq!((locked.refusal().as_str(), locked.header("stripe-should-retry")), ("409 lock_timeout -", "true"));
    assert_eq!(count().await, 1);
}

#[tokio::test]
async fn a_dropped_connection_after_the_effect_is_healed_by_the_key() {
    let stage = Stage::new().await;
    stage.control("POST", "/_sim/faults", &json!({ "call": "*", "fault": "drop", "after_effect": true })).await;
    let send = || {
        let request = stage.request("POST", "/v1/customers").bearer_auth(&stage.key).header("idempotency-key", "k1");
        request.header("content-type", "application/x-www-form-urlencoded").body("name=Ada")
    };
    assert!(send().send().await.is_err(), "the connection broke off");
    let again = stage.send("POST", "/v1/customers", send()).await;
    assert_eq!((again.status, again.header("idempotent-replayed")), (200, "true"));
    assert_eq!(stage.get("/v1/customers").await.ok()["data"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn control_routes_answer_in_words_when_they_are_used_wrongly() {
    let stage = Stage::new().await;
    for (method, path, body, expected) in [
        ("POST", "/_sim/nonsense", "{}", 404),
        ("POST", "/_sim/faults", "{\"call\":1}", 400),
        ("POST", "/_sim/time", "{\"advance_seconds\": 999999999999}", 400),
        ("POST", "/_sim/generate", "{\"account\":\"acct_none\"}", 400),
        ("DELETE", "/_sim/faults", "", 200),
    ] {
        let answer = stage.request(method, path).body(body).send().await.unwrap();
        assert_eq!(answer.status().as_u16(), expected, "{method} {path}");
    }
}

#[tokio::test]
async fn a_router_answers_without_a_network() {
    use tower::ServiceExt;
    let simulator = simulator::Simulator::new(options());
    let request = axum::http::Request::get("/_sim/stats").body(axum::body::Body::empty()).unwrap();
    assert_eq!(simulator.router().oneshot(request).await.unwrap().status(), 200);
    let far: std::net::SocketAddr = "203.0.113.9:4000".parse().unwrap();
    let request = axum::http::Request::get("/_sim/stats").extension(axum::extract::ConnectInfo(far));
    let request = request.body(axum::body::Body::empty()).unwrap();
    assert_eq!(simulator.router().oneshot(request).await.unwrap().status(), 403);
}
