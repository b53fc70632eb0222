//! Money coming and going: charges, refunds, disputes, balance transactions, payouts.

use super::{
    Address, ObjectId, Shape,
    fields::{maybe_seconds, metadata, null_is_default, seconds},
};
use kit::{Currency, Money, Time};
use serde::Deserialize;
use std::collections::BTreeMap;

/// A payment, or a try at one. Failed ones are listed too.
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub struct Charge {
    /// `ch_…`, or `py_…` when no card was used.
    pub id: ObjectId,
    /// When it was made.
    #[serde(deserialize_with = "seconds")]
    pub created: Time,
    /// What was asked for, in minor units.
    #[serde(rename = "amount")]
    pub amount_minor: i64,
    /// What was taken; less than the amount after a partial capture.
    #[serde(rename = "amount_captured", default)]
    pub amount_captured_minor: i64,
    /// What was given back so far.
    #[serde(rename = "amount_refunded", default)]
    pub amount_refunded_minor: i64,
    /// Of all the amounts above.
    pub currency: Currency,
    /// succeeded, pending, failed; open.
    pub status: String,
    /// Money was taken or is set aside.
    #[serde(default)]
    pub paid: bool,
    /// Not only authorized.
    #[serde(default)]
    pub captured: bool,
    /// Given back whole; false after a partial refund.
    #[serde(default)]
    pub refunded: bool,
    /// The payer's bank contests it.
    #[serde(default)]
    pub disputed: bool,
    /// Live or test data.
    pub livemode: bool,
    /// The payer.
    pub customer: Option<ObjectId>,
    /// The payment intent behind it.
    pub payment_intent: Option<ObjectId>,
    /// Its movement of the balance; none until captured.
    pub balance_transaction: Option<ObjectId>,
    /// The invoice it pays. Gone since basil: there [`super::InvoicePayment`] tells.
    pub invoice: Option<ObjectId>,
    /// Why it failed.
    pub failure_code: Option<String>,
    /// Free text.
    pub description: Option<String>,
    /// Where the receipt went.
    pub receipt_email: Option<String>,
    /// Who pays, as the payer typed it.
    #[serde(default, deserialize_with = "null_is_default")]
    pub billing_details: BillingDetails,
    /// How it was paid.
    #[serde(default, deserialize_with = "null_is_default")]
    pub payment_method_details: PaymentMethodDetails,
    /// The platform's share, with Connect.
    pub application_fee: Option<ObjectId>,
    /// The platform's share in minor units.
    #[serde(rename = "application_fee_amount")]
    pub application_fee_minor: Option<i64>,
    /// The account that is the merchant of record.
    pub on_behalf_of: Option<ObjectId>,
    /// What ties transfers to it.
    pub transfer_group: Option<String>,
    /// The user's own fields.
    #[serde(default, deserialize_with = "metadata")]
    pub metadata: BTreeMap<String, String>,
}

/// Who pays, as the payer typed it.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
pub struct BillingDetails {
    /// E-mail address.
    pub email: Option<String>,
    /// Name.
    pub name: Option<String>,
    /// Postal address.
    pub address: Option<Address>,
}

/// How a charge was paid.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
pub struct PaymentMethodDetails {
    /// card, sepa_debit, link, …; open. Empty where the charge does not say.
    #[serde(rename = "type", default)]
    pub method: String,
    /// For cards.
    pub card: Option<CardDetails>,
}

/// The card of a payment.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
pub struct CardDetails {
    /// visa, mastercard, …; open.
    pub brand: Option<String>,
    /// Two letters, of the bank that issued it.
    pub country: Option<String>,
}

impl Charge {
    /// What was asked for.
    pub fn amount(&self) -> Money {
        Money::new(self.amount_minor, self.currency)
    }

    /// What was taken: nothing unless it succeeded and was captured.
    pub fn taken(&self) -> Money {
        let is_taken = self.captured && self.status == "succeeded";
        Money::new(if is_taken { self.amount_captured_minor } else { 0 }, self.currency)
    }

    /// The payer's country: of the postal address, or else of the card.
    pub fn country(&self) -> Option<&str> {
        let of_address = self.billing_details.address.as_ref().and_then(|address| address.country.as_deref());
        of_address.or(self.payment_method_details.card.as_ref().and_then(|card| card.country.as_deref()))
    }
}

impl Shape for Charge {
    const OBJECT: &'static str = "charge";
}

/// Money given back.
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub struct Refund {
    /// `re_…` or `pyr_…`.
    pub id: ObjectId,
    /// When it was made.
    #[serde(deserialize_with = "seconds")]
    pub created: Time,
    /// In minor units.
    #[serde(rename = "amount")]
    pub amount_minor: i64,
    /// Of the amount.
    pub currency: Currency,
    /// pending, requires_action, succeeded, failed, canceled; open. Old refunds have none.
    pub status: Option<String>,
    /// duplicate, fraudulent, requested_by_customer; open.
    pub reason: Option<String>,
    /// The charge it gives back.
    pub charge: Option<ObjectId>,
    /// That charge's payment intent.
    pub payment_intent: Option<ObjectId>,
    /// Its movement of the balance.
    pub balance_transaction: Option<ObjectId>,
    /// The movement that brought the money back when the refund failed.
    pub failure_balance_transaction: Option<ObjectId>,
    /// Why it failed.
    pub failure_reason: Option<String>,
    /// The user's own fields.
    #[serde(default, deserialize_with = "metadata")]
    pub metadata: BTreeMap<String, String>,
}

impl Refund {
    /// What is given back.
    pub fn amount(&self) -> Money {
        Money::new(self.amount_minor, self.currency)
    }
}

impl Shape for Refund {
    const OBJECT: &'static str = "refund";
}

/// A payment that the payer's bank contests.
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub struct Dispute {
    /// `dp_…` or `du_…`.
    pub id: ObjectId,
    /// When it was opened.
    #[serde(deserialize_with = "seconds")]
    pub created: Time,
    /// What is contested, in minor units.
    #[serde(rename = "amount")]
    pub amount_minor: i64,
    /// Of the amount.
    pub currency: Currency,
    /// warning_…, needs_response, under_review, won, lost, prevented, appeal_…; open.
    pub status: String,
    /// fraudulent, product_not_received, …; open.
    pub reason: String,
    /// Live or test data.
    pub livemode: bool,
    /// The charge contested.
    pub charge: ObjectId,
    /// That charge's payment intent.
    pub payment_intent: Option<ObjectId>,
    /// None, the withdrawal, or the withdrawal and the return: what really moved (FACTS section 10).
    #[serde(default, deserialize_with = "null_is_default")]
    pub balance_transactions: Vec<BalanceTransaction>,
    /// By when to answer.
    #[serde(default, deserialize_with = "null_is_default")]
    pub evidence_details: EvidenceDetails,
    /// The user's own fields.
    #[serde(default, deserialize_with = "metadata")]
    pub metadata: BTreeMap<String, String>,
}

/// How far the answer to a dispute is.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
pub struct EvidenceDetails {
    /// By when to answer; none when there is nothing left to do.
    #[serde(default, deserialize_with = "maybe_seconds")]
    pub due_by: Option<Time>,
}

impl Dispute {
    /// What is contested.
    pub fn amount(&self) -> Money {
        Money::new(self.amount_minor, self.currency)
    }
}

impl Shape for Dispute {
    const OBJECT: &'static str = "dispute";
}

/// A movement of the balance, in the currency of settlement.
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub struct BalanceTransaction {
    /// `txn_…`.
    pub id: ObjectId,
    /// When it was booked.
    #[serde(deserialize_with = "seconds")]
    pub created: Time,
    /// When the money can be used.
    #[serde(deserialize_with = "seconds")]
    pub available_on: Time,
    /// Before fees, in minor units; negative when money goes.
    #[serde(rename = "amount")]
    pub amount_minor: i64,
    /// All fees together; taken off the amount.
    #[serde(rename = "fee")]
    pub fee_minor: i64,
    /// `amount - fee`.
    #[serde(rename = "net")]
    pub net_minor: i64,
    /// Of the amounts above.
    pub currency: Currency,
    /// pending or available; open.
    pub status: String,
    /// Fine and open: charge, refund, adjustment, …
    #[serde(rename = "type")]
    pub transaction_type: String,
    /// For books: charge, refund, dispute, fee, payout, … (FACTS section 14).
    #[serde(default)]
    pub reporting_category: String,
    /// What moved the balance; a `stripe_fee` has none.
    pub source: Option<ObjectId>,
    /// Which fees.
    #[serde(default, deserialize_with = "null_is_default")]
    pub fee_details: Vec<FeeDetail>,
    /// Free text.
    pub description: Option<String>,
}

/// One fee of a balance transaction.
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub struct FeeDetail {
    /// application_fee, stripe_fee, tax, …; open.
    #[serde(rename = "type")]
    pub fee_type: String,
    /// In minor units.
    #[serde(rename = "amount")]
    pub amount_minor: i64,
    /// Of the amount.
    pub currency: Currency,
}

impl BalanceTransaction {
    /// Before fees.
    pub fn amount(&self) -> Money {
        Money::new(self.amount_minor, self.currency)
    }

    /// All fees together.
    pub fn fee(&self) -> Money {
        Money::new(self.fee_minor, self.currency)
    }

    /// What the balance changed by.
    pub fn net(&self) -> Money {
        Money::new(self.net_minor, self.currency)
    }
}

impl Shape for BalanceTransaction {
    const OBJECT: &'static str = "balance_transaction";
}

/// Money sent to the account's bank.
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub struct Payout {
    /// `po_…`.
    pub id: ObjectId,
    /// When it was made.
    #[serde(deserialize_with = "seconds")]
    pub created: Time,
    /// When the bank should have it.
    #[serde(deserialize_with = "seconds")]
    pub arrival_date: Time,
    /// In minor units; negative when money is drawn from the bank.
    #[serde(rename = "amount")]
    pub amount_minor: i64,
    /// Of the amount.
    pub currency: Currency,
    /// pending, in_transit, paid, failed, canceled; open. `paid` can still turn into `failed` (FACTS section 13).
    pub status: String,
    /// Live or test data.
    pub livemode: bool,
    /// By schedule; only these can be tied to their balance transactions.
    #[serde(default)]
    pub automatic: bool,
    /// completed when its balance transactions can be listed.
    pub reconciliation_status: Option<String>,
    /// The bank account or card.
    pub destination: Option<ObjectId>,
    /// Its movement of the balance.
    pub balance_transaction: Option<ObjectId>,
    /// The movement that brought the money back when it failed.
    pub failure_balance_transaction: Option<ObjectId>,
    /// Why it failed.
    pub failure_code: Option<String>,
    /// The user's own fields.
    #[serde(default, deserialize_with = "metadata")]
    pub metadata: BTreeMap<String, String>,
}

impl Payout {
    /// What is sent.
    pub fn amount(&self) -> Money {
        Money::new(self.amount_minor, self.currency)
    }
}

impl Shape for Payout {
    const OBJECT: &'static str = "payout";
}
