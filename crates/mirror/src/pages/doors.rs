//! The doors on a connection's page: coverage, the webhook endpoint, its secret.

use super::{Answered, refused};
use crate::{Mirror, api, view, view::health};
use axum::{
    Form,
    extract::{Path, State},
    response::{IntoResponse, Redirect, Response},
};
use gateway::{ConnectionChange, Repaired, WebhookChoice};
use identity::{Caller, Frame};
use kit::Secret;
use maud::{Markup, html};
use platform::Problem;
use serde::Deserialize;
use ui::{Page, component::*};
use vault::{Connection, ConnectionId, ConnectionState};

/// What is known to be complete of a connection.
pub(super) async fn coverage(
    State(mirror): State<Mirror>,
    caller: Caller,
    Frame(frame): Frame,
    Path(id): Path<String>,
) -> Answered<Markup> {
    let connection = api::connection_of(&mirror, caller.tenant, &ConnectionId::from_text(id)).await?;
    let report = mirror.coverage(&connection).await?;
    let (tone, sentence) = health::coverage_sentence(&report, &frame.view);
    let page = Page::new("Coverage", &frame)
        .above("Integrations", "/connections")
        .above(&connection.display_name, format!("/connections/{}", connection.id))
        .active("/connections")
        .state(tone, sentence);
    let history = match connection.lookback_days {
        Some(days) => format!("Charges and the like were asked for {days} days back."),
        None => "Everything was asked for.".to_owned(),
    };
    let read = html! {
        @match report.events_read_at {
            Some(at) => { "The event list was read to its end " (time(at, &frame.view)) ". " }
            None => { "The event list was not read yet. " }
        }
        (history) " Times are those at which objects were made."
    };
    Ok(page.body(html! { (panel(html! { (health::coverage(&report, &frame.view)) })) (source(read, None)) }).render())
}

/// Webhooks and reads as they stand: what of a connection's page moves beside its objects.
pub(super) async fn moving(mirror: &Mirror, connection: &Connection, at: &ui::View) -> Answered<Markup> {
    let found = mirror.liveness(connection).await?;
    let reads = mirror.reads(connection).await?;
    let address = mirror.gateway().webhook_address(&connection.id);
    let endpoint = connection.webhook_endpoint_id.as_deref();
    Ok(html! {
        (columns(&[
            card("Webhooks", health::webhooks(&found, endpoint, address.as_deref(), at)),
            card("Reads", health::reads(&reads, at)),
        ]))
    })
}

/// What the doctor says of a connection's key, from what is known already.
pub(super) async fn key(mirror: &Mirror, connection: &Connection, at: &ui::View) -> Answered<Markup> {
    let diagnosis = mirror.gateway().known_diagnosis(connection.tenant, &connection.id).await?;
    Ok(card("Permissions of the key", health::key(&diagnosis, at)))
}

/// What can be done about a connection's webhooks.
pub(super) fn webhook_forms(connection: &Connection, csrf: Option<&str>) -> Markup {
    let address = |what: &str| format!("/connections/{}/{what}", connection.id);
    html! {
        div.buttons {
            (post_button(&Button::submit("Repair webhook endpoint").kind(Kind::Secondary), &address("repair-webhooks"), csrf))
        }
        (ui::component::Form::post(address("webhook-secret"), csrf)
            .field(Field::secret("secret", "Signing secret of an endpoint made by hand")
                .hint("Begins with whsec_. The one before serves for another 24 hours; an endpoint that Bursar made is removed.")
                .required())
            .button(Button::submit("Save signing secret").kind(Kind::Secondary)))
    }
}

/// Makes a connection's webhooks come again.
pub(super) async fn repair(
    State(mirror): State<Mirror>,
    caller: Caller,
    Frame(frame): Frame,
    Path(id): Path<String>,
) -> Answered<Response> {
    let id = ConnectionId::from_text(id);
    match mirror.gateway().repair_endpoint(caller.tenant, &id).await {
        Ok(done) => {
            let done = match done {
                Repaired::SwitchedOn => "endpoint-on",
                Repaired::Made => "endpoint-made",
                Repaired::Refused => "endpoint-refused",
                Repaired::OnItsWay => "endpoint-coming",
            };
            Ok(Redirect::to(&format!("/connections/{id}?done={done}")).into_response())
        }
        Err(error) => refused(&mirror, &caller, &frame, &id, Problem::from(error)).await,
    }
}

/// What the form sends; the secret is taken out before anything else is done with it.
#[derive(Deserialize)]
pub(super) struct SecretForm {
    secret: String,
}

/// Takes the signing secret of an endpoint that was made by hand.
pub(super) async fn webhook_secret(
    State(mirror): State<Mirror>,
    caller: Caller,
    Frame(frame): Frame,
    Path(id): Path<String>,
    Form(form): Form<SecretForm>,
) -> Answered<Response> {
    let id = ConnectionId::from_text(id);
    let secret = Secret::from(form.secret.trim().to_owned());
    let change = ConnectionChange { webhook: Some(WebhookChoice::Secret(secret)), ..ConnectionChange::default() };
    match mirror.gateway().change_connection(caller.tenant, &id, change).await {
        Ok(_) => Ok(Redirect::to(&format!("/connections/{id}?done=secret")).into_response()),
        Err(error) => refused(&mirror, &caller, &frame, &id, Problem::from(error)).await,
    }
}

/// What keeps a connection from working, above everything else.
pub(super) fn troubles(mirror: &Mirror, connection: &Connection, at: &ui::View) -> Markup {
    html! {
        @if let ConnectionState::KeyRefused { reason } = &connection.state {
            (Notice::new(ui::Tone::Bad, "Stripe refuses the key, so nothing is read").body(html! { p { (reason) " Replace the key below." } }))
        }
        @if connection.state == ConnectionState::Active {
            (view::health::calls_now(mirror.gateway().status(&connection.id).as_ref(), at))
        }
    }
}
