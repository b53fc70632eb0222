//! Every move of money has its balance transaction, and every payout is the sum of what it took: told by histories made by
//! chance. A failure names its seed.

use crate::stage::Stage;
use kit::{Randomness, SeededRandomness};
use serde_json::{Value, json};
use std::collections::BTreeMap;

const CARDS: [&str; 9] = [
    "visa",
    "visa",
    "pendingRefund",
    "bypassPending",
    "refundFail",
    "pendingRefund",
    "createDispute",
    "createDisputeInquiry",
    "chargeDeclined",
];
const CURRENCIES: [&str; 6] = ["usd", "eur", "gbp", "jpy", "cad", "brl"];
const SETTLED: [&str; 4] = ["usd", "eur", "gbp", "jpy"];

struct History {
    stage: Stage,
    randomness: SeededRandomness,
    seed: u64,
    /// What may be acted on again: charges, authorised intents, refunds.
    charges: Vec<String>,
    authorised: Vec<String>,
    refunds: Vec<String>,
    /// How many steps of each kind had an effect, so that a history that does nothing is noticed.
    done: BTreeMap<&'static str, usize>,
}

impl History {
    async fn new(seed: u64) -> History {
        History {
            stage: Stage::new().await,
            randomness: SeededRandomness::new(seed),
            seed,
            charges: Vec::new(),
            authorised: Vec::new(),
            refunds: Vec::new(),
            done: BTreeMap::new(),
        }
    }

    fn below(&self, bound: usize) -> usize {
        usize::try_from(self.randomness.below(bound.max(1) as u64)).unwrap()
    }

    fn one(&self, of: &[String]) -> Option<String> {
        of.get(self.below(of.len())).cloned()
    }

    fn did(&mut self, what: &'static str) {
        *self.done.entry(what).or_default() += 1;
    }

    async fn post(&self, path: &str, form: &str) -> Option<Value> {
        let reply = self.stage.post(path, form).await;
        (reply.status == 200).then_some(reply.body)
    }

    async fn step(&mut self) {
        match self.below(100) {
            0..30 => self.pay(false).await,
            30..38 => self.pay(true).await,
            38..46 => self.capture().await,
            46..62 => self.refund().await,
            62..68 => self.dispute().await,
            68..74 => self.stripe_moves().await,
            74..84 => self.payout().await,
            _ => {
                let seconds = self.below(3 * 86_400);
                self.stage.control("POST", "/_sim/time", &json!({ "advance_seconds": seconds })).await;
                self.did("time");
            }
        }
    }

    async fn pay(&mut self, manual: bool) {
        let (card, currency) = (CARDS[self.below(CARDS.len())], CURRENCIES[self.below(CURRENCIES.len())]);
        let amount = 1_000 + self.below(90_000);
        let capture = if manual { "&capture_method=manual" } else { "" };
        let form = format!("amount={amount}&currency={currency}&payment_method=pm_card_{card}&confirm=true{capture}");
        let Some(intent) = self.post("/v1/payment_intents", &form).await else { return };
        if manual {
            self.authorised.push(intent["id"].as_str().unwrap().to_owned());
        } else {
            self.charges.push(intent["latest_charge"].as_str().unwrap().to_owned());
            self.did("charge");
        }
    }

    async fn capture(&mut self) {
        if self.authorised.is_empty() {
            return;
        }
        let intent = self.authorised.swap_remove(self.below(self.authorised.len()));
        if self.below(4) == 0 {
            self.post(&format!("/v1/payment_intents/{intent}/cancel"), "").await.unwrap();
            self.did("release");
            return;
        }
        let form =
            if self.below(2) == 0 { format!("amount_to_capture={}", 1 + self.below(900)) } else { String::new() };
        let captured = self.post(&format!("/v1/payment_intents/{intent}/capture"), &form).await.unwrap();
        self.charges.push(captured["latest_charge"].as_str().unwrap().to_owned());
        self.did("capture");
    }

    async fn refund(&mut self) {
        if self.below(3) == 0
            && let Some(refund) = self.refunds.last().cloned()
        {
            if self.post(&format!("/v1/refunds/{refund}/cancel"), "").await.is_some() {
                self.did("refund taken back");
            }
            return;
        }
        let Some(charge) = self.one(&self.charges) else { return };
        let part = if self.below(2) == 0 { format!("&amount={}", 1 + self.below(700)) } else { String::new() };
        if let Some(refund) = self.post("/v1/refunds", &format!("charge={charge}{part}")).await {
            self.refunds.push(refund["id"].as_str().unwrap().to_owned());
            self.did("refund");
        }
    }

    async fn dispute(&mut self) {
        let open = self.stage.get("/v1/disputes?limit=100").await.ok();
        let open: Vec<String> = open["data"]
            .as_array()
            .unwrap()
            .iter()
            .filter(|dispute| dispute["status"].as_str().unwrap().ends_with("needs_response"))
            .map(|dispute| dispute["id"].as_str().unwrap().to_owned())
            .collect();
        if let Some(dispute) = self.one(&open) {
            let won = self.below(2) == 0;
            self.stage.control("POST", "/_sim/disputes", &json!({ "dispute": dispute, "won": won })).await;
            self.did("dispute decided");
        } else if let Some(charge) = self.one(&self.charges) {
            let asked = json!({ "charge": charge, "reason": "fraudulent" });
            let request = self.stage.request("POST", "/_sim/disputes").body(asked.to_string());
            // A charge that was disputed before, or given back, cannot be.
            if request.send().await.unwrap().status().is_success() {
                self.did("dispute");
            }
        }
    }

    async fn stripe_moves(&mut self) {
        let currency = SETTLED[self.below(SETTLED.len())];
        let amount = i64::try_from(self.below(4_000)).unwrap() + 1;
        let asked = if self.below(2) == 0 {
            json!({ "fee": amount, "currency": currency })
        } else {
            json!({ "adjustment": amount - 2_000, "currency": currency })
        };
        self.stage.control("POST", "/_sim/money", &asked).await;
        self.did("fee or correction");
    }

    async fn payout(&mut self) {
        let all = self.stage.get("/v1/payouts?limit=100").await.ok();
        let all: Vec<String> =
            all["data"].as_array().unwrap().iter().map(|payout| payout["id"].as_str().unwrap().to_owned()).collect();
        match self.below(4) {
            0 => {
                let Some(payout) = self.one(&all) else { return };
                let asked = json!({ "fail_payout": payout, "code": "account_closed" });
                let request = self.stage.request("POST", "/_sim/money").body(asked.to_string());
                if request.send().await.unwrap().status().is_success() {
                    self.did("payout failed");
                }
            }
            _ => {
                let balance = self.stage.get("/v1/balance").await.ok();
                let rich: Vec<Value> = balance["available"]
                    .as_array()
                    .unwrap()
                    .iter()
                    .filter(|part| int(part, "amount") > 0)
                    .cloned()
                    .collect();
                let Some(part) = rich.get(self.below(rich.len())) else { return };
                let most = usize::try_from(int(part, "amount")).unwrap();
                let currency = part["currency"].as_str().unwrap();
                let form = format!("amount={}&currency={currency}", 1 + self.below(most));
                if let Some(payout) = self.post("/v1/payouts", &form).await {
                    self.did("payout");
                    if self.below(3) == 0 {
                        let path = format!("/v1/payouts/{}/cancel", payout["id"].as_str().unwrap());
                        self.post(&path, "").await.unwrap();
                        self.did("payout canceled");
                    }
                }
            }
        }
    }

    /// Every object of a list.
    async fn all(&self, path: &str) -> Vec<Value> {
        let mut found: Vec<Value> = Vec::new();
        loop {
            let joined = if path.contains('?') { '&' } else { '?' };
            let after = found.last().map(|last| format!("&starting_after={}", last["id"].as_str().unwrap()));
            let page = self.stage.get(&format!("{path}{joined}limit=100{}", after.unwrap_or_default())).await.ok();
            found.extend(page["data"].as_array().unwrap().iter().cloned());
            if page["has_more"] == false {
                return found;
            }
        }
    }

    async fn check(&self) {
        let seed = self.seed;
        let rows = self.all("/v1/balance_transactions").await;
        let by_id: BTreeMap<&str, &Value> = rows.iter().map(|row| (row["id"].as_str().unwrap(), row)).collect();
        let now = self.stage.simulator.now();
        let mut sums: BTreeMap<&str, i64> = BTreeMap::new();
        for row in &rows {
            assert_eq!(int(row, "amount") - int(row, "fee"), int(row, "net"), "seed {seed}: {row}");
            let fees: i64 = row["fee_details"].as_array().unwrap().iter().map(|fee| int(fee, "amount")).sum();
            assert_eq!(fees, int(row, "fee"), "seed {seed}: {row}");
            let available = if int(row, "available_on") <= now { "available" } else { "pending" };
            assert_eq!(row["status"], available, "seed {seed}: {row}");
            *sums.entry(row["currency"].as_str().unwrap()).or_default() += int(row, "net");
        }
        self.balance_is(&sums).await;
        self.books_are(&rows);
        self.payouts_add_up(&rows).await;
        self.sources_lead_to(&by_id).await;
    }

    async fn balance_is(&self, sums: &BTreeMap<&str, i64>) {
        let balance = self.stage.get("/v1/balance").await.ok();
        let mut left = sums.clone();
        for list in ["available", "pending"] {
            for part in balance[list].as_array().unwrap() {
                *left.entry(part["currency"].as_str().unwrap()).or_default() -= int(part, "amount");
            }
        }
        assert!(left.values().all(|left| *left == 0), "seed {}: {balance} against {sums:?}", self.seed);
    }

    fn books_are(&self, rows: &[Value]) {
        let totals = self.stage.simulator.totals(&self.stage.account, false).unwrap();
        for (currency, books) in &totals.settled {
            let of = |category: &str| -> i64 {
                let rows = rows.iter().filter(|row| row["currency"] == *currency);
                rows.filter(|row| row["reporting_category"] == category).map(|row| int(row, "amount")).sum()
            };
            let what = format!("seed {}, {currency}", self.seed);
            assert_eq!(of("charge"), books.gross, "{what}");
            assert_eq!(-of("refund"), books.refunds, "{what}");
            assert_eq!(of("refund_failure"), books.refund_failures, "{what}");
            assert_eq!(-of("dispute"), books.disputes, "{what}");
            assert_eq!(of("dispute_reversal"), books.dispute_reversals, "{what}");
            assert_eq!(of("other_adjustment"), books.adjustments, "{what}");
            assert_eq!(-of("payout") - of("payout_reversal"), books.payouts, "{what}");
            let earned = books.gross - books.refunds + books.refund_failures - books.disputes
                + books.dispute_reversals
                + books.adjustments;
            assert_eq!((earned - books.fees, books.net - books.payouts), (books.net, books.balance), "{what}");
        }
    }

    async fn payouts_add_up(&self, rows: &[Value]) {
        let mut taken: BTreeMap<String, String> = BTreeMap::new();
        for payout in self.all("/v1/payouts").await {
            let id = payout["id"].as_str().unwrap();
            let of = self.all(&format!("/v1/balance_transactions?payout={id}")).await;
            let what = format!("seed {}: {payout}", self.seed);
            assert!(rows.iter().any(|row| row["id"] == payout["balance_transaction"]), "{what}");
            if payout["automatic"] == false {
                assert_eq!((of.len(), &payout["reconciliation_status"]), (0, &json!("not_applicable")), "{what}");
                continue;
            }
            let (own, others): (Vec<&Value>, Vec<&Value>) =
                of.iter().partition(|row| row["id"] == payout["balance_transaction"]);
            assert_eq!(own.iter().map(|row| int(row, "net")).sum::<i64>(), -int(&payout, "amount"), "{what}");
            assert_eq!(others.iter().map(|row| int(row, "net")).sum::<i64>(), int(&payout, "amount"), "{what}");
            let arrived = matches!(payout["status"].as_str().unwrap(), "paid");
            if arrived {
                assert_eq!(payout["reconciliation_status"], "completed", "{what}");
            }
            for row in of {
                let before = taken.insert(row["id"].as_str().unwrap().to_owned(), id.to_owned());
                assert_eq!(before, None, "{what} takes what another took: {row}");
            }
        }
    }

    /// Objects and their balance transactions say the same.
    async fn sources_lead_to(&self, rows: &BTreeMap<&str, &Value>) {
        let seed = self.seed;
        let of = |id: &Value| rows[id.as_str().unwrap()];
        let refunds = self.all("/v1/refunds").await;
        for charge in self.all("/v1/charges").await {
            let captured = charge["captured"] == true;
            assert_eq!(charge["balance_transaction"].is_string(), captured, "seed {seed}: {charge}");
            if !captured {
                continue;
            }
            assert_eq!(of(&charge["balance_transaction"])["source"], charge["id"]);
            let held = refunds.iter().filter(|refund| {
                refund["charge"] == charge["id"]
                    && matches!(refund["status"].as_str().unwrap(), "succeeded" | "pending")
            });
            let released = int(&charge, "amount") - int(&charge, "amount_captured");
            let refunded = held.map(|refund| int(refund, "amount")).sum::<i64>() + released;
            assert_eq!(int(&charge, "amount_refunded"), refunded, "seed {seed}: {charge}");
        }
        for refund in &refunds {
            let row = of(&refund["balance_transaction"]);
            assert_eq!(row["source"], refund["id"], "seed {seed}: {refund}");
            if matches!(refund["status"].as_str().unwrap(), "failed" | "canceled") {
                let back = of(&refund["failure_balance_transaction"]);
                assert_eq!(int(row, "net") + int(back, "net"), 0, "seed {seed}: {refund}");
            }
        }
        for dispute in self.all("/v1/disputes").await {
            let moves = dispute["balance_transactions"].as_array().unwrap();
            let status = dispute["status"].as_str().unwrap();
            let expected = match status {
                "won" => 2,
                _ if status.starts_with("warning") => 0,
                _ => 1,
            };
            assert_eq!(moves.len(), expected, "seed {seed}: {dispute}");
            for row in moves {
                assert_eq!(of(&row["id"])["source"], dispute["id"], "seed {seed}: {dispute}");
            }
            if status == "won" {
                assert_eq!(moves.iter().map(|row| int(row, "amount")).sum::<i64>(), 0, "seed {seed}: {dispute}");
            }
        }
    }
}

fn int(object: &Value, member: &str) -> i64 {
    object[member].as_i64().unwrap()
}

#[tokio::test]
async fn whatever_happens_the_rows_the_balance_and_the_payouts_agree() {
    let mut done: BTreeMap<&'static str, usize> = BTreeMap::new();
    for seed in 1..=5 {
        let mut history = History::new(seed).await;
        for step in 1..=150 {
            history.step().await;
            if step % 50 == 0 {
                history.check().await;
            }
        }
        // All that was under way has arrived.
        history.stage.advance_days(10).await;
        history.check().await;
        for (what, count) in history.done {
            *done.entry(what).or_default() += count;
        }
    }
    for what in [
        "charge",
        "capture",
        "release",
        "refund",
        "refund taken back",
        "dispute",
        "dispute decided",
        "fee or correction",
        "payout",
        "payout canceled",
        "payout failed",
        "time",
    ] {
        assert!(done.contains_key(what), "no history had: {what} ({done:?})");
    }
}

#[tokio::test]
async fn refunds_to_two_cards_fail_or_wait() {
    let stage = Stage::new().await;
    let mut made = Vec::new();
    for card in ["refundFail", "pendingRefund"] {
        let form = format!("amount=2000&currency=usd&payment_method=pm_card_{card}&confirm=true");
        let charge = stage.post("/v1/payment_intents", &form).await.ok()["latest_charge"].as_str().unwrap().to_owned();
        made.push((stage.post("/v1/refunds", &format!("charge={charge}&amount=500")).await.ok(), charge));
    }
    let status = |at: usize| made[at].0["status"].as_str().unwrap();
    assert_eq!((status(0), status(1)), ("succeeded", "pending"));
    stage.advance_days(1).await;
    let read = async |at: usize| stage.get(&format!("/v1/refunds/{}", made[at].0["id"].as_str().unwrap())).await.ok();
    let failed = read(0).await;
    assert_eq!((&failed["status"], &failed["failure_reason"]), (&json!("failed"), &json!("expired_or_canceled_card")));
    let back = stage
        .get(&format!("/v1/balance_transactions/{}", failed["failure_balance_transaction"].as_str().unwrap()))
        .await
        .ok();
    assert_eq!(
        (&back["type"], &back["reporting_category"], &back["amount"]),
        (&json!("refund_failure"), &json!("refund_failure"), &json!(500))
    );
    assert_eq!(read(1).await["status"], "succeeded");
    let refunded =
        async |at: usize| stage.get(&format!("/v1/charges/{}", made[at].1)).await.ok()["amount_refunded"].clone();
    assert_eq!((refunded(0).await, refunded(1).await), (json!(0), json!(500)));
    let events = stage.events().await;
    for kind in ["refund.failed", "refund.updated", "charge.refund.updated"] {
        assert!(events.contains(&kind.to_owned()), "{kind} in {events:?}");
    }
    let waits = format!("/v1/refunds/{}/cancel", made[1].0["id"].as_str().unwrap());
    assert_eq!(stage.post(&waits, "").await.status, 400, "it does not wait any more");
}

#[tokio::test]
async fn a_payout_that_comes_back_is_in_the_next_one() {
    let stage = Stage::new().await;
    stage.charge("amount=10000").await;
    stage.advance_days(3).await;
    let first = stage.get("/v1/payouts").await.ok()["data"][0].clone();
    let id = first["id"].as_str().unwrap();
    stage.control("POST", "/_sim/money", &json!({ "fee": 125, "currency": "usd" })).await;
    stage.control("POST", "/_sim/money", &json!({ "fail_payout": id, "code": "account_closed" })).await;
    let failed = stage.get(&format!("/v1/payouts/{id}")).await.ok();
    assert_eq!((&failed["status"], &failed["failure_code"]), (&json!("failed"), &json!("account_closed")));
    stage.advance_days(2).await;
    let second = stage.get("/v1/payouts?limit=1").await.ok()["data"][0].clone();
    assert_eq!(second["amount"], int(&first, "amount") - 125);
    let rows = stage.get(&format!("/v1/balance_transactions?payout={}", second["id"].as_str().unwrap())).await.ok();
    let mut types: Vec<&str> =
        rows["data"].as_array().unwrap().iter().map(|row| row["type"].as_str().unwrap()).collect();
    types.sort();
    assert_eq!(types, ["payout", "payout_failure", "stripe_fee"]);
    let events = stage.events().await;
    assert!(events.contains(&"payout.failed".to_owned()), "{events:?}");
}
