//! Invoices: draft, open, paid, void, uncollectible (FACTS section 11). What pays one is read from invoice payments.

mod draft;
mod payment;

pub(crate) use draft::{Draft, must_be_draft, open_draft, recompute};
pub(crate) use payment::{advance, advance_later, attempt, finalize, method_for, void_invoice};

use super::{Call, Endpoint, Kind, Resource, Verb, delete, get, leave_out_clocks, post};
use crate::{
    book::Book,
    calendar::DAY,
    json::{Json, Raw, json_text},
    problem::Refusal,
    search::{self, Field},
    table::{Facet, Query},
};

pub(crate) static RESOURCE: Resource = Resource {
    kind: Kind::Invoice,
    object: "invoice",
    facets: &[
        Facet::id("customer"),
        Facet::id_at("subscription", "parent.subscription_details.subscription"),
        Facet::word("status"),
        Facet::word("collection_method"),
        Facet::word("due_date"),
        Facet::id("test_clock"),
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
    search: Some(&FIELDS),
    endpoints: &ENDPOINTS,
};

const UPDATE: &str = "auto_advance:bool collection_method:one(charge_automatically|send_invoice) days_until_due:int \
    default_payment_method:text description:text due_date:int footer:text metadata:metadata statement_descriptor:text";
const CREATE: &str = "auto_advance:bool collection_method:one(charge_automatically|send_invoice) currency:text customer:text! \
    days_until_due:int default_payment_method:text description:text due_date:int footer:text metadata:metadata \
    pending_invoice_items_behavior:one(exclude|include) statement_descriptor:text subscription:text";

static FIELDS: [Field; 10] = [
    Field::number("created"),
    Field::token("currency"),
    Field::token("customer"),
    Field::token("last_finalization_error_code").at("last_finalization_error.code"),
    Field::token("last_finalization_error_type").at("last_finalization_error.type"),
    Field::text("number"),
    Field::text("receipt_number"),
    Field::token("status"),
    Field::token("subscription").at("parent.subscription_details.subscription"),
    Field::number("total"),
];

static ENDPOINTS: [Endpoint; 11] = [
    get("/v1/invoices/search", search::ACCEPTS, "invoice", Verb::Search(Kind::Invoice)),
    get(
        "/v1/invoices",
        "collection_method:one(charge_automatically|send_invoice) created:times customer:text due_date:times \
         status:one(draft|open|paid|uncollectible|void) subscription:text",
        "invoice",
        Verb::List(Kind::Invoice, prepare),
    ),
    get("/v1/invoices/{id}", "", "invoice", Verb::Retrieve(Kind::Invoice)),
    post("/v1/invoices", CREATE, "invoice", draft::create),
    post("/v1/invoices/{id}", UPDATE, "invoice", draft::update),
    delete("/v1/invoices/{id}", "", "invoice", draft::remove),
    post("/v1/invoices/{id}/finalize", "auto_advance:bool", "invoice", payment::finalize_call),
    post(
        "/v1/invoices/{id}/pay",
        "off_session:bool paid_out_of_band:bool payment_method:text",
        "invoice",
        payment::pay,
    ),
    post("/v1/invoices/{id}/send", "", "invoice", payment::send),
    post("/v1/invoices/{id}/void", "", "invoice", payment::void),
    post("/v1/invoices/{id}/mark_uncollectible", "", "invoice", payment::give_up),
];

fn prepare(book: &Book, call: &mut Call, query: &mut Query) -> Result<(), Refusal> {
    leave_out_clocks(book, Kind::Invoice, call, query);
    Ok(())
}

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
