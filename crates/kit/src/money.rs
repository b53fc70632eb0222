//! Money: integers of minor units with a currency. Adding two currencies does not return.
//!
//! Exponents are Stripe's, not ISO 4217's: the amounts on the wire are in Stripe's minor units.
//! Source: FACTS section 4.

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::{fmt, str::FromStr};

/// A three-letter currency code in lower case, as Stripe writes it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Currency([u8; 3]);

/// What can go wrong with money.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MoneyError {
    /// Not three ASCII letters.
    #[error("`{0}` is not a currency code: three letters are expected, such as `usd`")]
    BadCurrency(String),
    /// Two amounts of different currencies met.
    #[error("an amount in {left} cannot be combined with one in {right}")]
    CurrencyMismatch {
        /// Currency of the left amount.
        left: Currency,
        /// Currency of the right amount.
        right: Currency,
    },
    /// The result does not fit 64 bits.
    #[error("the sum in {0} is too large to be represented")]
    Overflow(Currency),
    /// Stripe does not take this amount in this currency.
    #[error("{amount_minor} {currency} is not payable: it must be a multiple of {multiple}")]
    NotPayable {
        /// The amount refused, in minor units.
        amount_minor: i64,
        /// Its currency.
        currency: Currency,
        /// What it must be a multiple of.
        multiple: i64,
    },
}

impl Currency {
    /// United States dollar.
    pub const USD: Currency = Currency(*b"usd");
    /// Euro.
    pub const EUR: Currency = Currency(*b"eur");
    /// Pound sterling.
    pub const GBP: Currency = Currency(*b"gbp");
    /// Japanese yen, without minor units.
    pub const JPY: Currency = Currency(*b"jpy");

    /// The code in lower case.
    pub fn code(&self) -> &str {
        // Only ASCII letters are ever stored.
        std::str::from_utf8(&self.0).unwrap_or("???")
    }

    /// How many decimals Stripe's amounts in this currency have.
    ///
    /// UGX and ISK have none in ISO 4217, yet Stripe's amounts carry two that are always `00`.
    pub fn exponent(&self) -> u32 {
        match &self.0 {
            b"bif" | b"clp" | b"djf" | b"gnf" | b"jpy" | b"kmf" | b"krw" | b"mga" | b"pyg" | b"rwf" | b"vnd"
            | b"vuv" | b"xaf" | b"xof" | b"xpf" => 0,
            b"bhd" | b"jod" | b"kwd" | b"omr" | b"tnd" => 3,
            _ => 2,
        }
    }

    /// What the amount of a charge must be a multiple of.
    pub fn charge_multiple(&self) -> i64 {
        match &self.0 {
            b"ugx" | b"isk" => 100,
            b"bhd" | b"jod" | b"kwd" | b"omr" | b"tnd" => 10,
            _ => 1,
        }
    }

    /// What the amount of a payout must be a multiple of.
    pub fn payout_multiple(&self) -> i64 {
        match &self.0 {
            b"huf" | b"twd" => 100,
            _ => self.charge_multiple(),
        }
    }

    /// Minor units in one unit: 100 for dollars, 1 for yen.
    pub fn minor_units(&self) -> i64 {
        10_i64.pow(self.exponent())
    }
}

impl FromStr for Currency {
    type Err = MoneyError;
    fn from_str(text: &str) -> Result<Currency, MoneyError> {
        match text.as_bytes() {
            [a, b, c] if [a, b, c].iter().all(|letter| letter.is_ascii_alphabetic()) => {
                Ok(Currency([a.to_ascii_lowercase(), b.to_ascii_lowercase(), c.to_ascii_lowercase()]))
            }
            _ => Err(MoneyError::BadCurrency(text.chars().take(16).collect())),
        }
    }
}

/// Upper case, as people write it.
impl fmt::Display for Currency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for letter in self.0 {
            write!(f, "{}", letter.to_ascii_uppercase() as char)?;
        }
        Ok(())
    }
}

impl fmt::Debug for Currency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.code())
    }
}

impl Serialize for Currency {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.code())
    }
}

impl<'de> Deserialize<'de> for Currency {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Currency, D::Error> {
        let text = <std::borrow::Cow<'de, str>>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

/// An amount of minor units in one currency. It has no `Add`: two currencies must not meet unseen.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Money {
    /// Amount in the currency's minor units, as Stripe counts them.
    pub amount_minor: i64,
    /// Its currency.
    pub currency: Currency,
}

impl Money {
    /// An amount of minor units.
    pub const fn new(amount_minor: i64, currency: Currency) -> Money {
        Money { amount_minor, currency }
    }

    /// Nothing, in a currency.
    pub const fn zero(currency: Currency) -> Money {
        Money::new(0, currency)
    }

    /// The sum, if both are of one currency and it fits.
    pub fn checked_add(self, other: Money) -> Result<Money, MoneyError> {
        if self.currency != other.currency {
            return Err(MoneyError::CurrencyMismatch { left: self.currency, right: other.currency });
        }
        let amount_minor =
            self.amount_minor.checked_add(other.amount_minor).ok_or(MoneyError::Overflow(self.currency))?;
        Ok(Money { amount_minor, ..self })
    }

    /// The difference, if both are of one currency and it fits.
    pub fn checked_sub(self, other: Money) -> Result<Money, MoneyError> {
        let negated = other.amount_minor.checked_neg().ok_or(MoneyError::Overflow(other.currency))?;
        self.checked_add(Money { amount_minor: negated, ..other })
    }

    /// Refuses an amount that Stripe would not charge in this currency (three-decimal and always-`00` currencies).
    pub fn chargeable(self) -> Result<Money, MoneyError> {
        let multiple = self.currency.charge_multiple();
        match self.amount_minor % multiple {
            0 => Ok(self),
            _ => Err(MoneyError::NotPayable { amount_minor: self.amount_minor, currency: self.currency, multiple }),
        }
    }
}

/// `1,234.50 USD`: grouped thousands, the currency's own decimals.
impl fmt::Display for Money {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", format_minor(self.amount_minor, self.currency), self.currency)
    }
}

impl fmt::Debug for Money {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// The number alone, with grouped thousands and the currency's decimals: `-1,234.50`.
pub fn format_minor(amount_minor: i64, currency: Currency) -> String {
    let unit = currency.minor_units().unsigned_abs();
    let magnitude = amount_minor.unsigned_abs();
    let sign = if amount_minor < 0 { "-" } else { "" };
    let whole = group_thousands(magnitude / unit);
    match currency.exponent() as usize {
        0 => format!("{sign}{whole}"),
        decimals => format!("{sign}{whole}.{:0decimals$}", magnitude % unit),
    }
}

/// `1234567` as `1,234,567`.
pub fn group_thousands(number: u64) -> String {
    let digits = number.to_string();
    let mut grouped = String::with_capacity(digits.len() + digits.len() / 3);
    for (position, digit) in digits.chars().enumerate() {
        if position > 0 && (digits.len() - position).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    grouped
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn currency(code: &str) -> Currency {
        code.parse().unwrap()
    }

    #[test]
    fn amounts_are_written_with_stripes_exponents() {
        let check = |amount_minor, code: &str, text: &str| {
            assert_eq!(Money::new(amount_minor, currency(code)).to_string(), text);
        };
        check(0, "usd", "0.00 USD");
        check(5, "usd", "0.05 USD");
        check(-123_450, "eur", "-1,234.50 EUR");
        check(1_234_567, "jpy", "1,234,567 JPY");
        check(1_234_560, "kwd", "1,234.560 KWD");
        check(500, "ugx", "5.00 UGX"); // FACTS 4: two decimals that are always 00
        check(500, "isk", "5.00 ISK");
        check(i64::MIN, "usd", "-92,233,720,368,547,758.08 USD");
    }

    #[test]
    fn currencies_never_mix_and_sums_never_wrap() {
        let dollars = Money::new(100, Currency::USD);
        assert_eq!(dollars.checked_add(Money::new(23, Currency::USD)), Ok(Money::new(123, Currency::USD)));
        assert!(matches!(dollars.checked_add(Money::zero(Currency::EUR)), Err(MoneyError::CurrencyMismatch { .. })));
        assert!(matches!(Money::new(i64::MAX, Currency::USD).checked_add(dollars), Err(MoneyError::Overflow(_))));
        assert!(matches!(dollars.checked_sub(Money::new(i64::MIN, Currency::USD)), Err(MoneyError::Overflow(_))));
    }

    #[test]
    fn what_stripe_does_not_charge_is_refused() {
        assert!(Money::new(1_235, currency("kwd")).chargeable().is_err());
        assert!(Money::new(1_230, currency("kwd")).chargeable().is_ok());
        assert!(Money::new(550, currency("ugx")).chargeable().is_err());
        assert_eq!(currency("huf").payout_multiple(), 100);
        assert_eq!(currency("huf").charge_multiple(), 1);
    }

    #[test]
    fn bad_codes_are_named() {
        for bad in ["", "us", "usdc", "u$d", "ÉÉ"] {
            assert!(bad.parse::<Currency>().is_err(), "{bad}");
        }
        assert_eq!(currency("UsD"), Currency::USD);
    }

    proptest! {
        #[test]
        fn adding_and_taking_away_is_exact(a in -1_000_000_000_000_i64..1_000_000_000_000, b in -1_000_000_000_000_i64..1_000_000_000_000) {
            let (left, right) = (Money::new(a, Currency::EUR), Money::new(b, Currency::EUR));
            prop_assert_eq!(left.checked_add(right).unwrap().checked_sub(right).unwrap(), left);
        }
    }
}
