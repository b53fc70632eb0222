//! What is accepted, what is refused by name, and that both agree with Stripe's description.

use crate::{
    description::{description, shared_file},
    stage::Stage,
};
use std::collections::BTreeSet;

fn shape(call: &str) -> String {
    let parts = call.split('/').map(|part| if part.starts_with('{') { "{id}" } else { part });
    parts.collect::<Vec<_>>().join("/")
}

/// The CLI's own calls and a page token of v2 are not described.
fn undescribed(pattern: &str, path: &str) -> bool {
    pattern == "/v1/events/{id}/retry"
        || pattern.starts_with("/v1/stripecli/")
        || pattern.starts_with("/v1/payment_pages/")
        || (pattern.starts_with("/v2/") && path == "page")
}

#[test]
fn every_parameter_that_is_accepted_exists_at_stripe_and_holds_the_same() {
    for call in simulator::simulated() {
        let (method, pattern) = (call.method, call.pattern);
        if undescribed(pattern, "") {
            continue;
        }
        let operation =
            description().operation(method, pattern).unwrap_or_else(|| panic!("Stripe has no {method} {pattern}"));
        for (path, kind) in &call.parameters {
            // `expand` is taken on every call; the description lists it where the SDKs type it.
            if path == "expand[]" || undescribed(pattern, path) {
                continue;
            }
            let schemas = description().parameter(operation, path);
            assert!(!schemas.is_empty(), "{method} {pattern} has no parameter {path}");
            let fits = schemas.iter().any(|schema| description().takes(schema, kind));
            assert!(fits, "{method} {pattern} {path} is not {kind}: {schemas:?}");
        }
    }
}

/// What Stripe has and the simulator does not is a table of its own, so that it is refused by the right name.
#[test]
fn the_table_of_parameters_that_are_not_simulated_is_complete() {
    let mut table = String::new();
    for call in simulator::simulated() {
        let Some(operation) = description().operation(call.method, call.pattern) else { continue };
        let accepted: BTreeSet<&str> = call.parameters.iter().map(|(path, _)| path.as_str()).collect();
        let besides = description().parameters_besides(operation, &accepted);
        if !besides.is_empty() {
            table.push_str(&format!("{} {}: {}\n", call.method, call.pattern, besides.join(" ")));
        }
    }
    let written = include_str!("../../src/unsimulated_parameters.txt");
    if table != written {
        let place = std::path::Path::new(env!("CARGO_TARGET_TMPDIR")).join("unsimulated_parameters.txt");
        std::fs::write(&place, table).unwrap();
        panic!("src/unsimulated_parameters.txt is not what Stripe's description says; {} is", place.display());
    }
}

#[test]
fn every_call_of_stripes_is_either_done_or_refused_by_name() {
    let done = simulator::simulated().into_iter().map(|call| shape(&format!("{} {}", call.method, call.pattern)));
    let refused = simulator::unsimulated().iter().map(|call| (*call).to_owned());
    let known: BTreeSet<String> = done.clone().chain(refused.clone()).collect();
    let missing: Vec<String> =
        description().calls().iter().map(|call| shape(call)).filter(|call| !known.contains(call)).collect();
    assert_eq!(missing, Vec::<String>::new());
    let done: BTreeSet<String> = done.collect();
    assert_eq!(
        refused.filter(|call| done.contains(call)).collect::<Vec<_>>(),
        Vec::<String>::new(),
        "done and refused at once"
    );
}

#[tokio::test]
async fn parameters_that_stripe_has_are_told_apart_from_those_it_has_not() {
    let stage = Stage::new().await;
    for (path, form, expected) in [
        (
            "/v1/customers",
            "cash_balance[settings][reconciliation_mode]=manual",
            "400 simulator_does_not_do_this cash_balance",
        ),
        ("/v1/customers", "bogus=1", "400 parameter_unknown bogus"),
        (
            "/v1/payment_intents",
            "amount=100&currency=usd&transfer_data[destination]=acct_1",
            "400 simulator_does_not_do_this transfer_data",
        ),
        (
            "/v1/payment_intents",
            "amount=100&currency=usd&payment_method_types[]=card",
            "400 payment_method_types_no_longer_supported payment_method_types",
        ),
    ] {
        assert_eq!(stage.post(path, form).await.refusal(), expected, "{path} {form}");
    }
}

#[tokio::test]
async fn unknown_urls_and_calls_that_are_not_done_are_told_apart() {
    let stage = Stage::new().await;
    let message =
        |reply: crate::stage::Reply| (reply.status, reply.body["error"]["message"].as_str().unwrap().to_owned());
    let (status, text) = message(stage.get("/v1/foo").await);
    assert!(status == 404 && text.contains("Unrecognized request URL (GET: /v1/foo)"), "{text}");
    let (status, text) = message(stage.post("/v1/transfers", "amount=1").await);
    assert!(status == 404 && text.contains("does not do POST /v1/transfers"), "{text}");
}

#[tokio::test]
async fn answers_carry_the_headers_that_clients_read() {
    let stage = Stage::new().await;
    let reply = stage.get("/v1/customers").await;
    assert!(reply.header("request-id").starts_with("req_"));
    assert_eq!(reply.header("stripe-version"), "2026-10-28.endive");
    assert_eq!(reply.header("content-type"), "application/json");
    assert!(!reply.header("content-length").is_empty());
    let older =
        stage.request("GET", "/v1/customers").bearer_auth(&stage.key).header("stripe-version", "2025-09-30.clover");
    assert_eq!(stage.send("GET", "/v1/customers", older).await.header("stripe-version"), "2025-09-30.clover");
    let wrong = stage.request("GET", "/v1/customers").bearer_auth(&stage.key).header("stripe-version", "2019-01-01");
    assert_eq!(stage.send("GET", "/v1/customers", wrong).await.status, 400);
}

#[tokio::test]
async fn stripes_sample_objects_can_be_loaded_and_read() {
    let stage = Stage::new().await;
    let loaded = stage.simulator.load_fixtures(&stage.account, &shared_file("fixtures.json")).unwrap();
    assert_eq!(loaded.objects, 15);
    for path in [
        "customers",
        "charges",
        "products",
        "prices",
        "invoices",
        "payouts",
        "refunds",
        "disputes",
        "balance_transactions",
    ] {
        let list = stage.client.get(format!("{}/v1/{path}", stage.base)).bearer_auth(&stage.key).send().await.unwrap();
        let list: serde_json::Value = serde_json::from_str(&list.text().await.unwrap()).unwrap();
        assert_eq!(list["data"].as_array().unwrap().len(), 1, "{path}");
    }
    assert!(stage.simulator.load_fixtures(&stage.account, "[]").is_err());
}
