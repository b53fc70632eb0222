//! Taking money and giving it back.

use crate::stage::Stage;
use serde_json::json;

#[tokio::test]
async fn test_cards_decide_what_becomes_of_a_payment() {
    let stage = Stage::new().await;
    for (card, expected) in [
        ("pm_card_visa", "succeeded"),
        ("pm_card_mastercard", "succeeded"),
        ("pm_card_authenticationRequired", "requires_action"),
        ("pm_card_createDispute", "succeeded"),
        ("pm_card_chargeDeclined", "402 card_declined generic_decline"),
        ("pm_card_chargeDeclinedInsufficientFunds", "402 card_declined insufficient_funds"),
        ("pm_card_chargeDeclinedExpiredCard", "402 expired_card -"),
        ("pm_card_nonsense", "400 resource_missing -"),
    ] {
        let reply = stage
            .post("/v1/payment_intents", &format!("amount=2000&currency=usd&confirm=true&payment_method={card}"))
            .await;
        let outcome = match reply.status {
            200 => reply.body["status"].as_str().unwrap().to_owned(),
            status => {
                let error = &reply.body["error"];
                format!(
                    "{status} {} {}",
                    error["code"].as_str().unwrap(),
                    error["decline_code"].as_str().unwrap_or("-")
                )
            }
        };
        assert_eq!(outcome, expected, "{card}");
    }
    let failed = stage.get("/v1/charges?limit=100").await.ok();
    let failed = failed["data"].as_array().unwrap().iter().filter(|charge| charge["status"] == "failed").count();
    assert_eq!(failed, 3, "declined charges are listed too");
}

#[tokio::test]
async fn a_declined_intent_can_be_paid_with_another_card() {
    let stage = Stage::new().await;
    let declined = stage
        .post("/v1/payment_intents", "amount=2000&currency=usd&confirm=true&payment_method=pm_card_chargeDeclined")
        .await;
    let intent = declined.body["error"]["payment_intent"]["id"].as_str().unwrap().to_owned();
    assert_eq!(declined.body["error"]["payment_intent"]["status"], "requires_payment_method");
    let read = stage.get(&format!("/v1/payment_intents/{intent}")).await.ok();
    assert_eq!(read["last_payment_error"]["decline_code"], "generic_decline");
    let paid = stage.post(&format!("/v1/payment_intents/{intent}/confirm"), "payment_method=pm_card_visa").await.ok();
    assert_eq!((&paid["status"], &paid["last_payment_error"]), (&json!("succeeded"), &json!(null)));
    assert_eq!(
        stage.post(&format!("/v1/payment_intents/{intent}/confirm"), "").await.refusal(),
        "400 payment_intent_unexpected_state -"
    );
    assert_eq!(
        stage.post(&format!("/v1/payment_intents/{intent}/cancel"), "").await.refusal(),
        "400 payment_intent_unexpected_state -"
    );
    let expected = [
        "payment_intent.created",
        "charge.failed",
        "payment_intent.payment_failed",
        "charge.succeeded",
        "payment_intent.succeeded",
    ];
    assert_eq!(stage.events().await, expected);
}

#[tokio::test]
async fn an_authorisation_is_captured_in_part_or_released() {
    let stage = Stage::new().await;
    let form = "amount=5000&currency=eur&capture_method=manual&confirm=true&payment_method=pm_card_visa";
    let held = stage.post("/v1/payment_intents", form).await.ok();
    assert_eq!((&held["status"], &held["amount_capturable"]), (&json!("requires_capture"), &json!(5000)));
    let intent = held["id"].as_str().unwrap();
    assert_eq!(
        stage.post(&format!("/v1/payment_intents/{intent}/capture"), "amount_to_capture=9000").await.status,
        400
    );
    let taken = stage.post(&format!("/v1/payment_intents/{intent}/capture"), "amount_to_capture=3000").await.ok();
    assert_eq!(taken["amount_received"], 3000);
    let charge = taken["latest_charge"].as_str().unwrap();
    let refund = stage.post("/v1/refunds", &format!("charge={charge}")).await.ok();
    assert_eq!(refund["amount"], 3000, "what was not captured cannot be refunded");
    let released = stage.post("/v1/payment_intents", form).await.ok();
    let released = stage
        .post(
            &format!("/v1/payment_intents/{}/cancel", released["id"].as_str().unwrap()),
            "cancellation_reason=abandoned",
        )
        .await
        .ok();
    assert_eq!(released["status"], "canceled");
    let totals = stage.simulator.totals(&stage.account, false).unwrap();
    assert_eq!((totals.settled["eur"].gross, totals.settled["eur"].refunds), (3000, 3000));
}

#[tokio::test]
async fn refunds_stop_at_what_was_paid() {
    let stage = Stage::new().await;
    let charge = stage.charge("amount=1000").await;
    assert_eq!(stage.post("/v1/refunds", &format!("charge={charge}&amount=1001")).await.refusal(), "400 - amount");
    stage.post("/v1/refunds", &format!("charge={charge}&amount=400&metadata[ticket]=T1")).await.ok();
    let read = stage.get(&format!("/v1/charges/{charge}")).await.ok();
    assert_eq!((&read["amount_refunded"], &read["refunded"]), (&json!(400), &json!(false)));
    stage.post("/v1/refunds", &format!("charge={charge}")).await.ok();
    assert_eq!(stage.get(&format!("/v1/charges/{charge}")).await.ok()["refunded"], true);
    assert_eq!(stage.post("/v1/refunds", &format!("charge={charge}")).await.refusal(), "400 charge_already_refunded -");
    let expected = ["refund.created", "charge.refunded", "refund.created", "charge.refunded"];
    assert_eq!(stage.events().await[3..], expected);
}

#[tokio::test]
async fn a_converted_charge_arrives_in_dollars_and_goes_back_to_the_cent() {
    let stage = Stage::new().await;
    let intent = stage.post("/v1/payment_intents", "amount=9999&currency=cad&confirm=true&payment_method=pm_card_visa&expand[]=latest_charge.balance_transaction").await.ok();
    let row = &intent["latest_charge"]["balance_transaction"];
    assert_eq!(
        (&row["currency"], &row["amount"], row["exchange_rate"].to_string().as_str()),
        (&json!("usd"), &json!(7312), "0.73125")
    );
    assert_eq!(row["amount"].as_i64().unwrap() - row["fee"].as_i64().unwrap(), row["net"].as_i64().unwrap());
    let charge = intent["latest_charge"]["id"].as_str().unwrap();
    for amount in [3333, 3333, 3333] {
        stage.make("/v1/refunds", &format!("charge={charge}&amount={amount}")).await;
    }
    let totals = stage.simulator.totals(&stage.account, false).unwrap();
    assert_eq!(totals.settled["usd"].refunds, 7312);
}

#[tokio::test]
async fn a_dispute_takes_the_money_and_brings_it_back_when_won() {
    let stage = Stage::new().await;
    let form = "amount=5000&currency=usd&confirm=true&payment_method=pm_card_createDispute";
    stage.make("/v1/payment_intents", form).await;
    stage.make("/v1/payment_intents", form).await;
    let disputes = stage.get("/v1/disputes").await.ok();
    let (won, lost) = (disputes["data"][0]["id"].as_str().unwrap(), disputes["data"][1]["id"].as_str().unwrap());
    assert_eq!(disputes["data"][0]["balance_transactions"][0]["net"], -6500);
    let decided =
        stage.post(&format!("/v1/disputes/{won}"), "evidence[uncategorized_text]=winning_evidence").await.ok();
    assert_eq!((&decided["status"], decided["balance_transactions"].as_array().unwrap().len()), (&json!("won"), 2));
    assert_eq!(stage.post(&format!("/v1/disputes/{lost}/close"), "").await.ok()["status"], "lost");
    assert_eq!(stage.post(&format!("/v1/disputes/{lost}/close"), "").await.refusal(), "400 dispute_already_closed -");
    let charge = decided["charge"].as_str().unwrap();
    assert_eq!(stage.post("/v1/refunds", &format!("charge={charge}")).await.refusal(), "400 charge_disputed -");
    let usd = stage.simulator.totals(&stage.account, false).unwrap().settled["usd"];
    assert_eq!((usd.disputes, usd.dispute_reversals, usd.fees), (10_000, 5_000, 2 * 1_500 + 2 * 175));
    assert!(stage.events().await.contains(&"charge.dispute.funds_reinstated".to_owned()));
    let inquiry = stage
        .make("/v1/payment_intents", "amount=900&currency=usd&confirm=true&payment_method=pm_card_createDisputeInquiry")
        .await;
    let open = stage.get(&format!("/v1/disputes?payment_intent={inquiry}")).await.ok();
    assert_eq!(
        (&open["data"][0]["status"], &open["data"][0]["balance_transactions"]),
        (&json!("warning_needs_response"), &json!([]))
    );
}

#[tokio::test]
async fn money_becomes_available_and_is_paid_out() {
    let stage = Stage::new().await;
    stage.charge("amount=10000").await;
    let balance = stage.get("/v1/balance").await.ok();
    assert_eq!((&balance["available"][0]["amount"], &balance["pending"][0]["amount"]), (&json!(0), &json!(9_680)));
    assert_eq!(stage.post("/v1/payouts", "amount=5000&currency=usd").await.refusal(), "400 balance_insufficient -");
    stage.advance_days(6).await;
    let payouts = stage.get("/v1/payouts").await.ok();
    let payout = &payouts["data"][0];
    assert_eq!(
        (&payout["amount"], &payout["status"], &payout["automatic"]),
        (&json!(9_680), &json!("paid"), &json!(true))
    );
    let taken = stage.get(&format!("/v1/balance_transactions?payout={}", payout["id"].as_str().unwrap())).await.ok();
    let sum: i64 = taken["data"].as_array().unwrap().iter().map(|row| row["net"].as_i64().unwrap()).sum();
    assert_eq!((taken["data"].as_array().unwrap().len(), sum), (2, 0), "what came and its payout cancel out");
    let row = stage.get("/v1/balance_transactions?type=charge").await.ok();
    assert_eq!(row["data"][0]["status"], "available");
    let events = stage.events().await;
    assert!(events.contains(&"payout.created".to_owned()) && events.contains(&"payout.paid".to_owned()), "{events:?}");
}

#[tokio::test]
async fn the_card_that_bypasses_pending_can_be_paid_out_at_once() {
    let stage = Stage::new().await;
    let form = "amount=10000&currency=usd&confirm=true&payment_method=pm_card_bypassPending";
    stage.make("/v1/payment_intents", form).await;
    let held = stage.make("/v1/payment_intents", &format!("{form}&capture_method=manual")).await;
    stage.post(&format!("/v1/payment_intents/{held}/capture"), "").await.ok();
    let balance = stage.get("/v1/balance").await.ok();
    assert_eq!((&balance["available"][0]["amount"], &balance["pending"][0]["amount"]), (&json!(19_360), &json!(0)));
    stage.post("/v1/payouts", "amount=19360&currency=usd").await.ok();
}

#[tokio::test]
async fn payouts_by_hand_take_from_what_is_available() {
    let stage = Stage::new().await;
    let charge = stage.charge("amount=10000").await;
    // A dispute's money moves at once, so it makes something available to count with: here, less than nothing.
    let dispute = stage.control("POST", "/_sim/disputes", &json!({ "charge": charge })).await;
    assert_eq!(stage.post("/v1/payouts", "amount=1&currency=usd").await.refusal(), "400 balance_insufficient -");
    stage.control("POST", "/_sim/disputes", &json!({ "dispute": dispute["id"], "won": true })).await;
    stage.charge("amount=4000").await;
    assert_eq!(stage.post("/v1/payouts", "amount=1&currency=sek").await.refusal(), "400 - currency");
    let totals = stage.simulator.totals(&stage.account, false).unwrap();
    assert_eq!(totals.settled["usd"].net, 10_000 - 320 - 1_500 + 4_000 - 146);
}
