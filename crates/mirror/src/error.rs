//! What can go wrong in the mirror, sorted by what a caller can do about it.

use inbox::InboxError;
use kit::paging::BadCursor;
use platform::{JobError, Problem};
use store::StoreError;
use vault::VaultError;

/// An error of the mirror.
#[derive(Debug, thiserror::Error)]
pub enum MirrorError {
    /// The database did not serve.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The vault did not tell about connections.
    #[error(transparent)]
    Vault(#[from] VaultError),
    /// The inbox did not tell about events.
    #[error(transparent)]
    Inbox(#[from] InboxError),
    /// A list was asked to go on where none was.
    #[error(transparent)]
    BadCursor(BadCursor),
    /// There is no projection of this name.
    #[error("there is no projection `{0}`")]
    NoSuchProjection(String),
}

impl MirrorError {
    /// A stable code.
    pub fn code(&self) -> &'static str {
        match self {
            MirrorError::Store(error) => error.code(),
            MirrorError::Vault(error) => error.code(),
            MirrorError::Inbox(error) => error.code(),
            MirrorError::BadCursor(_) => "bad_field",
            MirrorError::NoSuchProjection(_) => "not_found",
        }
    }

    /// Whether the same work may succeed when run again.
    pub fn can_retry(&self) -> bool {
        match self {
            MirrorError::Store(error) => error.can_retry(),
            MirrorError::Vault(error) => error.can_retry(),
            MirrorError::Inbox(error) => error.can_retry(),
            MirrorError::BadCursor(_) | MirrorError::NoSuchProjection(_) => false,
        }
    }
}

impl From<MirrorError> for Problem {
    fn from(error: MirrorError) -> Problem {
        match error {
            MirrorError::Store(error) => error.into(),
            MirrorError::Vault(error) => error.into(),
            MirrorError::Inbox(error) => error.into(),
            MirrorError::BadCursor(error) => Problem::bad_field("cursor", error.to_string()),
            MirrorError::NoSuchProjection(name) => Problem::not_found("projection", &name),
        }
    }
}

impl From<MirrorError> for JobError {
    fn from(error: MirrorError) -> JobError {
        // A fault of ours may pass with the next release; the tries are bounded anyway.
        JobError::Retry(format!("{error:?}"))
    }
}
