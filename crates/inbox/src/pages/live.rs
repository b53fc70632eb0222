//! Keeps an open list up to date: looks again every so often and sends the parts that changed.

use super::{PageQuery, connections, list};
use crate::Inbox;
use axum::{
    extract::{Query, State as Shared, rejection::QueryRejection},
    response::sse::{Event, KeepAlive, Sse},
};
use futures::{Stream, stream};
use http::StatusCode;
use identity::{Caller, Frame};
use platform::{CancellationToken, Problem};
use std::{convert::Infallible, sync::Arc, time::Duration};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use ui::LiveUpdate;

/// Most open pages that are kept up to date by one process.
const MAX_STREAMS: usize = 100;
/// How often a page is looked at again. Events come in bursts; a list that moved with each could not be read.
const LOOK_EVERY: Duration = Duration::from_secs(2);

/// The open streams of this process.
pub(crate) struct Live {
    room: Arc<Semaphore>,
    closing: CancellationToken,
}

impl Default for Live {
    fn default() -> Live {
        Live { room: Arc::new(Semaphore::new(MAX_STREAMS)), closing: CancellationToken::new() }
    }
}

impl Live {
    /// Ends all streams.
    pub(crate) fn close(&self) {
        self.closing.cancel();
    }
}

/// One page's stream.
struct Watching {
    inbox: Inbox,
    caller: Caller,
    frame: ui::Frame,
    query: PageQuery,
    /// What the page shows.
    sent: Option<list::Shown>,
    /// Changes that were found and are to be sent.
    waiting: Vec<LiveUpdate>,
    closing: CancellationToken,
    _room: OwnedSemaphorePermit,
}

pub(super) async fn stream(
    Shared(inbox): Shared<Inbox>,
    caller: Caller,
    Frame(frame): Frame,
    query: Result<Query<PageQuery>, QueryRejection>,
) -> Result<Sse<impl Stream<Item = Result<Event, Infallible>>>, Problem> {
    let Query(query) = query.map_err(|why| Problem::bad_field("query", why.body_text()))?;
    query.list_query().filter()?;
    let room = Arc::clone(&inbox.inner.live.room).try_acquire_owned().map_err(|_| {
        Problem::new(
            StatusCode::SERVICE_UNAVAILABLE,
            "too_many_live_pages",
            "Too many open pages",
            "Too many pages are being kept up to date.",
        )
        .what_to_do("Close some, or reload the page to see its state.")
    })?;
    let closing = inbox.inner.live.closing.clone();
    let watching = Watching { inbox, caller, frame, query, sent: None, waiting: Vec::new(), closing, _room: room };
    Ok(Sse::new(stream::unfold(watching, next)).keep_alive(KeepAlive::default()))
}

/// The next change, once there is one; the end of the stream when the program stops.
async fn next(mut watching: Watching) -> Option<(Result<Event, Infallible>, Watching)> {
    loop {
        if let Some(update) = watching.waiting.pop() {
            // An update is text, which always becomes JSON.
            let event = Event::default().json_data(update).unwrap_or_default();
            return Some((Ok(event), watching));
        }
        // The page is as fresh as its request: the first look only notes what it shows.
        if watching.sent.is_some() {
            tokio::select! {
                () = watching.closing.cancelled() => return None,
                () = kit::clock::pause(LOOK_EVERY) => {}
            }
        }
        match look(&watching).await {
            Ok(found) => {
                watching.waiting =
                    watching.sent.as_ref().map_or_else(Vec::new, |sent| changes(sent, &found, &watching));
                watching.sent = Some(found);
            }
            Err(problem) => {
                tracing::debug!(code = problem.code, "a live page could not be looked at");
                kit::clock::pause(LOOK_EVERY).await;
            }
        }
    }
}

/// The parts that have to be drawn again. What is shown is compared, not how: "14 s ago" changes all the time.
fn changes(sent: &list::Shown, found: &list::Shown, watching: &Watching) -> Vec<LiveUpdate> {
    let mut view = watching.frame.view.clone();
    view.now = watching.inbox.inner.base.now();
    let mut changes = Vec::new();
    if sent.events != found.events {
        changes.push(LiveUpdate::new("events", list::table(&found.events, &found.filter, &view)));
    }
    if sent.counts.connections != found.counts.connections || sent.connections != found.connections {
        changes.push(LiveUpdate::new("deliveries", list::deliveries(found, &view)));
    }
    changes
}

/// What the page would show now.
async fn look(watching: &Watching) -> Result<list::Shown, Problem> {
    let Watching { inbox, caller, query, .. } = watching;
    let asked = query.list_query();
    let filter = asked.filter()?;
    let page = inbox.list(caller.tenant, &filter, &asked.page()).await?;
    Ok(list::Shown {
        counts: inbox.counts(caller.tenant).await?,
        connections: connections(inbox, caller).await?,
        events: page.data,
        next_cursor: None,
        at_start: true,
        replayed: None,
        filter,
    })
}
