//! Serving: a loop of its own over hyper, since a dropped connection must be possible, and a router for tests of others.

use crate::{
    cli_session, control,
    exchange::{Answer, Asked, Manner, answer},
    fault_page::{self, Shown},
    simulator::Simulator,
};
use axum::{Router, body::Body, extract::ConnectInfo, response::Response};
use bytes::Bytes;
use futures::future::Either;
use http::{Request, StatusCode, header};
use http_body_util::{BodyExt, Full, Limited, StreamBody, combinators::UnsyncBoxBody};
use hyper::{
    body::{Frame, Incoming},
    service::service_fn,
};
use hyper_util::{
    rt::{TokioExecutor, TokioIo, TokioTimer},
    server::{conn::auto, graceful::GracefulShutdown},
};
use std::{future::Future, net::SocketAddr, time::Duration};
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::CancellationToken;

/// The largest body taken: one mebibyte, far above any form.
const BODY_BYTES_MAX: usize = 1 << 20;
/// How long open connections get to finish when the server stops.
const GRACE: Duration = Duration::from_secs(5);

/// Why a connection is closed without an answer.
#[derive(Debug, thiserror::Error)]
#[error("the connection is dropped, as the fault demands")]
struct Dropped;

impl Simulator {
    /// Serves until `shutdown` resolves: Stripe's API, and `/_sim/*` for callers on this machine.
    pub async fn serve(self, listener: TcpListener, shutdown: impl Future<Output = ()>) {
        let stop = CancellationToken::new();
        let sender = tokio::spawn(self.clone().send_webhooks(stop.clone()));
        let graceful = GracefulShutdown::new();
        let mut shutdown = std::pin::pin!(shutdown);
        loop {
            let accepted = std::pin::pin!(listener.accept());
            let (stream, peer) = match futures::future::select(accepted, shutdown.as_mut()).await {
                Either::Left((Ok(accepted), _)) => accepted,
                Either::Left((Err(error), _)) => {
                    tracing::warn!(error = %error, "a connection could not be accepted");
                    // Out of file descriptors, most likely: give others the time to close theirs.
                    kit::clock::pause(Duration::from_millis(20)).await;
                    continue;
                }
                Either::Right(_) => break,
            };
            self.connection(stream, peer, &graceful);
        }
        self.sides().iter().for_each(|side| side.write().listeners.close());
        // Traffic goes on: an outage of the API does not stop the business behind it.
        stop.cancel();
        tokio::select! {
            () = graceful.shutdown() => {}
            () = kit::clock::pause(GRACE) => {}
        }
        let _ = sender.await;
    }

    fn connection(&self, stream: TcpStream, peer: SocketAddr, graceful: &GracefulShutdown) {
        // Answers are written at once: a small one must not wait for the next packet.
        let _ = stream.set_nodelay(true);
        let simulator = self.clone();
        let service = service_fn(move |request: Request<Incoming>| {
            let simulator = simulator.clone();
            async move {
                match simulator.respond(request, Some(peer)).await {
                    Some(response) => Ok(response),
                    None => Err(Dropped),
                }
            }
        });
        let mut builder = auto::Builder::new(TokioExecutor::new()).http1_only();
        builder.http1().timer(TokioTimer::new()).keep_alive(true);
        // A listening CLI turns its connection into a WebSocket.
        let connection = builder.serve_connection_with_upgrades(TokioIo::new(stream), service).into_owned();
        let connection = graceful.watch(connection);
        tokio::spawn(async move {
            if let Err(error) = connection.await {
                tracing::debug!(error = %error, "a connection ended early");
            }
        });
    }

    /// The same as a router, for tests that call it without a network. Webhooks are sent if a runtime is running.
    ///
    /// Where the caller's address is known (`ConnectInfo`), `/_sim/*` is for this machine only; a call without a
    /// network is from this machine. A dropped connection shows as a body that breaks off.
    pub fn router(&self) -> Router {
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            runtime.spawn(self.clone().send_webhooks(CancellationToken::new()));
        }
        let simulator = self.clone();
        Router::new().fallback(move |request: Request<Body>| {
            let simulator = simulator.clone();
            async move {
                let peer = request.extensions().get::<ConnectInfo<SocketAddr>>().map(|info| info.0);
                match simulator.respond(request, peer).await {
                    Some(response) => response.map(Body::new),
                    None => broken(),
                }
            }
        })
    }

    /// Answers one request; nothing if the connection is to be dropped.
    async fn respond<B>(&self, request: Request<B>, peer: Option<SocketAddr>) -> Option<Response<Sent>>
    where
        B: hyper::body::Body<Data = Bytes>,
        B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        let (mut parts, body) = request.into_parts();
        let body = match Limited::new(body, BODY_BYTES_MAX).collect().await {
            Ok(body) => body.to_bytes(),
            Err(_) => {
                return Some(plain(
                    StatusCode::PAYLOAD_TOO_LARGE,
                    r#"{"error":{"type":"invalid_request_error","message":"The body is larger than one mebibyte, or it broke off."}}"#,
                ));
            }
        };
        if cli_session::is_for(parts.uri.path()) {
            return Some(match cli_session::subscribe(self, &mut parts).await {
                Ok(upgraded) => upgraded.map(|()| whole(Bytes::new())),
                Err((status, text)) => plain(status, text),
            });
        }
        let path = parts.uri.path();
        if control::is_for(path) {
            if let Some((status, text)) = control::refuses(peer, &parts.headers) {
                return Some(plain(status, text));
            }
            if let Some(shown) = fault_page::answer(self, &parts.method, path, &body) {
                return Some(show(shown));
            }
            let (status, text) = control::answer(self, &parts.method, path, &body).await;
            return Some(response(status, "application/json", text.into()));
        }
        let asked = Asked {
            method: &parts.method,
            path,
            query: parts.uri.query().unwrap_or_default(),
            headers: &parts.headers,
            body: &body,
        };
        let answer = answer(self, &asked).await;
        match answer.manner {
            Manner::Dropped => None,
            Manner::Held(hold) => {
                kit::clock::pause(hold).await;
                None
            }
            Manner::Whole | Manner::Cut | Manner::Dribbled(_) => Some(finished(answer)),
        }
    }
}

/// A body as it is sent: whole, cut or dribbled.
type Sent = UnsyncBoxBody<Bytes, Dropped>;

fn whole(body: Bytes) -> Sent {
    Full::new(body).map_err(|never| match never {}).boxed_unsync()
}

fn finished(answer: Answer) -> Response<Sent> {
    let (status, mut headers) = answer.head();
    let length = answer.body.len();
    let body = match answer.manner {
        Manner::Cut => cut(answer.body),
        Manner::Dribbled(over) => dribbled(answer.body, over),
        _ => whole(answer.body),
    };
    headers.insert(header::CONTENT_LENGTH, length.into());
    let mut response = Response::new(body);
    *response.status_mut() = status;
    *response.headers_mut() = headers;
    response
}

/// What a cut answer waits before the connection is closed, so that its first half has left.
const CUT_AFTER: Duration = Duration::from_millis(20);

/// The first half of a body.
fn cut(body: Bytes) -> Sent {
    let half = body.slice(..body.len() / 2);
    let end = futures::stream::once(async {
        kit::clock::pause(CUT_AFTER).await;
        Err(Dropped)
    });
    let start = futures::stream::iter([Ok(Frame::data(half))]);
    StreamBody::new(futures::StreamExt::chain(start, end)).boxed_unsync()
}

/// A dribbled body comes in this many pieces.
const PIECES: usize = 20;

fn dribbled(body: Bytes, over: Duration) -> Sent {
    let size = body.len().div_ceil(PIECES).max(1);
    let pause = over / u32::try_from(PIECES).unwrap_or(1);
    let pieces = futures::stream::unfold(body, move |mut rest| async move {
        if rest.is_empty() {
            return None;
        }
        kit::clock::pause(pause).await;
        let piece = rest.split_to(size.min(rest.len()));
        Some((Ok(Frame::data(piece)), rest))
    });
    StreamBody::new(pieces).boxed_unsync()
}

fn response(status: StatusCode, kind: &'static str, body: Bytes) -> Response<Sent> {
    let mut response = Response::new(whole(body));
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, header::HeaderValue::from_static(kind));
    response
}

/// A file of the page's, which takes nothing from elsewhere and stands in no other page.
fn show(shown: Shown) -> Response<Sent> {
    let mut response = match shown {
        Shown::File(status, kind, text) => response(status, kind, text.into()),
        Shown::Back => {
            let mut back = response(StatusCode::SEE_OTHER, "text/plain", Bytes::new());
            back.headers_mut().insert(header::LOCATION, header::HeaderValue::from_static("/_sim"));
            back
        }
    };
    let policy = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; form-action 'self'; \
         base-uri 'none'; frame-ancestors 'none'";
    for (name, value) in [
        (header::CONTENT_SECURITY_POLICY, policy),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        // With none at all a browser would not say whose page sends a form.
        (header::REFERRER_POLICY, "same-origin"),
        (header::CACHE_CONTROL, "no-store"),
    ] {
        response.headers_mut().insert(name, header::HeaderValue::from_static(value));
    }
    response
}

fn plain(status: StatusCode, body: &'static str) -> Response<Sent> {
    response(status, "application/json", Bytes::from_static(body.as_bytes()))
}

/// An answer whose body breaks off.
fn broken() -> Response<Body> {
    let pieces = futures::stream::iter([Ok(Bytes::from_static(b"{")), Err(Dropped)]);
    Response::new(Body::from_stream(pieces))
}
