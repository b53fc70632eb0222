//! `/healthz`: the process answers. `/readyz`: it can serve, or says why not.

use axum::{Json, Router, extract::State, http::StatusCode, response::IntoResponse, routing::get};
use platform::{Base, CancellationToken};
use serde_json::json;

#[derive(Clone)]
struct Health {
    base: Base,
    stopping: CancellationToken,
}

/// The two routes. They need no token and tell nothing about tenants.
pub fn routes(base: Base, stopping: CancellationToken) -> Router {
    Router::new()
        .route("/healthz", get(|| async { Json(json!({ "status": "ok" })) }))
        .route("/readyz", get(ready))
        .with_state(Health { base, stopping })
}

async fn ready(State(health): State<Health>) -> impl IntoResponse {
    if health.stopping.is_cancelled() {
        let answer = json!({ "status": "stopping", "what_to_do": "Send requests to another node." });
        return (StatusCode::SERVICE_UNAVAILABLE, Json(answer));
    }
    match health.base.store.check().await {
        Ok(()) => (StatusCode::OK, Json(json!({ "status": "ready", "version": env!("CARGO_PKG_VERSION") }))),
        Err(error) => {
            let answer = json!({ "status": "not_ready", "code": error.code(), "what_to_do": error.what_to_do() });
            (StatusCode::SERVICE_UNAVAILABLE, Json(answer))
        }
    }
}
