//! Objects as Stripe sends them, and their way through the door in.

use kit::{Randomness, SeededRandomness, TenantId, Time};
use mirror::{Absorber, Interval, Observation, Scope, Source};
use platform::Base;
use revenue::Revenue;
use serde_json::{Value, json};
use testkit::Stage;
use vault::ConnectionId;

/// 2026-01-10T10:00:00Z
pub(crate) const DAY_ONE: i64 = 1_768_039_200;
pub(crate) const DAY: i64 = 86_400;
pub(crate) const TENANT: TenantId = TenantId(1);

pub(crate) struct World {
    pub(crate) base: Base,
    pub(crate) revenue: Revenue,
    absorber: Absorber,
}

impl World {
    pub(crate) fn on(stage: &Stage) -> World {
        let base =
            Base { store: stage.store.clone(), clock: stage.clock.shared(), randomness: stage.randomness.clone() };
        let revenue = Revenue::new(base.clone());
        let absorber = Absorber::new(base.clone(), vec![revenue.projection()]);
        World { base, revenue, absorber }
    }

    /// Absorbs a batch in one transaction.
    pub(crate) async fn absorb(&self, account: &str, seen: &[Seen]) {
        let mut tx = self.base.store.begin(TENANT).await.unwrap();
        let observations: Vec<Observation<'_>> = seen.iter().map(Seen::observation).collect();
        self.absorber.absorb(&mut tx, &scope(account), &observations).await.unwrap();
        tx.commit().await.unwrap();
    }

    /// Absorbs objects as they are now.
    pub(crate) async fn learn(&self, account: &str, at: i64, bodies: &[Value]) {
        let seen: Vec<Seen> = bodies.iter().map(|body| Seen::new(at, body)).collect();
        self.absorb(account, &seen).await;
    }
}

pub(crate) fn scope(account: &str) -> Scope {
    Scope { tenant: TENANT, connection_id: ConnectionId::from_text("con_1"), account_id: account.to_owned() }
}

/// One version of an object, seen in one second.
#[derive(Clone, Debug)]
pub(crate) struct Seen {
    at: i64,
    kind: String,
    id: String,
    body: String,
    deleted: bool,
}

impl Seen {
    pub(crate) fn new(at: i64, body: &Value) -> Seen {
        Seen {
            at,
            kind: body["object"].as_str().unwrap().to_owned(),
            id: body["id"].as_str().unwrap().to_owned(),
            body: body.to_string(),
            deleted: body["deleted"] == true,
        }
    }

    fn observation(&self) -> Observation<'_> {
        Observation {
            object_type: &self.kind,
            id: &self.id,
            body: &self.body,
            created: Some(Time::from_seconds(self.at)),
            source: Source::Event,
            seen: Interval::of_event(Time::from_seconds(self.at)),
            deleted: self.deleted,
            stub: self.deleted,
        }
    }
}

pub(crate) fn charge(number: usize, at: i64, amount: i64, currency: &str) -> Value {
    json!({
        "id": format!("ch_{number}"), "object": "charge", "amount": amount, "amount_captured": amount, "amount_refunded": 0,
        "captured": true, "paid": true, "status": "succeeded", "created": at, "currency": currency, "customer": "cus_1",
        "payment_intent": format!("pi_{number}"), "balance_transaction": format!("txn_ch_{number}"), "metadata": {},
    })
}

pub(crate) fn refund(number: usize, of: usize, at: i64, amount: i64, currency: &str) -> Value {
    json!({
        "id": format!("re_{number}"), "object": "refund", "amount": amount, "charge": format!("ch_{of}"), "created": at,
        "currency": currency, "payment_intent": format!("pi_{of}"), "status": "succeeded",
        "balance_transaction": format!("txn_re_{number}"), "failure_balance_transaction": null,
    })
}

/// A balance transaction with a fee.
pub(crate) fn movement(
    id: &str,
    category: &str,
    at: i64,
    amount: i64,
    fee: i64,
    currency: &str,
    source: &str,
) -> Value {
    json!({
        "id": id, "object": "balance_transaction", "amount": amount, "fee": fee, "net": amount - fee, "currency": currency,
        "created": at, "available_on": at + 2 * DAY, "exchange_rate": null, "reporting_category": category, "type": category,
        "source": source, "status": "pending", "fee_details": [{"amount": fee, "currency": currency, "type": "stripe_fee"}],
    })
}

pub(crate) fn dispute(number: usize, of: usize, amount: i64, currency: &str, moves: &[Value]) -> Value {
    json!({
        "id": format!("dp_{number}"), "object": "dispute", "amount": amount, "currency": currency, "charge": format!("ch_{of}"),
        "payment_intent": format!("pi_{of}"), "status": "needs_response", "reason": "fraudulent", "created": DAY_ONE,
        "balance_transactions": moves,
    })
}

pub(crate) fn payout(number: usize, at: i64, amount: i64, currency: &str) -> Value {
    json!({
        "id": format!("po_{number}"), "object": "payout", "amount": amount, "currency": currency, "created": at,
        "automatic": true, "status": "paid", "balance_transaction": format!("txn_po_{number}"),
        "failure_balance_transaction": null,
    })
}

pub(crate) fn invoice(number: usize, lines: &[(&str, i64, i64)]) -> Value {
    let lines: Vec<Value> = lines
        .iter()
        .map(|(product, amount, quantity)| {
            json!({"amount": amount, "quantity": quantity, "pricing": {"price_details": {"price": "price_1", "product": product}}})
        })
        .collect();
    json!({"id": format!("in_{number}"), "object": "invoice", "lines": {"object": "list", "data": lines, "has_more": false}})
}

pub(crate) fn invoice_payment(number: usize, invoice: usize, payment: usize) -> Value {
    json!({
        "id": format!("inpay_{number}"), "object": "invoice_payment", "invoice": format!("in_{invoice}"), "status": "paid",
        "payment": {"type": "payment_intent", "payment_intent": format!("pi_{payment}")},
    })
}

/// Every version of every object of a random small business.
pub(crate) fn histories(randomness: &SeededRandomness) -> Vec<Vec<Seen>> {
    let below = |bound: u64| randomness.below(bound);
    let mut histories = Vec::new();
    let mut tell = |versions: Vec<Value>| {
        let seen = |(number, body): (usize, &Value)| Seen::new(DAY_ONE + 100 * i64::try_from(number).unwrap(), body);
        histories.push(versions.iter().enumerate().map(seen).collect());
    };
    for number in 0..12 {
        let at = DAY_ONE + DAY * i64::try_from(below(3)).unwrap();
        let amount = 100 + i64::try_from(below(10_000)).unwrap();
        let currency = ["usd", "eur", "jpy"][usize::try_from(below(3)).unwrap()];
        let mut done = charge(number, at, amount, currency);
        let plan = ["pro", "team", "a \"b\"\u{0}"][usize::try_from(below(3)).unwrap()];
        done["metadata"] = json!({"plan": plan});
        let mut pending = done.clone();
        pending["captured"] = (below(2) == 0).into();
        pending["status"] = if below(2) == 0 { "pending" } else { "succeeded" }.into();
        pending["balance_transaction"] = Value::Null;
        let mut told = done.clone();
        told["description"] = "changed".into();
        told["metadata"] = if below(2) == 0 { done["metadata"].clone() } else { json!({"plan": "free", "team": "x"}) };
        tell(vec![pending, done, told]);
        tell(vec![movement(&format!("txn_ch_{number}"), "charge", at, amount, 30, currency, &format!("ch_{number}"))]);
        if below(2) == 0 {
            let part = amount / 2;
            let booked = refund(number, number, at + DAY, part, currency);
            let mut asked = booked.clone();
            asked["balance_transaction"] = Value::Null;
            asked["status"] = "pending".into();
            let mut failed = booked.clone();
            failed["status"] = "failed".into();
            failed["failure_balance_transaction"] = format!("txn_rf_{number}").into();
            tell(if below(3) == 0 { vec![asked, booked, failed] } else { vec![asked, booked] });
        }
        if below(3) == 0 {
            let out = movement(
                &format!("txn_dp_{number}"),
                "dispute",
                at + DAY,
                -amount,
                1_500,
                currency,
                &format!("dp_{number}"),
            );
            let back = movement(
                &format!("txn_dr_{number}"),
                "dispute_reversal",
                at + 2 * DAY,
                amount,
                0,
                currency,
                &format!("dp_{number}"),
            );
            tell(vec![
                dispute(number, number, amount, currency, &[]),
                dispute(number, number, amount, currency, std::slice::from_ref(&out)),
                dispute(number, number, amount, currency, &[out.clone(), back.clone()]),
            ]);
            tell(vec![out]);
            tell(vec![back]);
        }
        if below(2) == 0 {
            let draft = invoice(number, &[("prod_a", 10, 1)]);
            let mut gone = json!({"id": format!("in_{number}"), "object": "invoice", "deleted": true});
            let whole = invoice(number, &[("prod_a", amount / 3, 2), ("prod_b", amount - amount / 3, 1)]);
            tell(if below(4) == 0 { vec![draft, gone.take()] } else { vec![draft, whole] });
            let mut canceled = invoice_payment(number, number, number);
            canceled["status"] = "canceled".into();
            let open = invoice_payment(number, number, number);
            tell(if below(4) == 0 { vec![open, canceled] } else { vec![open] });
        }
    }
    tell(vec![
        json!({"id": "prod_a", "object": "product", "name": "Old"}),
        json!({"id": "prod_a", "object": "product", "name": "New"}),
    ]);
    tell(vec![
        json!({"id": "prod_b", "object": "product", "name": "Gone"}),
        json!({"id": "prod_b", "object": "product", "deleted": true}),
    ]);
    tell(vec![payout(1, DAY_ONE + 3 * DAY, 500, "usd")]);
    tell(vec![movement("txn_po_1", "payout", DAY_ONE + 3 * DAY, -500, 0, "usd", "po_1")]);
    tell(vec![movement("txn_fee_1", "fee", DAY_ONE, -250, 0, "usd", "fee_1")]);
    histories
}

impl Seen {
    pub(crate) fn kind(&self) -> &str {
        &self.kind
    }

    pub(crate) fn body(&self) -> &str {
        &self.body
    }
}
