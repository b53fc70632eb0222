//! Drafts: opened, filled, added up, changed, deleted.

use super::{BilledTo, LINES_SHOWN, NewInvoice, text};
use crate::resources::{Call, Kind, invoice_item, price};
use crate::{
    calendar::DAY,
    json::json_text,
    problem::Refusal,
    work::{Change, Work, parse, text_of},
};
use serde_json::{Value, json};
use std::sync::Arc;

/// Refuses a change that only drafts take.
pub(crate) fn must_be_draft(invoice: &Value) -> Result<(), Refusal> {
    if invoice["status"] == "draft" {
        return Ok(());
    }
    Err(Refusal::bad("This invoice is no longer editable: it is not a draft.").code("invoice_not_editable"))
}

/// Adds up the lines of a draft again and shows the newest of them.
pub(crate) fn recompute(work: &mut Work<'_>, id: &str) -> Result<Change, Refusal> {
    let lines = work.book.table(Kind::InvoiceLine).with("invoice", id);
    let total: i64 = lines.iter().filter_map(|line| crate::json::integer_member(line, "amount")).sum();
    let shown: Vec<Value> = lines.iter().rev().take(LINES_SHOWN).map(|line| parse(line)).collect();
    let more = lines.len() > LINES_SHOWN;
    work.change(Kind::Invoice, id, |invoice| {
        invoice["lines"]["data"] = Value::Array(shown);
        invoice["lines"]["has_more"] = more.into();
        for member in ["subtotal", "subtotal_excluding_tax", "total", "total_excluding_tax"] {
            invoice[member] = total.into();
        }
        for member in ["amount_due", "amount_remaining"] {
            invoice[member] = total.max(0).into();
        }
        Ok(())
    })
}

/// What a draft is opened for.
pub(crate) struct Draft<'a> {
    pub(crate) customer: &'a Value,
    pub(crate) currency: &'a str,
    pub(crate) billing_reason: &'a str,
    pub(crate) subscription: Option<&'a Value>,
    pub(crate) period: (i64, i64),
    pub(crate) auto_advance: bool,
}

/// Opens a draft without lines and answers its id. Emits nothing: the caller does when the lines are on it.
pub(crate) fn open_draft(work: &mut Work<'_>, draft: &Draft<'_>) -> String {
    let id = work.ids.new_id("in_");
    let account = work.book.get(Kind::Account, &work.book.account).map(|text| parse(text)).unwrap_or_default();
    let none = json!({});
    let new = NewInvoice {
        id: &id,
        livemode: work.book.livemode,
        created: work.now,
        account_name: account["business_profile"]["name"].as_str().unwrap_or_default(),
        billed_to: BilledTo {
            customer: text_of(draft.customer, "id"),
            name: draft.customer["name"].as_str(),
            email: draft.customer["email"].as_str(),
            country: draft.customer["address"]["country"].as_str(),
        },
        currency: draft.currency,
        status: "draft",
        billing_reason: draft.billing_reason,
        subscription: draft.subscription.map(|subscription| text_of(subscription, "id")),
        subscription_metadata: draft.subscription.map_or(&none, |subscription| &subscription["metadata"]),
        number: None,
        lines: &[],
        more_lines: false,
        total: 0,
        attempt_count: 0,
        finalized_at: None,
        paid_at: None,
        marked_uncollectible_at: None,
        next_payment_attempt: None,
        period: draft.period,
        auto_advance: draft.auto_advance,
        default_payment_method: None,
        metadata: &none,
    };
    work.insert(Kind::Invoice, text(&new));
    id
}

pub(super) fn create(work: &mut Work<'_>, call: &Call) -> Result<Arc<str>, Refusal> {
    let parameters = &call.parameters;
    let metadata = parameters.new_metadata()?;
    let customer = work.value(Kind::Customer, parameters.text("customer").unwrap_or_default(), Some("customer"))?;
    let subscription = work.named(Kind::Subscription, parameters, "subscription")?;
    let method = work.named(Kind::PaymentMethod, parameters, "default_payment_method")?;
    check_sending(parameters.text("collection_method"), call)?;
    let currency =
        parameters.text("currency").or_else(|| customer["currency"].as_str()).unwrap_or("usd").to_ascii_lowercase();
    price::check_currency(&currency)?;
    let id = open_draft(
        work,
        &Draft {
            customer: &customer,
            currency: &currency,
            billing_reason: "manual",
            subscription: subscription.as_ref(),
            period: (work.now, work.now),
            auto_advance: false,
        },
    );
    if parameters.text("pending_invoice_items_behavior") == Some("include") {
        for item in invoice_item::pending(work, text_of(&customer, "id"), &currency) {
            invoice_item::take(work, &item, &id)?;
        }
    }
    recompute(work, &id)?;
    let now = work.now;
    let change = work.change(Kind::Invoice, &id, |invoice| {
        invoice["metadata"] = metadata;
        fill(invoice, call, now);
        if let Some(method) = &method {
            invoice["default_payment_method"] = method["id"].clone();
        }
        Ok(())
    })?;
    let advances = change.after["auto_advance"] == true;
    let text = if advances {
        super::advance_later(work, &id)?;
        work.text(Kind::Invoice, &id, None)?
    } else {
        change.text
    };
    work.emit("invoice.created", &text);
    Ok(text)
}

pub(super) fn check_sending(method: Option<&str>, call: &Call) -> Result<(), Refusal> {
    let dated = call.parameters.has("days_until_due") || call.parameters.has("due_date");
    if method == Some("send_invoice") && !dated {
        return Err(Refusal::bad(
            "If invoice collection method is 'send_invoice', you must specify 'due_date' or 'days_until_due'.",
        )
        .code("parameter_missing")
        .param("days_until_due"));
    }
    Ok(())
}

pub(super) fn fill(invoice: &mut Value, call: &Call, now: i64) {
    let parameters = &call.parameters;
    parameters.copy_to(
        invoice,
        &[
            "auto_advance",
            "collection_method",
            "default_payment_method",
            "description",
            "due_date",
            "footer",
            "statement_descriptor",
        ],
    );
    if let Some(days) = parameters.int("days_until_due") {
        invoice["due_date"] = (now + days * DAY).into();
    }
}

pub(super) fn update(work: &mut Work<'_>, call: &Call) -> Result<Arc<str>, Refusal> {
    let parameters = &call.parameters;
    let invoice = work.value(Kind::Invoice, &call.id, None)?;
    if parameters.all().any(|(name, _)| {
        !matches!(name.as_str(), "metadata" | "description" | "auto_advance" | "expand" | "default_payment_method")
    }) {
        must_be_draft(&invoice)?;
    }
    work.named(Kind::PaymentMethod, parameters, "default_payment_method")?;
    let now = work.now;
    let change = work.change(Kind::Invoice, &call.id, |invoice| {
        parameters.merge_metadata(invoice)?;
        fill(invoice, call, now);
        Ok(())
    })?;
    work.emit_updated("invoice.updated", &change);
    if change.before["status"] == "draft"
        && change.before["auto_advance"] != true
        && change.after["auto_advance"] == true
    {
        super::advance_later(work, &call.id)?;
        return work.text(Kind::Invoice, &call.id, None);
    }
    Ok(change.text)
}

pub(super) fn remove(work: &mut Work<'_>, call: &Call) -> Result<Arc<str>, Refusal> {
    let invoice = work.value(Kind::Invoice, &call.id, None)?;
    if invoice["status"] != "draft" {
        return Err(Refusal::bad("You can only delete draft invoices.").code("invoice_not_editable"));
    }
    let text = work.text(Kind::Invoice, &call.id, None)?;
    for line in work.book.table(Kind::InvoiceLine).with("invoice", &call.id) {
        let line = parse(&line);
        work.remove(Kind::InvoiceLine, text_of(&line, "id"), None);
    }
    for item in work.book.table(Kind::InvoiceItem).with("invoice", &call.id) {
        let mut item = parse(&item);
        item["invoice"] = Value::Null;
        work.save(Kind::InvoiceItem, &item);
    }
    work.remove(Kind::Invoice, &call.id, None);
    work.emit("invoice.deleted", &text);
    Ok(json_text!({ "id": call.id, "object": "invoice", "deleted": true }).into())
}
