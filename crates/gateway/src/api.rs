//! Connections and the outbox as JSON.

use crate::{
    ConnectionChange, Disconnected, Gateway, GatewayError, Intent, IntentId, IntentState, KeyReport,
    NewConnectionRequest, Resolution, WebhookChoice, redact,
    store::{self as rows, IntentFilter, Kept},
    webhook_endpoint,
};
use axum::{
    Json, Router,
    extract::{Path, Query, State, rejection::JsonRejection},
    http::{StatusCode, header},
    response::{IntoResponse, Response},
    routing::{get, post},
};
use identity::Caller;
use kit::{Page, PageRequest, Secret, Time};
use platform::Problem;
use serde::{Deserialize, Deserializer, Serialize};
use vault::{Connection, ConnectionId, ConnectionState};

/// All routes of this feature.
pub(crate) fn routes(gateway: Gateway) -> Router {
    Router::new()
        .route("/v1/connections", post(create).get(list))
        .route("/v1/connections/test", post(test_key))
        .route("/v1/connections/{id}", get(show).patch(change).delete(disconnect))
        .route("/v1/connections/{id}/test", post(test))
        .route("/v1/connections/{id}/key", post(replace_key))
        .route("/v1/outbox", get(outbox))
        .route("/v1/outbox/{id}", get(outbox_entry))
        .route("/v1/outbox/{id}/resolve", post(resolve))
        .with_state(gateway)
}

type Answered<T> = Result<T, Problem>;

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

/// Reads a JSON body. What was sent is not repeated in the refusal: it may hold a key.
fn body<T>(read: Result<Json<T>, JsonRejection>) -> Answered<T> {
    let Err(rejection) = read else { return read.map(|Json(body)| body).map_err(|_| Problem::bad_field("body", "")) };
    let (code, what) = match rejection {
        JsonRejection::JsonDataError(_) => ("bad_field", "A field is missing, unknown or of the wrong type"),
        JsonRejection::JsonSyntaxError(_) => ("bad_json", "The body is not JSON"),
        JsonRejection::MissingJsonContentType(_) => ("bad_content_type", "The body must be application/json"),
        other if other.status() == StatusCode::PAYLOAD_TOO_LARGE => ("body_too_large", "The body is too large"),
        _ => ("bad_body", "The body cannot be read"),
    };
    let status = if code == "body_too_large" { StatusCode::PAYLOAD_TOO_LARGE } else { StatusCode::BAD_REQUEST };
    Err(Problem::new(status, code, "The body is not as it must be", format!("{what}."))
        .what_to_do("Correct the body and send the request again."))
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
        webhook: match body.webhook {
            WebhookBody::Auto => WebhookChoice::Auto,
            WebhookBody::None => WebhookChoice::None,
            WebhookBody::Secret(secret) => WebhookChoice::Secret(secret.0),
        },
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
    let ChangeBody { display_name, lookback_days } = body(read)?;
    let change = ConnectionChange { display_name, lookback_days };
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
    query: Result<Query<DisconnectQuery>, axum::extract::rejection::QueryRejection>,
) -> Answered<Json<Disconnected>> {
    let Query(query) = query.map_err(|_| Problem::bad_field("data", "`data` must be `keep` or `erase`."))?;
    let id = ConnectionId::from_text(id);
    Ok(Json(gateway.disconnect(caller.tenant, &id, query.data == DataChoice::Erase).await?))
}

async fn test_key(
    State(gateway): State<Gateway>,
    caller: Caller,
    read: Result<Json<KeyBody>, JsonRejection>,
) -> Answered<Json<KeyReport>> {
    let body = body(read)?;
    Ok(Json(gateway.check_key(caller.environment, &body.api_key.0).await?))
}

async fn test(State(gateway): State<Gateway>, caller: Caller, Path(id): Path<String>) -> Answered<Json<KeyReport>> {
    Ok(Json(gateway.test_connection(caller.tenant, &ConnectionId::from_text(id)).await?))
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

/// An intent as callers see it, without secrets.
#[derive(Serialize)]
struct IntentView {
    id: String,
    connection: String,
    purpose: String,
    subject: String,
    lane: crate::Lane,
    state: &'static str,
    method: &'static str,
    path: String,
    parameters: serde_json::Value,
    on_account: Option<String>,
    idempotency_key: Option<String>,
    tries: u32,
    created_at: String,
    updated_at: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    sent_at: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    answer: Option<AnswerView>,
    #[serde(skip_serializing_if = "Option::is_none")]
    refusal: Option<crate::Refusal>,
    #[serde(skip_serializing_if = "Option::is_none")]
    last_error: Option<String>,
}

#[derive(Serialize)]
struct AnswerView {
    status: u16,
    request_id: Option<String>,
    body: Option<serde_json::Value>,
}

impl IntentView {
    fn from_kept(kept: Kept) -> IntentView {
        let Kept { intent, updated_at, last_error, .. } = kept;
        let Intent { request, state, .. } = intent;
        let mut parameters = serde_json::Value::Object(request.params.0);
        redact::redact(&mut parameters);
        let state_name = state.name();
        let (sent_at, answer, refusal) = match state {
            IntentState::Sent { since, .. } => (Some(since), None, None),
            IntentState::Done { answer, .. } => (None, Some(answer), None),
            IntentState::Refused { refusal, .. } => (None, None, Some(refusal)),
            IntentState::Pending | IntentState::InDoubt { .. } => (None, None, None),
        };
        IntentView {
            id: intent.id.to_string(),
            connection: intent.connection.to_string(),
            purpose: intent.purpose,
            subject: intent.subject,
            lane: intent.lane,
            state: state_name,
            method: request.method.as_str(),
            path: request.path,
            parameters,
            on_account: intent.on_account,
            idempotency_key: request.idempotency_key,
            tries: intent.tries,
            created_at: intent.created_at.to_string(),
            updated_at: updated_at.to_string(),
            sent_at: sent_at.as_ref().map(Time::to_string),
            answer: answer.map(|answer| AnswerView {
                status: answer.status,
                request_id: answer.request_id,
                body: answer.body.and_then(|body| serde_json::from_str(&body).ok()),
            }),
            refusal,
            last_error,
        }
    }
}

#[derive(Deserialize)]
struct OutboxQuery {
    #[serde(default)]
    limit: Option<u32>,
    #[serde(default)]
    cursor: Option<kit::Cursor>,
    #[serde(default)]
    state: Option<String>,
    #[serde(default)]
    connection: Option<String>,
    #[serde(default)]
    purpose: Option<String>,
}

async fn outbox(
    State(gateway): State<Gateway>,
    caller: Caller,
    Query(query): Query<OutboxQuery>,
) -> Answered<Json<Page<IntentView>>> {
    let page = PageRequest { limit: query.limit, cursor: query.cursor };
    let before: Option<String> = page.after().map_err(bad_cursor)?;
    let filter = IntentFilter { state: query.state, connection: query.connection, purpose: query.purpose };
    let mut tx = gateway.inner.base.store.read(caller.tenant).await?;
    let kept = rows::list_intents(&mut tx, &filter, before, page.limit() + 1).await?;
    let views = kept.into_iter().map(IntentView::from_kept).collect();
    Ok(Json(Page::cut(views, page.limit(), |view: &IntentView| view.id.clone())))
}

async fn outbox_entry(
    State(gateway): State<Gateway>,
    caller: Caller,
    Path(id): Path<String>,
) -> Answered<Json<IntentView>> {
    let mut tx = gateway.inner.base.store.read(caller.tenant).await?;
    let kept = rows::find_intent(&mut tx, &IntentId::from_text(&id)).await?;
    kept.map(|kept| Json(IntentView::from_kept(kept))).ok_or_else(|| Problem::not_found("intent", &id))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ResolveBody {
    resolution: Resolution,
}

async fn resolve(
    State(gateway): State<Gateway>,
    caller: Caller,
    Path(id): Path<String>,
    read: Result<Json<ResolveBody>, JsonRejection>,
) -> Answered<Json<IntentView>> {
    let ResolveBody { resolution } = body(read)?;
    let id = IntentId::from_text(id);
    let resolved =
        gateway.resolve(caller.tenant, &id, resolution).await.map_err(|error: GatewayError| Problem::from(error))?;
    if resolved.is_none() {
        return Err(Problem::conflict("intent_not_in_doubt", format!("Intent {id} is not in doubt."))
            .what_to_do("Only intents in doubt wait for a person's word."));
    }
    outbox_entry(State(gateway), caller, Path(id.to_string())).await
}

fn bad_cursor(error: kit::paging::BadCursor) -> Problem {
    Problem::bad_field("cursor", format!("{error}."))
}
