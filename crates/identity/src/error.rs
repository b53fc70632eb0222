//! What can go wrong while finding out who is calling.

use store::StoreError;

/// An error of this slice.
#[derive(Debug, thiserror::Error)]
pub enum IdentityError {
    /// The administrator's token of the configuration could be guessed.
    #[error("the administrator's token is too short: at least {least} characters are needed")]
    AdminTokenWeak {
        /// Fewest characters.
        least: usize,
    },
    /// The database did not serve.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl IdentityError {
    /// Stable code for programs.
    pub fn code(&self) -> &'static str {
        match self {
            IdentityError::AdminTokenWeak { .. } => "admin_token_weak",
            IdentityError::Store(error) => error.code(),
        }
    }
}
