//! Promotion codes: what a customer types to be given a coupon. Since clover the coupon stands in `promotion` (FACTS section 1).

use super::{Call, Endpoint, Kind, Resource, Verb, get, post, simple};
use crate::{json::json_text, problem::Refusal, table::Facet, work::Work};
use std::sync::Arc;

pub(crate) static RESOURCE: Resource = Resource {
    kind: Kind::PromotionCode,
    object: "promotion_code",
    facets: &[
        Facet::word("active"),
        Facet::id("code"),
        Facet::id_at("coupon", "promotion.coupon"),
        Facet::id("customer"),
    ],
    expands: &["customer", "promotion.coupon"],
    search: None,
    endpoints: &ENDPOINTS,
};

static ENDPOINTS: [Endpoint; 4] = [
    get(
        "/v1/promotion_codes",
        "active:bool code:text coupon:text created:times customer:text",
        "promotion_code",
        Verb::List(Kind::PromotionCode, simple),
    ),
    get("/v1/promotion_codes/{id}", "", "promotion_code", Verb::Retrieve(Kind::PromotionCode)),
    post(
        "/v1/promotion_codes",
        "promotion[type]:one(coupon)! promotion[coupon]:text active:bool code:text customer:text expires_at:int \
         max_redemptions:int metadata:metadata restrictions[first_time_transaction]:bool restrictions[minimum_amount]:int \
         restrictions[minimum_amount_currency]:text",
        "promotion_code",
        create,
    ),
    post("/v1/promotion_codes/{id}", "active:bool metadata:metadata", "promotion_code", update),
];

fn create(work: &mut Work<'_>, call: &Call) -> Result<Arc<str>, Refusal> {
    let parameters = &call.parameters;
    let metadata = parameters.new_metadata()?;
    let coupon = work.named(Kind::Coupon, parameters, "promotion[coupon]")?;
    let Some(coupon) = coupon.as_ref().and_then(|coupon| coupon["id"].as_str()) else {
        return Err(Refusal::missing("promotion[coupon]"));
    };
    work.named(Kind::Customer, parameters, "customer")?;
    let code = match parameters.text("code") {
        Some(code) => code.to_owned(),
        None => work.ids.letters("", 8).to_uppercase(),
    };
    // A code may be used again once the one before it is inactive; upper and lower case are the same.
    let taken = work.book.table(Kind::PromotionCode).all().any(|text| {
        crate::json::plain_member(text, "active").as_deref() == Some("true")
            && crate::json::plain_member(text, "code").is_some_and(|other| other.eq_ignore_ascii_case(&code))
    });
    if taken {
        return Err(Refusal::bad(format!("An active promotion code with `code: {code}` already exists.")).param("code"));
    }
    let id = work.ids.new_id("promo_");
    let text = work.insert(
        Kind::PromotionCode,
        json_text!({
            "id": id,
            "object": "promotion_code",
            "active": parameters.at("active").is_none_or(|active| active == true),
            "code": code,
            "created": work.now,
            "customer": parameters.text("customer"),
            "customer_account": null,
            "expires_at": parameters.int("expires_at"),
            "livemode": work.book.livemode,
            "max_redemptions": parameters.int("max_redemptions"),
            "metadata": metadata,
            "promotion": { "coupon": coupon, "type": "coupon" },
            "restrictions": {
                "first_time_transaction": parameters.yes("restrictions[first_time_transaction]"),
                "minimum_amount": parameters.int("restrictions[minimum_amount]"),
                "minimum_amount_currency": parameters.text("restrictions[minimum_amount_currency]"),
            },
            "times_redeemed": 0_i64,
        }),
    );
    work.emit("promotion_code.created", &text);
    Ok(text)
}

fn update(work: &mut Work<'_>, call: &Call) -> Result<Arc<str>, Refusal> {
    let change = work.change(Kind::PromotionCode, &call.id, |code| {
        call.parameters.copy_to(code, &["active"]);
        call.parameters.merge_metadata(code)
    })?;
    work.emit_updated("promotion_code.updated", &change);
    Ok(change.text)
}
