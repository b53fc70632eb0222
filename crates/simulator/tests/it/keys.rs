//! Who may do what: keys, modes, accounts, permissions.

use crate::stage::{Reply, Stage};
use kit::{ExposeSecret, Secret};
use serde_json::json;

async fn with_key(stage: &Stage, key: &str, method: &str, path: &str) -> Reply {
    stage.send(method, path, stage.request(method, path).bearer_auth(key)).await
}

#[tokio::test]
async fn wrong_keys_are_refused_each_in_its_own_way() {
    let stage = Stage::new().await;
    let none = stage.send("GET", "/v1/balance", stage.request("GET", "/v1/balance")).await;
    assert_eq!(none.refusal(), "401 - -");
    let wrong = with_key(&stage, "sk_test_wrongwrongwrong9999", "GET", "/v1/balance").await;
    assert_eq!(wrong.refusal(), "401 - -");
    let message = wrong.body["error"]["message"].as_str().unwrap();
    assert!(message.contains("sk_test_***************9999") && !message.contains("wrong"), "{message}");
    let keys = stage.simulator.default_account();
    let publishable = with_key(&stage, keys.publishable_key_test.expose_secret(), "GET", "/v1/balance").await;
    assert_eq!(publishable.refusal(), "401 secret_key_required -");
    stage.control("POST", "/_sim/keys", &json!({ "revoke": stage.key })).await;
    assert_eq!(stage.get("/v1/balance").await.refusal(), "401 api_key_expired -");
}

#[tokio::test]
async fn a_key_may_come_as_bearer_or_as_basic_user_name() {
    let stage = Stage::new().await;
    assert!(stage.key.starts_with("sk_test_bursar_demo_"));
    let basic = stage.request("GET", "/v1/account").basic_auth(&stage.key, Some(""));
    let account = stage.send("GET", "/v1/account", basic).await.ok();
    assert_eq!(account["id"], stage.account);
    assert_eq!(stage.get("/v1/account").await.ok()["id"], stage.account);
}

#[tokio::test]
async fn a_restricted_key_is_told_which_permission_it_lacks() {
    let stage = Stage::new().await;
    let asked = json!({ "permissions": ["rak_charge_read", "rak_customer_write", "rak_plan_read"] });
    let key = stage.control("POST", "/_sim/keys", &asked).await["key"].as_str().unwrap().to_owned();
    assert!(key.starts_with("rk_test_"));
    for (method, path, needed) in [
        ("GET", "/v1/charges", None),
        ("GET", "/v1/refunds", None),
        ("GET", "/v1/prices", None),
        ("GET", "/v1/customers", None),
        ("POST", "/v1/customers", None),
        ("GET", "/v1/balance_transactions", Some("rak_balance_transaction_source_read")),
        ("GET", "/v1/invoices", Some("rak_invoice_read")),
        ("POST", "/v1/refunds", Some("rak_charge_write")),
        ("GET", "/v1/events", Some("rak_event_read")),
        ("POST", "/v1/webhook_endpoints", Some("rak_webhook_write")),
    ] {
        let reply = with_key(&stage, &key, method, path).await;
        match needed {
            None => assert_eq!(reply.status, 200, "{method} {path}: {}", reply.body),
            Some(needed) => {
                assert_eq!(reply.status, 403, "{method} {path}");
                assert!(reply.body["error"]["message"].as_str().unwrap().contains(needed), "{}", reply.body);
            }
        }
    }
}

/// What public integrations tick for each call (FACTS section 2), the longest beginning of the path first. Those with a mark are
/// not published anywhere.
const PERMISSIONS: [(&str, &str); 35] = [
    ("/v1/customers/{id}/payment_methods", "payment_method"),
    ("/v1/account", "accounts_kyc_basic"),
    ("/v1/balance_transactions", "balance_transaction_source"),
    ("/v1/balance", "balance"),
    ("/v1/charges", "charge"),
    ("/v1/checkout/sessions", "checkout_session"),
    ("/v1/payment_pages", "checkout_session"),
    ("/v1/coupons", "coupon"),
    ("/v1/credit_notes", "credit_note"),
    ("/v1/customers", "customer"),
    ("/v1/disputes", "dispute"),
    ("/v1/events", "event"),
    ("/v1/invoice_payments", "invoice"),
    ("/v1/invoiceitems", "invoice"),
    ("/v1/invoices", "invoice"),
    ("/v1/payment_intents", "payment_intent"),
    ("/v1/payment_methods", "payment_method"),
    ("/v1/payouts", "payout"),
    ("/v1/prices", "plan"),
    ("/v1/products", "product"),
    ("/v1/promotion_codes", "promotion_code"),
    ("/v1/refunds", "charge"),
    ("/v1/setup_intents", "setup_intent"),
    ("/v1/subscription_items", "subscription"),
    ("/v1/subscriptions", "subscription"),
    ("/v1/tax_rates", "tax_rate"),
    ("/v1/test_helpers/test_clocks", "billing_clock"),
    ("/v1/transfers", "transfer"),
    ("/v1/application_fees", "application_fee"),
    ("/v1/accounts", "connected_account"),
    ("/v1/billing/meters", "billing_meter"),
    ("/v1/stripecli", "stripecli_session"),
    ("/v1/webhook_endpoints", "webhook"),
    ("/v2/core/event_destinations", "webhook"),
    ("/v2/core/events", "event"),
];

/// Every call that is simulated is refused by the name of its permission without it, and is not refused with it; writing
/// includes reading, and reading does not include writing.
#[tokio::test]
async fn every_call_wants_its_own_permission() {
    let stage = Stage::new().await;
    let key = |permissions: &[&str]| {
        let made = stage.simulator.restricted_key(&stage.account, false, permissions).unwrap();
        made.expose_secret().to_owned()
    };
    let every: Vec<String> =
        PERMISSIONS.iter().flat_map(|(_, name)| [format!("rak_{name}_read"), format!("rak_{name}_write")]).collect();
    for call in simulator::simulated() {
        let named = PERMISSIONS.iter().find(|(start, _)| {
            call.pattern.strip_prefix(start).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        });
        let (_, name) = named.unwrap_or_else(|| panic!("no permission is known for {}", call.pattern));
        let (read, write) = (format!("rak_{name}_read"), format!("rak_{name}_write"));
        let path = call.pattern.replace("{id}", "x_none");
        let reads = call.method == "GET";
        let others: Vec<&str> =
            every.iter().map(String::as_str).filter(|other| **other != read && **other != write).collect();
        for (granted, allowed) in [(others, false), (vec![read.as_str()], reads), (vec![write.as_str()], true)] {
            let reply = with_key(&stage, &key(&granted), call.method, &path).await;
            let what = format!("{} {} with {granted:?}: {}", call.method, call.pattern, reply.body);
            assert_eq!(reply.status != 403, allowed, "{what}");
            assert_ne!(reply.status, 401, "{what}");
            if !allowed {
                let message = reply.body["error"]["message"].as_str().unwrap();
                let needed = if reads { &read } else { &write };
                assert!(message.contains(&format!("'{needed}'")), "{what}");
            }
        }
    }
}

#[tokio::test]
async fn modes_and_accounts_do_not_see_each_other() {
    let stage = Stage::new().await;
    let customer = stage.make("/v1/customers", "name=Ada").await;
    let live = with_key(&stage, &stage.live_key, "GET", &format!("/v1/customers/{customer}")).await;
    assert_eq!(live.refusal(), "404 resource_missing id");
    assert!(live.body["error"]["message"].as_str().unwrap().contains("similar object exists in test mode"));
    let other = stage.simulator.account_with_keys("Other");
    let key = other.secret_key_test.expose_secret();
    assert_eq!(with_key(&stage, key, "GET", "/v1/customers").await.ok()["data"], json!([]));
    let live = with_key(&stage, &stage.live_key, "GET", "/v1/balance").await.ok();
    assert_eq!(live["livemode"], true);
    let acting = async |headers: &[(&str, &str)]| {
        let mut request = stage.request("GET", "/v1/balance").bearer_auth(&stage.key);
        for (name, account) in headers {
            request = request.header(*name, *account);
        }
        stage.send("GET", "/v1/balance", request).await
    };
    for account in ["acct_foreign", &other.account_id] {
        assert_eq!(acting(&[("stripe-account", account)]).await.refusal(), "403 account_invalid -");
        assert_eq!(acting(&[("stripe-context", account)]).await.refusal(), "403 account_invalid -");
    }
    let own = acting(&[("stripe-account", &stage.account)]).await;
    assert_eq!((own.status, own.header("stripe-account")), (200, stage.account.as_str()));
    let both = acting(&[("stripe-account", &stage.account), ("stripe-context", &stage.account)]).await;
    assert_eq!(both.refusal(), "400 - -");
}

#[tokio::test]
async fn secrets_stay_out_of_debug_output() {
    let stage = Stage::new().await;
    let keys = stage.simulator.default_account();
    assert!(!format!("{keys:?} {:?}", stage.simulator).contains(&stage.key));
    assert!(!stage.simulator.revoke_key(&Secret::from("sk_test_unknown")));
}
