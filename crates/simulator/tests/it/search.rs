//! Searching: the query language over HTTP, pages, the lag behind what has changed, and its own rate limit.

use crate::stage::{Stage, options};
use kit::{HandClock, Time};
use serde_json::{Value, json};
use simulator::Options;
use std::time::Duration;

fn encoded(query: &str) -> String {
    query.bytes().map(|byte| format!("%{byte:02X}")).collect()
}

async fn found(stage: &Stage, resource: &str, query: &str) -> Vec<String> {
    let reply = stage.get(&format!("/v1/{resource}/search?limit=100&query={}", encoded(query))).await.ok();
    assert_eq!((&reply["object"], &reply["url"]), (&json!("search_result"), &json!(format!("/v1/{resource}/search"))));
    ids(&reply)
}

fn ids(list: &Value) -> Vec<String> {
    list["data"].as_array().unwrap().iter().map(|object| object["id"].as_str().unwrap().to_owned()).collect()
}

async fn at_once() -> Stage {
    Stage::with(Options { search_lag: Duration::ZERO, ..options() }).await
}

#[tokio::test]
async fn each_resource_is_found_by_its_own_fields() {
    let stage = at_once().await;
    let payer = stage.payer().await;
    let price = stage.monthly(1_900).await;
    let product = stage.get(&format!("/v1/prices/{price}")).await.ok()["product"].as_str().unwrap().to_owned();
    let subscription =
        stage.make("/v1/subscriptions", &format!("customer={payer}&items[0][price]={price}&metadata[plan]=Team")).await;
    let invoice = stage.get("/v1/invoices").await.ok()["data"][0].clone();
    let charge = stage.charge("amount=777&metadata[order_id]=o-1").await;
    let intent = stage.get(&format!("/v1/charges/{charge}")).await.ok()["payment_intent"].as_str().unwrap().to_owned();
    let invoice_id = invoice["id"].as_str().unwrap();
    for (resource, query, expected) in [
        ("charges", "amount:777", vec![charge.as_str()]),
        ("charges", "amount>700 AND amount<800 AND currency:'usd'", vec![&charge]),
        ("charges", "metadata['order_id']:'o-1'", vec![&charge]),
        ("charges", "payment_method_details.card.last4:'4242' -amount:1900", vec![&charge]),
        ("charges", "refunded:true", vec![]),
        ("payment_intents", "metadata['order_id']:'o-1' AND status:'succeeded'", vec![&intent]),
        ("customers", "email~'ADA@' AND name:'ada'", vec![&payer]),
        ("customers", "-name:'ada'", vec![]),
        ("customers", "phone:null", vec![&payer]),
        ("prices", "active:'true' AND type:'recurring'", vec![&price]),
        ("products", "name~'pla'", vec![&product]),
        ("subscriptions", "status:'active' AND metadata['plan']:'team'", vec![&subscription]),
        ("invoices", "total>1000 AND status:'paid'", vec![invoice_id]),
        ("invoices", &format!("subscription:'{subscription}'"), vec![invoice_id]),
        ("invoices", &format!("number:'{}'", invoice["number"].as_str().unwrap()), vec![invoice_id]),
    ] {
        assert_eq!(found(&stage, resource, query).await, expected, "{resource}: {query}");
    }
    let expanded =
        format!("/v1/charges/search?query={}&expand[]=data.customer&expand[]=total_count", encoded("amount:777"));
    let expanded = stage.get(&expanded).await.ok();
    assert_eq!((&expanded["total_count"], &expanded["has_more"]), (&json!(1), &json!(false)));
}

#[tokio::test]
async fn a_wrong_query_is_refused_by_what_is_wrong_with_it() {
    let stage = at_once().await;
    for (path, expected) in [
        ("/v1/charges/search", "400 parameter_missing query"),
        ("/v1/charges/search?query=bogus%3A1", "400 - query"),
        ("/v1/charges/search?query=amount%3A1&page=zz", "400 - page"),
        ("/v1/charges/search?query=amount%3A1&limit=0", "400 parameter_invalid_integer limit"),
        ("/v1/charges/search?query=amount%3A1&starting_after=ch_1", "400 parameter_unknown starting_after"),
        ("/v1/charges/search?query=amount%3A1&expand[]=customer", "400 - expand"),
    ] {
        assert_eq!(stage.get(path).await.refusal(), expected, "{path}");
    }
}

#[tokio::test]
async fn pages_lead_from_one_to_the_next_while_new_objects_arrive() {
    let stage = at_once().await;
    let mut made = Vec::new();
    for number in 0..7 {
        made.push(stage.make("/v1/customers", &format!("name=Person+{number}")).await);
    }
    made.reverse();
    let mut seen = Vec::new();
    let mut page = String::new();
    loop {
        let path = format!("/v1/customers/search?limit=3&query={}{page}", encoded("name~'person'"));
        let reply = stage.get(&path).await.ok();
        seen.extend(ids(&reply));
        stage.make("/v1/customers", "name=Person+later").await;
        match reply["next_page"].as_str() {
            Some(next) => page = format!("&page={next}"),
            None => {
                assert_eq!(reply["has_more"], false);
                break;
            }
        }
        assert_eq!(reply["has_more"], true);
    }
    assert_eq!(seen, made);
}

#[tokio::test]
async fn a_search_sees_what_has_changed_only_after_a_while() {
    let clock = HandClock::at(Time::from_seconds(crate::stage::NOW));
    let stage = Stage::with(Options { clock: clock.shared(), search_lag: Duration::from_secs(30), ..options() }).await;
    let ada = stage.make("/v1/customers", "name=Ada+Lovelace").await;
    let none: Vec<String> = Vec::new();
    assert_eq!(found(&stage, "customers", "name~'ada'").await, none, "lists are read-your-writes, searches are not");
    let wait = async |seconds: u64| {
        stage.control("POST", "/_sim/time", &json!({ "advance_seconds": seconds })).await;
    };
    wait(29).await;
    assert_eq!(found(&stage, "customers", "name~'ada'").await, none);
    wait(1).await;
    assert_eq!(found(&stage, "customers", "name~'ada'").await, [ada.as_str()]);
    stage.make(&format!("/v1/customers/{ada}"), "name=Grace").await;
    stage.make(&format!("/v1/customers/{ada}"), "name=Hana").await;
    assert_eq!(found(&stage, "customers", "name~'ada'").await, [ada.as_str()], "the name of before");
    wait(30).await;
    assert_eq!(found(&stage, "customers", "name~'ada'").await, none);
    assert_eq!(found(&stage, "customers", "name:'hana'").await, [ada.as_str()]);
    stage.delete(&format!("/v1/customers/{ada}")).await.ok();
    let bob = stage.make("/v1/customers", "name=Bob").await;
    assert_eq!(found(&stage, "customers", "created>0").await, [ada.as_str()], "deleted, and still found");
    wait(30).await;
    assert_eq!(found(&stage, "customers", "created>0").await, [bob.as_str()]);
}

#[tokio::test]
async fn a_generated_business_can_be_searched_at_once() {
    let stage = Stage::new().await;
    let business = simulator::Business { customers: 30, charges: 200, months: 6, ..simulator::Business::default() };
    stage.simulator.generate(&stage.account, &business).unwrap();
    let customers = found(&stage, "customers", "created>0").await;
    assert_eq!(customers.len(), 30);
}
