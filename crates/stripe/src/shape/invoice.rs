//! Bills: invoices with their lines, and what pays them.

use super::{
    Embedded, ObjectId, Price, Shape,
    fields::{maybe_seconds, metadata, null_is_default, seconds},
};
use kit::{Currency, Money, Time};
use serde::Deserialize;
use std::collections::BTreeMap;

/// A bill.
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub struct Invoice {
    /// `in_…`; none for the invoice of `invoice.upcoming`.
    pub id: Option<ObjectId>,
    /// When it was made.
    #[serde(deserialize_with = "seconds")]
    pub created: Time,
    /// Live or test data.
    pub livemode: bool,
    /// Its number for people, once finalized.
    pub number: Option<String>,
    /// Who pays.
    pub customer: Option<ObjectId>,
    /// draft, open, paid, uncollectible, void; open.
    pub status: Option<String>,
    /// subscription_create, subscription_cycle, manual, …; open.
    pub billing_reason: Option<String>,
    /// Of all its amounts.
    pub currency: Currency,
    /// Lines together, before discounts and taxes, in minor units.
    #[serde(rename = "subtotal")]
    pub subtotal_minor: i64,
    /// After discounts and taxes.
    #[serde(rename = "total")]
    pub total_minor: i64,
    /// To be paid, after the customer's balance.
    #[serde(rename = "amount_due")]
    pub amount_due_minor: i64,
    /// Paid so far.
    #[serde(rename = "amount_paid")]
    pub amount_paid_minor: i64,
    /// Not paid so far.
    #[serde(rename = "amount_remaining", default)]
    pub amount_remaining_minor: i64,
    /// How often collection was tried.
    #[serde(default)]
    pub attempt_count: i64,
    /// By when to pay.
    #[serde(default, deserialize_with = "maybe_seconds")]
    pub due_date: Option<Time>,
    /// Start of the period in which its items were added; not that of what is sold.
    #[serde(deserialize_with = "seconds")]
    pub period_start: Time,
    /// End of that period.
    #[serde(deserialize_with = "seconds")]
    pub period_end: Time,
    /// What is billed. See `has_more`.
    #[serde(default, deserialize_with = "null_is_default")]
    pub lines: Embedded<InvoiceLine>,
    /// When it became what it is.
    #[serde(default, deserialize_with = "null_is_default")]
    pub status_transitions: StatusTransitions,
    /// Since basil, where it was expanded.
    #[serde(default, deserialize_with = "null_is_default")]
    pub payments: Embedded<InvoicePayment>,
    parent: Option<InvoiceParent>,
    // Before basil:
    subscription: Option<ObjectId>,
    charge: Option<ObjectId>,
    payment_intent: Option<ObjectId>,
    /// The user's own fields.
    #[serde(default, deserialize_with = "metadata")]
    pub metadata: BTreeMap<String, String>,
}

/// When an invoice became what it is.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
pub struct StatusTransitions {
    /// No longer a draft.
    #[serde(default, deserialize_with = "maybe_seconds")]
    pub finalized_at: Option<Time>,
    /// Paid.
    #[serde(default, deserialize_with = "maybe_seconds")]
    pub paid_at: Option<Time>,
    /// Given up.
    #[serde(default, deserialize_with = "maybe_seconds")]
    pub marked_uncollectible_at: Option<Time>,
    /// Declared void.
    #[serde(default, deserialize_with = "maybe_seconds")]
    pub voided_at: Option<Time>,
}

#[derive(Clone, Debug, PartialEq, Deserialize)]
struct InvoiceParent {
    subscription_details: Option<SubscriptionDetails>,
}

#[derive(Clone, Debug, PartialEq, Deserialize)]
struct SubscriptionDetails {
    subscription: Option<ObjectId>,
}

impl Invoice {
    /// The subscription that it bills.
    pub fn subscription(&self) -> Option<&ObjectId> {
        let details = self.parent.as_ref().and_then(|parent| parent.subscription_details.as_ref());
        details.and_then(|details| details.subscription.as_ref()).or(self.subscription.as_ref())
    }

    /// What paid it or is to pay it, as far as the invoice says: the payments it was expanded with, or the field that
    /// older shapes had. Since basil an invoice does not say by itself; list its invoice payments.
    pub fn paid_by(&self) -> Option<PaidBy> {
        let payments = &self.payments.data;
        let default = payments.iter().find(|payment| payment.is_default).or(payments.first());
        default.map(|payment| payment.payment.clone()).filter(|payment| *payment != PaidBy::default()).or_else(|| {
            let old = PaidBy {
                payment_type: if self.payment_intent.is_some() { "payment_intent" } else { "charge" }.to_owned(),
                payment_intent: self.payment_intent.clone(),
                charge: self.charge.clone(),
            };
            (old.payment_intent.is_some() || old.charge.is_some()).then_some(old)
        })
    }

    /// What is asked for in all.
    pub fn total(&self) -> Money {
        Money::new(self.total_minor, self.currency)
    }

    /// What was paid so far.
    pub fn amount_paid(&self) -> Money {
        Money::new(self.amount_paid_minor, self.currency)
    }
}

impl Shape for Invoice {
    const OBJECT: &'static str = "invoice";
}

/// One line of an invoice.
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub struct InvoiceLine {
    /// `il_…`.
    pub id: ObjectId,
    /// In minor units, before discounts; negative for credit.
    #[serde(rename = "amount")]
    pub amount_minor: i64,
    /// Of the amount.
    pub currency: Currency,
    /// Free text.
    pub description: Option<String>,
    /// How many.
    pub quantity: Option<i64>,
    /// The time that is billed.
    pub period: Period,
    /// Discounts on this line.
    #[serde(default, deserialize_with = "null_is_default")]
    pub discount_amounts: Vec<DiscountAmount>,
    parent: Option<LineParent>,
    pricing: Option<LinePricing>,
    // Before basil, and `subscription` in later shapes too:
    price: Option<Price>,
    subscription: Option<ObjectId>,
    subscription_item: Option<ObjectId>,
    invoice_item: Option<ObjectId>,
    proration: Option<bool>,
    /// The user's own fields.
    #[serde(default, deserialize_with = "metadata")]
    pub metadata: BTreeMap<String, String>,
}

/// The time that a line bills.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
pub struct Period {
    /// First moment.
    #[serde(deserialize_with = "seconds")]
    pub start: Time,
    /// Last moment.
    #[serde(deserialize_with = "seconds")]
    pub end: Time,
}

/// A discount on one line.
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub struct DiscountAmount {
    /// In minor units.
    #[serde(rename = "amount")]
    pub amount_minor: i64,
    /// The discount.
    pub discount: Option<ObjectId>,
}

#[derive(Clone, Debug, PartialEq, Deserialize)]
struct LineParent {
    subscription_item_details: Option<LineParentDetails>,
    invoice_item_details: Option<LineParentDetails>,
}

#[derive(Clone, Debug, PartialEq, Deserialize)]
struct LineParentDetails {
    subscription: Option<ObjectId>,
    subscription_item: Option<ObjectId>,
    invoice_item: Option<ObjectId>,
    proration: Option<bool>,
}

#[derive(Clone, Debug, PartialEq, Deserialize)]
struct LinePricing {
    price_details: Option<PriceDetails>,
}

#[derive(Clone, Debug, PartialEq, Deserialize)]
struct PriceDetails {
    price: Option<ObjectId>,
    product: Option<ObjectId>,
}

impl InvoiceLine {
    /// The price that is billed; none for amounts typed by hand.
    pub fn price(&self) -> Option<&ObjectId> {
        let details = self.pricing.as_ref().and_then(|pricing| pricing.price_details.as_ref());
        details.and_then(|details| details.price.as_ref()).or(self.price.as_ref().map(|price| &price.id))
    }

    /// The product that is billed.
    pub fn product(&self) -> Option<&ObjectId> {
        let details = self.pricing.as_ref().and_then(|pricing| pricing.price_details.as_ref());
        details.and_then(|details| details.product.as_ref()).or(self.price.as_ref().map(|price| &price.product))
    }

    /// The subscription that is billed.
    pub fn subscription(&self) -> Option<&ObjectId> {
        self.details().find_map(|details| details.subscription.as_ref()).or(self.subscription.as_ref())
    }

    /// The subscription's item that is billed.
    pub fn subscription_item(&self) -> Option<&ObjectId> {
        self.details().find_map(|details| details.subscription_item.as_ref()).or(self.subscription_item.as_ref())
    }

    /// The invoice item that the line came from.
    pub fn invoice_item(&self) -> Option<&ObjectId> {
        self.details().find_map(|details| details.invoice_item.as_ref()).or(self.invoice_item.as_ref())
    }

    /// Whether the line settles a change within a period.
    pub fn is_proration(&self) -> bool {
        self.details().find_map(|details| details.proration).or(self.proration).unwrap_or(false)
    }

    /// The amount before discounts.
    pub fn amount(&self) -> Money {
        Money::new(self.amount_minor, self.currency)
    }

    fn details(&self) -> impl Iterator<Item = &LineParentDetails> {
        let parent = self.parent.as_ref();
        let of_subscription = parent.and_then(|parent| parent.subscription_item_details.as_ref());
        let of_item = parent.and_then(|parent| parent.invoice_item_details.as_ref());
        of_subscription.into_iter().chain(of_item)
    }
}

impl Shape for InvoiceLine {
    const OBJECT: &'static str = "line_item";
}

/// Which payment pays which invoice.
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub struct InvoicePayment {
    /// `inpay_…`.
    pub id: ObjectId,
    /// When it was made.
    #[serde(deserialize_with = "seconds")]
    pub created: Time,
    /// Live or test data.
    pub livemode: bool,
    /// The invoice.
    pub invoice: ObjectId,
    /// open, paid, canceled; open to more.
    pub status: String,
    /// The payment that collection uses by itself.
    #[serde(default)]
    pub is_default: bool,
    /// Of the amounts.
    pub currency: Currency,
    /// Asked for, in minor units.
    #[serde(rename = "amount_requested")]
    pub amount_requested_minor: i64,
    /// Paid; none until then.
    #[serde(rename = "amount_paid")]
    pub amount_paid_minor: Option<i64>,
    /// What pays.
    pub payment: PaidBy,
}

/// What pays an invoice.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
pub struct PaidBy {
    /// payment_intent, charge, payment_record; open.
    #[serde(rename = "type")]
    pub payment_type: String,
    /// The payment intent, for those.
    pub payment_intent: Option<ObjectId>,
    /// The charge, where it has no payment intent.
    pub charge: Option<ObjectId>,
}

impl Shape for InvoicePayment {
    const OBJECT: &'static str = "invoice_payment";
}
