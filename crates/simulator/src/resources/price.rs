//! Prices: amount and currency never change once made (FACTS section 10).

use super::{Call, Endpoint, Kind, Resource, Verb, get, post, product};
use crate::{
    book::Book,
    json::{Json, Raw, json_text},
    money,
    problem::Refusal,
    search::{self, Field},
    table::{Facet, Query, Test},
    work::{Work, text_of},
};
use serde_json::Value;
use std::sync::Arc;

pub(crate) static RESOURCE: Resource = Resource {
    kind: Kind::Price,
    object: "price",
    facets: &[
        Facet::word("active"),
        Facet::word("currency"),
        Facet::id("product"),
        Facet::word("type"),
        Facet::id_at("lookup_key", "lookup_key"),
        Facet::word_at("recurring[interval]", "recurring.interval"),
        Facet::word_at("recurring[usage_type]", "recurring.usage_type"),
    ],
    expands: &["product", "tiers"],
    search: Some(&FIELDS),
    endpoints: &ENDPOINTS,
};

static FIELDS: [Field; 5] = [
    Field::token("active"),
    Field::token("currency"),
    Field::text("lookup_key"),
    Field::token("product"),
    Field::token("type"),
];

static ENDPOINTS: [Endpoint; 5] = [
    get("/v1/prices/search", search::ACCEPTS, "plan", Verb::Search(Kind::Price)),
    get(
        "/v1/prices",
        "active:bool created:times currency:text lookup_keys[]:text product:text type:one(one_time|recurring) \
         recurring[interval]:one(day|week|month|year) recurring[usage_type]:one(licensed|metered)",
        "plan",
        Verb::List(Kind::Price, prepare),
    ),
    get("/v1/prices/{id}", "", "plan", Verb::Retrieve(Kind::Price)),
    post(
        "/v1/prices",
        "currency:text! active:bool lookup_key:text transfer_lookup_key:bool metadata:metadata nickname:text product:text \
         product_data[name]:text product_data[metadata]:metadata recurring[interval]:one(day|week|month|year) \
         recurring[interval_count]:int tax_behavior:one(exclusive|inclusive|unspecified) unit_amount:int unit_amount_decimal:decimal",
        "plan",
        create,
    ),
    post(
        "/v1/prices/{id}",
        "active:bool lookup_key:text transfer_lookup_key:bool metadata:metadata nickname:text \
         tax_behavior:one(exclusive|inclusive|unspecified)",
        "plan",
        update,
    ),
];

/// How often a price is billed.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Recurring<'a> {
    pub(crate) interval: &'a str,
    pub(crate) count: i64,
}

/// What a price is made from.
pub(crate) struct NewPrice<'a> {
    pub(crate) id: &'a str,
    pub(crate) livemode: bool,
    pub(crate) created: i64,
    pub(crate) product: &'a str,
    pub(crate) currency: &'a str,
    pub(crate) unit_amount: Option<i64>,
    pub(crate) unit_amount_decimal: &'a str,
    pub(crate) recurring: Option<Recurring<'a>>,
    pub(crate) nickname: Option<&'a str>,
    pub(crate) lookup_key: Option<&'a str>,
    pub(crate) metadata: &'a dyn Json,
}

/// The price object.
pub(crate) fn text(new: &NewPrice<'_>) -> String {
    let recurring = new.recurring.map(|recurring| {
        json_text!({
            "interval": recurring.interval, "interval_count": recurring.count, "meter": null, "trial_period_days": null, "usage_type": "licensed",
        })
    });
    json_text!({
        "id": new.id,
        "object": "price",
        "active": true,
        "billing_scheme": "per_unit",
        "created": new.created,
        "currency": new.currency,
        "custom_unit_amount": null,
        "livemode": new.livemode,
        "lookup_key": new.lookup_key,
        "metadata": new.metadata,
        "nickname": new.nickname,
        "product": new.product,
        "recurring": recurring.as_deref().map(Raw),
        "tax_behavior": "unspecified",
        "tiers_mode": null,
        "transform_quantity": null,
        "type": if new.recurring.is_some() { "recurring" } else { "one_time" },
        "unit_amount": new.unit_amount,
        "unit_amount_decimal": new.unit_amount_decimal,
    })
}

/// The plan that stands beside a recurring price in subscription items, for readers of old.
pub(crate) fn plan_text(new: &NewPrice<'_>) -> String {
    let recurring = new.recurring.unwrap_or(Recurring { interval: "month", count: 1 });
    json_text!({
        "id": new.id,
        "object": "plan",
        "active": true,
        "amount": new.unit_amount,
        "amount_decimal": new.unit_amount_decimal,
        "billing_scheme": "per_unit",
        "created": new.created,
        "currency": new.currency,
        "interval": recurring.interval,
        "interval_count": recurring.count,
        "livemode": new.livemode,
        "metadata": new.metadata,
        "meter": null,
        "nickname": new.nickname,
        "product": new.product,
        "tiers_mode": null,
        "transform_usage": null,
        "trial_period_days": null,
        "usage_type": "licensed",
    })
}

/// The plan of a price kept as a tree.
pub(crate) fn plan_of(price: &Value) -> Value {
    serde_json::json!({
        "id": price["id"], "object": "plan", "active": price["active"], "amount": price["unit_amount"],
        "amount_decimal": price["unit_amount_decimal"], "billing_scheme": price["billing_scheme"], "created": price["created"],
        "currency": price["currency"], "interval": price["recurring"]["interval"],
        "interval_count": price["recurring"]["interval_count"], "livemode": price["livemode"], "metadata": price["metadata"],
        "meter": price["recurring"]["meter"], "nickname": price["nickname"], "product": price["product"],
        "tiers_mode": price["tiers_mode"], "transform_usage": null, "trial_period_days": null,
        "usage_type": price["recurring"]["usage_type"],
    })
}

/// What `quantity` of a price costs, in minor units; a decimal price is rounded once, at the end.
pub(crate) fn amount(price: &Value, quantity: i64) -> i64 {
    if let Some(unit) = price["unit_amount"].as_i64() {
        return unit.saturating_mul(quantity);
    }
    decimal_amount(text_of(price, "unit_amount_decimal"), quantity)
}

/// `decimal * quantity`, rounded half away from zero.
pub(crate) fn decimal_amount(decimal: &str, quantity: i64) -> i64 {
    let (whole, fraction) = decimal.split_once('.').unwrap_or((decimal, ""));
    let digits = fraction.len().min(12);
    let scale = 10_i64.pow(u32::try_from(digits).unwrap_or(0));
    let units: i64 = format!("{whole}{}", &fraction[..digits]).parse().unwrap_or(0);
    money::share(units, quantity, scale)
}

fn prepare(book: &Book, call: &mut Call, query: &mut Query) -> Result<(), Refusal> {
    if let (Some(Value::Array(keys)), Some(facet)) =
        (call.parameters.take("lookup_keys"), book.table(Kind::Price).facet("lookup_key"))
    {
        query.tests.push(Test::AnyOf(facet, keys.iter().filter_map(Value::as_str).map(str::to_owned).collect()));
    }
    Ok(())
}

fn create(work: &mut Work<'_>, call: &Call) -> Result<Arc<str>, Refusal> {
    let parameters = &call.parameters;
    let metadata = parameters.new_metadata()?;
    let currency = parameters.text("currency").unwrap_or_default().to_ascii_lowercase();
    check_currency(&currency)?;
    let (unit_amount, decimal) = match (parameters.int("unit_amount"), parameters.text("unit_amount_decimal")) {
        (Some(amount), None) if amount >= 0 => (Some(amount), amount.to_string()),
        (Some(_), None) => {
            return Err(Refusal::bad("Invalid non-negative integer")
                .code("parameter_invalid_integer")
                .param("unit_amount"));
        }
        (None, Some(decimal)) => (decimal.parse().ok(), decimal.to_owned()),
        _ => return Err(Refusal::missing("unit_amount")),
    };
    check_lookup_key(work, call, None)?;
    if parameters.text("product").is_some() == parameters.at("product_data").is_some() {
        return Err(Refusal::missing("product"));
    }
    let existing = work.named(Kind::Product, parameters, "product")?;
    let product = match existing {
        Some(product) => text_of(&product, "id").to_owned(),
        None => {
            let name = parameters.text("product_data[name]").ok_or_else(|| Refusal::missing("product_data[name]"))?;
            let id = work.ids.new_id("prod_");
            let metadata = parameters.at("product_data[metadata]").cloned().unwrap_or_else(|| serde_json::json!({}));
            let new = product::NewProduct {
                id: &id,
                livemode: work.book.livemode,
                created: work.now,
                name,
                description: None,
                metadata: &metadata,
            };
            let text = work.insert(Kind::Product, product::text(&new));
            work.emit("product.created", &text);
            id
        }
    };
    transfer_lookup_key(work, call)?;
    let recurring = parameters
        .text("recurring[interval]")
        .map(|interval| Recurring { interval, count: parameters.int("recurring[interval_count]").unwrap_or(1) });
    let id = work.ids.new_id("price_");
    let mut price = crate::work::parse(&text(&NewPrice {
        id: &id,
        livemode: work.book.livemode,
        created: work.now,
        product: &product,
        currency: &currency,
        unit_amount,
        unit_amount_decimal: &decimal,
        recurring,
        nickname: parameters.text("nickname"),
        lookup_key: parameters.text("lookup_key"),
        metadata: &metadata,
    }));
    parameters.copy_to(&mut price, &["active", "tax_behavior"]);
    let text = work.save(Kind::Price, &price);
    work.emit("price.created", &text);
    Ok(text)
}

fn update(work: &mut Work<'_>, call: &Call) -> Result<Arc<str>, Refusal> {
    work.value(Kind::Price, &call.id, None)?;
    check_lookup_key(work, call, Some(&call.id))?;
    transfer_lookup_key(work, call)?;
    let change = work.change(Kind::Price, &call.id, |price| {
        call.parameters.copy_to(price, &["active", "lookup_key", "nickname", "tax_behavior"]);
        call.parameters.merge_metadata(price)
    })?;
    work.emit_updated("price.updated", &change);
    Ok(change.text)
}

/// A lookup key belongs to one price; it moves only when asked to.
fn check_lookup_key(work: &Work<'_>, call: &Call, own: Option<&str>) -> Result<(), Refusal> {
    let Some(key) = call.parameters.text("lookup_key") else { return Ok(()) };
    let held = work.book.table(Kind::Price).with("lookup_key", key);
    let foreign = held.iter().any(|text| crate::json::plain_member(text, "id").as_deref() != own);
    if foreign && !call.parameters.yes("transfer_lookup_key") {
        return Err(Refusal::bad(format!("A price already uses the lookup key '{key}'.")).param("lookup_key"));
    }
    Ok(())
}

fn transfer_lookup_key(work: &mut Work<'_>, call: &Call) -> Result<(), Refusal> {
    let Some(key) = call.parameters.text("lookup_key") else { return Ok(()) };
    for held in work.book.table(Kind::Price).with("lookup_key", key) {
        let id = crate::json::plain_member(&held, "id").unwrap_or_default().into_owned();
        if id == call.id {
            continue;
        }
        let change = work.change(Kind::Price, &id, |price| {
            price["lookup_key"] = Value::Null;
            Ok(())
        })?;
        work.emit_updated("price.updated", &change);
    }
    Ok(())
}

/// Refuses a currency that the simulated account does not take.
pub(crate) fn check_currency(currency: &str) -> Result<money::Terms, Refusal> {
    money::terms(currency).ok_or_else(|| {
        Refusal::bad(format!("Invalid currency: {currency}. The simulated account does not take it.")).param("currency")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decimal_prices_round_once() {
        let check = |decimal: &str, quantity: i64, expected: i64| {
            assert_eq!(decimal_amount(decimal, quantity), expected, "{decimal} x {quantity}")
        };
        check("0.5", 3, 2);
        check("12.345", 100, 1_235);
        check("1000", 2, 2_000);
        check("0.000000000001", 1_000_000_000_000, 1);
    }
}
