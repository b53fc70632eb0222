//! Charges: made by payment intents; read, described and captured here.

use super::{Call, Endpoint, Kind, Resource, Verb, get, post, simple};
use crate::{
    book::Book,
    ids::Ids,
    json::{Json, Raw, json_text},
    money::Terms,
    problem::Refusal,
    resources::{
        balance_transaction::{Movement, Posting, available_on, post as book_money},
        payment_intent,
    },
    search::{self, Field},
    table::Facet,
    work::{Work, text_of},
};
use std::sync::Arc;

pub(crate) static RESOURCE: Resource = Resource {
    kind: Kind::Charge,
    object: "charge",
    facets: &[Facet::id("customer"), Facet::id("payment_intent"), Facet::word("transfer_group"), Facet::word("status")],
    expands: &[
        "balance_transaction",
        "customer",
        "failure_balance_transaction",
        "payment_intent",
        "refunds",
        "application",
        "application_fee",
        "on_behalf_of",
        "review",
        "source_transfer",
        "transfer",
    ],
    search: Some(&FIELDS),
    endpoints: &ENDPOINTS,
};

static FIELDS: [Field; 13] = [
    Field::number("amount"),
    Field::text("billing_details.address.postal_code"),
    Field::number("created"),
    Field::token("currency"),
    Field::token("customer"),
    Field::token("disputed"),
    Field::token("payment_method_details.card.brand"),
    Field::number("payment_method_details.card.exp_month"),
    Field::number("payment_method_details.card.exp_year"),
    Field::token("payment_method_details.card.fingerprint"),
    Field::token("payment_method_details.card.last4"),
    Field::token("refunded"),
    Field::token("status"),
];

static ENDPOINTS: [Endpoint; 5] = [
    get("/v1/charges/search", search::ACCEPTS, "charge", Verb::Search(Kind::Charge)),
    get(
        "/v1/charges",
        "created:times customer:text payment_intent:text transfer_group:text",
        "charge",
        Verb::List(Kind::Charge, simple),
    ),
    get("/v1/charges/{id}", "", "charge", Verb::Retrieve(Kind::Charge)),
    post(
        "/v1/charges/{id}",
        "customer:text description:text metadata:metadata receipt_email:text transfer_group:text fraud_details[user_report]:one(fraudulent|safe)",
        "charge",
        update,
    ),
    post("/v1/charges/{id}/capture", "amount:int", "charge", capture),
];

/// How a card payment shows on a charge.
#[derive(Clone, Copy, Debug)]
pub(crate) struct CardShown<'a> {
    pub(crate) brand: &'a str,
    pub(crate) last4: &'a str,
    pub(crate) country: &'a str,
    pub(crate) funding: &'a str,
    pub(crate) fingerprint: &'a str,
    pub(crate) exp_month: i64,
    pub(crate) exp_year: i64,
}

/// Why a charge failed.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Failure<'a> {
    pub(crate) code: &'a str,
    pub(crate) decline_code: Option<&'a str>,
    pub(crate) message: &'a str,
}

/// What a charge is made from.
pub(crate) struct NewCharge<'a> {
    pub(crate) id: &'a str,
    pub(crate) livemode: bool,
    pub(crate) created: i64,
    pub(crate) amount: i64,
    pub(crate) currency: &'a str,
    pub(crate) captured: bool,
    pub(crate) amount_refunded: i64,
    pub(crate) disputed: bool,
    pub(crate) balance_transaction: Option<&'a str>,
    pub(crate) failure: Option<Failure<'a>>,
    pub(crate) customer: Option<&'a str>,
    pub(crate) name: Option<&'a str>,
    pub(crate) email: Option<&'a str>,
    pub(crate) country: Option<&'a str>,
    pub(crate) receipt_email: Option<&'a str>,
    pub(crate) description: Option<&'a str>,
    pub(crate) metadata: &'a dyn Json,
    pub(crate) payment_intent: Option<&'a str>,
    pub(crate) payment_method: Option<&'a str>,
    pub(crate) card: CardShown<'a>,
    pub(crate) statement_descriptor: Option<&'a str>,
    pub(crate) statement_descriptor_suffix: Option<&'a str>,
    pub(crate) transfer_group: Option<&'a str>,
    pub(crate) shipping: Option<Raw<'a>>,
}

/// The charge object.
pub(crate) fn text(new: &NewCharge<'_>) -> String {
    let failed = new.failure.is_some();
    let captured = if new.captured && !failed { new.amount } else { 0 };
    let receipt = (!failed).then(|| format!("https://pay.stripe.com/receipts/payment/{}", new.id));
    let network_status = if failed { "declined_by_network" } else { "approved_by_network" };
    let reason = new.failure.map(|failure| failure.decline_code.unwrap_or(failure.code));
    json_text!({
        "id": new.id,
        "object": "charge",
        "amount": new.amount,
        "amount_captured": captured,
        "amount_refunded": new.amount_refunded,
        "application": null,
        "application_fee": null,
        "application_fee_amount": null,
        "balance_transaction": new.balance_transaction,
        "billing_details": {
            "address": {
                "city": null, "country": new.country, "line1": null, "line2": null, "postal_code": null, "state": null,
            },
            "email": new.email,
            "name": new.name,
            "phone": null,
            "tax_id": null,
        },
        "calculated_statement_descriptor": "BURSAR DEMO",
        "captured": new.captured && !failed,
        "created": new.created,
        "currency": new.currency,
        "customer": new.customer,
        "description": new.description,
        "disputed": new.disputed,
        "failure_balance_transaction": null,
        "failure_code": new.failure.map(|failure| failure.code),
        "failure_message": new.failure.map(|failure| failure.message),
        "fraud_details": {},
        "livemode": new.livemode,
        "metadata": new.metadata,
        "on_behalf_of": null,
        "outcome": {
            "advice_code": if failed { Some("try_again_later") } else { None },
            "network_advice_code": null,
            "network_decline_code": null,
            "network_status": network_status,
            "reason": reason,
            "risk_level": "normal",
            "risk_score": 12_i64,
            "seller_message": if failed { "The bank did not return any further details with this decline." } else { "Payment complete." },
            "type": if failed { "issuer_declined" } else { "authorized" },
        },
        "paid": !failed,
        "payment_intent": new.payment_intent,
        "payment_method": new.payment_method,
        "payment_method_details": {
            "card": {
                "amount_authorized": if failed { None } else { Some(new.amount) },
                "authorization_code": null,
                "brand": new.card.brand,
                "checks": { "address_line1_check": null, "address_postal_code_check": null, "cvc_check": "pass" },
                "country": new.card.country,
                "electronic_commerce_indicator": null,
                "exp_month": new.card.exp_month,
                "exp_year": new.card.exp_year,
                "extended_authorization": { "status": "disabled" },
                "fingerprint": new.card.fingerprint,
                "funding": new.card.funding,
                "incremental_authorization": { "status": "unavailable" },
                "installments": null,
                "last4": new.card.last4,
                "mandate": null,
                "multicapture": { "status": "unavailable" },
                "network": new.card.brand,
                "network_token": { "used": false },
                "network_transaction_id": null,
                "overcapture": { "maximum_amount_capturable": new.amount, "status": "unavailable" },
                "regulated_status": "unregulated",
                "three_d_secure": null,
                "transaction_link_id": null,
                "wallet": null,
            },
            "type": "card",
        },
        "radar_options": {},
        "receipt_email": new.receipt_email,
        "receipt_number": null,
        "receipt_url": receipt,
        "refunded": new.amount_refunded > 0 && new.amount_refunded == new.amount,
        "review": null,
        "shipping": new.shipping,
        "source": null,
        "source_transfer": null,
        "statement_descriptor": new.statement_descriptor,
        "statement_descriptor_suffix": new.statement_descriptor_suffix,
        "status": if failed { "failed" } else { "succeeded" },
        "transfer_data": null,
        "transfer_group": new.transfer_group,
    })
}

/// A capture whose money is to be booked.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Captured<'a> {
    pub(crate) charge: &'a str,
    pub(crate) amount: i64,
    pub(crate) currency: &'a str,
    pub(crate) terms: Terms,
    pub(crate) description: Option<&'a str>,
    pub(crate) created: i64,
    /// Whether the money is available at once, as with the card that says so.
    pub(crate) bypasses_pending: bool,
}

/// Books the money of a captured charge; answers the id of the balance transaction.
pub(crate) fn settle(book: &mut Book, ids: &Ids, now: i64, captured: &Captured<'_>) -> String {
    let settled = captured.terms.settled(captured.amount);
    let rate = captured.terms.rate_text();
    let presented = book.totals.presented(captured.currency);
    presented.charged += captured.amount;
    presented.succeeded += 1;
    let posting = Posting {
        movement: Movement::Charge,
        amount_minor: settled,
        fee_minor: captured.terms.fee(settled),
        currency: captured.terms.settles_in,
        source: Some(captured.charge),
        description: captured.description,
        rate: rate.as_deref(),
        created: captured.created,
        available_on: if captured.bypasses_pending { captured.created } else { available_on(captured.created) },
        waits: true,
    };
    book_money(book, ids, now, &posting).0
}

fn update(work: &mut Work<'_>, call: &Call) -> Result<Arc<str>, Refusal> {
    if let Some(customer) = call.parameters.text("customer") {
        work.value(Kind::Customer, customer, Some("customer"))?;
    }
    let change = work.change(Kind::Charge, &call.id, |charge| {
        call.parameters.merge_metadata(charge)?;
        call.parameters.copy_to(charge, &["description", "receipt_email", "transfer_group", "fraud_details"]);
        if call.parameters.text("customer").is_some() {
            if charge["customer"].is_string() {
                return Err(Refusal::bad("You can only set the customer of a charge that has none.").param("customer"));
            }
            call.parameters.copy_to(charge, &["customer"]);
        }
        Ok(())
    })?;
    work.emit_updated("charge.updated", &change);
    Ok(change.text)
}

fn capture(work: &mut Work<'_>, call: &Call) -> Result<Arc<str>, Refusal> {
    let charge = work.value(Kind::Charge, &call.id, None)?;
    if charge["captured"] == true {
        return Err(
            Refusal::bad(format!("Charge {} has already been captured.", call.id)).code("charge_already_captured")
        );
    }
    let intent = text_of(&charge, "payment_intent").to_owned();
    payment_intent::capture_amount(work, &intent, call.parameters.int("amount"), "amount")?;
    work.text(Kind::Charge, &call.id, None)
}
