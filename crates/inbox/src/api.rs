//! Events as JSON: `GET /v1/inbox[/{id}]`, `POST /v1/inbox/{id}/replay`, `POST /v1/inbox/replay`.

use crate::{EventDetail, EventFilter, EventSummary, Inbox, ReplayFilter, State};
use axum::{
    Json, Router,
    extract::{
        Path, Query, State as Shared,
        rejection::{JsonRejection, QueryRejection},
    },
    http::StatusCode,
    routing::{get, post},
};
use identity::Caller;
use kit::{Cursor, Page, PageRequest, Time};
use platform::Problem;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

/// Most events that one replay may name.
pub(crate) const MAX_REPLAY_IDS: usize = 1_000;

pub(crate) fn routes(inbox: Inbox) -> Router {
    Router::new()
        .route("/v1/inbox", get(list))
        .route("/v1/inbox/replay", post(replay_many))
        .route("/v1/inbox/{id}", get(show))
        .route("/v1/inbox/{id}/replay", post(replay_one))
        .with_state(inbox)
}

type Answered<T> = Result<T, Problem>;

/// An event as callers see it.
#[derive(Serialize)]
struct EventView {
    id: String,
    connection_id: String,
    account_id: String,
    #[serde(rename = "type")]
    event_type: String,
    api_version: Option<String>,
    created: String,
    received_at: String,
    object: Option<ObjectView>,
    thin: bool,
    source: crate::Source,
    state: State,
    retry_count: u32,
    next_try_at: Option<String>,
    last_error: Option<String>,
    processed_at: Option<String>,
    /// Only where one event is shown: the whole event as received.
    #[serde(skip_serializing_if = "Option::is_none")]
    payload: Option<Box<RawValue>>,
}

#[derive(Serialize)]
struct ObjectView {
    #[serde(rename = "type")]
    object_type: String,
    id: Option<String>,
}

impl EventView {
    fn from_summary(event: EventSummary) -> EventView {
        let object_id = event.object_id;
        EventView {
            id: event.event_id,
            connection_id: event.connection_id.to_string(),
            account_id: event.account_id,
            event_type: event.event_type,
            api_version: event.api_version,
            created: event.created.to_string(),
            received_at: event.received_at.to_string(),
            object: event.object_type.map(|object_type| ObjectView { object_type, id: object_id }),
            thin: event.thin,
            source: event.source,
            state: event.state,
            retry_count: event.retry_count,
            next_try_at: event.next_try_at.map(|at| at.to_string()),
            last_error: event.last_error,
            processed_at: event.processed_at.map(|at| at.to_string()),
            payload: None,
        }
    }

    fn from_detail(EventDetail { summary, body }: EventDetail) -> EventView {
        EventView { payload: body, ..EventView::from_summary(summary) }
    }
}

/// What may stand in the address of a list, of the API's and of the page's.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ListQuery {
    pub(crate) state: Option<String>,
    #[serde(rename = "type")]
    pub(crate) event_type: Option<String>,
    pub(crate) connection: Option<String>,
    pub(crate) object: Option<String>,
    pub(crate) limit: Option<u32>,
    pub(crate) cursor: Option<Cursor>,
}

impl ListQuery {
    /// Empty fields, as forms send them, mean no condition.
    pub(crate) fn filter(&self) -> Answered<EventFilter> {
        let given =
            |text: &Option<String>| text.as_deref().map(str::trim).filter(|text| !text.is_empty()).map(str::to_owned);
        let state = given(&self.state).map(|state| state.parse()).transpose();
        Ok(EventFilter {
            state: state.map_err(|why: crate::event::UnknownWord| Problem::bad_field("state", why.to_string()))?,
            event_type: given(&self.event_type),
            connection_id: given(&self.connection),
            object_id: given(&self.object),
        })
    }

    pub(crate) fn page(&self) -> PageRequest {
        PageRequest { limit: self.limit, cursor: self.cursor.clone() }
    }
}

async fn list(
    Shared(inbox): Shared<Inbox>,
    caller: Caller,
    query: Result<Query<ListQuery>, QueryRejection>,
) -> Answered<Json<Page<EventView>>> {
    let Query(query) = query.map_err(|why| Problem::bad_field("query", why.body_text()))?;
    let page = inbox.list(caller.tenant, &query.filter()?, &query.page()).await?;
    let Page { data, has_more, next_cursor } = page;
    Ok(Json(Page { data: data.into_iter().map(EventView::from_summary).collect(), has_more, next_cursor }))
}

async fn show(Shared(inbox): Shared<Inbox>, caller: Caller, Path(id): Path<String>) -> Answered<Json<EventView>> {
    Ok(Json(EventView::from_detail(inbox.event(caller.tenant, &id).await?)))
}

/// What a replay answers; the events are processed in the background.
#[derive(Serialize)]
struct Replayed {
    replayed: u64,
}

async fn replay_one(
    Shared(inbox): Shared<Inbox>,
    caller: Caller,
    Path(id): Path<String>,
) -> Answered<(StatusCode, Json<Replayed>)> {
    let known = inbox.event(caller.tenant, &id).await?;
    if known.body.is_none() {
        return Err(payload_gone(&id));
    }
    let replayed = inbox.replay(caller.tenant, ReplayFilter { ids: vec![id], ..ReplayFilter::default() }).await?;
    Ok((StatusCode::ACCEPTED, Json(Replayed { replayed })))
}

/// 409: retention has taken what would be processed.
pub(crate) fn payload_gone(id: &str) -> Problem {
    Problem::conflict("payload_gone", format!("The body of event `{id}` is no longer kept."))
        .what_to_do("Sync the connection: what the event told of is then read from Stripe.")
}

/// Which events to replay. Times are RFC 3339, such as `2026-01-15T12:00:00Z`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ReplayBody {
    #[serde(default)]
    ids: Vec<String>,
    #[serde(default, rename = "type")]
    event_type: Option<String>,
    #[serde(default)]
    state: Option<State>,
    #[serde(default)]
    from: Option<String>,
    #[serde(default)]
    to: Option<String>,
}

async fn replay_many(
    Shared(inbox): Shared<Inbox>,
    caller: Caller,
    body: Result<Json<ReplayBody>, JsonRejection>,
) -> Answered<(StatusCode, Json<Replayed>)> {
    let Json(body) = body.map_err(|why| Problem::bad_field("body", why.body_text()))?;
    if body.ids.len() > MAX_REPLAY_IDS {
        return Err(Problem::bad_field(
            "ids",
            format!("A replay names at most {MAX_REPLAY_IDS} events; give a type or times for more."),
        ));
    }
    let filter = ReplayFilter {
        ids: body.ids,
        event_type: body.event_type,
        state: body.state,
        from: body.from.map(|text| time("from", &text)).transpose()?,
        to: body.to.map(|text| time("to", &text)).transpose()?,
    };
    let replayed = inbox.replay(caller.tenant, filter).await?;
    Ok((StatusCode::ACCEPTED, Json(Replayed { replayed })))
}

/// Reads a time of a request.
fn time(field: &str, text: &str) -> Answered<Time> {
    let parsed: Result<jiff::Timestamp, _> = text.parse();
    parsed
        .map(|at| Time::from_micros(at.as_microsecond()))
        .map_err(|_| Problem::bad_field(field, "Not a time like 2026-01-15T12:00:00Z."))
}
