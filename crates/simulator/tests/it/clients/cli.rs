//! The official CLI: plain calls, resource commands, `trigger`, `listen --forward-to` and `events resend`.

use super::{installed, stage};
use crate::{
    stage::{Stage, check_event, options, until},
    webhooks::{receiver, verify},
};
use kit::SystemClock;
use serde_json::Value;
use simulator::Options;
use std::{path::PathBuf, process::Stdio};
use tokio::{
    io::{AsyncBufReadExt, BufReader},
    process::{Child, Command},
};

/// The CLI's program: the installed one, or another where the registry has none for this machine.
fn program() -> PathBuf {
    match std::env::var_os("BURSAR_TEST_STRIPE_CLI") {
        Some(path) => path.into(),
        None => installed("node/node_modules/@stripe/cli-linux-x64/bin/stripe"),
    }
}

/// A person's machine: the CLI, and a folder for what it keeps.
struct Desk<'a> {
    stage: &'a Stage,
    home: tempfile::TempDir,
}

impl Desk<'_> {
    fn new(stage: &Stage) -> Desk<'_> {
        Desk { stage, home: tempfile::tempdir().unwrap() }
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(program());
        command.args(arguments).args(["--api-base", &self.stage.base, "--api-key", &self.stage.key, "--color", "off"]);
        command.env("HOME", self.home.path()).env("XDG_CONFIG_HOME", self.home.path());
        command.env("STRIPE_CLI_TELEMETRY_OPTOUT", "1").env("STRIPE_DEVICE_NAME", "desk");
        // Whatever it asks of other machines, such as whether it is the newest, fails at once.
        for name in ["HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy"] {
            command.env(name, "http://127.0.0.1:1");
        }
        command.env("NO_PROXY", "127.0.0.1,localhost").env("no_proxy", "127.0.0.1,localhost");
        command.stdin(Stdio::null()).kill_on_drop(true);
        command
    }

    /// Runs a command to its end; it must succeed.
    async fn run(&self, arguments: &[&str]) -> String {
        let output = self.command(arguments).output().await.unwrap();
        let told = String::from_utf8_lossy(&output.stdout).into_owned();
        let complaints = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "stripe {}: {}\n{told}\n{complaints}", arguments.join(" "), output.status);
        told
    }

    /// Runs a command that answers an object.
    async fn object(&self, arguments: &[&str]) -> Value {
        let told = self.run(arguments).await;
        serde_json::from_str(&told).unwrap_or_else(|error| panic!("stripe {}: {error} in {told}", arguments.join(" ")))
    }

    /// Listens until dropped; answers when it is ready, with the secret it was given.
    async fn listen(&self, arguments: &[&str]) -> (Child, String) {
        let mut child = self.command(arguments).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
        let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
        let mut told = String::new();
        while let Some(line) = lines.next_line().await.unwrap() {
            told.push_str(&line);
            if let Some((_, rest)) = line.split_once("signing secret is ") {
                let secret = rest.split(' ').next().unwrap().to_owned();
                // What it says from here on must not fill the pipe.
                tokio::spawn(async move { while let Ok(Some(_)) = lines.next_line().await {} });
                return (child, secret);
            }
        }
        panic!("stripe {} was never ready: {told}", arguments.join(" "));
    }
}

#[tokio::test]
async fn the_cli_reads_and_writes_with_plain_calls_and_resource_commands() {
    let stage = stage().await;
    let desk = Desk::new(&stage);
    let made = desk.object(&["post", "/v1/customers", "-d", "name=Ada", "-d", "metadata[plan]=gold"]).await;
    let id = made["id"].as_str().unwrap();
    assert_eq!(desk.object(&["get", &format!("/v1/customers/{id}")]).await["metadata"]["plan"], "gold");
    let by_id = desk.object(&["customers", "retrieve", id]).await;
    assert_eq!(by_id["name"], "Ada");
    let other = desk.object(&["customers", "create", "--name", "Bob Ö.", "-d", "metadata[plan]=silver"]).await;
    let changed = desk.object(&["customers", "update", id, "-d", "metadata[plan]="]).await;
    assert_eq!(changed["metadata"], serde_json::json!({}));
    let page = desk.object(&["customers", "list", "--limit", "1", "--ending-before", id]).await;
    assert_eq!(page["data"][0]["id"], other["id"]);
    stage.charge("amount=1200").await;
    let charges = desk.object(&["charges", "list", "--limit", "3", "-e", "data.balance_transaction"]).await;
    assert_eq!(charges["data"][0]["balance_transaction"]["amount"], 1200);
    let refund = desk
        .object(&["refunds", "create", "-d", &format!("charge={}", charges["data"][0]["id"].as_str().unwrap())])
        .await;
    assert_eq!(refund["status"], "succeeded");
    assert_eq!(desk.object(&["delete", &format!("/v1/customers/{id}"), "--confirm"]).await["deleted"], true);
    let balance = desk.object(&["balance", "retrieve"]).await;
    assert_eq!(balance["object"], "balance");
    // The CLI shows a refusal, and does not call it a success in words.
    let refused = desk.command(&["get", "/v1/customers/cus_none"]).output().await.unwrap();
    let shown = String::from_utf8_lossy(&refused.stdout).into_owned() + &String::from_utf8_lossy(&refused.stderr);
    assert!(shown.contains("resource_missing"), "{shown}");
}

/// Events that `trigger` makes by plain calls from scripts of its own, and what each must leave behind.
const TRIGGERED: [&str; 26] = [
    "customer.created",
    "customer.updated",
    "customer.deleted",
    "product.created",
    "product.updated",
    "product.deleted",
    "price.created",
    "price.updated",
    "coupon.created",
    "coupon.deleted",
    "payment_intent.canceled",
    "payment_method.attached",
    "payment_method.detached",
    "customer.subscription.trial_will_end",
    "invoice.created",
    "invoice.finalized",
    "invoice.paid",
    "invoice.payment_succeeded",
    "invoice.payment_failed",
    "invoice.sent",
    "invoice.updated",
    "invoice.voided",
    "invoice.deleted",
    "invoice.marked_uncollectible",
    "invoiceitem.created",
    "invoiceitem.deleted",
];

/// Events whose scripts name `payment_method_types`, which versions since endive refuse: the account's default version decides,
/// since the CLI names none for these calls (FACTS sections 1 and 15).
const TRIGGERED_BEFORE_ENDIVE: [&str; 26] = [
    "charge.captured",
    "charge.dispute.closed",
    "charge.dispute.created",
    "charge.dispute.updated",
    "charge.failed",
    "charge.refund.updated",
    "charge.refunded",
    "charge.succeeded",
    "payment_intent.amount_capturable_updated",
    "payment_intent.created",
    "payment_intent.payment_failed",
    "payment_intent.requires_action",
    "payment_intent.succeeded",
    "payout.created",
    "payout.updated",
    "setup_intent.canceled",
    "setup_intent.created",
    "setup_intent.requires_action",
    "setup_intent.setup_failed",
    "setup_intent.succeeded",
    "tax_rate.created",
    "tax_rate.updated",
    "test_helpers.test_clock.advancing",
    "test_helpers.test_clock.created",
    "test_helpers.test_clock.deleted",
    "test_helpers.test_clock.ready",
];

#[tokio::test]
async fn the_cli_triggers_ordinary_events() {
    triggers(&TRIGGERED, simulator::API_VERSION).await;
}

#[tokio::test]
async fn the_cli_triggers_payments_where_the_accounts_version_is_older() {
    triggers(&TRIGGERED_BEFORE_ENDIVE, "2026-08-26.dahlia").await;
}

async fn triggers(kinds: &'static [&'static str], default_version: &'static str) {
    // An account each, since the scripts choose ids of their own; a few at a time, since each is a process.
    let mut waiting = kinds.iter();
    let mut running = tokio::task::JoinSet::new();
    loop {
        while running.len() < 4
            && let Some(kind) = waiting.next()
        {
            running.spawn(async move {
                let stage = Stage::with(Options { clock: SystemClock::shared(), default_version, ..options() }).await;
                Desk::new(&stage).run(&["trigger", kind]).await;
                let events = stage.get(&format!("/v1/events?type={kind}")).await.ok();
                events["data"].as_array().unwrap().iter().for_each(check_event);
                // This one is three days before a trial's end, and the script leaves it at that.
                let comes_later = *kind == "customer.subscription.trial_will_end";
                assert!(comes_later || !events["data"].as_array().unwrap().is_empty(), "{kind} left no event");
            });
        }
        match running.join_next().await {
            Some(ended) => ended.unwrap(),
            None => break,
        }
    }
}

#[tokio::test]
async fn the_cli_forwards_events_signed_and_resends_one() {
    let stage = stage().await;
    let desk = Desk::new(&stage);
    let (heard, url) = receiver().await;
    let (_listening, secret) = desk.listen(&["listen", "--all-snapshot", "--forward-to", &url]).await;
    assert_eq!(stage.simulator.stats().cli.connected, 1);
    let customer = stage.make("/v1/customers", "name=Ada").await;
    stage.make(&format!("/v1/customers/{customer}"), "name=Bob").await;
    let mut kinds = heard.wait_for(2).await;
    kinds.sort();
    assert_eq!(kinds, ["customer.created", "customer.updated"]);
    heard.messages.lock().unwrap().iter().for_each(|(signature, body)| {
        verify(signature, body, &secret);
        check_event(&serde_json::from_str(body).unwrap());
    });
    until("both acknowledged and answered", async || {
        let cli = stage.simulator.stats().cli;
        (cli.told == 2 && cli.delivered == 2 && cli.acknowledged >= 2).then_some(())
    })
    .await;
    // An answer that is no success is told too.
    heard.failing.store(1, std::sync::atomic::Ordering::SeqCst);
    stage.make("/v1/products", "name=Plan").await;
    until("a refusal", async || (stage.simulator.stats().cli.refused == 1).then_some(())).await;
    let event = stage.get("/v1/events?type=product.created").await.ok()["data"][0]["id"].as_str().unwrap().to_owned();
    assert_eq!(desk.object(&["events", "resend", &event]).await["id"], event);
    until("the resent event is told", async || (stage.simulator.stats().cli.told == 4).then_some(())).await;
    let kinds = heard.wait_for(4).await;
    assert_eq!(kinds[2..], ["product.created", "product.created"]);
    // Nothing of this is an endpoint's.
    assert_eq!(stage.simulator.stats().webhooks.deliveries, 0);
}

#[tokio::test]
async fn the_cli_listens_for_chosen_events_in_the_newest_version() {
    let stage = stage().await;
    let desk = Desk::new(&stage);
    let (heard, url) = receiver().await;
    let arguments = ["listen", "--events", "product.created,customer.deleted", "--latest", "--forward-to", &url];
    let (mut listening, secret) = desk.listen(&arguments).await;
    let customer = stage.make("/v1/customers", "name=Ada").await;
    stage.make("/v1/products", "name=Plan").await;
    stage.delete(&format!("/v1/customers/{customer}")).await.ok();
    let mut kinds = heard.wait_for(2).await;
    kinds.sort();
    assert_eq!(kinds, ["customer.deleted", "product.created"]);
    let (signature, body) = heard.messages.lock().unwrap()[0].clone();
    verify(&signature, &body, &secret);
    listening.kill().await.unwrap();
    until("the connection is gone", async || (stage.simulator.stats().cli.connected == 0).then_some(())).await;
}

#[tokio::test]
async fn a_session_needs_its_permission_and_a_connection_its_session() {
    let stage = stage().await;
    let key = stage.control("POST", "/_sim/keys", &serde_json::json!({ "permissions": ["rak_event_read"] })).await;
    let path = "/v1/stripecli/sessions";
    let ask = |key: &str, form: &str| {
        let request = stage.request("POST", path).bearer_auth(key).body(form.to_owned());
        request.header("content-type", "application/x-www-form-urlencoded")
    };
    let form = "device_name=desk&websocket_features[]=webhooks";
    let refused = stage.send("POST", path, ask(key["key"].as_str().unwrap(), form)).await;
    let message = refused.body["error"]["message"].as_str().unwrap();
    assert!(refused.status == 403 && message.contains("rak_stripecli_session_write"), "{message}");
    let logs = stage.send("POST", path, ask(&stage.key, "device_name=desk&websocket_features[]=request_logs")).await;
    assert_eq!(logs.refusal(), "400 - websocket_features[0]");
    for (headers, expected) in [
        (vec![], 400),
        (
            vec![
                ("upgrade", "websocket"),
                ("connection", "upgrade"),
                ("sec-websocket-version", "13"),
                ("sec-websocket-key", "AAAAAAAAAAAAAAAAAAAAAA=="),
            ],
            401,
        ),
    ] {
        let mut request = stage.request("GET", "/v1/stripecli/subscribe").header("websocket-id", "cliws_none");
        for (name, value) in headers {
            request = request.header(name, value);
        }
        assert_eq!(request.send().await.unwrap().status().as_u16(), expected);
    }
}
