//! Finds out who is calling, once for every request. It never refuses: handlers that need a [`crate::Caller`] do.

use crate::Identity;
use axum::{
    extract::{Request, State},
    middleware::Next,
    response::Response,
};

/// The layer: `axum::middleware::from_fn_with_state(identity, identity::layer)`.
pub async fn layer(State(_identity): State<Identity>, request: Request, next: Next) -> Response {
    next.run(request).await
}
