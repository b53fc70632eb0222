//! Every call that is simulated, each made once with success: its answer fits Stripe's description, which the stage holds
//! it against. A call that is added and not walked here fails the test.

use crate::stage::{NOW, Stage};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};

struct Walk {
    stage: Stage,
    /// What has been made, by the word that paths and forms name it with.
    made: BTreeMap<&'static str, String>,
    seen: BTreeSet<String>,
}

impl Walk {
    /// `{customer}` in a path or form is the id of what was made under that word.
    fn filled(&self, text: &str) -> String {
        let mut filled = text.to_owned();
        for (word, id) in &self.made {
            filled = filled.replace(&format!("{{{word}}}"), id);
        }
        assert!(!filled.contains('{') || filled.starts_with('{'), "{text}: nothing was made under one of its words");
        filled
    }

    /// Makes the call `METHOD path [form]` and keeps the id of its answer.
    async fn step(&mut self, line: &'static str) -> Value {
        let (keep, call) = line.split_once(" = ").map_or((None, line), |(word, call)| (Some(word), call));
        let mut words = call.splitn(3, ' ');
        let (method, path, form) = (words.next().unwrap(), words.next().unwrap(), words.next().unwrap_or_default());
        let (filled, form) = (self.filled(path), self.filled(form));
        let reply = if path.starts_with("/v2/") && method != "GET" {
            let request = self.stage.request(method, &filled).bearer_auth(&self.stage.key).body(form);
            self.stage.send(method, &filled, request).await
        } else {
            match method {
                "GET" => self.stage.get(&filled).await,
                "POST" => self.stage.post(&filled, &form).await,
                _ => self.stage.delete(&filled).await,
            }
        };
        assert_eq!(reply.status, 200, "{line}: {}", reply.body);
        let pattern =
            path.split('?').next().unwrap().split('/').map(|part| if part.starts_with('{') { "{id}" } else { part });
        self.seen.insert(format!("{method} {}", pattern.collect::<Vec<_>>().join("/")));
        if let Some(word) = keep {
            self.made.insert(word, reply.body["id"].as_str().unwrap().to_owned());
        }
        reply.body
    }

    async fn steps(&mut self, lines: &str) {
        for line in lines.lines().map(str::trim).filter(|line| !line.is_empty()) {
            // The lines are the test's own, and live as long as it does.
            self.step(Box::leak(line.to_owned().into_boxed_str())).await;
        }
    }
}

const CATALOGUE: &str = "
    product = POST /v1/products name=Plan
    GET /v1/products
    GET /v1/products/{product}
    POST /v1/products/{product} description=Fine
    price = POST /v1/prices product={product}&currency=usd&unit_amount=1900&recurring[interval]=month
    GET /v1/prices
    GET /v1/prices/{price}
    POST /v1/prices/{price} nickname=Monthly
    spare = POST /v1/products name=Spare
    DELETE /v1/products/{spare}
    coupon = POST /v1/coupons percent_off=12.5&duration=repeating&duration_in_months=3
    GET /v1/coupons
    GET /v1/coupons/{coupon}
    POST /v1/coupons/{coupon} name=Spring
    code = POST /v1/promotion_codes promotion[type]=coupon&promotion[coupon]={coupon}
    GET /v1/promotion_codes
    GET /v1/promotion_codes/{code}
    POST /v1/promotion_codes/{code} metadata[a]=1
    old = POST /v1/coupons amount_off=500&currency=usd
    DELETE /v1/coupons/{old}
    rate = POST /v1/tax_rates display_name=VAT&inclusive=false&percentage=20
    GET /v1/tax_rates
    GET /v1/tax_rates/{rate}
    POST /v1/tax_rates/{rate} active=false";

const PEOPLE: &str = "
    customer = POST /v1/customers name=Ada&email=ada@customer.example&address[city]=London&shipping[name]=Ada&shipping[address][line1]=1
    GET /v1/customers
    GET /v1/customers/{customer}
    POST /v1/customers/{customer} phone=1
    method = POST /v1/payment_methods type=card&card[token]=tok_visa
    GET /v1/payment_methods/{method}
    POST /v1/payment_methods/{method}/attach customer={customer}
    POST /v1/payment_methods/{method} billing_details[name]=Ada
    POST /v1/customers/{customer} invoice_settings[default_payment_method]={method}
    GET /v1/payment_methods?customer={customer}
    GET /v1/customers/{customer}/payment_methods
    gone = POST /v1/payment_methods type=card&card[number]=4242424242424242
    POST /v1/payment_methods/{gone}/attach customer={customer}
    POST /v1/payment_methods/{gone}/detach
    setup = POST /v1/setup_intents customer={customer}
    GET /v1/setup_intents
    GET /v1/setup_intents/{setup}
    POST /v1/setup_intents/{setup} description=x
    POST /v1/setup_intents/{setup}/confirm payment_method={method}
    setup2 = POST /v1/setup_intents
    POST /v1/setup_intents/{setup2}/cancel";

const PAYMENTS: &str = "
    intent = POST /v1/payment_intents amount=2000&currency=usd&customer={customer}
    GET /v1/payment_intents
    GET /v1/payment_intents/{intent}
    POST /v1/payment_intents/{intent} description=x
    POST /v1/payment_intents/{intent}/confirm payment_method={method}
    held = POST /v1/payment_intents amount=2000&currency=usd&capture_method=manual&payment_method=pm_card_visa&confirm=true
    POST /v1/payment_intents/{held}/capture amount_to_capture=1500
    let_go = POST /v1/payment_intents amount=2000&currency=usd
    POST /v1/payment_intents/{let_go}/cancel
    rich = POST /v1/payment_intents amount=900000&currency=usd&payment_method=pm_card_bypassPending&confirm=true
    disputed = POST /v1/payment_intents amount=2000&currency=usd&payment_method=pm_card_createDispute&confirm=true
    waiting = POST /v1/payment_intents amount=2000&currency=usd&payment_method=pm_card_pendingRefund&confirm=true
    GET /v1/charges
    refund = POST /v1/refunds payment_intent={intent}&amount=300
    GET /v1/refunds
    GET /v1/refunds/{refund}
    POST /v1/refunds/{refund} metadata[a]=1
    waits = POST /v1/refunds payment_intent={waiting}
    POST /v1/refunds/{waits}/cancel
    GET /v1/disputes
    GET /v1/balance
    GET /v1/balance_transactions
    payout = POST /v1/payouts amount=1100&currency=usd
    GET /v1/payouts
    GET /v1/payouts/{payout}
    POST /v1/payouts/{payout} metadata[a]=1
    POST /v1/payouts/{payout}/cancel";

const BILLING: &str = "
    subscription = POST /v1/subscriptions customer={customer}&items[0][price]={price}
    GET /v1/subscriptions
    GET /v1/subscriptions/{subscription}
    POST /v1/subscriptions/{subscription} metadata[a]=1
    item = POST /v1/subscription_items subscription={subscription}&price={price}
    GET /v1/subscription_items?subscription={subscription}
    GET /v1/subscription_items/{item}
    POST /v1/subscription_items/{item} quantity=2
    DELETE /v1/subscription_items/{item}
    line = POST /v1/invoiceitems customer={customer}&amount=500&currency=usd&description=Work
    GET /v1/invoiceitems
    GET /v1/invoiceitems/{line}
    POST /v1/invoiceitems/{line} amount=600
    GET /v1/invoices
    invoice = POST /v1/invoices customer={customer}&pending_invoice_items_behavior=include
    GET /v1/invoices/{invoice}
    GET /v1/invoices/{invoice}/lines
    POST /v1/invoices/{invoice} description=x
    POST /v1/invoices/{invoice}/finalize
    POST /v1/invoices/{invoice}/pay
    GET /v1/invoice_payments
    line2 = POST /v1/invoiceitems customer={customer}&amount=500&currency=usd
    sent = POST /v1/invoices customer={customer}&collection_method=send_invoice&days_until_due=7&pending_invoice_items_behavior=include
    POST /v1/invoices/{sent}/send
    POST /v1/invoices/{sent}/mark_uncollectible
    POST /v1/invoices/{sent}/void
    line3 = POST /v1/invoiceitems customer={customer}&amount=500&currency=usd
    DELETE /v1/invoiceitems/{line3}
    draft = POST /v1/invoices customer={customer}
    DELETE /v1/invoices/{draft}
    DELETE /v1/subscriptions/{subscription}";

const REST: &str = "
    GET /v1/account
    GET /v1/charges/search?query=amount%3E1
    GET /v1/customers/search?query=name~'ada'
    GET /v1/invoices/search?query=total%3E1
    GET /v1/payment_intents/search?query=amount%3E1
    GET /v1/prices/search?query=active:'true'
    GET /v1/products/search?query=active:'true'
    GET /v1/subscriptions/search?query=status:'active'
    endpoint = POST /v1/webhook_endpoints url=http://127.0.0.1:9/&enabled_events[]=*
    GET /v1/webhook_endpoints
    GET /v1/webhook_endpoints/{endpoint}
    POST /v1/webhook_endpoints/{endpoint} disabled=true
    DELETE /v1/webhook_endpoints/{endpoint}
    GET /v1/events
    GET /v2/core/events
    destination = POST /v2/core/event_destinations {\"name\":\"x\",\"type\":\"webhook_endpoint\",\"event_payload\":\"thin\",\"enabled_events\":[\"v1.price.created\"],\"webhook_endpoint\":{\"url\":\"http://127.0.0.1:9/\"}}
    GET /v2/core/event_destinations
    GET /v2/core/event_destinations/{destination}
    POST /v2/core/event_destinations/{destination} {\"description\":\"y\"}
    POST /v2/core/event_destinations/{destination}/disable {}
    POST /v2/core/event_destinations/{destination}/enable {}
    POST /v2/core/event_destinations/{destination}/ping {}
    DELETE /v2/core/event_destinations/{destination} {}
    clock = POST /v1/test_helpers/test_clocks frozen_time=1767225600
    GET /v1/test_helpers/test_clocks
    GET /v1/test_helpers/test_clocks/{clock}
    POST /v1/test_helpers/test_clocks/{clock}/advance frozen_time=1767312000
    DELETE /v1/test_helpers/test_clocks/{clock}
    DELETE /v1/customers/{customer}";

#[tokio::test]
async fn every_call_that_is_simulated_answers_as_described() {
    let mut walk = Walk { stage: Stage::new().await, made: BTreeMap::new(), seen: BTreeSet::new() };
    walk.steps(CATALOGUE).await;
    walk.steps(PEOPLE).await;
    walk.steps(PAYMENTS).await;
    // Ids that only an answer tells.
    let first = |list: Value| list["data"][0]["id"].as_str().unwrap().to_owned();
    let dispute = first(walk.step("GET /v1/disputes").await);
    walk.made.insert("dispute", dispute);
    let held = walk.step("GET /v1/payment_intents/{held}").await;
    walk.made.insert("charge", held["latest_charge"].as_str().unwrap().to_owned());
    let row = first(walk.step("GET /v1/balance_transactions").await);
    walk.made.insert("row", row);
    let authorised = walk
        .step("POST /v1/payment_intents amount=900&currency=usd&capture_method=manual&payment_method=pm_card_visa&confirm=true")
        .await;
    walk.made.insert("authorised", authorised["latest_charge"].as_str().unwrap().to_owned());
    walk.steps(
        "GET /v1/disputes/{dispute}
        POST /v1/disputes/{dispute} metadata[foo]=bar
        POST /v1/disputes/{dispute}/close
        GET /v1/charges/{charge}
        POST /v1/charges/{charge} description=x
        POST /v1/charges/{authorised}/capture
        GET /v1/balance_transactions/{row}",
    )
    .await;
    walk.steps(BILLING).await;
    let payment = first(walk.step("GET /v1/invoice_payments").await);
    walk.made.insert("payment", payment);
    let paused = walk
        .step("trial = POST /v1/subscriptions customer={customer}&items[0][price]={price}&trial_period_days=1")
        .await;
    assert_eq!(paused["status"], "trialing");
    let poor = walk.step("poor = POST /v1/customers name=Poor").await;
    assert_eq!(poor["name"], "Poor");
    walk.step("asleep = POST /v1/subscriptions customer={poor}&items[0][price]={price}&trial_period_days=1&trial_settings[end_behavior][missing_payment_method]=pause").await;
    walk.stage.control("POST", "/_sim/time", &json!({ "advance_seconds": 90_000 })).await;
    assert!(walk.stage.simulator.now() > NOW);
    walk.steps(
        "GET /v1/invoice_payments/{payment}
        POST /v1/subscriptions/{asleep}/resume",
    )
    .await;
    let event = first(walk.step("GET /v1/events").await);
    let thin = first(walk.step("GET /v2/core/events").await);
    walk.made.extend([("event", event), ("thin", thin)]);
    walk.steps("GET /v1/events/{event}\nPOST /v1/events/{event}/retry\nGET /v2/core/events/{thin}").await;
    walk.steps(REST).await;
    for event in walk.stage.get("/v1/events?limit=100").await.ok()["data"].as_array().unwrap() {
        crate::stage::check_event(event);
    }
    // The sessions of the CLI are held against the CLI itself.
    let all = simulator::simulated().into_iter().map(|call| format!("{} {}", call.method, call.pattern));
    let missing: Vec<String> =
        all.filter(|call| !walk.seen.contains(call) && !call.contains("/v1/stripecli/")).collect();
    assert_eq!(missing, Vec::<String>::new(), "calls that nobody walked");
}
