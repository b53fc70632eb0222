//! Sealed secrets, and the connections to providers that they open.
//!
//! Read in this order: [`keyring`] the keys that seal, [`seal`] how a secret is bound to its row, [`connection`] what is
//! known of a linked account, [`vault`] what can be done with both, [`linked`] the hot path, [`rotate`] moving to a new key.

mod api;
pub mod connection;
pub mod error;
mod jobs;
pub mod keyring;
pub mod linked;
pub mod rotate;
pub mod seal;
mod store;
pub mod vault;

pub use connection::{Connection, ConnectionId, ConnectionState, NewConnection};
pub use error::VaultError;
pub use keyring::Keyring;
pub use linked::Linked;
pub use rotate::{KeyUsage, Refusal, RotateProgress, RotateReport};
pub use seal::{Purpose, SecretId};
pub use vault::Vault;

use axum::{
    Router,
    routing::{get, post},
};

/// Topic of wakes: a connection or one of its secrets changed.
pub const WAKE: &str = "connections";

/// What every call of the vault answers.
pub type Result<T, E = VaultError> = std::result::Result<T, E>;

/// What this feature gives the server: the keys' two calls for the command line, and a schedule that deletes ended
/// secrets. The connections' routes are the gateway's.
pub fn slice(vault: &Vault) -> platform::Slice {
    let routes = Router::new()
        .route("/v1/vault/keys", get(api::keys))
        .route("/v1/vault/rotate", post(api::rotate))
        .with_state(vault.clone());
    platform::Slice {
        name: "vault",
        routes,
        jobs: jobs::kinds(vault),
        schedules: jobs::schedules(),
        ..platform::Slice::default()
    }
}
