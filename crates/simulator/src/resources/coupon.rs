//! Coupons: kept and read, so that fixtures and catalogues can hold them; discounts are not applied yet.

use super::{Call, Endpoint, Kind, Resource, Verb, delete, get, post, simple};
use crate::{
    json::json_text,
    problem::Refusal,
    work::{Work, previous_attributes},
};
use std::sync::Arc;

pub(crate) static RESOURCE: Resource =
    Resource { kind: Kind::Coupon, object: "coupon", facets: &[], expands: &[], search: None, endpoints: &ENDPOINTS };

static ENDPOINTS: [Endpoint; 5] = [
    get("/v1/coupons", "created:times", "coupon", Verb::List(Kind::Coupon, simple)),
    get("/v1/coupons/{id}", "", "coupon", Verb::Retrieve(Kind::Coupon)),
    post(
        "/v1/coupons",
        "id:text amount_off:int percent_off:decimal currency:text duration:one(forever|once|repeating) duration_in_months:int max_redemptions:int metadata:metadata name:text redeem_by:int",
        "coupon",
        create,
    ),
    post("/v1/coupons/{id}", "metadata:metadata name:text", "coupon", update),
    delete("/v1/coupons/{id}", "", "coupon", remove),
];

fn create(work: &mut Work<'_>, call: &Call) -> Result<Arc<str>, Refusal> {
    let parameters = &call.parameters;
    let amount_off = parameters.int("amount_off");
    let percent_off = parameters.text("percent_off");
    if amount_off.is_some() == percent_off.is_some() {
        return Err(Refusal::bad("You must pass exactly one of percent_off and amount_off.").code("parameter_missing"));
    }
    if amount_off.is_some() && parameters.text("currency").is_none() {
        return Err(Refusal::missing("currency"));
    }
    let duration = parameters.text("duration").unwrap_or("once");
    if (duration == "repeating") != parameters.int("duration_in_months").is_some() {
        return Err(Refusal::bad("duration_in_months is required with a repeating duration, and only then.")
            .param("duration_in_months"));
    }
    let id = parameters.text("id").map_or_else(|| work.ids.letters("", 8), str::to_owned);
    if work.book.get(Kind::Coupon, &id).is_some() {
        return Err(Refusal::bad("Coupon already exists.").code("resource_already_exists").param("id"));
    }
    let text = work.insert(
        Kind::Coupon,
        json_text!({
            "id": id,
            "object": "coupon",
            "amount_off": amount_off,
            "created": work.now,
            "currency": parameters.text("currency"),
            "duration": duration,
            "duration_in_months": parameters.int("duration_in_months"),
            "livemode": work.book.livemode,
            "max_redemptions": parameters.int("max_redemptions"),
            "metadata": parameters.new_metadata()?,
            "name": parameters.text("name"),
            "percent_off": percent_off.map(crate::json::Raw),
            "redeem_by": parameters.int("redeem_by"),
            "times_redeemed": 0_i64,
            "valid": true,
        }),
    );
    work.emit("coupon.created", &text);
    Ok(text)
}

fn update(work: &mut Work<'_>, call: &Call) -> Result<Arc<str>, Refusal> {
    let change = work.change(Kind::Coupon, &call.id, |coupon| {
        call.parameters.copy_to(coupon, &["name"]);
        call.parameters.merge_metadata(coupon)
    })?;
    if !previous_attributes(&change.before, &change.after).is_empty() {
        work.emit_updated("coupon.updated", &change);
    }
    Ok(change.text)
}

fn remove(work: &mut Work<'_>, call: &Call) -> Result<Arc<str>, Refusal> {
    let text = work.text(Kind::Coupon, &call.id, None)?;
    work.remove(Kind::Coupon, &call.id, None);
    work.emit("coupon.deleted", &text);
    Ok(json_text!({ "id": call.id, "object": "coupon", "deleted": true }).into())
}
