//! The lines of invoices. An invoice shows its first ten; the rest are read from the list of its lines (FACTS section 3).

use super::{Call, Endpoint, Kind, Resource, Verb, get};
use crate::{
    book::Book,
    json::{Json, Raw, json_text},
    problem::Refusal,
    table::{Facet, Query, Test},
};

pub(crate) static RESOURCE: Resource = Resource {
    kind: Kind::InvoiceLine,
    object: "line_item",
    facets: &[Facet::id("invoice")],
    expands: &["discounts", "subscription"],
    search: None,
    endpoints: &ENDPOINTS,
};

static ENDPOINTS: [Endpoint; 1] =
    [get("/v1/invoices/{id}/lines", "", "invoice", Verb::List(Kind::InvoiceLine, of_invoice))];

fn of_invoice(book: &Book, call: &mut Call, query: &mut Query) -> Result<(), Refusal> {
    if book.get(Kind::Invoice, &call.id).is_none() {
        return Err(Refusal::no_such("invoice", &call.id, None));
    }
    if let Some(facet) = book.table(Kind::InvoiceLine).facet("invoice") {
        query.tests.push(Test::Is(facet, call.id.clone()));
    }
    Ok(())
}

/// Where a line comes from.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Origin<'a> {
    /// A period of a subscription item.
    Subscription { subscription: &'a str, item: &'a str },
    /// An invoice item, which may be a proration of a subscription.
    Item { item: &'a str, proration: bool, subscription: Option<&'a str> },
}

/// The price of a line, where it has one.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Priced<'a> {
    pub(crate) price: &'a str,
    pub(crate) product: &'a str,
}

/// What a line is made from.
pub(crate) struct NewLine<'a> {
    pub(crate) id: &'a str,
    pub(crate) invoice: &'a str,
    pub(crate) livemode: bool,
    pub(crate) amount: i64,
    pub(crate) currency: &'a str,
    pub(crate) description: Option<&'a str>,
    pub(crate) quantity: i64,
    pub(crate) unit_amount_decimal: &'a str,
    pub(crate) period: (i64, i64),
    pub(crate) priced: Option<Priced<'a>>,
    pub(crate) origin: Origin<'a>,
    pub(crate) metadata: &'a dyn Json,
}

/// The line item object.
pub(crate) fn text(new: &NewLine<'_>) -> String {
    let (parent, subscription) = match new.origin {
        Origin::Subscription { subscription, item } => (
            json_text!({
                "invoice_item_details": null,
                "subscription_item_details": {
                    "invoice_item": null, "proration": false, "proration_details": null, "subscription": subscription, "subscription_item": item,
                },
                "type": "subscription_item_details",
            }),
            Some(subscription),
        ),
        Origin::Item { item, proration, subscription } => (
            json_text!({
                "invoice_item_details": {
                    "invoice_item": item, "proration": proration, "proration_details": null, "subscription": subscription,
                },
                "subscription_item_details": null,
                "type": "invoice_item_details",
            }),
            subscription,
        ),
    };
    let price_details = new.priced.map(|priced| json_text!({ "price": priced.price, "product": priced.product }));
    let mut pricing = String::from("{");
    if let Some(details) = &price_details {
        pricing.push_str("\"price_details\":");
        pricing.push_str(details);
        pricing.push(',');
    }
    pricing.push_str("\"type\":\"price_details\",\"unit_amount_decimal\":");
    new.unit_amount_decimal.write(&mut pricing);
    pricing.push('}');
    json_text!({
        "id": new.id,
        "object": "line_item",
        "amount": new.amount,
        "currency": new.currency,
        "description": new.description,
        "discount_amounts": [],
        "discountable": true,
        "discounts": [],
        "invoice": new.invoice,
        "livemode": new.livemode,
        "metadata": new.metadata,
        "parent": Raw(&parent),
        "period": { "end": new.period.1, "start": new.period.0 },
        "pretax_credit_amounts": [],
        "pricing": Raw(&pricing),
        "quantity": new.quantity,
        "quantity_decimal": new.quantity.to_string(),
        "subscription": subscription,
        "subtotal": new.amount,
        "taxes": [],
    })
}
