//! How fast the simulator makes a business and gives it out: `cargo run --release -p bursar-simulator --example speed [charges]`.
//!
//! Reader and simulator share the machine, as they do in Bursar's own measurements.

#![expect(clippy::print_stdout, reason = "its output is what it is for")]

use kit::{ExposeSecret, Stopwatch};
use simulator::{Business, Options, Simulator};
use std::error::Error;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let charges = std::env::args().nth(1).and_then(|text| text.parse().ok()).unwrap_or(60_000);
    let simulator = Simulator::new(Options::default());
    let keys = simulator.default_account();
    let watch = Stopwatch::start();
    let summary =
        simulator.generate(&keys.account_id, &Business { charges, customers: charges / 12, ..Business::default() })?;
    let objects: usize = summary.objects.values().sum();
    println!("generated {objects} objects in {} ms: {:?}", watch.elapsed_ms(), summary.objects);
    println!("memory: {}", memory());

    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
    let base = format!("http://{}", listener.local_addr()?);
    tokio::spawn(simulator.clone().serve(listener, std::future::pending()));
    let paths = ["charges", "balance_transactions", "invoices", "payment_intents"];
    let watch = Stopwatch::start();
    let key = keys.secret_key_test.expose_secret().to_owned();
    let readers = paths.map(|path| tokio::spawn(read(format!("{base}/v1/{path}"), key.clone())));
    let (mut read, mut bytes) = (0, 0);
    for reader in readers {
        let (count, size) = reader.await?.map_err(|error| error.to_string())?;
        read += count;
        bytes += size;
    }
    let elapsed = watch.elapsed();
    println!(
        "read {read} objects ({} MB) in {} ms: {:.0} objects/s",
        bytes >> 20,
        elapsed.as_millis(),
        read as f64 / elapsed.as_secs_f64()
    );
    Ok(())
}

/// Reads a list to its end; only the ids are looked for, so that the reader costs little.
async fn read(url: String, key: String) -> Result<(usize, usize), Box<dyn Error + Send + Sync>> {
    let client = reqwest::Client::builder().no_proxy().build()?;
    let (mut count, mut size, mut after) = (0, 0, String::new());
    loop {
        let text = client.get(format!("{url}?limit=100{after}")).bearer_auth(&key).send().await?.text().await?;
        size += text.len();
        let mut last = "";
        for part in text.split("{\"id\":\"").skip(1) {
            let id = part.split('"').next().unwrap_or_default();
            if part.contains("\"created\":")
                && ["ch_", "txn_", "in_", "pi_"].iter().any(|prefix| id.starts_with(prefix))
            {
                last = id;
                count += 1;
            }
        }
        if last.is_empty() || !text.contains("\"has_more\":true,\"data\"") {
            return Ok((count, size));
        }
        after = format!("&starting_after={last}");
    }
}

fn memory() -> String {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    status.lines().find(|line| line.starts_with("VmRSS")).unwrap_or("unknown").to_owned()
}
