//! What a payment costs and what arrives: fees, conversion and shares, in integers with one rounding rule.

/// How the simulated account takes a currency.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Terms {
    /// The currency the money arrives in.
    pub(crate) settles_in: &'static str,
    /// Millionths of a settled minor unit for one presented minor unit; none without conversion.
    pub(crate) rate_millionths: Option<i64>,
    /// Share of the settled amount taken as a fee, in hundredths of a percent.
    pub(crate) fee_basis_points: i64,
    /// Fixed part of the fee, in settled minor units.
    pub(crate) fee_fixed_minor: i64,
    /// Smallest amount that can be charged, in presented minor units.
    pub(crate) least_minor: i64,
}

/// The currencies that the simulated account takes; the first four have bank accounts of their own.
const CURRENCIES: [(&str, Terms); 16] = [
    ("usd", own("usd", 290, 30, 50)),
    ("eur", own("eur", 150, 25, 50)),
    ("gbp", own("gbp", 150, 20, 30)),
    ("jpy", own("jpy", 360, 0, 50)),
    ("cad", converted(731_250, 50)),
    ("aud", converted(655_400, 50)),
    ("nzd", converted(601_130, 50)),
    ("chf", converted(1_128_900, 50)),
    ("sek", converted(95_210, 300)),
    ("nok", converted(93_480, 300)),
    ("dkk", converted(145_700, 250)),
    ("pln", converted(251_900, 200)),
    ("sgd", converted(744_600, 50)),
    ("hkd", converted(128_100, 400)),
    ("mxn", converted(57_310, 1_000)),
    ("brl", converted(183_200, 50)),
];

const fn own(code: &'static str, fee_basis_points: i64, fee_fixed_minor: i64, least_minor: i64) -> Terms {
    Terms { settles_in: code, rate_millionths: None, fee_basis_points, fee_fixed_minor, least_minor }
}

/// Converted payments cost one more percent.
const fn converted(rate_millionths: i64, least_minor: i64) -> Terms {
    Terms {
        settles_in: "usd",
        rate_millionths: Some(rate_millionths),
        fee_basis_points: 390,
        fee_fixed_minor: 30,
        least_minor,
    }
}

/// The terms for a currency, or nothing if the simulated account does not take it.
pub(crate) fn terms(currency: &str) -> Option<Terms> {
    CURRENCIES.iter().find(|(code, _)| *code == currency).map(|(_, terms)| *terms)
}

/// The currencies with a bank account of their own, for payouts.
pub(crate) fn settled_currencies() -> impl Iterator<Item = &'static str> {
    CURRENCIES.iter().filter(|(_, terms)| terms.rate_millionths.is_none()).map(|(code, _)| *code)
}

/// `amount * numerator / denominator`, rounded half away from zero: the one place where the simulator rounds money.
pub(crate) fn share(amount_minor: i64, numerator: i64, denominator: i64) -> i64 {
    let product = i128::from(amount_minor) * i128::from(numerator);
    let denominator = i128::from(denominator.max(1));
    let half = denominator / 2;
    let rounded = if product >= 0 { (product + half) / denominator } else { (product - half) / denominator };
    i64::try_from(rounded).unwrap_or(i64::MAX)
}

impl Terms {
    /// What arrives of an amount, before fees.
    pub(crate) fn settled(&self, amount_minor: i64) -> i64 {
        match self.rate_millionths {
            Some(rate) => share(amount_minor, rate, 1_000_000),
            None => amount_minor,
        }
    }

    /// The fee for a settled amount.
    pub(crate) fn fee(&self, settled_minor: i64) -> i64 {
        (share(settled_minor, self.fee_basis_points, 10_000) + self.fee_fixed_minor).min(settled_minor)
    }

    /// The rate as Stripe writes it: a JSON number with its decimals.
    pub(crate) fn rate_text(&self) -> Option<String> {
        self.rate_millionths
            .map(|rate| format!("{}.{:06}", rate / 1_000_000, rate % 1_000_000).trim_end_matches('0').to_owned())
    }

    /// What is taken back when `now_refunded` of `amount` has been refunded in all and `before` of it earlier: refunds
    /// of a converted charge add up to what arrived, to the cent.
    pub(crate) fn taken_back(&self, amount_minor: i64, before_minor: i64, refunded_minor: i64) -> i64 {
        let settled = self.settled(amount_minor);
        share(settled, before_minor + refunded_minor, amount_minor) - share(settled, before_minor, amount_minor)
    }
}

/// What a dispute costs, in settled minor units.
pub(crate) fn dispute_fee(settled_currency: &str) -> i64 {
    match settled_currency {
        "jpy" => 1_300,
        "usd" => 1_500,
        _ => 2_000,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fees_and_conversion_round_once_and_add_up() {
        let check = |currency: &str, amount: i64, settled: i64, fee: i64| {
            let terms = terms(currency).unwrap();
            assert_eq!(
                (terms.settled(amount), terms.fee(terms.settled(amount))),
                (settled, fee),
                "{amount} {currency}"
            );
        };
        check("usd", 2_000, 2_000, 88);
        check("usd", 20, 20, 20);
        check("eur", 1_000, 1_000, 40);
        check("jpy", 1_000, 1_000, 36);
        check("cad", 1_000, 731, 59);
        assert_eq!(terms("cad").unwrap().rate_text().as_deref(), Some("0.73125"));
        assert_eq!(terms("usd").unwrap().rate_text(), None);
        assert!(terms("xyz").is_none());
    }

    #[test]
    fn partial_refunds_of_a_converted_charge_take_back_exactly_what_arrived() {
        let terms = terms("cad").unwrap();
        for amount in [999_i64, 1_000, 12_345] {
            let mut taken = 0;
            let mut refunded = 0;
            while refunded < amount {
                let part = (amount / 7 + 1).min(amount - refunded);
                taken += terms.taken_back(amount, refunded, part);
                refunded += part;
            }
            assert_eq!(taken, terms.settled(amount));
        }
    }
}
