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

#[test]
fn every_parameter_that_is_accepted_exists_at_stripe() {
    for (method, pattern, paths) in simulator::accepted_parameters() {
        if pattern == "/v1/events/{id}/retry" {
            continue; // The CLI's, not described.
        }
        let operation =
            description().operation(method, pattern).unwrap_or_else(|| panic!("Stripe has no {method} {pattern}"));
        for path in paths {
            // `expand` is taken on every call; the description lists it where the SDKs type it.
            if path != "expand[]" {
                assert!(description().has_parameter(operation, &path), "{method} {pattern} has no parameter {path}");
            }
        }
    }
}

#[test]
fn every_call_of_stripes_is_either_done_or_refused_by_name() {
    let done =
        simulator::accepted_parameters().into_iter().map(|(method, pattern, _)| shape(&format!("{method} {pattern}")));
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
async fn unknown_urls_and_calls_that_are_not_done_are_told_apart() {
    let stage = Stage::new().await;
    let message =
        |reply: crate::stage::Reply| (reply.status, reply.body["error"]["message"].as_str().unwrap().to_owned());
    let (status, text) = message(stage.get("/v1/foo").await);
    assert!(status == 404 && text.contains("Unrecognized request URL (GET: /v1/foo)"), "{text}");
    let (status, text) = message(stage.post("/v1/transfers", "amount=1").await);
    assert!(status == 404 && text.contains("does not do POST /v1/transfers"), "{text}");
    let (status, text) = message(stage.get("/v1/charges/search?query=x").await);
    assert!(status == 404 && text.contains("GET /v1/charges/search"), "{text}");
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
