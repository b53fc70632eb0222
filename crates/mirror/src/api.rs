//! Syncs, coverage and mirrored objects as JSON.

use crate::{
    CoverageReport, Mirror, ReadsReport, SyncKind, SyncStatus,
    progress::{Progress, progress},
    store::objects::ObjectRow,
};
use axum::{
    Json, Router,
    extract::{Path, Query, State},
    http::StatusCode,
    routing::{get, post},
};
use identity::Caller;
use kit::{Page, PageRequest, TenantId, Time};
use platform::Problem;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use vault::{Connection, ConnectionId};

pub(crate) fn routes(mirror: Mirror) -> Router {
    Router::new()
        .route("/v1/connections/{id}/sync", post(sync))
        .route("/v1/connections/{id}/sync-status", get(sync_status))
        .route("/v1/connections/{id}/sync-jobs", get(sync_jobs))
        .route("/v1/connections/{id}/coverage", get(coverage))
        .route("/v1/connections/{id}/reads", get(reads))
        .route("/v1/connections/{id}/liveness", get(liveness))
        .route("/v1/objects", get(counts))
        .route("/v1/objects/{type}", get(objects))
        .route("/v1/objects/{type}/{id}", get(object))
        .with_state(mirror)
}

type Answered<T> = Result<T, Problem>;

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields)]
struct SyncBody {
    #[serde(default)]
    kind: Option<SyncKind>,
}

/// How a sync stands, with its progress.
#[derive(Serialize)]
struct StatusView {
    #[serde(flatten)]
    status: SyncStatus,
    progress: Option<Progress>,
}

impl StatusView {
    fn new(status: SyncStatus, now: Time) -> StatusView {
        let progress = status.current.as_ref().map(|job| progress(&status.parts, job.began(), now));
        StatusView { status, progress }
    }
}

/// A mirrored object, with what is known about the copy.
#[derive(Serialize)]
struct ObjectView {
    account_id: String,
    seen_at: String,
    deleted: bool,
    /// It waits to be read again, because two versions of it cannot be ordered.
    contested: bool,
    object: Box<RawValue>,
}

impl ObjectView {
    fn from_row(row: ObjectRow) -> Answered<ObjectView> {
        let object = RawValue::from_string(row.body).map_err(|error| Problem::internal(&error))?;
        Ok(ObjectView {
            account_id: row.account_id,
            seen_at: Time::from_micros(row.seen_end).to_string(),
            deleted: row.deleted,
            contested: row.contested,
            object,
        })
    }
}

/// The connection of this caller, or the refusal.
pub(crate) async fn connection_of(mirror: &Mirror, tenant: TenantId, id: &ConnectionId) -> Answered<Connection> {
    let mut tx = mirror.base().store.read(tenant).await?;
    let found = mirror.vault().connection(&mut tx, id).await?;
    found.ok_or_else(|| Problem::not_found("connection", id.as_str()))
}

/// Asks for a sync, if the connection is there.
pub(crate) async fn ask(mirror: &Mirror, tenant: TenantId, id: &ConnectionId, kind: SyncKind) -> Answered<()> {
    connection_of(mirror, tenant, id).await?;
    let mut tx = mirror.base().store.begin(tenant).await?;
    mirror.request_sync(&mut tx, id, kind, "person").await?;
    tx.commit().await?;
    Ok(())
}

async fn sync(
    State(mirror): State<Mirror>,
    caller: Caller,
    Path(id): Path<String>,
    body: Option<Json<SyncBody>>,
) -> Answered<(StatusCode, Json<StatusView>)> {
    let id = ConnectionId::from_text(id);
    let kind = body.and_then(|Json(body)| body.kind).unwrap_or(SyncKind::Incremental);
    ask(&mirror, caller.tenant, &id, kind).await?;
    let status = mirror.sync_status(caller.tenant, &id).await?;
    Ok((StatusCode::ACCEPTED, Json(StatusView::new(status, mirror.base().now()))))
}

async fn sync_status(
    State(mirror): State<Mirror>,
    caller: Caller,
    Path(id): Path<String>,
) -> Answered<Json<StatusView>> {
    let id = ConnectionId::from_text(id);
    connection_of(&mirror, caller.tenant, &id).await?;
    let status = mirror.sync_status(caller.tenant, &id).await?;
    Ok(Json(StatusView::new(status, mirror.base().now())))
}

async fn sync_jobs(
    State(mirror): State<Mirror>,
    caller: Caller,
    Path(id): Path<String>,
    Query(page): Query<PageRequest>,
) -> Answered<Json<Page<crate::SyncJob>>> {
    let id = ConnectionId::from_text(id);
    connection_of(&mirror, caller.tenant, &id).await?;
    Ok(Json(mirror.sync_jobs(caller.tenant, &id, &page).await?))
}

async fn coverage(
    State(mirror): State<Mirror>,
    caller: Caller,
    Path(id): Path<String>,
) -> Answered<Json<CoverageReport>> {
    let connection = connection_of(&mirror, caller.tenant, &ConnectionId::from_text(id)).await?;
    Ok(Json(mirror.coverage(&connection).await?))
}

async fn reads(State(mirror): State<Mirror>, caller: Caller, Path(id): Path<String>) -> Answered<Json<ReadsReport>> {
    let connection = connection_of(&mirror, caller.tenant, &ConnectionId::from_text(id)).await?;
    Ok(Json(mirror.reads(&connection).await?))
}

/// Whether webhooks arrive, and what to do if they do not.
#[derive(Serialize)]
struct LivenessView {
    #[serde(flatten)]
    found: inbox::Liveness,
    meaning: &'static str,
    what_to_do: Option<&'static str>,
}

async fn liveness(
    State(mirror): State<Mirror>,
    caller: Caller,
    Path(id): Path<String>,
) -> Answered<Json<LivenessView>> {
    let connection = connection_of(&mirror, caller.tenant, &ConnectionId::from_text(id)).await?;
    let found = mirror.liveness(&connection).await?;
    Ok(Json(LivenessView { found, meaning: found.meaning(), what_to_do: found.what_to_do() }))
}

async fn counts(State(mirror): State<Mirror>, caller: Caller) -> Answered<Json<serde_json::Value>> {
    let summary = mirror.summary(caller.tenant).await?;
    Ok(Json(serde_json::json!({
        "data": summary.kinds,
        "rereads_waiting": summary.rereads_waiting,
        "rereads_refused": summary.rereads_refused,
    })))
}

async fn objects(
    State(mirror): State<Mirror>,
    caller: Caller,
    Path(kind): Path<String>,
    Query(page): Query<PageRequest>,
) -> Answered<Json<Page<ObjectView>>> {
    let page = mirror.objects(caller.tenant, &kind, &page).await?;
    let data = page.data.into_iter().map(ObjectView::from_row).collect::<Answered<Vec<_>>>()?;
    Ok(Json(Page { data, has_more: page.has_more, next_cursor: page.next_cursor }))
}

async fn object(
    State(mirror): State<Mirror>,
    caller: Caller,
    Path((kind, id)): Path<(String, String)>,
) -> Answered<Json<ObjectView>> {
    let row = mirror.object(caller.tenant, &kind, &id).await?;
    let row = row.ok_or_else(|| Problem::not_found(&kind, &id))?;
    ObjectView::from_row(row).map(Json)
}
