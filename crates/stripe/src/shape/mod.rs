//! Reading objects of Stripe's: of any kind its head, of the kinds we use just the fields we use.
//!
//! Readers take every shape from basil to endive (GW-6): where a field moved, a method looks in both places. Ids may
//! come as ids or as whole objects. Enumerations stay text, since new values arrive at any time. Objects of other
//! versions are fetched again by the caller ([`crate::version::understood`]). Source: FACTS sections 1, 3 and 10 to 14.

mod account;
mod catalogue;
mod fields;
mod head;
mod invoice;
mod money;
mod subscription;

pub use account::{Account, AccountSettings, Capabilities, Dashboard, WebhookEndpoint};
pub use catalogue::{Address, Customer, Price, Product, Recurring};
pub use fields::ObjectId;
pub use head::{Head, ListPage};
pub use invoice::{DiscountAmount, Invoice, InvoiceLine, InvoicePayment, PaidBy, Period, StatusTransitions};
pub use money::{
    BalanceTransaction, BillingDetails, CardDetails, Charge, Dispute, EvidenceDetails, FeeDetail, PaymentMethodDetails,
    Payout, Refund,
};
pub use subscription::{Embedded, Subscription, SubscriptionItem};

pub(crate) use head::{Text, depth_is_at_most};

use serde::de::DeserializeOwned;

/// Why an object cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ShapeError {
    /// Not JSON, or a field is missing or of another type than in any version we know.
    #[error("{object} {id} cannot be read: {reason}")]
    Unreadable {
        /// What was being read, such as `charge`.
        object: &'static str,
        /// Its id, or `without id`.
        id: String,
        /// The parser's reason: names of fields and types, no values of ours.
        reason: String,
    },
    /// It is an object of another kind.
    #[error("a {expected} was expected, and this is a {found}")]
    OtherKind {
        /// What was being read.
        expected: &'static str,
        /// What it is.
        found: String,
    },
}

impl ShapeError {
    /// A stable code.
    pub fn code(&self) -> &'static str {
        match self {
            ShapeError::Unreadable { .. } => "object_unreadable",
            ShapeError::OtherKind { .. } => "object_of_other_kind",
        }
    }
}

/// An object that can be read from the text Stripe sent.
pub trait Shape: DeserializeOwned {
    /// Stripe's name of the kind.
    const OBJECT: &'static str;

    /// Reads one object, and refuses one of another kind. Deleted objects have a [`Head`] and no fields: look there first.
    fn read(text: &str) -> Result<Self, ShapeError> {
        let head = Head::read(text)?;
        if head.object != Self::OBJECT {
            return Err(ShapeError::OtherKind { expected: Self::OBJECT, found: head.object.into_owned() });
        }
        serde_json::from_str(text).map_err(|error| ShapeError::Unreadable {
            object: Self::OBJECT,
            id: head.id.as_deref().unwrap_or("without id").to_owned(),
            reason: error.to_string(),
        })
    }
}
