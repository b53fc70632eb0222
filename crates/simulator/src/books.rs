//! The simulator's own bookkeeping: sums that are kept while money moves, to hold a reader's totals against.

use serde::Serialize;
use std::collections::BTreeMap;

/// Money of one settlement currency, in minor units.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Settled {
    /// Sum of captured charges, as they arrived.
    pub gross: i64,
    /// Sum of refunds, positive.
    pub refunds: i64,
    /// Sum of refunds that came back.
    pub refund_failures: i64,
    /// Sum of withdrawn disputes, positive.
    pub disputes: i64,
    /// Sum of disputes won back.
    pub dispute_reversals: i64,
    /// Sum of all fees, those of payments and disputes and those taken on their own.
    pub fees: i64,
    /// Sum of corrections, signed.
    pub adjustments: i64,
    /// `gross - refunds + refund_failures - disputes + dispute_reversals + adjustments - fees`: what the account earned
    /// before payouts.
    pub net: i64,
    /// Sum of payouts, positive.
    pub payouts: i64,
    /// `net - payouts`: available and pending together.
    pub balance: i64,
    /// Number of balance transactions of type charge.
    pub charges: u64,
    /// Number of balance transactions of type refund.
    pub refund_count: u64,
    /// Number of payouts.
    pub payout_count: u64,
}

/// Money of one presentment currency, in minor units, as the customers see it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Presented {
    /// Sum of captured amounts.
    pub charged: i64,
    /// Sum of refunds, positive.
    pub refunded: i64,
    /// Sum of amounts under dispute, won or not.
    pub disputed: i64,
    /// Number of charges that succeeded.
    pub succeeded: u64,
    /// Number of charges that failed.
    pub failed: u64,
}

/// The books of one account in one mode.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Totals {
    /// By the currency that money arrives in.
    pub settled: BTreeMap<String, Settled>,
    /// By the currency that customers pay in.
    pub presented: BTreeMap<String, Presented>,
}

impl Totals {
    /// The books of a settlement currency.
    pub(crate) fn settled(&mut self, currency: &str) -> &mut Settled {
        self.settled.entry(currency.to_owned()).or_default()
    }

    /// The books of a presentment currency.
    pub(crate) fn presented(&mut self, currency: &str) -> &mut Presented {
        self.presented.entry(currency.to_owned()).or_default()
    }
}
