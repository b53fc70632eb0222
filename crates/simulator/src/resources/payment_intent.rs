//! Payment intents: how money is taken. Confirming one makes a charge, and what the test card does decides the rest.

use super::{
    Call, Endpoint, Kind, Resource, Verb,
    cards::{self, Behaviour},
    charge::{self, Captured, Failure, NewCharge},
    dispute, get, payment_method, post, price, simple,
};
use crate::{
    json::{Json, Raw, json_text},
    problem::Refusal,
    table::Facet,
    work::{Work, int_of, parse, text_of},
};
use serde_json::{Value, json};
use std::sync::Arc;

pub(crate) static RESOURCE: Resource = Resource {
    kind: Kind::PaymentIntent,
    object: "payment_intent",
    facets: &[Facet::id("customer"), Facet::word("status")],
    expands: &["application", "customer", "latest_charge", "on_behalf_of", "payment_method", "review"],
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

static ENDPOINTS: [Endpoint; 7] = [
    get(
        "/v1/payment_intents",
        "created:times customer:text",
        "payment_intent",
        Verb::List(Kind::PaymentIntent, simple),
    ),
    get("/v1/payment_intents/{id}", "client_secret:text", "payment_intent", Verb::Retrieve(Kind::PaymentIntent)),
    post("/v1/payment_intents", CREATE, "payment_intent", create),
    post("/v1/payment_intents/{id}", UPDATE, "payment_intent", update),
    post("/v1/payment_intents/{id}/confirm", CONFIRM, "payment_intent", confirm_call),
    post("/v1/payment_intents/{id}/capture", "amount_to_capture:int metadata:metadata", "payment_intent", capture),
    post(
        "/v1/payment_intents/{id}/cancel",
        "cancellation_reason:one(abandoned|duplicate|fraudulent|requested_by_customer)",
        "payment_intent",
        cancel,
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
        created: work.now,
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

/// How a payment intent is confirmed.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct How {
    /// The customer is not there to authenticate.
    pub(crate) off_session: bool,
    /// Fail rather than ask the customer to act.
    pub(crate) error_on_action: bool,
}

impl How {
    fn of(call: &Call) -> How {
        How {
            off_session: call.parameters.yes("off_session"),
            error_on_action: call.parameters.yes("error_on_requires_action"),
        }
    }
}

fn confirm_call(work: &mut Work<'_>, call: &Call) -> Result<Arc<str>, Refusal> {
    let parameters = &call.parameters;
    let intent = work.value(Kind::PaymentIntent, &call.id, None)?;
    if !matches!(text_of(&intent, "status"), "requires_payment_method" | "requires_confirmation" | "requires_action") {
        return Err(unexpected(&intent, "confirm"));
    }
    let method = match parameters.text("payment_method").or_else(|| intent["payment_method"].as_str()) {
        Some(id) => payment_method::resolve(work, id, Some("payment_method"))?,
        None => {
            return Err(Refusal::bad("You cannot confirm this PaymentIntent because it's missing a payment method.")
                .code("payment_intent_unexpected_state")
                .with("payment_intent", intent));
        }
    };
    check_parties(work, intent["customer"].as_str(), &method)?;
    work.change(Kind::PaymentIntent, &call.id, |intent| {
        intent["payment_method"] = method["id"].clone();
        parameters.copy_to(intent, &["capture_method", "receipt_email", "setup_future_usage"]);
        Ok(())
    })?;
    confirm(work, &call.id, &How::of(call))
}

/// Confirms an intent that has a payment method: the card decides.
pub(crate) fn confirm(work: &mut Work<'_>, id: &str, how: &How) -> Result<Arc<str>, Refusal> {
    let intent = work.value(Kind::PaymentIntent, id, None)?;
    let method = work.value(Kind::PaymentMethod, text_of(&intent, "payment_method"), Some("payment_method"))?;
    match cards::behaviour(payment_method::shown(&method).last4) {
        Behaviour::Pays => succeed(work, &intent, &method),
        Behaviour::Disputes(reason, inquiry) => {
            succeed(work, &intent, &method)?;
            let paid = work.value(Kind::PaymentIntent, id, None)?;
            if paid["status"] == "succeeded" {
                dispute::open(work, text_of(&paid, "latest_charge"), reason, inquiry)?;
            }
            work.text(Kind::PaymentIntent, id, None)
        }
        Behaviour::Declines(code, decline_code, message) => {
            Err(decline(work, &intent, &method, code, decline_code, message)?)
        }
        Behaviour::Authenticates if how.off_session || how.error_on_action => Err(decline(
            work,
            &intent,
            &method,
            "authentication_required",
            Some("authentication_required"),
            "Your card was declined. This transaction requires authentication.",
        )?),
        Behaviour::Authenticates => {
            let change = work.change(Kind::PaymentIntent, id, |intent| {
                intent["status"] = "requires_action".into();
                intent["next_action"] =
                    json!({ "type": "use_stripe_sdk", "use_stripe_sdk": { "type": "three_d_secure_redirect" } });
                Ok(())
            })?;
            work.emit("payment_intent.requires_action", &change.text);
            Ok(change.text)
        }
    }
}

/// The charge of a confirmation.
fn charge_text(
    work: &Work<'_>,
    id: &str,
    intent: &Value,
    method: &Value,
    captured: bool,
    failure: Option<Failure<'_>>,
    money: Option<&str>,
) -> String {
    let shipping = intent["shipping"].is_object().then(|| intent["shipping"].to_string());
    charge::text(&NewCharge {
        id,
        livemode: work.book.livemode,
        created: work.now,
        amount: int_of(intent, "amount"),
        currency: text_of(intent, "currency"),
        captured,
        amount_refunded: 0,
        disputed: false,
        balance_transaction: money,
        failure,
        customer: intent["customer"].as_str(),
        name: method["billing_details"]["name"].as_str(),
        email: method["billing_details"]["email"].as_str(),
        country: method["billing_details"]["address"]["country"].as_str(),
        receipt_email: intent["receipt_email"].as_str(),
        description: intent["description"].as_str(),
        metadata: &intent["metadata"],
        payment_intent: intent["id"].as_str(),
        payment_method: method["id"].as_str(),
        card: payment_method::shown(method),
        statement_descriptor: intent["statement_descriptor"].as_str(),
        statement_descriptor_suffix: intent["statement_descriptor_suffix"].as_str(),
        transfer_group: intent["transfer_group"].as_str(),
        shipping: shipping.as_deref().map(Raw),
    })
}

fn succeed(work: &mut Work<'_>, intent: &Value, method: &Value) -> Result<Arc<str>, Refusal> {
    let id = text_of(intent, "id").to_owned();
    let (amount, currency) = (int_of(intent, "amount"), text_of(intent, "currency").to_owned());
    let terms = price::check_currency(&currency)?;
    let manual = intent["capture_method"] == "manual";
    let charge_id = work.ids.new_id("ch_");
    let money = (!manual).then(|| {
        let captured = Captured {
            charge: &charge_id,
            amount,
            currency: &currency,
            terms,
            description: intent["description"].as_str(),
            created: work.now,
        };
        charge::settle(work.book, work.ids, work.now, &captured)
    });
    let text = charge_text(work, &charge_id, intent, method, !manual, None, money.as_deref());
    let charge = work.insert(Kind::Charge, text);
    let change = work.change(Kind::PaymentIntent, &id, |intent| {
        intent["latest_charge"] = charge_id.into();
        intent["last_payment_error"] = Value::Null;
        intent["next_action"] = Value::Null;
        intent["status"] = if manual { "requires_capture" } else { "succeeded" }.into();
        intent[if manual { "amount_capturable" } else { "amount_received" }] = amount.into();
        Ok(())
    })?;
    if intent["setup_future_usage"].is_string()
        && !method["customer"].is_string()
        && let Some(customer) = intent["customer"].as_str()
    {
        payment_method::attach_to(work, text_of(method, "id"), customer)?;
    }
    work.emit("charge.succeeded", &charge);
    work.emit(
        if manual { "payment_intent.amount_capturable_updated" } else { "payment_intent.succeeded" },
        &change.text,
    );
    Ok(change.text)
}

/// A declined payment leaves a failed charge behind, and an intent that wants another payment method.
fn decline(
    work: &mut Work<'_>,
    intent: &Value,
    method: &Value,
    code: &'static str,
    decline_code: Option<&'static str>,
    message: &'static str,
) -> Result<Refusal, Refusal> {
    let charge_id = work.ids.new_id("ch_");
    let failure = Failure { code, decline_code, message };
    work.book.totals.presented(text_of(intent, "currency")).failed += 1;
    let text = charge_text(work, &charge_id, intent, method, true, Some(failure), None);
    let charge = work.insert(Kind::Charge, text);
    let refusal = Refusal::declined(code, decline_code, message).with("charge", charge_id.clone().into());
    let change = work.change(Kind::PaymentIntent, text_of(intent, "id"), |intent| {
        let mut error = refusal.clone().with("payment_method", method.clone()).body("req")["error"].take();
        if let Some(error) = error.as_object_mut() {
            error.shift_remove("request_log_url");
        }
        intent["last_payment_error"] = error;
        intent["latest_charge"] = charge_id.into();
        intent["payment_method"] = Value::Null;
        intent["status"] = "requires_payment_method".into();
        Ok(())
    })?;
    work.emit("charge.failed", &charge);
    work.emit("payment_intent.payment_failed", &change.text);
    Ok(refusal.with("payment_intent", change.after).with("payment_method", method.clone()))
}

fn capture(work: &mut Work<'_>, call: &Call) -> Result<Arc<str>, Refusal> {
    work.value(Kind::PaymentIntent, &call.id, None)?;
    capture_amount(work, &call.id, call.parameters.int("amount_to_capture"), "amount_to_capture")?;
    work.change(Kind::PaymentIntent, &call.id, |intent| call.parameters.merge_metadata(intent))
        .map(|change| change.text)
}

/// Takes the money of an authorised intent, all of it or a part; the rest is released.
pub(crate) fn capture_amount(work: &mut Work<'_>, id: &str, amount: Option<i64>, param: &str) -> Result<(), Refusal> {
    let intent = work.value(Kind::PaymentIntent, id, Some("payment_intent"))?;
    if intent["status"] != "requires_capture" {
        return Err(unexpected(&intent, "capture"));
    }
    let capturable = int_of(&intent, "amount_capturable");
    let amount = amount.unwrap_or(capturable);
    if amount < 1 || amount > capturable {
        return Err(Refusal::bad(format!("The amount to capture must be between 1 and {capturable}."))
            .code("amount_too_large")
            .param(param));
    }
    let currency = text_of(&intent, "currency").to_owned();
    let terms = price::check_currency(&currency)?;
    let charge_id = text_of(&intent, "latest_charge").to_owned();
    let captured = Captured {
        charge: &charge_id,
        amount,
        currency: &currency,
        terms,
        description: intent["description"].as_str(),
        created: work.now,
    };
    let money = charge::settle(work.book, work.ids, work.now, &captured);
    let charge = work.change(Kind::Charge, &charge_id, |charge| {
        charge["captured"] = true.into();
        charge["amount_captured"] = amount.into();
        // What was authorised and not captured counts as refunded, without a refund.
        charge["amount_refunded"] = (capturable - amount).into();
        charge["balance_transaction"] = money.into();
        Ok(())
    })?;
    let change = work.change(Kind::PaymentIntent, id, |intent| {
        intent["status"] = "succeeded".into();
        intent["amount_received"] = amount.into();
        intent["amount_capturable"] = 0.into();
        Ok(())
    })?;
    work.emit("charge.captured", &charge.text);
    work.emit("payment_intent.succeeded", &change.text);
    Ok(())
}

fn cancel(work: &mut Work<'_>, call: &Call) -> Result<Arc<str>, Refusal> {
    let intent = work.value(Kind::PaymentIntent, &call.id, None)?;
    if matches!(text_of(&intent, "status"), "succeeded" | "canceled") {
        return Err(unexpected(&intent, "cancel"));
    }
    cancel_intent(work, &call.id, call.parameters.text("cancellation_reason"))
}

/// Cancels an intent; an authorised charge is released.
pub(crate) fn cancel_intent(work: &mut Work<'_>, id: &str, reason: Option<&str>) -> Result<Arc<str>, Refusal> {
    let now = work.now;
    let intent = work.value(Kind::PaymentIntent, id, None)?;
    if intent["status"] == "requires_capture" {
        let amount = int_of(&intent, "amount");
        let change = work.change(Kind::Charge, text_of(&intent, "latest_charge"), |charge| {
            charge["amount_refunded"] = amount.into();
            charge["refunded"] = true.into();
            Ok(())
        })?;
        work.emit("charge.refunded", &change.text);
    }
    let change = work.change(Kind::PaymentIntent, id, |intent| {
        intent["status"] = "canceled".into();
        intent["canceled_at"] = now.into();
        intent["cancellation_reason"] = reason.into();
        intent["amount_capturable"] = 0.into();
        Ok(())
    })?;
    work.emit("payment_intent.canceled", &change.text);
    Ok(change.text)
}
