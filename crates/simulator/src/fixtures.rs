//! Stripe's own sample objects, put into an account as they are.

use crate::{
    book::Book,
    resources::Kind,
    simulator::{Loaded, SimulatorError},
    work::{int_of, text_of},
};
use serde_json::Value;

/// The kinds whose samples are put in. The account keeps its own object, events and endpoints belong to the simulator.
const KEPT: [Kind; 15] = [
    Kind::Product,
    Kind::Price,
    Kind::Coupon,
    Kind::Customer,
    Kind::PaymentMethod,
    Kind::PaymentIntent,
    Kind::Charge,
    Kind::Refund,
    Kind::Dispute,
    Kind::BalanceTransaction,
    Kind::Payout,
    Kind::Subscription,
    Kind::Invoice,
    Kind::InvoiceItem,
    Kind::InvoicePayment,
];

/// Loads `{"resources": {type: object}}`.
pub(crate) fn load(book: &mut Book, json: &str, now: i64) -> Result<Loaded, SimulatorError> {
    let file: Value = serde_json::from_str(json).map_err(|error| SimulatorError::Fixtures(error.to_string()))?;
    let resources =
        file["resources"].as_object().ok_or_else(|| SimulatorError::Fixtures("no `resources`".to_owned()))?;
    let mut loaded = Loaded::default();
    for (name, object) in resources {
        let kind = Kind::of(name).filter(|kind| KEPT.contains(kind) && object["deleted"] != true);
        let Some(kind) = kind else {
            loaded.skipped.push(name.clone());
            continue;
        };
        if kind == Kind::BalanceTransaction {
            enter(book, object);
        }
        book.put(kind, object.to_string(), now);
        loaded.objects += 1;
    }
    Ok(loaded)
}

/// The sample of money goes into the books, so that they still say what the balance transactions say.
fn enter(book: &mut Book, row: &Value) {
    let currency = text_of(row, "currency").to_owned();
    let books = book.totals.settled(&currency);
    books.gross += int_of(row, "amount");
    books.fees += int_of(row, "fee");
    books.net += int_of(row, "net");
    books.balance += int_of(row, "net");
    books.charges += 1;
    let place = (int_of(row, "available_on"), text_of(row, "id").into());
    book.unpaid.entry(currency.into()).or_default().insert(place, int_of(row, "net"));
}
