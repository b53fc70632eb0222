//! What can go wrong while finding out who is calling.

use crate::token::LEAST_TOKEN_CHARACTERS;
use store::StoreError;

/// An error of this slice. It never holds a token.
#[derive(Clone, Debug, thiserror::Error)]
pub enum IdentityError {
    /// The administrator's token of the configuration could be guessed, or cannot be sent in a header.
    #[error(
        "the administrator's token must have at least {LEAST_TOKEN_CHARACTERS} visible ASCII characters and no spaces"
    )]
    AdminTokenWeak,
    /// Nothing is there yet: `bootstrap` was not run on this database.
    #[error("there is no organization yet")]
    NotBootstrapped,
    /// The database did not serve.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl IdentityError {
    /// Stable code for programs.
    pub fn code(&self) -> &'static str {
        match self {
            IdentityError::AdminTokenWeak => "admin_token_weak",
            IdentityError::NotBootstrapped => "not_bootstrapped",
            IdentityError::Store(error) => error.code(),
        }
    }

    /// What a person should do about it.
    pub fn what_to_do(&self) -> &'static str {
        match self {
            IdentityError::AdminTokenWeak => {
                "Set BURSAR_ADMIN_TOKEN to a longer random text, or leave it out: Bursar then makes one."
            }
            IdentityError::NotBootstrapped => "Start the server once with `bursar serve`.",
            IdentityError::Store(error) => error.what_to_do(),
        }
    }
}
