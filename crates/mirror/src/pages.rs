//! The console's pages of connections: the list, connecting, and one connection with its sync as it goes.

mod doors;

use crate::{Mirror, SyncKind, api, view};
use axum::{
    Form, Router,
    extract::{Path, Query, State},
    response::{IntoResponse, Redirect, Response, Sse, sse},
    routing::{get, post},
};
use futures::{Stream, StreamExt, stream};
use gateway::{NewConnectionRequest, WebhookChoice};
use identity::{Caller, Frame};
use kit::Secret;
use maud::{Markup, html};
use platform::Problem;
use serde::Deserialize;
use std::{convert::Infallible, time::Duration};
use ui::{LiveUpdate, Page, Tone, component::*};
use vault::{Connection, ConnectionId, ConnectionState};

/// Live pages are at most so often sent anew, and at least looked after so often.
const LIVE_EVERY: Duration = Duration::from_millis(500);
const LIVE_AT_LEAST: Duration = Duration::from_secs(10);
/// Syncs shown on a connection's page.
const LAST_SYNCS: u32 = 10;

pub(crate) fn routes(mirror: Mirror) -> Router {
    Router::new()
        .route("/connections", get(list).post(connect))
        .route("/connections/new", get(connect_form))
        .route("/connections/{id}", get(show))
        .route("/connections/{id}/live", get(live))
        .route("/connections/{id}/test", post(test))
        .route("/connections/{id}/key", post(replace_key))
        .route("/connections/{id}/sync", post(sync))
        .route("/connections/{id}/coverage", get(doors::coverage))
        .route("/connections/{id}/repair-webhooks", post(doors::repair))
        .route("/connections/{id}/webhook-secret", post(doors::webhook_secret))
        .route("/connections/{id}/disconnect", get(disconnect_question).post(disconnect))
        .with_state(mirror)
}

type Answered<T> = Result<T, Problem>;

async fn list(State(mirror): State<Mirror>, caller: Caller, Frame(frame): Frame) -> Answered<Markup> {
    let summary = mirror.summary(caller.tenant).await?;
    let mut tx = mirror.base().store.read(caller.tenant).await?;
    let connections = mirror.vault().connections(&mut tx).await?;
    drop(tx);
    let view = &frame.view;
    let action = Button::link("Connect Stripe", "/connections/new");
    let columns = vec![
        Column::text("Account").wide(),
        Column::text("State"),
        Column::text("Sync"),
        Column::text("Key").minor(),
        Column::text("Last answer").minor(),
    ];
    let empty = Empty::new("No account is connected yet", "Connect Stripe, and its history appears here by itself.")
        .action(action.clone().kind(Kind::Primary));
    let mut table = Table::new("Connections", columns).empty(empty);
    for connection in &connections {
        let status = summary.connections.iter().find(|(id, _)| *id == connection.id).map(|it| &it.1);
        let (tone, words) = view::state_of(connection);
        table = table.row(
            Row::new(vec![
                html! { (connection.display_name) " " (muted(code(&connection.account_id))) },
                badge(tone, words),
                status.map_or_else(none, |status| {
                    let (tone, words) = view::sync_words(status, view);
                    badge(tone, words)
                }),
                code(&connection.key_hint),
                connection.last_good_call_at.map_or_else(none, |at| time(at, view)),
            ])
            .href(format!("/connections/{}", connection.id)),
        );
    }
    let mut page = Page::new("Integrations", &frame).active("/connections");
    if !connections.is_empty() {
        let active = connections.iter().filter(|it| it.state == ConnectionState::Active).count();
        let tone = if active == connections.len() { Tone::Good } else { Tone::Warn };
        page = page.state(tone, format!("{active} of {} connections work", connections.len())).action(action);
    }
    Ok(page.body(html! { (table) }).render())
}

fn form_page(frame: &ui::Frame, typed: &ConnectForm, problem: Option<&Problem>) -> Markup {
    let environment = frame.environment;
    let hint = format!(
        "A restricted key (rk_{environment}_…) with read permissions is enough, and safest. It is sealed at once and never shown again."
    );
    let key_error = problem.filter(|it| it.field.as_deref() == Some("api_key")).map(|it| it.detail.clone());
    let form = ui::component::Form::post("/connections", frame.csrf.as_deref())
        .problem(problem.map(view::shown))
        .field(Field::secret("api_key", "Stripe API key").hint(hint).error(key_error).required().first())
        .field(
            Field::text("display_name", "Name")
                .value(&typed.display_name)
                .hint("How you call the account; its own name if empty."),
        )
        .field(
            Field::input("number", "lookback_days", "Days of history")
                .value(&typed.lookback_days)
                .hint("How far back charges, invoices and the like are read; everything if empty."),
        )
        .button(Button::submit("Connect account"))
        .button(Button::link("Cancel", "/connections").kind(Kind::Quiet));
    Page::new("Connect Stripe", frame).above("Integrations", "/connections").active("/connections").body(form).render()
}

async fn connect_form(Frame(frame): Frame) -> Markup {
    form_page(&frame, &ConnectForm::default(), None)
}

/// What the form sends; the key is taken out before anything else is done with it.
#[derive(Deserialize, Default)]
struct ConnectForm {
    #[serde(default)]
    api_key: String,
    #[serde(default)]
    display_name: String,
    #[serde(default)]
    lookback_days: String,
}

async fn connect(
    State(mirror): State<Mirror>,
    caller: Caller,
    Frame(frame): Frame,
    Form(mut typed): Form<ConnectForm>,
) -> Response {
    let api_key = Secret::from(std::mem::take(&mut typed.api_key).trim().to_owned());
    let lookback_days = match typed.lookback_days.trim() {
        "" => None,
        text => match text.parse() {
            Ok(days) => Some(days),
            Err(_) => {
                let problem = Problem::bad_field("lookback_days", "The days of history must be a whole number.");
                return (problem.status_code(), form_page(&frame, &typed, Some(&problem))).into_response();
            }
        },
    };
    let request = NewConnectionRequest {
        api_key,
        lookback_days,
        display_name: Some(typed.display_name.trim().to_owned()).filter(|name| !name.is_empty()),
        webhook: WebhookChoice::Auto,
    };
    match mirror.gateway().connect(caller.tenant, caller.environment, request).await {
        Ok(connection) => Redirect::to(&format!("/connections/{}", connection.id)).into_response(),
        Err(error) => {
            let problem = Problem::from(error);
            (problem.status_code(), form_page(&frame, &typed, Some(&problem))).into_response()
        }
    }
}

#[derive(Deserialize, Default)]
struct ShowQuery {
    /// What was just done: `tested`, `key`, `sync`, `secret`, `endpoint-…`.
    #[serde(default)]
    done: Option<String>,
}

async fn show(
    State(mirror): State<Mirror>,
    caller: Caller,
    Frame(frame): Frame,
    Path(id): Path<String>,
    Query(query): Query<ShowQuery>,
) -> Answered<Markup> {
    let id = ConnectionId::from_text(id);
    let done = query.done.as_deref().and_then(|word| match word {
        "tested" => Some(Notice::new(Tone::Good, "Stripe accepts the key, and the permissions are there.")),
        "key" => Some(Notice::new(Tone::Good, "The key is replaced. Calls use it from now on.")),
        "sync" => Some(Notice::new(Tone::Info, "A sync is on its way.")),
        "secret" => {
            Some(Notice::new(Tone::Good, "The signing secret is kept. The one before serves for another 24 hours."))
        }
        "endpoint-on" => {
            Some(Notice::new(Tone::Good, "The webhook endpoint is switched on, at our address and for everything."))
        }
        "endpoint-made" => {
            Some(Notice::new(Tone::Good, "The webhook endpoint is made anew, with another signing secret."))
        }
        "endpoint-refused" => {
            Some(Notice::new(Tone::Bad, "Stripe refused to put the endpoint right; the outbox says why."))
        }
        "endpoint-coming" => Some(Notice::new(Tone::Info, "The endpoint will be put right as soon as Stripe answers.")),
        _ => None,
    });
    show_page(&mirror, &caller, &frame, &id, done.map(|notice| html! { (notice) })).await
}

async fn show_page(
    mirror: &Mirror,
    caller: &Caller,
    frame: &ui::Frame,
    id: &ConnectionId,
    above: Option<Markup>,
) -> Answered<Markup> {
    let connection = api::connection_of(mirror, caller.tenant, id).await?;
    let status = mirror.sync_status(caller.tenant, id).await?;
    let (tone, sentence) = view::sync_words(&status, &frame.view);
    let is_active = connection.state != ConnectionState::Disconnected;
    let csrf = frame.csrf.as_deref();
    let address = |what: &str| format!("/connections/{id}/{what}");
    let live = live_part(mirror, caller, &connection, &frame.view).await?;
    let body = html! {
        @if let Some(above) = above { (above) }
        (ui::live::part("troubles", doors::troubles(mirror, &connection, &frame.view)))
        (ui::live::part("connection", live))
        @if is_active {
            (ui::live::part("doors", doors::moving(mirror, &connection, &frame.view).await?))
            (doors::key(mirror, &connection, &frame.view).await?)
            (section("Key and connection", none_markup(), html! {
                (view::facts(&connection, &frame.view))
                div.buttons {
                    (post_button(&Button::submit("Test connection").kind(Kind::Secondary), &address("test"), csrf))
                    (Button::confirmed("Disconnect", address("disconnect")))
                }
                (ui::component::Form::post(address("key"), csrf)
                    .field(Field::secret("api_key", "New API key").hint("Of the same account. The old key is used until the new one is checked.").required())
                    .button(Button::submit("Replace key").kind(Kind::Secondary)))
            }))
            (section("Where events come from", none_markup(), doors::webhook_forms(&connection, csrf)))
        }
    };
    let mut page = Page::new(&connection.display_name, frame)
        .above("Integrations", "/connections")
        .active("/connections")
        .state(tone, sentence)
        .live(address("live"));
    if connection.state == ConnectionState::Active {
        page = page.action(post_button(&Button::submit("Sync now"), &address("sync"), csrf));
    }
    Ok(page.body(body).render())
}

fn none_markup() -> Markup {
    Markup::default()
}

/// The part of the page that moves: progress, objects, last syncs.
async fn live_part(mirror: &Mirror, caller: &Caller, connection: &Connection, at: &ui::View) -> Answered<Markup> {
    let status = mirror.sync_status(caller.tenant, &connection.id).await?;
    let summary = mirror.summary(caller.tenant).await?;
    let page = kit::PageRequest { limit: Some(LAST_SYNCS), cursor: None };
    let jobs = mirror.sync_jobs(caller.tenant, &connection.id, &page).await?;
    let kinds: Vec<_> = summary.kinds.into_iter().filter(|kind| kind.account_id == connection.account_id).collect();
    let coverage = format!("/connections/{}/coverage", connection.id);
    Ok(view::moving(&status, &kinds, &jobs.data, &coverage, at))
}

/// Sends the moving part anew whenever something moved, not more often than people can read.
async fn live(
    State(mirror): State<Mirror>,
    caller: Caller,
    Frame(frame): Frame,
    Path(id): Path<String>,
) -> Answered<Sse<impl Stream<Item = Result<sse::Event, Infallible>>>> {
    let id = ConnectionId::from_text(id);
    api::connection_of(&mirror, caller.tenant, &id).await?;
    let wake = mirror.base().store.wakes().subscribe(crate::WAKE);
    let updates =
        stream::unfold((mirror, caller, frame, id, wake), |(mirror, caller, mut frame, id, mut wake)| async move {
            wake.woken_or(LIVE_AT_LEAST).await;
            kit::clock::pause(LIVE_EVERY).await;
            frame.view.now = mirror.base().now();
            let connection = api::connection_of(&mirror, caller.tenant, &id).await.ok()?;
            let status = mirror.sync_status(caller.tenant, &id).await.ok()?;
            let (tone, sentence) = view::sync_words(&status, &frame.view);
            let part = live_part(&mirror, &caller, &connection, &frame.view).await.ok()?;
            let mut parts = vec![
                LiveUpdate::state(tone, sentence),
                LiveUpdate::new("troubles", doors::troubles(&mirror, &connection, &frame.view)),
                LiveUpdate::new("connection", part),
            ];
            if connection.state != ConnectionState::Disconnected {
                parts.push(LiveUpdate::new("doors", doors::moving(&mirror, &connection, &frame.view).await.ok()?));
            }
            let events = parts.into_iter().map(|part| sse::Event::default().json_data(part).map_err(drop));
            let events: Vec<_> = events.flatten().map(Ok).collect();
            Some((stream::iter(events), (mirror, caller, frame, id, wake)))
        });
    Ok(Sse::new(updates.flatten()).keep_alive(sse::KeepAlive::default()))
}

async fn test(
    State(mirror): State<Mirror>,
    caller: Caller,
    Frame(frame): Frame,
    Path(id): Path<String>,
) -> Answered<Response> {
    let id = ConnectionId::from_text(id);
    match mirror.gateway().test_connection(caller.tenant, &id).await {
        Ok(_) => Ok(Redirect::to(&format!("/connections/{id}?done=tested")).into_response()),
        Err(error) => refused(&mirror, &caller, &frame, &id, Problem::from(error)).await,
    }
}

#[derive(Deserialize)]
struct KeyForm {
    api_key: String,
}

async fn replace_key(
    State(mirror): State<Mirror>,
    caller: Caller,
    Frame(frame): Frame,
    Path(id): Path<String>,
    Form(form): Form<KeyForm>,
) -> Answered<Response> {
    let id = ConnectionId::from_text(id);
    let api_key = Secret::from(form.api_key.trim().to_owned());
    match mirror.gateway().replace_key(caller.tenant, &id, &api_key).await {
        Ok(_) => Ok(Redirect::to(&format!("/connections/{id}?done=key")).into_response()),
        Err(error) => refused(&mirror, &caller, &frame, &id, Problem::from(error)).await,
    }
}

/// The connection's page with what went wrong above it.
async fn refused(
    mirror: &Mirror,
    caller: &Caller,
    frame: &ui::Frame,
    id: &ConnectionId,
    problem: Problem,
) -> Answered<Response> {
    let page = show_page(mirror, caller, frame, id, Some(html! { (view::shown(&problem)) })).await?;
    Ok((problem.status_code(), page).into_response())
}

async fn sync(State(mirror): State<Mirror>, caller: Caller, Path(id): Path<String>) -> Answered<Redirect> {
    let id = ConnectionId::from_text(id);
    api::ask(&mirror, caller.tenant, &id, SyncKind::Incremental).await?;
    Ok(Redirect::to(&format!("/connections/{id}?done=sync")))
}

async fn disconnect_question(
    State(mirror): State<Mirror>,
    caller: Caller,
    Frame(frame): Frame,
    Path(id): Path<String>,
) -> Answered<Markup> {
    let id = ConnectionId::from_text(id);
    let connection = api::connection_of(&mirror, caller.tenant, &id).await?;
    let question = |question: String, consequences: Vec<String>, button: &str, data: &str| Confirm {
        question,
        consequences,
        facts: vec![("Account".to_owned(), copyable(&connection.account_id))],
        button: button.to_owned(),
        danger: true,
        action: format!("/connections/{id}/disconnect"),
        hidden: vec![("data".to_owned(), data.to_owned())],
        cancel_href: format!("/connections/{id}"),
        csrf: frame.csrf.clone(),
    };
    let keep = question(
        format!("Disconnect {} and keep its data?", connection.display_name),
        vec![
            "The key is destroyed, and the webhook endpoint that Bursar made at Stripe is removed.".to_owned(),
            "What was mirrored stays, and no longer follows Stripe.".to_owned(),
        ],
        "Disconnect",
        "keep",
    );
    let erase = question(
        format!("Disconnect {} and erase its data?", connection.display_name),
        vec![
            "The key is destroyed, and everything mirrored from the account is removed here.".to_owned(),
            "Nothing is changed at Stripe but the webhook endpoint that Bursar made.".to_owned(),
        ],
        "Disconnect and erase",
        "erase",
    );
    let title = format!("Disconnect {}", connection.display_name);
    let page = Page::new(title, &frame)
        .above("Integrations", "/connections")
        .above(&connection.display_name, format!("/connections/{id}"))
        .active("/connections");
    Ok(page.body(html! { (keep) (erase) }).render())
}

#[derive(Deserialize)]
struct DisconnectForm {
    data: String,
}

async fn disconnect(
    State(mirror): State<Mirror>,
    caller: Caller,
    Path(id): Path<String>,
    Form(form): Form<DisconnectForm>,
) -> Answered<Redirect> {
    let id = ConnectionId::from_text(id);
    let erase = match form.data.as_str() {
        "keep" => false,
        "erase" => true,
        other => return Err(Problem::bad_field("data", format!("`{other}` is neither keep nor erase."))),
    };
    mirror.gateway().disconnect(caller.tenant, &id, erase).await?;
    Ok(Redirect::to("/connections"))
}
