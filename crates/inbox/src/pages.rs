//! The inbox as people see it: the list with its figures, one event with its body, replays.

mod event;
mod list;
mod live;

pub(crate) use live::Live;

use crate::{
    Inbox, ReplayFilter,
    api::{ListQuery, payload_gone},
};
use axum::{
    Form, Router,
    extract::{
        Path, Query, State as Shared,
        rejection::{FormRejection, QueryRejection},
    },
    response::Redirect,
    routing::{get, post},
};
use identity::{Caller, Frame};
use platform::{Background, Problem, Roles};
use serde::Deserialize;
use std::collections::BTreeMap;
use ui::Markup;

pub(crate) fn routes(inbox: Inbox) -> Router {
    Router::new()
        .route("/inbox", get(list_page))
        .route("/inbox/live", get(live::stream))
        .route("/inbox/replay", get(confirm_replay).post(replay_many))
        .route("/inbox/{id}", get(event_page))
        .route("/inbox/{id}/replay", post(replay_one))
        .with_state(inbox)
}

/// Ends the live pages when the program stops, since their streams never end by themselves.
pub(crate) fn closing(inbox: &Inbox) -> Background {
    let inbox = inbox.clone();
    let run = move |stopping: platform::CancellationToken| async move {
        stopping.cancelled().await;
        inbox.inner.live.close();
    };
    Background { name: "inbox.live", role: Roles::API, run: Box::new(|stopping| Box::pin(run(stopping))) }
}

/// What the list's page may be asked, and what it says after a replay.
#[derive(Default, Deserialize)]
struct PageQuery {
    #[serde(default)]
    state: Option<String>,
    #[serde(default, rename = "type")]
    event_type: Option<String>,
    #[serde(default)]
    connection: Option<String>,
    #[serde(default)]
    object: Option<String>,
    #[serde(default)]
    cursor: Option<kit::Cursor>,
    #[serde(default)]
    replayed: Option<u64>,
}

impl PageQuery {
    fn list_query(&self) -> ListQuery {
        ListQuery {
            state: self.state.clone(),
            event_type: self.event_type.clone(),
            connection: self.connection.clone(),
            object: self.object.clone(),
            limit: None,
            cursor: self.cursor.clone(),
        }
    }
}

async fn list_page(
    Shared(inbox): Shared<Inbox>,
    caller: Caller,
    Frame(frame): Frame,
    query: Result<Query<PageQuery>, QueryRejection>,
) -> Result<Markup, Problem> {
    let Query(query) = query.map_err(|why| Problem::bad_field("query", why.body_text()))?;
    let asked = query.list_query();
    let filter = asked.filter()?;
    let page = inbox.list(caller.tenant, &filter, &asked.page()).await?;
    let shown = list::Shown {
        counts: inbox.counts(caller.tenant).await?,
        connections: connections(&inbox, &caller).await?,
        events: page.data,
        next_cursor: page.next_cursor,
        at_start: query.cursor.is_none(),
        replayed: query.replayed,
        filter,
    };
    Ok(list::page(&frame, &shown))
}

/// The connections' names and refused deliveries, by id.
async fn connections(inbox: &Inbox, caller: &Caller) -> Result<BTreeMap<String, list::ConnectionShown>, Problem> {
    let mut tx = inbox.inner.base.store.read(caller.tenant).await?;
    let connections = inbox.inner.vault.connections(&mut tx).await?;
    let shown = connections.into_iter().map(|connection| {
        let refusals = inbox.refusals(&connection.id);
        (connection.id.to_string(), list::ConnectionShown { name: connection.display_name, refusals })
    });
    Ok(shown.collect())
}

/// What the page of one event may be asked.
#[derive(Default, Deserialize)]
struct EventQuery {
    #[serde(default)]
    replayed: Option<u64>,
}

async fn event_page(
    Shared(inbox): Shared<Inbox>,
    caller: Caller,
    Frame(frame): Frame,
    Path(id): Path<String>,
    query: Result<Query<EventQuery>, QueryRejection>,
) -> Result<Markup, Problem> {
    let replayed = query.is_ok_and(|Query(query)| query.replayed.is_some());
    let detail = inbox.event(caller.tenant, &id).await?;
    let connections = connections(&inbox, &caller).await?;
    let connection = connections.get(detail.summary.connection_id.as_str()).map(|connection| connection.name.as_str());
    Ok(event::page(&frame, &detail, connection, replayed))
}

async fn replay_one(Shared(inbox): Shared<Inbox>, caller: Caller, Path(id): Path<String>) -> Result<Redirect, Problem> {
    if inbox.event(caller.tenant, &id).await?.body.is_none() {
        return Err(payload_gone(&id));
    }
    let filter = ReplayFilter { ids: vec![id.clone()], ..ReplayFilter::default() };
    let replayed = inbox.replay(caller.tenant, filter).await?;
    Ok(Redirect::to(&format!("/inbox/{}?replayed={replayed}", list::encoded(&id))))
}

/// Which events a replay is about, in the question's address and in its form.
#[derive(Default, Deserialize)]
struct ReplayQuery {
    #[serde(default)]
    state: Option<String>,
    #[serde(default, rename = "type")]
    event_type: Option<String>,
}

impl ReplayQuery {
    fn filter(&self) -> Result<ReplayFilter, Problem> {
        let asked =
            ListQuery { state: self.state.clone(), event_type: self.event_type.clone(), ..ListQuery::default() };
        let filter = asked.filter()?;
        Ok(ReplayFilter { state: filter.state, event_type: filter.event_type, ..ReplayFilter::default() })
    }
}

async fn confirm_replay(
    Shared(inbox): Shared<Inbox>,
    caller: Caller,
    Frame(frame): Frame,
    query: Result<Query<ReplayQuery>, QueryRejection>,
) -> Result<Markup, Problem> {
    let Query(query) = query.map_err(|why| Problem::bad_field("query", why.body_text()))?;
    let filter = query.filter()?;
    let counts = inbox.counts(caller.tenant).await?;
    Ok(list::replay_question(&frame, &filter, &counts))
}

async fn replay_many(
    Shared(inbox): Shared<Inbox>,
    caller: Caller,
    form: Result<Form<ReplayQuery>, FormRejection>,
) -> Result<Redirect, Problem> {
    let Form(form) = form.map_err(|why| Problem::bad_field("form", why.body_text()))?;
    let replayed = inbox.replay(caller.tenant, form.filter()?).await?;
    Ok(Redirect::to(&format!("/inbox?replayed={replayed}")))
}
