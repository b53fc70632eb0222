//! What was learned of one object of Stripe's, from whom, and when it was true.

use kit::Time;
use std::time::Duration;

/// The span in which something was true at Stripe; both ends are included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Interval {
    /// It was not seen before this moment.
    pub begin: Time,
    /// It was seen by this moment.
    pub end: Time,
}

/// How far Stripe's clock and ours may be apart. A fetch is taken to be this much longer at both ends, so that an event
/// on Stripe's clock is not thought older than a fetch on ours; the price is a second look at an object that changed in
/// that very moment.
pub const CLOCK_TOLERANCE: Duration = Duration::from_millis(250);

impl Interval {
    /// An event's: it was created somewhere in that whole second (FACTS section 9).
    pub fn of_event(created: Time) -> Interval {
        let begin = Time::from_seconds(created.seconds());
        Interval { begin, end: begin + Duration::from_micros(999_999) }
    }

    /// A fetch's, from before the request to after the answer, widened by [`CLOCK_TOLERANCE`].
    pub fn of_fetch(began: Time, ended: Time) -> Interval {
        Interval { begin: began - CLOCK_TOLERANCE, end: ended.max(began) + CLOCK_TOLERANCE }
    }

    /// Whether this span ends before the other begins.
    pub fn is_before(&self, other: &Interval) -> bool {
        self.end < other.begin
    }
}

/// Where an observation comes from. Says nothing about which is newer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Source {
    /// A webhook, or the event list.
    Event,
    /// A page of a list.
    List,
    /// The object, read by its id.
    Get,
    /// The answer to a write of ours.
    Reply,
}

impl Source {
    /// For logs and figures.
    pub fn as_str(self) -> &'static str {
        match self {
            Source::Event => "event",
            Source::List => "list",
            Source::Get => "get",
            Source::Reply => "reply",
        }
    }
}

/// One object as it was seen once. Its account is the [`Scope`](crate::Scope)'s.
#[derive(Clone, Copy, Debug)]
pub struct Observation<'a> {
    /// Stripe's name of the kind, such as `charge`.
    pub object_type: &'a str,
    /// The object's id.
    pub id: &'a str,
    /// The object's JSON as it came.
    pub body: &'a str,
    /// When Stripe made the object, where it says so.
    pub created: Option<Time>,
    /// Where the observation comes from.
    pub source: Source,
    /// When it was true.
    pub seen: Interval,
    /// It tells that the object is gone.
    pub deleted: bool,
    /// The body only says that the object is gone, as in `{id, object, deleted: true}`; what it was is not in it.
    pub stub: bool,
}

impl<'a> Observation<'a> {
    /// Reads what a body says of itself. `None` for an object without an id, such as the invoice of `invoice.upcoming`,
    /// and for JSON that is no object of Stripe's.
    pub fn of_body(
        head: &'a stripe::Head<'_>,
        body: &'a str,
        source: Source,
        seen: Interval,
    ) -> Option<Observation<'a>> {
        let id = head.id.as_deref().filter(|id| !id.is_empty())?;
        Some(Observation {
            object_type: &head.object,
            id,
            body,
            created: head.created,
            source,
            seen,
            deleted: head.deleted,
            stub: head.deleted,
        })
    }
}
