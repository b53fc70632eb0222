//! What the simulator simulates: a file per resource with its fields, its verbs and the events it emits.
//!
//! Every verb checks everything it can refuse, then changes the book, then emits. To add a resource: write its file, add
//! its [`Kind`], add it to [`ALL`].

pub(crate) mod account;
pub(crate) mod balance;
pub(crate) mod balance_transaction;
pub(crate) mod cards;
pub(crate) mod charge;
pub(crate) mod coupon;
pub(crate) mod customer;
pub(crate) mod dispute;
pub(crate) mod event;
pub(crate) mod event_destination;
pub(crate) mod invoice;
pub(crate) mod invoice_item;
pub(crate) mod invoice_line;
pub(crate) mod invoice_payment;
pub(crate) mod payment_intent;
pub(crate) mod payment_method;
pub(crate) mod payout;
pub(crate) mod price;
pub(crate) mod product;
pub(crate) mod promotion_code;
pub(crate) mod refund;
pub(crate) mod setup_intent;
pub(crate) mod subscription;
pub(crate) mod subscription_item;
pub(crate) mod tax_rate;
pub(crate) mod test_clock;
pub(crate) mod webhook_endpoint;

use crate::{
    book::Book,
    parameters::Parameters,
    problem::Refusal,
    search::Field,
    table::{Facet, Query, Test},
    work::Work,
};
use std::sync::Arc;

/// The types of objects that are kept in tables.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Kind {
    Account,
    Product,
    Price,
    Coupon,
    Customer,
    PaymentMethod,
    PaymentIntent,
    Charge,
    Refund,
    Dispute,
    BalanceTransaction,
    Payout,
    Subscription,
    Invoice,
    InvoiceLine,
    InvoiceItem,
    InvoicePayment,
    Event,
    WebhookEndpoint,
    PromotionCode,
    TaxRate,
    SetupIntent,
    TestClock,
    EventDestination,
}

/// One type of object.
pub(crate) struct Resource {
    /// Its kind.
    pub(crate) kind: Kind,
    /// Its `object` word.
    pub(crate) object: &'static str,
    /// What lists can filter on.
    pub(crate) facets: &'static [Facet],
    /// Members that `expand` may name and that hold an id.
    pub(crate) expands: &'static [&'static str],
    /// The fields that it can be searched by, if it can.
    pub(crate) search: Option<&'static [Field]>,
    /// Its calls.
    pub(crate) endpoints: &'static [Endpoint],
}

/// All resources, in the order of [`Kind`].
pub(crate) static ALL: [&Resource; 24] = [
    &account::RESOURCE,
    &product::RESOURCE,
    &price::RESOURCE,
    &coupon::RESOURCE,
    &customer::RESOURCE,
    &payment_method::RESOURCE,
    &payment_intent::RESOURCE,
    &charge::RESOURCE,
    &refund::RESOURCE,
    &dispute::RESOURCE,
    &balance_transaction::RESOURCE,
    &payout::RESOURCE,
    &subscription::RESOURCE,
    &invoice::RESOURCE,
    &invoice_line::RESOURCE,
    &invoice_item::RESOURCE,
    &invoice_payment::RESOURCE,
    &event::RESOURCE,
    &webhook_endpoint::RESOURCE,
    &promotion_code::RESOURCE,
    &tax_rate::RESOURCE,
    &setup_intent::RESOURCE,
    &test_clock::RESOURCE,
    &event_destination::RESOURCE,
];

impl Kind {
    /// The resource of this kind.
    pub(crate) fn resource(self) -> &'static Resource {
        ALL[self as usize]
    }

    /// Stripe's word for it, as in the `object` member.
    pub(crate) fn object(self) -> &'static str {
        self.resource().object
    }

    /// The kind with this `object` word.
    pub(crate) fn of(object: &str) -> Option<Kind> {
        ALL.iter().find(|resource| resource.object == object).map(|resource| resource.kind)
    }
}

/// HTTP methods that Stripe uses in v1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Method {
    Get,
    Post,
    Delete,
}

/// One call: verb and path pattern, what it accepts, which permission a restricted key needs, and what it does.
pub(crate) struct Endpoint {
    pub(crate) method: Method,
    /// `/v1/charges/{id}`
    pub(crate) pattern: &'static str,
    /// The table of [`crate::parameters`].
    pub(crate) accepts: &'static str,
    /// The middle of the permission's name: `charge` for `rak_charge_read` (FACTS section 2).
    pub(crate) permission: &'static str,
    pub(crate) verb: Verb,
}

/// What a call does.
pub(crate) enum Verb {
    /// Answers one object by the id in the path.
    Retrieve(Kind),
    /// Answers a page of objects.
    List(Kind, Prepare),
    /// Answers a page of what a query finds.
    Search(Kind),
    /// Answers something computed.
    Compute(fn(&Book, &Call, i64) -> Result<String, Refusal>),
    /// Changes the book and answers an object.
    Write(fn(&mut Work, &Call) -> Result<Arc<str>, Refusal>),
}

/// Turns parameters that are not simple filters into tests, and takes them out of the parameters.
pub(crate) type Prepare = fn(&Book, &mut Call, &mut Query) -> Result<(), Refusal>;

/// A list whose parameters are all simple filters.
pub(crate) fn simple(_: &Book, _: &mut Call, _: &mut Query) -> Result<(), Refusal> {
    Ok(())
}

/// Leaves out of a list what is on a test clock, unless it is asked for by its clock or by one of its parents.
pub(crate) fn leave_out_clocks(book: &Book, kind: Kind, call: &Call, query: &mut Query) {
    let asked = ["test_clock", "customer", "subscription"].iter().any(|name| call.parameters.has(name));
    if let Some(facet) = book.table(kind).facet("test_clock").filter(|_| !asked) {
        query.tests.push(Test::Absent(facet));
    }
}

/// A call that has passed authentication and the parameter table.
#[derive(Clone, Debug, Default)]
pub(crate) struct Call {
    /// The path as called, for `url` of lists.
    pub(crate) path: String,
    /// The query as called, for the way to the next page.
    pub(crate) query: String,
    /// The present second of simulated time.
    pub(crate) now: i64,
    /// The id in the path, if the pattern has one.
    pub(crate) id: String,
    /// The parameters.
    pub(crate) parameters: Parameters,
}

const fn get(pattern: &'static str, accepts: &'static str, permission: &'static str, verb: Verb) -> Endpoint {
    Endpoint { method: Method::Get, pattern, accepts, permission, verb }
}

const fn post(
    pattern: &'static str,
    accepts: &'static str,
    permission: &'static str,
    verb: fn(&mut Work, &Call) -> Result<Arc<str>, Refusal>,
) -> Endpoint {
    Endpoint { method: Method::Post, pattern, accepts, permission, verb: Verb::Write(verb) }
}

const fn delete(
    pattern: &'static str,
    accepts: &'static str,
    permission: &'static str,
    verb: fn(&mut Work, &Call) -> Result<Arc<str>, Refusal>,
) -> Endpoint {
    Endpoint { method: Method::Delete, pattern, accepts, permission, verb: Verb::Write(verb) }
}
