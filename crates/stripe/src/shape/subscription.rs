//! Recurring sales: subscriptions with their items.

use super::{
    ObjectId, Price, Shape,
    fields::{maybe_seconds, metadata, null_is_default, seconds},
};
use kit::{Currency, Time, TimeRange};
use serde::Deserialize;
use std::collections::BTreeMap;

/// A list inside an object. It holds the first ten or so; the rest has to be listed.
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub struct Embedded<T> {
    /// What is here.
    pub data: Vec<T>,
    /// There is more to list.
    #[serde(default)]
    pub has_more: bool,
}

impl<T> Default for Embedded<T> {
    fn default() -> Embedded<T> {
        Embedded { data: Vec::new(), has_more: false }
    }
}

/// A recurring sale.
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub struct Subscription {
    /// `sub_…`.
    pub id: ObjectId,
    /// When it was made.
    #[serde(deserialize_with = "seconds")]
    pub created: Time,
    /// Live or test data.
    pub livemode: bool,
    /// Who pays.
    pub customer: ObjectId,
    /// incomplete, incomplete_expired, trialing, active, past_due, unpaid, canceled, paused; open.
    pub status: String,
    /// Of its prices.
    pub currency: Currency,
    /// What is sold. See `has_more`.
    #[serde(default, deserialize_with = "null_is_default")]
    pub items: Embedded<SubscriptionItem>,
    /// charge_automatically or send_invoice; open.
    #[serde(default)]
    pub collection_method: String,
    /// It ends with the present period.
    #[serde(default)]
    pub cancel_at_period_end: bool,
    /// When it will end.
    #[serde(default, deserialize_with = "maybe_seconds")]
    pub cancel_at: Option<Time>,
    /// When its end was decided.
    #[serde(default, deserialize_with = "maybe_seconds")]
    pub canceled_at: Option<Time>,
    /// When it ended.
    #[serde(default, deserialize_with = "maybe_seconds")]
    pub ended_at: Option<Time>,
    /// When it began.
    #[serde(default, deserialize_with = "maybe_seconds")]
    pub start_date: Option<Time>,
    /// When the trial began.
    #[serde(default, deserialize_with = "maybe_seconds")]
    pub trial_start: Option<Time>,
    /// When the trial ends.
    #[serde(default, deserialize_with = "maybe_seconds")]
    pub trial_end: Option<Time>,
    /// Its newest invoice.
    pub latest_invoice: Option<ObjectId>,
    /// Before basil the period stood here; see [`Subscription::period`].
    #[serde(default, deserialize_with = "maybe_seconds")]
    current_period_start: Option<Time>,
    #[serde(default, deserialize_with = "maybe_seconds")]
    current_period_end: Option<Time>,
    /// The user's own fields.
    #[serde(default, deserialize_with = "metadata")]
    pub metadata: BTreeMap<String, String>,
}

/// One thing sold by a subscription.
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub struct SubscriptionItem {
    /// `si_…`.
    pub id: ObjectId,
    /// For how much.
    pub price: Price,
    /// How many; none for metered prices.
    pub quantity: Option<i64>,
    #[serde(default, deserialize_with = "maybe_seconds")]
    current_period_start: Option<Time>,
    #[serde(default, deserialize_with = "maybe_seconds")]
    current_period_end: Option<Time>,
}

impl Subscription {
    /// The present period: from the earliest start to the latest end of its items' periods, since items may have
    /// different intervals; of the subscription itself in shapes that kept it there.
    pub fn period(&self) -> Option<TimeRange> {
        let starts = self.items.data.iter().filter_map(|item| item.current_period_start);
        let ends = self.items.data.iter().filter_map(|item| item.current_period_end);
        let start = starts.min().or(self.current_period_start)?;
        let end = ends.max().or(self.current_period_end)?;
        Some(TimeRange { start, end })
    }

    /// The present period of one of its items.
    pub fn item_period(&self, item: &SubscriptionItem) -> Option<TimeRange> {
        let start = item.current_period_start.or(self.current_period_start)?;
        let end = item.current_period_end.or(self.current_period_end)?;
        Some(TimeRange { start, end })
    }
}

impl Shape for Subscription {
    const OBJECT: &'static str = "subscription";
}
