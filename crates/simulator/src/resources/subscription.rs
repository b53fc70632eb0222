//! Subscriptions (FACTS section 11): items with their own periods, a first invoice at once, a renewal at each period's end.

mod change;
mod create;
mod life;

pub(crate) use change::update;
pub(crate) use life::{collect, end, expire, invoice_paid, renew, trial_ending};

use super::{Call, Endpoint, Kind, Resource, Verb, delete, get, leave_out_clocks, post};
use crate::{
    book::Book,
    json::{Json, Raw, json_text},
    problem::Refusal,
    search::{self, Field},
    table::{Facet, Query, Test},
};

pub(crate) static RESOURCE: Resource = Resource {
    kind: Kind::Subscription,
    object: "subscription",
    facets: &[Facet::id("customer"), Facet::word("status"), Facet::word("collection_method"), Facet::id("test_clock")],
    expands: &[
        "application",
        "customer",
        "default_payment_method",
        "default_source",
        "discounts",
        "latest_invoice",
        "on_behalf_of",
        "pending_setup_intent",
        "schedule",
        "test_clock",
    ],
    search: Some(&FIELDS),
    endpoints: &ENDPOINTS,
};

const CREATE: &str = "customer:text! items[][price]:text! items[][quantity]:int items[][metadata]:metadata \
    cancel_at:int cancel_at_period_end:bool collection_method:one(charge_automatically|send_invoice) currency:text \
    days_until_due:int default_payment_method:text description:text metadata:metadata off_session:bool \
    payment_behavior:one(allow_incomplete|default_incomplete|error_if_incomplete) trial_end:text trial_period_days:int \
    trial_settings[end_behavior][missing_payment_method]:one(cancel|create_invoice|pause)";
const UPDATE: &str = "items[][id]:text items[][price]:text items[][quantity]:int items[][deleted]:bool items[][metadata]:metadata \
    cancel_at:int cancel_at_period_end:bool cancellation_details[comment]:text \
    cancellation_details[feedback]:one(customer_service|low_quality|missing_features|other|switched_service|too_complex|too_expensive|unused) \
    days_until_due:int default_payment_method:text description:text metadata:metadata off_session:bool \
    proration_behavior:one(create_prorations|none) trial_end:text \
    trial_settings[end_behavior][missing_payment_method]:one(cancel|create_invoice|pause)";

static FIELDS: [Field; 4] =
    [Field::number("canceled_at"), Field::number("created"), Field::token("customer"), Field::token("status")];

static ENDPOINTS: [Endpoint; 7] = [
    get("/v1/subscriptions/search", search::ACCEPTS, "subscription", Verb::Search(Kind::Subscription)),
    get(
        "/v1/subscriptions",
        "collection_method:one(charge_automatically|send_invoice) created:times customer:text test_clock:text \
         status:one(active|all|canceled|ended|incomplete|incomplete_expired|past_due|paused|trialing|unpaid)",
        "subscription",
        Verb::List(Kind::Subscription, prepare),
    ),
    get("/v1/subscriptions/{id}", "", "subscription", Verb::Retrieve(Kind::Subscription)),
    post("/v1/subscriptions", CREATE, "subscription", create::create),
    post("/v1/subscriptions/{id}", UPDATE, "subscription", update),
    post("/v1/subscriptions/{id}/resume", "billing_cycle_anchor[type]:one(now)", "subscription", life::resume),
    delete(
        "/v1/subscriptions/{id}",
        "cancellation_details[comment]:text \
         cancellation_details[feedback]:one(customer_service|low_quality|missing_features|other|switched_service|too_complex|too_expensive|unused)",
        "subscription",
        life::cancel,
    ),
];

const ITEMS_MAX: usize = 20;

/// What a subscription item is made from; price and plan as texts.
pub(crate) struct NewSubscriptionItem<'a> {
    pub(crate) id: &'a str,
    pub(crate) created: i64,
    pub(crate) subscription: &'a str,
    pub(crate) period: (i64, i64),
    pub(crate) price: &'a str,
    pub(crate) plan: &'a str,
    pub(crate) quantity: i64,
    pub(crate) metadata: &'a dyn Json,
}

/// The subscription item object.
pub(crate) fn item_text(new: &NewSubscriptionItem<'_>) -> String {
    json_text!({
        "id": new.id,
        "object": "subscription_item",
        "billing_thresholds": null,
        "created": new.created,
        "current_period_end": new.period.1,
        "current_period_start": new.period.0,
        "current_trial": null,
        "discounts": [],
        "metadata": new.metadata,
        "plan": Raw(new.plan),
        "price": Raw(new.price),
        "quantity": new.quantity,
        "subscription": new.subscription,
        "tax_rates": [],
    })
}

/// What a subscription is made from.
pub(crate) struct NewSubscription<'a> {
    pub(crate) id: &'a str,
    pub(crate) livemode: bool,
    pub(crate) created: i64,
    pub(crate) customer: &'a str,
    pub(crate) currency: &'a str,
    pub(crate) status: &'a str,
    pub(crate) items: &'a [Raw<'a>],
    pub(crate) latest_invoice: Option<&'a str>,
    pub(crate) default_payment_method: Option<&'a str>,
    pub(crate) cancel_at_period_end: bool,
    pub(crate) cancel_at: Option<i64>,
    pub(crate) canceled_at: Option<i64>,
    pub(crate) ended_at: Option<i64>,
    pub(crate) cancellation_reason: Option<&'a str>,
    pub(crate) trial: Option<(i64, i64)>,
    pub(crate) metadata: &'a dyn Json,
}

/// The subscription object.
pub(crate) fn text(new: &NewSubscription<'_>) -> String {
    json_text!({
        "id": new.id,
        "object": "subscription",
        "application": null,
        "application_fee_percent": null,
        "automatic_tax": { "disabled_reason": null, "enabled": false, "liability": null },
        "billing_cycle_anchor": new.trial.map_or(new.created, |trial| trial.1),
        "billing_cycle_anchor_config": null,
        "billing_mode": { "flexible": { "proration_discounts": "included" }, "type": "flexible" },
        "billing_schedules": [],
        "billing_thresholds": null,
        "cancel_at": new.cancel_at,
        "cancel_at_period_end": new.cancel_at_period_end,
        "canceled_at": new.canceled_at,
        "cancellation_details": {
            "comment": null, "feedback": null, "feedback_option": null, "reason": new.cancellation_reason,
        },
        "collection_method": "charge_automatically",
        "created": new.created,
        "currency": new.currency,
        "customer": new.customer,
        "customer_account": null,
        "days_until_due": null,
        "default_payment_method": new.default_payment_method,
        "default_source": null,
        "default_tax_rates": [],
        "description": null,
        "discounts": [],
        "ended_at": new.ended_at,
        "invoice_settings": {
            "account_tax_ids": null, "custom_fields": null, "description": null, "footer": null, "issuer": { "type": "self" },
        },
        "items": {
            "object": "list",
            "data": new.items,
            "has_more": false,
            "url": format!("/v1/subscription_items?subscription={}", new.id),
        },
        "latest_invoice": new.latest_invoice,
        "livemode": new.livemode,
        "managed_payments": null,
        "metadata": new.metadata,
        "next_pending_invoice_item_invoice": null,
        "on_behalf_of": null,
        "pause_collection": null,
        "payment_settings": { "payment_method_options": null, "payment_method_types": null, "save_default_payment_method": "off" },
        "pending_invoice_item_interval": null,
        "pending_setup_intent": null,
        "pending_update": null,
        "schedule": null,
        "start_date": new.created,
        "status": new.status,
        "test_clock": null,
        "transfer_data": null,
        "trial_end": new.trial.map(|trial| trial.1),
        "trial_settings": { "end_behavior": { "billing_cycle_anchor": null, "missing_payment_method": "create_invoice" } },
        "trial_start": new.trial.map(|trial| trial.0),
    })
}

/// Without `status` the canceled ones are left out; `all` and `ended` are not statuses (FACTS section 8).
fn prepare(book: &Book, call: &mut Call, query: &mut Query) -> Result<(), Refusal> {
    let Some(facet) = book.table(Kind::Subscription).facet("status") else { return Ok(()) };
    let status = call.parameters.take("status").and_then(|status| status.as_str().map(str::to_owned));
    let ended = || vec!["canceled".to_owned(), "incomplete_expired".to_owned()];
    match status.as_deref() {
        Some("all") => {}
        Some("ended") => query.tests.push(Test::AnyOf(facet, ended())),
        Some(status) => query.tests.push(Test::Is(facet, status.to_owned())),
        None => query.tests.push(Test::NoneOf(facet, ended())),
    }
    leave_out_clocks(book, Kind::Subscription, call, query);
    Ok(())
}
