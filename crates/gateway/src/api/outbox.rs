//! The outbox as JSON: what Bursar did, does and is in doubt about at Stripe.

use super::{Answered, bad_cursor, body};
use crate::{
    Gateway, Intent, IntentId, IntentState, Resolution, redact,
    store::{self as rows, IntentFilter, Kept},
};
use axum::{
    Json, Router,
    extract::{Path, Query, State, rejection::JsonRejection},
    routing::{get, post},
};
use identity::Caller;
use kit::{Page, PageRequest, Time};
use platform::Problem;
use serde::{Deserialize, Serialize};

pub(crate) fn routes() -> Router<Gateway> {
    Router::new()
        .route("/v1/outbox", get(outbox))
        .route("/v1/outbox/{id}", get(outbox_entry))
        .route("/v1/outbox/{id}/resolve", post(resolve))
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
    let resolved = gateway.resolve(caller.tenant, &id, resolution).await?;
    if resolved.is_none() {
        return Err(Problem::conflict("intent_not_in_doubt", format!("Intent {id} is not in doubt."))
            .what_to_do("Only intents in doubt wait for a person's word."));
    }
    outbox_entry(State(gateway), caller, Path(id.to_string())).await
}
