//! Signing in and out, and switching between test and live.

use crate::{
    Caller, CallerKind, Identity, Refusal,
    caller::see_other,
    frame::shown,
    layer::{SignedIn, address},
    origin::{is_own_page, own_path},
};
use axum::{
    Extension, Form,
    extract::{Path, Query, State},
    http::{HeaderMap, HeaderValue, Method, StatusCode, header, request::Parts},
    response::{IntoResponse, Response},
};
use kit::{Environment, ExposeSecret, Secret};
use maud::html;
use platform::Problem;
use serde::Deserialize;
use ui::{
    SignIn, Theme,
    component::{Button, Field, Form as FormView},
};

/// Where to go on after signing in.
#[derive(Deserialize)]
pub(crate) struct Next {
    next: Option<String>,
}

/// What the sign-in form sends.
#[derive(Deserialize)]
pub(crate) struct SignInForm {
    #[serde(deserialize_with = "secret")]
    token: Secret,
    next: Option<String>,
}

fn secret<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Secret, D::Error> {
    String::deserialize(deserializer).map(Secret::from)
}

/// What the switch sends.
#[derive(Deserialize)]
pub(crate) struct SwitchForm {
    environment: Environment,
    return_to: Option<String>,
}

/// `GET /sign-in`
pub(crate) async fn sign_in_page(Query(Next { next }): Query<Next>, caller: Option<Extension<Caller>>) -> Response {
    let next = own_path(next.as_deref());
    if caller.is_some_and(|caller| caller.kind == CallerKind::Session) {
        return see_other(next);
    }
    page(StatusCode::OK, next, None)
}

/// `POST /sign-in`
pub(crate) async fn sign_in(
    State(identity): State<Identity>,
    parts: Parts,
    Form(SignInForm { token, next }): Form<SignInForm>,
) -> Response {
    let next = own_path(next.as_deref());
    match check_and_begin(&identity, &parts, &token).await {
        Ok(session) => signed_in(&identity, &session, next),
        Err(refusal) => refused(refusal, next, &parts.headers),
    }
}

async fn check_and_begin(identity: &Identity, parts: &Parts, token: &Secret) -> Result<Secret, Refusal> {
    if !is_own_page(&parts.headers, identity.inner.options.public_url.as_deref()) {
        return Err(Refusal::ForeignPage);
    }
    let from = address(identity, &parts.headers, &parts.extensions);
    let organization = identity.holder_of_token(token.expose_secret().trim(), from).await?;
    Ok(identity.begin_session(&organization.id).await?)
}

/// `GET /sign-in/{code}`: the address that a terminal prints.
pub(crate) async fn sign_in_by_code(
    State(identity): State<Identity>,
    Path(code): Path<String>,
    parts: Parts,
) -> Response {
    // A look ahead is not a visit: the code is for the person who follows the link.
    let looks_ahead = ["sec-purpose", "purpose"].iter().any(|name| parts.headers.contains_key(*name));
    if parts.method == Method::HEAD || looks_ahead {
        return page(StatusCode::OK, "/", None);
    }
    let from = address(&identity, &parts.headers, &parts.extensions);
    match identity.use_code(&code, from).await {
        Ok(session) => signed_in(&identity, &session, "/"),
        Err(refusal) => refused(refusal, "/", &parts.headers),
    }
}

/// `POST /sign-out`
pub(crate) async fn sign_out(
    State(identity): State<Identity>,
    _caller: Caller,
    Extension(signed_in): Extension<SignedIn>,
) -> Result<Response, Problem> {
    if let Some(hash) = &signed_in.session {
        identity.end_session(hash).await?;
    }
    let mut response = see_other("/sign-in");
    response.headers_mut().insert(header::SET_COOKIE, identity.no_session_cookie());
    Ok(response)
}

/// `POST /environment`
pub(crate) async fn switch(
    State(identity): State<Identity>,
    _caller: Caller,
    Extension(signed_in): Extension<SignedIn>,
    Form(SwitchForm { environment, return_to }): Form<SwitchForm>,
) -> Result<Response, Problem> {
    // A token's holder says the environment with each call; there is nothing to switch.
    if let Some(hash) = &signed_in.session {
        identity.switch_session(hash, environment).await?;
    }
    Ok(see_other(own_path(return_to.as_deref())))
}

fn signed_in(identity: &Identity, session: &Secret, next: &str) -> Response {
    let mut response = see_other(next);
    response.headers_mut().insert(header::SET_COOKIE, identity.session_cookie(session));
    response.headers_mut().insert(header::REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    response
}

fn refused(refusal: Refusal, next: &str, headers: &HeaderMap) -> Response {
    let problem = Problem::from(refusal);
    let request_id = headers.get("request-id").and_then(|id| id.to_str().ok()).map(str::to_owned);
    let shown = shown(&problem, request_id);
    page(problem.status_code(), next, Some(shown))
}

fn page(status: StatusCode, next: &str, problem: Option<ui::component::Problem>) -> Response {
    let form = FormView::post("/sign-in", None)
        .problem(problem)
        .field(Field::secret("token", "Administrator's token").autocomplete("current-password").required().first())
        .field(Field::hidden("next", next))
        .button(Button::submit("Sign in"));
    let page = SignIn {
        title: "Sign in".to_owned(),
        intro: html! {
            p { "The token stands where the server printed it at its first start, or in your configuration as "
                code { "BURSAR_ADMIN_TOKEN" } "." }
        },
        body: html! { (form) },
        theme: Theme::System,
    };
    let headers = [(header::CACHE_CONTROL, "no-store"), (header::REFERRER_POLICY, "no-referrer")];
    (status, headers, page.render()).into_response()
}
