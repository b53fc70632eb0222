//! What the scripts of the CLI's `trigger` ask for besides payments: setups, codes, rates, items of subscriptions.

use crate::stage::{Stage, options};
use serde_json::json;
use simulator::Options;

#[tokio::test]
async fn a_card_is_kept_for_later_without_taking_money() {
    let stage = Stage::new().await;
    let customer = stage.make("/v1/customers", "name=Ada").await;
    for (card, expected) in [
        ("pm_card_visa", "succeeded"),
        ("pm_card_authenticationRequired", "requires_action"),
        ("pm_card_chargeDeclined", "402 card_declined -"),
        ("pm_card_chargeCustomerFail", "succeeded"),
    ] {
        let form = format!("customer={customer}&confirm=true&payment_method={card}&description=Kept");
        let reply = stage.post("/v1/setup_intents", &form).await;
        let outcome = match reply.status {
            200 => reply.body["status"].as_str().unwrap().to_owned(),
            _ => reply.refusal(),
        };
        assert_eq!(outcome, expected, "{card}");
    }
    let kept = stage.get(&format!("/v1/customers/{customer}/payment_methods")).await.ok();
    assert_eq!(kept["data"].as_array().unwrap().len(), 2, "those that succeeded are attached");
    let open = stage.make("/v1/setup_intents", &format!("customer={customer}&usage=on_session")).await;
    let path = format!("/v1/setup_intents/{open}");
    assert_eq!(stage.post(&format!("{path}/confirm"), "").await.refusal(), "400 setup_intent_unexpected_state -");
    let set = stage.post(&path, "payment_method=pm_card_visa&metadata[a]=1").await.ok();
    assert_eq!((&set["status"], &set["usage"]), (&json!("requires_confirmation"), &json!("on_session")));
    let canceled = stage.post(&format!("{path}/cancel"), "cancellation_reason=abandoned").await.ok();
    assert_eq!((&canceled["status"], &canceled["cancellation_reason"]), (&json!("canceled"), &json!("abandoned")));
    assert_eq!(stage.post(&format!("{path}/confirm"), "").await.refusal(), "400 setup_intent_unexpected_state -");
    let list = stage.get(&format!("/v1/setup_intents?customer={customer}&expand[]=data.payment_method")).await.ok();
    assert_eq!(list["data"].as_array().unwrap().len(), 5);
    let events = stage.events().await;
    for kind in [
        "setup_intent.created",
        "setup_intent.succeeded",
        "setup_intent.requires_action",
        "setup_intent.setup_failed",
        "setup_intent.canceled",
    ] {
        assert!(events.contains(&kind.to_owned()), "{kind}");
    }
}

#[tokio::test]
async fn codes_lead_to_coupons_and_rates_are_kept() {
    let stage = Stage::new().await;
    let coupon = stage.make("/v1/coupons", "percent_off=20").await;
    let asked = format!("promotion[type]=coupon&promotion[coupon]={coupon}&code=SPRING");
    let code = stage.post("/v1/promotion_codes", &asked).await.ok();
    assert_eq!((&code["code"], &code["promotion"]["coupon"]), (&json!("SPRING"), &json!(coupon)));
    assert_eq!(stage.post("/v1/promotion_codes", &asked.replace("SPRING", "spring")).await.refusal(), "400 - code");
    let path = format!("/v1/promotion_codes/{}", code["id"].as_str().unwrap());
    assert_eq!(stage.post(&path, "active=false").await.ok()["active"], false);
    let again = stage.make("/v1/promotion_codes", &asked).await;
    let found = stage.get("/v1/promotion_codes?code=SPRING&active=true&expand[]=data.promotion.coupon").await.ok();
    assert_eq!(
        (&found["data"][0]["id"], &found["data"][0]["promotion"]["coupon"]["percent_off"]),
        (&json!(again), &json!(20))
    );
    assert_eq!(stage.post("/v1/promotion_codes", &format!("coupon={coupon}")).await.status, 400, "of old");
    let rate = stage.post("/v1/tax_rates", "display_name=VAT&inclusive=true&percentage=19.5&tax_type=vat").await.ok();
    assert_eq!((&rate["percentage"], &rate["active"]), (&json!(19.5), &json!(true)));
    let path = format!("/v1/tax_rates/{}", rate["id"].as_str().unwrap());
    assert_eq!(stage.post(&path, "metadata[foo]=bar&active=false").await.ok()["metadata"]["foo"], "bar");
    assert_eq!(stage.get("/v1/tax_rates?active=true").await.ok()["data"], json!([]));
    assert_eq!(
        stage.post("/v1/tax_rates", "display_name=VAT&inclusive=true&percentage=-1").await.refusal(),
        "400 - percentage"
    );
    let events = stage.events().await;
    for kind in ["promotion_code.created", "promotion_code.updated", "tax_rate.created", "tax_rate.updated"] {
        assert!(events.contains(&kind.to_owned()), "{kind}");
    }
}

#[tokio::test]
async fn items_of_subscriptions_are_calls_of_their_own() {
    let stage = Stage::new().await;
    let payer = stage.payer().await;
    let (price, other) = (stage.monthly(1_900).await, stage.monthly(500).await);
    let id = stage.make("/v1/subscriptions", &format!("customer={payer}&items[0][price]={price}")).await;
    let added = stage
        .post("/v1/subscription_items", &format!("subscription={id}&price={other}&quantity=3&metadata[a]=1"))
        .await
        .ok();
    let item = format!("/v1/subscription_items/{}", added["id"].as_str().unwrap());
    assert_eq!((&added["quantity"], &added["subscription"]), (&json!(3), &json!(id)));
    assert_eq!(stage.get(&item).await.ok(), added);
    let changed = stage.post(&item, "quantity=5&proration_behavior=none").await.ok();
    assert_eq!((&changed["quantity"], &changed["metadata"]["a"]), (&json!(5), &json!("1")));
    let list = stage.get(&format!("/v1/subscription_items?subscription={id}&limit=1")).await.ok();
    assert_eq!((list["data"].as_array().unwrap().len(), &list["has_more"]), (1, &json!(true)));
    let first = list["data"][0]["id"].as_str().unwrap();
    let rest = stage.get(&format!("/v1/subscription_items?subscription={id}&starting_after={first}")).await.ok();
    assert_eq!((&rest["data"][0]["id"], &rest["has_more"]), (&added["id"], &json!(false)));
    assert_eq!(stage.delete(&item).await.ok()["deleted"], true);
    assert_eq!(stage.get(&item).await.refusal(), "404 resource_missing id");
    assert_eq!(stage.delete(&format!("/v1/subscription_items/{first}")).await.status, 400, "one must remain");
    assert_eq!(
        stage.get("/v1/subscription_items").await.refusal(),
        "400 parameter_missing subscription",
        "there is no list of all"
    );
}

#[tokio::test]
async fn a_customer_can_come_with_a_card() {
    let stage = Stage::new().await;
    let form = "name=Bob&payment_method=pm_card_visa&invoice_settings[default_payment_method]=pm_card_visa";
    let made = stage.post("/v1/customers", form).await.ok();
    let method = made["invoice_settings"]["default_payment_method"].as_str().unwrap();
    let read = stage.get(&format!("/v1/payment_methods/{method}")).await.ok();
    assert_eq!(read["customer"], made["id"]);
    assert_eq!(
        stage.post("/v1/customers", &format!("payment_method={method}")).await.refusal(),
        "400 - payment_method",
        "it belongs to Bob"
    );
    assert_eq!(
        stage.post("/v1/customers", "invoice_settings[default_payment_method]=pm_card_visa").await.refusal(),
        "400 resource_missing invoice_settings[default_payment_method]"
    );
    assert_eq!(stage.post("/v1/customers", "payment_method=pm_card_chargeDeclined").await.status, 402);
}

/// The CLI names `payment_method_types` and no version: it depends on the account's default version whether that is taken.
#[tokio::test]
async fn versions_before_endive_take_payment_method_types() {
    let form = "amount=2000&currency=usd&payment_method_types[]=card&payment_method=pm_card_visa&confirm=true";
    let old = Stage::with(Options { default_version: "2026-08-26.dahlia", ..options() }).await;
    let paid = old.post("/v1/payment_intents", form).await;
    assert_eq!(paid.header("stripe-version"), "2026-08-26.dahlia");
    assert_eq!(paid.ok()["status"], "succeeded");
    assert_eq!(old.post("/v1/setup_intents", "payment_method_types[]=card").await.status, 200);
    assert_eq!(
        old.post("/v1/payment_intents", &form.replace("card&", "sepa_debit&")).await.refusal(),
        "400 simulator_does_not_do_this payment_method_types"
    );
    let new = Stage::new().await;
    for path in ["/v1/payment_intents", "/v1/setup_intents"] {
        let form = if path.contains("setup") { "payment_method_types[]=card" } else { form };
        assert_eq!(
            new.post(path, form).await.refusal(),
            "400 payment_method_types_no_longer_supported payment_method_types"
        );
    }
}
