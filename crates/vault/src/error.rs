//! What can go wrong with secrets and connections, sorted by what a caller can do about it.

use crate::{ConnectionId, Purpose, SecretId};
use axum::http::StatusCode;
use platform::Problem;
use store::StoreError;

/// An error of this slice. It never holds a secret or a part of one.
#[derive(Clone, Debug, thiserror::Error)]
pub enum VaultError {
    /// A keyring's text cannot be understood.
    #[error("the vault's keys cannot be read: {reason}")]
    BadKeyring {
        /// What is wrong, without the key.
        reason: String,
    },
    /// The key file cannot be read or written.
    #[error("the vault's key file {path} cannot be used: {reason}")]
    KeyFile {
        /// The file.
        path: String,
        /// What the operating system said.
        reason: String,
    },
    /// A secret was sealed with a key that is not loaded.
    #[error("secret {secret} was sealed with the key `{key_id}`, which is not loaded")]
    KeyUnknown {
        /// Which secret.
        secret: SecretId,
        /// The key's name.
        key_id: String,
    },
    /// A secret was altered, or moved from another row.
    #[error("secret {secret} does not open: it was altered, or belongs to another row")]
    Corrupt {
        /// Which secret.
        secret: SecretId,
    },
    /// There is no secret to open.
    #[error("`{owner}` has no {purpose}")]
    Missing {
        /// Whose secret.
        owner: String,
        /// What it would be for.
        purpose: Purpose,
    },
    /// Longer than anything that is kept here.
    #[error("a secret of more than {most_bytes} bytes is not kept")]
    TooLarge {
        /// Longest secret.
        most_bytes: usize,
    },
    /// The account is linked already.
    #[error("the account `{account_id}` is connected already, as {existing}")]
    AccountAlreadyConnected {
        /// The provider's account.
        account_id: String,
        /// The connection that has it.
        existing: ConnectionId,
    },
    /// There is no such connection in this tenant.
    #[error("there is no connection `{0}`")]
    NotFound(ConnectionId),
    /// The connection was disconnected.
    #[error("the connection {0} is disconnected")]
    Disconnected(ConnectionId),
    /// More connections are asked for at once than memory allows.
    #[error("too many connections are being looked up at once")]
    Busy,
    /// The database did not serve.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl VaultError {
    /// Stable code for programs.
    pub fn code(&self) -> &'static str {
        match self {
            VaultError::BadKeyring { .. } => "vault_keys_bad",
            VaultError::KeyFile { .. } => "vault_key_file",
            VaultError::KeyUnknown { .. } => "secret_key_unknown",
            VaultError::Corrupt { .. } => "secret_corrupt",
            VaultError::Missing { .. } => "secret_missing",
            VaultError::TooLarge { .. } => "secret_too_large",
            VaultError::AccountAlreadyConnected { .. } => "account_already_connected",
            VaultError::NotFound(_) => "not_found",
            VaultError::Disconnected(_) => "connection_disconnected",
            VaultError::Busy => "vault_busy",
            VaultError::Store(error) => error.code(),
        }
    }

    /// Whether running the same work again may succeed without anybody doing anything.
    pub fn can_retry(&self) -> bool {
        match self {
            VaultError::Busy => true,
            VaultError::Store(error) => error.can_retry(),
            VaultError::BadKeyring { .. }
            | VaultError::KeyFile { .. }
            | VaultError::KeyUnknown { .. }
            | VaultError::Corrupt { .. }
            | VaultError::Missing { .. }
            | VaultError::TooLarge { .. }
            | VaultError::AccountAlreadyConnected { .. }
            | VaultError::NotFound(_)
            | VaultError::Disconnected(_) => false,
        }
    }

    /// What a person should do about it.
    pub fn what_to_do(&self) -> &'static str {
        match self {
            VaultError::BadKeyring { .. } => {
                "Set BURSAR_VAULT_KEYS to `id:base64` with 32 bytes behind the colon, newest first, separated by commas; `bursar vault new-key` prints one."
            }
            VaultError::KeyFile { .. } => {
                "Make the file readable and writable for the user that runs Bursar, and for nobody else, or set BURSAR_VAULT_KEYS."
            }
            VaultError::KeyUnknown { .. } => {
                "Add the key of this name to BURSAR_VAULT_KEYS (or to vault.keys in the data folder) and start again; if it is lost, enter the secret again."
            }
            VaultError::Corrupt { .. } => {
                "Enter the secret again (replace the connection's key), and find out who changed the database."
            }
            VaultError::Missing { .. } => "Enter the secret again: replace the connection's key.",
            VaultError::TooLarge { .. } => "Check that the key alone was entered, and send it again.",
            VaultError::AccountAlreadyConnected { .. } => "Use the connection that is there, or disconnect it first.",
            VaultError::NotFound(_) => "Check the id, and that you are in the right organization and environment.",
            VaultError::Disconnected(_) => "Connect the account again.",
            VaultError::Busy => "Try again in a moment.",
            VaultError::Store(error) => error.what_to_do(),
        }
    }
}

impl From<VaultError> for Problem {
    fn from(error: VaultError) -> Problem {
        let title = match &error {
            VaultError::Store(error) => return error.clone().into(),
            VaultError::NotFound(id) => return Problem::not_found("connection", id.as_str()),
            VaultError::AccountAlreadyConnected { existing, .. } => {
                return Problem::conflict(error.code(), format!("{error}."))
                    .what_to_do(error.what_to_do())
                    .with("connection", existing.as_str());
            }
            VaultError::TooLarge { .. } => {
                return Problem::new(
                    StatusCode::BAD_REQUEST,
                    error.code(),
                    "The secret is too large",
                    format!("{error}."),
                )
                .what_to_do(error.what_to_do());
            }
            VaultError::Disconnected(_) => {
                return Problem::conflict(error.code(), format!("{error}.")).what_to_do(error.what_to_do());
            }
            VaultError::Busy => {
                return Problem::new(StatusCode::SERVICE_UNAVAILABLE, error.code(), "Busy", format!("{error}."))
                    .what_to_do(error.what_to_do());
            }
            VaultError::BadKeyring { .. } | VaultError::KeyFile { .. } => "The vault's keys cannot be used",
            VaultError::KeyUnknown { .. } => "A key of the vault is not loaded",
            VaultError::Corrupt { .. } => "A sealed secret does not open",
            VaultError::Missing { .. } => "A secret is missing",
        };
        tracing::error!(%error, code = error.code(), "the vault could not serve a request");
        Problem::new(StatusCode::INTERNAL_SERVER_ERROR, error.code(), title, format!("{error}."))
            .what_to_do(error.what_to_do())
    }
}
