//! Payment methods: cards made from test words and numbers, attached to customers.

use super::{Call, Endpoint, Kind, Resource, Verb, cards, charge::CardShown, get, post, simple};
use crate::{
    book::Book,
    json::{Json, json_text},
    problem::Refusal,
    table::{Facet, Query, Test},
    work::{Work, int_of, parse, text_of},
};
use serde_json::Value;
use std::sync::Arc;

pub(crate) static RESOURCE: Resource = Resource {
    kind: Kind::PaymentMethod,
    object: "payment_method",
    facets: &[Facet::id("customer"), Facet::word("type")],
    expands: &["customer"],
    search: None,
    endpoints: &ENDPOINTS,
};

const DETAILS: &str = "billing_details[email]:text billing_details[name]:text billing_details[phone]:text \
    billing_details[address][city]:text billing_details[address][country]:text billing_details[address][line1]:text \
    billing_details[address][line2]:text billing_details[address][postal_code]:text billing_details[address][state]:text \
    metadata:metadata allow_redisplay:one(always|limited|unspecified) card[exp_month]:int card[exp_year]:int";

static ENDPOINTS: [Endpoint; 6] = [
    get("/v1/payment_methods", "customer:text type:text", "payment_method", Verb::List(Kind::PaymentMethod, simple)),
    get("/v1/payment_methods/{id}", "", "payment_method", Verb::Retrieve(Kind::PaymentMethod)),
    post("/v1/payment_methods", CREATE, "payment_method", create),
    post("/v1/payment_methods/{id}", DETAILS, "payment_method", update),
    post("/v1/payment_methods/{id}/attach", "customer:text!", "payment_method", attach),
    post("/v1/payment_methods/{id}/detach", "", "payment_method", detach),
];

const CREATE: &str = "type:one(card)! card[number]:text card[cvc]:text card[token]:text card[exp_month]:int card[exp_year]:int \
    billing_details[email]:text billing_details[name]:text billing_details[phone]:text \
    billing_details[address][city]:text billing_details[address][country]:text billing_details[address][line1]:text \
    billing_details[address][line2]:text billing_details[address][postal_code]:text billing_details[address][state]:text \
    metadata:metadata allow_redisplay:one(always|limited|unspecified)";

/// What a card payment method is made from.
pub(crate) struct NewCard<'a> {
    pub(crate) id: &'a str,
    pub(crate) livemode: bool,
    pub(crate) created: i64,
    pub(crate) customer: Option<&'a str>,
    pub(crate) name: Option<&'a str>,
    pub(crate) email: Option<&'a str>,
    pub(crate) country: Option<&'a str>,
    pub(crate) card: CardShown<'a>,
    pub(crate) metadata: &'a dyn Json,
}

/// The payment method object.
pub(crate) fn text(new: &NewCard<'_>) -> String {
    json_text!({
        "id": new.id,
        "object": "payment_method",
        "allow_redisplay": "unspecified",
        "billing_details": {
            "address": {
                "city": null, "country": new.country, "line1": null, "line2": null, "postal_code": null, "state": null,
            },
            "email": new.email,
            "name": new.name,
            "phone": null,
            "tax_id": null,
        },
        "card": {
            "brand": new.card.brand,
            "checks": { "address_line1_check": null, "address_postal_code_check": null, "cvc_check": "pass" },
            "country": new.card.country,
            "display_brand": new.card.brand,
            "exp_month": new.card.exp_month,
            "exp_year": new.card.exp_year,
            "fingerprint": new.card.fingerprint,
            "funding": new.card.funding,
            "generated_from": null,
            "last4": new.card.last4,
            "networks": { "available": [(new.card.brand)], "preferred": null },
            "regulated_status": "unregulated",
            "three_d_secure_usage": { "supported": true },
            "wallet": null,
        },
        "created": new.created,
        "customer": new.customer,
        "customer_account": null,
        "livemode": new.livemode,
        "metadata": new.metadata,
        "type": "card",
    })
}

/// Makes a payment method from a test card.
fn make(work: &mut Work<'_>, card: &cards::Card, expires: (i64, i64)) -> Value {
    let id = work.ids.new_id("pm_");
    let fingerprint = card.fingerprint();
    let text = work.insert(
        Kind::PaymentMethod,
        text(&NewCard {
            id: &id,
            livemode: work.book.livemode,
            created: work.present,
            customer: None,
            name: None,
            email: None,
            country: None,
            card: CardShown {
                brand: card.brand,
                last4: card.last4(),
                country: card.country,
                funding: card.funding,
                fingerprint: &fingerprint,
                exp_month: expires.0,
                exp_year: expires.1,
            },
            metadata: &Value::Object(serde_json::Map::new()),
        }),
    );
    parse(&text)
}

/// The payment method with this id; a test word such as `pm_card_visa` becomes a new one, as with Stripe.
pub(crate) fn resolve(work: &mut Work<'_>, id: &str, param: Option<&str>) -> Result<Value, Refusal> {
    match cards::by_word(id) {
        Some(card) if !work.book.livemode => Ok(make(work, card, next_year(work.present))),
        _ => work.value(Kind::PaymentMethod, id, param),
    }
}

fn next_year(now: i64) -> (i64, i64) {
    let (year, month, _) = kit::time::civil_from_days(now.div_euclid(crate::calendar::DAY));
    (i64::from(month), year + 1)
}

/// How its card shows on charges.
pub(crate) fn shown(method: &Value) -> CardShown<'_> {
    let card = &method["card"];
    CardShown {
        brand: text_of(card, "brand"),
        last4: text_of(card, "last4"),
        country: text_of(card, "country"),
        funding: text_of(card, "funding"),
        fingerprint: text_of(card, "fingerprint"),
        exp_month: int_of(card, "exp_month"),
        exp_year: int_of(card, "exp_year"),
    }
}

/// The list below a customer: the customer must exist.
pub(crate) fn of_customer(book: &Book, call: &mut Call, query: &mut Query) -> Result<(), Refusal> {
    if book.get(Kind::Customer, &call.id).is_none() {
        return Err(Refusal::no_such("customer", &call.id, None));
    }
    if let Some(facet) = book.table(Kind::PaymentMethod).facet("customer") {
        query.tests.push(Test::Is(facet, call.id.clone()));
    }
    Ok(())
}

fn create(work: &mut Work<'_>, call: &Call) -> Result<Arc<str>, Refusal> {
    let parameters = &call.parameters;
    let (word, param) = match (parameters.text("card[token]"), parameters.text("card[number]")) {
        (Some(token), None) => (token, "card[token]"),
        (None, Some(number)) => (number, "card[number]"),
        _ => return Err(Refusal::missing("card")),
    };
    let card = cards::named(word, param)?;
    let metadata = parameters.new_metadata()?;
    let mut expires = next_year(work.present);
    if let (Some(month), Some(year)) = (parameters.int("card[exp_month]"), parameters.int("card[exp_year]")) {
        if !(1..=12).contains(&month) {
            return Err(Refusal::declined("invalid_expiry_month", None, "Your card's expiration month is invalid.")
                .param("card[exp_month]"));
        }
        expires = (month, year);
    }
    let mut method = make(work, card, expires);
    fill(&mut method, call);
    method["metadata"] = metadata;
    Ok(work.save(Kind::PaymentMethod, &method))
}

fn fill(method: &mut Value, call: &Call) {
    if let Some(Value::Object(details)) = call.parameters.at("billing_details") {
        for (member, value) in details {
            method["billing_details"][member.as_str()] =
                if member == "address" { super::customer::address(Some(value)) } else { value.clone() };
        }
    }
    call.parameters.copy_to(method, &["allow_redisplay"]);
}

fn update(work: &mut Work<'_>, call: &Call) -> Result<Arc<str>, Refusal> {
    let change = work.change(Kind::PaymentMethod, &call.id, |method| {
        if !method["customer"].is_string() {
            return Err(Refusal::bad("You must save this PaymentMethod to a customer before you can update it."));
        }
        fill(method, call);
        for (param, member) in [("card[exp_month]", "exp_month"), ("card[exp_year]", "exp_year")] {
            if let Some(value) = call.parameters.int(param) {
                method["card"][member] = value.into();
            }
        }
        call.parameters.merge_metadata(method)
    })?;
    work.emit_updated("payment_method.updated", &change);
    Ok(change.text)
}

fn attach(work: &mut Work<'_>, call: &Call) -> Result<Arc<str>, Refusal> {
    let customer = call.parameters.text("customer").unwrap_or_default();
    work.value(Kind::Customer, customer, Some("customer"))?;
    let method = resolve(work, &call.id, None)?;
    if method["customer"].is_string() && text_of(&method, "customer") != customer {
        return Err(Refusal::bad("The payment method you provided has already been attached to a customer."));
    }
    check_attachable(&method)?;
    attach_to(work, text_of(&method, "id"), customer)
}

/// The card 4000000000000341 attaches and fails later; the other declining cards are checked before they are attached.
pub(crate) fn check_attachable(method: &Value) -> Result<(), Refusal> {
    let last4 = shown(method).last4;
    match cards::behaviour(last4) {
        cards::Behaviour::Declines(code, decline_code, message) if last4 != "0341" => {
            Err(Refusal::declined(code, decline_code, message))
        }
        _ => Ok(()),
    }
}

/// Attaches without asking.
pub(crate) fn attach_to(work: &mut Work<'_>, id: &str, customer: &str) -> Result<Arc<str>, Refusal> {
    let change = work.change(Kind::PaymentMethod, id, |method| {
        method["customer"] = customer.into();
        Ok(())
    })?;
    work.emit("payment_method.attached", &change.text);
    Ok(change.text)
}

fn detach(work: &mut Work<'_>, call: &Call) -> Result<Arc<str>, Refusal> {
    let change = work.change(Kind::PaymentMethod, &call.id, |method| {
        if !method["customer"].is_string() {
            return Err(Refusal::bad(
                "The payment method you provided is not attached to a customer so detachment is impossible.",
            ));
        }
        method["customer"] = Value::Null;
        Ok(())
    })?;
    let previous = serde_json::json!({ "customer": change.before["customer"] });
    super::event::emit(work, "payment_method.detached", &change.text, Some(&previous));
    Ok(change.text)
}
