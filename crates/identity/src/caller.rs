//! What a handler learns of whoever calls, and what it answers to whoever nobody knows.

use crate::OrganizationId;
use axum::{
    extract::{FromRequestParts, OriginalUri},
    http::{HeaderMap, HeaderValue, Method, StatusCode, header, request::Parts},
    response::{IntoResponse, Response},
};
use kit::{Environment, TenantId};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use platform::Problem;
use store::StoreError;

/// Who is calling, and whose data the call is about. Put into the request by [`crate::layer()`]; as an argument of a
/// handler it refuses whoever is not known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Caller {
    /// The organization.
    pub organization: OrganizationId,
    /// Which of its environments.
    pub environment: Environment,
    /// Both of the above as every table names them.
    pub tenant: TenantId,
    /// How the caller proved who it is.
    pub kind: CallerKind,
}

/// How a caller proved who it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum CallerKind {
    /// By a token in `Authorization: Bearer …`: a program.
    Token,
    /// By the cookie of a console session: a person.
    Session,
}

/// Why a request has no [`Caller`]. The layer leaves it in the request for whoever needs one.
#[derive(Clone, Debug)]
pub(crate) enum Refusal {
    /// The token is nobody's.
    BadToken,
    /// The address failed too often; nothing was looked up.
    TooManyFailures,
    /// `Bursar-Environment` is neither `test` nor `live`.
    BadEnvironment(String),
    /// The cookie's session ended, or never was.
    SessionEnded,
    /// The sign-in code was used, is too old, or never was.
    CodeUsed,
    /// Another site's page sent the request.
    ForeignPage,
    /// The database did not serve, so nobody knows.
    Unknown(StoreError),
}

impl From<StoreError> for Refusal {
    fn from(error: StoreError) -> Refusal {
        Refusal::Unknown(error)
    }
}

impl From<Refusal> for Problem {
    fn from(refusal: Refusal) -> Problem {
        match refusal {
            Refusal::BadToken => Problem::new(
                StatusCode::UNAUTHORIZED,
                "token_refused",
                "The token is not valid",
                "The token is not one of this server's, or was replaced.",
            )
            .what_to_do("Check the token; `bursar serve` says where the administrator's token is kept."),
            Refusal::TooManyFailures => Problem::new(
                StatusCode::TOO_MANY_REQUESTS,
                "too_many_failures",
                "Too many failed sign-ins",
                "Too many sign-ins from your address failed.",
            )
            .what_to_do("Wait a minute, then try again with the right token."),
            Refusal::BadEnvironment(detail) => Problem::bad_field("Bursar-Environment", detail),
            Refusal::SessionEnded => Problem::unauthorized("The session has ended."),
            Refusal::CodeUsed => Problem::new(
                StatusCode::GONE,
                "sign_in_code_used",
                "The sign-in link cannot be used",
                "The sign-in link was used already, or is older than ten minutes.",
            )
            .what_to_do("Sign in with the administrator's token, or restart the server for another link."),
            Refusal::ForeignPage => Problem::new(
                StatusCode::FORBIDDEN,
                "foreign_page",
                "The request came from another site",
                "A page of another site sent this request in your name; nothing was changed.",
            )
            .what_to_do(
                "Do it from the console itself. If you did, check that the server's public address is configured.",
            ),
            Refusal::Unknown(error) => error.into(),
        }
    }
}

/// Whether the reader wants pages rather than JSON.
pub(crate) fn reads_pages(headers: &HeaderMap) -> bool {
    let accepted = headers.get_all(header::ACCEPT).iter().filter_map(|value| value.to_str().ok());
    accepted.flat_map(|value| value.split(',')).any(|kind| kind.trim().starts_with("text/html"))
}

/// Path and query as the client wrote them.
pub(crate) fn asked_path(parts: &Parts) -> String {
    let uri = parts.extensions.get::<OriginalUri>().map_or(&parts.uri, |original| &original.0);
    uri.path_and_query().map_or_else(|| "/".to_owned(), ToString::to_string)
}

/// What whoever is not known gets: a person the sign-in page, a program the reason.
pub(crate) fn refuse(parts: &Parts) -> Response {
    let refusal = parts.extensions.get::<Refusal>();
    if matches!(refusal, None | Some(Refusal::SessionEnded)) && reads_pages(&parts.headers) {
        // Only what can be asked for again is worth coming back to.
        let next = if parts.method == Method::GET { asked_path(parts) } else { "/".to_owned() };
        let location = format!("/sign-in?next={}", utf8_percent_encode(&next, NON_ALPHANUMERIC));
        return see_other(&location);
    }
    let problem = match refusal {
        Some(refusal) => refusal.clone().into(),
        None => Problem::unauthorized("The call carries no token and no session."),
    };
    let unauthorized = problem.status_code() == StatusCode::UNAUTHORIZED;
    let mut response = problem.into_response();
    if unauthorized {
        response.headers_mut().insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
    }
    response
}

/// Sends the reader to one of our own addresses, by GET.
pub(crate) fn see_other(location: &str) -> Response {
    let mut response = StatusCode::SEE_OTHER.into_response();
    let location = HeaderValue::from_str(location).unwrap_or(HeaderValue::from_static("/"));
    response.headers_mut().insert(header::LOCATION, location);
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

impl<S: Send + Sync> FromRequestParts<S> for Caller {
    type Rejection = Response;
    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Caller, Response> {
        match parts.extensions.get::<Caller>() {
            Some(caller) => Ok(caller.clone()),
            None => Err(refuse(parts)),
        }
    }
}
