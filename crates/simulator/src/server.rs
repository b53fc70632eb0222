//! Serving: a loop of its own over hyper, since a dropped connection must be possible, and a router for tests of others.

use crate::{
    control,
    exchange::{Answer, Asked, answer},
    simulator::Simulator,
};
use axum::{Router, body::Body, extract::ConnectInfo, response::Response};
use bytes::Bytes;
use futures::future::Either;
use http::{Request, StatusCode, header};
use http_body_util::{BodyExt, Full, Limited};
use hyper::{body::Incoming, service::service_fn};
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    server::graceful::GracefulShutdown,
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
        let connection = hyper::server::conn::http1::Builder::new()
            .timer(TokioTimer::new())
            .keep_alive(true)
            .serve_connection(TokioIo::new(stream), service);
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
    async fn respond<B>(&self, request: Request<B>, peer: Option<SocketAddr>) -> Option<Response<Full<Bytes>>>
    where
        B: hyper::body::Body<Data = Bytes>,
        B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        let (parts, body) = request.into_parts();
        let body = match Limited::new(body, BODY_BYTES_MAX).collect().await {
            Ok(body) => body.to_bytes(),
            Err(_) => {
                return Some(plain(
                    StatusCode::PAYLOAD_TOO_LARGE,
                    r#"{"error":{"type":"invalid_request_error","message":"The body is larger than one mebibyte, or it broke off."}}"#,
                ));
            }
        };
        let path = parts.uri.path();
        if path.starts_with("/_sim/") {
            if peer.is_some_and(|peer| !peer.ip().to_canonical().is_loopback()) {
                return Some(plain(StatusCode::FORBIDDEN, r#"{"error":"/_sim is for callers on this machine"}"#));
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
        (!answer.dropped).then(|| finished(answer))
    }
}

fn finished(answer: Answer) -> Response<Full<Bytes>> {
    let (status, headers) = answer.head();
    let mut response = Response::new(Full::new(answer.body));
    *response.status_mut() = status;
    *response.headers_mut() = headers;
    response
}

fn response(status: StatusCode, kind: &'static str, body: Bytes) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(body));
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, header::HeaderValue::from_static(kind));
    response
}

fn plain(status: StatusCode, body: &'static str) -> Response<Full<Bytes>> {
    response(status, "application/json", Bytes::from_static(body.as_bytes()))
}

/// An answer whose body breaks off.
fn broken() -> Response<Body> {
    let pieces = futures::stream::iter([Ok(Bytes::from_static(b"{")), Err(Dropped)]);
    Response::new(Body::from_stream(pieces))
}
