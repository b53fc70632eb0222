//! Events and objects of every version that we read, basil to endive: any bytes are read or refused.
//!
//! What is an event is also read as an object of each shape, drawn facts from, and freed of payers' secrets.

use serde::de::DeserializeOwned;
use serde_json::Value;
use stripe::{Envelope, Head, ListPage, redact, shape, version};

/// See the module.
pub fn run(bytes: &[u8]) -> bool {
    if let Ok(text) = std::str::from_utf8(bytes) {
        objects(text);
        redacted(text);
        if let Ok(page) = ListPage::read(text) {
            page.heads().for_each(drop);
        }
    }
    let Ok(event) = Envelope::read(bytes) else { return false };
    assert!(!event.id().is_empty() && !event.event_type().is_empty(), "an event without a name");
    let _ = (event.created().to_string(), event.account().map(str::len));
    match event {
        Envelope::Snapshot(event) => {
            let _ = version::understood(event.api_version.as_deref());
            objects(event.object.get());
        }
        Envelope::Thin(_) => {}
    }
    true
}

/// Reads a text as every kind of object.
fn objects(text: &str) {
    let _ = Head::read(text).map(|head| (head.metadata_text().len(), head.created.map(|at| at.to_string())));
    for kind in ["charge", "refund", "dispute", "payout", "invoice"] {
        let _ = revenue::fact::facts_of(kind, text);
    }
    if let Some(charge) = shaped::<shape::Charge>(text) {
        let _ = (charge.amount(), charge.taken(), charge.country());
    }
    if let Some(refund) = shaped::<shape::Refund>(text) {
        let _ = refund.amount();
    }
    if let Some(dispute) = shaped::<shape::Dispute>(text) {
        let _ = dispute.amount();
    }
    if let Some(moved) = shaped::<shape::BalanceTransaction>(text) {
        let _ = (moved.amount(), moved.fee(), moved.net());
    }
    if let Some(payout) = shaped::<shape::Payout>(text) {
        let _ = payout.amount();
    }
    if let Some(subscription) = shaped::<shape::Subscription>(text) {
        let _ = subscription.period();
        let _ = subscription.items.data.iter().filter_map(|item| subscription.item_period(item)).count();
    }
    if let Some(invoice) = shaped::<shape::Invoice>(text) {
        let _ = (invoice.subscription(), invoice.paid_by(), invoice.total(), invoice.amount_paid());
    }
    if let Some(line) = shaped::<shape::InvoiceLine>(text) {
        let _ = (line.price(), line.product(), line.subscription(), line.subscription_item());
        let _ = (line.invoice_item(), line.is_proration(), line.amount());
    }
    let _ = (shaped::<shape::Customer>(text), shaped::<shape::Product>(text), shaped::<shape::Price>(text));
    let _ = (shaped::<shape::Account>(text), shaped::<shape::WebhookEndpoint>(text));
}

fn shaped<T: DeserializeOwned>(text: &str) -> Option<T> {
    serde_json::from_str(text).ok()
}

/// What is freed of payers' secrets is the same document without them. A name spelled with escapes is no name of Stripe's.
fn redacted(text: &str) {
    let kept = redact::without_client_secrets(text);
    let Ok(mut before) = serde_json::from_str::<Value>(text) else { return };
    if text.contains("\\u") {
        return;
    }
    blank(&mut before);
    let after: Value = serde_json::from_str(&kept).unwrap_or(Value::Null);
    assert_eq!(after, before, "redaction changed more, or less, than secrets");
}

fn blank(value: &mut Value) {
    match value {
        Value::Object(fields) => {
            for (name, value) in fields {
                if name == "client_secret" && value.is_string() {
                    *value = "[redacted]".into();
                }
                blank(value);
            }
        }
        Value::Array(values) => values.iter_mut().for_each(blank),
        _ => {}
    }
}
