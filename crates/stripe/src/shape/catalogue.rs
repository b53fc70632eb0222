//! Who buys what for how much: customers, products, prices.

use super::{
    ObjectId, Shape,
    fields::{metadata, null_is_default, seconds},
};
use kit::{Currency, Time};
use serde::Deserialize;
use std::collections::BTreeMap;

/// Who pays.
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub struct Customer {
    /// `cus_…`.
    pub id: ObjectId,
    /// The account that is this customer, in newer set-ups.
    pub customer_account: Option<String>,
    /// When it was made.
    #[serde(deserialize_with = "seconds")]
    pub created: Time,
    /// Live or test data.
    pub livemode: bool,
    /// E-mail address; not unique.
    pub email: Option<String>,
    /// Name.
    pub name: Option<String>,
    /// Free text.
    pub description: Option<String>,
    /// Postal address.
    pub address: Option<Address>,
    /// The currency of recurring sales.
    pub currency: Option<Currency>,
    /// The last invoice is not paid.
    #[serde(default, deserialize_with = "null_is_default")]
    pub delinquent: bool,
    /// The user's own fields.
    #[serde(default, deserialize_with = "metadata")]
    pub metadata: BTreeMap<String, String>,
}

impl Shape for Customer {
    const OBJECT: &'static str = "customer";
}

/// A postal address, as far as it is used.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
pub struct Address {
    /// Two letters.
    pub country: Option<String>,
    /// State, county, province.
    pub state: Option<String>,
    /// Postal code.
    pub postal_code: Option<String>,
}

/// What is sold.
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub struct Product {
    /// `prod_…`, or chosen by the user.
    pub id: ObjectId,
    /// When it was made.
    #[serde(deserialize_with = "seconds")]
    pub created: Time,
    /// Live or test data.
    pub livemode: bool,
    /// Name.
    pub name: String,
    /// On sale.
    pub active: bool,
    /// Free text.
    pub description: Option<String>,
    /// The price used where none is named.
    pub default_price: Option<ObjectId>,
    /// What one of them is called.
    pub unit_label: Option<String>,
    /// The user's own fields.
    #[serde(default, deserialize_with = "metadata")]
    pub metadata: BTreeMap<String, String>,
}

impl Shape for Product {
    const OBJECT: &'static str = "product";
}

/// For how much, and how often. Amount and currency never change.
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub struct Price {
    /// `price_…`, or an older plan's id.
    pub id: ObjectId,
    /// When it was made.
    #[serde(deserialize_with = "seconds")]
    pub created: Time,
    /// Live or test data.
    pub livemode: bool,
    /// On sale.
    pub active: bool,
    /// Of the amounts.
    pub currency: Currency,
    /// In minor units; none with tiers, with a fraction of a minor unit, or when the payer chooses.
    #[serde(rename = "unit_amount")]
    pub unit_amount_minor: Option<i64>,
    /// In minor units with up to 12 decimals, as text.
    pub unit_amount_decimal: Option<String>,
    /// per_unit or tiered; open.
    #[serde(default)]
    pub billing_scheme: String,
    /// one_time or recurring; open.
    #[serde(rename = "type")]
    pub price_type: String,
    /// How often, for recurring ones.
    pub recurring: Option<Recurring>,
    /// What is sold.
    pub product: ObjectId,
    /// A name of the user's, unique among prices, which can move from one to another.
    pub lookup_key: Option<String>,
    /// A name for people.
    pub nickname: Option<String>,
    /// The user's own fields.
    #[serde(default, deserialize_with = "metadata")]
    pub metadata: BTreeMap<String, String>,
}

/// How often a price recurs.
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub struct Recurring {
    /// day, week, month, year.
    pub interval: String,
    /// How many intervals make one period.
    pub interval_count: u32,
    /// licensed or metered; open.
    #[serde(default)]
    pub usage_type: String,
    /// The meter that counts usage.
    pub meter: Option<ObjectId>,
}

impl Shape for Price {
    const OBJECT: &'static str = "price";
}
