//! Test clocks: subscriptions in a time of their own.

use crate::stage::{NOW, Stage};
use serde_json::{Value, json};

const DAY: i64 = 86_400;
/// 2026-01-01T00:00:00Z
const START: i64 = 1_767_225_600;

async fn clock(stage: &Stage) -> String {
    stage.make("/v1/test_helpers/test_clocks", &format!("frozen_time={START}&name=year")).await
}

async fn advance(stage: &Stage, clock: &str, to: i64) -> Value {
    let answer =
        stage.post(&format!("/v1/test_helpers/test_clocks/{clock}/advance"), &format!("frozen_time={to}")).await.ok();
    assert_eq!(
        (&answer["status"], &answer["status_details"]["advancing"]["target_frozen_time"]),
        (&json!("advancing"), &json!(to))
    );
    let read = stage.get(&format!("/v1/test_helpers/test_clocks/{clock}")).await.ok();
    assert_eq!((&read["status"], &read["frozen_time"]), (&json!("ready"), &json!(to)));
    read
}

async fn payer_on(stage: &Stage, clock: &str, card: &str) -> String {
    stage
        .make(
            "/v1/customers",
            &format!(
                "test_clock={clock}&name=Ada&payment_method={card}&invoice_settings[default_payment_method]={card}"
            ),
        )
        .await
}

async fn invoices(stage: &Stage, subscription: &str) -> Vec<(String, String, i64)> {
    let list = stage.get(&format!("/v1/invoices?subscription={subscription}&limit=100")).await.ok();
    let invoices = list["data"].as_array().unwrap().iter().rev();
    let word = |invoice: &Value, name: &str| invoice[name].as_str().unwrap().to_owned();
    invoices
        .map(|invoice| (word(invoice, "billing_reason"), word(invoice, "status"), invoice["created"].as_i64().unwrap()))
        .collect()
}

#[tokio::test]
async fn a_clock_renews_subscriptions_in_its_own_time() {
    let stage = Stage::new().await;
    let clock = clock(&stage).await;
    let payer = payer_on(&stage, &clock, "pm_card_visa").await;
    let price = stage.monthly(1_900).await;
    let made = stage.post("/v1/subscriptions", &format!("customer={payer}&items[0][price]={price}")).await.ok();
    let id = made["id"].as_str().unwrap();
    assert_eq!((&made["created"], &made["status"]), (&json!(START), &json!("active")));
    assert_eq!((&made["test_clock"], &made["start_date"]), (&json!(clock), &json!(START)));
    let february = START + 31 * DAY;
    advance(&stage, &clock, february).await;
    let seen = invoices(&stage, id).await;
    assert_eq!(seen[1], ("subscription_cycle".to_owned(), "draft".to_owned(), february), "a draft for an hour");
    let draft = stage.get(&format!("/v1/invoices?subscription={id}&limit=1")).await.ok()["data"][0].clone();
    assert_eq!((&draft["automatically_finalizes_at"], &draft["test_clock"]), (&json!(february + 3_600), &json!(clock)));
    advance(&stage, &clock, february + 3_600).await;
    assert_eq!(invoices(&stage, id).await[1].1, "paid");
    advance(&stage, &clock, february + 40 * DAY).await;
    assert_eq!(invoices(&stage, id).await.len(), 3);
    let read = stage.get(&format!("/v1/subscriptions/{id}")).await.ok();
    let item = &read["items"]["data"][0];
    assert_eq!(
        (&item["current_period_start"], &item["current_period_end"]),
        (&json!(START + 59 * DAY), &json!(START + 90 * DAY))
    );

    // Payments and events are made in the present, as with Stripe.
    let charges = stage.get(&format!("/v1/charges?customer={payer}")).await.ok();
    let charges = charges["data"].as_array().unwrap();
    assert_eq!(charges.len(), 3);
    assert!(charges.iter().all(|charge| charge["created"] == NOW), "{charges:?}");
    assert_eq!(stage.simulator.totals(&stage.account, false).unwrap().settled["usd"].gross, 3 * 1_900);
    let events = stage.events().await;
    let of = |kind: &str| events.iter().filter(|event| *event == kind).count();
    assert_eq!(of("test_helpers.test_clock.created"), 1);
    assert_eq!((of("test_helpers.test_clock.advancing"), of("test_helpers.test_clock.ready")), (3, 3));
    assert_eq!((of("invoice.created"), of("invoice.finalized"), of("invoice.paid")), (3, 3, 3));
    // The simulator's own time does nothing to it.
    stage.advance_days(100).await;
    assert_eq!(invoices(&stage, id).await.len(), 3, "that is beyond what lives by the clock");
}

#[tokio::test]
async fn a_card_that_fails_is_tried_again_by_the_clock_and_ends_it() {
    let stage = Stage::new().await;
    let clock = clock(&stage).await;
    let payer = payer_on(&stage, &clock, "pm_card_visa").await;
    let bad = stage.make("/v1/payment_methods/pm_card_chargeCustomerFail/attach", &format!("customer={payer}")).await;
    let price = stage.monthly(1_900).await;
    let id = stage.make("/v1/subscriptions", &format!("customer={payer}&items[0][price]={price}")).await;
    let path = format!("/v1/subscriptions/{id}");
    stage.post(&path, &format!("default_payment_method={bad}")).await.ok();
    let renewal = START + 31 * DAY + 3_600;
    advance(&stage, &clock, renewal).await;
    assert_eq!(stage.get(&path).await.ok()["status"], "past_due");
    let owed = stage.get(&format!("/v1/invoices?subscription={id}&limit=1")).await.ok()["data"][0].clone();
    assert_eq!(
        (&owed["status"], &owed["attempt_count"], &owed["next_payment_attempt"]),
        (&json!("open"), &json!(1), &json!(renewal + 3 * DAY))
    );
    advance(&stage, &clock, renewal + 10 * DAY).await;
    let ended = stage.get(&path).await.ok();
    assert_eq!((&ended["status"], &ended["ended_at"]), (&json!("canceled"), &json!(renewal + 9 * DAY)));
    let events = stage.events().await;
    assert_eq!(events.iter().filter(|kind| *kind == "invoice.payment_failed").count(), 4);
}

#[tokio::test]
async fn trials_end_as_their_settings_say() {
    let stage = Stage::new().await;
    let clock = clock(&stage).await;
    let poor = stage.make("/v1/customers", &format!("test_clock={clock}&name=Poor")).await;
    let price = stage.monthly(1_900).await;
    let mut made = Vec::new();
    for at_end in ["pause", "cancel", "create_invoice"] {
        let form = format!(
            "customer={poor}&items[0][price]={price}&trial_period_days=14&trial_settings[end_behavior][missing_payment_method]={at_end}"
        );
        made.push(stage.make("/v1/subscriptions", &form).await);
    }
    advance(&stage, &clock, START + 11 * DAY).await;
    let told = stage.events().await.iter().filter(|kind| *kind == "customer.subscription.trial_will_end").count();
    assert_eq!(told, 3, "three days before");
    advance(&stage, &clock, START + 14 * DAY + 3_600).await;
    for (id, expected) in made.iter().zip(["paused", "canceled", "past_due"]) {
        assert_eq!(stage.get(&format!("/v1/subscriptions/{id}")).await.ok()["status"], expected);
    }
    let method = stage.make("/v1/payment_methods/pm_card_visa/attach", &format!("customer={poor}")).await;
    stage
        .post(&format!("/v1/customers/{poor}"), &format!("invoice_settings[default_payment_method]={method}"))
        .await
        .ok();
    let resumed = stage.post(&format!("/v1/subscriptions/{}/resume", made[0]), "").await.ok();
    assert_eq!(
        (&resumed["status"], &resumed["billing_cycle_anchor"]),
        (&json!("active"), &json!(START + 14 * DAY + 3_600))
    );
    assert_eq!(stage.post(&format!("/v1/subscriptions/{}/resume", made[0]), "").await.status, 400);
}

#[tokio::test]
async fn a_trial_can_be_ended_now() {
    let stage = Stage::new().await;
    let payer = stage.payer().await;
    let price = stage.monthly(1_900).await;
    let form = format!("customer={payer}&items[0][price]={price}&trial_period_days=1");
    let id = stage.make("/v1/subscriptions", &form).await;
    assert!(
        stage.events().await.contains(&"customer.subscription.trial_will_end".to_owned()),
        "shorter than three days"
    );
    let ended = stage.post(&format!("/v1/subscriptions/{id}"), "trial_end=now").await.ok();
    assert_eq!((&ended["status"], &ended["items"]["data"][0]["current_period_start"]), (&json!("active"), &json!(NOW)));
    assert_eq!(stage.post(&format!("/v1/subscriptions/{id}"), "trial_end=soon").await.refusal(), "400 - trial_end");
}

#[tokio::test]
async fn a_first_invoice_that_stays_unpaid_expires_the_subscription() {
    let stage = Stage::new().await;
    let payer = stage.payer().await;
    let price = stage.monthly(1_900).await;
    let form = format!("customer={payer}&items[0][price]={price}&payment_behavior=default_incomplete");
    let made = stage.post("/v1/subscriptions", &form).await.ok();
    assert_eq!(made["status"], "incomplete");
    let path = format!("/v1/subscriptions/{}", made["id"].as_str().unwrap());
    stage.control("POST", "/_sim/time", &json!({ "advance_seconds": 23 * 3_600 - 1 })).await;
    assert_eq!(stage.get(&path).await.ok()["status"], "incomplete");
    stage.control("POST", "/_sim/time", &json!({ "advance_seconds": 1 })).await;
    assert_eq!(stage.get(&path).await.ok()["status"], "incomplete_expired");
    let invoice = stage.get(&format!("/v1/invoices/{}", made["latest_invoice"].as_str().unwrap())).await.ok();
    assert_eq!(invoice["status"], "void");
}

/// A retry that was waiting brought a canceled subscription back as past due.
#[tokio::test]
async fn a_canceled_subscription_stays_canceled_while_its_last_invoice_is_owed() {
    let stage = Stage::new().await;
    let payer = stage.payer().await;
    let price = stage.monthly(1_900).await;
    let id = stage.make("/v1/subscriptions", &format!("customer={payer}&items[0][price]={price}")).await;
    let path = format!("/v1/subscriptions/{id}");
    let bad = stage.make("/v1/payment_methods/pm_card_chargeCustomerFail/attach", &format!("customer={payer}")).await;
    stage.post(&path, &format!("default_payment_method={bad}")).await.ok();
    stage.advance_days(31).await;
    assert_eq!(stage.get(&path).await.ok()["status"], "past_due");
    stage.delete(&path).await.ok();
    stage.advance_days(30).await;
    assert_eq!(stage.get(&path).await.ok()["status"], "canceled");
    let owed = stage.get(&format!("/v1/invoices?subscription={id}&limit=1")).await.ok()["data"][0].clone();
    assert_eq!((&owed["status"], &owed["auto_advance"]), (&json!("open"), &json!(false)));
}

#[tokio::test]
async fn clocks_have_limits() {
    let stage = Stage::new().await;
    let clock = clock(&stage).await;
    let path = format!("/v1/test_helpers/test_clocks/{clock}/advance");
    assert_eq!(stage.post(&path, &format!("frozen_time={START}")).await.refusal(), "400 - frozen_time");
    assert_eq!(stage.post(&path, &format!("frozen_time={}", START + 731 * DAY)).await.refusal(), "400 - frozen_time");
    let payer = payer_on(&stage, &clock, "pm_card_visa").await;
    let price = stage.monthly(1_900).await;
    let subscribe = format!("customer={payer}&items[0][price]={price}");
    for _ in 0..3 {
        stage.make("/v1/subscriptions", &subscribe).await;
    }
    assert_eq!(stage.post("/v1/subscriptions", &subscribe).await.refusal(), "400 - customer");
    assert_eq!(stage.post(&path, &format!("frozen_time={}", START + 60 * DAY)).await.refusal(), "400 - frozen_time");
    advance(&stage, &clock, START + 59 * DAY).await;
    for _ in 0..2 {
        stage.make("/v1/customers", &format!("test_clock={clock}")).await;
    }
    let fourth = stage.post("/v1/customers", &format!("test_clock={clock}")).await;
    assert_eq!(fourth.refusal(), "400 - test_clock");
    assert_eq!(stage.post("/v1/customers", "test_clock=clock_none").await.refusal(), "400 resource_missing test_clock");
    let live = stage.request("POST", "/v1/test_helpers/test_clocks").bearer_auth(&stage.live_key).body("frozen_time=1");
    let live = stage.send("POST", "/v1/test_helpers/test_clocks", live).await;
    assert_eq!(live.status, 400);
}

#[tokio::test]
async fn what_is_on_a_clock_is_left_out_of_lists_and_goes_with_it() {
    let stage = Stage::new().await;
    let clock = clock(&stage).await;
    let payer = payer_on(&stage, &clock, "pm_card_visa").await;
    let price = stage.monthly(1_900).await;
    let id = stage.make("/v1/subscriptions", &format!("customer={payer}&items[0][price]={price}")).await;
    stage.make("/v1/invoiceitems", &format!("customer={payer}&amount=100&currency=usd")).await;
    let other = stage.make("/v1/customers", "name=Other").await;
    for (path, expected) in [
        ("/v1/customers".to_owned(), 1),
        (format!("/v1/customers?test_clock={clock}"), 1),
        ("/v1/subscriptions".to_owned(), 0),
        (format!("/v1/subscriptions?test_clock={clock}"), 1),
        (format!("/v1/subscriptions?customer={payer}"), 1),
        ("/v1/invoices".to_owned(), 0),
        (format!("/v1/invoices?customer={payer}"), 1),
        ("/v1/invoiceitems".to_owned(), 0),
        (format!("/v1/invoiceitems?customer={payer}"), 1),
    ] {
        assert_eq!(stage.get(&path).await.ok()["data"].as_array().unwrap().len(), expected, "{path}");
    }
    let gone = stage.delete(&format!("/v1/test_helpers/test_clocks/{clock}")).await.ok();
    assert_eq!(gone["deleted"], true);
    assert_eq!(stage.get(&format!("/v1/test_helpers/test_clocks/{clock}")).await.status, 404);
    assert_eq!(stage.get(&format!("/v1/customers/{payer}")).await.ok()["deleted"], true);
    assert_eq!(stage.get(&format!("/v1/subscriptions/{id}")).await.ok()["status"], "canceled");
    assert_eq!(stage.get(&format!("/v1/customers/{other}")).await.ok()["name"], "Other");
    let events = stage.events().await;
    for kind in ["customer.deleted", "customer.subscription.deleted", "test_helpers.test_clock.deleted"] {
        assert!(events.contains(&kind.to_owned()), "{kind}");
    }
    // One that nobody deletes lives for thirty days.
    let second = stage.make("/v1/test_helpers/test_clocks", &format!("frozen_time={START}")).await;
    stage.advance_days(31).await;
    assert_eq!(stage.get(&format!("/v1/test_helpers/test_clocks/{second}")).await.status, 404);
}
