//! Products, prices, coupons, payment methods, customers.

use crate::stage::Stage;
use serde_json::json;

#[tokio::test]
async fn products_and_prices() {
    let stage = Stage::new().await;
    let product = stage.make("/v1/products", "name=Starter&metadata[tier]=1&images[]=https://x.example/a.png").await;
    let price = stage
        .make(
            "/v1/prices",
            &format!("product={product}&currency=eur&unit_amount=1900&recurring[interval]=year&lookup_key=starter"),
        )
        .await;
    let taken =
        stage.post("/v1/prices", &format!("product={product}&currency=eur&unit_amount=1&lookup_key=starter")).await;
    assert_eq!(taken.refusal(), "400 - lookup_key");
    let moved = stage
        .make(
            "/v1/prices",
            &format!(
                "product={product}&currency=eur&unit_amount_decimal=0.125&lookup_key=starter&transfer_lookup_key=true"
            ),
        )
        .await;
    let found = stage.get("/v1/prices?lookup_keys[]=starter").await.ok();
    assert_eq!((found["data"].as_array().unwrap().len(), &found["data"][0]["id"]), (1, &json!(moved)));
    assert!(found["data"][0]["unit_amount"].is_null());
    assert_eq!(stage.get("/v1/prices?recurring[interval]=year").await.ok()["data"][0]["id"], price.as_str());
    assert_eq!(stage.post(&format!("/v1/prices/{price}"), "active=false&nickname=old").await.ok()["active"], false);
    assert_eq!(
        stage.get(&format!("/v1/prices?active=true&product={product}")).await.ok()["data"].as_array().unwrap().len(),
        1
    );
    assert_eq!(stage.delete(&format!("/v1/products/{product}")).await.status, 400, "prices hold it");
    assert_eq!(
        stage.post(&format!("/v1/products/{product}"), &format!("default_price={price}&description=x")).await.ok()["default_price"],
        price.as_str()
    );
    let other = stage.make("/v1/products", "name=Other&id=own-id").await;
    assert_eq!(other, "own-id");
    assert_eq!(stage.post("/v1/products", "name=Other&id=own-id").await.refusal(), "400 resource_already_exists id");
    assert_eq!(stage.delete("/v1/products/own-id").await.ok()["deleted"], true);
    assert_eq!(stage.get("/v1/products/own-id").await.status, 404);
}

#[tokio::test]
async fn coupons_are_kept() {
    let stage = Stage::new().await;
    let coupon = stage.make("/v1/coupons", "percent_off=25.5&duration=once&id=SPRING").await;
    assert_eq!(stage.get(&format!("/v1/coupons/{coupon}")).await.ok()["percent_off"], 25.5);
    assert_eq!(
        stage.post("/v1/coupons", "amount_off=100&duration=once").await.refusal(),
        "400 parameter_missing currency"
    );
    stage.post("/v1/coupons/SPRING", "name=Spring").await.ok();
    assert_eq!(stage.delete("/v1/coupons/SPRING").await.ok()["deleted"], true);
}

#[tokio::test]
async fn a_deleted_customer_can_still_be_read() {
    let stage = Stage::new().await;
    let payer = stage.payer().await;
    let price = stage.monthly(1_900).await;
    stage.make("/v1/subscriptions", &format!("customer={payer}&items[0][price]={price}")).await;
    let gone = json!({ "id": payer, "object": "customer", "deleted": true });
    assert_eq!(stage.delete(&format!("/v1/customers/{payer}")).await.ok(), gone);
    assert_eq!(stage.get(&format!("/v1/customers/{payer}")).await.ok(), gone);
    assert_eq!(stage.get("/v1/customers").await.ok()["data"], json!([]));
    assert_eq!(stage.post(&format!("/v1/customers/{payer}"), "name=x").await.refusal(), "404 resource_missing id");
    assert_eq!(
        stage.post("/v1/payment_intents", &format!("amount=1000&currency=usd&customer={payer}")).await.refusal(),
        "400 resource_missing customer"
    );
    let subscriptions = stage.get(&format!("/v1/subscriptions?customer={payer}&status=all")).await.ok();
    assert_eq!(subscriptions["data"][0]["status"], "canceled");
    let events = stage.events().await;
    assert_eq!(events[events.len() - 2..], ["customer.subscription.deleted", "customer.deleted"]);
}

#[tokio::test]
async fn payment_methods_are_made_attached_and_detached() {
    let stage = Stage::new().await;
    let customer = stage.make("/v1/customers", "name=Ada").await;
    let form = "type=card&card[number]=4242424242424242&card[exp_month]=12&card[exp_year]=2030&card[cvc]=123&billing_details[name]=Ada&billing_details[address][city]=Turin";
    let method = stage.make("/v1/payment_methods", form).await;
    let by_token = stage.post("/v1/payment_methods", "type=card&card[token]=tok_mastercard").await.ok();
    assert_eq!(by_token["card"]["brand"], "mastercard");
    stage.post(&format!("/v1/payment_methods/{method}/attach"), &format!("customer={customer}")).await.ok();
    stage.post(&format!("/v1/payment_methods/{method}"), "card[exp_year]=2031&metadata[k]=v").await.ok();
    let declined =
        stage.post("/v1/payment_methods/pm_card_chargeDeclined/attach", &format!("customer={customer}")).await;
    assert_eq!(declined.refusal(), "402 card_declined -");
    let later =
        stage.make("/v1/payment_methods/pm_card_chargeCustomerFail/attach", &format!("customer={customer}")).await;
    let fails = stage
        .post(
            "/v1/payment_intents",
            &format!("amount=1000&currency=usd&customer={customer}&payment_method={later}&confirm=true"),
        )
        .await;
    assert_eq!(fails.status, 402);
    let foreign = stage
        .post("/v1/payment_intents", &format!("amount=1000&currency=usd&payment_method={method}&confirm=true"))
        .await;
    assert_eq!(foreign.refusal(), "400 - payment_method");
    assert!(stage.post(&format!("/v1/payment_methods/{method}/detach"), "").await.ok()["customer"].is_null());
    assert_eq!(stage.post(&format!("/v1/payment_methods/{method}/detach"), "").await.status, 400);
}
