//! What the business sells: three plans by the month and by the year in each currency, and packs bought once.

use super::Maker;
use crate::{
    json::Pairs,
    resources::{
        Kind,
        price::{self, NewPrice, Recurring},
        product::{self, NewProduct},
    },
};

/// Currencies with their share of customers, in hundredths; the last two are converted into dollars.
pub(super) const CURRENCIES: [(&str, u64); 6] =
    [("usd", 48), ("eur", 22), ("gbp", 12), ("jpy", 6), ("cad", 7), ("aud", 5)];

/// A plan: word, name, monthly price in each currency, in minor units.
const PLANS: [(&str, &str, [i64; 6]); 3] = [
    ("starter", "Starter", [1_900, 1_800, 1_500, 2_800, 2_500, 2_900]),
    ("team", "Team", [4_900, 4_500, 3_900, 7_200, 6_500, 7_500]),
    ("scale", "Scale", [14_900, 13_900, 11_900, 22_000, 19_900, 22_900]),
];

/// What can be bought once, in each currency.
pub(super) const PACKS: [(&str, [i64; 6]); 5] = [
    ("credits-small", [900, 900, 800, 1_300, 1_200, 1_400]),
    ("credits-large", [4_500, 4_200, 3_600, 6_600, 6_000, 6_900]),
    ("onboarding", [29_900, 27_900, 23_900, 44_000, 39_900, 45_900]),
    ("training", [12_500, 11_500, 9_900, 18_000, 16_900, 18_900]),
    ("export", [2_400, 2_200, 1_900, 3_500, 3_200, 3_600]),
];

/// A recurring price, with the texts that subscription items hold.
pub(super) struct PlanPrice {
    pub(super) word: &'static str,
    pub(super) name: &'static str,
    pub(super) currency: &'static str,
    pub(super) interval: &'static str,
    pub(super) amount: i64,
    pub(super) id: String,
    pub(super) product: String,
    pub(super) price_text: String,
    pub(super) plan_text: String,
}

/// All recurring prices.
pub(super) struct Catalogue {
    pub(super) prices: Vec<PlanPrice>,
}

impl Catalogue {
    /// Makes products and prices, an hour before the first customer.
    pub(super) fn make(maker: &mut Maker<'_>) -> Catalogue {
        let created = maker.start - 3_600;
        let mut prices = Vec::new();
        for (word, name, amounts) in PLANS {
            let product = make_product(maker, created, word, name);
            for ((currency, _), monthly) in CURRENCIES.iter().zip(amounts) {
                for (interval, amount) in [("month", monthly), ("year", monthly * 10)] {
                    prices.push(make_price(maker, created, &product, (word, name), currency, Some(interval), amount));
                }
            }
        }
        for (word, amounts) in PACKS {
            let product = make_product(maker, created, word, word);
            for ((currency, _), amount) in CURRENCIES.iter().zip(amounts) {
                make_price(maker, created, &product, (word, word), currency, None, amount);
            }
        }
        Catalogue { prices }
    }

    /// The price of a plan.
    pub(super) fn price(&self, plan: usize, currency: &str, interval: &str) -> &PlanPrice {
        let word = PLANS[plan % PLANS.len()].0;
        let found = self
            .prices
            .iter()
            .find(|price| price.word == word && price.currency == currency && price.interval == interval);
        found.unwrap_or(&self.prices[0])
    }
}

fn make_product(maker: &mut Maker<'_>, created: i64, word: &'static str, name: &str) -> String {
    let id = maker.ids.at(created).new_id("prod_");
    let metadata = Pairs(vec![("plan", word.to_owned())]);
    let new =
        NewProduct { id: &id, livemode: maker.book.livemode, created, name, description: None, metadata: &metadata };
    maker.book.put(Kind::Product, product::text(&new), created);
    id
}

fn make_price(
    maker: &mut Maker<'_>,
    created: i64,
    product: &str,
    (word, name): (&'static str, &'static str),
    currency: &'static str,
    interval: Option<&'static str>,
    amount: i64,
) -> PlanPrice {
    let id = maker.ids.at(created).new_id("price_");
    let lookup_key = format!("{word}_{currency}_{}", interval.unwrap_or("once"));
    let decimal = amount.to_string();
    let metadata = Pairs(vec![("plan", word.to_owned())]);
    let new = NewPrice {
        id: &id,
        livemode: maker.book.livemode,
        created,
        product,
        currency,
        unit_amount: Some(amount),
        unit_amount_decimal: &decimal,
        recurring: interval.map(|interval| Recurring { interval, count: 1 }),
        nickname: None,
        // A second business in the same account would meet the keys of the first.
        lookup_key: maker
            .book
            .table(Kind::Price)
            .with("lookup_key", &lookup_key)
            .is_empty()
            .then_some(lookup_key.as_str()),
        metadata: &metadata,
    };
    let (price_text, plan_text) = (price::text(&new), price::plan_text(&new));
    maker.book.put(Kind::Price, price_text.as_str(), created);
    PlanPrice {
        word,
        name,
        currency,
        interval: interval.unwrap_or("month"),
        amount,
        id,
        product: product.to_owned(),
        price_text,
        plan_text,
    }
}
