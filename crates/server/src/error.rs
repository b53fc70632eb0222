//! What keeps a node from starting, with a stable code and what to do.

use std::net::SocketAddr;

/// Why a node did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The configuration cannot work.
    #[error("the configuration cannot work: {0}")]
    Config(String),
    /// The database refused.
    #[error(transparent)]
    Store(#[from] store::StoreError),
    /// The vault's keys cannot be read.
    #[error(transparent)]
    Vault(#[from] vault::VaultError),
    /// The organization or the administrator's token could not be set up.
    #[error(transparent)]
    Identity(#[from] identity::IdentityError),
    /// The client for Stripe could not be built.
    #[error(transparent)]
    Client(#[from] stripe::ClientError),
    /// The address to listen on is taken.
    #[error("another program listens on {0}")]
    PortInUse(SocketAddr),
    /// The address to listen on cannot be used.
    #[error("cannot listen on {address}: {source}")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// What the operating system says.
        source: std::io::Error,
    },
}

impl StartError {
    /// Stable code for programs.
    pub fn code(&self) -> &'static str {
        match self {
            StartError::Config(_) => "bad_configuration",
            StartError::Store(error) => error.code(),
            StartError::Vault(error) => error.code(),
            StartError::Identity(error) => error.code(),
            StartError::Client(_) => "http_client",
            StartError::PortInUse(_) => "port_in_use",
            StartError::Listen { .. } => "cannot_listen",
        }
    }

    /// What a person should do about it.
    pub fn what_to_do(&self) -> String {
        match self {
            StartError::Config(_) => "See `bursar config check`.".to_owned(),
            StartError::Store(error) => error.what_to_do().to_owned(),
            StartError::Vault(error) => error.what_to_do().to_owned(),
            StartError::Identity(error) => error.what_to_do().to_owned(),
            StartError::Client(_) => {
                "Check the system's certificates; please report this if they are in order.".to_owned()
            }
            StartError::PortInUse(address) => {
                format!(
                    "Stop the other program, or choose another port with --listen {}:0 or BURSAR_LISTEN.",
                    address.ip()
                )
            }
            StartError::Listen { .. } => "Choose an address of this machine with --listen or BURSAR_LISTEN.".to_owned(),
        }
    }
}
