//! What the console's pages stand in, and problems shown in it.

use crate::{
    Caller, Identity, OrganizationId,
    caller::{asked_path, reads_pages, refuse},
    layer::SignedIn,
};
use axum::{
    extract::{FromRequestParts, Request},
    http::{HeaderMap, Method, StatusCode, header, request::Parts},
    middleware::Next,
    response::{IntoResponse, Response},
};
use jiff::tz::TimeZone;
use platform::{NavItem, Problem};
use std::sync::Arc;
use ui::{Icon, NavEntry, Page, Person, Theme, View, layout::EnvironmentSwitch};

/// The frame of a page: `async fn page(Frame(frame): Frame) -> Markup { ui::Page::new("Inbox", &frame)… .render() }`.
///
/// The navigation is what the server put into the request as `Arc<Vec<platform::NavItem>>`. Whoever is not signed in is
/// sent to the sign-in page.
pub struct Frame(pub ui::Frame);

impl<S: Send + Sync> FromRequestParts<S> for Frame {
    type Rejection = Response;
    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Frame, Response> {
        frame_of(parts).map(Frame).ok_or_else(|| refuse(parts))
    }
}

fn frame_of(parts: &Parts) -> Option<ui::Frame> {
    let caller = parts.extensions.get::<Caller>()?;
    let identity = parts.extensions.get::<Identity>()?;
    let signed_in = parts.extensions.get::<SignedIn>();
    let (name, zone) = match signed_in {
        Some(SignedIn { organization, .. }) => (organization.name.clone(), organization.zone.clone()),
        None => (OrganizationId::to_string(&caller.organization), TimeZone::UTC),
    };
    let view = View { zone, ..View::utc(identity.now()) };
    let mut frame = ui::Frame::new(name.clone(), caller.environment, view);
    frame.navigation = navigation(parts);
    frame.request_id = request_id(&parts.headers);
    if signed_in.is_some_and(|it| it.session.is_some()) {
        let return_to = if parts.method == Method::GET { asked_path(parts) } else { "/".to_owned() };
        frame.switch = Some(EnvironmentSwitch { action: "/environment".to_owned(), return_to });
        frame.person = Some(Person {
            name: "Administrator".to_owned(),
            detail: name,
            sign_out_action: "/sign-out".to_owned(),
            links: Vec::new(),
        });
    }
    Some(frame)
}

fn navigation(parts: &Parts) -> Vec<NavEntry> {
    let items = parts.extensions.get::<Arc<Vec<NavItem>>>().map_or(&[][..], |items| items.as_slice());
    let mut items: Vec<&NavItem> = items.iter().collect();
    items.sort_by_key(|item| item.order);
    items.into_iter().map(|item| NavEntry::new(item.label, item.href, icon(item.icon))).collect()
}

/// The icon of a navigation entry by its name; a slice knows names only.
fn icon(name: &str) -> Icon {
    match name {
        "overview" => Icon::Overview,
        "revenue" => Icon::Revenue,
        "usage" => Icon::Usage,
        "credits" => Icon::Credits,
        "sellers" => Icon::Sellers,
        "sales" => Icon::Sales,
        "integrations" => Icon::Integrations,
        "inbox" => Icon::Inbox,
        "outbox" => Icon::Outbox,
        "settings" => Icon::Settings,
        "key" => Icon::Key,
        "clock" => Icon::Clock,
        "document" => Icon::Document,
        _ => Icon::Circle,
    }
}

fn request_id(headers: &HeaderMap) -> Option<String> {
    headers.get("request-id")?.to_str().ok().map(str::to_owned)
}

/// Shows problems as pages to those who read pages: `axum::middleware::from_fn(identity::pages_layer)`, inside
/// [`crate::layer()`] and outside the routes.
pub async fn pages_layer(request: Request, next: Next) -> Response {
    if !reads_pages(request.headers()) {
        return next.run(request).await;
    }
    let (parts, body) = request.into_parts();
    let frame = frame_of(&parts);
    let request_id = request_id(&parts.headers);
    let path = parts.uri.path().to_owned();
    let response = next.run(Request::from_parts(parts, body)).await;
    let problem = response.extensions().get::<Problem>().cloned().or_else(|| bare_error(&response, &path));
    match problem {
        Some(problem) => {
            let page = problem_page(&problem, frame.as_ref(), request_id);
            let (mut head, _) = response.into_parts();
            head.headers.remove(header::CONTENT_LENGTH);
            head.headers.remove(header::CONTENT_TYPE);
            (head, page).into_response()
        }
        None => response,
    }
}

/// An error that the router itself answered, in a word or none: an unknown address, a form that cannot be read.
fn bare_error(response: &Response, path: &str) -> Option<Problem> {
    let status = response.status();
    let kind = response.headers().get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok());
    if !(status.is_client_error() || status.is_server_error())
        || kind.is_some_and(|kind| !kind.starts_with("text/plain"))
    {
        return None;
    }
    let problem = match status {
        StatusCode::NOT_FOUND => Problem::not_found("page", path),
        StatusCode::METHOD_NOT_ALLOWED => Problem::new(
            status,
            "method_not_allowed",
            "Not possible here",
            format!("`{path}` cannot be asked for in this way."),
        )
        .what_to_do("Go back and use the page's own links and buttons."),
        _ if status.is_client_error() => Problem::new(
            status,
            "bad_request",
            "The request cannot be understood",
            "What the page sent could not be understood; nothing was changed.",
        )
        .what_to_do("Go back, load the page again and try once more."),
        _ => Problem::new(status, "internal", "A fault of Bursar", "The request failed by a fault of ours.")
            .what_to_do("Try again; if it stays, report it with the request id."),
    };
    Some(problem)
}

fn problem_page(problem: &Problem, frame: Option<&ui::Frame>, request_id: Option<String>) -> maud::Markup {
    let shown = shown(problem, request_id);
    let Some(frame) = frame else { return ui::layout::bare_problem(&shown, Theme::System) };
    let title = match problem.status_code() {
        StatusCode::NOT_FOUND => "Not found",
        _ => problem.title,
    };
    Page::new(title, frame).body(shown).render()
}

/// A problem as the console shows it.
pub fn shown(problem: &Problem, request_id: Option<String>) -> ui::component::Problem {
    let technical = match &problem.field {
        Some(field) => format!("{} {} (field {field})", problem.status, problem.kind),
        None => format!("{} {}", problem.status, problem.kind),
    };
    ui::component::Problem {
        code: problem.code.to_owned(),
        happened: problem.detail.clone(),
        to_do: problem.what_to_do.clone(),
        technical: Some(technical),
        request_id,
    }
}
