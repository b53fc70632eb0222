//! How the overview stays true while somebody looks: one event stream, a message for each part that changed.

use crate::{Console, Looking, Moment, overview};
use axum::{
    extract::{Query, State},
    response::sse::{Event, KeepAlive, Sse},
};
use futures::Stream;
use identity::{Caller, Frame};
use std::{collections::HashMap, convert::Infallible, time::Duration};
use store::Wake;

/// Changes come in hundreds a second; eyes do not. Also how long the database is left alone between two looks.
const AT_MOST_EVERY: Duration = Duration::from_secs(1);
/// Figures may change without a wake, for instance at midnight.
const AT_LEAST_EVERY: Duration = Duration::from_secs(15);

/// The stream of the overview.
pub(crate) async fn stream(
    State(console): State<Console>,
    caller: Caller,
    Frame(frame): Frame,
    Query(looking): Query<Looking>,
) -> Sse<impl Stream<Item = Result<Event, Infallible>>> {
    // Syncs, events, a breaker that opens, a key that is refused or replaced.
    let topics = [mirror::WAKE, inbox::WAKE, gateway::WAKE, vault::WAKE];
    let wakes = topics.map(|topic| console.base.store.wakes().subscribe(topic));
    let begin = (console, wakes, frame.view, HashMap::<String, String>::new());
    let messages = futures::stream::unfold(begin, move |(console, mut wakes, mut view, mut sent)| {
        let looking = looking.clone();
        async move {
            loop {
                if !sent.is_empty() {
                    kit::clock::pause(AT_MOST_EVERY).await;
                    any_woken(&mut wakes).await;
                }
                view.now = console.base.now();
                // A database that does not answer for a moment leaves the page as it is; it says when it was updated.
                let Ok(moment) = Moment::read(&console, caller.tenant).await else {
                    kit::clock::pause(AT_LEAST_EVERY).await;
                    continue;
                };
                let currency = overview::shown_currency(&moment, &looking);
                let changed: Vec<_> = overview::parts(&moment, currency, &view)
                    .into_iter()
                    .filter(|part| sent.insert(part.id.clone(), part.html.clone()).as_ref() != Some(&part.html))
                    .filter_map(|part| Event::default().json_data(part).ok())
                    .map(Ok)
                    .collect();
                if !changed.is_empty() {
                    return Some((futures::stream::iter(changed), (console, wakes, view, sent)));
                }
            }
        }
    });
    Sse::new(futures::StreamExt::flatten(messages)).keep_alive(KeepAlive::default())
}

/// Resolves when anything on the page may have changed, or when it is time to look anyway.
async fn any_woken(wakes: &mut [Wake]) {
    let woken = futures::future::select_all(wakes.iter_mut().map(|wake| Box::pin(wake.woken())));
    tokio::select! {
        _ = woken => {}
        () = kit::clock::pause(AT_LEAST_EVERY) => {}
    }
}
