//! The kinds of objects that Bursar mirrors, and what Stripe's API offers for each.
//!
//! Source: FACTS sections 2, 8 and 9; REV-4.

use serde::{Deserialize, Serialize};
use std::fmt;

/// A kind of mirrored object.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ObjectKind {
    /// A payment, or a try at one.
    Charge,
    /// Money given back.
    Refund,
    /// A payment that the payer's bank contests.
    Dispute,
    /// A movement of the account's balance.
    BalanceTransaction,
    /// Who pays.
    Customer,
    /// What is sold.
    Product,
    /// For how much, and how often.
    Price,
    /// A recurring sale.
    Subscription,
    /// A bill, with its lines.
    Invoice,
    /// Which payment paid which invoice.
    InvoicePayment,
    /// Money sent to the account's bank.
    Payout,
}

impl ObjectKind {
    /// All kinds, in the order in which they are worth having: what others refer to comes first.
    pub const ALL: [ObjectKind; 11] = [
        ObjectKind::Product,
        ObjectKind::Price,
        ObjectKind::Customer,
        ObjectKind::Subscription,
        ObjectKind::Invoice,
        ObjectKind::InvoicePayment,
        ObjectKind::Charge,
        ObjectKind::Refund,
        ObjectKind::Dispute,
        ObjectKind::BalanceTransaction,
        ObjectKind::Payout,
    ];

    /// Stripe's name: the value of `object`.
    pub fn object_name(self) -> &'static str {
        match self {
            ObjectKind::Charge => "charge",
            ObjectKind::Refund => "refund",
            ObjectKind::Dispute => "dispute",
            ObjectKind::BalanceTransaction => "balance_transaction",
            ObjectKind::Customer => "customer",
            ObjectKind::Product => "product",
            ObjectKind::Price => "price",
            ObjectKind::Subscription => "subscription",
            ObjectKind::Invoice => "invoice",
            ObjectKind::InvoicePayment => "invoice_payment",
            ObjectKind::Payout => "payout",
        }
    }

    /// The kind whose objects carry this name, if it is mirrored.
    pub fn from_object_name(name: &str) -> Option<ObjectKind> {
        ObjectKind::ALL.into_iter().find(|kind| kind.object_name() == name)
    }

    /// Path of the collection: `/v1/charges`.
    pub fn path(self) -> &'static str {
        match self {
            ObjectKind::Charge => "/v1/charges",
            ObjectKind::Refund => "/v1/refunds",
            ObjectKind::Dispute => "/v1/disputes",
            ObjectKind::BalanceTransaction => "/v1/balance_transactions",
            ObjectKind::Customer => "/v1/customers",
            ObjectKind::Product => "/v1/products",
            ObjectKind::Price => "/v1/prices",
            ObjectKind::Subscription => "/v1/subscriptions",
            ObjectKind::Invoice => "/v1/invoices",
            ObjectKind::InvoicePayment => "/v1/invoice_payments",
            ObjectKind::Payout => "/v1/payouts",
        }
    }

    /// The endpoint that lists the kind, as its rate limit counts it.
    pub fn list_pattern(self) -> String {
        format!("GET {}", self.path())
    }

    /// The endpoint that reads one object, as its rate limit counts it.
    pub fn retrieve_pattern(self) -> String {
        format!("GET {}/{{id}}", self.path())
    }

    /// Whether its list can be narrowed by `created`; all of today's can.
    pub fn has_created_filter(self) -> bool {
        match self {
            ObjectKind::Charge
            | ObjectKind::Refund
            | ObjectKind::Dispute
            | ObjectKind::BalanceTransaction
            | ObjectKind::Customer
            | ObjectKind::Product
            | ObjectKind::Price
            | ObjectKind::Subscription
            | ObjectKind::Invoice
            | ObjectKind::InvoicePayment
            | ObjectKind::Payout => true,
        }
    }

    /// The permission a restricted key needs to read it, as Stripe names it in errors.
    pub fn permission(self) -> &'static str {
        match self {
            // Refunds are read under the charges' permission, and prices still under that of plans.
            ObjectKind::Charge | ObjectKind::Refund => "rak_charge_read",
            ObjectKind::Dispute => "rak_dispute_read",
            ObjectKind::BalanceTransaction => "rak_balance_transaction_source_read",
            ObjectKind::Customer => "rak_customer_read",
            ObjectKind::Product => "rak_product_read",
            ObjectKind::Price => "rak_plan_read",
            ObjectKind::Subscription => "rak_subscription_read",
            ObjectKind::Invoice | ObjectKind::InvoicePayment => "rak_invoice_read",
            ObjectKind::Payout => "rak_payout_read",
        }
    }

    /// What events tell about it, and so what an incremental sync may rely on.
    pub fn events(self) -> EventCoverage {
        match self {
            ObjectKind::BalanceTransaction => EventCoverage::None,
            // Only `invoice_payment.paid` exists: open and canceled ones are seen with their invoice or in the list.
            ObjectKind::InvoicePayment => EventCoverage::Partial,
            ObjectKind::Charge
            | ObjectKind::Refund
            | ObjectKind::Dispute
            | ObjectKind::Customer
            | ObjectKind::Product
            | ObjectKind::Price
            | ObjectKind::Subscription
            | ObjectKind::Invoice
            | ObjectKind::Payout => EventCoverage::Full,
        }
    }

    /// What people call several of them, for pages and messages.
    pub fn plural(self) -> &'static str {
        match self {
            ObjectKind::Charge => "charges",
            ObjectKind::Refund => "refunds",
            ObjectKind::Dispute => "disputes",
            ObjectKind::BalanceTransaction => "balance transactions",
            ObjectKind::Customer => "customers",
            ObjectKind::Product => "products",
            ObjectKind::Price => "prices",
            ObjectKind::Subscription => "subscriptions",
            ObjectKind::Invoice => "invoices",
            ObjectKind::InvoicePayment => "invoice payments",
            ObjectKind::Payout => "payouts",
        }
    }
}

/// How much of an object's life its events tell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EventCoverage {
    /// Every change makes an event with the object in it.
    Full,
    /// Some changes do.
    Partial,
    /// None do: the list has to be read.
    None,
}

/// Permission to read the event list.
pub const EVENTS_PERMISSION: &str = "rak_event_read";
/// Permission to create and change webhook endpoints.
pub const WEBHOOK_PERMISSION: &str = "rak_webhook_write";

impl fmt::Display for ObjectKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.object_name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_and_their_names_belong_together() {
        for kind in ObjectKind::ALL {
            assert_eq!(ObjectKind::from_object_name(kind.object_name()), Some(kind));
            assert_eq!(serde_json::to_value(kind).unwrap(), kind.object_name());
        }
        assert_eq!(ObjectKind::from_object_name("event"), None);
        assert_eq!(ObjectKind::Price.retrieve_pattern(), "GET /v1/prices/{id}");
    }
}
