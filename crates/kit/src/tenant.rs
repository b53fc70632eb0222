//! Whose row it is: an organization in one of its two environments.

use serde::{Deserialize, Serialize};
use std::{fmt, str::FromStr};

/// One organization in one environment, as every table names it.
///
/// A small integer rather than text: it leads every primary key, and PostgreSQL's row-level security can compare it
/// without losing an index.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct TenantId(pub i64);

impl fmt::Display for TenantId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Debug for TenantId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "tenant {}", self.0)
    }
}

/// Stripe's livemode: test data and live data never mix.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Environment {
    /// Test mode and sandboxes.
    Test,
    /// Real money.
    Live,
}

impl Environment {
    /// Both, test first.
    pub const ALL: [Environment; 2] = [Environment::Test, Environment::Live];

    /// The environment that Stripe's `livemode` names.
    pub fn from_livemode(livemode: bool) -> Environment {
        if livemode { Environment::Live } else { Environment::Test }
    }

    /// Stripe's `livemode`.
    pub fn is_live(self) -> bool {
        self == Environment::Live
    }

    /// `test` or `live`.
    pub fn as_str(self) -> &'static str {
        match self {
            Environment::Test => "test",
            Environment::Live => "live",
        }
    }
}

impl fmt::Display for Environment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Neither `test` nor `live`.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not an environment: use `test` or `live`")]
pub struct BadEnvironment(String);

impl FromStr for Environment {
    type Err = BadEnvironment;
    fn from_str(text: &str) -> Result<Environment, BadEnvironment> {
        match text {
            "test" => Ok(Environment::Test),
            "live" => Ok(Environment::Live),
            other => Err(BadEnvironment(other.chars().take(16).collect())),
        }
    }
}
