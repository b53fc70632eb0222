//! Limits and faults, and the control routes.

use crate::stage::{Stage, options};
use serde_json::{Value, json};
use simulator::{Limits, Options};
use std::time::Duration;

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

/// What a client notices of a call: status, code and the headers that matter; or that there was no answer.
async fn noticed(request: reqwest::RequestBuilder) -> String {
    let request = request.timeout(Duration::from_millis(1_500));
    let asked = request.try_clone().unwrap().build().unwrap();
    let Ok(answer) = request.send().await else {
        return "no answer".to_owned();
    };
    let status = answer.status().as_u16();
    let header = |name: &str| match answer.headers().get(name) {
        Some(value) => value.to_str().unwrap().to_owned(),
        None => "-".to_owned(),
    };
    let (reason, retry) = (header("stripe-rate-limited-reason"), header("stripe-should-retry"));
    let request_id = if header("request-id").starts_with("req_") { "id" } else { "no id" };
    let Ok(text) = answer.text().await else { return format!("{status} cut body") };
    let Ok(body) = serde_json::from_str::<Value>(&text) else { return format!("{status} no JSON, {request_id}") };
    crate::stage::check(asked.method().as_str(), asked.url().path(), status, &body);
    format!("{status} {} {reason} {retry} {request_id}", body["error"]["code"].as_str().unwrap_or("-"))
}

fn new_customer(stage: &Stage, key: &str) -> reqwest::RequestBuilder {
    let request = stage.request("POST", "/v1/customers").bearer_auth(&stage.key).header("idempotency-key", key);
    request.header("content-type", "application/x-www-form-urlencoded").body("name=Ada")
}

/// Every fault of a call: what the client notices, whether the call had its effect, and what the same key brings next.
#[tokio::test]
async fn calls_fail_before_or_after_their_effect() {
    let stage = Stage::new().await;
    let count = async || stage.get("/v1/customers?limit=100").await.ok()["data"].as_array().unwrap().len();
    let limited = |reason: &str| json!({ "fault": "rate_limit", "reason": reason });
    let failing = |status: u16, after_effect: bool, should_retry: Value| json!({ "fault": "status", "status": status, "after_effect": after_effect, "should_retry": should_retry });
    let fine = "200 - - - id";
    let table: [(Value, &str, usize, &str); 27] = [
        (limited("global-rate"), "429 rate_limit global-rate - id", 0, fine),
        (limited("endpoint-rate"), "429 rate_limit endpoint-rate - id", 0, fine),
        (limited("global-concurrency"), "429 rate_limit global-concurrency - id", 0, fine),
        (limited("endpoint-concurrency"), "429 rate_limit endpoint-concurrency - id", 0, fine),
        (limited("resource-specific"), "429 rate_limit resource-specific - id", 0, fine),
        (json!({ "fault": "lock_timeout" }), "429 lock_timeout - true no id", 0, fine),
        (json!({ "fault": "key_in_use" }), "409 idempotency_key_in_use - - id", 0, fine),
        (failing(500, false, json!(null)), "500 - - - id", 0, fine),
        (failing(500, false, json!(true)), "500 - - true id", 0, fine),
        (failing(500, false, json!(false)), "500 - - false id", 0, fine),
        (failing(502, false, json!(null)), "502 - - - id", 0, fine),
        (failing(503, false, json!(null)), "503 - - - id", 0, fine),
        (failing(400, false, json!(null)), "400 - - - id", 0, fine),
        (failing(500, true, json!(null)), "500 - - - id", 1, "500 - - - id"),
        (failing(502, true, json!(true)), "502 - - true id", 1, "502 - - true id"),
        (failing(503, true, json!(false)), "503 - - false id", 1, "503 - - false id"),
        (json!({ "fault": "drop" }), "no answer", 0, fine),
        (json!({ "fault": "drop", "after_effect": true }), "no answer", 1, fine),
        (json!({ "fault": "timeout" }), "no answer", 0, fine),
        (json!({ "fault": "timeout", "after_effect": true }), "no answer", 1, fine),
        (json!({ "fault": "timeout", "hold_ms": 10 }), "no answer", 0, fine),
        (json!({ "fault": "cut_body" }), "200 cut body", 1, fine),
        (json!({ "fault": "delay", "delay_ms": 20 }), fine, 1, fine),
        (json!({ "fault": "dribble", "over_ms": 40 }), fine, 1, fine),
        (json!({ "fault": "garbage" }), "502 no JSON, no id", 0, fine),
        (json!({ "fault": "garbage", "status": 200, "after_effect": true }), "200 no JSON, no id", 1, fine),
        (json!({ "fault": "garbage", "status": 503, "after_effect": true }), "503 no JSON, no id", 1, fine),
    ];
    let mut customers = 0;
    for (number, (fault, expected, effect, with_the_same_key)) in table.into_iter().enumerate() {
        let mut asked = fault.clone();
        asked["call"] = json!("POST /v1/customers");
        stage.control("POST", "/_sim/faults", &asked).await;
        let key = format!("key-{number}");
        assert_eq!(noticed(new_customer(&stage, &key)).await, expected, "{fault}");
        customers += effect;
        assert_eq!(count().await, customers, "{fault}");
        let again = noticed(new_customer(&stage, &key)).await;
        assert_eq!(again, with_the_same_key, "the second try with the same key, after {fault}");
        customers += 1 - effect;
        assert_eq!(count().await, customers, "done once, after {fault}");
    }
    let report = stage.simulator.faults().report();
    assert_eq!((report.set.len(), report.recent.len()), (0, 27));
    assert_eq!(report.fired["status 500"], 3);
    assert_eq!(report.fired["status 500 after_effect"], 1);
}

#[tokio::test]
async fn an_outage_lasts_as_long_as_simulated_time_says() {
    let stage = Stage::new().await;
    let outage = json!({ "call": "*", "fault": "status", "status": 503, "for_seconds": 3_600 });
    stage.control("POST", "/_sim/faults", &outage).await;
    let first = new_customer(&stage, "before");
    assert_eq!(noticed(first).await, "503 - - - id");
    stage.control("POST", "/_sim/time", &json!({ "advance_seconds": 3_599 })).await;
    assert_eq!(stage.get("/v1/charges").await.status, 503);
    assert_eq!(stage.control("GET", "/_sim/faults", &json!(null)).await["set"][0]["fired"], 2);
    stage.control("POST", "/_sim/time", &json!({ "advance_seconds": 1 })).await;
    assert_eq!(stage.get("/v1/charges").await.status, 200);
    assert_eq!(stage.control("GET", "/_sim/faults", &json!(null)).await["set"], json!([]));
}

#[tokio::test]
async fn a_replay_stands_in_the_same_outage() {
    let stage = Stage::new().await;
    assert_eq!(noticed(new_customer(&stage, "k")).await, "200 - - - id");
    stage.control("POST", "/_sim/faults", &json!({ "call": "POST *", "fault": "drop", "times": null })).await;
    assert_eq!(noticed(new_customer(&stage, "k")).await, "no answer");
    stage.control("DELETE", "/_sim/faults", &json!({})).await;
    assert_eq!(noticed(new_customer(&stage, "k")).await, "200 - - - id");
}

#[tokio::test]
async fn a_plan_does_the_same_again() {
    let run = async || {
        let stage = Stage::new().await;
        let plan = json!({ "seed": 11, "chances": [
            { "per_10_000": 3_000, "call": "GET *", "fault": "lock_timeout" },
            { "per_10_000": 2_000, "call": "GET /v1/charges", "fault": "cut_body" },
            { "per_10_000": 2_000, "call": "GET /v1/refunds", "fault": "status", "status": 500 },
        ]});
        stage.control("POST", "/_sim/plan", &plan).await;
        let mut seen = Vec::new();
        for number in 0..60 {
            let path = ["/v1/charges", "/v1/refunds", "/v1/customers"][number % 3];
            seen.push(noticed(stage.request("GET", path).bearer_auth(&stage.key)).await);
        }
        stage.control("DELETE", "/_sim/plan", &json!({})).await;
        assert_eq!(stage.get("/v1/charges").await.status, 200);
        (seen, stage.simulator.faults().report().fired)
    };
    let (first, second) = (run().await, run().await);
    assert_eq!(first, second);
    assert_eq!(first.1.len(), 3, "{:?}", first.1);
}

#[tokio::test]
async fn keys_are_revoked_in_flight_and_restored() {
    let stage = Stage::new().await;
    let revoke = json!({ "revoke": stage.key });
    assert_eq!(stage.get("/v1/charges").await.status, 200);
    stage.control("POST", "/_sim/keys", &revoke).await;
    let refused = stage.get("/v1/charges").await;
    assert_eq!(refused.refusal(), "401 api_key_expired -");
    stage.control("POST", "/_sim/keys", &json!({ "restore": stage.key })).await;
    assert_eq!(stage.get("/v1/charges").await.status, 200);
    stage.control("POST", "/_sim/keys", &json!({ "revoke": "all" })).await;
    assert_eq!(stage.get("/v1/charges").await.status, 401);
    let report = stage.control("GET", "/_sim/faults", &json!(null)).await;
    assert_eq!(report["keys_revoked"], 2, "the secret and the publishable one of test mode");
    stage.control("POST", "/_sim/heal", &json!({})).await;
    assert_eq!(stage.get("/v1/charges").await.status, 200);
}

#[tokio::test]
async fn faults_are_listed_and_cleared_one_by_one() {
    let stage = Stage::new().await;
    let set = async |body: Value| stage.control("POST", "/_sim/faults", &body).await["id"].as_u64().unwrap();
    let first = set(json!({ "call": "GET *", "fault": "lock_timeout", "times": null })).await;
    let second = set(json!({ "call": "GET *", "fault": "status", "status": 500, "times": null })).await;
    assert_eq!(stage.get("/v1/charges").await.status, 429);
    stage.control("DELETE", &format!("/_sim/faults/{first}"), &json!({})).await;
    assert_eq!(stage.get("/v1/charges").await.status, 500);
    let report = stage.control("GET", "/_sim/faults", &json!(null)).await;
    assert_eq!(report["set"][0]["id"], second);
    assert_eq!((&report["recent"][0]["fault"], &report["recent"][0]["by"]), (&json!("status 500"), &json!(second)));
    let gone = stage.request("DELETE", &format!("/_sim/faults/{first}")).send().await.unwrap();
    assert_eq!(gone.status().as_u16(), 404);
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
        ("POST", "/_sim/faults", "{\"call\":\"GET /v1/chargs\",\"fault\":\"drop\"}", 400),
        ("POST", "/_sim/plan", "{\"seed\":1,\"everything_per_10_000\":9000}", 400),
        ("POST", "/_sim/endpoints", "{\"status\":\"nonsense\"}", 400),
        ("DELETE", "/_sim/faults/99", "", 404),
        ("DELETE", "/_sim/nonsense", "", 404),
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

#[tokio::test]
async fn the_page_presses_for_its_own_visitors_and_nobody_else() {
    let stage = Stage::new().await;
    let page = stage.request("GET", "/_sim").send().await.unwrap();
    assert_eq!(page.status().as_u16(), 200);
    let policy = page.headers()["content-security-policy"].to_str().unwrap().to_owned();
    assert!(policy.contains("frame-ancestors 'none'") && policy.contains("form-action 'self'"), "{policy}");
    assert!(page.text().await.unwrap().contains("Everything works"));
    for (path, kind) in [("/_sim/page.css", "text/css"), ("/_sim/page.js", "text/javascript")] {
        let file = stage.request("GET", path).send().await.unwrap();
        assert!(file.headers()["content-type"].to_str().unwrap().starts_with(kind));
    }
    let client = reqwest::Client::builder().no_proxy().redirect(reqwest::redirect::Policy::none()).build().unwrap();
    let press = async |headers: &[(&str, &str)]| {
        let mut request = client.post(format!("{}/_sim/press", stage.base)).body("press=lock_timeout");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        request.send().await.unwrap().status().as_u16()
    };
    assert_eq!(press(&[("origin", "https://evil.example")]).await, 403);
    assert_eq!(press(&[("sec-fetch-site", "cross-site")]).await, 403);
    assert_eq!(stage.simulator.faults().report().set, []);
    assert_eq!(press(&[("origin", &stage.base), ("sec-fetch-site", "same-origin")]).await, 303);
    let state = stage.request("GET", "/_sim/state").send().await.unwrap().text().await.unwrap();
    assert!(state.contains("lock_timeout, all calls"), "{state}");
    // What steers by JSON is no less careful.
    let foreign = stage.request("DELETE", "/_sim/faults").header("origin", "http://evil.example").send().await.unwrap();
    assert_eq!(foreign.status().as_u16(), 403);
}
