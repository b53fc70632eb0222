//! Shapes against Stripe's own sample objects and API description, and against hand-written older shapes.

use kit::{Money, Time};
use serde_json::{Map, Value, json};
use std::collections::BTreeSet;
use stripe::{
    Head, ObjectKind, Request,
    api::{self, ListParams},
    event::is_object_deletion,
    request::Params,
    shape::{
        Account, BalanceTransaction, Charge, Customer, Dispute, Invoice, InvoiceLine, InvoicePayment, Payout, Price,
        Product, Refund, Shape, Subscription, WebhookEndpoint,
    },
};

/// A file of the folder beside the checkout that describes Stripe. Its absence fails the test, loudly.
fn described(name: &str) -> Value {
    let path = format!("{}/../../../shared/stripe/{name}", env!("CARGO_MANIFEST_DIR"));
    let text = std::fs::read_to_string(&path).unwrap_or_else(|error| {
        panic!("{path} is needed by this test: put Stripe's samples beside the checkout ({error})")
    });
    serde_json::from_str(&text).unwrap()
}

fn samples() -> Map<String, Value> {
    match described("fixtures.json")["resources"].take() {
        Value::Object(samples) => samples,
        other => panic!("`resources` should be an object: {other}"),
    }
}

fn read<T: Shape>(object: &Value) -> T {
    T::read(&object.to_string()).unwrap()
}

fn id(text: &str) -> Option<String> {
    Some(text.to_owned())
}

fn owned(id: Option<&stripe::ObjectId>) -> Option<String> {
    id.map(|id| id.to_string())
}

#[test]
fn every_sample_has_a_head() {
    let samples = samples();
    assert!(samples.len() >= 70, "only {} samples", samples.len());
    for (name, object) in &samples {
        let text = object.to_string();
        let head = Head::read(&text).unwrap_or_else(|error| panic!("{name}: {error}"));
        assert_eq!(head.deleted, name.starts_with("deleted_"), "{name}");
        assert_eq!(head.id.as_deref(), object["id"].as_str(), "{name}");
    }
}

#[test]
fn the_samples_of_what_we_use_are_read() {
    let samples = samples();
    let charge: Charge = read(&samples["charge"]);
    assert_eq!(charge.id, samples["charge"]["id"].as_str().unwrap());
    assert_eq!(Some(charge.amount_minor), samples["charge"]["amount"].as_i64());
    assert_eq!(Some(charge.created.seconds()), samples["charge"]["created"].as_i64());
    let refund: Refund = read(&samples["refund"]);
    assert_eq!(refund.charge.as_deref(), samples["refund"]["charge"].as_str());
    read::<Dispute>(&samples["dispute"]);
    let moved: BalanceTransaction = read(&samples["balance_transaction"]);
    assert_eq!(moved.amount_minor - moved.fee_minor, moved.net_minor);
    read::<Customer>(&samples["customer"]);
    read::<Product>(&samples["product"]);
    read::<Price>(&samples["price"]);
    let subscription: Subscription = read(&samples["subscription"]);
    assert!(subscription.period().is_some() && !subscription.items.data.is_empty());
    read::<Invoice>(&samples["invoice"]);
    let line: InvoiceLine = read(&samples["line_item"]);
    assert_eq!((owned(line.subscription()), line.is_proration()), (id("subscription"), true));
    read::<Payout>(&samples["payout"]);
    read::<Account>(&samples["account"]);
    assert!(read::<WebhookEndpoint>(&samples["webhook_endpoint"]).secret.is_none());

    // This sample holds names of types in place of values.
    let mut payment = samples["invoice_payment"].clone();
    assert_eq!(InvoicePayment::read(&payment.to_string()).unwrap_err().code(), "object_unreadable");
    payment["currency"] = json!("usd");
    read::<InvoicePayment>(&payment);
}

#[test]
fn an_object_of_another_kind_is_refused() {
    let error = Charge::read(&samples()["refund"].to_string()).unwrap_err();
    assert_eq!(error.to_string(), "a charge was expected, and this is a refund");
    let error = Charge::read(r#"{"object":"charge","id":"ch_1","amount":"lots"}"#).unwrap_err();
    assert!(error.to_string().starts_with("charge ch_1 cannot be read: "), "{error}");
}

#[test]
fn kinds_and_paths_are_those_of_the_description() {
    let description = described("openapi.json");
    for kind in ObjectKind::ALL {
        let list = &description["paths"][kind.path()]["get"];
        let parameters: BTreeSet<_> =
            list["parameters"].as_array().unwrap().iter().filter_map(|parameter| parameter["name"].as_str()).collect();
        assert_eq!(parameters.contains("created"), kind.has_created_filter(), "{kind}");
        let sent = api::list(kind, &ListParams::default()).params.0;
        assert!(sent.keys().all(|name| parameters.contains(name.as_str())), "{kind}: {sent:?}");
        assert!(description["paths"][format!("{}/{{id}}", kind.path())]["get"].is_object(), "{kind}");
        assert!(description["components"]["schemas"][kind.object_name()].is_object(), "{kind}");
    }
}

#[test]
fn every_described_path_has_its_own_pattern() {
    let description = described("openapi.json");
    for path in description["paths"].as_object().unwrap().keys() {
        let segments = path.split('/').map(|part| if part.starts_with('{') { "gold" } else { part });
        let concrete = segments.collect::<Vec<_>>().join("/");
        let expected = path.split('/').map(|part| if part.starts_with('{') { "{id}" } else { part });
        let expected = format!("GET {}", expected.collect::<Vec<_>>().join("/"));
        assert_eq!(Request::get(&*concrete, Params::none()).endpoint_pattern(), expected);
    }
}

#[test]
fn every_described_deletion_is_known_as_one() {
    let description = described("openapi.json");
    let found = find(&description, "x-events").expect("the description lists the events");
    let types: Vec<&String> = found.as_object().unwrap().keys().filter(|name| name.ends_with(".deleted")).collect();
    assert!(types.len() >= 10, "{types:?}");
    for event_type in types {
        assert_eq!(is_object_deletion(event_type), event_type != "customer.subscription.deleted", "{event_type}");
    }
}

fn find<'a>(value: &'a Value, name: &str) -> Option<&'a Value> {
    match value {
        Value::Object(fields) => fields.get(name).or_else(|| fields.values().find_map(|field| find(field, name))),
        Value::Array(values) => values.iter().find_map(|value| find(value, name)),
        _ => None,
    }
}

fn price() -> Value {
    json!({"id": "price_1", "object": "price", "created": 1, "livemode": false, "active": true, "currency": "eur",
        "unit_amount": 900, "type": "recurring", "recurring": {"interval": "month", "interval_count": 1}, "product": "prod_1"})
}

#[test]
fn a_subscription_has_its_period_wherever_its_version_kept_it() {
    let item = |start: Value, end: Value| json!({"id": "si_1", "object": "subscription_item", "price": price(), "quantity": 2, "current_period_start": start, "current_period_end": end});
    let check = |items: Value, flat: (Value, Value), expected: Option<(i64, i64)>| {
        let subscription: Subscription = read(
            &json!({"id": "sub_1", "object": "subscription", "created": 1, "livemode": false,
            "customer": {"id": "cus_1", "object": "customer"}, "status": "active", "currency": "eur", "items": {"object": "list", "data": items, "has_more": false},
            "current_period_start": flat.0, "current_period_end": flat.1}),
        );
        assert_eq!(subscription.customer, "cus_1");
        let period = subscription.period().map(|period| (period.start.seconds(), period.end.seconds()));
        assert_eq!(period, expected);
    };
    let none = Value::Null;
    check(json!([item(json!(10), json!(20))]), (none.clone(), none.clone()), Some((10, 20)));
    check(json!([item(json!(10), json!(20)), item(json!(5), json!(15))]), (none.clone(), none.clone()), Some((5, 20)));
    check(json!([item(none.clone(), none.clone())]), (json!(1), json!(2)), Some((1, 2)));
    check(json!([item(json!(10), json!(20))]), (json!(1), json!(2)), Some((10, 20)));
    check(json!([]), (none.clone(), none), None);
}

fn invoice(extra: Value) -> Invoice {
    let mut object = json!({"id": "in_1", "object": "invoice", "created": 1, "livemode": true, "currency": "eur", "subtotal": 900,
        "total": 900, "amount_due": 900, "amount_paid": 900, "period_start": 1, "period_end": 2, "status": "paid", "customer": "cus_1"});
    object.as_object_mut().unwrap().extend(extra.as_object().unwrap().clone());
    read(&object)
}

#[test]
fn an_invoice_is_the_same_in_old_and_new_shapes() {
    let old = invoice(
        json!({"subscription": "sub_1", "charge": "ch_1", "payment_intent": {"id": "pi_1", "object": "payment_intent"},
        "lines": {"object": "list", "has_more": false, "data": [{"id": "il_1", "object": "line_item", "amount": 900, "currency": "eur",
            "period": {"start": 3, "end": 4}, "quantity": 1, "price": price(), "subscription": "sub_1", "subscription_item": "si_1", "type": "subscription", "proration": true}]}}),
    );
    let new = invoice(
        json!({"parent": {"type": "subscription_details", "quote_details": null, "subscription_details": {"subscription": "sub_1", "metadata": {}}},
        "payments": {"object": "list", "has_more": false, "data": [{"id": "inpay_1", "object": "invoice_payment", "created": 1, "livemode": true, "invoice": "in_1",
            "status": "paid", "is_default": true, "currency": "eur", "amount_requested": 900, "amount_paid": 900, "payment": {"type": "payment_intent", "payment_intent": "pi_1"}}]},
        "lines": {"object": "list", "has_more": false, "data": [{"id": "il_1", "object": "line_item", "amount": 900, "currency": "eur",
            "period": {"start": 3, "end": 4}, "quantity": 1, "pricing": {"type": "price_details", "unit_amount_decimal": "900", "price_details": {"price": "price_1", "product": "prod_1"}},
            "parent": {"type": "subscription_item_details", "invoice_item_details": null, "subscription_item_details": {"subscription": "sub_1", "subscription_item": "si_1", "invoice_item": null, "proration": true}}}]}}),
    );
    for invoice in [&old, &new] {
        assert_eq!(owned(invoice.subscription()), id("sub_1"));
        assert_eq!(owned(invoice.paid_by().unwrap().payment_intent.as_ref()), id("pi_1"));
        assert_eq!(invoice.total(), Money::new(900, "eur".parse().unwrap()));
        let line = &invoice.lines.data[0];
        assert_eq!((owned(line.price()), owned(line.product())), (id("price_1"), id("prod_1")));
        assert_eq!((owned(line.subscription()), owned(line.subscription_item())), (id("sub_1"), id("si_1")));
        assert_eq!((line.is_proration(), line.period.end), (true, Time::from_seconds(4)));
    }
    let bare = invoice(json!({"parent": null, "lines": null}));
    assert!(bare.subscription().is_none() && bare.paid_by().is_none() && bare.lines.data.is_empty());
}

#[test]
fn charges_tell_what_was_taken_and_where_from() {
    let charge = |extra: Value| -> Charge {
        let mut object = json!({"id": "ch_1", "object": "charge", "created": 1, "livemode": false, "currency": "usd", "amount": 1000,
            "amount_captured": 600, "status": "succeeded", "captured": true, "metadata": null, "billing_details": null});
        object.as_object_mut().unwrap().extend(extra.as_object().unwrap().clone());
        read(&object)
    };
    let check = |extra: Value, taken_minor: i64, country: Option<&str>| {
        let charge = charge(extra);
        assert_eq!((charge.taken().amount_minor, charge.country()), (taken_minor, country));
    };
    check(json!({}), 600, None);
    check(json!({"captured": false}), 0, None);
    check(json!({"status": "failed"}), 0, None);
    let card = json!({"type": "card", "card": {"brand": "visa", "country": "US"}});
    check(json!({"payment_method_details": card}), 600, Some("US"));
    check(json!({"payment_method_details": card, "billing_details": {"address": {"country": "DE"}}}), 600, Some("DE"));
    check(json!({"payment_method_details": card, "billing_details": {"address": null}}), 600, Some("US"));
    let expanded = charge(
        json!({"customer": {"id": "cus_9", "object": "customer", "deleted": true}, "balance_transaction": {"object": "balance_transaction", "id": "txn_9"}, "metadata": {"a": "b", "odd": 7}}),
    );
    assert_eq!(
        (owned(expanded.customer.as_ref()), owned(expanded.balance_transaction.as_ref())),
        (id("cus_9"), id("txn_9"))
    );
    assert_eq!((expanded.metadata["a"].as_str(), expanded.metadata["odd"].as_str()), ("b", "7"));
}

#[test]
fn a_new_endpoints_secret_is_read_and_hidden() {
    let endpoint: WebhookEndpoint = read(
        &json!({"id": "we_1", "object": "webhook_endpoint", "created": 1, "livemode": false, "url": "https://a.example",
        "status": "enabled", "enabled_events": ["*"], "api_version": null, "application": null, "secret": "whsec_visible"}),
    );
    assert!(endpoint.secret.is_some());
    assert!(!format!("{endpoint:?}").contains("visible"));
}
