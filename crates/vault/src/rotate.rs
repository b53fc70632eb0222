//! Moving every secret to the newest key while the server runs.

use crate::SecretId;

/// How far a rotation has come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct RotateProgress {
    /// Secrets that were not under the newest key at the start.
    pub total: u64,
    /// Re-sealed so far, by this run.
    pub resealed: u64,
    /// That could not be opened.
    pub refused: u64,
}

/// What a rotation did.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct RotateReport {
    /// The key that everything is under now.
    pub key_id: String,
    /// Re-sealed by this run.
    pub resealed: u64,
    /// Secrets that could not be opened, with why; at most a hundred are named.
    pub refused: Vec<(SecretId, String)>,
}
