//! Expanding ids into objects: nested, through lists, at most four levels deep (FACTS section 3).

use crate::{
    book::Book,
    problem::Refusal,
    resources::{Kind, invoice::LINES_SHOWN},
    table::{Query, Test},
    work::{parse, text_of},
};
use serde_json::{Value, json};

const DEPTH_MAX: usize = 4;

/// Expands `paths` in an object.
pub(crate) fn expand(book: &Book, object: &mut Value, paths: &[&str]) -> Result<(), Refusal> {
    for path in paths {
        let segments: Vec<&str> = path.split('.').collect();
        if segments.len() > DEPTH_MAX {
            return Err(Refusal::bad(format!(
                "You cannot expand more than {DEPTH_MAX} levels of a property. Property: {path}"
            ))
            .param("expand"));
        }
        walk(book, object, &segments, "", path)?;
    }
    Ok(())
}

/// On lists and searches the objects are in `data`: a path that begins elsewhere is refused.
pub(crate) fn check_list(paths: &[&str]) -> Result<(), Refusal> {
    match paths.iter().find(|path| !path.starts_with("data.")) {
        Some(path) => Err(Refusal::bad(format!(
            "This property cannot be expanded ({path}). You may want to try expanding 'data.{path}'."
        ))
        .param("expand")),
        None => Ok(()),
    }
}

/// `within` is the path from the nearest object with an `object` member: `expands` tables speak from there.
fn walk(book: &Book, value: &mut Value, segments: &[&str], within: &str, path: &str) -> Result<(), Refusal> {
    let Some((segment, rest)) = segments.split_first() else { return Ok(()) };
    if let Value::Array(elements) = value {
        for element in elements {
            walk(book, element, segments, within, path)?;
        }
        return Ok(());
    }
    let object = value["object"].as_str().map(str::to_owned);
    let within = if object.is_some() { "" } else { within };
    let here = if within.is_empty() { (*segment).to_owned() } else { format!("{within}.{segment}") };
    if let Some(kind) = object.as_deref().and_then(Kind::of) {
        add_virtual(book, value, kind, segment);
    }
    let Some(member) = value.get_mut(*segment) else {
        // Members that an object of this type may lack are not an error; words that it never has are.
        return match object.as_deref().and_then(Kind::of) {
            Some(kind)
                if kind
                    .resource()
                    .expands
                    .iter()
                    .any(|name| *name == here || name.starts_with(&format!("{here}."))) =>
            {
                Ok(())
            }
            _ => Err(Refusal::bad(format!("This property cannot be expanded ({path}).")).param("expand")),
        };
    };
    if rest.is_empty()
        && !matches!(member, Value::String(_) | Value::Null)
        && !is_list(member)
        && !member["object"].is_string()
        && (object.is_none() || !expandable(object.as_deref(), &here))
    {
        return Err(Refusal::bad(format!("This property cannot be expanded ({path}).")).param("expand"));
    }
    match member {
        Value::String(id) => {
            let found = book.find(id).map(|text| parse(text));
            match found {
                Some(found) => *member = found,
                None if expandable(object.as_deref(), &here) => {}
                None => return Err(Refusal::bad(format!("This property cannot be expanded ({path}).")).param("expand")),
            }
        }
        Value::Null => return Ok(()),
        _ => {}
    }
    if rest.is_empty() {
        return Ok(());
    }
    let next = if member["object"].is_string() { String::new() } else { here };
    walk(book, member, rest, &next, path)
}

fn is_list(value: &Value) -> bool {
    value.is_array() || value["object"] == "list"
}

fn expandable(object: Option<&str>, member: &str) -> bool {
    object.and_then(Kind::of).is_none_or(|kind| kind.resource().expands.contains(&member))
}

/// Members that are there only when asked for (FACTS section 3).
fn add_virtual(book: &Book, value: &mut Value, kind: Kind, segment: &str) {
    let id = text_of(value, "id").to_owned();
    let list = |of: Kind, param: &str, url: String| -> Value {
        let table = book.table(of);
        let mut query = Query::newest(LINES_SHOWN);
        if let Some(facet) = table.facet(param) {
            query.tests.push(Test::Is(facet, id.clone()));
        }
        let page = table.page(&query);
        let data: Vec<Value> = page.texts.iter().map(|text| parse(text)).collect();
        json!({ "object": "list", "data": data, "has_more": page.has_more, "url": url })
    };
    let added = match (kind, segment) {
        (Kind::Charge, "refunds") => list(Kind::Refund, "charge", format!("/v1/charges/{id}/refunds")),
        (Kind::Invoice, "payments") => {
            list(Kind::InvoicePayment, "invoice", format!("/v1/invoice_payments?invoice={id}"))
        }
        (Kind::Customer, "subscriptions") => {
            list(Kind::Subscription, "customer", format!("/v1/customers/{id}/subscriptions"))
        }
        (Kind::Customer, "sources") => {
            json!({ "object": "list", "data": [], "has_more": false, "url": format!("/v1/customers/{id}/sources") })
        }
        (Kind::Invoice, "confirmation_secret") => secret_of(book, &id),
        _ => return,
    };
    value[segment] = added;
}

/// What a page needs to confirm the payment of an invoice.
fn secret_of(book: &Book, invoice: &str) -> Value {
    let payments = book.table(Kind::InvoicePayment).with("invoice", invoice);
    let intent = payments.last().map(|payment| parse(payment)).and_then(|payment| {
        book.get(Kind::PaymentIntent, text_of(&payment["payment"], "payment_intent")).map(|text| parse(text))
    });
    intent.map_or(Value::Null, |intent| json!({ "client_secret": intent["client_secret"], "type": "payment_intent" }))
}
