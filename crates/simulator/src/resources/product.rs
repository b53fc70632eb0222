//! Products: what is sold. Their prices are objects of their own.

use super::{Call, Endpoint, Kind, Resource, Verb, delete, get, post};
use crate::{
    book::Book,
    json::{Json, json_text},
    problem::Refusal,
    search::{self, Field},
    table::{Facet, Query, Test},
    work::Work,
};
use serde_json::Value;
use std::sync::Arc;

pub(crate) static RESOURCE: Resource = Resource {
    kind: Kind::Product,
    object: "product",
    facets: &[
        Facet::word("active"),
        Facet::word("id"),
        Facet::word("type"),
        Facet::word("url"),
        Facet::word("shippable"),
    ],
    expands: &["default_price", "tax_code"],
    search: Some(&FIELDS),
    endpoints: &ENDPOINTS,
};

static FIELDS: [Field; 5] = [
    Field::token("active"),
    Field::text("description"),
    Field::text("name"),
    Field::token("shippable"),
    Field::text("url"),
];

static ENDPOINTS: [Endpoint; 6] = [
    get("/v1/products/search", search::ACCEPTS, "product", Verb::Search(Kind::Product)),
    get(
        "/v1/products",
        "active:bool created:times ids[]:text shippable:bool type:one(good|service) url:text",
        "product",
        Verb::List(Kind::Product, prepare),
    ),
    get("/v1/products/{id}", "", "product", Verb::Retrieve(Kind::Product)),
    post(
        "/v1/products",
        "name:text! id:text active:bool description:text images[]:text metadata:metadata shippable:bool statement_descriptor:text \
         type:one(good|service) unit_label:text url:text",
        "product",
        create,
    ),
    post(
        "/v1/products/{id}",
        "active:bool default_price:text description:text images[]:text metadata:metadata name:text shippable:bool \
         statement_descriptor:text unit_label:text url:text",
        "product",
        update,
    ),
    delete("/v1/products/{id}", "", "product", remove),
];

/// What a product is made from.
pub(crate) struct NewProduct<'a> {
    pub(crate) id: &'a str,
    pub(crate) livemode: bool,
    pub(crate) created: i64,
    pub(crate) name: &'a str,
    pub(crate) description: Option<&'a str>,
    pub(crate) metadata: &'a dyn Json,
}

/// The product object.
pub(crate) fn text(new: &NewProduct<'_>) -> String {
    json_text!({
        "id": new.id,
        "object": "product",
        "active": true,
        "created": new.created,
        "default_price": null,
        "description": new.description,
        "images": [],
        "livemode": new.livemode,
        "marketing_features": [],
        "metadata": new.metadata,
        "name": new.name,
        "package_dimensions": null,
        "shippable": null,
        "statement_descriptor": null,
        "tax_code": null,
        "tax_details": null,
        "type": "service",
        "unit_label": null,
        "updated": new.created,
        "url": null,
    })
}

fn prepare(book: &Book, call: &mut Call, query: &mut Query) -> Result<(), Refusal> {
    if let (Some(Value::Array(ids)), Some(facet)) = (call.parameters.take("ids"), book.table(Kind::Product).facet("id"))
    {
        query.tests.push(Test::AnyOf(facet, ids.iter().filter_map(Value::as_str).map(str::to_owned).collect()));
    }
    Ok(())
}

const MEMBERS: [&str; 9] =
    ["active", "description", "images", "name", "shippable", "statement_descriptor", "type", "unit_label", "url"];

fn create(work: &mut Work<'_>, call: &Call) -> Result<Arc<str>, Refusal> {
    let metadata = call.parameters.new_metadata()?;
    let id = call.parameters.text("id").map_or_else(|| work.ids.new_id("prod_"), str::to_owned);
    if work.book.get(Kind::Product, &id).is_some() {
        return Err(Refusal::bad("Product already exists.").code("resource_already_exists").param("id"));
    }
    let name = call.parameters.text("name").unwrap_or_default();
    let new = NewProduct {
        id: &id,
        livemode: work.book.livemode,
        created: work.now,
        name,
        description: None,
        metadata: &metadata,
    };
    let mut product = crate::work::parse(&text(&new));
    call.parameters.copy_to(&mut product, &MEMBERS);
    let text = work.save(Kind::Product, &product);
    work.emit("product.created", &text);
    Ok(text)
}

fn update(work: &mut Work<'_>, call: &Call) -> Result<Arc<str>, Refusal> {
    work.named(Kind::Price, &call.parameters, "default_price")?;
    let now = work.now;
    let change = work.change(Kind::Product, &call.id, |product| {
        call.parameters.merge_metadata(product)?;
        call.parameters.copy_to(product, &MEMBERS);
        call.parameters.copy_to(product, &["default_price"]);
        product["updated"] = now.into();
        Ok(())
    })?;
    work.emit_updated("product.updated", &change);
    Ok(change.text)
}

fn remove(work: &mut Work<'_>, call: &Call) -> Result<Arc<str>, Refusal> {
    let product = work.text(Kind::Product, &call.id, None)?;
    if !work.book.table(Kind::Price).with("product", &call.id).is_empty() {
        return Err(Refusal::bad("This product cannot be deleted because it has one or more user-created prices."));
    }
    work.remove(Kind::Product, &call.id, None);
    work.emit("product.deleted", &product);
    Ok(json_text!({ "id": call.id, "object": "product", "deleted": true }).into())
}
