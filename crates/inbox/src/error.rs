//! What can go wrong when events are handed in, looked up or replayed.

use ::store::StoreError;
use http::StatusCode;
use kit::{Environment, paging::BadCursor};
use platform::Problem;
use stripe::EventError;

/// An error of the inbox.
#[derive(Debug, thiserror::Error)]
pub enum InboxError {
    /// The database did not serve.
    #[error("the inbox's database did not serve")]
    Store(#[from] StoreError),
    /// One of the events handed in is none.
    #[error("event {position} of those handed in cannot be read: {source}")]
    BadEvent {
        /// Its place among them, from 0.
        position: usize,
        /// Why.
        source: EventError,
    },
    /// An event of the other environment: test data and live data never mix.
    #[error("event `{event_id}` is not of the {environment} environment")]
    WrongEnvironment {
        /// Which event.
        event_id: String,
        /// Where it was handed in.
        environment: Environment,
    },
    /// There is no such event for this caller.
    #[error("there is no event `{0}`")]
    UnknownEvent(String),
    /// A cursor that no list of events has returned.
    #[error("the list cannot go on where it was asked to")]
    BadCursor(#[source] BadCursor),
    /// A replay without anything that says of what.
    #[error("a replay needs to know of what: ids, a type, a state or a time")]
    EmptyReplay,
}

impl InboxError {
    /// A stable code.
    pub fn code(&self) -> &'static str {
        match self {
            InboxError::Store(error) => error.code(),
            InboxError::BadEvent { source, .. } => source.code(),
            InboxError::WrongEnvironment { .. } => "environment_mismatch",
            InboxError::UnknownEvent(_) => "not_found",
            InboxError::BadCursor(_) => "bad_field",
            InboxError::EmptyReplay => "replay_without_filter",
        }
    }

    /// Whether the same call may succeed later.
    pub fn can_retry(&self) -> bool {
        match self {
            InboxError::Store(error) => error.can_retry(),
            InboxError::BadEvent { .. }
            | InboxError::WrongEnvironment { .. }
            | InboxError::UnknownEvent(_)
            | InboxError::BadCursor(_)
            | InboxError::EmptyReplay => false,
        }
    }
}

impl From<InboxError> for Problem {
    fn from(error: InboxError) -> Problem {
        let (code, detail) = (error.code(), error.to_string());
        let refused = |title| Problem::new(StatusCode::BAD_REQUEST, code, title, detail);
        match error {
            InboxError::Store(error) => error.into(),
            InboxError::BadEvent { .. } => refused("Not an event")
                .what_to_do("Hand in whole events, as Stripe's event list or a webhook gives them."),
            InboxError::WrongEnvironment { .. } => refused("An event of the other environment")
                .what_to_do("Test data and live data never mix: use the connection of the event's own mode."),
            InboxError::UnknownEvent(id) => Problem::not_found("event", &id),
            InboxError::BadCursor(source) => Problem::bad_field("cursor", source.to_string()),
            InboxError::EmptyReplay => refused("Nothing says what to replay")
                .what_to_do("Give ids, a type, a state, or a time from or to; a time alone replays everything in it."),
        }
    }
}
