//! Whether a converted amount is what the balance transaction's own exchange rate gives. Exact: no floats.

use kit::Currency;

/// A rate as written, `0.853211` being 853211 with six decimals.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Rate {
    digits: i128,
    decimals: u32,
}

/// Most decimals of a rate that are read; of a float's rendering no more mean anything.
const MOST_DECIMALS: usize = 18;
/// Decimals that a rate has at least: zeros at its end are not written.
const LEAST_DECIMALS: u32 = 6;

impl Rate {
    /// Reads `1.08`, `0.0065` and `8.5e-05`.
    fn parse(text: &str) -> Option<Rate> {
        let (mantissa, exponent) = text.split_once(['e', 'E']).unwrap_or((text, "0"));
        let exponent: i32 = exponent.parse().ok()?;
        let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
        let fraction = fraction.get(..fraction.len().min(MOST_DECIMALS))?;
        let digits: i128 = format!("{whole}{fraction}").parse().ok()?;
        let decimals = i32::try_from(fraction.len()).ok()?.checked_sub(exponent)?;
        let least = i32::try_from(LEAST_DECIMALS).ok()?;
        let missing = u32::try_from(least.checked_sub(decimals)?.max(0)).ok()?;
        let digits = digits.checked_mul(10_i128.checked_pow(missing)?)?;
        Some(Rate { digits, decimals: u32::try_from(decimals.max(least)).ok().filter(|decimals| *decimals <= 28)? })
    }

    /// Whether `from × rate` is `to`, up to one minor unit and what half of the rate's last digit makes of it. `shift`
    /// decimals are added on the way from one currency's minor unit to the other's.
    fn gives(self, from_minor: i64, to_minor: i64, shift: i32) -> Option<bool> {
        // from × digits × 10^shift ≈ to × 10^decimals, all of it doubled for the half.
        let up = 10_i128.checked_pow(shift.max(0).unsigned_abs())?;
        let down =
            10_i128.checked_pow(shift.min(0).unsigned_abs())?.checked_mul(10_i128.checked_pow(self.decimals)?)?;
        let product = i128::from(from_minor).checked_mul(self.digits)?.checked_mul(up)?;
        let off = product.checked_sub(i128::from(to_minor).checked_mul(down)?)?.checked_abs()?.checked_mul(2)?;
        let allowed = i128::from(from_minor.unsigned_abs()).checked_mul(up)?.checked_add(down.checked_mul(2)?)?;
        Some(off <= allowed)
    }
}

/// Whether `to_minor` is what the rate makes of `from_minor`. A missing or unreadable rate proves nothing and is `false`.
///
/// Stripe's rates are between the currencies themselves; where the two have different decimals some are between minor
/// units, so both are taken.
pub fn agrees(from_minor: i64, from: Currency, to_minor: i64, to: Currency, rate: Option<&str>) -> bool {
    let Some(rate) = rate.and_then(Rate::parse) else { return false };
    let shift = i32::try_from(to.exponent()).unwrap_or(0) - i32::try_from(from.exponent()).unwrap_or(0);
    [shift, 0].into_iter().any(|shift| rate.gives(from_minor, to_minor, shift) == Some(true))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn conversions_are_proved_by_their_own_rate() {
        let check = |from_minor, from: &str, to_minor, to: &str, rate: &str, expected: bool| {
            let (from, to) = (from.parse().unwrap(), to.parse().unwrap());
            assert_eq!(
                agrees(from_minor, from, to_minor, to, Some(rate)),
                expected,
                "{from_minor} {from} {to_minor} {to} {rate}"
            );
        };
        check(1_000, "eur", 1_080, "usd", "1.08", true);
        check(-1_000, "eur", -1_080, "usd", "1.08", true);
        check(1_000, "eur", 1_081, "usd", "1.08", true);
        check(1_000, "eur", 1_082, "usd", "1.08", false);
        check(1_000, "eur", 1_090, "usd", "1.08", false);
        check(1_000, "eur", -1_080, "usd", "1.08", false);
        check(333, "eur", 360, "usd", "1.08123", true);
        check(10_000, "jpy", 6_512, "usd", "0.0065123", true);
        check(10_000, "jpy", 6_512, "usd", "0.65123", true);
        check(6_500, "usd", 10_000, "jpy", "153.846153846154", true);
        check(100_000_000, "idr", 610_000, "usd", "6.1e-03", true);
        check(100_000_000, "idr", 620_000, "usd", "6.1e-05", false);
        check(99_999_999, "eur", 107_999_999, "usd", "1.08", true);
        check(99_999_999, "eur", 109_000_000, "usd", "1.08", false);
        check(1_000, "eur", 1_080, "usd", "much", false);
        assert!(!agrees(1, Currency::EUR, 1, Currency::USD, None));
    }
}
