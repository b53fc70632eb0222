//! Days put together to weeks and months. Pure.

use crate::{DailyFigure, daily::date_of};
use kit::{
    Currency,
    time::{civil_from_days, days_from_civil},
};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// How long the periods are that figures are given for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Interval {
    /// Days of UTC.
    #[default]
    Day,
    /// Weeks that begin on Monday (ISO 8601).
    Week,
    /// Months of the calendar.
    Month,
}

impl Interval {
    /// The name, as in addresses.
    pub fn as_str(self) -> &'static str {
        match self {
            Interval::Day => "day",
            Interval::Week => "week",
            Interval::Month => "month",
        }
    }

    /// The first day of the period that a day belongs to.
    pub fn begin(self, day: i64) -> i64 {
        match self {
            Interval::Day => day,
            // 1970-01-01 was a Thursday.
            Interval::Week => day - (day + 3).rem_euclid(7),
            Interval::Month => {
                let (year, month, _) = civil_from_days(day);
                days_from_civil(year, month, 1)
            }
        }
    }

    /// The first day of the next period.
    pub fn next(self, begin: i64) -> i64 {
        match self {
            Interval::Day => begin + 1,
            Interval::Week => begin + 7,
            // The 31st day after a month's first is in the next month or still its last: both lead on.
            Interval::Month => match civil_from_days(begin) {
                (year, 12, _) => days_from_civil(year + 1, 1, 1),
                (year, month, _) => days_from_civil(year, month + 1, 1),
            },
        }
    }
}

/// The first days of the periods that a range of days touches, oldest first.
pub fn periods(interval: Interval, from_day: i64, to_day: i64) -> Vec<i64> {
    let mut begins = Vec::new();
    let mut begin = interval.begin(from_day);
    while begin <= to_day {
        begins.push(begin);
        begin = interval.next(begin);
    }
    begins
}

/// Days of one currency put together by period; the figure's `day` is the period's first. Periods without anything are
/// left out.
pub fn grouped(figures: &[DailyFigure], interval: Interval) -> Vec<DailyFigure> {
    let mut groups: BTreeMap<(i64, Currency), DailyFigure> = BTreeMap::new();
    for figure in figures {
        let key = (interval.begin(figure.day), figure.currency);
        let group = groups.entry(key).or_insert_with(|| DailyFigure::nothing(key.0, key.1));
        group.add(figure);
    }
    groups.into_values().collect()
}

impl DailyFigure {
    /// Adds the amounts and counts of another figure of the same currency.
    fn add(&mut self, other: &DailyFigure) {
        debug_assert_eq!(self.currency, other.currency);
        self.gross_minor += other.gross_minor;
        self.refunds_minor += other.refunds_minor;
        self.disputes_minor += other.disputes_minor;
        self.fees_minor += other.fees_minor;
        self.charges += other.charges;
        self.refunds += other.refunds;
        self.disputes += other.disputes;
        self.fees += other.fees;
    }
}

/// Reads `2026-11-21`; `None` for what is no date of the calendar.
pub fn day_of_date(text: &str) -> Option<i64> {
    let mut parts = text.splitn(3, '-');
    let (year, month, day) = (parts.next()?.parse().ok()?, parts.next()?.parse().ok()?, parts.next()?.parse().ok()?);
    let is_sane = (1970..=9999).contains(&year) && (1..=12).contains(&month) && (1..=31).contains(&day);
    let number = is_sane.then(|| days_from_civil(year, month, day))?;
    // The 31st of a shorter month is none.
    (date_of(number) == text).then_some(number)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_belong_to_weeks_and_months() {
        let check = |date: &str, week: &str, month: &str, next_month: &str| {
            let day = day_of_date(date).unwrap();
            assert_eq!(date_of(Interval::Week.begin(day)), week, "{date}");
            assert_eq!(date_of(Interval::Month.begin(day)), month, "{date}");
            assert_eq!(date_of(Interval::Month.next(Interval::Month.begin(day))), next_month, "{date}");
        };
        check("1970-01-01", "1969-12-29", "1970-01-01", "1970-02-01");
        check("2026-11-21", "2026-11-16", "2026-11-01", "2026-12-01");
        check("2026-11-16", "2026-11-16", "2026-11-01", "2026-12-01");
        check("2024-02-29", "2024-02-26", "2024-02-01", "2024-03-01");
        check("2026-12-31", "2026-12-28", "2026-12-01", "2027-01-01");
    }

    #[test]
    fn what_is_no_date_is_refused() {
        for bad in ["", "2026", "2026-02-30", "2026-13-01", "2026-1-1", "26-01-01", "2026-01-01T00:00", "x-y-z"] {
            assert_eq!(day_of_date(bad), None, "{bad}");
        }
    }

    #[test]
    fn currencies_are_never_added_up() {
        let figure = |date: &str, currency, gross_minor| DailyFigure {
            gross_minor,
            ..DailyFigure::nothing(day_of_date(date).unwrap(), currency)
        };
        let days = [
            figure("2026-11-16", Currency::USD, 1),
            figure("2026-11-22", Currency::USD, 2),
            figure("2026-11-22", Currency::EUR, 4),
            figure("2026-11-23", Currency::USD, 8),
        ];
        let told: Vec<String> = grouped(&days, Interval::Week)
            .iter()
            .map(|it| format!("{} {} {}", it.date(), it.currency, it.gross_minor))
            .collect();
        assert_eq!(told, ["2026-11-16 EUR 4", "2026-11-16 USD 3", "2026-11-23 USD 8"]);
        assert_eq!(periods(Interval::Month, days[0].day, days[3].day + 30).len(), 2);
    }
}
