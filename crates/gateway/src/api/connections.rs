//! Connections as JSON: connect, test, change, replace the key, disconnect.

use super::{Answered, bad_cursor, body};
use crate::{
    ConnectionChange, Diagnosis, Disconnected, Gateway, NewConnectionRequest, Repaired, WebhookChoice, doctor::Tested,
    webhook_endpoint,
};
use axum::{
    Json, Router,
    extract::{
        Path, Query, State,
        rejection::{JsonRejection, QueryRejection},
    },
    http::{StatusCode, header},
    response::{IntoResponse, Response},
    routing::{get, post},
};
use identity::Caller;
use kit::{Page, PageRequest, Secret};
use platform::Problem;
use serde::{Deserialize, Deserializer, Serialize};
use vault::{Connection, ConnectionId, ConnectionState};

pub(crate) fn routes() -> Router<Gateway> {
    Router::new()
        .route("/v1/connections", post(create).get(list))
        .route("/v1/connections/test", post(test_key))
        .route("/v1/connections/{id}", get(show).patch(change).delete(disconnect))
        .route("/v1/connections/{id}/test", post(test))
        .route("/v1/connections/{id}/key-report", get(key_report))
        .route("/v1/connections/{id}/webhook-endpoint/repair", post(repair_endpoint))
        .route("/v1/connections/{id}/key", post(replace_key))
}

/// A connection as callers see it.
#[derive(Serialize)]
struct ConnectionView {
    id: String,
    provider: String,
    account_id: String,
    environment: kit::Environment,
    display_name: String,
    key_hint: String,
    key_kind: String,
    state: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    state_reason: Option<String>,
    lookback_days: Option<u32>,
    webhook: WebhookView,
    created_at: String,
    last_good_call_at: Option<String>,
}

/// Where a connection's events come from.
#[derive(Serialize)]
struct WebhookView {
    /// Where to point an endpoint that is made by hand.
    address: Option<String>,
    /// The endpoint that Bursar made.
    endpoint_id: Option<String>,
}

impl ConnectionView {
    fn from_connection(gateway: &Gateway, connection: Connection) -> ConnectionView {
        let (state, state_reason) = match connection.state {
            ConnectionState::Active => ("active", None),
            ConnectionState::KeyRefused { reason } => ("key_refused", Some(reason)),
            ConnectionState::Disconnected => ("disconnected", None),
        };
        let address = gateway.public_url().map(|url| webhook_endpoint::address(url, &connection.id));
        ConnectionView {
            id: connection.id.to_string(),
            provider: connection.provider,
            account_id: connection.account_id,
            environment: connection.environment,
            display_name: connection.display_name,
            key_hint: connection.key_hint,
            key_kind: connection.key_kind,
            state,
            state_reason,
            lookback_days: connection.lookback_days,
            webhook: WebhookView { address, endpoint_id: connection.webhook_endpoint_id },
            created_at: connection.created_at.to_string(),
            last_good_call_at: connection.last_good_call_at.map(|at| at.to_string()),
        }
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct CreateBody {
    api_key: Key,
    #[serde(default)]
    lookback_days: Option<u32>,
    #[serde(default)]
    display_name: Option<String>,
    #[serde(default)]
    webhook: WebhookBody,
}

/// `"auto"`, `"none"`, or `{"secret": "whsec_…"}`.
#[derive(Deserialize, Default)]
#[serde(rename_all = "lowercase")]
enum WebhookBody {
    #[default]
    Auto,
    None,
    Secret(Key),
}

impl WebhookBody {
    fn into_choice(self) -> WebhookChoice {
        match self {
            WebhookBody::Auto => WebhookChoice::Auto,
            WebhookBody::None => WebhookChoice::None,
            WebhookBody::Secret(secret) => WebhookChoice::Secret(secret.0),
        }
    }
}

/// A secret in a body: read, never written.
struct Key(Secret);

impl<'de> Deserialize<'de> for Key {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Key, D::Error> {
        String::deserialize(deserializer).map(|text| Key(Secret::from(text)))
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct KeyBody {
    api_key: Key,
}

async fn create(
    State(gateway): State<Gateway>,
    caller: Caller,
    read: Result<Json<CreateBody>, JsonRejection>,
) -> Answered<Response> {
    let body = body(read)?;
    let request = NewConnectionRequest {
        api_key: body.api_key.0,
        lookback_days: body.lookback_days,
        display_name: body.display_name,
        webhook: body.webhook.into_choice(),
    };
    let connection = gateway.connect(caller.tenant, caller.environment, request).await?;
    let location = format!("/v1/connections/{}", connection.id);
    let view = ConnectionView::from_connection(&gateway, connection);
    Ok((StatusCode::CREATED, [(header::LOCATION, location)], Json(view)).into_response())
}

async fn list(
    State(gateway): State<Gateway>,
    caller: Caller,
    Query(page): Query<PageRequest>,
) -> Answered<Json<Page<ConnectionView>>> {
    let after: Option<String> = page.after().map_err(bad_cursor)?;
    let mut tx = gateway.inner.base.store.read(caller.tenant).await?;
    let mut connections = gateway.vault().connections(&mut tx).await?;
    drop(tx);
    // There are few connections; ids sort by age.
    connections.sort_by(|left, right| left.id.cmp(&right.id));
    let rest: Vec<ConnectionView> = connections
        .into_iter()
        .filter(|connection| after.as_deref().is_none_or(|after| connection.id.as_str() > after))
        .take(page.limit() as usize + 1)
        .map(|connection| ConnectionView::from_connection(&gateway, connection))
        .collect();
    Ok(Json(Page::cut(rest, page.limit(), |view| view.id.clone())))
}

/// A connection with how calls to it go.
#[derive(Serialize)]
struct ConnectionDetail {
    #[serde(flatten)]
    connection: ConnectionView,
    calls: crate::CallFigures,
    status: Option<crate::AccountStatus>,
}

async fn show(
    State(gateway): State<Gateway>,
    caller: Caller,
    Path(id): Path<String>,
) -> Answered<Json<ConnectionDetail>> {
    let id = ConnectionId::from_text(id);
    let mut tx = gateway.inner.base.store.read(caller.tenant).await?;
    let found = gateway.vault().connection(&mut tx, &id).await?;
    let connection = found.ok_or_else(|| Problem::not_found("connection", id.as_str()))?;
    let calls = gateway.call_figures(&mut tx, &id).await?;
    drop(tx);
    let status = gateway.status(&id);
    Ok(Json(ConnectionDetail { connection: ConnectionView::from_connection(&gateway, connection), calls, status }))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ChangeBody {
    #[serde(default)]
    display_name: Option<String>,
    /// Left out: as it is. `null`: everything.
    #[serde(default, deserialize_with = "given")]
    lookback_days: Option<Option<u32>>,
    #[serde(default)]
    webhook: Option<WebhookBody>,
}

fn given<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Option<u32>>, D::Error> {
    Option::<u32>::deserialize(deserializer).map(Some)
}

async fn change(
    State(gateway): State<Gateway>,
    caller: Caller,
    Path(id): Path<String>,
    read: Result<Json<ChangeBody>, JsonRejection>,
) -> Answered<Json<ConnectionView>> {
    let ChangeBody { display_name, lookback_days, webhook } = body(read)?;
    let change = ConnectionChange { display_name, lookback_days, webhook: webhook.map(WebhookBody::into_choice) };
    let connection = gateway.change_connection(caller.tenant, &ConnectionId::from_text(id), change).await?;
    Ok(Json(ConnectionView::from_connection(&gateway, connection)))
}

#[derive(Deserialize)]
struct DisconnectQuery {
    #[serde(default)]
    data: DataChoice,
}

#[derive(Clone, Copy, Deserialize, Default, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
enum DataChoice {
    #[default]
    Keep,
    Erase,
}

async fn disconnect(
    State(gateway): State<Gateway>,
    caller: Caller,
    Path(id): Path<String>,
    query: Result<Query<DisconnectQuery>, QueryRejection>,
) -> Answered<Json<Disconnected>> {
    let Query(query) = query.map_err(|_| Problem::bad_field("data", "`data` must be `keep` or `erase`."))?;
    let id = ConnectionId::from_text(id);
    Ok(Json(gateway.disconnect(caller.tenant, &id, query.data == DataChoice::Erase).await?))
}

async fn test_key(
    State(gateway): State<Gateway>,
    caller: Caller,
    read: Result<Json<KeyBody>, JsonRejection>,
) -> Answered<Json<Tested>> {
    let body = body(read)?;
    let report = gateway.check_key(caller.environment, &body.api_key.0).await?;
    Ok(Json(Tested::new(report, gateway.inner.base.now())))
}

async fn test(State(gateway): State<Gateway>, caller: Caller, Path(id): Path<String>) -> Answered<Json<Tested>> {
    let report = gateway.test_connection(caller.tenant, &ConnectionId::from_text(id)).await?;
    Ok(Json(Tested::new(report, gateway.inner.base.now())))
}

async fn key_report(
    State(gateway): State<Gateway>,
    caller: Caller,
    Path(id): Path<String>,
) -> Answered<Json<Diagnosis>> {
    let id = ConnectionId::from_text(id);
    let mut tx = gateway.inner.base.store.read(caller.tenant).await?;
    gateway.vault().connection(&mut tx, &id).await?.ok_or_else(|| Problem::not_found("connection", id.as_str()))?;
    drop(tx);
    // What was refused a moment ago is part of the answer.
    gateway.flush_counts().await?;
    Ok(Json(gateway.key_diagnosis(caller.tenant, &id).await?))
}

#[derive(Serialize)]
struct RepairedView {
    did: Repaired,
    webhook_endpoint_id: Option<String>,
}

async fn repair_endpoint(
    State(gateway): State<Gateway>,
    caller: Caller,
    Path(id): Path<String>,
) -> Answered<Json<RepairedView>> {
    let id = ConnectionId::from_text(id);
    let did = gateway.repair_endpoint(caller.tenant, &id).await?;
    let mut tx = gateway.inner.base.store.read(caller.tenant).await?;
    let connection = gateway.vault().connection(&mut tx, &id).await?;
    Ok(Json(RepairedView { did, webhook_endpoint_id: connection.and_then(|it| it.webhook_endpoint_id) }))
}

async fn replace_key(
    State(gateway): State<Gateway>,
    caller: Caller,
    Path(id): Path<String>,
    read: Result<Json<KeyBody>, JsonRejection>,
) -> Answered<Json<ConnectionView>> {
    let body = body(read)?;
    let id = ConnectionId::from_text(id);
    let connection = gateway.replace_key(caller.tenant, &id, &body.api_key.0).await?;
    Ok(Json(ConnectionView::from_connection(&gateway, connection)))
}
