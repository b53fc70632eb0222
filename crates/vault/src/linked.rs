//! The hot path: a connection with its secrets opened, kept in memory for a few seconds.

use crate::Connection;
use kit::{Environment, Secret};

/// A connection with its secrets opened. Its `Debug` shows none.
#[derive(Debug)]
pub struct Linked {
    /// What is known of it.
    pub connection: Connection,
    /// Which of the account's environments.
    pub environment: Environment,
    /// Calls the provider.
    pub api_key: Secret,
    /// Check the provider's webhooks, newest first.
    pub webhook_secrets: Vec<Secret>,
}
