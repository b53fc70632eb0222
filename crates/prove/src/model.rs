//! The model: what must be true of Bursar once everything is at rest, worked out from the steps and the simulator's
//! answers alone. It shares no code with the mirror or with revenue, and knows none of their rules: it adds up.

use crate::{
    ProveError,
    shop::{Asked, MARK, Shop},
};
use serde::Deserialize;
use serde_json::value::RawValue;
use std::{
    collections::{BTreeMap, HashMap, HashSet},
    hash::{DefaultHasher, Hash, Hasher},
};

/// Kinds that Bursar promises to mirror, with their lists.
pub(crate) const KINDS: [(&str, &str); 11] = [
    ("product", "/v1/products?"),
    ("price", "/v1/prices?"),
    ("customer", "/v1/customers?"),
    ("subscription", "/v1/subscriptions?status=all&"),
    ("invoice", "/v1/invoices?"),
    ("invoice_payment", "/v1/invoice_payments?"),
    ("charge", "/v1/charges?"),
    ("refund", "/v1/refunds?"),
    ("dispute", "/v1/disputes?"),
    ("balance_transaction", "/v1/balance_transactions?"),
    ("payout", "/v1/payouts?"),
];

/// Where one object is read.
pub(crate) fn path_of(kind: &str, id: &str) -> String {
    let list = KINDS.iter().find(|(name, _)| *name == kind).map_or("/v1/unknown?", |(_, list)| list);
    format!("{}/{id}", list.split('?').next().unwrap_or_default())
}

/// Fields that change at Stripe without any event, by kind: nobody who is not told can follow them, so they are left
/// out of the comparison. Money never stands in them.
fn silent_fields(kind: &str) -> &'static [&'static str] {
    match kind {
        // It becomes available by the passing of time.
        "balance_transaction" => &["status"],
        // The simulator plans it after it has told of the draft.
        "invoice" => &["automatically_finalizes_at"],
        // An invoice counts it up and settles its currency; Stripe documents no event for either.
        "customer" => &["next_invoice_sequence", "currency"],
        _ => &[],
    }
}

/// Whether nobody is told of an object at all: a payment of an invoice has an event only once it is paid.
fn is_silent(kind: &str, text: &str) -> bool {
    #[derive(Deserialize)]
    struct Payment<'a> {
        status: &'a str,
    }
    kind == "invoice_payment" && serde_json::from_str::<Payment<'_>>(text).is_ok_and(|it| it.status != "paid")
}

/// What is compared of an object: a number for its text, without what changes silently.
pub(crate) fn print_of(kind: &str, text: &str) -> u64 {
    let mut hasher = DefaultHasher::new();
    let silent = silent_fields(kind);
    if silent.is_empty() {
        text.hash(&mut hasher);
    } else {
        let mut value: BTreeMap<&str, &RawValue> = serde_json::from_str(text).unwrap_or_default();
        value.retain(|name, _| !silent.contains(name));
        for (name, member) in value {
            (name, member.get()).hash(&mut hasher);
        }
    }
    hasher.finish()
}

/// The same, whatever the order of fields and the spaces between them.
pub(crate) fn meaning_of(kind: &str, text: &str) -> Option<serde_json::Value> {
    let mut value: serde_json::Value = serde_json::from_str(text).ok()?;
    if let Some(members) = value.as_object_mut() {
        for name in silent_fields(kind) {
            members.remove(*name);
        }
    }
    value.sort_all_objects();
    Some(value)
}

/// What one day brought in one currency.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Day {
    pub(crate) gross_minor: i64,
    pub(crate) refunds_minor: i64,
    pub(crate) disputes_minor: i64,
    pub(crate) fees_minor: i64,
    pub(crate) charges: i64,
    pub(crate) refunds: i64,
}

impl Day {
    /// What is left.
    pub(crate) fn net_minor(&self) -> i64 {
        self.gross_minor - self.refunds_minor - self.disputes_minor - self.fees_minor
    }
}

/// Day (since 1970) and currency.
pub(crate) type Days = BTreeMap<(i64, String), Day>;

/// What one account holds at the simulator.
#[derive(Debug, Default)]
pub(crate) struct Held {
    /// Of each kind, each object's id with its print.
    pub(crate) objects: HashMap<&'static str, HashMap<String, u64>>,
    pub(crate) days: Days,
    /// What the steps brought, as the simulator's objects tell it.
    pub(crate) asked: BTreeMap<String, Asked>,
    /// Objects that come and go without any event, so that Bursar may know them or not.
    pub(crate) silent: HashSet<String>,
    /// How many objects each intent's tag stands on.
    pub(crate) tags: HashMap<String, u32>,
}

#[derive(Deserialize)]
struct Page<'a> {
    #[serde(borrow)]
    data: Vec<&'a RawValue>,
    has_more: bool,
}

#[derive(Deserialize)]
struct Named<'a> {
    id: &'a str,
}

#[derive(Deserialize)]
struct Charge {
    created: i64,
    amount_captured: i64,
    currency: String,
    status: String,
    captured: bool,
    metadata: HashMap<String, String>,
}

#[derive(Deserialize)]
struct Refund {
    created: i64,
    amount: i64,
    currency: String,
    balance_transaction: Option<String>,
    failure_balance_transaction: Option<String>,
    metadata: HashMap<String, String>,
}

#[derive(Deserialize)]
struct Dispute {
    amount: i64,
    currency: String,
    balance_transactions: Vec<Booked>,
}

#[derive(Deserialize)]
struct Booked {
    created: i64,
    currency: String,
    fee: i64,
    reporting_category: String,
}

#[derive(Deserialize)]
struct Customer {
    metadata: HashMap<String, String>,
}

impl Held {
    /// Reads everything that an account holds, page by page.
    pub(crate) async fn read(shop: &Shop) -> Result<Held, ProveError> {
        let mut held = Held::default();
        for (kind, list) in KINDS {
            let mut after = String::new();
            loop {
                let path = format!("{list}limit=100{after}");
                let (status, bytes) = shop.raw("GET", &path, "").await?;
                let body = String::from_utf8_lossy(&bytes);
                let not_understood = || ProveError::Simulator {
                    asked: format!("GET {path}"),
                    status,
                    body: body.chars().take(500).collect(),
                };
                let page: Page<'_> = serde_json::from_str(&body).map_err(|_| not_understood())?;
                let mut last = None;
                for object in &page.data {
                    let text = object.get();
                    if is_silent(kind, text) {
                        held.silent.insert(
                            serde_json::from_str::<Named<'_>>(text).map_err(|_| not_understood())?.id.to_owned(),
                        );
                        last = serde_json::from_str::<Named<'_>>(text).ok().map(|it| it.id.to_owned());
                        continue;
                    }
                    let id = serde_json::from_str::<Named<'_>>(text).map_err(|_| not_understood())?.id.to_owned();
                    held.add(kind, text).map_err(|_| not_understood())?;
                    held.objects.entry(kind).or_default().insert(id.clone(), print_of(kind, text));
                    last = Some(id);
                }
                let Some(last) = last.filter(|_| page.has_more) else { break };
                after = format!("&starting_after={last}");
            }
        }
        Ok(held)
    }

    /// Adds up what one object tells of money.
    fn add(&mut self, kind: &str, text: &str) -> Result<(), serde_json::Error> {
        match kind {
            "charge" => {
                let charge: Charge = serde_json::from_str(text)?;
                if charge.status == "succeeded" && charge.captured {
                    let day = self.day(charge.created, &charge.currency);
                    day.gross_minor += charge.amount_captured;
                    day.charges += 1;
                    if charge.metadata.contains_key(MARK) {
                        let asked = self.asked.entry(charge.currency).or_default();
                        asked.charges += 1;
                        asked.charged_minor += charge.amount_captured;
                    }
                }
            }
            "refund" => {
                let refund: Refund = serde_json::from_str(text)?;
                if refund.balance_transaction.is_some() {
                    let back = if refund.failure_balance_transaction.is_some() { 1 } else { 0 };
                    let day = self.day(refund.created, &refund.currency);
                    day.refunds_minor += refund.amount * (1 - back);
                    day.refunds += 1 - back;
                    if refund.metadata.contains_key(MARK) {
                        let asked = self.asked.entry(refund.currency).or_default();
                        asked.refunds += 1;
                        asked.refunded_minor += refund.amount;
                    }
                }
            }
            "dispute" => {
                let dispute: Dispute = serde_json::from_str(text)?;
                for booked in &dispute.balance_transactions {
                    let sign = if booked.reporting_category == "dispute_reversal" { -1 } else { 1 };
                    self.day(booked.created, &dispute.currency).disputes_minor += sign * dispute.amount;
                }
            }
            "balance_transaction" => {
                let booked: Booked = serde_json::from_str(text)?;
                self.day(booked.created, &booked.currency).fees_minor += booked.fee;
            }
            "customer" => {
                let customer: Customer = serde_json::from_str(text)?;
                if let Some(tag) = customer.metadata.get(crate::writes::TAG) {
                    *self.tags.entry(tag.clone()).or_default() += 1;
                }
            }
            _ => {}
        }
        Ok(())
    }

    fn day(&mut self, second: i64, currency: &str) -> &mut Day {
        self.days.entry((second.div_euclid(86_400), currency.to_owned())).or_default()
    }
}

/// Adds the days of one account to those of others of the same tenant.
pub(crate) fn add_days(sum: &mut Days, days: &Days) {
    for (key, day) in days {
        let all = sum.entry(key.clone()).or_default();
        all.gross_minor += day.gross_minor;
        all.refunds_minor += day.refunds_minor;
        all.disputes_minor += day.disputes_minor;
        all.fees_minor += day.fees_minor;
        all.charges += day.charges;
        all.refunds += day.refunds;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn money_is_added_up_by_day_and_currency() {
        let mut held = Held::default();
        let charge = |created: i64, amount: i64, captured: bool| {
            format!(
                r#"{{"id":"ch","created":{created},"amount_captured":{amount},"currency":"usd","status":"succeeded","captured":{captured},"metadata":{{"by_step":"1"}}}}"#
            )
        };
        held.add("charge", &charge(86_399, 500, true)).unwrap();
        held.add("charge", &charge(86_400, 700, true)).unwrap();
        held.add("charge", &charge(86_400, 900, false)).unwrap();
        held.add("refund", r#"{"created":86401,"amount":200,"currency":"usd","balance_transaction":"txn","failure_balance_transaction":null,"metadata":{}}"#).unwrap();
        held.add("refund", r#"{"created":86401,"amount":50,"currency":"usd","balance_transaction":"txn","failure_balance_transaction":"txn","metadata":{}}"#).unwrap();
        let booked = |created: i64, category: &str| {
            format!(r#"{{"created":{created},"currency":"usd","fee":30,"reporting_category":"{category}"}}"#)
        };
        let dispute = |moves: String| format!(r#"{{"amount":700,"currency":"usd","balance_transactions":[{moves}]}}"#);
        held.add("dispute", &dispute(booked(86_402, "dispute"))).unwrap();
        held.add("dispute", &dispute(booked(86_402, "dispute") + "," + &booked(172_800, "dispute_reversal"))).unwrap();
        held.add("balance_transaction", &booked(172_801, "charge")).unwrap();
        let of = |day| held.days[&(day, "usd".to_owned())];
        assert_eq!(of(0), Day { gross_minor: 500, charges: 1, ..Day::default() });
        let second = Day {
            gross_minor: 700,
            charges: 1,
            refunds_minor: 200,
            refunds: 1,
            disputes_minor: 1_400,
            ..Day::default()
        };
        assert_eq!((of(1), of(1).net_minor()), (second, -900));
        assert_eq!(of(2), Day { disputes_minor: -700, fees_minor: 30, ..Day::default() });
        assert_eq!(held.asked["usd"], Asked { charges: 2, charged_minor: 1_200, ..Asked::default() });
    }

    #[test]
    fn what_changes_silently_is_not_compared() {
        let (pending, available) =
            (r#"{"id":"txn","fee":1,"status":"pending"}"#, r#"{"id":"txn","fee":1,"status":"available"}"#);
        assert_eq!(print_of("balance_transaction", pending), print_of("balance_transaction", available));
        assert_ne!(print_of("charge", pending), print_of("charge", available));
        assert_eq!(
            meaning_of("charge", r#"{"a":1,"b":[{"d":1,"c":2}]}"#),
            meaning_of("charge", r#"{ "b":[{"c":2,"d":1}],"a":1}"#)
        );
    }
}
