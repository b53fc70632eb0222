//! Payment intents: how money is taken. Confirming one makes a charge, and what the test card does decides the rest.

mod capture;
mod confirm;

pub(crate) use capture::{cancel_intent, capture_amount};
pub(crate) use confirm::{How, confirm};

use super::{Call, Endpoint, Kind, Resource, Verb, get, payment_method, post, price, simple};
use crate::{
    json::{Json, json_text},
    problem::Refusal,
    search::{self, Field},
    table::Facet,
    work::{Work, int_of, parse, text_of},
};
use serde_json::Value;
use std::sync::Arc;

pub(crate) static RESOURCE: Resource = Resource {
    kind: Kind::PaymentIntent,
    object: "payment_intent",
    facets: &[Facet::id("customer"), Facet::word("status")],
    expands: &["application", "customer", "latest_charge", "on_behalf_of", "payment_method", "review"],
    search: Some(&FIELDS),
    endpoints: &ENDPOINTS,
};

const CREATE: &str = "amount:int! currency:text! allowed_payment_method_types[]:text automatic_payment_methods[enabled]:bool \
    automatic_payment_methods[allow_redirects]:one(always|never) capture_method:one(automatic|automatic_async|manual) confirm:bool \
    confirmation_method:one(automatic|manual) customer:text description:text error_on_requires_action:bool metadata:metadata \
    off_session:bool payment_method:text receipt_email:text return_url:text setup_future_usage:one(off_session|on_session) \
    shipping[name]:text shipping[phone]:text shipping[address][city]:text shipping[address][country]:text \
    shipping[address][line1]:text shipping[address][line2]:text shipping[address][postal_code]:text shipping[address][state]:text \
    statement_descriptor:text statement_descriptor_suffix:text transfer_group:text use_stripe_sdk:bool";
const UPDATE: &str = "amount:int currency:text customer:text description:text metadata:metadata payment_method:text receipt_email:text \
    setup_future_usage:one(off_session|on_session) statement_descriptor:text statement_descriptor_suffix:text transfer_group:text";
const CONFIRM: &str = "capture_method:one(automatic|automatic_async|manual) error_on_requires_action:bool off_session:bool \
    payment_method:text receipt_email:text return_url:text setup_future_usage:one(off_session|on_session) use_stripe_sdk:bool";

static FIELDS: [Field; 5] = [
    Field::number("amount"),
    Field::number("created"),
    Field::token("currency"),
    Field::token("customer"),
    Field::token("status"),
];

static ENDPOINTS: [Endpoint; 8] = [
    get("/v1/payment_intents/search", search::ACCEPTS, "payment_intent", Verb::Search(Kind::PaymentIntent)),
    get(
        "/v1/payment_intents",
        "created:times customer:text",
        "payment_intent",
        Verb::List(Kind::PaymentIntent, simple),
    ),
    get("/v1/payment_intents/{id}", "client_secret:text", "payment_intent", Verb::Retrieve(Kind::PaymentIntent)),
    post("/v1/payment_intents", CREATE, "payment_intent", create),
    post("/v1/payment_intents/{id}", UPDATE, "payment_intent", update),
    post("/v1/payment_intents/{id}/confirm", CONFIRM, "payment_intent", confirm::confirm_call),
    post(
        "/v1/payment_intents/{id}/capture",
        "amount_to_capture:int metadata:metadata",
        "payment_intent",
        capture::capture,
    ),
    post(
        "/v1/payment_intents/{id}/cancel",
        "cancellation_reason:one(abandoned|duplicate|fraudulent|requested_by_customer)",
        "payment_intent",
        capture::cancel,
    ),
];

/// What a payment intent is made from.
pub(crate) struct NewIntent<'a> {
    pub(crate) id: &'a str,
    pub(crate) secret: &'a str,
    pub(crate) livemode: bool,
    pub(crate) created: i64,
    pub(crate) amount: i64,
    pub(crate) currency: &'a str,
    pub(crate) status: &'a str,
    pub(crate) customer: Option<&'a str>,
    pub(crate) description: Option<&'a str>,
    pub(crate) payment_method: Option<&'a str>,
    pub(crate) latest_charge: Option<&'a str>,
    pub(crate) metadata: &'a dyn Json,
}

/// The payment intent object.
pub(crate) fn text(new: &NewIntent<'_>) -> String {
    let client_secret = format!("{}_secret_{}", new.id, new.secret);
    json_text!({
        "id": new.id,
        "object": "payment_intent",
        "allowed_payment_method_types": null,
        "amount": new.amount,
        "amount_capturable": 0_i64,
        "amount_details": { "tip": {} },
        "amount_received": if new.status == "succeeded" { new.amount } else { 0 },
        "application": null,
        "application_fee_amount": null,
        "automatic_payment_methods": { "allow_redirects": "always", "enabled": true },
        "canceled_at": null,
        "cancellation_reason": null,
        "capture_method": "automatic_async",
        "client_secret": client_secret,
        "confirmation_method": "automatic",
        "created": new.created,
        "currency": new.currency,
        "customer": new.customer,
        "customer_account": null,
        "description": new.description,
        "excluded_payment_method_types": null,
        "last_payment_error": null,
        "latest_charge": new.latest_charge,
        "livemode": new.livemode,
        "managed_payments": null,
        "metadata": new.metadata,
        "next_action": null,
        "on_behalf_of": null,
        "payment_method": new.payment_method,
        "payment_method_configuration_details": null,
        "payment_method_options": null,
        "payment_method_types": ["card"],
        "payment_record": null,
        "processing": null,
        "receipt_email": null,
        "review": null,
        "setup_future_usage": null,
        "shipping": null,
        "source": null,
        "statement_descriptor": null,
        "statement_descriptor_suffix": null,
        "status": new.status,
        "transfer_group": null,
    })
}

fn check_amount(amount: i64, currency: &str) -> Result<(), Refusal> {
    let terms = price::check_currency(currency)?;
    if amount < 1 {
        return Err(Refusal::bad("This value must be greater than or equal to 1.")
            .code("parameter_invalid_integer")
            .param("amount"));
    }
    if amount > 99_999_999 {
        return Err(Refusal::bad("Amount must be no more than 99,999,999.").code("amount_too_large").param("amount"));
    }
    if amount < terms.least_minor {
        return Err(Refusal::bad(format!("Amount must be at least {} {currency}.", terms.least_minor))
            .code("amount_too_small")
            .param("amount"));
    }
    Ok(())
}

/// The customer must exist and own the payment method, unless the method belongs to nobody yet.
fn check_parties(work: &Work<'_>, customer: Option<&str>, method: &Value) -> Result<(), Refusal> {
    let owner = method["customer"].as_str();
    if let Some(customer) = customer {
        work.value(Kind::Customer, customer, Some("customer"))?;
    }
    match owner {
        Some(owner) if customer != Some(owner) => Err(Refusal::bad(
            "The provided PaymentMethod cannot be attached to this PaymentIntent: it belongs to another customer, or the customer was not given.",
        )
        .param("payment_method")),
        _ => Ok(()),
    }
}

fn create(work: &mut Work<'_>, call: &Call) -> Result<Arc<str>, Refusal> {
    let parameters = &call.parameters;
    let metadata = parameters.new_metadata()?;
    let currency = parameters.text("currency").unwrap_or_default().to_ascii_lowercase();
    let amount = parameters.int("amount").unwrap_or_default();
    check_amount(amount, &currency)?;
    let customer = parameters.text("customer");
    check_parties(work, customer, &Value::Null)?;
    if !parameters.yes("confirm") && parameters.has("off_session") {
        return Err(Refusal::bad("off_session can only be used with confirm=true.").param("off_session"));
    }
    let method = match parameters.text("payment_method") {
        Some(id) => Some(payment_method::resolve(work, id, Some("payment_method"))?),
        None if parameters.yes("confirm") => return Err(Refusal::missing("payment_method")),
        None => None,
    };
    check_parties(work, customer, method.as_ref().unwrap_or(&Value::Null))?;
    let (id, secret) = (work.ids.new_id("pi_"), work.ids.letters("", 25));
    let mut intent = parse(&text(&NewIntent {
        id: &id,
        secret: &secret,
        livemode: work.book.livemode,
        created: work.present,
        amount,
        currency: &currency,
        status: if method.is_some() { "requires_confirmation" } else { "requires_payment_method" },
        customer,
        description: None,
        payment_method: method.as_ref().map(|method| text_of(method, "id")),
        latest_charge: None,
        metadata: &metadata,
    }));
    parameters.copy_to(&mut intent, &COPIED);
    if parameters.has("shipping") {
        intent["shipping"] = super::customer::shipping(parameters.at("shipping"));
    }
    if let Some(types) = parameters.at("allowed_payment_method_types") {
        intent["allowed_payment_method_types"] = types.clone();
    }
    let text = work.save(Kind::PaymentIntent, &intent);
    work.emit("payment_intent.created", &text);
    if parameters.yes("confirm") { confirm(work, &id, &How::of(call)) } else { Ok(text) }
}

const COPIED: [&str; 8] = [
    "capture_method",
    "confirmation_method",
    "description",
    "receipt_email",
    "setup_future_usage",
    "statement_descriptor",
    "statement_descriptor_suffix",
    "transfer_group",
];

fn update(work: &mut Work<'_>, call: &Call) -> Result<Arc<str>, Refusal> {
    let parameters = &call.parameters;
    let intent = work.value(Kind::PaymentIntent, &call.id, None)?;
    let status = text_of(&intent, "status").to_owned();
    let fixed = ["amount", "currency", "payment_method", "customer"].iter().any(|name| parameters.has(name));
    if fixed && !matches!(status.as_str(), "requires_payment_method" | "requires_confirmation" | "requires_action") {
        return Err(unexpected(&intent, "update"));
    }
    if parameters.has("amount") || parameters.has("currency") {
        let currency = parameters.text("currency").unwrap_or_else(|| text_of(&intent, "currency"));
        check_amount(parameters.int("amount").unwrap_or_else(|| int_of(&intent, "amount")), currency)?;
    }
    let method = parameters
        .text("payment_method")
        .map(|id| payment_method::resolve(work, id, Some("payment_method")))
        .transpose()?;
    let customer = parameters.text("customer").or_else(|| intent["customer"].as_str()).map(str::to_owned);
    check_parties(work, customer.as_deref(), method.as_ref().unwrap_or(&Value::Null))?;
    let change = work.change(Kind::PaymentIntent, &call.id, |intent| {
        parameters.merge_metadata(intent)?;
        parameters.copy_to(intent, &["amount", "currency", "customer"]);
        parameters.copy_to(intent, &COPIED);
        if let Some(method) = &method {
            intent["payment_method"] = method["id"].clone();
            intent["status"] = "requires_confirmation".into();
        }
        Ok(())
    })?;
    // Stripe has no `payment_intent.updated`.
    Ok(change.text)
}

fn unexpected(intent: &Value, what: &str) -> Refusal {
    let status = text_of(intent, "status");
    Refusal::bad(format!("You cannot {what} this PaymentIntent because it has a status of {status}."))
        .code("payment_intent_unexpected_state")
        .with("payment_intent", intent.clone())
}
