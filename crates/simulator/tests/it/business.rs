//! The generated business: it adds up, it repeats, it reads as it should.

use crate::stage::{NOW, Stage, options};
use serde_json::{Value, json};
use simulator::{Business, Payouts, Settled};
use std::collections::{BTreeMap, BTreeSet};

fn small() -> Business {
    Business { seed: 42, customers: 120, charges: 1_500, months: 14, ..Business::default() }
}

/// Every object of a list, page by page.
async fn all(stage: &Stage, path: &str) -> Vec<Value> {
    let mut found: Vec<Value> = Vec::new();
    loop {
        let joined = if path.contains('?') { '&' } else { '?' };
        let after =
            found.last().map(|last| format!("&starting_after={}", last["id"].as_str().unwrap())).unwrap_or_default();
        let page = stage.get(&format!("{path}{joined}limit=100{after}")).await.ok();
        found.extend(page["data"].as_array().unwrap().iter().cloned());
        if page["has_more"] == false {
            return found;
        }
    }
}

fn int(object: &Value, member: &str) -> i64 {
    object[member].as_i64().unwrap()
}

#[tokio::test]
async fn its_totals_tie_to_the_cent_however_they_are_added_up() {
    let stage = Stage::new().await;
    let summary = stage.simulator.generate(&stage.account, &small()).unwrap();
    let rows = all(&stage, "/v1/balance_transactions").await;
    let mut sums: BTreeMap<String, Settled> = BTreeMap::new();
    for row in &rows {
        let sum = sums.entry(row["currency"].as_str().unwrap().to_owned()).or_default();
        let amount = int(row, "amount");
        assert_eq!(amount - int(row, "fee"), int(row, "net"));
        sum.balance += int(row, "net");
        match row["reporting_category"].as_str().unwrap() {
            "charge" => {
                sum.gross += amount;
                sum.charges += 1;
            }
            "refund" => {
                sum.refunds -= amount;
                sum.refund_count += 1;
            }
            "dispute" => sum.disputes -= amount,
            "dispute_reversal" => sum.dispute_reversals += amount,
            "payout" => {
                sum.payouts -= amount;
                sum.payout_count += 1;
                continue;
            }
            other => panic!("{other}"),
        }
        sum.fees += int(row, "fee");
        sum.net += int(row, "net");
    }
    assert_eq!(sums, summary.totals.settled);
    for sum in sums.values() {
        assert_eq!(sum.gross - sum.refunds - sum.disputes + sum.dispute_reversals - sum.fees, sum.net);
        assert_eq!(sum.net - sum.payouts, sum.balance);
    }
    let balance = stage.get("/v1/balance").await.ok();
    for list in ["available", "pending"] {
        for part in balance[list].as_array().unwrap() {
            sums.get_mut(part["currency"].as_str().unwrap()).unwrap().balance -= int(part, "amount");
        }
    }
    assert!(sums.values().all(|sum| sum.balance == 0), "the balance is what no payout has taken");

    let charges = all(&stage, "/v1/charges").await;
    assert_eq!(charges.len(), 1_500);
    let of = |id: &Value| rows.iter().find(|row| row["id"] == *id).unwrap();
    let mut presented: BTreeMap<&str, (i64, i64)> = BTreeMap::new();
    for charge in charges.iter().filter(|charge| charge["status"] == "succeeded") {
        let row = of(&charge["balance_transaction"]);
        assert_eq!(row["source"], charge["id"]);
        let sum = presented.entry(charge["currency"].as_str().unwrap()).or_default();
        sum.0 += int(charge, "amount_captured");
        sum.1 += int(charge, "amount_refunded");
    }
    let expected: BTreeMap<&str, (i64, i64)> = summary
        .totals
        .presented
        .iter()
        .map(|(currency, sum)| (currency.as_str(), (sum.charged, sum.refunded)))
        .collect();
    assert_eq!(presented, expected);
    let refunds = all(&stage, "/v1/refunds").await;
    for refund in &refunds {
        assert_eq!(of(&refund["balance_transaction"])["source"], refund["id"]);
    }
}

#[tokio::test]
async fn every_payout_is_the_sum_of_what_it_took() {
    let stage = Stage::new().await;
    stage.simulator.generate(&stage.account, &Business { payouts: Payouts::Weekly, ..small() }).unwrap();
    let payouts = all(&stage, "/v1/payouts").await;
    assert!(payouts.len() > 100, "{}", payouts.len());
    for payout in payouts.iter().take(60) {
        let rows = all(&stage, &format!("/v1/balance_transactions?payout={}", payout["id"].as_str().unwrap())).await;
        let (own, taken): (Vec<&Value>, Vec<&Value>) = rows.iter().partition(|row| row["type"] == "payout");
        assert_eq!(own.len(), 1);
        assert_eq!(taken.iter().map(|row| int(row, "net")).sum::<i64>(), int(payout, "amount"));
    }
}

#[tokio::test]
async fn references_lead_somewhere_and_shares_are_believable() {
    let stage = Stage::new().await;
    let summary = stage.simulator.generate(&stage.account, &small()).unwrap();
    let charges = all(
        &stage,
        "/v1/charges?expand[]=data.customer&expand[]=data.payment_intent&expand[]=data.balance_transaction",
    )
    .await;
    assert!(
        charges.iter().all(|charge| charge["customer"]["object"] == "customer"
            && charge["payment_intent"]["object"] == "payment_intent")
    );
    assert!(charges.iter().all(|charge| (summary.from..=NOW).contains(&int(charge, "created"))));
    let share = |part: usize| part * 1_000 / charges.len();
    let failed = charges.iter().filter(|charge| charge["status"] == "failed").count();
    assert!((20..=70).contains(&share(failed)), "{failed} failed");
    let refunded = charges.iter().filter(|charge| int(charge, "amount_refunded") > 0).count();
    assert!((15..=45).contains(&share(refunded)), "{refunded} refunded");
    let plans: BTreeSet<&str> =
        charges.iter().filter_map(|charge| charge["metadata"]["billing.model"].as_str()).collect();
    assert_eq!(plans, BTreeSet::from(["one_off", "subscription"]));
    let currencies: BTreeSet<&str> = charges.iter().map(|charge| charge["currency"].as_str().unwrap()).collect();
    assert_eq!(currencies, BTreeSet::from(["aud", "cad", "eur", "gbp", "jpy", "usd"]));
    let converted = charges.iter().filter(|charge| charge["currency"] == "cad" && charge["paid"] == true);
    assert!(converted.clone().count() > 0);
    assert!(converted.into_iter().all(|charge| charge["balance_transaction"]["currency"] == "usd"));

    let invoices = all(&stage, "/v1/invoices?expand[]=data.payments&expand[]=data.customer").await;
    assert!(
        invoices
            .iter()
            .filter(|invoice| invoice["status"] == "paid")
            .all(|invoice| invoice["payments"]["data"][0]["status"] == "paid")
    );
    let subscriptions = all(&stage, "/v1/subscriptions?status=all&expand[]=data.latest_invoice").await;
    assert!(subscriptions.iter().all(|subscription| subscription["latest_invoice"]["object"] == "invoice"));
    let active = subscriptions.iter().filter(|subscription| subscription["status"] == "active");
    assert!(active.clone().count() > 5);
    assert!(active.into_iter().all(|subscription| int(&subscription["items"]["data"][0], "current_period_end") > NOW));
    let events = all(&stage, "/v1/events").await;
    assert!(
        events.len() > 200 && events.iter().all(|event| int(event, "created") >= NOW - 30 * 86_400),
        "{}",
        events.len()
    );
    for path in ["products", "prices", "payment_methods", "disputes", "invoice_payments", "customers"] {
        assert!(!all(&stage, &format!("/v1/{path}")).await.is_empty(), "{path}");
    }
}

#[tokio::test]
async fn the_same_seed_makes_the_same_business() {
    let (one, two) = (Stage::new().await, Stage::new().await);
    let made = one.control("POST", "/_sim/generate", &serde_json::to_value(small()).unwrap()).await;
    let again = two.simulator.generate(&two.account, &small()).unwrap();
    assert_eq!(made, serde_json::to_value(&again).unwrap());
    for path in ["/v1/charges?limit=100", "/v1/subscriptions?limit=100", "/v1/events?limit=100"] {
        assert_eq!(one.get(path).await.body, two.get(path).await.body, "{path}");
    }
    let other = Stage::new().await;
    let other = other.simulator.generate(&other.account, &Business { seed: 43, ..small() }).unwrap();
    assert_ne!(other.totals, again.totals);
}

#[tokio::test]
async fn a_generated_business_goes_on_when_time_passes() {
    let stage = Stage::new().await;
    let before = stage.simulator.generate(&stage.account, &small()).unwrap();
    stage.advance_days(40).await;
    let counts = stage.simulator.counts(&stage.account, false).unwrap();
    assert!(counts["charge"] > before.objects["charge"] && counts["payout"] > before.objects["payout"]);
    let totals = stage.simulator.totals(&stage.account, false).unwrap();
    let rows = all(&stage, "/v1/balance_transactions?currency=usd").await;
    assert_eq!(rows.iter().map(|row| int(row, "net")).sum::<i64>(), totals.settled["usd"].balance);
    // Everything that the business emitted is what Stripe's description says.
    assert!(!all(&stage, "/v1/events").await.is_empty());
}

#[tokio::test]
async fn traffic_keeps_coming_and_still_adds_up() {
    let stage = Stage::new().await;
    stage.simulator.generate(&stage.account, &small()).unwrap();
    let before = stage.simulator.counts(&stage.account, false).unwrap();
    stage.control("POST", "/_sim/traffic", &json!({ "per_second": 2_000 })).await;
    crate::stage::until("a few hundred new charges", async || {
        let counts = stage.simulator.counts(&stage.account, false).unwrap();
        (counts["charge"] > before["charge"] + 200 && counts["refund"] > before["refund"] + 5).then_some(())
    })
    .await;
    stage.control("POST", "/_sim/traffic", &json!({ "per_second": 0 })).await;
    let totals = stage.control("GET", "/_sim/totals", &json!(null)).await;
    for (currency, sum) in totals["settled"].as_object().unwrap() {
        let rows = all(&stage, &format!("/v1/balance_transactions?currency={currency}")).await;
        assert_eq!(rows.iter().map(|row| int(row, "net")).sum::<i64>(), int(sum, "balance"), "{currency}");
    }
    for kind in
        ["charge.succeeded", "customer.created", "customer.updated", "refund.created", "customer.subscription.created"]
    {
        let events = stage.get(&format!("/v1/events?type={kind}&limit=50")).await.ok();
        assert!(!events["data"].as_array().unwrap().is_empty(), "{kind}");
    }
}

#[test]
fn a_life_under_a_hand_moved_clock_repeats_id_by_id() {
    let life = || {
        let clock = kit::HandClock::at(kit::Time::from_seconds(NOW));
        let simulator = simulator::Simulator::new(simulator::Options { clock: clock.shared(), ..options() });
        let account = simulator.default_account().account_id;
        simulator.generate(&account, &Business { customers: 5, charges: 20, ..small() }).unwrap();
        for _ in 0..10 {
            clock.advance(std::time::Duration::from_secs(86_400));
            simulator.live(&account, false, 20).unwrap();
        }
        let kinds = ["charge", "customer", "refund", "payout", "event"];
        kinds.map(|kind| simulator.objects(&account, false, kind).unwrap())
    };
    let (one, other) = (life(), life());
    assert!(one[4].len() > 300 && one.iter().all(|kind| !kind.is_empty()), "{:?}", one.map(|kind| kind.len()));
    assert_eq!(one, other);
}

/// The demonstration gives the simulator and its business the same seed; what comes later must not take the ids, and so
/// the place, of what was there.
#[test]
fn what_comes_later_takes_the_place_of_nothing_also_under_the_same_seed() {
    let simulator = simulator::Simulator::new(simulator::Options { seed: 1, ..options() });
    let account = simulator.default_account().account_id;
    let business = Business { seed: 1, customers: 300, charges: 3_000, ..Business::default() };
    simulator.generate(&account, &business).unwrap();
    let before = simulator.objects(&account, false, "balance_transaction").unwrap();
    simulator.live(&account, false, 3_000).unwrap();
    let after: BTreeSet<String> = simulator
        .objects(&account, false, "balance_transaction")
        .unwrap()
        .iter()
        .map(|text| id_and_source(text))
        .collect();
    let replaced = before.iter().map(|text| id_and_source(text)).filter(|it| !after.contains(it)).count();
    assert_eq!(replaced, 0, "of {} balance transactions", before.len());
}

fn id_and_source(text: &str) -> String {
    let row: Value = serde_json::from_str(text).unwrap();
    format!("{} {} {}", row["id"], row["source"], row["amount"])
}
