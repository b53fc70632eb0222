//! How a request reaches a slice: other spellings, request id, limits, who is calling, idempotency, pages.

use crate::{aliases, health};
use axum::{
    Extension, Router,
    body::Body,
    extract::{DefaultBodyLimit, Request},
    http::{HeaderName, HeaderValue, StatusCode, header},
    middleware::{self, Next},
    response::{IntoResponse, Response},
};
use identity::Identity;
use kit::Stopwatch;
use platform::{Base, CancellationToken, NavItem, Problem, Slice};
use std::sync::Arc;
use tower::ServiceExt;

/// Longest body of an API request; slices that need more or less say so on their routes.
const MAX_BODY_BYTES: usize = 2 << 20;
static REQUEST_ID: HeaderName = HeaderName::from_static("request-id");

/// A request's id, in its extensions and in the answer's header.
#[derive(Clone, Debug)]
pub struct RequestId(pub String);

/// The router of one node: every slice's routes under the common layers.
pub fn router(base: &Base, identity: &Identity, slices: &mut [Slice], stopping: CancellationToken) -> Router {
    let mut nav: Vec<NavItem> = slices.iter_mut().flat_map(|slice| std::mem::take(&mut slice.nav)).collect();
    nav.sort_by_key(|item| item.order);
    let (mut routes, mut open_routes) = (Router::new(), health::routes(base.clone(), stopping));
    for slice in slices {
        routes = routes.merge(std::mem::take(&mut slice.routes));
        open_routes = open_routes.merge(std::mem::take(&mut slice.open_routes));
    }
    let routes = routes
        .merge(ui::assets_router())
        .fallback(unknown_route)
        .method_not_allowed_fallback(unknown_method)
        .layer(middleware::from_fn_with_state(base.clone(), platform::idempotency::layer))
        .layer(middleware::from_fn(identity::pages_layer))
        .layer(middleware::from_fn_with_state(identity.clone(), identity::layer))
        .layer(Extension(Arc::new(nav)))
        .layer(DefaultBodyLimit::max(MAX_BODY_BYTES))
        .merge(open_routes)
        .layer(tower_http::catch_panic::CatchPanicLayer::custom(panicked))
        .layer(middleware::from_fn_with_state(base.clone(), common));
    // Spellings are changed before a route is looked up, so this stands outside of the router.
    Router::new().fallback(move |mut request: Request| {
        let routes = routes.clone();
        async move {
            if let Some(uri) = aliases::canonical(request.method(), request.uri()) {
                *request.uri_mut() = uri;
            }
            routes.oneshot(request).await
        }
    })
}

async fn unknown_route(request: Request) -> Problem {
    let (method, path) = (request.method(), request.uri().path());
    Problem::new(StatusCode::NOT_FOUND, "unknown_route", "Not found", format!("There is nothing at {method} {path}."))
        .what_to_do("Check the address and the method.")
}

async fn unknown_method(request: Request) -> Problem {
    let (method, path) = (request.method(), request.uri().path());
    let detail = format!("{path} cannot be asked for by {method}.");
    Problem::new(StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed", "Not possible here", detail)
        .what_to_do("Use one of the methods that the answer's header `Allow` names.")
}

/// What axum itself refuses, in a word or none, as the problem that it is. Its words are not repeated: they quote the
/// body, which may hold a key.
fn bare_refusal(response: &Response) -> Option<Problem> {
    let status = response.status();
    let kind = response.headers().get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok());
    if !status.is_client_error() || kind.is_some_and(|kind| !kind.starts_with("text/plain")) {
        return None;
    }
    let (code, detail, what_to_do) = match status {
        StatusCode::PAYLOAD_TOO_LARGE => ("body_too_large", "The body is too large.", "Send less at once."),
        StatusCode::UNSUPPORTED_MEDIA_TYPE => {
            ("bad_content_type", "The body is not of the kind that is read here.", "Send `application/json`.")
        }
        _ => (
            "bad_request",
            "The address, its query or the body is not as it must be.",
            "Check the spelling and the type of each field, then send the request again.",
        ),
    };
    Some(Problem::new(status, code, "The request cannot be understood", detail).what_to_do(what_to_do))
}

/// Request id, headers that keep browsers safe, and one line of log.
async fn common(axum::extract::State(base): axum::extract::State<Base>, mut request: Request, next: Next) -> Response {
    let watch = Stopwatch::start();
    let id = kit::Id::new("req", base.now(), &*base.randomness).to_string();
    let (method, path) = (request.method().clone(), request.uri().path().to_owned());
    request.extensions_mut().insert(RequestId(id.clone()));
    // Layers of lower crates read it from the header, since they do not know this crate.
    if let Ok(value) = HeaderValue::from_str(&id) {
        request.headers_mut().insert(&REQUEST_ID, value);
    }
    let mut response = next.run(request).await;
    if let Some(problem) = bare_refusal(&response) {
        response = problem.into_response();
    }
    let status = response.status().as_u16();
    let headers = response.headers_mut();
    if let Ok(value) = HeaderValue::from_str(&id) {
        headers.insert(&REQUEST_ID, value);
    }
    for (name, value) in [
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::REFERRER_POLICY, "same-origin"),
        (header::X_FRAME_OPTIONS, "DENY"),
        (
            header::CONTENT_SECURITY_POLICY,
            "default-src 'self'; img-src 'self' data:; frame-ancestors 'none'; base-uri 'none'; form-action 'self'",
        ),
    ] {
        headers.entry(name).or_insert(HeaderValue::from_static(value));
    }
    let duration_ms = watch.elapsed_ms();
    if status >= 500 {
        tracing::warn!(request.id = id, %method, path, status, duration_ms, "request failed");
    } else {
        tracing::debug!(request.id = id, %method, path, status, duration_ms, "request answered");
    }
    response
}

fn panicked(panic: Box<dyn std::any::Any + Send>) -> Response<Body> {
    let text =
        panic.downcast_ref::<&str>().copied().map(str::to_owned).or_else(|| panic.downcast_ref::<String>().cloned());
    tracing::error!(panic = text, "a handler panicked");
    let title = "A fault of Bursar";
    Problem::new(StatusCode::INTERNAL_SERVER_ERROR, "internal", title, "The request failed by a fault of ours.")
        .what_to_do("Try again; if it stays, report it with the request id.")
        .into_response()
}
