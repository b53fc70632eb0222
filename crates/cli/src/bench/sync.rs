//! `bursar bench sync`: full syncs against the simulator, without limits and at Stripe's.

use super::{Common, child::Process, ground::Ground, print_figures};
use crate::{commands::sync::ended, failure::Failure};
use anyhow::Context;
use clap::Args;
use platform::config::Config;
use serde_json::{Value, json};
use std::time::Duration;

/// Full syncs of a simulated business: a small and a ten times larger one without limits, then one at Stripe's limits.
#[derive(Args)]
pub(crate) struct Sync {
    #[command(flatten)]
    common: Common,
    /// Charges of the larger business; everything else grows with them.
    #[arg(long, default_value_t = 60_000)]
    charges: u64,
    /// Leave out the part at Stripe's limits, which takes as long as Stripe allows.
    #[arg(long)]
    without_limited: bool,
}

/// What one full sync took.
struct Measured {
    seconds: f64,
    objects: u64,
    calls: u64,
    fewest_calls: u64,
    shortest_seconds: f64,
    throttled: u64,
    peak_memory: u64,
}

impl Sync {
    pub(crate) async fn run(self, config: &Config) -> Result<(), Failure> {
        let small = full_sync(config, self.charges / 10, None).await?;
        let large = full_sync(config, self.charges, None).await?;
        let mut figures = json!({
            "benchmark": "sync",
            "engine": if config.database_url.is_some() { "postgres" } else { "sqlite" },
            "without_limits": {
                "objects": large.objects, "seconds": rounded(large.seconds), "objects_per_second": (large.objects as f64 / large.seconds).round(),
                "calls": large.calls, "fewest_calls": large.fewest_calls, "calls_over_fewest": rounded(large.calls as f64 / large.fewest_calls as f64),
            },
            "memory": {
                "objects_small": small.objects, "peak_mb_small": small.peak_memory / 1_000_000,
                "objects_large": large.objects, "peak_mb_large": large.peak_memory / 1_000_000,
            },
        });
        if !self.without_limited {
            let limited = full_sync(config, self.charges, Some(100)).await?;
            figures["at_stripes_limits"] = json!({
                "latency_ms": 100, "objects": limited.objects, "seconds": rounded(limited.seconds),
                "objects_per_second": (limited.objects as f64 / limited.seconds).round(),
                "shortest_seconds": rounded(limited.shortest_seconds),
                "share_of_limit": rounded(limited.shortest_seconds / limited.seconds),
                "calls": limited.calls, "calls_over_fewest": rounded(limited.calls as f64 / limited.fewest_calls as f64),
                "throttled": limited.throttled,
            });
        }
        print_figures(&figures, self.common.json)
    }
}

/// One full sync in processes of its own. `latency_ms` puts the simulator at Stripe's limits, in live mode.
async fn full_sync(config: &Config, charges: u64, latency_ms: Option<u64>) -> Result<Measured, Failure> {
    let mut arguments = ["sim", "--json", "--listen", "127.0.0.1:0", "--seed", "7"].map(str::to_owned).to_vec();
    arguments.extend([
        "--charges".to_owned(),
        charges.to_string(),
        "--customers".to_owned(),
        (charges / 12).max(1).to_string(),
    ]);
    let environment = if let Some(latency_ms) = latency_ms {
        arguments.extend(["--live", "--limits", "--latency-ms"].map(str::to_owned));
        arguments.push(latency_ms.to_string());
        "live"
    } else {
        "test"
    };
    let simulator = Process::simulator(&arguments).await?;
    let key = simulator.about[format!("{environment}_key")].as_str().context("the simulator's key")?.to_owned();
    let ground = Ground::new(config, &simulator.url).await?;
    let (node, _) = ground.node(if latency_ms.is_some() { &[] } else { &["--without-limits"] }).await?;
    let before = calls(&simulator).await?;
    let watch = kit::Stopwatch::start();
    let connect = json!({ "api_key": key, "webhook": "none" });
    let connection = ground.call(&node, reqwest::Method::POST, "/v1/connections", environment, Some(connect)).await?;
    let id = connection["id"].as_str().context("the connection's id")?.to_owned();
    loop {
        let status = ground
            .call(&node, reqwest::Method::GET, &format!("/v1/connections/{id}/sync-status"), environment, None)
            .await?;
        if let Some(outcome) = ended(&status) {
            outcome.map_err(|error| anyhow::anyhow!("the sync failed: {error}"))?;
            break;
        }
        kit::clock::pause(Duration::from_millis(20)).await;
    }
    let seconds = watch.elapsed().as_secs_f64();
    let peak_memory = node.memory()?.peak;
    let after = calls(&simulator).await?;
    let measured = measure(&before, &after, seconds, peak_memory)?;
    node.stop().await?;
    simulator.stop().await?;
    ground.remove().await?;
    Ok(measured)
}

/// The simulator's own count of calls and objects.
async fn calls(simulator: &Process) -> Result<Value, Failure> {
    let answer =
        reqwest::get(format!("{}/_sim/stats", simulator.url)).await.context("asking the simulator for its figures")?;
    Ok(serde_json::from_slice(&answer.bytes().await.context("reading the simulator's figures")?)?)
}

/// Kinds that a full sync reads, as the simulator's figures name them: list endpoint and object.
const LISTED: [(&str, &str); 11] = [
    ("GET /v1/charges", "charge"),
    ("GET /v1/refunds", "refund"),
    ("GET /v1/disputes", "dispute"),
    ("GET /v1/balance_transactions", "balance_transaction"),
    ("GET /v1/customers", "customer"),
    ("GET /v1/products", "product"),
    ("GET /v1/prices", "price"),
    ("GET /v1/subscriptions", "subscription"),
    ("GET /v1/invoices", "invoice"),
    ("GET /v1/invoice_payments", "invoice_payment"),
    ("GET /v1/payouts", "payout"),
];

fn measure(before: &Value, after: &Value, seconds: f64, peak_memory: u64) -> Result<Measured, Failure> {
    let count = |stats: &Value, group: &str, name: &str| stats[group][name].as_u64().unwrap_or(0);
    let (mut objects, mut made, mut fewest, mut longest_list) = (0, 0, 0, 0);
    for (endpoint, object) in LISTED {
        let number = count(after, "objects", object);
        let pages = number.div_ceil(100).max(1);
        objects += number;
        fewest += pages;
        longest_list = longest_list.max(pages);
        made += count(after, "calls", endpoint) - count(before, "calls", endpoint);
    }
    // At 25 calls a second an endpoint and 100 an account nothing can be faster than this.
    let shortest_seconds = (longest_list as f64 / 25.0).max(fewest as f64 / 100.0);
    let throttled = after["limited"].as_object().into_iter().flatten().filter_map(|(_, count)| count.as_u64()).sum();
    Ok(Measured { seconds, objects, calls: made, fewest_calls: fewest, shortest_seconds, throttled, peak_memory })
}

fn rounded(value: f64) -> f64 {
    (value * 1_000.0).round() / 1_000.0
}
