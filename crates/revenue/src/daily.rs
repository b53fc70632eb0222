//! Totals by day and currency.

use kit::{Currency, Time, time::civil_from_days};
use serde::{Serialize, Serializer};

/// What one day brought in one currency. Days are UTC's.
///
/// Charges, refunds and disputes count in the currency of the payment. Fees count in the currency of the balance they
/// were taken from; where payments are converted, fees of one currency stand beside payments of another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DailyFigure {
    /// Days since 1970-01-01.
    pub day: i64,
    /// Of all the amounts.
    pub currency: Currency,
    /// Taken, in minor units.
    pub gross_minor: i64,
    /// Given back, less what came back of failed refunds; positive.
    pub refunds_minor: i64,
    /// Withdrawn for disputes, less what was returned; positive when more went than came.
    pub disputes_minor: i64,
    /// Fees, positive.
    pub fees_minor: i64,
    /// How many charges.
    pub charges: i64,
    /// How many refunds, failed ones taken off.
    pub refunds: i64,
    /// How many withdrawals for disputes.
    pub disputes: i64,
    /// How many balance transactions with a fee.
    pub fees: i64,
}

impl DailyFigure {
    /// A day without anything.
    pub fn nothing(day: i64, currency: Currency) -> DailyFigure {
        DailyFigure {
            day,
            currency,
            gross_minor: 0,
            refunds_minor: 0,
            disputes_minor: 0,
            fees_minor: 0,
            charges: 0,
            refunds: 0,
            disputes: 0,
            fees: 0,
        }
    }

    /// What is left: gross less refunds, disputes and fees.
    pub fn net_minor(&self) -> i64 {
        self.gross_minor - self.refunds_minor - self.disputes_minor - self.fees_minor
    }

    /// The day as people and programs write it: `2026-11-21`.
    pub fn date(&self) -> String {
        date_of(self.day)
    }
}

impl Serialize for DailyFigure {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        #[derive(Serialize)]
        struct Told {
            day: String,
            currency: Currency,
            exponent: u32,
            gross_minor: i64,
            refunds_minor: i64,
            disputes_minor: i64,
            fees_minor: i64,
            net_minor: i64,
            charges: i64,
            refunds: i64,
            disputes: i64,
        }
        Told {
            day: self.date(),
            currency: self.currency,
            exponent: self.currency.exponent(),
            gross_minor: self.gross_minor,
            refunds_minor: self.refunds_minor,
            disputes_minor: self.disputes_minor,
            fees_minor: self.fees_minor,
            net_minor: self.net_minor(),
            charges: self.charges,
            refunds: self.refunds,
            disputes: self.disputes,
        }
        .serialize(serializer)
    }
}

/// Everything that a currency brought, from the first day to the last.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct CurrencyTotal {
    /// Of all the amounts.
    pub currency: Currency,
    /// Its first day, counted from 1970-01-01.
    pub first_day: i64,
    /// Its last day.
    pub last_day: i64,
    /// Taken, in minor units.
    pub gross_minor: i64,
    /// Given back, less what came back of failed refunds.
    pub refunds_minor: i64,
    /// Withdrawn for disputes, less what was returned.
    pub disputes_minor: i64,
    /// Fees.
    pub fees_minor: i64,
    /// How many charges.
    pub charges: i64,
    /// How many refunds.
    pub refunds: i64,
    /// How many withdrawals for disputes.
    pub disputes: i64,
}

impl CurrencyTotal {
    /// What is left: gross less refunds, disputes and fees.
    pub fn net_minor(&self) -> i64 {
        self.gross_minor - self.refunds_minor - self.disputes_minor - self.fees_minor
    }
}

/// What the figures come from: for the line under every figure.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Sources {
    /// How many charges they count.
    pub charges: i64,
    /// How many refunds.
    pub refunds: i64,
    /// How many withdrawals for disputes.
    pub disputes: i64,
    /// When they last changed, in microseconds since 1970; none while there are none.
    pub updated_to: Option<Time>,
}

/// A day as people and programs write it: `2026-11-21`.
pub fn date_of(day: i64) -> String {
    let (year, month, day_of_month) = civil_from_days(day);
    format!("{year:04}-{month:02}-{day_of_month:02}")
}
