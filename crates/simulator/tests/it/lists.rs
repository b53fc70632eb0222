//! Paging, ranges, filters, expansion.

use crate::stage::{NOW, Stage};
use serde_json::Value;

fn ids(list: &Value) -> Vec<String> {
    list["data"].as_array().unwrap().iter().map(|object| object["id"].as_str().unwrap().to_owned()).collect()
}

#[tokio::test]
async fn pages_go_both_ways_while_new_objects_arrive() {
    let stage = Stage::new().await;
    let mut made = Vec::new();
    for number in 0..7 {
        made.push(stage.make("/v1/customers", &format!("name=c{number}")).await);
    }
    made.reverse();
    let page = stage.get("/v1/customers?limit=3").await.ok();
    assert_eq!(
        (ids(&page), &page["has_more"], &page["url"]),
        (made[..3].to_vec(), &true.into(), &"/v1/customers".into())
    );
    stage.make("/v1/customers", "name=later").await;
    let next = stage.get(&format!("/v1/customers?limit=3&starting_after={}", made[2])).await.ok();
    assert_eq!(ids(&next), made[3..6].to_vec());
    let last = stage.get(&format!("/v1/customers?limit=3&starting_after={}", made[5])).await.ok();
    assert_eq!((ids(&last), &last["has_more"]), (made[6..].to_vec(), &false.into()));
    let back = stage.get(&format!("/v1/customers?limit=2&ending_before={}", made[6])).await.ok();
    assert_eq!((ids(&back), &back["has_more"]), (made[4..6].to_vec(), &true.into()));
    let both = format!("/v1/customers?starting_after={}&ending_before={}", made[0], made[1]);
    assert_eq!(stage.get(&both).await.status, 400);
    assert_eq!(
        stage.get("/v1/customers?starting_after=cus_none").await.refusal(),
        "400 resource_missing starting_after"
    );
}

#[tokio::test]
async fn created_takes_a_second_or_a_range() {
    let stage = Stage::new().await;
    for _ in 0..3 {
        stage.make("/v1/customers", "name=x").await;
        stage.control("POST", "/_sim/time", &serde_json::json!({ "advance_seconds": 10 })).await;
    }
    for (query, expected) in [
        (format!("created={NOW}"), 1),
        (format!("created={}", NOW + 1), 0),
        (format!("created[gt]={NOW}"), 2),
        (format!("created[gte]={NOW}"), 3),
        (format!("created[lt]={}", NOW + 20), 2),
        (format!("created[lte]={}", NOW + 20), 3),
        (format!("created[gt]={NOW}&created[lt]={}", NOW + 20), 1),
    ] {
        let list = stage.get(&format!("/v1/customers?{query}")).await.ok();
        assert_eq!(ids(&list).len(), expected, "{query}");
    }
}

#[tokio::test]
async fn filters_select() {
    let stage = Stage::new().await;
    let payer = stage.payer().await;
    let own = stage.charge(&format!("amount=1000&customer={payer}&transfer_group=g1")).await;
    let other = stage.charge("amount=2000").await;
    stage.make("/v1/refunds", &format!("charge={own}&amount=100")).await;
    let charge = stage.get(&format!("/v1/charges/{own}")).await.ok();
    let (intent, transaction) =
        (charge["payment_intent"].as_str().unwrap(), charge["balance_transaction"].as_str().unwrap());
    for (path, expected) in [
        (format!("/v1/charges?customer={payer}"), vec![own.as_str()]),
        (format!("/v1/charges?payment_intent={intent}"), vec![own.as_str()]),
        ("/v1/charges?transfer_group=g1".to_owned(), vec![own.as_str()]),
        ("/v1/charges".to_owned(), vec![other.as_str(), own.as_str()]),
        (format!("/v1/balance_transactions?source={own}"), vec![transaction]),
        ("/v1/customers?email=ada@customer.example".to_owned(), vec![payer.as_str()]),
        ("/v1/customers?email=nobody@customer.example".to_owned(), vec![]),
    ] {
        assert_eq!(ids(&stage.get(&path).await.ok()), expected, "{path}");
    }
    for (path, expected) in [
        ("/v1/balance_transactions?type=refund", 1),
        ("/v1/balance_transactions?type=charge&currency=usd", 2),
        ("/v1/balance_transactions?currency=eur", 0),
        ("/v1/events?type=charge.succeeded", 2),
        ("/v1/events?type=charge.*", 3),
        ("/v1/events?types[]=charge.refunded&types[]=refund.created", 2),
        ("/v1/payment_intents?limit=1", 1),
    ] {
        assert_eq!(ids(&stage.get(path).await.ok()).len(), expected, "{path}");
    }
    let methods = stage.get(&format!("/v1/customers/{payer}/payment_methods?type=card")).await.ok();
    assert_eq!(ids(&methods).len(), 1);
}

#[tokio::test]
async fn ids_are_expanded_nested_and_through_lists() {
    let stage = Stage::new().await;
    let payer = stage.payer().await;
    let charge = stage.charge(&format!("amount=1000&customer={payer}")).await;
    stage.make("/v1/refunds", &format!("charge={charge}")).await;
    let path = format!(
        "/v1/charges/{charge}?expand[]=customer&expand[]=balance_transaction&expand[]=refunds&expand[]=payment_intent.payment_method"
    );
    let object = stage.get(&path).await.ok();
    assert_eq!(object["customer"]["name"], "Ada");
    assert_eq!(object["balance_transaction"]["net"], 1000 - 59);
    assert_eq!(object["refunds"]["data"][0]["amount"], 1000);
    assert_eq!(object["payment_intent"]["payment_method"]["card"]["last4"], "4242");
    let list = stage.get("/v1/charges?expand[]=data.balance_transaction.source&expand[]=data.refunds").await.ok();
    assert_eq!(list["data"][0]["balance_transaction"]["source"]["id"], charge.as_str());
    for (path, status) in [
        (format!("/v1/charges/{charge}?expand[]=amount"), 400),
        (format!("/v1/charges/{charge}?expand[]=bogus"), 400),
        (format!("/v1/charges/{charge}?expand[]=application"), 200),
        (format!("/v1/charges/{charge}?expand[]=a.b.c.d.e"), 400),
        ("/v1/charges?expand[]=customer".to_owned(), 400),
    ] {
        assert_eq!(stage.get(&path).await.status, status, "{path}");
    }
    let made =
        stage.post("/v1/refunds", &format!("charge={}&expand[]=charge", stage.charge("amount=700").await)).await.ok();
    assert_eq!(made["charge"]["refunded"], true);
}
