//! What was sold: invoices' lines, and which payment pays which invoice. Pure.

use crate::{fact::Unreadable, read::Text};
use serde::{Deserialize, Deserializer, Serialize};
use std::borrow::Cow;

/// One line of an invoice, as far as it is needed to share out a payment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SoldLine {
    /// The product; empty for amounts typed by hand.
    pub product: String,
    /// After discounts, in minor units; negative for credit.
    pub amount_minor: i64,
    /// How many.
    pub quantity: i64,
}

/// Which payment pays which invoice.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Link<'a> {
    /// `inpay_…`, or the invoice's own id where an older invoice says it itself.
    pub id: Cow<'a, str>,
    /// The payment intent, or else the charge.
    pub payment_key: Cow<'a, str>,
    /// The invoice.
    pub invoice_id: Cow<'a, str>,
}

#[derive(Deserialize)]
struct Invoice<'a> {
    #[serde(borrow)]
    id: Text<'a>,
    #[serde(default)]
    lines: Option<Lines>,
    // Before basil an invoice says what paid it.
    #[serde(borrow, default)]
    payment_intent: Option<Text<'a>>,
    #[serde(borrow, default)]
    charge: Option<Text<'a>>,
}

#[derive(Default, Deserialize)]
struct Lines {
    #[serde(default)]
    data: Vec<Line>,
}

#[derive(Deserialize)]
struct Line {
    amount: i64,
    #[serde(default)]
    quantity: Option<i64>,
    #[serde(default)]
    discount_amounts: Option<Vec<Discount>>,
    #[serde(default)]
    pricing: Option<Pricing>,
    // Before basil:
    #[serde(default)]
    price: Option<Price>,
}

#[derive(Deserialize)]
struct Discount {
    amount: i64,
}

#[derive(Deserialize)]
struct Pricing {
    #[serde(default)]
    price_details: Option<Price>,
}

#[derive(Deserialize)]
struct Price {
    #[serde(default)]
    product: Option<OwnedId>,
}

/// An id of one's own, since lines are kept.
struct OwnedId(String);

impl<'de> Deserialize<'de> for OwnedId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<OwnedId, D::Error> {
        Text::deserialize(deserializer).map(|text| OwnedId(text.0.into_owned()))
    }
}

impl Line {
    fn sold(self) -> SoldLine {
        let discounts = self.discount_amounts.iter().flatten().fold(0_i64, |sum, it| sum.saturating_add(it.amount));
        let price = self.pricing.and_then(|pricing| pricing.price_details).or(self.price);
        SoldLine {
            product: price.and_then(|price| price.product).map(|product| product.0).unwrap_or_default(),
            amount_minor: self.amount.saturating_sub(discounts),
            quantity: self.quantity.unwrap_or(1),
        }
    }
}

/// What an invoice sells, and what pays it where it says so itself.
#[derive(Debug)]
pub struct Sale<'a> {
    /// The invoice.
    pub invoice_id: Cow<'a, str>,
    /// Its lines; of a long invoice those that came embedded in it.
    pub lines: Vec<SoldLine>,
    /// Its own word on what pays it.
    pub link: Option<Link<'a>>,
}

/// Reads an invoice.
///
/// # Errors
/// If a field is missing or of another type than in any version we know.
pub fn sale_of(body: &str) -> Result<Sale<'_>, Unreadable> {
    let invoice: Invoice<'_> = serde_json::from_str(body).map_err(|error| unreadable("invoice", &error))?;
    let id = invoice.id.0;
    let link = invoice.payment_intent.or(invoice.charge).map(|payment| Link {
        id: id.clone(),
        payment_key: payment.0,
        invoice_id: id.clone(),
    });
    let lines = invoice.lines.unwrap_or_default().data.into_iter().map(Line::sold).collect();
    Ok(Sale { invoice_id: id, lines, link })
}

#[derive(Deserialize)]
struct InvoicePayment<'a> {
    #[serde(borrow)]
    id: Text<'a>,
    #[serde(borrow)]
    invoice: Text<'a>,
    #[serde(borrow)]
    status: Text<'a>,
    #[serde(borrow, default)]
    payment: Option<Payment<'a>>,
}

#[derive(Deserialize)]
struct Payment<'a> {
    #[serde(borrow, default)]
    payment_intent: Option<Text<'a>>,
    #[serde(borrow, default)]
    charge: Option<Text<'a>>,
}

/// Reads an invoice payment; `None` for one that was canceled or names no payment of Stripe's.
///
/// # Errors
/// If a field is missing or of another type than in any version we know.
pub fn link_of(body: &str) -> Result<Option<Link<'_>>, Unreadable> {
    let payment: InvoicePayment<'_> =
        serde_json::from_str(body).map_err(|error| unreadable("invoice_payment", &error))?;
    if payment.status.0 == "canceled" {
        return Ok(None);
    }
    let (id, invoice_id) = (payment.id.0, payment.invoice.0);
    let pays = payment.payment.and_then(|it| it.payment_intent.or(it.charge));
    Ok(pays.map(|payment_key| Link { id, payment_key: payment_key.0, invoice_id }))
}

#[derive(Deserialize)]
struct Product<'a> {
    #[serde(borrow, default)]
    name: Option<Text<'a>>,
}

/// What people call a product.
///
/// # Errors
/// If it is no product at all.
pub fn product_name(body: &str) -> Result<Option<Cow<'_, str>>, Unreadable> {
    let product: Product<'_> = serde_json::from_str(body).map_err(|error| unreadable("product", &error))?;
    Ok(product.name.map(|name| name.0))
}

fn unreadable(object: &str, error: &serde_json::Error) -> Unreadable {
    Unreadable { object: object.to_owned(), reason: error.to_string() }
}
