//! The event list of v1, and events and event destinations of v2.

use crate::stage::{NOW, Reply, Stage, options, until};
use axum::{Router, body::Bytes, extract::State, http::HeaderMap};
use kit::{HandClock, Time};
use serde_json::{Value, json};
use simulator::Options;
use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

const DAY: i64 = 86_400;

async fn at_once() -> Stage {
    Stage::with(Options { event_lag: Duration::ZERO, ..options() }).await
}

async fn send(stage: &Stage, method: &str, path: &str, body: &Value) -> Reply {
    let request = stage.request(method, path).bearer_auth(&stage.key).header("content-type", "application/json");
    let request = if method == "GET" { request } else { request.body(body.to_string()) };
    stage.send(method, path, request).await
}

fn types(list: &Value) -> Vec<&str> {
    list["data"].as_array().unwrap().iter().map(|event| event["type"].as_str().unwrap()).collect()
}

#[tokio::test]
async fn the_event_list_can_be_narrowed_and_reaches_back_thirty_days() {
    let stage = Stage::new().await;
    stage.make("/v1/customers", "name=Old").await;
    stage.advance_days(10).await;
    let now = NOW + 10 * DAY;
    stage.make("/v1/products", "name=Thing").await;
    stage.charge("amount=500").await;
    for (query, expected) in [
        ("type=customer.created", vec!["customer.created"]),
        ("type=charge.*", vec!["charge.succeeded"]),
        ("types[]=product.created&types[]=customer.created", vec!["product.created", "customer.created"]),
        ("type=bogus.created", vec![]),
        (&format!("type=product.created&created[gte]={now}"), vec!["product.created"]),
        (&format!("created[lt]={now}"), vec!["customer.created"]),
        (&format!("created={NOW}"), vec!["customer.created"]),
        ("delivery_success=false", vec![]),
    ] {
        let list = stage.get(&format!("/v1/events?{query}")).await.ok();
        assert_eq!(types(&list), expected, "{query}");
    }
    assert_eq!(stage.get("/v1/events?type=a&types[]=b").await.refusal(), "400 - types");
    let many: String = (0..21).map(|number| format!("&types[]=x{number}.created")).collect();
    assert_eq!(stage.get(&format!("/v1/events?limit=1{many}")).await.refusal(), "400 - types");
    let all = stage.get("/v1/events").await.ok();
    let oldest = all["data"].as_array().unwrap().last().unwrap()["id"].as_str().unwrap().to_owned();
    assert_eq!(stage.get(&format!("/v1/events/{oldest}")).await.ok()["type"], "customer.created");

    // After thirty days an event is gone, from the list and by its id, though nothing new has happened.
    stage.advance_days(21).await;
    assert_eq!(stage.get(&format!("/v1/events/{oldest}")).await.status, 404);
    let list = stage.get("/v1/events?type=customer.created").await.ok();
    assert_eq!(types(&list), Vec::<&str>::new());
    assert!(!types(&stage.get("/v1/events").await.ok()).is_empty(), "what is twenty-one days old is there");
}

#[tokio::test]
async fn every_snapshot_has_a_thin_notification_that_leads_to_it() {
    let stage = at_once().await;
    let customer = stage.make("/v1/customers", "name=Ada").await;
    let request = stage
        .request("POST", &format!("/v1/customers/{customer}"))
        .bearer_auth(&stage.key)
        .header("idempotency-key", "key-1")
        .body("name=Grace");
    let request = request.header("content-type", "application/x-www-form-urlencoded");
    let changed = stage.send("POST", "/v1/customers/x", request).await;
    let request_id = changed.header("request-id").to_owned();
    let list = stage.get("/v2/core/events").await.ok();
    assert_eq!(types(&list), ["v1.customer.updated", "v1.customer.created"]);
    let newest = &list["data"][0];
    assert_eq!(newest["created"], "2026-11-21T12:00:00.000Z");
    assert_eq!(
        newest["related_object"],
        json!({ "id": customer, "type": "customer", "url": format!("/v1/customers/{customer}") })
    );
    assert_eq!(
        newest["reason"],
        json!({ "request": { "id": request_id, "idempotency_key": "key-1" }, "type": "request" })
    );
    assert!(newest.get("data").is_none() && newest["object"] == "v2.core.event");
    let snapshot = stage.get(&format!("/v1/events/{}", newest["snapshot_event"].as_str().unwrap())).await.ok();
    assert_eq!((&snapshot["type"], &snapshot["data"]["object"]["name"]), (&json!("customer.updated"), &json!("Grace")));
    let read = stage.get(&format!("/v2/core/events/{}", newest["id"].as_str().unwrap())).await.ok();
    assert_eq!(&read, newest);
    let url = stage.get(newest["related_object"]["url"].as_str().unwrap()).await.ok();
    assert_eq!(url["name"], "Grace");
    for path in ["/v2/core/events/evt_test_none", &format!("/v2/core/events/{}", snapshot["id"].as_str().unwrap())] {
        let refused = stage.get(path).await;
        assert_eq!(refused.refusal(), "404 not_found -", "{path}");
    }
    // What Stripe itself did has no reason.
    let payer = stage.payer().await;
    let price = stage.monthly(900).await;
    stage.make("/v1/subscriptions", &format!("customer={payer}&items[0][price]={price}")).await;
    stage.advance_days(31).await;
    let renewed = stage.get("/v2/core/events?types[0]=v1.invoice.finalized&limit=1").await.ok();
    assert!(renewed["data"][0].get("reason").is_none(), "{renewed}");
}

#[tokio::test]
async fn pages_of_v2_are_urls_and_lag_behind() {
    let clock = HandClock::at(Time::from_seconds(NOW));
    let stage = Stage::with(Options { clock: clock.shared(), event_lag: Duration::from_secs(10), ..options() }).await;
    let mut made = Vec::new();
    for number in 0..5 {
        made.push(stage.make("/v1/customers", &format!("name=c{number}")).await);
    }
    assert_eq!(types(&stage.get("/v2/core/events").await.ok()), Vec::<&str>::new(), "eventually, not at once");
    stage.control("POST", "/_sim/time", &json!({ "advance_seconds": 10 })).await;
    let related = |page: &Value| -> Vec<String> {
        let events = page["data"].as_array().unwrap().iter();
        events.map(|event| event["related_object"]["id"].as_str().unwrap().to_owned()).collect()
    };
    made.reverse();
    let first = stage.get("/v2/core/events?limit=2").await.ok();
    assert_eq!((related(&first), &first["previous_page_url"]), (made[..2].to_vec(), &json!(null)));
    stage.make("/v1/customers", "name=later").await;
    let second = stage.get(first["next_page_url"].as_str().unwrap()).await.ok();
    assert_eq!(related(&second), made[2..4]);
    let third = stage.get(second["next_page_url"].as_str().unwrap()).await.ok();
    assert_eq!((related(&third), &third["next_page_url"]), (made[4..].to_vec(), &json!(null)));
    let back = stage.get(third["previous_page_url"].as_str().unwrap()).await.ok();
    assert_eq!(related(&back), made[2..4]);
    let one = stage.get(&format!("/v2/core/events?object_id={}", made[3])).await.ok();
    assert_eq!(related(&one), made[3..4]);
    let none = stage.get("/v2/core/events?types[0]=customer.created").await.ok();
    assert_eq!(types(&none), Vec::<&str>::new(), "the types of v2 begin with their generation");
    for (query, expected) in [
        ("limit=0", "400 invalid_fields limit"),
        ("page=zz", "400 invalid_fields page"),
        ("starting_after=evt_1", "400 invalid_fields starting_after"),
    ] {
        assert_eq!(stage.get(&format!("/v2/core/events?{query}")).await.refusal(), expected, "{query}");
    }
}

/// A listener that keeps what it is sent.
struct Listener {
    url: String,
    heard: Arc<Mutex<Vec<(HeaderMap, Value)>>>,
}

impl Listener {
    async fn new() -> Listener {
        type Heard = Arc<Mutex<Vec<(HeaderMap, Value)>>>;
        let heard = Heard::default();
        let router = Router::new()
            .fallback(|State(heard): State<Heard>, headers: HeaderMap, body: Bytes| async move {
                heard.lock().unwrap().push((headers, serde_json::from_slice(&body).unwrap()));
            })
            .with_state(heard.clone());
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/hook", listener.local_addr().unwrap());
        tokio::spawn(async move { axum::serve(listener, router).await });
        Listener { url, heard }
    }

    async fn types(&self, count: usize) -> Vec<String> {
        until("deliveries", async || {
            let heard = self.heard.lock().unwrap();
            let mut types: Vec<String> =
                heard.iter().map(|(_, event)| event["type"].as_str().unwrap().to_owned()).collect();
            types.sort();
            (types.len() >= count).then_some(types)
        })
        .await
    }
}

#[tokio::test]
async fn destinations_are_made_changed_and_told() {
    let stage = at_once().await;
    let (thin, snapshot) = (Listener::new().await, Listener::new().await);
    let asked = json!({
        "name": "Thin", "type": "webhook_endpoint", "event_payload": "thin", "enabled_events": ["v1.customer.created"],
        "webhook_endpoint": { "url": thin.url }, "metadata": { "a": "1", "b": "2" },
        "include": ["webhook_endpoint.signing_secret", "webhook_endpoint.url"],
    });
    let made = send(&stage, "POST", "/v2/core/event_destinations", &asked).await.ok();
    let secret = made["webhook_endpoint"]["signing_secret"].as_str().unwrap();
    assert!(secret.starts_with("whsec_") && made["webhook_endpoint"]["url"] == thin.url.as_str());
    let path = format!("/v2/core/event_destinations/{}", made["id"].as_str().unwrap());
    let quiet = json!({
        "name": "Snapshot", "type": "webhook_endpoint", "event_payload": "snapshot", "enabled_events": ["customer.created"],
        "webhook_endpoint": { "url": snapshot.url }, "snapshot_api_version": "2025-09-30.clover",
    });
    let quiet = send(&stage, "POST", "/v2/core/event_destinations", &quiet).await.ok();
    assert_eq!(quiet["webhook_endpoint"], json!({}), "redacted unless it is named");

    stage.make("/v1/customers", "name=Ada").await;
    stage.make("/v1/products", "name=Thing").await;
    assert_eq!(thin.types(1).await, ["v1.customer.created"]);
    assert_eq!(snapshot.types(1).await, ["customer.created"]);
    let (headers, event) = thin.heard.lock().unwrap()[0].clone();
    let signature = headers["stripe-signature"].to_str().unwrap().to_owned();
    assert!(signature.starts_with("t=") && signature.contains(",v1="));
    assert!(event["object"] == "v2.core.event" && event.get("data").is_none());
    let (_, event) = snapshot.heard.lock().unwrap()[0].clone();
    assert_eq!((&event["api_version"], &event["data"]["object"]["name"]), (&json!("2025-09-30.clover"), &json!("Ada")));

    let changed = json!({ "metadata": { "a": null, "c": "3" }, "enabled_events": ["v1.product.created"] });
    let changed = send(&stage, "POST", &path, &changed).await.ok();
    assert_eq!(changed["metadata"], json!({ "b": "2", "c": "3" }));
    let off = send(&stage, "POST", &format!("{path}/disable"), &json!({})).await.ok();
    assert_eq!((&off["status"], &off["status_details"]["disabled"]["reason"]), (&json!("disabled"), &json!("user")));
    assert_eq!(send(&stage, "POST", &format!("{path}/ping"), &json!({})).await.status, 400);
    stage.make("/v1/products", "name=Unheard").await;
    let on = send(&stage, "POST", &format!("{path}/enable"), &json!({})).await.ok();
    assert!(on["status"] == "enabled" && on.get("status_details").is_none());
    let ping = send(&stage, "POST", &format!("{path}/ping"), &json!({})).await.ok();
    assert_eq!(ping["related_object"]["id"], made["id"]);
    assert_eq!(thin.types(2).await, ["v1.customer.created", "v2.core.event_destination.ping"]);
    assert_eq!(
        stage.get(&format!("/v2/core/events/{}", ping["id"].as_str().unwrap())).await.ok()["type"],
        ping["type"]
    );
    let v2 = stage.get("/v2/core/events?types[0]=v2.core.event_destination.ping").await.ok();
    assert_eq!(types(&v2), ["v2.core.event_destination.ping"]);
    let v1 = stage.get("/v1/events?limit=100").await.ok();
    assert!(!types(&v1).contains(&"v2.core.event_destination.ping"), "v1 does not know it");
    assert_eq!(stage.get(&format!("/v1/events/{}", ping["id"].as_str().unwrap())).await.status, 404);

    let list = stage.get("/v2/core/event_destinations?limit=1&include[0]=webhook_endpoint.url").await.ok();
    assert_eq!(list["data"].as_array().unwrap().len(), 1);
    let gone = send(&stage, "DELETE", &path, &json!({})).await.ok();
    assert_eq!(gone["id"], made["id"]);
    let refused = stage.get(&path).await;
    assert_eq!(refused.refusal(), "404 not_found -");
}

#[tokio::test]
async fn wrong_calls_of_v2_are_refused_in_its_shape() {
    let stage = at_once().await;
    let base = json!({
        "name": "x", "type": "webhook_endpoint", "event_payload": "thin", "enabled_events": ["v1.customer.created"],
        "webhook_endpoint": { "url": "http://127.0.0.1:9" },
    });
    for (member, value, expected) in [
        ("name", Value::Null, "400 invalid_fields name"),
        ("type", json!("amazon_eventbridge"), "400 invalid_fields type"),
        ("event_payload", json!("fat"), "400 invalid_fields event_payload"),
        ("enabled_events", json!(["customer.created"]), "400 invalid_fields enabled_events"),
        ("webhook_endpoint", json!({ "url": "nowhere" }), "400 invalid_fields webhook_endpoint.url"),
        ("webhook_endpoint", Value::Null, "400 invalid_fields webhook_endpoint"),
        ("snapshot_api_version", json!("2026-10-28.endive"), "400 invalid_fields snapshot_api_version"),
        ("events_from", json!(["@accounts"]), "400 simulator_does_not_do_this events_from"),
        ("bogus", json!(1), "400 invalid_fields bogus"),
    ] {
        let mut asked = base.clone();
        asked[member] = value;
        let reply = send(&stage, "POST", "/v2/core/event_destinations", &asked).await;
        assert_eq!(reply.refusal(), expected, "{member}");
    }
    let text = stage.request("POST", "/v2/core/event_destinations").bearer_auth(&stage.key).body("name=x");
    let text = stage.send("POST", "/v2/core/event_destinations", text).await;
    assert_eq!(text.refusal(), "400 invalid_json -");
    let nobody = stage.send("GET", "/v2/core/events", stage.request("GET", "/v2/core/events")).await;
    assert_eq!(nobody.refusal(), "401 unauthenticated -");
    let made = send(&stage, "POST", "/v2/core/event_destinations", &base).await.ok();
    let path = format!("/v2/core/event_destinations/{}", made["id"].as_str().unwrap());
    // Deletions of v2 are idempotent: the same key answers the same, without a second look.
    let delete = async || {
        let request = stage.request("DELETE", &path).bearer_auth(&stage.key).header("idempotency-key", "d-1");
        stage.send("DELETE", &path, request).await
    };
    assert_eq!(delete().await.status, 200);
    let again = delete().await;
    assert_eq!((again.status, again.header("idempotent-replayed")), (200, "true"));
}
