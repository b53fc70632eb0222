//! What can go wrong in the mirror, sorted by what a caller can do about it.

use store::StoreError;

/// An error of the mirror.
#[derive(Debug, thiserror::Error)]
pub enum MirrorError {
    /// The database did not serve.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl MirrorError {
    /// A stable code.
    pub fn code(&self) -> &'static str {
        match self {
            MirrorError::Store(error) => error.code(),
        }
    }

    /// Whether the same work may succeed when run again.
    pub fn can_retry(&self) -> bool {
        match self {
            MirrorError::Store(error) => error.can_retry(),
        }
    }
}
