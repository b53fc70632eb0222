//! Test clocks: customers in a time of their own, which renews their subscriptions when it is advanced (FACTS section 11).
//!
//! Subscriptions, invoices and invoice items under a clock carry its time; payments and events carry the present, as
//! with Stripe. The call that advances answers `advancing`; whoever reads the clock afterwards finds it `ready`.

use super::{Call, Endpoint, Kind, Resource, Verb, customer, delete, get, post, simple};
use crate::{
    book::{Book, Clock, Due},
    calendar::{DAY, period_end},
    json::{json_text, plain_member},
    passing,
    problem::Refusal,
    work::{Work, int_of, parse, text_of},
};
use serde_json::{Value, json};
use std::sync::Arc;

pub(crate) static RESOURCE: Resource = Resource {
    kind: Kind::TestClock,
    object: "test_helpers.test_clock",
    facets: &[],
    expands: &[],
    search: None,
    endpoints: &ENDPOINTS,
};

static ENDPOINTS: [Endpoint; 5] = [
    get("/v1/test_helpers/test_clocks", "", "billing_clock", Verb::List(Kind::TestClock, simple)),
    get("/v1/test_helpers/test_clocks/{id}", "", "billing_clock", Verb::Retrieve(Kind::TestClock)),
    post("/v1/test_helpers/test_clocks", "frozen_time:int! name:text", "billing_clock", create),
    post("/v1/test_helpers/test_clocks/{id}/advance", "frozen_time:int!", "billing_clock", advance),
    delete("/v1/test_helpers/test_clocks/{id}", "", "billing_clock", remove),
];

/// How many customers a clock may have, and subscriptions each of them.
const CUSTOMERS_MAX: usize = 3;
const SUBSCRIPTIONS_MAX: usize = 3;
/// How long a clock lives, in the simulator's own time.
const LIVES_SECONDS: i64 = 30 * DAY;
/// How far a clock without subscriptions may be advanced.
const YEARS: i64 = 2;

/// The clock that a call is about: that of the customer whose object its path or its parameters name.
pub(crate) fn of(book: &Book, call: &Call) -> Option<Arc<str>> {
    if book.clocks.is_empty() {
        return None;
    }
    const NAMING: [&str; 4] = ["test_clock", "customer", "subscription", "invoice"];
    let named = NAMING.iter().filter_map(|name| call.parameters.text(name));
    [call.id.as_str()].into_iter().chain(named).find_map(|id| clock_of(book, id))
}

fn clock_of(book: &Book, id: &str) -> Option<Arc<str>> {
    if book.clocks.contains_key(id) {
        return Some(id.into());
    }
    let text = book.find(id)?;
    if let Some(clock) = plain_member(text, "test_clock") {
        return Some(clock.as_ref().into());
    }
    let customer = plain_member(text, "customer")?;
    plain_member(book.get(Kind::Customer, &customer)?, "test_clock").map(|clock| clock.as_ref().into())
}

/// Refuses another customer on a clock that has its number.
pub(crate) fn check_customer(work: &Work<'_>, clock: &str) -> Result<(), Refusal> {
    must_be_ready(work, clock, Some("test_clock"))?;
    if work.book.table(Kind::Customer).with("test_clock", clock).len() >= CUSTOMERS_MAX {
        return Err(
            Refusal::bad(format!("Test clocks can have at most {CUSTOMERS_MAX} customers.")).param("test_clock")
        );
    }
    Ok(())
}

/// Refuses another subscription of a customer on a clock who has the number allowed.
pub(crate) fn check_subscription(work: &Work<'_>, customer: &Value) -> Result<(), Refusal> {
    let Some(clock) = customer["test_clock"].as_str() else { return Ok(()) };
    must_be_ready(work, clock, None)?;
    let held = work.book.table(Kind::Subscription).with("customer", text_of(customer, "id"));
    let going = held.iter().filter(|text| plain_member(text, "status").as_deref() != Some("canceled")).count();
    if going >= SUBSCRIPTIONS_MAX {
        return Err(Refusal::bad(format!(
            "Customers on a test clock can have at most {SUBSCRIPTIONS_MAX} subscriptions."
        ))
        .param("customer"));
    }
    Ok(())
}

fn must_be_ready(work: &Work<'_>, id: &str, param: Option<&str>) -> Result<Value, Refusal> {
    let clock = work.value(Kind::TestClock, id, param)?;
    match text_of(&clock, "status") {
        "ready" => Ok(clock),
        status => Err(Refusal::bad(format!("The test clock is {status}; wait until it is ready."))),
    }
}

fn create(work: &mut Work<'_>, call: &Call) -> Result<Arc<str>, Refusal> {
    if work.book.livemode {
        return Err(Refusal::bad("Test clocks exist in test mode only."));
    }
    let frozen = call.parameters.int("frozen_time").unwrap_or_default();
    if frozen < 0 {
        return Err(Refusal::bad("Invalid timestamp: must be a positive integer.").param("frozen_time"));
    }
    let id = work.ids.new_id("clock_");
    let deletes_after = work.present + LIVES_SECONDS;
    let text = work.insert(
        Kind::TestClock,
        json_text!({
            "id": id,
            "object": "test_helpers.test_clock",
            "created": work.present,
            "deletes_after": deletes_after,
            "frozen_time": frozen,
            "livemode": false,
            "name": call.parameters.text("name"),
            "status": "ready",
            "status_details": {},
        }),
    );
    work.book.clocks.insert(id.as_str().into(), Clock { frozen, ..Clock::default() });
    work.book.due.insert((deletes_after, Due::DeleteClock(id.into())));
    work.emit("test_helpers.test_clock.created", &text);
    Ok(text)
}

/// The furthest second that a clock may be advanced to: two intervals of its shortest subscription.
fn furthest(work: &Work<'_>, clock: &Value) -> i64 {
    let frozen = int_of(clock, "frozen_time");
    let subscriptions = work.book.table(Kind::Subscription).with("test_clock", text_of(clock, "id"));
    let ends = subscriptions
        .iter()
        .map(|text| parse(text))
        .filter(|subscription| !matches!(text_of(subscription, "status"), "canceled" | "incomplete_expired"));
    let ends = ends.filter_map(|subscription| {
        let recurring = &subscription["items"]["data"][0]["price"]["recurring"];
        let count = int_of(recurring, "interval_count");
        Some(period_end(frozen, frozen, recurring["interval"].as_str()?, 2 * count))
    });
    ends.min().unwrap_or_else(|| period_end(frozen, frozen, "year", YEARS))
}

fn advance(work: &mut Work<'_>, call: &Call) -> Result<Arc<str>, Refusal> {
    let clock = must_be_ready(work, &call.id, None)?;
    let until = call.parameters.int("frozen_time").unwrap_or_default();
    if until <= int_of(&clock, "frozen_time") {
        return Err(
            Refusal::bad("The new frozen time must be after the clock's current frozen time.").param("frozen_time")
        );
    }
    let furthest = furthest(work, &clock);
    if until > furthest {
        return Err(Refusal::bad(format!(
            "Cannot advance the test clock more than two intervals of its shortest subscription, or two years without one: at most to {furthest}."
        ))
        .param("frozen_time"));
    }
    work.clock = None;
    let advancing = work.change(Kind::TestClock, &call.id, |clock| {
        clock["status"] = "advancing".into();
        clock["status_details"] = json!({ "advancing": { "target_frozen_time": until } });
        Ok(())
    })?;
    work.emit("test_helpers.test_clock.advancing", &advancing.text);
    work.cause = None;
    pass(work, &call.id, until);
    let ready = work.change(Kind::TestClock, &call.id, |clock| {
        clock["status"] = "ready".into();
        clock["status_details"] = json!({});
        clock["frozen_time"] = until.into();
        Ok(())
    })?;
    work.emit("test_helpers.test_clock.ready", &ready.text);
    Ok(advancing.text)
}

/// Does all that is due on a clock up to a second.
fn pass(work: &mut Work<'_>, id: &str, until: i64) {
    work.clock = Some(id.into());
    while let Some(clock) = work.book.clocks.get_mut(id) {
        let next = clock.due.first().filter(|(at, _)| *at <= until).map(|(at, _)| *at);
        let Some(at) = next else {
            clock.frozen = until;
            break;
        };
        clock.frozen = at;
        let Some((_, due)) = clock.due.pop_first() else { break };
        work.now = at;
        passing::happen(work, due);
    }
    work.clock = None;
    work.now = work.present;
}

fn remove(work: &mut Work<'_>, call: &Call) -> Result<Arc<str>, Refusal> {
    must_be_ready(work, &call.id, None)?;
    forget(work, &call.id)
}

/// Deletes a clock with its customers; their subscriptions end.
pub(crate) fn forget(work: &mut Work<'_>, id: &str) -> Result<Arc<str>, Refusal> {
    let text = work.text(Kind::TestClock, id, None)?;
    for held in work.book.table(Kind::Customer).with("test_clock", id) {
        let held = plain_member(&held, "id").unwrap_or_default().into_owned();
        customer::forget(work, &held)?;
    }
    work.book.clocks.remove(id);
    work.remove(Kind::TestClock, id, None);
    work.emit("test_helpers.test_clock.deleted", &text);
    Ok(json_text!({ "id": id, "object": "test_helpers.test_clock", "deleted": true }).into())
}
