//! Webhooks: who is told, how it is signed, and what happens when nobody listens.

use crate::stage::{Stage, options, until};
use aws_lc_rs::hmac;
use axum::{Router, body::Bytes, extract::State, http::HeaderMap};
use kit::{HandClock, Time};
use serde_json::{Value, json};
use simulator::{Options, RetryPlan};
use std::sync::{
    Arc, Mutex,
    atomic::{AtomicUsize, Ordering},
};

#[derive(Default)]
pub(crate) struct Heard {
    pub(crate) messages: Mutex<Vec<(String, String)>>,
    pub(crate) failing: AtomicUsize,
}

/// A receiver; it answers 500 as often as it is told to.
pub(crate) async fn receiver() -> (Arc<Heard>, String) {
    let heard = Arc::new(Heard::default());
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/hook", listener.local_addr().unwrap());
    let app = Router::new().fallback(hear).with_state(heard.clone());
    tokio::spawn(async move { axum::serve(listener, app).await.unwrap() });
    (heard, url)
}

async fn hear(State(heard): State<Arc<Heard>>, headers: HeaderMap, body: Bytes) -> axum::http::StatusCode {
    let signature = headers["stripe-signature"].to_str().unwrap().to_owned();
    heard.messages.lock().unwrap().push((signature, String::from_utf8(body.to_vec()).unwrap()));
    let fails = heard.failing.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1)).is_ok();
    if fails { axum::http::StatusCode::INTERNAL_SERVER_ERROR } else { axum::http::StatusCode::OK }
}

impl Heard {
    fn kinds(&self) -> Vec<String> {
        let messages = self.messages.lock().unwrap();
        let events = messages.iter().map(|(_, body)| serde_json::from_str::<Value>(body).unwrap());
        events.map(|event| event["type"].as_str().unwrap().to_owned()).collect()
    }
    pub(crate) async fn wait_for(&self, count: usize) -> Vec<String> {
        until(&format!("{count} messages"), async || Some(self.kinds()).filter(|kinds| kinds.len() >= count)).await
    }
}

pub(crate) fn verify(signature: &str, body: &str, secret: &str) {
    let (time, digest) = signature.strip_prefix("t=").unwrap().split_once(",v1=").unwrap();
    let key = hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes());
    hmac::verify(&key, format!("{time}.{body}").as_bytes(), &hex::decode(digest).unwrap()).unwrap();
}

#[tokio::test]
async fn endpoints_are_told_what_they_asked_for_signed_and_in_their_version() {
    let stage = Stage::new().await;
    let (heard, url) = receiver().await;
    let form = format!(
        "url={url}&enabled_events[]=customer.created&enabled_events[]=charge.succeeded&api_version=2025-09-30.clover"
    );
    let endpoint = stage.post("/v1/webhook_endpoints", &form).await.ok();
    let secret = endpoint["secret"].as_str().unwrap();
    assert!(secret.starts_with("whsec_"));
    let read = stage.get(&format!("/v1/webhook_endpoints/{}", endpoint["id"].as_str().unwrap())).await.ok();
    assert!(read.get("secret").is_none(), "the secret is shown once");
    stage.make("/v1/customers", "name=Ada").await;
    stage.charge("amount=1000").await;
    let mut kinds = heard.wait_for(2).await;
    kinds.sort();
    assert_eq!(kinds, ["charge.succeeded", "customer.created"]);
    for (signature, body) in heard.messages.lock().unwrap().iter() {
        verify(signature, body, secret);
        let event: Value = serde_json::from_str(body).unwrap();
        assert_eq!(event["api_version"], "2025-09-30.clover");
        crate::stage::check_event(&event);
    }
    until("nothing is pending", async || {
        let events = stage.get("/v1/events?delivery_success=false").await.ok();
        events["data"].as_array().unwrap().is_empty().then_some(())
    })
    .await;
    let event = stage.get("/v1/events?type=customer.created").await.ok()["data"][0].clone();
    assert_eq!((&event["pending_webhooks"], &event["api_version"]), (&json!(0), &json!("2026-10-28.endive")));
}

#[tokio::test]
async fn failed_deliveries_are_tried_again_and_can_be_resent() {
    let stage = Stage::new().await;
    let (heard, url) = receiver().await;
    stage.make("/v1/webhook_endpoints", &format!("url={url}&enabled_events[]=*")).await;
    heard.failing.store(2, Ordering::SeqCst);
    stage.make("/v1/customers", "name=Ada").await;
    assert_eq!(heard.wait_for(3).await, ["customer.created"; 3]);
    until("delivered", async || (stage.simulator.stats().webhooks.delivered == 1).then_some(())).await;
    let stats = stage.control("GET", "/_sim/stats", &json!(null)).await;
    assert_eq!((&stats["webhooks"]["attempts"], &stats["webhooks"]["failures"]), (&json!(3), &json!(2)));
    // Six tries, then it is given up and listed as failed.
    heard.failing.store(usize::MAX, Ordering::SeqCst);
    let lost = stage.make("/v1/customers", "name=Bob").await;
    until("given up", async || (stage.simulator.stats().webhooks.given_up == 1).then_some(())).await;
    let failed = stage.get("/v1/events?delivery_success=false").await.ok();
    let event = &failed["data"][0];
    assert_eq!((failed["data"].as_array().unwrap().len(), &event["data"]["object"]["id"]), (1, &json!(lost)));
    heard.failing.store(0, Ordering::SeqCst);
    stage.post(&format!("/v1/events/{}/retry", event["id"].as_str().unwrap()), "").await.ok();
    until("delivered at last", async || (stage.simulator.stats().webhooks.delivered == 2).then_some(())).await;
    let good = stage.get("/v1/events?delivery_success=true").await.ok();
    assert_eq!(good["data"].as_array().unwrap().len(), 2);
}

#[tokio::test]
async fn endpoints_are_checked_limited_disabled_and_deleted() {
    let stage = Stage::new().await;
    for (form, expected) in [
        ("url=ftp://x.example&enabled_events[]=*", "400 url_invalid url"),
        ("url=https://x.example", "400 parameter_missing enabled_events"),
        ("url=https://x.example&enabled_events[]=nonsense", "400 - enabled_events"),
        ("url=https://x.example&enabled_events[]=*&api_version=x", "400 - api_version"),
    ] {
        assert_eq!(stage.post("/v1/webhook_endpoints", form).await.refusal(), expected, "{form}");
    }
    let live = stage.request("POST", "/v1/webhook_endpoints").bearer_auth(&stage.live_key);
    let live = live
        .header("content-type", "application/x-www-form-urlencoded")
        .body("url=http://x.example&enabled_events[]=*");
    assert_eq!(stage.send("POST", "/v1/webhook_endpoints", live).await.refusal(), "400 url_invalid url");
    let (heard, url) = receiver().await;
    let mut last = String::new();
    for _ in 0..16 {
        last = stage.make("/v1/webhook_endpoints", &format!("url={url}&enabled_events[]=*")).await;
    }
    assert_eq!(
        stage.post("/v1/webhook_endpoints", &format!("url={url}&enabled_events[]=*")).await.refusal(),
        "400 resource_limit_exceeded -"
    );
    let list = stage.get("/v1/webhook_endpoints?limit=100").await.ok();
    for endpoint in list["data"].as_array().unwrap().iter().skip(1) {
        assert_eq!(
            stage.delete(&format!("/v1/webhook_endpoints/{}", endpoint["id"].as_str().unwrap())).await.ok()["deleted"],
            true
        );
    }
    let path = format!("/v1/webhook_endpoints/{last}");
    assert_eq!(stage.post(&path, "disabled=true").await.ok()["status"], "disabled");
    stage.make("/v1/customers", "name=unheard").await;
    assert_eq!(stage.post(&path, "disabled=false&enabled_events[]=customer.updated").await.ok()["status"], "enabled");
    let customer = stage.make("/v1/customers", "name=unasked").await;
    stage.make(&format!("/v1/customers/{customer}"), "name=heard").await;
    assert_eq!(heard.wait_for(1).await, ["customer.updated"]);
}

#[tokio::test]
async fn deliveries_are_lost_doubled_and_delayed_on_demand() {
    let stage = Stage::new().await;
    let (heard, url) = receiver().await;
    stage.make("/v1/webhook_endpoints", &format!("url={url}&enabled_events[]=*")).await;
    stage.control("POST", "/_sim/faults", &json!({ "webhooks": "customer.created", "fault": "drop" })).await;
    stage.make("/v1/customers", "name=lost").await;
    until("lost", async || (stage.simulator.stats().webhooks.given_up == 1).then_some(())).await;
    stage.control("POST", "/_sim/faults", &json!({ "webhooks": "*", "fault": "duplicate" })).await;
    stage.make("/v1/customers", "name=doubled").await;
    assert_eq!(heard.wait_for(2).await.len(), 2);
    stage
        .control("POST", "/_sim/faults", &json!({ "webhooks": "*", "times": 5, "fault": "shuffle", "within_ms": 50 }))
        .await;
    for number in 0..5 {
        stage.make("/v1/customers", &format!("name=shuffled{number}")).await;
    }
    assert_eq!(heard.wait_for(7).await.len(), 7);
}

/// Of each message: whether its signature is right, and whether its time is the present.
fn judged(heard: &Heard, secret: &str) -> Vec<(bool, bool)> {
    let messages = heard.messages.lock().unwrap();
    let judge = |(signature, body): &(String, String)| {
        let (time, digest) = signature.strip_prefix("t=").unwrap().split_once(",v1=").unwrap();
        let key = hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes());
        let right = hmac::verify(&key, format!("{time}.{body}").as_bytes(), &hex::decode(digest).unwrap()).is_ok();
        (right, time.parse::<i64>().unwrap() == crate::stage::NOW)
    };
    messages.iter().map(judge).collect()
}

#[tokio::test]
async fn deliveries_are_spoiled_and_then_tried_again_rightly() {
    let stage = Stage::new().await;
    let (heard, url) = receiver().await;
    let endpoint = stage.post("/v1/webhook_endpoints", &format!("url={url}&enabled_events[]=*")).await.ok();
    let secret = endpoint["secret"].as_str().unwrap();
    // A receiver that checks: what is wrong is refused, as Bursar does.
    for (fault, expected) in [
        ("old_timestamp", vec![(true, false), (true, true)]),
        ("wrong_signature", vec![(false, true), (true, true)]),
        // What is cut never arrives whole; the second try does.
        ("cut", vec![(true, true)]),
    ] {
        heard.messages.lock().unwrap().clear();
        let before = stage.simulator.stats().webhooks;
        if fault != "cut" {
            heard.failing.store(1, Ordering::SeqCst);
        }
        stage.control("POST", "/_sim/faults", &json!({ "webhooks": "customer.*", "fault": fault })).await;
        stage.make("/v1/customers", "name=Ada").await;
        until(fault, async || (stage.simulator.stats().webhooks.delivered > before.delivered).then_some(())).await;
        assert_eq!(judged(&heard, secret), expected, "{fault}");
        assert_eq!(stage.simulator.stats().webhooks.failures, before.failures + 1, "{fault}");
    }
}

#[tokio::test]
async fn the_same_change_comes_under_two_ids_and_unknown_types_come_too() {
    let stage = Stage::new().await;
    let (heard, url) = receiver().await;
    stage.make("/v1/webhook_endpoints", &format!("url={url}&enabled_events[]=*")).await;
    stage.control("POST", "/_sim/faults", &json!({ "webhooks": "*", "fault": "twin" })).await;
    stage.make("/v1/customers", "name=Ada").await;
    heard.wait_for(2).await;
    let bodies: Vec<Value> =
        heard.messages.lock().unwrap().iter().map(|(_, body)| serde_json::from_str(body).unwrap()).collect();
    assert_ne!(bodies[0]["id"], bodies[1]["id"]);
    for member in ["type", "created", "data"] {
        assert_eq!(bodies[0][member], bodies[1][member]);
    }
    for body in &bodies {
        crate::stage::check_event(body);
    }
    assert_eq!(stage.events().await, ["customer.created", "customer.created"], "the list has both");

    stage.control("POST", "/_sim/faults", &json!({ "webhooks": "*", "fault": "unknown_type" })).await;
    stage.make("/v1/customers", "name=Bob").await;
    let mut kinds = heard.wait_for(4).await.split_off(2);
    kinds.sort();
    assert_eq!(kinds, ["customer.created", "novelty.introduced"]);
}

#[tokio::test]
async fn what_occurs_while_an_endpoint_is_disabled_is_never_sent() {
    let stage = Stage::new().await;
    let (heard, url) = receiver().await;
    let endpoint = stage.make("/v1/webhook_endpoints", &format!("url={url}&enabled_events[]=*")).await;
    let status = async || stage.get(&format!("/v1/webhook_endpoints/{endpoint}")).await.ok()["status"].clone();
    stage.control("POST", "/_sim/faults", &json!({ "webhooks": "*", "fault": "disable_endpoint" })).await;
    stage.make("/v1/customers", "name=first").await;
    until("the first is given up", async || (stage.simulator.stats().webhooks.given_up == 1).then_some(())).await;
    stage.make("/v1/customers", "name=second").await;
    assert_eq!(status().await, "disabled");
    assert_eq!(stage.control("GET", "/_sim/faults", &json!(null)).await["endpoints_disabled"], 1);
    stage.control("POST", "/_sim/endpoints", &json!({ "status": "enabled" })).await;
    assert_eq!(status().await, "enabled");
    stage.make("/v1/customers", "name=third").await;
    heard.wait_for(1).await;
    until("all are sent", async || (stage.simulator.stats().webhooks.waiting == 0).then_some(())).await;
    assert_eq!(heard.kinds().len(), 1, "only what occurred afterwards is sent");
    assert_eq!(stage.events().await.len(), 3, "the list has them all");
    let told = stage.control("GET", "/_sim/deliveries", &json!(null)).await;
    assert_eq!((&told[0]["outcome"], &told[0]["attempt"]), (&json!("200"), &json!(1)));
    assert!(told[1]["outcome"].as_str().unwrap().starts_with("never sent"));
}

#[tokio::test]
async fn moved_time_brings_what_was_to_come_later() {
    let clock = HandClock::at(Time::from_seconds(crate::stage::NOW));
    let options = Options { clock: clock.shared(), webhook_retry: RetryPlan::default(), ..options() };
    let stage = Stage::with(options).await;
    let (heard, url) = receiver().await;
    stage.make("/v1/webhook_endpoints", &format!("url={url}&enabled_events[]=*")).await;
    // A minute until the second try, ten until the third: nobody waits for that.
    heard.failing.store(2, Ordering::SeqCst);
    stage.make("/v1/customers", "name=Ada").await;
    heard.wait_for(1).await;
    let failures = async |count| {
        until("it failed", async || (stage.simulator.stats().webhooks.failures == count).then_some(())).await;
    };
    failures(1).await;
    stage.control("POST", "/_sim/time", &json!({ "advance_seconds": 61 })).await;
    failures(2).await;
    clock.advance(std::time::Duration::from_secs(601));
    assert_eq!(heard.wait_for(3).await.len(), 3);
    until("delivered", async || (stage.simulator.stats().webhooks.delivered == 1).then_some(())).await;
}
