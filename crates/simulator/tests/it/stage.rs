//! A simulator on a port of its own, and a client that holds every answer against Stripe's description.

use crate::description::description;
use kit::{ExposeSecret, HandClock, Time};
use reqwest::header::HeaderMap;
use serde_json::Value;
use simulator::{Options, RetryPlan, Simulator};
use std::time::Duration;
use tokio::sync::oneshot;

/// 2026-11-21T12:00:00Z
pub(crate) const NOW: i64 = 1_795_262_400;

pub(crate) struct Stage {
    pub(crate) simulator: Simulator,
    pub(crate) account: String,
    pub(crate) key: String,
    pub(crate) live_key: String,
    pub(crate) base: String,
    pub(crate) client: reqwest::Client,
    _stop: oneshot::Sender<()>,
}

pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Value,
}

impl Reply {
    #[track_caller]
    pub(crate) fn ok(self) -> Value {
        assert_eq!(self.status, 200, "{}", self.body);
        self.body
    }

    /// The refusal as `status code param`, for tables.
    pub(crate) fn refusal(&self) -> String {
        let error = &self.body["error"];
        let word = |name: &str| error[name].as_str().unwrap_or("-").to_owned();
        format!("{} {} {}", self.status, word("code"), word("param"))
    }

    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
    }
}

pub(crate) fn options() -> Options {
    Options {
        clock: HandClock::at(Time::from_seconds(NOW)).shared(),
        seed: 7,
        webhook_retry: RetryPlan::quick(),
        ..Options::default()
    }
}

impl Stage {
    pub(crate) async fn new() -> Stage {
        Stage::with(options()).await
    }

    pub(crate) async fn with(options: Options) -> Stage {
        let simulator = Simulator::new(options);
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let base = format!("http://{}", listener.local_addr().unwrap());
        let (stop, stopped) = oneshot::channel::<()>();
        tokio::spawn(simulator.clone().serve(listener, async {
            let _ = stopped.await;
        }));
        let keys = simulator.default_account();
        Stage {
            account: keys.account_id.clone(),
            key: keys.secret_key_test.expose_secret().to_owned(),
            live_key: keys.secret_key_live.expose_secret().to_owned(),
            simulator,
            base,
            client: reqwest::Client::builder().no_proxy().build().unwrap(),
            _stop: stop,
        }
    }

    pub(crate) fn request(&self, method: &str, path: &str) -> reqwest::RequestBuilder {
        let method = reqwest::Method::from_bytes(method.as_bytes()).unwrap();
        self.client.request(method, format!("{}{path}", self.base))
    }

    /// Sends, reads, and holds the answer against the description.
    pub(crate) async fn send(&self, method: &str, path: &str, request: reqwest::RequestBuilder) -> Reply {
        let answer = request.send().await.unwrap();
        let status = answer.status().as_u16();
        let headers = answer.headers().clone();
        let text = answer.text().await.unwrap();
        let body: Value =
            serde_json::from_str(&text).unwrap_or_else(|error| panic!("{method} {path}: {error} in {text}"));
        check(method, path.split('?').next().unwrap(), status, &body);
        Reply { status, headers, body }
    }

    pub(crate) async fn get(&self, path: &str) -> Reply {
        self.send("GET", path, self.request("GET", path).bearer_auth(&self.key)).await
    }

    pub(crate) async fn post(&self, path: &str, form: &str) -> Reply {
        let request = self.request("POST", path).bearer_auth(&self.key).body(form.to_owned());
        self.send("POST", path, request.header("content-type", "application/x-www-form-urlencoded")).await
    }

    pub(crate) async fn delete(&self, path: &str) -> Reply {
        self.send("DELETE", path, self.request("DELETE", path).bearer_auth(&self.key)).await
    }

    /// A POST that must succeed; answers the id of its object.
    pub(crate) async fn make(&self, path: &str, form: &str) -> String {
        self.post(path, form).await.ok()["id"].as_str().unwrap().to_owned()
    }

    /// A customer who pays with a card that pays.
    pub(crate) async fn payer(&self) -> String {
        let customer = self.make("/v1/customers", "name=Ada&email=ada%40customer.example").await;
        let method = self.make("/v1/payment_methods/pm_card_visa/attach", &format!("customer={customer}")).await;
        self.make(&format!("/v1/customers/{customer}"), &format!("invoice_settings[default_payment_method]={method}"))
            .await
    }

    /// A monthly price in dollars.
    pub(crate) async fn monthly(&self, amount: i64) -> String {
        let form = format!("currency=usd&unit_amount={amount}&recurring[interval]=month&product_data[name]=Plan");
        self.make("/v1/prices", &form).await
    }

    /// A successful payment; answers the charge.
    pub(crate) async fn charge(&self, form: &str) -> String {
        let form = format!("currency=usd&payment_method=pm_card_visa&confirm=true&{form}");
        self.post("/v1/payment_intents", &form).await.ok()["latest_charge"].as_str().unwrap().to_owned()
    }

    /// Types of all events, oldest first.
    pub(crate) async fn events(&self) -> Vec<String> {
        let list = self.get("/v1/events?limit=100").await.ok();
        list["data"].as_array().unwrap().iter().rev().map(|event| event["type"].as_str().unwrap().to_owned()).collect()
    }

    pub(crate) async fn control(&self, method: &str, path: &str, body: &Value) -> Value {
        let answer = self.request(method, path).body(body.to_string()).send().await.unwrap();
        let (status, text) = (answer.status(), answer.text().await.unwrap());
        assert!(status.is_success(), "{method} {path}: {status} {text}");
        serde_json::from_str(&text).unwrap()
    }

    pub(crate) async fn advance_days(&self, days: i64) {
        self.control("POST", "/_sim/time", &serde_json::json!({ "advance_seconds": days * 86_400 })).await;
    }
}

/// An answer must be what Stripe's description says; so must the object of every event in it.
pub(crate) fn check(method: &str, path: &str, status: u16, body: &Value) {
    let description = description();
    let schema = if status == 200 {
        // Resending an event is a call of the CLI's that is not described.
        if path.ends_with("/retry") {
            description.schema("event")
        } else {
            let operation =
                description.operation(method, path).unwrap_or_else(|| panic!("{method} {path} is not described"));
            &operation["responses"]["200"]["content"]["application/json"]["schema"]
        }
    } else {
        description.schema("error")
    };
    let faults = description.faults(schema, &without_related(body), "answer");
    assert!(faults.is_empty(), "{method} {path} answered {status} with faults:\n{}\n{body}", faults.join("\n"));
    let events =
        body["data"].as_array().into_iter().flatten().chain([body]).filter(|object| object["object"] == "event");
    for event in events {
        check_event(event);
    }
}

/// The description has the base of thin events only: what an event is about belongs to its type, which says whether it has any.
fn without_related(body: &Value) -> Value {
    let mut body = body.clone();
    let strip = |event: &mut Value| {
        if event["object"] != "v2.core.event" {
            return;
        }
        let kind = event["type"].as_str().unwrap().to_owned();
        let has = description().thin_has_object(&kind).unwrap_or_else(|| panic!("there are no thin events {kind}"));
        let related = event.as_object_mut().unwrap().remove("related_object");
        assert_eq!(related.is_some(), has, "{kind}");
        for member in ["id", "type", "url"] {
            assert!(related.as_ref().is_none_or(|related| related[member].is_string()), "{kind}: {related:?}");
        }
    };
    match body.get_mut("data").and_then(Value::as_array_mut) {
        Some(events) => events.iter_mut().for_each(strip),
        None => strip(&mut body),
    }
    body
}

/// The object of an event must be what the description says events of its type hold.
pub(crate) fn check_event(event: &Value) {
    let description = description();
    let kind = event["type"].as_str().unwrap();
    let names = description.event_objects(kind);
    assert!(!names.is_empty(), "there are no events {kind}");
    let object = &event["data"]["object"];
    let faults = names
        .iter()
        .map(|name| description.faults(description.schema(name), object, name))
        .min_by_key(Vec::len)
        .unwrap();
    assert!(faults.is_empty(), "{kind} has faults:\n{}\n{object}", faults.join("\n"));
}

/// Waits for a state, as long as it takes within reason.
pub(crate) async fn until<T>(what: &str, mut look: impl AsyncFnMut() -> Option<T>) -> T {
    for _ in 0..2_000 {
        if let Some(found) = look().await {
            return found;
        }
        kit::clock::pause(Duration::from_millis(5)).await;
    }
    panic!("never came: {what}");
}
