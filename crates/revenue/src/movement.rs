//! Movements of the balance, and the fees on them. Pure.

use crate::{fact::Unreadable, read::Text};
use kit::{Currency, Time};
use serde::Deserialize;
use serde_json::value::RawValue;
use std::borrow::Cow;

/// What of a balance transaction is held against facts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Movement<'a> {
    /// `txn_…`.
    pub id: Cow<'a, str>,
    /// Stripe's reporting category: charge, refund, fee, …; where that is missing its type.
    pub category: Cow<'a, str>,
    /// When it was booked.
    pub created_at: Time,
    /// When the money can be used.
    pub available_on: Time,
    /// Of all the amounts: the currency of settlement.
    pub currency: Currency,
    /// Before fees; negative when money goes.
    pub amount_minor: i64,
    /// All fees together.
    pub fee_minor: i64,
    /// The sum of the single fees.
    pub fee_parts_minor: i64,
    /// What the balance changed by.
    pub net_minor: i64,
    /// What moved the balance.
    pub source_id: Option<Cow<'a, str>>,
    /// As Stripe wrote it, since a float would round it; none without conversion.
    pub exchange_rate: Option<&'a str>,
}

#[derive(Deserialize)]
struct Wire<'a> {
    #[serde(borrow)]
    id: Text<'a>,
    #[serde(borrow, default)]
    reporting_category: Option<Text<'a>>,
    #[serde(borrow, rename = "type")]
    kind: Text<'a>,
    created: i64,
    available_on: i64,
    currency: Currency,
    amount: i64,
    fee: i64,
    net: i64,
    #[serde(default)]
    fee_details: Option<Vec<Fee>>,
    #[serde(borrow, default)]
    source: Option<Text<'a>>,
    #[serde(borrow, default)]
    exchange_rate: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct Fee {
    amount: i64,
}

impl<'a> Movement<'a> {
    /// Reads a balance transaction.
    ///
    /// # Errors
    /// If a field is missing or of another type than in any version we know.
    pub fn read(body: &'a str) -> Result<Movement<'a>, Unreadable> {
        let wire: Wire<'a> = serde_json::from_str(body)
            .map_err(|error| Unreadable { object: "balance_transaction".to_owned(), reason: error.to_string() })?;
        let category = wire.reporting_category.filter(|category| !category.0.is_empty()).unwrap_or(wire.kind);
        Ok(Movement {
            id: wire.id.0,
            category: category.0,
            created_at: Time::from_seconds(wire.created),
            available_on: Time::from_seconds(wire.available_on),
            currency: wire.currency,
            amount_minor: wire.amount,
            fee_minor: wire.fee,
            fee_parts_minor: match wire.fee_details {
                Some(fees) => fees.iter().fold(0, |sum, fee| sum.saturating_add(fee.amount)),
                None => wire.fee,
            },
            net_minor: wire.net,
            source_id: wire.source.map(|source| source.0),
            exchange_rate: wire.exchange_rate.map(RawValue::get).filter(|rate| *rate != "null"),
        })
    }

    /// What it costs: the fees on it, or the whole of it where it is itself a fee (FACTS section 14: not every fee sits on
    /// a payment).
    pub fn cost_minor(&self) -> i64 {
        let itself = if is_fee(&self.category) { self.amount_minor.saturating_neg() } else { 0 };
        self.fee_minor.saturating_add(itself)
    }
}

/// Categories whose whole amount is a fee.
pub fn is_fee(category: &str) -> bool {
    matches!(category, "fee" | "network_cost" | "stripe_fee")
}
