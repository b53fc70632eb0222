//! The WebSocket of a listening CLI: events out, acknowledgements and answers in, pings answered.

use super::{Subscription, messages, said};
use crate::{json::plain_member, simulator::Simulator, webhooks::signature};
use axum::{
    extract::{
        FromRequestParts, WebSocketUpgrade,
        ws::{Message, WebSocket},
    },
    response::IntoResponse,
};
use http::{Response, StatusCode, request::Parts};
use std::sync::atomic::Ordering;

/// Where a session is connected to.
pub(super) const PATH: &str = "/v1/stripecli/subscribe";
/// The protocol that the CLI and Stripe agree on.
const PROTOCOL: &str = "stripecli-devproxy-v1";
/// The largest message taken: the CLI cuts what receivers answer, and repeats the event.
const MESSAGE_BYTES_MAX: usize = 4 << 20;

/// Whether a path is the WebSocket's.
pub(crate) fn is_for(path: &str) -> bool {
    path == PATH
}

/// Turns a request into the WebSocket of the session that it names; otherwise says why not.
pub(crate) async fn subscribe(
    simulator: &Simulator,
    parts: &mut Parts,
) -> Result<Response<()>, (StatusCode, &'static str)> {
    let upgrade = WebSocketUpgrade::from_request_parts(parts, &()).await.map_err(|_| {
        (
            StatusCode::BAD_REQUEST,
            r#"{"error":{"type":"invalid_request_error","message":"This is a WebSocket's address."}}"#,
        )
    })?;
    let id = parts.headers.get("websocket-id").and_then(|id| id.to_str().ok()).unwrap_or_default();
    let subscription = simulator.sides().iter().find_map(|side| side.write().listeners.connect(id));
    let Some(subscription) = subscription else {
        return Err((
            StatusCode::UNAUTHORIZED,
            r#"{"error":{"type":"invalid_request_error","message":"There is no such session: open one first."}}"#,
        ));
    };
    let simulator = simulator.clone();
    let answer = upgrade
        .protocols([PROTOCOL])
        .max_message_size(MESSAGE_BYTES_MAX)
        .on_upgrade(move |socket| async move {
            let counts = &simulator.inner.cli_counts;
            counts.connected.fetch_add(1, Ordering::Relaxed);
            if let Err(error) = serve(&simulator, socket, subscription).await {
                tracing::debug!(error = %error, "the connection of a listening CLI ended early");
            }
            counts.connected.fetch_sub(1, Ordering::Relaxed);
        })
        .into_response();
    Ok(answer.map(|_| ()))
}

/// Tells events until either side goes. Pings are answered by the library while we read.
async fn serve(
    simulator: &Simulator,
    mut socket: WebSocket,
    mut subscription: Subscription,
) -> Result<(), axum::Error> {
    let counts = &simulator.inner.cli_counts;
    loop {
        tokio::select! {
            event = subscription.events.recv() => {
                let Some(event) = event else { return socket.send(Message::Close(None)).await };
                // The receiver holds it against its own clock, as with endpoints.
                let second = simulator.inner.options.clock.now().seconds();
                let signature = signature(&subscription.secret, second, &event);
                let conversation = simulator.inner.request_ids.letters("wc_", 24);
                let id = plain_member(&event, "id").unwrap_or_default();
                for message in messages(&event, &id, &conversation, &signature) {
                    socket.send(Message::Text(message.into())).await?;
                }
                counts.told.fetch_add(1, Ordering::Relaxed);
            }
            message = socket.recv() => match message {
                Some(Ok(Message::Text(text))) => counts.hear(said(&text)),
                Some(Ok(Message::Close(_))) | None => return Ok(()),
                Some(Ok(_)) => {}
                Some(Err(error)) => return Err(error),
            },
        }
    }
}
