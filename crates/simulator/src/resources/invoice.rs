//! Invoices: draft, open, paid, void, uncollectible (FACTS section 11). What pays one is read from invoice payments.

use super::{
    Call, Endpoint, Kind, Resource, Verb, delete, get, invoice_item, invoice_payment,
    payment_intent::{self, How, NewIntent},
    payment_method, post, price, simple, subscription,
};
use crate::{
    calendar::DAY,
    json::{Json, Raw, json_text},
    problem::Refusal,
    table::Facet,
    work::{Change, Work, int_of, parse, text_of},
};
use serde_json::{Value, json};
use std::sync::Arc;

pub(crate) static RESOURCE: Resource = Resource {
    kind: Kind::Invoice,
    object: "invoice",
    facets: &[
        Facet::id("customer"),
        Facet::id_at("subscription", "parent.subscription_details.subscription"),
        Facet::word("status"),
        Facet::word("collection_method"),
        Facet::word("due_date"),
    ],
    expands: &[
        "account_tax_ids",
        "application",
        "confirmation_secret",
        "customer",
        "default_payment_method",
        "default_source",
        "discounts",
        "latest_revision",
        "on_behalf_of",
        "parent.subscription_details.subscription",
        "payments",
        "test_clock",
    ],
    endpoints: &ENDPOINTS,
};

const UPDATE: &str = "auto_advance:bool collection_method:one(charge_automatically|send_invoice) days_until_due:int \
    default_payment_method:text description:text due_date:int footer:text metadata:metadata statement_descriptor:text";
const CREATE: &str = "auto_advance:bool collection_method:one(charge_automatically|send_invoice) currency:text customer:text! \
    days_until_due:int default_payment_method:text description:text due_date:int footer:text metadata:metadata \
    pending_invoice_items_behavior:one(exclude|include) statement_descriptor:text subscription:text";

static ENDPOINTS: [Endpoint; 10] = [
    get(
        "/v1/invoices",
        "collection_method:one(charge_automatically|send_invoice) created:times customer:text due_date:times \
         status:one(draft|open|paid|uncollectible|void) subscription:text",
        "invoice",
        Verb::List(Kind::Invoice, simple),
    ),
    get("/v1/invoices/{id}", "", "invoice", Verb::Retrieve(Kind::Invoice)),
    post("/v1/invoices", CREATE, "invoice", create),
    post("/v1/invoices/{id}", UPDATE, "invoice", update),
    delete("/v1/invoices/{id}", "", "invoice", remove),
    post("/v1/invoices/{id}/finalize", "auto_advance:bool", "invoice", finalize_call),
    post("/v1/invoices/{id}/pay", "off_session:bool paid_out_of_band:bool payment_method:text", "invoice", pay),
    post("/v1/invoices/{id}/send", "", "invoice", send),
    post("/v1/invoices/{id}/void", "", "invoice", void),
    post("/v1/invoices/{id}/mark_uncollectible", "", "invoice", give_up),
];

/// How many lines an invoice shows in itself.
pub(crate) const LINES_SHOWN: usize = 10;
/// How often a renewal is tried before the subscription ends, and the pause between the tries.
pub(crate) const ATTEMPTS_MAX: i64 = 4;
pub(crate) const RETRY_SECONDS: i64 = 3 * DAY;

/// Who an invoice is for, as it shows them.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct BilledTo<'a> {
    pub(crate) customer: &'a str,
    pub(crate) name: Option<&'a str>,
    pub(crate) email: Option<&'a str>,
    pub(crate) country: Option<&'a str>,
}

/// What an invoice is made from.
pub(crate) struct NewInvoice<'a> {
    pub(crate) id: &'a str,
    pub(crate) livemode: bool,
    pub(crate) created: i64,
    pub(crate) account_name: &'a str,
    pub(crate) billed_to: BilledTo<'a>,
    pub(crate) currency: &'a str,
    pub(crate) status: &'a str,
    pub(crate) billing_reason: &'a str,
    pub(crate) subscription: Option<&'a str>,
    pub(crate) subscription_metadata: &'a dyn Json,
    pub(crate) number: Option<&'a str>,
    /// The lines shown, newest first, and whether there are more.
    pub(crate) lines: &'a [Raw<'a>],
    pub(crate) more_lines: bool,
    pub(crate) total: i64,
    pub(crate) attempt_count: i64,
    pub(crate) finalized_at: Option<i64>,
    pub(crate) paid_at: Option<i64>,
    pub(crate) marked_uncollectible_at: Option<i64>,
    pub(crate) next_payment_attempt: Option<i64>,
    pub(crate) period: (i64, i64),
    pub(crate) auto_advance: bool,
    pub(crate) default_payment_method: Option<&'a str>,
    pub(crate) metadata: &'a dyn Json,
}

/// The invoice object.
pub(crate) fn text(new: &NewInvoice<'_>) -> String {
    let parent = new.subscription.map(|subscription| {
        json_text!({
            "quote_details": null,
            "subscription_details": { "metadata": new.subscription_metadata, "subscription": subscription },
            "type": "subscription_details",
        })
    });
    let due = new.total.max(0);
    let paid = if new.paid_at.is_some() { due } else { 0 };
    let page = new.finalized_at.map(|_| format!("https://invoice.stripe.com/i/{}", new.id));
    let pdf = page.as_ref().map(|page| format!("{page}/pdf"));
    let address = new.billed_to.country.map(|country| {
        json_text!({ "city": null, "country": country, "line1": null, "line2": null, "postal_code": null, "state": null })
    });
    json_text!({
        "id": new.id,
        "object": "invoice",
        "account_country": "US",
        "account_name": new.account_name,
        "account_tax_ids": null,
        "amount_due": due,
        "amount_overpaid": 0_i64,
        "amount_paid": paid,
        "amount_remaining": due - paid,
        "amount_shipping": 0_i64,
        "application": null,
        "attempt_count": new.attempt_count,
        "attempted": new.attempt_count > 0,
        "auto_advance": new.auto_advance,
        "automatic_tax": { "disabled_reason": null, "enabled": false, "liability": null, "provider": null, "status": null },
        "automatically_finalizes_at": null,
        "billing_reason": new.billing_reason,
        "collection_method": "charge_automatically",
        "created": new.created,
        "currency": new.currency,
        "custom_fields": null,
        "customer": new.billed_to.customer,
        "customer_account": null,
        "customer_address": address.as_deref().map(Raw),
        "customer_email": new.billed_to.email,
        "customer_name": new.billed_to.name,
        "customer_phone": null,
        "customer_shipping": null,
        "customer_tax_exempt": "none",
        "customer_tax_ids": [],
        "default_payment_method": new.default_payment_method,
        "default_source": null,
        "default_tax_rates": [],
        "description": null,
        "discounts": [],
        "due_date": null,
        "effective_at": new.finalized_at,
        "ending_balance": new.finalized_at.map(|_| 0_i64),
        "footer": null,
        "from_invoice": null,
        "hosted_invoice_url": page,
        "invoice_pdf": pdf,
        "issuer": { "type": "self" },
        "last_finalization_error": null,
        "latest_revision": null,
        "lines": {
            "object": "list", "data": new.lines, "has_more": new.more_lines, "url": format!("/v1/invoices/{}/lines", new.id),
        },
        "livemode": new.livemode,
        "metadata": new.metadata,
        "next_payment_attempt": new.next_payment_attempt,
        "number": new.number,
        "on_behalf_of": null,
        "parent": parent.as_deref().map(Raw),
        "payment_settings": { "default_mandate": null, "payment_method_options": null, "payment_method_types": null },
        "period_end": new.period.1,
        "period_start": new.period.0,
        "post_payment_credit_notes_amount": 0_i64,
        "pre_payment_credit_notes_amount": 0_i64,
        "receipt_number": null,
        "rendering": null,
        "shipping_cost": null,
        "shipping_details": null,
        "starting_balance": 0_i64,
        "statement_descriptor": null,
        "status": new.status,
        "status_transitions": {
            "finalized_at": new.finalized_at,
            "marked_uncollectible_at": new.marked_uncollectible_at,
            "paid_at": new.paid_at,
            "voided_at": null,
        },
        "subtotal": new.total,
        "subtotal_excluding_tax": new.total,
        "test_clock": null,
        "total": new.total,
        "total_discount_amounts": [],
        "total_excluding_tax": new.total,
        "total_pretax_credit_amounts": [],
        "total_taxes": [],
        "webhooks_delivered_at": new.created,
    })
}

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

fn create(work: &mut Work<'_>, call: &Call) -> Result<Arc<str>, Refusal> {
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
    work.emit("invoice.created", &change.text);
    Ok(change.text)
}

fn check_sending(method: Option<&str>, call: &Call) -> Result<(), Refusal> {
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

fn fill(invoice: &mut Value, call: &Call, now: i64) {
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

fn update(work: &mut Work<'_>, call: &Call) -> Result<Arc<str>, Refusal> {
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
    Ok(change.text)
}

fn remove(work: &mut Work<'_>, call: &Call) -> Result<Arc<str>, Refusal> {
    let invoice = work.value(Kind::Invoice, &call.id, None)?;
    if invoice["status"] != "draft" {
        return Err(Refusal::bad("You can only delete draft invoices.").code("invoice_not_editable"));
    }
    let text = work.text(Kind::Invoice, &call.id, None)?;
    for line in work.book.table(Kind::InvoiceLine).with("invoice", &call.id) {
        let line = parse(&line);
        work.book.table_mut(Kind::InvoiceLine).remove(text_of(&line, "id"), None);
    }
    for item in work.book.table(Kind::InvoiceItem).with("invoice", &call.id) {
        let mut item = parse(&item);
        item["invoice"] = Value::Null;
        work.save(Kind::InvoiceItem, &item);
    }
    work.book.table_mut(Kind::Invoice).remove(&call.id, None);
    work.emit("invoice.deleted", &text);
    Ok(json_text!({ "id": call.id, "object": "invoice", "deleted": true }).into())
}

fn finalize_call(work: &mut Work<'_>, call: &Call) -> Result<Arc<str>, Refusal> {
    must_be_draft(&work.value(Kind::Invoice, &call.id, None)?).map_err(|_| {
        Refusal::bad("This invoice is already finalized, you can't re-finalize a non-draft invoice.")
            .code("invoice_not_editable")
    })?;
    finalize(work, &call.id)
}

/// Fixes a draft: number, date, and the payment that is to pay it. Nothing to pay means paid.
pub(crate) fn finalize(work: &mut Work<'_>, id: &str) -> Result<Arc<str>, Refusal> {
    let now = work.now;
    let invoice = work.value(Kind::Invoice, id, None)?;
    let customer = work.value(Kind::Customer, text_of(&invoice, "customer"), None)?;
    let due = int_of(&invoice, "amount_due");
    let sequence = int_of(&customer, "next_invoice_sequence").max(1);
    let number = format!("{}-{sequence:04}", customer["invoice_prefix"].as_str().unwrap_or("INV"));
    work.change(Kind::Customer, text_of(&customer, "id"), |customer| {
        customer["next_invoice_sequence"] = (sequence + 1).into();
        Ok(())
    })?;
    if due > 0 {
        let (intent, secret) = (work.ids.new_id("pi_"), work.ids.letters("", 25));
        let text = work.insert(
            Kind::PaymentIntent,
            payment_intent::text(&NewIntent {
                id: &intent,
                secret: &secret,
                livemode: work.book.livemode,
                created: now,
                amount: due,
                currency: text_of(&invoice, "currency"),
                status: "requires_payment_method",
                customer: invoice["customer"].as_str(),
                description: Some(if invoice["parent"].is_object() {
                    "Subscription update"
                } else {
                    "Payment for Invoice"
                }),
                payment_method: None,
                latest_charge: None,
                metadata: &Raw("{}"),
            }),
        );
        work.emit("payment_intent.created", &text);
        let payment = work.ids.new_id("inpay_");
        work.insert(
            Kind::InvoicePayment,
            invoice_payment::text(&invoice_payment::NewPayment {
                id: &payment,
                livemode: work.book.livemode,
                created: now,
                invoice: id,
                payment_intent: &intent,
                amount: due,
                currency: text_of(&invoice, "currency"),
                status: "open",
                paid_at: None,
                canceled_at: None,
            }),
        );
    }
    let change = work.change(Kind::Invoice, id, |invoice| {
        invoice["status"] = "open".into();
        invoice["number"] = number.into();
        invoice["effective_at"] = now.into();
        invoice["ending_balance"] = 0.into();
        invoice["status_transitions"]["finalized_at"] = now.into();
        let page = format!("https://invoice.stripe.com/i/{id}");
        invoice["invoice_pdf"] = format!("{page}/pdf").into();
        invoice["hosted_invoice_url"] = page.into();
        Ok(())
    })?;
    work.emit("invoice.finalized", &change.text);
    if due == 0 { mark_paid(work, id, false) } else { Ok(change.text) }
}

/// The payment that is to pay an invoice, if one is open.
fn open_payment(work: &Work<'_>, invoice: &str) -> Option<Value> {
    let payments = work.book.table(Kind::InvoicePayment).with("invoice", invoice);
    payments.iter().map(|payment| parse(payment)).find(|payment| payment["status"] == "open")
}

/// The payment method an invoice is paid with, unless another is named.
pub(crate) fn method_for(work: &Work<'_>, invoice: &Value) -> Option<String> {
    let subscription = invoice["parent"]["subscription_details"]["subscription"].as_str();
    let subscription = subscription.and_then(|id| work.value(Kind::Subscription, id, None).ok());
    let customer = work.value(Kind::Customer, text_of(invoice, "customer"), None).ok();
    let of_subscription =
        subscription.as_ref().and_then(|subscription| subscription["default_payment_method"].as_str());
    let of_customer =
        customer.as_ref().and_then(|customer| customer["invoice_settings"]["default_payment_method"].as_str());
    invoice["default_payment_method"].as_str().or(of_subscription).or(of_customer).map(str::to_owned)
}

fn pay(work: &mut Work<'_>, call: &Call) -> Result<Arc<str>, Refusal> {
    let parameters = &call.parameters;
    let invoice = work.value(Kind::Invoice, &call.id, None)?;
    match text_of(&invoice, "status") {
        "paid" => return Err(Refusal::bad("Invoice is already paid").code("invoice_already_paid")),
        "void" => return Err(Refusal::bad("Voided invoices cannot be paid").code("invoice_not_editable")),
        _ => {}
    }
    let method = match parameters.text("payment_method") {
        Some(id) => Some(text_of(&payment_method::resolve(work, id, Some("payment_method"))?, "id").to_owned()),
        None => method_for(work, &invoice),
    };
    let by_hand = parameters.yes("paid_out_of_band");
    if method.is_none() && !by_hand && int_of(&invoice, "amount_due") > 0 {
        return Err(Refusal::bad(
            "There is no default_payment_method set on this Customer or Invoice. Please set a default_payment_method.",
        )
        .code("missing"));
    }
    if invoice["status"] == "draft" {
        finalize(work, &call.id)?;
    }
    let invoice = work.value(Kind::Invoice, &call.id, None)?;
    if by_hand && invoice["status"] != "paid" {
        if let Some(payment) = open_payment(work, &call.id) {
            payment_intent::cancel_intent(work, text_of(&payment["payment"], "payment_intent"), None)?;
            close_payment(work, &payment, "canceled");
        }
        return mark_paid(work, &call.id, true);
    }
    match method {
        Some(method) if invoice["status"] != "paid" => attempt(
            work,
            &call.id,
            &method,
            &How { off_session: parameters.at("off_session").is_none_or(|off| off == true), error_on_action: false },
        ),
        _ => work.text(Kind::Invoice, &call.id, None),
    }
}

/// Tries to pay an open invoice.
pub(crate) fn attempt(work: &mut Work<'_>, id: &str, method: &str, how: &How) -> Result<Arc<str>, Refusal> {
    let Some(payment) = open_payment(work, id) else { return work.text(Kind::Invoice, id, None) };
    let intent = text_of(&payment["payment"], "payment_intent").to_owned();
    work.change(Kind::PaymentIntent, &intent, |intent| {
        intent["payment_method"] = method.into();
        Ok(())
    })?;
    work.change(Kind::Invoice, id, |invoice| {
        invoice["attempt_count"] = (int_of(invoice, "attempt_count") + 1).into();
        invoice["attempted"] = true.into();
        Ok(())
    })?;
    let outcome = payment_intent::confirm(work, &intent, how);
    let paid =
        outcome.as_ref().is_ok_and(|text| crate::json::plain_member(text, "status").as_deref() == Some("succeeded"));
    if paid {
        close_payment(work, &payment, "paid");
        return mark_paid(work, id, false);
    }
    let invoice = work.text(Kind::Invoice, id, None)?;
    if outcome.is_ok() {
        work.emit("invoice.payment_action_required", &invoice);
    } else {
        work.emit("invoice.payment_failed", &invoice);
    }
    outcome.map(|_| invoice)
}

fn close_payment(work: &mut Work<'_>, payment: &Value, status: &str) {
    let mut payment = payment.clone();
    payment["status"] = status.into();
    if status == "paid" {
        payment["amount_paid"] = payment["amount_requested"].clone();
        payment["status_transitions"]["paid_at"] = work.now.into();
    } else {
        payment["status_transitions"]["canceled_at"] = work.now.into();
    }
    let text = work.save(Kind::InvoicePayment, &payment);
    if status == "paid" {
        work.emit("invoice_payment.paid", &text);
    }
}

/// An invoice is paid: by a payment, by hand, or because there was nothing to pay.
pub(crate) fn mark_paid(work: &mut Work<'_>, id: &str, by_hand: bool) -> Result<Arc<str>, Refusal> {
    let now = work.now;
    let change = work.change(Kind::Invoice, id, |invoice| {
        invoice["status"] = "paid".into();
        // What was paid outside of Stripe is not Stripe's to count, yet nothing remains.
        invoice["amount_paid"] = if by_hand { json!(0) } else { invoice["amount_due"].clone() };
        invoice["amount_remaining"] = 0.into();
        invoice["next_payment_attempt"] = Value::Null;
        invoice["auto_advance"] = false.into();
        invoice["status_transitions"]["paid_at"] = now.into();
        Ok(())
    })?;
    work.emit_updated("invoice.updated", &change);
    work.emit("invoice.paid", &change.text);
    if !by_hand && int_of(&change.after, "amount_paid") > 0 {
        work.emit("invoice.payment_succeeded", &change.text);
    }
    if let Some(id) = change.after["parent"]["subscription_details"]["subscription"].as_str() {
        subscription::invoice_paid(work, id)?;
    }
    Ok(change.text)
}

fn send(work: &mut Work<'_>, call: &Call) -> Result<Arc<str>, Refusal> {
    let invoice = work.value(Kind::Invoice, &call.id, None)?;
    if invoice["collection_method"] != "send_invoice" {
        return Err(Refusal::bad("You can only manually send an invoice if its collection method is 'send_invoice'."));
    }
    if invoice["status"] == "draft" {
        finalize(work, &call.id)?;
    }
    let text = work.text(Kind::Invoice, &call.id, None)?;
    work.emit("invoice.sent", &text);
    Ok(text)
}

fn must_be_owed(work: &Work<'_>, id: &str, what: &str) -> Result<(), Refusal> {
    let invoice = work.value(Kind::Invoice, id, None)?;
    match text_of(&invoice, "status") {
        "open" => Ok(()),
        "uncollectible" if what == "void" => Ok(()),
        status => Err(Refusal::bad(format!("You can only {what} an open invoice; this one is {status}."))
            .code("invoice_not_editable")),
    }
}

fn void(work: &mut Work<'_>, call: &Call) -> Result<Arc<str>, Refusal> {
    must_be_owed(work, &call.id, "void")?;
    void_invoice(work, &call.id)
}

/// Voids an invoice; its payment is cancelled.
pub(crate) fn void_invoice(work: &mut Work<'_>, id: &str) -> Result<Arc<str>, Refusal> {
    let now = work.now;
    if let Some(payment) = open_payment(work, id) {
        payment_intent::cancel_intent(work, text_of(&payment["payment"], "payment_intent"), Some("void_invoice"))?;
        close_payment(work, &payment, "canceled");
    }
    let change = work.change(Kind::Invoice, id, |invoice| {
        invoice["status"] = "void".into();
        invoice["auto_advance"] = false.into();
        invoice["next_payment_attempt"] = Value::Null;
        invoice["status_transitions"]["voided_at"] = now.into();
        Ok(())
    })?;
    work.emit_updated("invoice.updated", &change);
    work.emit("invoice.voided", &change.text);
    Ok(change.text)
}

fn give_up(work: &mut Work<'_>, call: &Call) -> Result<Arc<str>, Refusal> {
    must_be_owed(work, &call.id, "mark as uncollectible")?;
    let now = work.now;
    let change = work.change(Kind::Invoice, &call.id, |invoice| {
        invoice["status"] = "uncollectible".into();
        invoice["auto_advance"] = false.into();
        invoice["next_payment_attempt"] = Value::Null;
        invoice["status_transitions"]["marked_uncollectible_at"] = now.into();
        Ok(())
    })?;
    work.emit_updated("invoice.updated", &change);
    work.emit("invoice.marked_uncollectible", &change.text);
    Ok(change.text)
}
