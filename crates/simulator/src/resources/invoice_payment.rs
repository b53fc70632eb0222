//! Invoice payments: which payment intent pays which invoice (FACTS section 11).

use super::{Endpoint, Kind, Resource, Verb, get, simple};
use crate::{json::json_text, table::Facet};

pub(crate) static RESOURCE: Resource = Resource {
    kind: Kind::InvoicePayment,
    object: "invoice_payment",
    facets: &[
        Facet::id("invoice"),
        Facet::word("status"),
        Facet::word_at("payment[type]", "payment.type"),
        Facet::id_at("payment[payment_intent]", "payment.payment_intent"),
    ],
    expands: &["invoice", "payment.payment_intent", "payment.charge"],
    search: None,
    endpoints: &ENDPOINTS,
};

static ENDPOINTS: [Endpoint; 2] = [
    get(
        "/v1/invoice_payments",
        "created:times invoice:text payment[type]:one(payment_intent) payment[payment_intent]:text status:one(canceled|open|paid)",
        "invoice",
        Verb::List(Kind::InvoicePayment, simple),
    ),
    get("/v1/invoice_payments/{id}", "", "invoice", Verb::Retrieve(Kind::InvoicePayment)),
];

/// What an invoice payment is made from.
pub(crate) struct NewPayment<'a> {
    pub(crate) id: &'a str,
    pub(crate) livemode: bool,
    pub(crate) created: i64,
    pub(crate) invoice: &'a str,
    pub(crate) payment_intent: &'a str,
    pub(crate) amount: i64,
    pub(crate) currency: &'a str,
    pub(crate) status: &'a str,
    pub(crate) paid_at: Option<i64>,
    pub(crate) canceled_at: Option<i64>,
}

/// The invoice payment object.
pub(crate) fn text(new: &NewPayment<'_>) -> String {
    json_text!({
        "id": new.id,
        "object": "invoice_payment",
        "amount_paid": new.paid_at.map(|_| new.amount),
        "amount_requested": new.amount,
        "created": new.created,
        "currency": new.currency,
        "invoice": new.invoice,
        "is_default": true,
        "livemode": new.livemode,
        "payment": { "payment_intent": new.payment_intent, "type": "payment_intent" },
        "status": new.status,
        "status_transitions": { "canceled_at": new.canceled_at, "paid_at": new.paid_at },
    })
}
