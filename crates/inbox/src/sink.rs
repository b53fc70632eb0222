//! What events are handed to.

use crate::StoredEvent;
use ::store::{StoreError, TenantTx};
use async_trait::async_trait;

/// Turns events into their effect. The mirror is the one in the program.
#[async_trait]
pub trait EventSink: Send + Sync {
    /// Absorbs events of one tenant in the transaction that also marks them processed.
    ///
    /// Must be safe to run again with the same events, in any order: a batch that fails is tried again in parts. Must
    /// not call Stripe or wait for anything but the database.
    ///
    /// # Errors
    /// Any error rolls the transaction back; see [`SinkError`] for what happens then.
    async fn absorb(&self, tx: &mut TenantTx, events: &[StoredEvent]) -> Result<(), SinkError>;
}

/// Why events could not be absorbed, and whether another try can help.
#[derive(Debug, thiserror::Error)]
pub enum SinkError {
    /// The database did not serve. If another run may succeed the events wait without losing a try.
    #[error("the events' effect could not be written")]
    Store(#[from] StoreError),
    /// Something that may pass; the failing event is tried again with back-off.
    #[error("{0}")]
    Retry(String),
    /// No further try can help; the failing event is kept as dead at once.
    #[error("{0}")]
    Poison(String),
}

/// What is done about a failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Advice {
    /// The database is at fault, not the events: wait a moment, no try is used up.
    Wait,
    /// Find the failing event and try it again later.
    Retry,
    /// Find the failing event and give it up.
    GiveUp,
}

impl SinkError {
    /// What is to be done.
    pub fn advice(&self) -> Advice {
        match self {
            SinkError::Store(error) if error.can_retry() => Advice::Wait,
            SinkError::Store(_) | SinkError::Retry(_) => Advice::Retry,
            SinkError::Poison(_) => Advice::GiveUp,
        }
    }
}
