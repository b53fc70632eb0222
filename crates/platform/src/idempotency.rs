//! `Idempotency-Key` on POST: the same key and body get the same answer, another body is refused with 409.
//!
//! Works for every route at once, inside the layer that finds out the tenant. Keys are kept for a day, as at Stripe.

use crate::{Base, Problem};
use aws_lc_rs::digest::{SHA256, digest};
use axum::{
    body::{Body, to_bytes},
    extract::{Request, State},
    http::{HeaderName, HeaderValue, Method, StatusCode, header},
    middleware::Next,
    response::{IntoResponse, Response},
};
use kit::TenantId;
use std::time::Duration;
use store::{q, sql};

/// How long an answer is kept.
pub const KEPT_FOR: Duration = Duration::from_secs(24 * 3600);
/// Longest body that may carry a key, and longest answer that is kept.
const MAX_BYTES: usize = 4 << 20;
static KEY: HeaderName = HeaderName::from_static("idempotency-key");
static REPLAYED: HeaderName = HeaderName::from_static("idempotent-replayed");

#[derive(sqlx::FromRow)]
struct Kept {
    request_hash: String,
    status: Option<i64>,
    content_type: Option<String>,
    body: Option<Vec<u8>>,
}

/// The layer. A request without a key, without a tenant or with another method passes untouched.
pub async fn layer(State(base): State<Base>, request: Request, next: Next) -> Response {
    let key = request.headers().get(&KEY).and_then(|key| key.to_str().ok()).map(str::to_owned);
    let tenant = request.extensions().get::<TenantId>().copied();
    match (key, tenant) {
        (Some(key), Some(tenant)) if request.method() == Method::POST => {
            once(&base, tenant, key, request, next).await.unwrap_or_else(Problem::into_response)
        }
        _ => next.run(request).await,
    }
}

async fn once(base: &Base, tenant: TenantId, key: String, request: Request, next: Next) -> Result<Response, Problem> {
    if key.is_empty() || key.len() > 255 {
        return Err(Problem::bad_field("Idempotency-Key", "An idempotency key has 1 to 255 characters."));
    }
    let (parts, body) = request.into_parts();
    let body = to_bytes(body, MAX_BYTES).await.map_err(|_| {
        let title = "The body is too large";
        Problem::new(
            StatusCode::PAYLOAD_TOO_LARGE,
            "body_too_large",
            title,
            "A request with an idempotency key may have 4 MiB.",
        )
    })?;
    let request_hash = hex::encode(digest(&SHA256, &[parts.uri.path().as_bytes(), b"\n", &body].concat()));
    if let Some(kept) = claim(base, tenant, &key, &request_hash).await? {
        return replay(kept, &key, &request_hash);
    }
    let response = next.run(Request::from_parts(parts, Body::from(body))).await;
    let (parts, body) = response.into_parts();
    let body = to_bytes(body, MAX_BYTES).await.map_err(|error| Problem::internal(&error))?;
    // What failed by our fault or for lack of a database was not done: the same key may try again.
    if parts.status.is_server_error() {
        forget(base, tenant, &key).await?;
    } else {
        let content_type = parts.headers.get(header::CONTENT_TYPE).and_then(|it| it.to_str().ok()).map(str::to_owned);
        keep(base, tenant, &key, parts.status, content_type, &body).await?;
    }
    Ok(Response::from_parts(parts, Body::from(body)))
}

/// Takes the key for this request, or answers what is known of an earlier one.
async fn claim(base: &Base, tenant: TenantId, key: &str, request_hash: &str) -> store::Result<Option<Kept>> {
    let now = base.now();
    let mut tx = base.store.begin(tenant).await?;
    q(sql!("DELETE FROM idempotency_keys WHERE tenant_id = $1 AND key = $2 AND created_at < $3"))
        .bind(tenant)
        .bind(key)
        .bind(now - KEPT_FOR)
        .execute(&mut tx)
        .await?;
    let taken = q(sql!(
        "INSERT INTO idempotency_keys (tenant_id, key, request_hash, created_at) VALUES ($1, $2, $3, $4)
         ON CONFLICT (tenant_id, key) DO NOTHING"
    ))
    .bind(tenant)
    .bind(key)
    .bind(request_hash)
    .bind(now)
    .execute(&mut tx)
    .await?;
    let kept = if taken == 1 {
        None
    } else {
        let kept: Kept = q(sql!(
            "SELECT request_hash, status, content_type, body FROM idempotency_keys WHERE tenant_id = $1 AND key = $2"
        ))
        .bind(tenant)
        .bind(key)
        .one(&mut tx)
        .await?;
        Some(kept)
    };
    tx.commit().await?;
    Ok(kept)
}

fn replay(kept: Kept, key: &str, request_hash: &str) -> Result<Response, Problem> {
    if kept.request_hash != request_hash {
        let detail = format!("The idempotency key `{key}` was used with another request.");
        return Err(Problem::conflict("idempotency_key_reused", detail).what_to_do("Use a new key for a new request."));
    }
    let (Some(status), Some(body)) = (kept.status, kept.body) else {
        let detail = format!("A request with the idempotency key `{key}` is under way, or ended without an answer.");
        return Err(
            Problem::conflict("idempotency_key_in_use", detail).what_to_do("Ask again in a moment with the same key.")
        );
    };
    let status =
        u16::try_from(status).ok().and_then(|status| StatusCode::from_u16(status).ok()).unwrap_or(StatusCode::OK);
    let mut response = (status, body).into_response();
    let content_type = kept.content_type.and_then(|text| HeaderValue::from_str(&text).ok());
    if let Some(content_type) = content_type {
        response.headers_mut().insert(header::CONTENT_TYPE, content_type);
    }
    response.headers_mut().insert(&REPLAYED, HeaderValue::from_static("true"));
    Ok(response)
}

async fn keep(
    base: &Base,
    tenant: TenantId,
    key: &str,
    status: StatusCode,
    content_type: Option<String>,
    body: &[u8],
) -> store::Result<()> {
    let mut tx = base.store.begin(tenant).await?;
    q(sql!("UPDATE idempotency_keys SET status = $3, content_type = $4, body = $5 WHERE tenant_id = $1 AND key = $2"))
        .bind(tenant)
        .bind(key)
        .bind(i64::from(status.as_u16()))
        .bind(content_type)
        .bind(body.to_vec())
        .change_one(&mut tx)
        .await?;
    tx.commit().await
}

async fn forget(base: &Base, tenant: TenantId, key: &str) -> store::Result<()> {
    let mut tx = base.store.begin(tenant).await?;
    q(sql!("DELETE FROM idempotency_keys WHERE tenant_id = $1 AND key = $2"))
        .bind(tenant)
        .bind(key)
        .execute(&mut tx)
        .await?;
    tx.commit().await
}
