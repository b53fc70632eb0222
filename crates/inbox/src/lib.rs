//! Webhooks in: verified, stored durably, acknowledged; then processed once, at our own pace.
//!
//! Read in this order: [`event`] what is kept of an event, [`door`] the way from a delivery to its acknowledgement
//! and `arrivals` where it waits on SQLite, [`sink`] and [`processor`] the way from there to its effect, [`retry`] and [`pace`] the rules of that way,
//! [`source`] who may knock, [`mod@liveness`] whether Stripe does, [`inbox`] what other crates call, [`error`], and for people and programs `api` and
//! `pages`. The SQL is in `store`.
//!
//! The inbox never calls Stripe and never decides what an event means: see its README.

mod api;
mod arrivals;
pub mod door;
pub mod error;
pub mod event;
pub mod inbox;
mod lag;
pub mod liveness;
pub mod pace;
mod pages;
pub mod processor;
pub mod refusals;
pub mod retry;
pub mod sink;
pub mod source;
mod store;

pub use error::InboxError;
pub use event::{Source, State, StoredEvent};
pub use inbox::{
    Accepted, ConnectionCounts, Counts, Delivery, EventDetail, EventFilter, EventSummary, Inbox, InboxOptions,
    ReplayFilter, Unfinished,
};
pub use liveness::{Heard, Listed, Liveness, Off, SeenOff, liveness};
pub use sink::{EventSink, SinkError};

use platform::{Background, NavItem, Roles, Slice};
use std::sync::Arc;

/// Topic that wakes processors: events were stored.
pub const WAKE: &str = "inbox";
/// Topic of the notice that an event is given up; its subject is the event's id.
pub const EVENT_DEAD: &str = "inbox.event_dead";

/// Topic of the notice that a connection's webhooks do not arrive; its subject is the connection's id. Told once for a
/// silence.
pub const SILENT: &str = "inbox.silent";
/// Topic of the notice that they arrive again.
pub const HEARD_AGAIN: &str = "inbox.heard_again";

/// What the inbox gives the server. `sink` is what events are handed to: the mirror.
pub fn slice(inbox: &Inbox, sink: Arc<dyn EventSink>) -> Slice {
    let processing = inbox.clone();
    Slice {
        name: "inbox",
        routes: api::routes(inbox.clone()).merge(pages::routes(inbox.clone())),
        open_routes: door::routes(inbox.clone()),
        subscribers: vec![inbox::eraser(inbox)],
        background: vec![
            Background {
                name: "inbox.processor",
                role: Roles::WORKER,
                run: Box::new(move |stopping| Box::pin(processor::run(processing, sink, stopping))),
            },
            pages::closing(inbox),
        ],
        nav: vec![NavItem { label: "Inbox", href: "/inbox", icon: "inbox", order: 80 }],
        ..Slice::default()
    }
}
