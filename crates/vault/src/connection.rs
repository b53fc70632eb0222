//! A connection: one account of a provider, linked to an organization in one environment.

use kit::{Environment, Secret, TenantId, Time};

kit::define_id!(
    /// A connection.
    ConnectionId,
    "con"
);

/// What is known of a linked account. Holds no secret.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Connection {
    /// Whose it is.
    pub tenant: TenantId,
    /// Which connection.
    pub id: ConnectionId,
    /// Whose API, such as `stripe`.
    pub provider: String,
    /// The account's id at the provider, such as `acct_…`.
    pub account_id: String,
    /// Which of its environments; the tenant's.
    pub environment: Environment,
    /// What people call it.
    pub display_name: String,
    /// The key's ending, to tell keys apart: `rk_live_…4242`.
    pub key_hint: String,
    /// The key's kind, such as `secret` or `restricted`.
    pub key_kind: String,
    /// Whether it works.
    #[serde(flatten)]
    pub state: ConnectionState,
    /// How far back charges and the like are read; everything if absent.
    pub lookback_days: Option<u32>,
    /// Where the provider's API is, if not at its usual address.
    pub api_base: Option<String>,
    /// The webhook endpoint at the provider that Bursar made, if it did.
    pub webhook_endpoint_id: Option<String>,
    /// When it was made.
    pub created_at: Time,
    /// When its row last changed, calls apart.
    pub updated_at: Time,
    /// When a call last succeeded, to within a minute.
    pub last_good_call_at: Option<Time>,
}

/// Whether a connection works.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(tag = "state", rename_all = "snake_case")]
pub enum ConnectionState {
    /// Calls are made.
    Active,
    /// The provider refuses the key; nothing is called until it is replaced.
    KeyRefused {
        /// What the provider said.
        reason: String,
    },
    /// A person ended it; its secrets are gone.
    Disconnected,
}

/// What a new connection is made of, the key checked already.
pub struct NewConnection<'a> {
    /// Whose API, such as `stripe`.
    pub provider: &'a str,
    /// The account's id at the provider.
    pub account_id: &'a str,
    /// The tenant's environment.
    pub environment: Environment,
    /// What people call it.
    pub display_name: &'a str,
    /// The key; sealed at once.
    pub api_key: &'a Secret,
    /// The key's ending (`kit::secret::hint`).
    pub key_hint: &'a str,
    /// The key's kind, such as `secret` or `restricted`.
    pub key_kind: &'a str,
    /// How far back charges and the like are read.
    pub lookback_days: Option<u32>,
    /// Where the provider's API is, if not at its usual address.
    pub api_base: Option<&'a str>,
}
