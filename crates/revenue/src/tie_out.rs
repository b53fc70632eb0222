//! The proof: what charges, refunds, disputes and payouts say, held against what the balance transactions say.
//!
//! Both come from Stripe by different ways and are kept in different tables. Every difference is named object by object.

use crate::{
    CurrencyTotal,
    fact::FactKind,
    movement::is_fee,
    store::proof::{FactSum, MovementSum},
};
use kit::{Currency, Time};
use serde::Serialize;
use std::collections::BTreeMap;

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
    /// How many facts are so new that their balance transactions were not read yet; they are on neither side.
    pub awaited: i64,
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

/// Which part of a currency's proof an amount belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Section {
    Charges,
    Refunds,
    Disputes,
    Payouts,
}

impl Section {
    fn of_kind(kind: FactKind) -> Section {
        match kind {
            FactKind::Charge => Section::Charges,
            FactKind::Refund | FactKind::RefundFailure => Section::Refunds,
            FactKind::Dispute | FactKind::DisputeReversal => Section::Disputes,
            FactKind::Payout | FactKind::PayoutReversal => Section::Payouts,
        }
    }

    /// By reporting category, and by the types that stand in for a missing one (FACTS section 14).
    fn of_category(category: &str) -> Option<Section> {
        match category {
            "charge" | "payment" => Some(Section::Charges),
            "refund" | "refund_failure" | "payment_refund" | "payment_failure_refund" => Some(Section::Refunds),
            "dispute" | "dispute_reversal" => Some(Section::Disputes),
            "payout" | "payout_reversal" | "payout_failure" | "payout_cancel" => Some(Section::Payouts),
            _ => None,
        }
    }
}

impl TieOutRow {
    fn nothing(currency: Currency) -> TieOutRow {
        let none = TwoSides::default();
        TieOutRow { currency, charges: none, refunds: none, disputes: none, fees: none, net: none, payouts: none }
    }

    /// The section's two sides, and the sign that makes its usual amounts positive.
    fn section(&mut self, section: Section) -> (&mut TwoSides, i64) {
        match section {
            Section::Charges => (&mut self.charges, 1),
            Section::Refunds => (&mut self.refunds, -1),
            Section::Disputes => (&mut self.disputes, -1),
            Section::Payouts => (&mut self.payouts, -1),
        }
    }
}

/// The sums that the proof is made of, all read at one moment.
#[derive(Debug, Default)]
pub(crate) struct Sums {
    pub(crate) facts: Vec<FactSum>,
    pub(crate) movements: Vec<MovementSum>,
    pub(crate) totals: Vec<CurrencyTotal>,
}

/// How many single rows do not agree, by kind; each kind above zero has its rows read and listed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Counts {
    pub(crate) awaited: i64,
    pub(crate) not_booked: i64,
    pub(crate) missing: i64,
    pub(crate) differing: i64,
    pub(crate) orphans: i64,
    pub(crate) crooked: i64,
    pub(crate) converted: i64,
}

/// What the sums give: everything but the single rows.
#[derive(Debug)]
pub(crate) struct Assembled {
    pub(crate) rows: Vec<TieOutRow>,
    pub(crate) converted: Vec<Converted>,
    pub(crate) counts: Counts,
    pub(crate) facts: i64,
    pub(crate) balance_transactions: i64,
    /// Daily totals that do not equal their rows.
    pub(crate) daily: Vec<Difference>,
}

/// Holds the sums against each other. A currency or kind that cannot be read is an error naming it.
pub(crate) fn assemble(sums: &Sums) -> Result<Assembled, String> {
    let mut rows: BTreeMap<Currency, TieOutRow> = BTreeMap::new();
    let mut paid: BTreeMap<Currency, DailySides> = BTreeMap::new();
    let mut converted = Vec::new();
    let mut counts = Counts::default();
    let (mut facts, mut matched) = (0, 0);
    let currency_of = |text: &str| text.parse::<Currency>().map_err(|error| error.to_string());
    for sum in &sums.facts {
        let currency = currency_of(&sum.currency)?;
        let kind = FactKind::from_name(&sum.kind).ok_or_else(|| format!("`{}` is no kind of fact", sum.kind))?;
        let section = Section::of_kind(kind);
        facts += sum.count;
        let daily = paid.entry(currency).or_default();
        match section {
            Section::Charges => daily.gross += sum.fact_minor,
            Section::Refunds => daily.refunds -= sum.fact_minor,
            Section::Disputes => daily.disputes -= sum.fact_minor,
            Section::Payouts => {}
        }
        match &sum.settled {
            None if sum.recent => {
                // Its balance transaction is on its way: it stands on neither side until then.
                counts.awaited += sum.count;
                facts -= sum.count;
                continue;
            }
            None if sum.unbooked => counts.not_booked += sum.count,
            None => counts.missing += sum.count,
            Some(settled) => {
                if sum.category.as_deref().and_then(Section::of_category).is_some() {
                    matched += sum.count;
                }
                counts.differing += sum.differing;
                let settled = currency_of(settled)?;
                if settled != currency {
                    counts.converted += sum.count;
                    // It stands in the balance of another currency; there it is taken out again.
                    let (sides, sign) =
                        rows.entry(settled).or_insert_with(|| TieOutRow::nothing(settled)).section(section);
                    sides.balance_minor -= sign * sum.balance_minor;
                    converted.push(Converted {
                        from: currency,
                        to: settled,
                        kind: kind.as_str(),
                        count: sum.count,
                        from_minor: sum.fact_minor,
                        to_minor: sum.balance_minor,
                    });
                    continue;
                }
            }
        }
        let (sides, sign) = rows.entry(currency).or_insert_with(|| TieOutRow::nothing(currency)).section(section);
        sides.facts_minor += sign * sum.fact_minor;
    }
    let (mut balance_transactions, mut told) = (0, 0);
    for sum in &sums.movements {
        let currency = currency_of(&sum.currency)?;
        balance_transactions += sum.count;
        counts.crooked += sum.crooked;
        let row = rows.entry(currency).or_insert_with(|| TieOutRow::nothing(currency));
        let daily = paid.entry(currency).or_default();
        let mut fee_minor = sum.fee_minor;
        if let Some(section) = Section::of_category(&sum.category) {
            told += sum.count;
            let (sides, sign) = row.section(section);
            sides.balance_minor += sign * sum.amount_minor;
            if section != Section::Payouts {
                row.net.balance_minor += sum.net_minor;
            } else {
                row.net.balance_minor -= sum.fee_minor;
            }
        } else if is_fee(&sum.category) {
            fee_minor -= sum.amount_minor;
            row.net.balance_minor += sum.net_minor;
        } else {
            // What is neither revenue nor a payout, such as transfers, is left out but for its fees.
            row.net.balance_minor -= sum.fee_minor;
        }
        row.fees.balance_minor += fee_minor;
        daily.fees += fee_minor;
    }
    counts.orphans = (told - matched).max(0);
    for total in &sums.totals {
        rows.entry(total.currency).or_insert_with(|| TieOutRow::nothing(total.currency)).fees.facts_minor =
            total.fees_minor;
    }
    for sum in &converted {
        // Converted payments are in the balance's net as well.
        let Some(row) = rows.get_mut(&sum.to).filter(|_| !sum.kind.starts_with("payout")) else { continue };
        row.net.balance_minor -= sum.to_minor;
    }
    for row in rows.values_mut() {
        row.net.facts_minor =
            row.charges.facts_minor - row.refunds.facts_minor - row.disputes.facts_minor - row.fees.facts_minor;
    }
    let daily = daily_differences(&sums.totals, &paid);
    Ok(Assembled { rows: rows.into_values().collect(), converted, counts, facts, balance_transactions, daily })
}

/// What a currency's daily totals must add up to.
#[derive(Clone, Copy, Debug, Default)]
struct DailySides {
    gross: i64,
    refunds: i64,
    disputes: i64,
    fees: i64,
}

fn daily_differences(totals: &[CurrencyTotal], rows: &BTreeMap<Currency, DailySides>) -> Vec<Difference> {
    let of_days: BTreeMap<Currency, DailySides> = totals
        .iter()
        .map(|total| {
            let (gross, refunds) = (total.gross_minor, total.refunds_minor);
            (total.currency, DailySides { gross, refunds, disputes: total.disputes_minor, fees: total.fees_minor })
        })
        .collect();
    let mut currencies: Vec<Currency> = of_days.keys().chain(rows.keys()).copied().collect();
    currencies.sort_unstable();
    currencies.dedup();
    let mut differences = Vec::new();
    for currency in currencies {
        let days = of_days.get(&currency).copied().unwrap_or_default();
        let rows = rows.get(&currency).copied().unwrap_or_default();
        let pairs = [
            (days.gross, rows.gross),
            (days.refunds, rows.refunds),
            (days.disputes, rows.disputes),
            (days.fees, rows.fees),
        ];
        for (days_minor, rows_minor) in pairs.into_iter().filter(|(days, rows)| days != rows) {
            differences.push(Difference {
                kind: DifferenceKind::DailyTotalsDiffer,
                object_id: None,
                balance_transaction_id: None,
                currency: Some(currency),
                fact_minor: Some(days_minor),
                balance_minor: Some(rows_minor),
            });
        }
    }
    differences
}
