//! Invoice items: what will be on a customer's next invoice, or is on a draft already.

use super::{
    Call, Endpoint, Kind, Resource, Verb, delete, get, invoice,
    invoice_line::{self, NewLine, Origin, Priced},
    leave_out_clocks, post, price,
};
use crate::{
    book::Book,
    json::{Json, Raw, json_text},
    problem::Refusal,
    table::{Facet, Query, Test},
    work::{Work, int_of, parse, text_of},
};
use serde_json::Value;
use std::sync::Arc;

pub(crate) static RESOURCE: Resource = Resource {
    kind: Kind::InvoiceItem,
    object: "invoiceitem",
    facets: &[Facet::id("customer"), Facet::id("invoice"), Facet::id("test_clock")],
    expands: &["customer", "discounts", "invoice", "test_clock"],
    search: None,
    endpoints: &ENDPOINTS,
};

static ENDPOINTS: [Endpoint; 5] = [
    get(
        "/v1/invoiceitems",
        "created:times customer:text invoice:text pending:bool",
        "invoice",
        Verb::List(Kind::InvoiceItem, prepare),
    ),
    get("/v1/invoiceitems/{id}", "", "invoice", Verb::Retrieve(Kind::InvoiceItem)),
    post(
        "/v1/invoiceitems",
        "amount:int currency:text customer:text description:text discountable:bool invoice:text metadata:metadata period[start]:int \
         period[end]:int pricing[price]:text quantity:int subscription:text unit_amount_decimal:decimal",
        "invoice",
        create,
    ),
    post("/v1/invoiceitems/{id}", "amount:int description:text discountable:bool metadata:metadata", "invoice", update),
    delete("/v1/invoiceitems/{id}", "", "invoice", remove),
];

/// What an invoice item is made from.
pub(crate) struct NewItem<'a> {
    pub(crate) id: &'a str,
    pub(crate) livemode: bool,
    pub(crate) date: i64,
    pub(crate) customer: &'a str,
    pub(crate) amount: i64,
    pub(crate) currency: &'a str,
    pub(crate) description: Option<&'a str>,
    pub(crate) invoice: Option<&'a str>,
    pub(crate) period: (i64, i64),
    pub(crate) priced: Option<Priced<'a>>,
    pub(crate) unit_amount_decimal: &'a str,
    pub(crate) quantity: i64,
    pub(crate) proration: bool,
    pub(crate) subscription: Option<&'a str>,
    pub(crate) metadata: &'a dyn Json,
}

/// The invoice item object.
pub(crate) fn text(new: &NewItem<'_>) -> String {
    let parent = new
        .subscription
        .map(|subscription| json_text!({ "subscription_details": { "subscription": subscription }, "type": "subscription_details" }));
    let pricing = match new.priced {
        Some(priced) => json_text!({
            "price_details": { "price": priced.price, "product": priced.product }, "type": "price_details", "unit_amount_decimal": new.unit_amount_decimal,
        }),
        None => json_text!({ "type": "price_details", "unit_amount_decimal": new.unit_amount_decimal }),
    };
    json_text!({
        "id": new.id,
        "object": "invoiceitem",
        "amount": new.amount,
        "currency": new.currency,
        "customer": new.customer,
        "customer_account": null,
        "date": new.date,
        "description": new.description,
        "discountable": !new.proration,
        "discounts": [],
        "invoice": new.invoice,
        "livemode": new.livemode,
        "metadata": new.metadata,
        "net_amount": new.amount,
        "parent": parent.as_deref().map(Raw),
        "period": { "end": new.period.1, "start": new.period.0 },
        "pricing": Raw(&pricing),
        "proration": new.proration,
        "quantity": new.quantity,
        "quantity_decimal": new.quantity.to_string(),
        "tax_rates": [],
        "test_clock": null,
    })
}

fn prepare(book: &Book, call: &mut Call, query: &mut Query) -> Result<(), Refusal> {
    if !call.parameters.has("invoice") {
        leave_out_clocks(book, Kind::InvoiceItem, call, query);
    }
    if let (Some(pending), Some(facet)) =
        (call.parameters.take("pending"), book.table(Kind::InvoiceItem).facet("invoice"))
        && pending == true
    {
        query.tests.push(Test::Absent(facet));
    }
    Ok(())
}

fn create(work: &mut Work<'_>, call: &Call) -> Result<Arc<str>, Refusal> {
    let parameters = &call.parameters;
    let metadata = parameters.new_metadata()?;
    let draft = work.named(Kind::Invoice, parameters, "invoice")?;
    let customer = match (parameters.text("customer"), &draft) {
        (Some(customer), _) => customer.to_owned(),
        (None, Some(draft)) => text_of(draft, "customer").to_owned(),
        (None, None) => return Err(Refusal::missing("customer")),
    };
    let owner = work.value(Kind::Customer, &customer, Some("customer"))?;
    if let Some(draft) = &draft {
        invoice::must_be_draft(draft)?;
        if text_of(draft, "customer") != customer {
            return Err(Refusal::bad("The invoice belongs to another customer.").param("invoice"));
        }
    }
    let priced = work.named(Kind::Price, parameters, "pricing[price]")?;
    let quantity = parameters.int("quantity").unwrap_or(1);
    let (amount, decimal, currency) = match (&priced, parameters.int("amount"), parameters.text("unit_amount_decimal"))
    {
        (Some(price), None, None) => {
            let decimal = text_of(price, "unit_amount_decimal").to_owned();
            (price::amount(price, quantity), decimal, text_of(price, "currency").to_owned())
        }
        (None, Some(amount), None) => (amount, amount.to_string(), String::new()),
        (None, None, Some(decimal)) => (price::decimal_amount(decimal, quantity), decimal.to_owned(), String::new()),
        _ => {
            return Err(Refusal::bad("Exactly one of amount, unit_amount_decimal and pricing[price] must be given.")
                .code("parameter_missing")
                .param("amount"));
        }
    };
    let currency = match (currency.as_str(), parameters.text("currency"), &draft) {
        ("", Some(given), _) => given.to_ascii_lowercase(),
        ("", None, Some(draft)) => text_of(draft, "currency").to_owned(),
        ("", None, None) => owner["currency"].as_str().unwrap_or("usd").to_owned(),
        (of_price, _, _) => of_price.to_owned(),
    };
    price::check_currency(&currency)?;
    let id = work.ids.new_id("ii_");
    let period =
        (parameters.int("period[start]").unwrap_or(work.now), parameters.int("period[end]").unwrap_or(work.now));
    let item = work.insert(
        Kind::InvoiceItem,
        text(&NewItem {
            id: &id,
            livemode: work.book.livemode,
            date: work.now,
            customer: &customer,
            amount,
            currency: &currency,
            description: parameters.text("description"),
            invoice: None,
            period,
            priced: priced
                .as_ref()
                .map(|price| Priced { price: text_of(price, "id"), product: text_of(price, "product") }),
            unit_amount_decimal: &decimal,
            quantity,
            proration: false,
            subscription: parameters.text("subscription"),
            metadata: &metadata,
        }),
    );
    work.emit("invoiceitem.created", &item);
    if let Some(draft) = draft {
        take(work, &id, text_of(&draft, "id"))?;
        let change = invoice::recompute(work, text_of(&draft, "id"))?;
        work.emit_updated("invoice.updated", &change);
    }
    work.text(Kind::InvoiceItem, &id, None)
}

/// Puts an item on a draft: a line of its own.
pub(crate) fn take(work: &mut Work<'_>, id: &str, invoice: &str) -> Result<(), Refusal> {
    let change = work.change(Kind::InvoiceItem, id, |item| {
        item["invoice"] = invoice.into();
        Ok(())
    })?;
    let item = change.after;
    let details = &item["pricing"]["price_details"];
    let priced =
        details.is_object().then(|| Priced { price: text_of(details, "price"), product: text_of(details, "product") });
    let line_id = work.ids.new_id("il_");
    let line = invoice_line::text(&NewLine {
        id: &line_id,
        invoice,
        livemode: work.book.livemode,
        amount: int_of(&item, "amount"),
        currency: text_of(&item, "currency"),
        description: item["description"].as_str(),
        quantity: int_of(&item, "quantity"),
        unit_amount_decimal: text_of(&item["pricing"], "unit_amount_decimal"),
        period: (int_of(&item["period"], "start"), int_of(&item["period"], "end")),
        priced,
        origin: Origin::Item {
            item: id,
            proration: item["proration"] == true,
            subscription: item["parent"]["subscription_details"]["subscription"].as_str(),
        },
        metadata: &item["metadata"],
    });
    work.insert(Kind::InvoiceLine, line);
    Ok(())
}

/// The items of a customer that no invoice has taken, in this currency.
pub(crate) fn pending(work: &Work<'_>, customer: &str, currency: &str) -> Vec<String> {
    let items = work.book.table(Kind::InvoiceItem).with("customer", customer);
    items
        .iter()
        .map(|text| parse(text))
        .filter(|item| item["invoice"].is_null() && item["currency"] == currency)
        .map(|item| text_of(&item, "id").to_owned())
        .collect()
}

/// The draft that an item is on, if any; an item of a finished invoice cannot be touched.
fn draft_of(work: &Work<'_>, item: &Value) -> Result<Option<String>, Refusal> {
    let Some(id) = item["invoice"].as_str() else { return Ok(None) };
    invoice::must_be_draft(&work.value(Kind::Invoice, id, Some("invoice"))?)?;
    Ok(Some(id.to_owned()))
}

fn line_of(work: &Work<'_>, invoice: &str, item: &str) -> Option<Value> {
    let lines = work.book.table(Kind::InvoiceLine).with("invoice", invoice);
    lines.iter().map(|line| parse(line)).find(|line| line["parent"]["invoice_item_details"]["invoice_item"] == item)
}

fn update(work: &mut Work<'_>, call: &Call) -> Result<Arc<str>, Refusal> {
    let parameters = &call.parameters;
    let item = work.value(Kind::InvoiceItem, &call.id, None)?;
    let draft = draft_of(work, &item)?;
    let change = work.change(Kind::InvoiceItem, &call.id, |item| {
        parameters.merge_metadata(item)?;
        parameters.copy_to(item, &["description", "discountable"]);
        if let Some(amount) = parameters.int("amount") {
            item["amount"] = amount.into();
            item["net_amount"] = amount.into();
            item["pricing"]["unit_amount_decimal"] = amount.to_string().into();
        }
        Ok(())
    })?;
    if let Some(invoice) = draft
        && let Some(mut line) = line_of(work, &invoice, &call.id)
    {
        for member in ["amount", "description", "metadata", "discountable"] {
            line[member] = change.after[member].clone();
        }
        line["subtotal"] = change.after["amount"].clone();
        work.save(Kind::InvoiceLine, &line);
        let change = invoice::recompute(work, &invoice)?;
        work.emit_updated("invoice.updated", &change);
    }
    Ok(change.text)
}

fn remove(work: &mut Work<'_>, call: &Call) -> Result<Arc<str>, Refusal> {
    let item = work.value(Kind::InvoiceItem, &call.id, None)?;
    let draft = draft_of(work, &item)?;
    let text = work.text(Kind::InvoiceItem, &call.id, None)?;
    work.remove(Kind::InvoiceItem, &call.id, None);
    if let Some(invoice) = draft {
        if let Some(line) = line_of(work, &invoice, &call.id) {
            work.remove(Kind::InvoiceLine, text_of(&line, "id"), None);
        }
        let change = invoice::recompute(work, &invoice)?;
        work.emit_updated("invoice.updated", &change);
    }
    work.emit("invoiceitem.deleted", &text);
    Ok(json_text!({ "id": call.id, "object": "invoiceitem", "deleted": true }).into())
}
