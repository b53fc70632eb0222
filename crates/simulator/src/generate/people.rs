//! The customers of the business and the cards they pay with.

use super::{Maker, catalogue::CURRENCIES};
use crate::{
    json::Pairs,
    resources::{
        Kind,
        cards::{self, Card},
        charge::CardShown,
        customer::{self, NewCustomer},
        payment_method::{self, NewCard},
    },
};

/// Cards that pay, by the currency of their owners.
const CARDS: [(&str, &str, &[&str]); 6] = [
    ("usd", "US", &["visa", "visa", "mastercard", "amex", "visa_debit", "discover"]),
    ("eur", "DE", &["de", "de", "mastercard", "mastercard_debit"]),
    ("gbp", "GB", &["gb", "gb", "mastercard"]),
    ("jpy", "JP", &["jp", "jcb", "jcb"]),
    ("cad", "CA", &["visa", "mastercard"]),
    ("aud", "AU", &["visa", "mastercard", "amex"]),
];
const FIRST: [&str; 20] = [
    "Ada", "Ben", "Chloé", "Daniel", "Elif", "Farah", "Goran", "Hana", "Ines", "Jonas", "Keiko", "Liam", "Maya",
    "Noor", "Olga", "Pablo", "Quinn", "Rosa", "Sven", "Tomas",
];
const LAST: [&str; 20] = [
    "Adler",
    "Baker",
    "Costa",
    "Dubois",
    "Evans",
    "Fischer",
    "Garcia",
    "Haddad",
    "Ito",
    "Jensen",
    "Kowalski",
    "Lindqvist",
    "Moreau",
    "Novak",
    "O'Brien",
    "Park",
    "Rossi",
    "Sato",
    "Tanaka",
    "Weber",
];
const REGIONS: [(&str, &str); 6] =
    [("usd", "americas"), ("eur", "emea"), ("gbp", "emea"), ("jpy", "apac"), ("cad", "americas"), ("aud", "apac")];

/// One customer to be.
pub(super) struct Person {
    pub(super) id: String,
    pub(super) method: String,
    pub(super) created: i64,
    pub(super) name: String,
    pub(super) email: String,
    pub(super) currency: &'static str,
    pub(super) country: &'static str,
    pub(super) region: &'static str,
    pub(super) invoice_prefix: String,
    pub(super) card: &'static Card,
    pub(super) fingerprint: String,
    expires: (i64, i64),
}

/// What subscribing did to a customer.
#[derive(Default)]
pub(super) struct History {
    pub(super) invoices: i64,
    pub(super) delinquent: bool,
    pub(super) plan: Option<&'static str>,
}

impl Person {
    pub(super) fn make(maker: &Maker<'_>, number: u32) -> Person {
        let mut share = maker.ids.below(CURRENCIES.iter().map(|(_, share)| share).sum());
        let mut currency = "usd";
        for (code, weight) in CURRENCIES {
            if share < weight {
                currency = code;
                break;
            }
            share -= weight;
        }
        let (_, country, words) = CARDS.iter().find(|(code, ..)| *code == currency).copied().unwrap_or(CARDS[0]);
        let region = REGIONS.iter().find(|(code, _)| *code == currency).map_or("americas", |(_, region)| region);
        let (first, last) = (*maker.pick(&FIRST), *maker.pick(&LAST));
        let card = cards::by_word(&format!("pm_card_{}", maker.pick(words))).unwrap_or(&cards::CARDS[0]);
        let letters = |text: &str| text.to_lowercase().replace('é', "e").replace('\'', "");
        let created = maker.growing(maker.start, maker.now);
        Person {
            id: maker.ids.at(created).new_id("cus_"),
            method: maker.ids.new_id("pm_"),
            created: maker.seasonal(created, maker.start),
            name: format!("{first} {last}"),
            email: format!("{}.{}{number}@customer.example", letters(first), letters(last)),
            currency,
            country,
            region,
            invoice_prefix: maker.ids.letters("", 8).to_uppercase(),
            fingerprint: card.fingerprint(),
            card,
            expires: (
                1 + i64::try_from(maker.ids.below(12)).unwrap_or(0),
                2_028 + i64::try_from(maker.ids.below(5)).unwrap_or(0),
            ),
        }
    }

    /// How the card shows.
    pub(super) fn shown(&self) -> CardShown<'_> {
        CardShown {
            brand: self.card.brand,
            last4: self.card.last4(),
            country: self.country,
            funding: self.card.funding,
            fingerprint: &self.fingerprint,
            exp_month: self.expires.0,
            exp_year: self.expires.1,
        }
    }
}

/// Writes the customer as it is now, and its card.
pub(super) fn write(maker: &mut Maker<'_>, person: &Person, history: &History) {
    let mut metadata = Pairs(vec![("region", person.region.to_owned())]);
    metadata.0.push(("lifecycle.stage", if history.plan.is_some() { "subscriber" } else { "buyer" }.to_owned()));
    if let Some(plan) = history.plan {
        metadata.0.push(("plan", plan.to_owned()));
    }
    let new = NewCustomer {
        id: &person.id,
        livemode: maker.book.livemode,
        created: person.created,
        name: Some(&person.name),
        email: Some(&person.email),
        description: None,
        country: Some(person.country),
        currency: (history.invoices > 0).then_some(person.currency),
        delinquent: history.delinquent,
        default_payment_method: Some(&person.method),
        invoice_prefix: &person.invoice_prefix,
        next_invoice_sequence: history.invoices + 1,
        metadata: &metadata,
    };
    let text = maker.book.put(Kind::Customer, customer::text(&new), person.created);
    maker.event("customer.created", person.created, &text);
    let card = payment_method::text(&NewCard {
        id: &person.method,
        livemode: maker.book.livemode,
        created: person.created,
        customer: Some(&person.id),
        name: Some(&person.name),
        email: Some(&person.email),
        country: Some(person.country),
        card: person.shown(),
        metadata: &Pairs::default(),
    });
    let card = maker.book.put(Kind::PaymentMethod, card, person.created);
    maker.event("payment_method.attached", person.created, &card);
}
