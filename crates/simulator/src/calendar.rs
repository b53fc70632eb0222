//! Billing periods: the same day of a later month, or its last day where the month is too short.

use kit::time::{civil_from_days, days_from_civil};

/// Seconds in a day.
pub(crate) const DAY: i64 = 86_400;

/// `start` plus `count` periods. The day and time of `anchor` are kept, so that 31 January, 28 February, 31 March is right.
pub(crate) fn period_end(anchor: i64, start: i64, interval: &str, count: i64) -> i64 {
    match interval {
        "day" => start + DAY * count,
        "week" => start + 7 * DAY * count,
        "year" => add_months(anchor, start, 12 * count),
        _ => add_months(anchor, start, count),
    }
}

fn add_months(anchor: i64, start: i64, months: i64) -> i64 {
    let (_, _, anchor_day) = civil_from_days(anchor.div_euclid(DAY));
    let (year, month, _) = civil_from_days(start.div_euclid(DAY));
    let zero_based = year * 12 + i64::from(month) - 1 + months;
    let (year, month) = (zero_based.div_euclid(12), (zero_based.rem_euclid(12) + 1) as u8);
    let day = anchor_day.min(days_in(year, month));
    days_from_civil(year, month, day) * DAY + anchor.rem_euclid(DAY)
}

fn days_in(year: i64, month: u8) -> u8 {
    let (next_year, next_month) = if month == 12 { (year + 1, 1) } else { (year, month + 1) };
    (days_from_civil(next_year, next_month, 1) - days_from_civil(year, month, 1)) as u8
}

/// Days since a Monday at 1970-01-05: 0 is Monday, 6 is Sunday.
pub(crate) fn weekday(second: i64) -> i64 {
    (second.div_euclid(DAY) + 3).rem_euclid(7)
}

/// Midnight UTC of the day that `second` is in.
pub(crate) fn midnight(second: i64) -> i64 {
    second.div_euclid(DAY) * DAY
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(year: i64, month: u8, day: u8) -> i64 {
        days_from_civil(year, month, day) * DAY + 3_600
    }

    #[test]
    fn periods_keep_the_day_of_the_month() {
        let check =
            |anchor, start, interval, count, expected| assert_eq!(period_end(anchor, start, interval, count), expected);
        check(at(2026, 1, 31), at(2026, 1, 31), "month", 1, at(2026, 2, 28));
        check(at(2026, 1, 31), at(2026, 2, 28), "month", 1, at(2026, 3, 31));
        check(at(2026, 11, 15), at(2026, 11, 15), "month", 3, at(2027, 2, 15));
        check(at(2024, 2, 29), at(2024, 2, 29), "year", 1, at(2025, 2, 28));
        check(at(2026, 1, 1), at(2026, 1, 1), "week", 2, at(2026, 1, 15));
        check(at(2026, 1, 1), at(2026, 1, 1), "day", 1, at(2026, 1, 2));
        assert_eq!(weekday(at(2026, 11, 21)), 5, "a Saturday");
    }
}
