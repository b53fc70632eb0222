//! The proof: what charges, refunds, disputes and payouts say, held against what the balance transactions say.
//!
//! Both come from Stripe by different ways and are kept in different tables. Every difference is named object by object.

use kit::{Currency, Time};
use serde::Serialize;

/// Most differences that are listed; there may be more.
pub const MAX_DIFFERENCES: usize = 100;

/// The whole proof of one tenant.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct TieOut {
    /// One for each currency, by code.
    pub rows: Vec<TieOutRow>,
    /// Payments that were settled in another currency; they stand in no row above.
    pub converted: Vec<Converted>,
    /// What does not agree, at most [`MAX_DIFFERENCES`].
    pub differences: Vec<Difference>,
    /// How many differences there are in all.
    pub difference_count: i64,
    /// How many facts were held against balance transactions.
    pub facts: i64,
    /// How many balance transactions there are.
    pub balance_transactions: i64,
    /// When this was computed.
    pub computed_at: Time,
}

/// One currency's proof.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct TieOutRow {
    /// Of all the amounts.
    pub currency: Currency,
    /// Taken.
    pub charges: TwoSides,
    /// Given back, as a positive amount.
    pub refunds: TwoSides,
    /// Withdrawn for disputes less returned, positive when more went than came.
    pub disputes: TwoSides,
    /// Fees.
    pub fees: TwoSides,
    /// Charges less refunds, disputes and fees; the balance's side is the sum of the balance transactions' own `net`.
    pub net: TwoSides,
    /// Sent to the bank, as a positive amount.
    pub payouts: TwoSides,
}

/// One amount from two sources, in minor units.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct TwoSides {
    /// By the objects themselves; for fees by our daily totals.
    pub facts_minor: i64,
    /// By the balance transactions.
    pub balance_minor: i64,
}

impl TwoSides {
    /// Zero when both agree.
    pub fn difference_minor(&self) -> i64 {
        self.facts_minor - self.balance_minor
    }
}

/// Payments in one currency that were settled in another.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Converted {
    /// Of the payments.
    pub from: Currency,
    /// Of the balance.
    pub to: Currency,
    /// charge, refund, …
    pub kind: &'static str,
    /// How many.
    pub count: i64,
    /// Signed, in the payments' currency.
    pub from_minor: i64,
    /// Signed, in the balance's currency.
    pub to_minor: i64,
}

/// Something that does not agree.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Difference {
    /// What is wrong with it.
    pub kind: DifferenceKind,
    /// The charge, refund, dispute or payout.
    pub object_id: Option<String>,
    /// The balance transaction.
    pub balance_transaction_id: Option<String>,
    /// Of the amounts.
    pub currency: Option<Currency>,
    /// What the object says, signed.
    pub fact_minor: Option<i64>,
    /// What the balance transaction says, signed.
    pub balance_minor: Option<i64>,
}

/// In which way two sides do not agree.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum DifferenceKind {
    /// The object names no balance transaction yet; usual for a moment after a payment.
    NotBooked,
    /// The object's balance transaction is not mirrored.
    BalanceTransactionMissing,
    /// No object tells of this balance transaction.
    ObjectMissing,
    /// Both are there and say different amounts.
    AmountDiffers,
    /// The amount converted by the balance transaction's own rate is not what was booked.
    ConversionDiffers,
    /// A balance transaction whose fees do not add up to its fee, or whose net is not its amount less its fee.
    FeesDoNotAddUp,
    /// Our daily totals do not equal the rows they come from: a fault of Bursar.
    DailyTotalsDiffer,
}

impl DifferenceKind {
    /// In words, for people.
    pub fn in_words(self) -> &'static str {
        match self {
            DifferenceKind::NotBooked => "not booked yet",
            DifferenceKind::BalanceTransactionMissing => "balance transaction not mirrored",
            DifferenceKind::ObjectMissing => "no object for this balance transaction",
            DifferenceKind::AmountDiffers => "amounts differ",
            DifferenceKind::ConversionDiffers => "converted amount differs",
            DifferenceKind::FeesDoNotAddUp => "fees do not add up",
            DifferenceKind::DailyTotalsDiffer => "daily totals differ from their rows",
        }
    }
}

impl TieOutRow {
    /// Whether every pair agrees.
    pub fn agrees(&self) -> bool {
        [self.charges, self.refunds, self.disputes, self.fees, self.net, self.payouts]
            .iter()
            .all(|sides| sides.difference_minor() == 0)
    }
}

impl TieOut {
    /// Whether everything agrees to the last minor unit.
    pub fn agrees(&self) -> bool {
        self.difference_count == 0 && self.rows.iter().all(TieOutRow::agrees)
    }
}
