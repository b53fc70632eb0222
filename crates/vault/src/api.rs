//! The vault's keys, for the command line: `GET /v1/vault/keys`, `POST /v1/vault/rotate`. [PLT-8]
//!
//! SQLite serves one process, so `bursar vault rotate` asks the node that runs.

use crate::{KeyUsage, RotateReport, Vault};
use axum::{Json, extract::State};
use identity::Caller;
use platform::Problem;
use serde::Serialize;

/// The answer of `GET /v1/vault/keys`.
#[derive(Serialize)]
pub(crate) struct Keys {
    data: Vec<KeyUsage>,
}

/// Which keys there are, newest first, and how many secrets each seals. Shows no key.
pub(crate) async fn keys(_: Caller, State(vault): State<Vault>) -> Result<Json<Keys>, Problem> {
    Ok(Json(Keys { data: vault.key_usage().await? }))
}

/// Re-seals everything under the newest key, and answers when that is done.
pub(crate) async fn rotate(_: Caller, State(vault): State<Vault>) -> Result<Json<RotateReport>, Problem> {
    // A task of its own: a client that hangs up does not stop the rotation in the middle.
    let rotated = tokio::spawn(async move { vault.rotate(|_| {}).await }).await;
    let report = rotated.map_err(|error| Problem::internal(&error))?.map_err(Problem::from)?;
    tracing::info!(
        key_id = report.key_id,
        resealed = report.resealed,
        refused = report.refused,
        "the vault's secrets were re-sealed"
    );
    Ok(Json(report))
}
