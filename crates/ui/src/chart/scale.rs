//! From values to places: nice ticks, heights, and what stands on an axis. Pure functions.

use crate::{view::Figures, words};
use kit::{Currency, Money};

/// What a chart's whole numbers count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    /// Minor units of one currency.
    Money(Currency),
    /// Things.
    Count,
    /// Hundredths of a percent.
    BasisPoints,
    /// Thousandths of a second.
    Milliseconds,
    /// Bytes.
    Bytes,
}

impl Unit {
    /// A value in full, as in a table: `1,234.50`, `12.3%`.
    pub fn write(self, value: i64, figures: Figures) -> String {
        match self {
            Unit::Money(currency) => words::amount(Money::new(value, currency), figures),
            Unit::Count => words::count(value, figures),
            Unit::BasisPoints => words::percent(value, figures),
            Unit::Milliseconds => format!("{}\u{a0}ms", words::count(value, figures)),
            Unit::Bytes => words::bytes(u64::try_from(value).unwrap_or(0), figures),
        }
    }

    /// A value with its currency, for where no head names it.
    pub fn write_named(self, value: i64, figures: Figures) -> String {
        match self {
            Unit::Money(currency) => words::money(Money::new(value, currency), figures),
            other => other.write(value, figures),
        }
    }

    /// What stands once beside the title: the currency.
    pub fn name(self) -> Option<String> {
        match self {
            Unit::Money(currency) => Some(currency.to_string()),
            Unit::Count | Unit::BasisPoints | Unit::Milliseconds | Unit::Bytes => None,
        }
    }

    /// How many of the chart's numbers make one whole unit: 100 for dollars, 1 for yen and things.
    fn whole(self) -> i64 {
        match self {
            Unit::Money(currency) => currency.minor_units(),
            Unit::BasisPoints => 100,
            Unit::Count | Unit::Milliseconds | Unit::Bytes => 1,
        }
    }

    /// A tick's words: short where it may be, in full where the step needs decimals.
    fn tick(self, value: i64, scale: &Scale, figures: Figures) -> String {
        let whole = self.whole();
        match self {
            Unit::BasisPoints | Unit::Bytes => self.write(value, figures),
            _ if scale.step % whole != 0 => self.write(value, figures),
            _ => {
                let short = short_whole(value / whole, scale.step / whole, scale.largest() / whole, figures);
                if self == Unit::Milliseconds { format!("{short}\u{a0}ms") } else { short }
            }
        }
    }
}

/// All of one axis in one form: thousands from 10,000 on, millions from a million on, one decimal if the step needs it.
fn short_whole(value: i64, step: i64, largest: i64, figures: Figures) -> String {
    let (divisor, suffix) = match largest {
        1_000_000_000.. if step % 100_000_000 == 0 => (1_000_000_000, "B"),
        1_000_000.. if step % 100_000 == 0 => (1_000_000, "M"),
        10_000.. if step % 100 == 0 => (1_000, "k"),
        _ => return words::count(value, figures),
    };
    if value == 0 {
        return "0".to_owned();
    }
    let decimals = if step % divisor == 0 {
        String::new()
    } else {
        format!(".{}", value.unsigned_abs() % divisor.unsigned_abs() * 10 / divisor.unsigned_abs())
    };
    let sign = if value < 0 { "-" } else { "" };
    let digits = kit::money::group_thousands(value.unsigned_abs() / divisor.unsigned_abs());
    format!("{sign}{}{suffix}", figures.rewrite(&format!("{digits}{decimals}")))
}

/// One axis: its ends are ticks, zero is one of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Scale {
    /// Distance of two ticks.
    pub step: i64,
    /// The ticks, lowest first.
    pub ticks: Vec<i64>,
}

impl Scale {
    /// An axis that holds zero and everything from `low` to `high` with at most `intervals` + 2 nice steps.
    ///
    /// Steps are 1, 2 or 5 times a power of ten, so that they are whole units of money as soon as they reach one.
    pub fn new(low: i64, high: i64, unit: Unit, intervals: u32) -> Scale {
        Scale::between(low.min(0), high.max(0), unit, intervals)
    }

    /// An axis that holds everything from `low` to `high` but not necessarily zero, for rates that move little.
    pub fn between(low: i64, high: i64, unit: Unit, intervals: u32) -> Scale {
        let (low, high) = (i128::from(low.min(high)), i128::from(high));
        // One value alone, or nothing at all: one unit, so that the line has somewhere to stand.
        let step = if low == high {
            i128::from(unit.whole())
        } else {
            nice_at_least(ceil_div(high - low, i128::from(intervals.max(1))))
        };
        let first = low.div_euclid(step);
        let last = ceil_div(high, step).max(first + 1);
        // A step or an end beyond 64 bits only comes from amounts near the type's own end: the axis then stops there.
        let fit = |number: i128| i64::try_from(number).unwrap_or(if number < 0 { i64::MIN } else { i64::MAX });
        Scale { step: fit(step), ticks: (first..=last).map(|index| fit(index * step)).collect() }
    }

    /// Height of a value above the axis' lower end, from 0 to 1. Values outside stand at the ends.
    pub fn share(&self, value: i64) -> f64 {
        let (low, high) = (self.lowest() as f64, self.highest() as f64);
        if high <= low {
            return 0.0;
        }
        ((value as f64 - low) / (high - low)).clamp(0.0, 1.0)
    }

    /// What stands at a tick.
    pub fn label(&self, tick: i64, unit: Unit, figures: Figures) -> String {
        unit.tick(tick, self, figures)
    }

    fn lowest(&self) -> i64 {
        self.ticks.first().copied().unwrap_or(0)
    }

    fn highest(&self) -> i64 {
        self.ticks.last().copied().unwrap_or(0)
    }

    fn largest(&self) -> i64 {
        self.highest().saturating_abs().max(self.lowest().saturating_abs())
    }
}

/// `number / by` rounded up, for `by` above zero.
fn ceil_div(number: i128, by: i128) -> i128 {
    -(-number).div_euclid(by)
}

/// The smallest of 1, 2, 5, 10, 20, 50 … that is not below `wanted`.
fn nice_at_least(wanted: i128) -> i128 {
    let mut power = 1;
    loop {
        for step in [power, 2 * power, 5 * power] {
            if step >= wanted {
                return step;
            }
        }
        power *= 10;
    }
}

/// Which of `count` periods are named under the axis: the ends, and a few between them at equal distances.
pub fn named_periods(count: usize, most: usize) -> Vec<usize> {
    if count == 0 {
        return Vec::new();
    }
    let last = count - 1;
    let gaps = most.saturating_sub(1).min(last).max(1);
    let mut named: Vec<usize> = (0..=gaps).map(|index| (index * last + gaps / 2) / gaps).collect();
    named.dedup();
    named
}

/// Pushes labels apart until none is nearer than `distance` to the next, within `low..=high`, in their given order
/// of height. Returns the places in the order given.
pub fn spread(places: &[f64], distance: f64, low: f64, high: f64) -> Vec<f64> {
    let mut order: Vec<usize> = (0..places.len()).collect();
    order.sort_by(|a, b| places[*a].total_cmp(&places[*b]));
    let mut spread = places.to_vec();
    let mut floor = low;
    for index in &order {
        spread[*index] = spread[*index].max(floor);
        floor = spread[*index] + distance;
    }
    let mut ceiling = high;
    for index in order.iter().rev() {
        spread[*index] = spread[*index].min(ceiling);
        ceiling = spread[*index] - distance;
    }
    spread
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn axes_have_nice_ends_in_the_units_of_money() {
        let usd = Unit::Money(Currency::USD);
        let jpy = Unit::Money(Currency::JPY);
        let kwd = Unit::Money("kwd".parse().unwrap());
        let check = |low, high, unit: Unit, labels: &[&str]| {
            let scale = Scale::new(low, high, unit, 4);
            let written: Vec<String> = scale
                .ticks
                .iter()
                .map(|tick| scale.label(*tick, unit, Figures::CommaPoint).replace('\u{a0}', " "))
                .collect();
            assert_eq!(written, labels, "{low}..{high} {unit:?}");
            assert!(scale.ticks.contains(&0));
            assert_eq!(scale.share(scale.ticks[0]), 0.0);
            assert_eq!(scale.share(*scale.ticks.last().unwrap()), 1.0);
        };
        check(0, 0, usd, &["0", "1"]);
        check(0, 3, usd, &["0.00", "0.01", "0.02", "0.03"]);
        check(0, 99, usd, &["0.00", "0.50", "1.00"]);
        check(0, 399, usd, &["0", "1", "2", "3", "4"]);
        check(0, 123_456, usd, &["0", "500", "1,000", "1,500"]);
        check(0, 4_200_000, usd, &["0", "20k", "40k", "60k"]);
        check(0, 6_000_000, usd, &["0", "20k", "40k", "60k"]);
        check(0, 110_000_000, usd, &["0", "0.5M", "1.0M", "1.5M"]);
        check(-50_000, 123_456, usd, &["-500", "0", "500", "1,000", "1,500"]);
        check(-123_456, 0, usd, &["-1,500", "-1,000", "-500", "0"]);
        check(0, 123_456, jpy, &["0", "50k", "100k", "150k"]);
        check(0, 9, jpy, &["0", "5", "10"]);
        check(0, 4_000, kwd, &["0", "1", "2", "3", "4"]);
        check(0, 1_500, kwd, &["0.000", "0.500", "1.000", "1.500"]);
        check(0, 10_000, Unit::BasisPoints, &["0%", "50%", "100%"]);
        check(0, 420, Unit::BasisPoints, &["0%", "2%", "4%", "6%"]);
        check(0, 60_214, Unit::Count, &["0", "20k", "40k", "60k", "80k"]);
        check(0, 180, Unit::Milliseconds, &["0 ms", "50 ms", "100 ms", "150 ms", "200 ms"]);
        check(0, 3_000_000, Unit::Bytes, &["0 B", "1 MB", "2 MB", "3 MB"]);
    }

    #[test]
    fn an_axis_without_zero_still_ends_at_ticks() {
        let check = |low, high, ticks: &[i64]| {
            assert_eq!(Scale::between(low, high, Unit::BasisPoints, 4).ticks, ticks, "{low}..{high}");
        };
        check(9_310, 9_480, &[9_300, 9_350, 9_400, 9_450, 9_500]);
        check(9_300, 9_300, &[9_300, 9_400]);
        check(-250, -130, &[-250, -200, -150, -100]);
        check(5, 1, &[0, 100]);
    }

    #[test]
    fn amounts_at_the_types_end_still_have_an_axis() {
        let scale = Scale::new(i64::MIN, i64::MAX, Unit::Money(Currency::USD), 4);
        assert!(scale.ticks.len() <= 6, "{:?}", scale.ticks);
        for value in [i64::MIN, -1, 0, 1, i64::MAX] {
            assert!((0.0..=1.0).contains(&scale.share(value)));
        }
    }

    #[test]
    fn the_ends_are_always_named() {
        let check = |count, named: &[usize]| assert_eq!(named_periods(count, 5), named);
        check(0, &[]);
        check(1, &[0]);
        check(2, &[0, 1]);
        check(5, &[0, 1, 2, 3, 4]);
        check(30, &[0, 7, 15, 22, 29]);
        check(365, &[0, 91, 182, 273, 364]);
    }

    #[test]
    fn labels_do_not_cover_one_another() {
        assert_eq!(spread(&[10.0, 12.0, 50.0], 14.0, 0.0, 100.0), [10.0, 24.0, 50.0]);
        assert_eq!(spread(&[99.0, 98.0], 14.0, 0.0, 100.0), [100.0, 86.0]);
        assert_eq!(spread(&[], 14.0, 0.0, 100.0), [0.0; 0]);
    }
}
