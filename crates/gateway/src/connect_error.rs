//! Why a connection is not made, changed or tested: each refusal by its own name, with what to do.

use crate::{GatewayError, KeyReport};
use axum::http::StatusCode;
use kit::Environment;
use platform::Problem;
use store::StoreError;
use stripe::{ErrorClass, KeyError};
use vault::VaultError;

/// Why a connection is not made, changed or tested.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// The text is not a key that can read data.
    #[error("{0}")]
    Key(#[from] KeyError),
    /// A live key for the test environment, or the other way round.
    #[error("this is a {key} key, and you are in the {caller} environment")]
    WrongEnvironment {
        /// Where the key belongs.
        key: Environment,
        /// Where the caller is.
        caller: Environment,
    },
    /// Stripe does not accept the key: mistyped, expired or revoked.
    #[error("Stripe does not accept this API key: {message}")]
    KeyRefused {
        /// Stripe's text; it masks the key.
        message: String,
    },
    /// The restricted key lacks permissions that the sync needs.
    #[error("the key lacks {} of the permissions that are needed", .0.missing_permissions().len())]
    PermissionsMissing(Box<KeyReport>),
    /// The key belongs to another account than the connection.
    #[error("the key belongs to the account {found}, and the connection to {expected}")]
    OtherAccount {
        /// The connection's account.
        expected: String,
        /// The key's account.
        found: String,
    },
    /// A field of the request is not as it must be.
    #[error("{detail}")]
    BadField {
        /// Which field.
        field: &'static str,
        /// What is wrong with it.
        detail: String,
    },
    /// No webhook endpoint can be made: Stripe cannot reach this server.
    #[error("{0}")]
    NoEndpointPossible(&'static str),
    /// There is no such connection, the account is connected already, or the secret cannot be sealed.
    #[error(transparent)]
    Vault(#[from] VaultError),
    /// Stripe could not be asked.
    #[error(transparent)]
    Gateway(GatewayError),
}

impl From<StoreError> for ConnectError {
    fn from(error: StoreError) -> ConnectError {
        ConnectError::Vault(VaultError::Store(error))
    }
}

impl From<GatewayError> for ConnectError {
    fn from(error: GatewayError) -> ConnectError {
        match &error {
            GatewayError::Stripe(call) if call.class() == ErrorClass::Authentication => ConnectError::KeyRefused {
                message: error.api_error().map_or_else(|| call.to_string(), |api| api.message.clone()),
            },
            _ => ConnectError::Gateway(error),
        }
    }
}

impl ConnectError {
    /// Stable code for programs.
    pub fn code(&self) -> &'static str {
        match self {
            ConnectError::Key(error) => error.code(),
            ConnectError::WrongEnvironment { .. } => "key_of_other_environment",
            ConnectError::KeyRefused { .. } => "stripe_key_refused",
            ConnectError::PermissionsMissing(_) => "key_permissions_missing",
            ConnectError::OtherAccount { .. } => "key_of_other_account",
            ConnectError::BadField { .. } => "bad_field",
            ConnectError::NoEndpointPossible(_) => "webhook_endpoint_impossible",
            ConnectError::Vault(error) => error.code(),
            ConnectError::Gateway(error) => error.code(),
        }
    }
}

impl From<ConnectError> for Problem {
    fn from(error: ConnectError) -> Problem {
        let code = error.code();
        let text = format!("{error}.");
        // Whoever brings a key that does not do is told which would.
        let least = crate::doctor::least();
        let refused = |title| {
            Problem::new(StatusCode::UNPROCESSABLE_ENTITY, code, title, text.clone())
                .field("api_key")
                .with("least_key", serde_json::to_value(&least).unwrap_or_default())
        };
        match &error {
            ConnectError::Key(_) => refused("This key cannot be used").what_to_do(
                "Copy a restricted key (rk_…) or a secret key (sk_…) from the Stripe dashboard, Developers, API keys.",
            ),
            ConnectError::WrongEnvironment { key, .. } => refused("The key belongs to the other environment")
                .what_to_do(format!("Switch to the {key} environment, or use a key of this one.")),
            ConnectError::KeyRefused { .. } => {
                refused("Stripe does not accept this key").what_to_do(ErrorClass::Authentication.remedy())
            }
            ConnectError::PermissionsMissing(report) => {
                let missing = report.missing_permissions();
                refused("The key lacks permissions")
                    .what_to_do(format!(
                        "Give the restricted key these permissions in the Stripe dashboard, then try again: {}.",
                        missing.join(", ")
                    ))
                    .with("missing_permissions", missing)
                    .with("report", serde_json::to_value(report).unwrap_or_default())
            }
            ConnectError::OtherAccount { .. } => refused("The key belongs to another account")
                .what_to_do("Use a key of the same account, or connect the other account as a connection of its own."),
            ConnectError::BadField { field, detail } => Problem::bad_field(*field, detail.clone()),
            ConnectError::NoEndpointPossible(_) => Problem::conflict(code, text).what_to_do(
                "Set public_url to the address at which Stripe reaches this server, or make an endpoint by hand and enter its signing secret.",
            ),
            ConnectError::Vault(error) => error.clone().into(),
            ConnectError::Gateway(_) => match error {
                ConnectError::Gateway(error) => error.into(),
                _ => Problem::internal(&error),
            },
        }
    }
}
