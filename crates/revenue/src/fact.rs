//! What one object of Stripe's says about money taken, given back, contested or sent away. Pure: text in, facts out.
//!
//! A fact follows what moved the balance, not what was asked for: a failed charge has none, an uncaptured one has none,
//! a dispute has one for each of its balance transactions (FACTS sections 10 and 14). Fees are not here: they stand on
//! balance transactions alone ([`crate::movement`]).

use crate::read::{self, Movements, Text};
use kit::{Currency, Money, Time};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use std::{borrow::Cow, fmt};

/// What kind of money movement a fact is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FactKind {
    /// Money taken.
    Charge,
    /// Money given back.
    Refund,
    /// A refund that failed: the money is back.
    RefundFailure,
    /// Money withdrawn because the payer's bank contests a charge.
    Dispute,
    /// Money returned after a dispute.
    DisputeReversal,
    /// Money sent to the account's bank; not revenue, but needed to prove the balance.
    Payout,
    /// A payout that failed or was canceled: the money is back.
    PayoutReversal,
}

impl FactKind {
    /// All kinds.
    pub const ALL: [FactKind; 7] = [
        FactKind::Charge,
        FactKind::Refund,
        FactKind::RefundFailure,
        FactKind::Dispute,
        FactKind::DisputeReversal,
        FactKind::Payout,
        FactKind::PayoutReversal,
    ];

    /// The name that is stored, and that of a balance transaction's `reporting_category` for the same.
    pub fn as_str(self) -> &'static str {
        match self {
            FactKind::Charge => "charge",
            FactKind::Refund => "refund",
            FactKind::RefundFailure => "refund_failure",
            FactKind::Dispute => "dispute",
            FactKind::DisputeReversal => "dispute_reversal",
            FactKind::Payout => "payout",
            FactKind::PayoutReversal => "payout_reversal",
        }
    }

    /// The kind of this name.
    pub fn from_name(name: &str) -> Option<FactKind> {
        FactKind::ALL.into_iter().find(|kind| kind.as_str() == name)
    }
}

impl fmt::Display for FactKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// One movement of money that an object tells of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fact<'a> {
    /// The object's id; for further facts of the same object that and a part of its own. Unique in an account.
    pub id: Cow<'a, str>,
    /// What kind of movement.
    pub kind: FactKind,
    /// The object that tells of it.
    pub object_id: Cow<'a, str>,
    /// The payment it belongs to: the payment intent, or else the charge. What invoices are found by.
    pub payment_key: Cow<'a, str>,
    /// The charge, for all but payouts.
    pub charge_id: Option<Cow<'a, str>>,
    /// When the object was made; for disputes when the money moved. A charge captured later counts when it was made,
    /// and a refund that failed later is taken back on the day it was made, since neither says when.
    pub occurred_at: Time,
    /// What the balance changed by, in the currency of the payment: negative when money goes.
    pub money: Money,
    /// The balance transaction that must say the same; none where the object does not name it yet.
    pub balance_transaction_id: Option<Cow<'a, str>>,
    /// The payer.
    pub customer_id: Option<Cow<'a, str>>,
    /// Of payouts: made by schedule, so that it takes all that is available.
    pub automatic: bool,
    /// The user's own fields as JSON text; none where there are none. Only charges carry them.
    pub metadata: Option<&'a str>,
}

/// An object that could not be read as what it says it is.
#[derive(Debug, thiserror::Error)]
#[error("{object} cannot be read: {reason}")]
pub struct Unreadable {
    /// What kind it is.
    pub object: String,
    /// The parser's reason: names of fields and types, no values of ours.
    pub reason: String,
}

/// The facts of one object. Kinds that tell of no money have none.
///
/// # Errors
/// If a field is missing or of another type than in any version we know.
pub fn facts_of<'a>(object_type: &str, body: &'a str) -> Result<Vec<Fact<'a>>, Unreadable> {
    let unreadable =
        |error: serde_json::Error| Unreadable { object: object_type.to_owned(), reason: error.to_string() };
    Ok(match object_type {
        "charge" => of_charge(serde_json::from_str(body).map_err(unreadable)?),
        "refund" => of_refund(serde_json::from_str(body).map_err(unreadable)?),
        "dispute" => of_dispute(serde_json::from_str(body).map_err(unreadable)?),
        "payout" => of_payout(serde_json::from_str(body).map_err(unreadable)?),
        _ => Vec::new(),
    })
}

#[derive(Deserialize)]
struct Charge<'a> {
    #[serde(borrow)]
    id: Text<'a>,
    created: i64,
    amount: i64,
    #[serde(default)]
    amount_captured: Option<i64>,
    currency: Currency,
    #[serde(borrow)]
    status: Text<'a>,
    #[serde(default)]
    captured: bool,
    #[serde(borrow, default)]
    customer: Option<Text<'a>>,
    #[serde(borrow, default)]
    payment_intent: Option<Text<'a>>,
    #[serde(borrow, default)]
    balance_transaction: Option<Text<'a>>,
    #[serde(borrow, default)]
    metadata: Option<&'a RawValue>,
}

fn of_charge(charge: Charge<'_>) -> Vec<Fact<'_>> {
    if charge.status.0 != "succeeded" || !charge.captured {
        return Vec::new();
    }
    // Shapes older than partial capture's own field say only the amount.
    let amount_minor = charge.amount_captured.unwrap_or(charge.amount);
    let id = charge.id.0;
    vec![Fact {
        id: id.clone(),
        kind: FactKind::Charge,
        object_id: id.clone(),
        payment_key: charge.payment_intent.map_or_else(|| id.clone(), |intent| intent.0),
        charge_id: Some(id),
        occurred_at: Time::from_seconds(charge.created),
        money: Money::new(amount_minor, charge.currency),
        balance_transaction_id: charge.balance_transaction.map(|it| it.0),
        customer_id: charge.customer.map(|it| it.0),
        automatic: false,
        metadata: charge.metadata.map(RawValue::get).filter(|text| is_filled(text)),
    }]
}

/// `{}`, however it is spaced, holds nothing to keep.
fn is_filled(metadata: &str) -> bool {
    metadata.len() > 2 && metadata.contains(':')
}

#[derive(Deserialize)]
struct Refund<'a> {
    #[serde(borrow)]
    id: Text<'a>,
    created: i64,
    amount: i64,
    currency: Currency,
    #[serde(borrow, default)]
    status: Option<Text<'a>>,
    #[serde(borrow, default)]
    charge: Option<Text<'a>>,
    #[serde(borrow, default)]
    payment_intent: Option<Text<'a>>,
    #[serde(borrow, default)]
    balance_transaction: Option<Text<'a>>,
    #[serde(borrow, default)]
    failure_balance_transaction: Option<Text<'a>>,
}

fn of_refund(refund: Refund<'_>) -> Vec<Fact<'_>> {
    // Money moves when the refund is made, while it is still pending; old refunds have no status at all.
    let is_done = refund.status.as_ref().is_none_or(|status| status.0 == "succeeded");
    let has_moved = refund.balance_transaction.is_some() || is_done;
    if !has_moved {
        return Vec::new();
    }
    let id = refund.id.0;
    let charge_id = refund.charge.map(|it| it.0);
    let payment_key = refund.payment_intent.map(|it| it.0).or_else(|| charge_id.clone()).unwrap_or_else(|| id.clone());
    let out = Fact {
        id: id.clone(),
        kind: FactKind::Refund,
        object_id: id.clone(),
        payment_key,
        charge_id,
        occurred_at: Time::from_seconds(refund.created),
        money: Money::new(refund.amount.saturating_neg(), refund.currency),
        balance_transaction_id: refund.balance_transaction.map(|it| it.0),
        customer_id: None,
        automatic: false,
        metadata: None,
    };
    let back = refund.failure_balance_transaction.map(|failure| Fact {
        id: Cow::Owned(format!("{id}:failure")),
        kind: FactKind::RefundFailure,
        money: Money::new(refund.amount, refund.currency),
        balance_transaction_id: Some(failure.0),
        ..out.clone()
    });
    [out].into_iter().chain(back).collect()
}

#[derive(Deserialize)]
struct Dispute<'a> {
    #[serde(borrow)]
    id: Text<'a>,
    amount: i64,
    currency: Currency,
    #[serde(borrow)]
    charge: Text<'a>,
    #[serde(borrow, default)]
    payment_intent: Option<Text<'a>>,
    #[serde(borrow, default)]
    balance_transactions: Movements<'a>,
}

fn of_dispute(dispute: Dispute<'_>) -> Vec<Fact<'_>> {
    let (id, charge) = (dispute.id.0, dispute.charge.0);
    let payment_key = dispute.payment_intent.map_or_else(|| charge.clone(), |intent| intent.0);
    let fact_of = |movement: read::Movement<'_>| {
        // A part may come back: where nothing was converted the movement says exactly how much.
        let amount_minor = match movement.amount {
            amount if movement.currency == dispute.currency => amount,
            amount if amount < 0 => dispute.amount.saturating_neg(),
            _ => dispute.amount,
        };
        Fact {
            id: Cow::Owned(format!("{id}:{}", movement.id.0)),
            kind: if movement.amount > 0 { FactKind::DisputeReversal } else { FactKind::Dispute },
            object_id: id.clone(),
            payment_key: payment_key.clone(),
            charge_id: Some(charge.clone()),
            occurred_at: Time::from_seconds(movement.created),
            money: Money::new(amount_minor, dispute.currency),
            balance_transaction_id: Some(Cow::Owned(movement.id.0.into_owned())),
            customer_id: None,
            automatic: false,
            metadata: None,
        }
    };
    dispute.balance_transactions.0.into_iter().map(fact_of).collect()
}

#[derive(Deserialize)]
struct Payout<'a> {
    #[serde(borrow)]
    id: Text<'a>,
    created: i64,
    amount: i64,
    currency: Currency,
    #[serde(default)]
    automatic: bool,
    #[serde(borrow, default)]
    balance_transaction: Option<Text<'a>>,
    #[serde(borrow, default)]
    failure_balance_transaction: Option<Text<'a>>,
}

fn of_payout(payout: Payout<'_>) -> Vec<Fact<'_>> {
    let Some(balance_transaction) = payout.balance_transaction else { return Vec::new() };
    let id = payout.id.0;
    let out = Fact {
        id: id.clone(),
        kind: FactKind::Payout,
        object_id: id.clone(),
        payment_key: id.clone(),
        charge_id: None,
        occurred_at: Time::from_seconds(payout.created),
        money: Money::new(payout.amount.saturating_neg(), payout.currency),
        balance_transaction_id: Some(balance_transaction.0),
        customer_id: None,
        automatic: payout.automatic,
        metadata: None,
    };
    let back = payout.failure_balance_transaction.map(|failure| Fact {
        id: Cow::Owned(format!("{id}:failure")),
        kind: FactKind::PayoutReversal,
        money: Money::new(payout.amount, payout.currency),
        balance_transaction_id: Some(failure.0),
        ..out.clone()
    });
    [out].into_iter().chain(back).collect()
}
