//! Subscriptions and invoices.

use crate::stage::Stage;
use serde_json::{Value, json};

async fn subscribe(stage: &Stage, payer: &str, amount: i64, more: &str) -> Value {
    let price = stage.monthly(amount).await;
    stage
        .post("/v1/subscriptions", &format!("customer={payer}&items[0][price]={price}&metadata[plan]=team{more}"))
        .await
        .ok()
}

#[tokio::test]
async fn subscribing_bills_and_pays_at_once() {
    let stage = Stage::new().await;
    let payer = stage.payer().await;
    let subscription = subscribe(&stage, &payer, 4_900, "&items[0][quantity]=3").await;
    assert_eq!((&subscription["status"], &subscription["items"]["data"][0]["quantity"]), (&json!("active"), &json!(3)));
    assert!(subscription["current_period_end"].is_null(), "periods stand on the items");
    let id = subscription["latest_invoice"].as_str().unwrap();
    let invoice = stage.get(&format!("/v1/invoices/{id}?expand[]=payments&expand[]=confirmation_secret&expand[]=parent.subscription_details.subscription")).await.ok();
    assert_eq!(
        (&invoice["status"], &invoice["amount_paid"], &invoice["billing_reason"]),
        (&json!("paid"), &json!(14_700), &json!("subscription_create"))
    );
    assert_eq!(invoice["parent"]["subscription_details"]["subscription"]["id"], subscription["id"]);
    let line = &invoice["lines"]["data"][0];
    assert_eq!(line["parent"]["subscription_item_details"]["subscription"], subscription["id"]);
    assert_eq!(line["pricing"]["price_details"]["price"], subscription["items"]["data"][0]["price"]["id"]);
    let payment = &invoice["payments"]["data"][0];
    let intent = payment["payment"]["payment_intent"].as_str().unwrap();
    assert_eq!(payment["status"], "paid");
    let reverse = stage
        .get(&format!("/v1/invoice_payments?payment[type]=payment_intent&payment[payment_intent]={intent}"))
        .await
        .ok();
    assert_eq!(reverse["data"][0]["invoice"], id);
    let charge = stage.get(&format!("/v1/charges?payment_intent={intent}")).await.ok()["data"][0].clone();
    assert!(charge["amount"] == 14_700 && charge.get("invoice").is_none());
    let expected = [
        "customer.subscription.created",
        "invoice.created",
        "payment_intent.created",
        "invoice.finalized",
        "charge.succeeded",
        "payment_intent.succeeded",
        "invoice_payment.paid",
        "invoice.updated",
        "invoice.paid",
        "invoice.payment_succeeded",
        "customer.subscription.updated",
    ];
    let events = stage.events().await;
    for kind in expected {
        assert!(events.contains(&kind.to_owned()), "{kind} in {events:?}");
    }
}

#[tokio::test]
async fn a_declined_first_payment_leaves_it_incomplete_until_paid() {
    let stage = Stage::new().await;
    let payer = stage.payer().await;
    let bad = stage.make("/v1/payment_methods/pm_card_chargeCustomerFail/attach", &format!("customer={payer}")).await;
    let subscription = subscribe(&stage, &payer, 1_900, &format!("&default_payment_method={bad}")).await;
    assert_eq!(subscription["status"], "incomplete");
    let invoice = subscription["latest_invoice"].as_str().unwrap();
    assert_eq!(stage.get(&format!("/v1/invoices/{invoice}")).await.ok()["status"], "open");
    assert_eq!(stage.post(&format!("/v1/invoices/{invoice}/pay"), "").await.status, 402);
    let paid = stage.post(&format!("/v1/invoices/{invoice}/pay"), "payment_method=pm_card_visa").await.ok();
    assert_eq!((&paid["status"], &paid["attempt_count"]), (&json!("paid"), &json!(3)));
    let read = stage.get(&format!("/v1/subscriptions/{}", subscription["id"].as_str().unwrap())).await.ok();
    assert_eq!(read["status"], "active");
    let nobody = stage.make("/v1/customers", "name=Nobody").await;
    let price = stage.monthly(100).await;
    let refused = stage.post("/v1/subscriptions", &format!("customer={nobody}&items[0][price]={price}")).await;
    assert_eq!(refused.refusal(), "400 resource_missing -");
}

#[tokio::test]
async fn time_brings_renewals_and_the_end() {
    let stage = Stage::new().await;
    let payer = stage.payer().await;
    let subscription = subscribe(&stage, &payer, 1_900, "").await;
    let id = subscription["id"].as_str().unwrap().to_owned();
    stage.advance_days(95).await;
    let invoices = stage.get(&format!("/v1/invoices?subscription={id}")).await.ok();
    let reasons: Vec<&str> = invoices["data"]
        .as_array()
        .unwrap()
        .iter()
        .map(|invoice| invoice["billing_reason"].as_str().unwrap())
        .collect();
    assert_eq!(reasons, ["subscription_cycle", "subscription_cycle", "subscription_cycle", "subscription_create"]);
    let ending = stage.post(&format!("/v1/subscriptions/{id}"), "cancel_at_period_end=true").await.ok();
    assert_eq!(
        (&ending["status"], &ending["cancel_at"]),
        (&json!("active"), &ending["items"]["data"][0]["current_period_end"])
    );
    stage.advance_days(31).await;
    assert_eq!(stage.get(&format!("/v1/subscriptions/{id}")).await.ok()["status"], "canceled");
    assert_eq!(stage.get("/v1/subscriptions").await.ok()["data"], json!([]), "canceled ones are left out");
    assert_eq!(stage.get("/v1/subscriptions?status=ended").await.ok()["data"].as_array().unwrap().len(), 1);
    let totals = stage.simulator.totals(&stage.account, false).unwrap();
    assert_eq!(totals.settled["usd"].gross, 4 * 1_900);
}

#[tokio::test]
async fn renewals_that_fail_make_it_past_due_and_end_it() {
    let stage = Stage::new().await;
    let payer = stage.payer().await;
    let subscription = subscribe(&stage, &payer, 1_900, "").await;
    let path = format!("/v1/subscriptions/{}", subscription["id"].as_str().unwrap());
    let bad = stage.make("/v1/payment_methods/pm_card_chargeCustomerFail/attach", &format!("customer={payer}")).await;
    stage.post(&path, &format!("default_payment_method={bad}")).await.ok();
    stage.advance_days(31).await;
    assert_eq!(stage.get(&path).await.ok()["status"], "past_due");
    stage.advance_days(14).await;
    let ended = stage.get(&path).await.ok();
    assert_eq!(
        (&ended["status"], &ended["cancellation_details"]["reason"]),
        (&json!("canceled"), &json!("payment_failed"))
    );
}

#[tokio::test]
async fn a_trial_costs_nothing_and_then_renews() {
    let stage = Stage::new().await;
    let payer = stage.payer().await;
    let subscription = subscribe(&stage, &payer, 1_900, "&trial_period_days=14").await;
    assert_eq!(subscription["status"], "trialing");
    let invoice = stage.get(&format!("/v1/invoices/{}", subscription["latest_invoice"].as_str().unwrap())).await.ok();
    assert_eq!((&invoice["status"], &invoice["total"]), (&json!("paid"), &json!(0)));
    stage.advance_days(15).await;
    let path = format!("/v1/subscriptions/{}", subscription["id"].as_str().unwrap());
    assert_eq!(stage.get(&path).await.ok()["status"], "active");
    assert_eq!(stage.delete(&path).await.ok()["status"], "canceled");
    assert_eq!(stage.delete(&path).await.status, 404);
}

#[tokio::test]
async fn changing_the_quantity_is_prorated_on_the_next_invoice() {
    let stage = Stage::new().await;
    let payer = stage.payer().await;
    let subscription = subscribe(&stage, &payer, 3_000, "").await;
    let (id, item) = (subscription["id"].as_str().unwrap(), subscription["items"]["data"][0]["id"].as_str().unwrap());
    stage.post(&format!("/v1/subscriptions/{id}"), &format!("items[0][id]={item}&items[0][quantity]=2")).await.ok();
    let pending = stage.get(&format!("/v1/invoiceitems?customer={payer}&pending=true")).await.ok();
    let amounts: Vec<i64> =
        pending["data"].as_array().unwrap().iter().map(|item| item["amount"].as_i64().unwrap()).collect();
    assert_eq!(amounts, [6_000, -3_000], "at the very start of the period all of it is left");
    stage.advance_days(31).await;
    let latest = stage.get(&format!("/v1/invoices?subscription={id}&limit=1")).await.ok()["data"][0].clone();
    assert_eq!(latest["total"], 6_000 + 3_000);
    assert_eq!(latest["lines"]["data"].as_array().unwrap().len(), 3);
}

#[tokio::test]
async fn an_invoice_shows_ten_lines_and_lists_the_rest() {
    let stage = Stage::new().await;
    let payer = stage.payer().await;
    for number in 0..12 {
        stage
            .make(
                "/v1/invoiceitems",
                &format!("customer={payer}&amount={}&currency=usd&description=Item+{number}", 100 + number),
            )
            .await;
    }
    let draft = stage
        .post("/v1/invoices", &format!("customer={payer}&pending_invoice_items_behavior=include&metadata[show]=s1"))
        .await
        .ok();
    let id = draft["id"].as_str().unwrap();
    assert_eq!(
        (&draft["status"], &draft["total"], &draft["lines"]["has_more"]),
        (&json!("draft"), &json!(1_266), &json!(true))
    );
    assert_eq!(draft["lines"]["data"].as_array().unwrap().len(), 10);
    let last = draft["lines"]["data"][9]["id"].as_str().unwrap();
    let rest = stage.get(&format!("/v1/invoices/{id}/lines?starting_after={last}")).await.ok();
    assert_eq!((rest["data"].as_array().unwrap().len(), &rest["has_more"]), (2, &json!(false)));
    let open = stage.post(&format!("/v1/invoices/{id}/finalize"), "").await.ok();
    assert!(open["number"].as_str().unwrap().ends_with("-0001"));
    assert_eq!(
        stage.post("/v1/invoiceitems", &format!("customer={payer}&amount=5&currency=usd&invoice={id}")).await.refusal(),
        "400 invoice_not_editable -"
    );
    assert_eq!(stage.delete(&format!("/v1/invoices/{id}")).await.status, 400);
    let paid = stage.post(&format!("/v1/invoices/{id}/pay"), "").await.ok();
    assert_eq!((&paid["status"], &paid["amount_remaining"]), (&json!("paid"), &json!(0)));
    assert_eq!(stage.post(&format!("/v1/invoices/{id}/pay"), "").await.refusal(), "400 invoice_already_paid -");
}

#[tokio::test]
async fn an_invoice_can_be_sent_voided_given_up_and_paid_by_hand() {
    let stage = Stage::new().await;
    let payer = stage.payer().await;
    let draft = async || {
        let id = stage
            .make("/v1/invoices", &format!("customer={payer}&collection_method=send_invoice&days_until_due=30"))
            .await;
        stage
            .make(
                "/v1/invoiceitems",
                &format!("customer={payer}&invoice={id}&amount=2500&currency=usd&description=Work"),
            )
            .await;
        id
    };
    let refused = stage.post("/v1/invoices", &format!("customer={payer}&collection_method=send_invoice")).await;
    assert_eq!(refused.refusal(), "400 parameter_missing days_until_due");
    for (verb, form, status, paid) in [
        ("send", "", "open", 0),
        ("void", "", "void", 0),
        ("mark_uncollectible", "", "uncollectible", 0),
        ("pay", "paid_out_of_band=true", "paid", 0),
        ("pay", "", "paid", 2_500),
    ] {
        let id = draft().await;
        stage.post(&format!("/v1/invoices/{id}/finalize"), "").await.ok();
        let after = stage.post(&format!("/v1/invoices/{id}/{verb}"), form).await.ok();
        assert_eq!(
            (after["status"].as_str().unwrap(), after["amount_paid"].as_i64().unwrap()),
            (status, paid),
            "{verb}"
        );
    }
    let id = draft().await;
    let item =
        stage.get(&format!("/v1/invoiceitems?invoice={id}")).await.ok()["data"][0]["id"].as_str().unwrap().to_owned();
    stage.post(&format!("/v1/invoiceitems/{item}"), "amount=900").await.ok();
    assert_eq!(stage.get(&format!("/v1/invoices/{id}")).await.ok()["total"], 900);
    stage.delete(&format!("/v1/invoiceitems/{item}")).await.ok();
    assert_eq!(stage.get(&format!("/v1/invoices/{id}")).await.ok()["total"], 0);
    assert_eq!(stage.delete(&format!("/v1/invoices/{id}")).await.ok()["deleted"], true);
}

#[tokio::test]
async fn a_draft_tells_of_every_change_of_its_items() {
    let stage = Stage::new().await;
    let payer = stage.payer().await;
    let draft = stage.make("/v1/invoices", &format!("customer={payer}&currency=usd&auto_advance=false")).await;
    let form = format!("customer={payer}&invoice={draft}&amount=700&currency=usd");
    let item = stage.make("/v1/invoiceitems", &form).await;
    stage.post(&format!("/v1/invoiceitems/{item}"), "amount=900").await.ok();
    stage.delete(&format!("/v1/invoiceitems/{item}")).await.ok();
    let list = stage.get("/v1/events?type=invoice.updated").await.ok();
    let told: Vec<i64> = list["data"]
        .as_array()
        .unwrap()
        .iter()
        .rev()
        .map(|it| it["data"]["object"]["total"].as_i64().unwrap())
        .collect();
    assert_eq!(told, [700, 900, 0], "the invoice as it was after each change");
}
