//! `bursar bench webhooks`: signed events, durable before the answer.

use super::{
    Common,
    child::Process,
    ground::Ground,
    load::{self, MakeRequest, Pace},
    milliseconds, percentile, print_figures,
};
use crate::{commands::tenant_of, failure::Failure};
use anyhow::Context;
use clap::Args;
use gateway::{NewConnectionRequest, WebhookChoice};
use kit::{Clock, Environment, Secret, SystemClock, clock::pause};
use platform::config::Config;
use serde_json::{Value, json};
use std::{sync::Arc, time::Duration};

/// Signed webhooks with a charge each: first at a steady rate, then as many as the node takes.
#[derive(Args)]
pub(crate) struct Webhooks {
    #[command(flatten)]
    common: Common,
    /// Events a second in the steady part.
    #[arg(long, default_value_t = 2_000)]
    rate: u64,
    /// Seconds of each part.
    #[arg(long, default_value_t = 10)]
    seconds: u64,
}

/// Connections of the steady part and of the capacity part.
const CONNECTIONS: (u64, u64) = (32, 64);
const SECRET: &str = "whsec_for_one_benchmark_only";

impl Webhooks {
    pub(crate) async fn run(self, config: &Config) -> Result<(), Failure> {
        let simulator = Process::simulator(
            &["sim", "--json", "--listen", "127.0.0.1:0", "--customers", "20", "--charges", "100"].map(str::to_owned),
        )
        .await?;
        let ground = Ground::new(config, &simulator.url).await?;
        let charge = sample_charge(&simulator).await?;
        let connection = connect(&ground, &simulator).await?;
        let (node, _) = ground.node(&[]).await?;
        let port: u16 = node.url.rsplit(':').next().and_then(|port| port.parse().ok()).context("the node's port")?;
        let make = requests(&connection, &charge);
        let duration = Duration::from_secs(self.seconds);

        load::run(port, make.clone(), 0, CONNECTIONS.0, Pace::PerSecond(self.rate), Duration::from_secs(2)).await?;
        let steady_from = SystemClock.now();
        let steady =
            load::run(port, make.clone(), 10_000_000, CONNECTIONS.0, Pace::PerSecond(self.rate), duration).await?;
        drained(&ground, &node).await?;
        let steady_to = SystemClock.now();
        let capacity = load::run(port, make, 20_000_000, CONNECTIONS.1, Pace::AsFastAsAnswered, duration).await?;
        let drain = kit::Stopwatch::start();
        drained(&ground, &node).await?;
        let drain = drain.elapsed();
        let memory = node.memory()?;
        node.stop().await?;

        let parts = ground.parts().await?;
        let mut lags = parts
            .inbox
            .processing_lags(tenant_of(&parts, Environment::Test), steady_from, steady_to)
            .await
            .map_err(platform::Problem::from)?;
        lags.sort_unstable();
        parts.base.store.close().await;
        drop(parts);
        let latency = |percent| milliseconds(percentile(&steady.latencies_us, percent));
        let lag = |percent| milliseconds(percentile(&lags, percent));
        let processed = capacity.latencies_us.len() as f64 / (capacity.elapsed + drain).as_secs_f64();
        let figures = json!({
            "benchmark": "webhooks",
            "engine": ground.engine(),
            "steady": {
                "rate_per_second": self.rate, "sent": steady.latencies_us.len(), "refused": steady.refused,
                "acknowledged_ms": { "p50": latency(50.0), "p99": latency(99.0), "max": latency(100.0) },
                "processed_ms": { "events": lags.len(), "p50": lag(50.0), "p99": lag(99.0), "max": lag(100.0) },
            },
            "capacity": {
                "acknowledged_per_second": capacity.rate(), "refused": capacity.refused,
                "acknowledged_ms_p99": milliseconds(percentile(&capacity.latencies_us, 99.0)),
                "processed_per_second": processed.round(), "caught_up_after_s": drain.as_secs_f64(),
            },
            "node_memory_mb": memory.resident / 1_000_000,
            "node_memory_peak_mb": memory.peak / 1_000_000,
        });
        simulator.stop().await?;
        ground.remove().await?;
        print_figures(&figures, self.common.json)
    }
}

/// Connects the simulator's account, with a webhook secret set by hand; answers the connection's id.
async fn connect(ground: &Ground, simulator: &Process) -> Result<String, Failure> {
    let parts = ground.parts().await?;
    let key = simulator.about["test_key"].as_str().context("the simulator's key")?;
    let request = NewConnectionRequest {
        api_key: Secret::from(key.to_owned()),
        webhook: WebhookChoice::Secret(Secret::from(SECRET)),
        lookback_days: None,
        display_name: None,
    };
    let tenant = tenant_of(&parts, Environment::Test);
    let connection =
        parts.gateway.connect(tenant, Environment::Test, request).await.map_err(platform::Problem::from)?;
    parts.base.store.close().await;
    Ok(connection.id.to_string())
}

/// A charge as the simulator renders it: events are as large as real ones.
async fn sample_charge(simulator: &Process) -> Result<Value, Failure> {
    let key = simulator.about["test_key"].as_str().context("the simulator's key")?;
    let answer =
        reqwest::Client::new().get(format!("{}/v1/charges?limit=1", simulator.url)).bearer_auth(key).send().await;
    let bytes = answer.context("asking the simulator for a charge")?.bytes().await.context("reading a charge")?;
    let page: Value = serde_json::from_slice(&bytes)?;
    Ok(page["data"][0].clone())
}

/// Requests with one event each: a new charge, signed at the time it is made.
fn requests(connection: &str, charge: &Value) -> MakeRequest {
    const ID: &str = "@@number@@";
    let mut charge = charge.clone();
    charge["id"] = json!(format!("ch_{ID}"));
    charge["balance_transaction"] = Value::Null;
    let event = json!({
        "id": format!("evt_{ID}"), "object": "event", "api_version": stripe::PINNED_VERSION, "created": 0,
        "data": { "object": charge }, "livemode": false, "pending_webhooks": 1,
        "request": { "id": null, "idempotency_key": null }, "type": "charge.succeeded",
    })
    .to_string();
    let path = format!("/webhooks/stripe/{connection}");
    let secret = Secret::from(SECRET);
    Arc::new(move |number| {
        let now = SystemClock.now();
        let body = event
            .replace(ID, &format!("bench{number:012}"))
            .replace("\"created\":0,\"data\"", &format!("\"created\":{},\"data\"", now.seconds()));
        let signature = stripe::signature::sign(body.as_bytes(), std::slice::from_ref(&secret), now);
        let head = format!(
            "POST {path} HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json; charset=utf-8\r\nstripe-signature: {signature}\r\ncontent-length: {}\r\n\r\n",
            body.len()
        );
        [head.as_bytes(), body.as_bytes()].concat()
    })
}

/// Waits until no event waits to be processed.
async fn drained(ground: &Ground, node: &Process) -> Result<(), Failure> {
    for _ in 0..6_000 {
        let waiting = ground.call(node, reqwest::Method::GET, "/v1/inbox?state=ready&limit=1", "test", None).await?;
        if waiting["data"].as_array().is_some_and(Vec::is_empty) {
            return Ok(());
        }
        pause(Duration::from_millis(20)).await;
    }
    Err(anyhow::anyhow!("events still waited after two minutes").into())
}
