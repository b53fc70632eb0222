//! The calls that Bursar makes, as functions that build a [`Request`]. They know no key and do no IO.
//!
//! Source: FACTS sections 8 and 9, and Stripe's API description.

use crate::{
    kind::ObjectKind,
    request::{Params, Request, segment},
    version::PINNED_VERSION,
};
use kit::Time;

/// Most objects on one page; fewer calls are spent with whole pages.
pub const MAX_PAGE: u8 = 100;
/// Most types that one call of the event list can be narrowed to.
pub const MAX_EVENT_TYPES: usize = 20;

/// Bounds on `created`, each in whole seconds as Stripe compares them; a [`Time`] is rounded down to its second.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CreatedRange {
    /// After this second.
    pub after: Option<Time>,
    /// At this second or after it.
    pub from: Option<Time>,
    /// Before this second.
    pub before: Option<Time>,
    /// At this second or before it.
    pub until: Option<Time>,
}

/// The same for every list: how much, where to go on, which part.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ListParams {
    /// Objects on the page, 1 to 100; 0 asks for [`MAX_PAGE`].
    pub limit: u8,
    /// Go on after (older than) the object with this id.
    pub starting_after: Option<String>,
    /// Go back before (newer than) the object with this id.
    pub ending_before: Option<String>,
    /// Only objects created in this range.
    pub created: CreatedRange,
    /// Fields to be sent whole instead of as ids, such as `data.customer`. Expanding makes calls slower.
    pub expand: Vec<String>,
}

impl ListParams {
    fn params(&self) -> Params {
        let limit = if self.limit == 0 { MAX_PAGE } else { self.limit.min(MAX_PAGE) };
        let seconds = |bound: Option<Time>| bound.map(Time::seconds);
        let created = serde_json::json!({
            "gt": seconds(self.created.after),
            "gte": seconds(self.created.from),
            "lt": seconds(self.created.before),
            "lte": seconds(self.created.until),
        });
        Params::none()
            .with("limit", limit)
            .with("starting_after", &self.starting_after)
            .with("ending_before", &self.ending_before)
            .with("created", created)
            .with("expand", &self.expand)
    }
}

/// The account that the key belongs to, or acts for.
pub fn account() -> Request {
    Request::get("/v1/account", Params::none())
}

/// The balance, per currency.
pub fn balance() -> Request {
    Request::get("/v1/balance", Params::none())
}

/// A page of objects, newest first. Canceled subscriptions are included, which Stripe leaves out unless asked.
pub fn list(kind: ObjectKind, list: &ListParams) -> Request {
    let params = list.params();
    let params = match kind {
        ObjectKind::Subscription => params.with("status", "all"),
        _ => params,
    };
    Request::get(kind.path(), params)
}

/// One object. A deleted customer or product answers with `deleted: true`.
pub fn retrieve(kind: ObjectKind, id: &str) -> Request {
    retrieve_expanded(kind, id, &[])
}

/// One object with some of its fields sent whole.
pub fn retrieve_expanded(kind: ObjectKind, id: &str, expand: &[&str]) -> Request {
    Request::get(format!("{}/{}", kind.path(), segment(id)), Params::none().with("expand", expand))
}

/// The lines of an invoice; the invoice itself holds the first ten.
pub fn invoice_lines(invoice_id: &str, list: &ListParams) -> Request {
    Request::get(format!("/v1/invoices/{}/lines", segment(invoice_id)), without_created(list))
}

/// The items of a subscription; the subscription itself holds the first ones.
pub fn subscription_items(subscription_id: &str, list: &ListParams) -> Request {
    Request::get("/v1/subscription_items", without_created(list).with("subscription", subscription_id))
}

/// Which part of the event list to read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EventListParams {
    /// Page and range. Events are kept for 30 days.
    pub list: ListParams,
    /// Only these types, at most [`MAX_EVENT_TYPES`]; all types if empty.
    pub types: Vec<String>,
    /// Only events whose delivery succeeded everywhere (true) or failed somewhere (false).
    pub delivery_success: Option<bool>,
}

/// A page of the event list, newest first.
pub fn events(events: &EventListParams) -> Request {
    let params = events.list.params().with("types", &events.types).with("delivery_success", events.delivery_success);
    Request::get("/v1/events", params)
}

/// One event.
pub fn event(id: &str) -> Request {
    Request::get(format!("/v1/events/{}", segment(id)), Params::none())
}

/// One thin event, with the data that its delivery left out.
pub fn thin_event(id: &str) -> Request {
    Request::get(format!("/v2/core/events/{}", segment(id)), Params::none())
}

/// A webhook endpoint to be made. Stripe allows 16 in each mode.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NewWebhookEndpoint {
    /// Where events are sent; HTTPS in live mode.
    pub url: String,
    /// Types to be sent; `*` for all but those that have to be named.
    pub enabled_events: Vec<String>,
    /// What the dashboard shows.
    pub description: Option<String>,
    /// Send the events of connected accounts instead of the own ones.
    pub connect: bool,
    /// Marks by which we find it again.
    pub metadata: Vec<(String, String)>,
}

/// Makes a webhook endpoint on the pinned version. The answer is the only one that holds its secret.
pub fn create_webhook_endpoint(endpoint: &NewWebhookEndpoint) -> Request {
    let metadata: serde_json::Map<_, _> =
        endpoint.metadata.iter().map(|(name, value)| (name.clone(), value.as_str().into())).collect();
    let params = Params::none()
        .with("url", &endpoint.url)
        .with("enabled_events", &endpoint.enabled_events)
        .with("api_version", PINNED_VERSION)
        .with("description", &endpoint.description)
        .with("connect", endpoint.connect.then_some(true))
        .with("metadata", metadata);
    Request::post("/v1/webhook_endpoints", params)
}

/// What can be changed of a webhook endpoint; none leaves a field as it is. Its version is fixed for ever.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct WebhookEndpointChange {
    /// Another address.
    pub url: Option<String>,
    /// Other types; empty leaves them as they are.
    pub enabled_events: Vec<String>,
    /// Switched off (true) or on. What happens while it is off is not sent later.
    pub disabled: Option<bool>,
    /// Another text for the dashboard.
    pub description: Option<String>,
}

/// Changes a webhook endpoint.
pub fn update_webhook_endpoint(id: &str, change: &WebhookEndpointChange) -> Request {
    let params = Params::none()
        .with("url", &change.url)
        .with("enabled_events", &change.enabled_events)
        .with("disabled", change.disabled)
        .with("description", &change.description);
    Request::post(format!("/v1/webhook_endpoints/{}", segment(id)), params)
}

/// A page of webhook endpoints.
pub fn webhook_endpoints(list: &ListParams) -> Request {
    Request::get("/v1/webhook_endpoints", without_created(list))
}

/// One webhook endpoint, without its secret.
pub fn webhook_endpoint(id: &str) -> Request {
    Request::get(format!("/v1/webhook_endpoints/{}", segment(id)), Params::none())
}

/// Removes a webhook endpoint.
pub fn delete_webhook_endpoint(id: &str) -> Request {
    Request::delete(format!("/v1/webhook_endpoints/{}", segment(id)))
}

/// For lists that cannot be narrowed by time.
fn without_created(list: &ListParams) -> Params {
    ListParams { created: CreatedRange::default(), ..list.clone() }.params()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(request: Request, line: &str) {
        let form = request.form();
        let query = if form.is_empty() { form } else { format!("?{form}") };
        assert_eq!(format!("{} {}{query}", request.method.as_str(), request.path), line);
    }

    #[test]
    fn calls_are_what_stripe_expects() {
        let page = ListParams {
            limit: 50,
            starting_after: Some("ch_9".into()),
            created: CreatedRange {
                from: Some(Time::from_seconds(10)),
                until: Some(Time::from_micros(20_999_999)),
                ..CreatedRange::default()
            },
            expand: vec!["data.customer".into()],
            ..ListParams::default()
        };
        check(account(), "GET /v1/account");
        check(balance(), "GET /v1/balance");
        check(list(ObjectKind::Charge, &ListParams::default()), "GET /v1/charges?limit=100");
        check(
            list(ObjectKind::Charge, &page),
            "GET /v1/charges?limit=50&starting_after=ch_9&created[gte]=10&created[lte]=20&expand[0]=data.customer",
        );
        check(list(ObjectKind::Subscription, &ListParams::default()), "GET /v1/subscriptions?limit=100&status=all");
        check(retrieve(ObjectKind::Product, "a/b"), "GET /v1/products/a%2Fb");
        check(retrieve_expanded(ObjectKind::Charge, "ch_1", &["refunds"]), "GET /v1/charges/ch_1?expand[0]=refunds");
        check(
            invoice_lines("in_1", &page),
            "GET /v1/invoices/in_1/lines?limit=50&starting_after=ch_9&expand[0]=data.customer",
        );
        check(
            subscription_items("sub_1", &ListParams::default()),
            "GET /v1/subscription_items?limit=100&subscription=sub_1",
        );
        let narrowed = EventListParams {
            types: vec!["charge.succeeded".into()],
            delivery_success: Some(false),
            ..EventListParams::default()
        };
        check(events(&narrowed), "GET /v1/events?limit=100&types[0]=charge.succeeded&delivery_success=false");
        check(event("evt_1"), "GET /v1/events/evt_1");
        check(thin_event("evt_1"), "GET /v2/core/events/evt_1");
        let endpoint = NewWebhookEndpoint {
            url: "https://a.example/x".into(),
            enabled_events: vec!["*".into()],
            metadata: vec![("bursar".into(), "con_1".into())],
            ..NewWebhookEndpoint::default()
        };
        check(
            create_webhook_endpoint(&endpoint),
            "POST /v1/webhook_endpoints?url=https%3A%2F%2Fa.example%2Fx&enabled_events[0]=%2A&api_version=2026-10-28.endive&metadata[bursar]=con_1",
        );
        check(
            update_webhook_endpoint(
                "we_1",
                &WebhookEndpointChange { disabled: Some(true), ..WebhookEndpointChange::default() },
            ),
            "POST /v1/webhook_endpoints/we_1?disabled=true",
        );
        check(
            webhook_endpoints(&page),
            "GET /v1/webhook_endpoints?limit=50&starting_after=ch_9&expand[0]=data.customer",
        );
        check(webhook_endpoint("we_1"), "GET /v1/webhook_endpoints/we_1");
        check(delete_webhook_endpoint("we_1"), "DELETE /v1/webhook_endpoints/we_1");
    }

    #[test]
    fn lists_use_their_kinds_endpoint() {
        for kind in ObjectKind::ALL {
            assert_eq!(list(kind, &ListParams::default()).endpoint_pattern(), kind.list_pattern());
            assert_eq!(retrieve(kind, "any").endpoint_pattern(), kind.retrieve_pattern());
        }
    }
}
