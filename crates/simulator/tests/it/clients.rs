//! Stripe's own clients against the simulator: unchanged, as a user installs them (FACTS section 15).
//!
//! The scripts are in `tests/clients`; each prints a line of JSON per case. `cargo xtask clients` installs what they need.

mod cli;
mod node;
mod python;

use crate::stage::{Stage, check_event, options};
use kit::SystemClock;
use serde_json::Value;
use simulator::Options;
use std::{
    path::{Path, PathBuf},
    process::Stdio,
};
use tokio::process::Command;

/// Where `cargo xtask clients` installs them: beside what cargo builds, and never outside of it.
pub(crate) fn installed(what: &str) -> PathBuf {
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).parent().unwrap();
    let path = target.join("clients").join(what);
    assert!(
        path.exists(),
        "Stripe's official clients are not installed: {} is missing. `cargo xtask clients` installs them (it names first \
         what, needs Node with npm and Python with pip, and the network of their registries)",
        path.display()
    );
    path
}

fn scripts(language: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/clients").join(language)
}

/// A simulator for clients: they hold signatures against the machine's clock, so it runs on that.
async fn stage() -> Stage {
    Stage::with(Options { clock: SystemClock::shared(), ..options() }).await
}

/// Runs a suite of cases to its end. Every case must be told, and every one must be well.
async fn run(stage: &Stage, command: &mut Command) -> Vec<String> {
    let output = command
        .env("SIMULATOR_URL", &stage.base)
        .env("SIMULATOR_KEY", &stage.key)
        .env("SIMULATOR_LIVE_KEY", &stage.live_key)
        // A proxy of the machine's must not come between two programs on it.
        .env("NO_PROXY", "127.0.0.1,localhost")
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .output()
        .await
        .unwrap_or_else(|error| panic!("{:?} could not be started: {error}", command.as_std().get_program()));
    let (told, complaints) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    let lines: Vec<Value> = told
        .lines()
        .map(|line| serde_json::from_str(line).unwrap_or_else(|_| panic!("not a result: {line}\n{complaints}")))
        .collect();
    let failures: Vec<String> = lines
        .iter()
        .filter(|line| line["ok"] == false)
        .map(|line| {
            format!("{}\n    {}", line["case"], line["error"].as_str().unwrap_or_default().replace('\n', "\n    "))
        })
        .collect();
    assert!(failures.is_empty(), "{} cases failed:\n{}\n{complaints}", failures.len(), failures.join("\n"));
    let cases: Vec<String> = lines.iter().filter_map(|line| Some(line["case"].as_str()?.to_owned())).collect();
    let last = lines.last().unwrap_or_else(|| panic!("nothing was told: {complaints}"));
    assert_eq!(last["done"], cases.len(), "the run ended early: {told}\n{complaints}");
    assert!(output.status.success(), "{}: {complaints}", output.status);
    cases
}

/// Everything the clients made fits Stripe's description; the stage checks each answer it reads.
async fn all_objects_fit(stage: &Stage) {
    for name in [
        "products",
        "prices",
        "coupons",
        "customers",
        "payment_intents",
        "charges",
        "refunds",
        "disputes",
        "balance_transactions",
        "payouts",
        "subscriptions",
        "invoices",
        "invoiceitems",
        "invoice_payments",
    ] {
        let all = if name == "subscriptions" { "&status=all" } else { "" };
        let list = stage.get(&format!("/v1/{name}?limit=100{all}")).await.ok();
        assert!(!list["data"].as_array().unwrap().is_empty(), "the clients made no {name}");
    }
    let events = stage.get("/v1/events?limit=100").await.ok();
    for event in events["data"].as_array().unwrap() {
        check_event(event);
    }
}
