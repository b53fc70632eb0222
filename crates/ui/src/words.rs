//! Figures, times and sizes as text. Pure functions; the components put markup around them.

use crate::view::{Figures, View};
use jiff::{Timestamp, Zoned, tz::TimeZone};
use kit::{Currency, Money, Time, money};
use std::time::Duration;

/// `1,234,567` with the person's separator.
pub fn count(number: i64, figures: Figures) -> String {
    let sign = if number < 0 { "-" } else { "" };
    figures.rewrite(&format!("{sign}{}", money::group_thousands(number.unsigned_abs())))
}

/// An amount with the currency's own decimals and without its code: `-1,234.50`.
pub fn amount(money: Money, figures: Figures) -> String {
    figures.rewrite(&money::format_minor(money.amount_minor, money.currency))
}

/// An amount with its currency's code: `-1,234.50 USD`.
pub fn money(money: Money, figures: Figures) -> String {
    format!("{}\u{a0}{}", amount(money, figures), money.currency)
}

/// A size in decimal units with at most one decimal: `1.4 MB`.
pub fn bytes(size_bytes: u64, figures: Figures) -> String {
    const UNITS: [&str; 6] = ["kB", "MB", "GB", "TB", "PB", "EB"];
    if size_bytes < 1_000 {
        return format!("{size_bytes}\u{a0}B");
    }
    let mut tenths = u128::from(size_bytes) * 10 / 1_000;
    let mut unit = 0;
    // 999.95 kB would read "1,000.0 kB": step up once four digits would show.
    while tenths >= 10_000 && unit + 1 < UNITS.len() {
        tenths /= 1_000;
        unit += 1;
    }
    let text = if tenths >= 1_000 { format!("{}", tenths / 10) } else { tenths_text(tenths) };
    format!("{}\u{a0}{}", figures.rewrite(&text), UNITS[unit])
}

/// A ratio in basis points as a percentage with at most two decimals: `1234` is `12.34%`.
pub fn percent(basis_points: i64, figures: Figures) -> String {
    let sign = if basis_points < 0 { "-" } else { "" };
    let (whole, hundredths) = (basis_points.unsigned_abs() / 100, basis_points.unsigned_abs() % 100);
    let decimals = match hundredths {
        0 => String::new(),
        tens if tens % 10 == 0 => format!(".{}", tens / 10),
        both => format!(".{both:02}"),
    };
    figures.rewrite(&format!("{sign}{}{decimals}%", money::group_thousands(whole)))
}

/// A large number in three or four characters, for axes and narrow places: `12.3k`, `4M`.
pub fn count_short(number: i64, figures: Figures) -> String {
    let size = number.unsigned_abs();
    let (divisor, suffix) = match size {
        0..1_000 => return count(number, figures),
        1_000..1_000_000 => (1_000, "k"),
        1_000_000..1_000_000_000 => (1_000_000, "M"),
        _ => (1_000_000_000, "B"),
    };
    let tenths = u128::from(size) * 10 / divisor;
    let sign = if number < 0 { "-" } else { "" };
    let digits = if tenths >= 1_000 {
        money::group_thousands(u64::try_from(tenths / 10).unwrap_or(u64::MAX))
    } else {
        tenths_text(tenths)
    };
    format!("{sign}{}{suffix}", figures.rewrite(&digits))
}

fn tenths_text(tenths: u128) -> String {
    match tenths % 10 {
        0 => format!("{}", tenths / 10),
        tenth => format!("{}.{tenth}", tenths / 10),
    }
}

/// How long something takes or took, in its two largest parts: `850 ms`, `14 s`, `2 min 10 s`, `3 h 5 min`, `4 days`.
pub fn duration(length: Duration) -> String {
    let seconds = length.as_secs();
    let with_rest = |whole: u64, unit: &str, rest: u64, rest_unit: &str| match rest {
        0 => format!("{whole}\u{a0}{unit}"),
        rest => format!("{whole}\u{a0}{unit} {rest}\u{a0}{rest_unit}"),
    };
    match seconds {
        0 => format!("{}\u{a0}ms", length.as_millis()),
        1..60 => format!("{seconds}\u{a0}s"),
        60..3_600 => with_rest(seconds / 60, "min", seconds % 60, "s"),
        3_600..172_800 => with_rest(seconds / 3_600, "h", seconds / 60 % 60, "min"),
        _ => format!("{}\u{a0}days", seconds / 86_400),
    }
}

/// How far from now: `just now`, `14 s ago`, `in 3 min`; from 30 days on the date.
pub fn relative(at: Time, view: &View) -> String {
    let (past, distance) = if at <= view.now { (true, view.now.since(at)) } else { (false, at.since(view.now)) };
    let seconds = distance.as_secs();
    let words = match seconds {
        0..3 => return "just now".to_owned(),
        3..60 => format!("{seconds}\u{a0}s"),
        60..3_600 => format!("{}\u{a0}min", seconds / 60),
        3_600..86_400 => format!("{}\u{a0}h", seconds / 3_600),
        86_400..172_800 => "1\u{a0}day".to_owned(),
        172_800..2_592_000 => format!("{}\u{a0}days", seconds / 86_400),
        _ => return date(at, &view.zone),
    };
    if past { format!("{words} ago") } else { format!("in {words}") }
}

/// `21 Nov 2026, 09:41:07 UTC`
pub fn exact(at: Time, zone: &TimeZone) -> String {
    zoned(at, zone).strftime("%-d %b %Y, %H:%M:%S %Z").to_string()
}

/// `21 Nov 2026`
pub fn date(at: Time, zone: &TimeZone) -> String {
    zoned(at, zone).strftime("%-d %b %Y").to_string()
}

/// `09:41:07`
pub fn time_of_day(at: Time, zone: &TimeZone) -> String {
    zoned(at, zone).strftime("%H:%M:%S").to_string()
}

fn zoned(at: Time, zone: &TimeZone) -> Zoned {
    // Times beyond the years that jiff knows only come from broken data; they show as 1970 rather than failing a page.
    Timestamp::from_microsecond(at.micros()).unwrap_or_default().to_zoned(zone.clone())
}

/// `1 charge`, `60,214 charges`; `many` is the plural.
pub fn counted(number: i64, one: &str, many: &str, figures: Figures) -> String {
    format!("{}\u{a0}{}", count(number, figures), if number == 1 { one } else { many })
}

/// The change from `before` to `now` in basis points; nothing where there was nothing before.
pub fn change_basis_points(before: i64, now: i64) -> Option<i64> {
    if before == 0 {
        return None;
    }
    let difference = i128::from(now) - i128::from(before);
    let basis_points = difference * 10_000 / i128::from(before).abs();
    Some(i64::try_from(basis_points).unwrap_or(if basis_points < 0 { i64::MIN } else { i64::MAX }))
}

/// The currency's sign where one is unmistakable, for the head of a large figure.
pub fn currency_sign(currency: Currency) -> Option<&'static str> {
    match currency.code() {
        "eur" => Some("€"),
        "gbp" => Some("£"),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_follow_the_person() {
        let check = |figures, text: &str| {
            assert_eq!(amount(Money::new(-123_456_789, Currency::USD), figures), text);
        };
        check(Figures::CommaPoint, "-1,234,567.89");
        check(Figures::PointComma, "-1.234.567,89");
        check(Figures::SpaceComma, "-1\u{202f}234\u{202f}567,89");
        check(Figures::ApostrophePoint, "-1’234’567.89");
    }

    #[test]
    fn sizes_and_short_counts() {
        let check = |size, text: &str| assert_eq!(bytes(size, Figures::CommaPoint).replace('\u{a0}', " "), text);
        check(0, "0 B");
        check(999, "999 B");
        check(1_000, "1 kB");
        check(1_450, "1.4 kB");
        check(123_456, "123 kB");
        check(999_999, "999 kB");
        check(1_000_000, "1 MB");
        check(u64::MAX, "18.4 EB");
        let check = |number, text: &str| assert_eq!(count_short(number, Figures::CommaPoint), text);
        check(0, "0");
        check(-999, "-999");
        check(1_500, "1.5k");
        check(123_456, "123k");
        check(-4_000_000, "-4M");
        check(i64::MAX, "9,223,372,036B");
    }

    #[test]
    fn ratios() {
        let check = |points, text: &str| assert_eq!(percent(points, Figures::CommaPoint), text);
        check(0, "0%");
        check(1_234, "12.34%");
        check(-1_230, "-12.3%");
        check(5, "0.05%");
        check(1_000_000, "10,000%");
        assert_eq!(change_basis_points(200, 250), Some(2_500));
        assert_eq!(change_basis_points(-200, -100), Some(5_000));
        assert_eq!(change_basis_points(0, 5), None);
        assert_eq!(change_basis_points(1, i64::MAX), Some(i64::MAX));
    }

    #[test]
    fn lengths_of_time() {
        let check = |millis, text: &str| {
            assert_eq!(duration(Duration::from_millis(millis)).replace('\u{a0}', " "), text);
        };
        check(0, "0 ms");
        check(850, "850 ms");
        check(14_999, "14 s");
        check(130_000, "2 min 10 s");
        check(11_100_000, "3 h 5 min");
        check(36 * 3_600_000, "36 h");
        check(4 * 86_400_000, "4 days");
    }

    #[test]
    fn distances_in_time() {
        let view = View::utc(Time::from_seconds(1_763_718_067));
        let check = |seconds: i64, text: &str| {
            let at = Time::from_seconds(1_763_718_067 + seconds);
            assert_eq!(relative(at, &view).replace('\u{a0}', " "), text, "{seconds}");
        };
        check(0, "just now");
        check(-14, "14 s ago");
        check(-61, "1 min ago");
        check(-7_300, "2 h ago");
        check(-90_000, "1 day ago");
        check(-86_400 * 29, "29 days ago");
        check(-86_400 * 40, "12 Oct 2025");
        check(200, "in 3 min");
        assert_eq!(exact(view.now, &view.zone), "21 Nov 2025, 09:41:07 UTC");
        assert_eq!(time_of_day(view.now, &view.zone), "09:41:07");
        assert_eq!(date(Time::from_micros(i64::MAX), &view.zone), "1 Jan 1970");
    }
}
