//! One event: what it is, what happened to it, its body as received.

use super::list::{encoded, state_words};
use crate::{EventDetail, EventSummary, Source, State, retry::MAX_TRIES};
use ui::{
    Frame, Icon, Markup, Page, Tone, View,
    component::{
        Button, Definitions, Happening, Kind, Notice, Payload, Timeline, card, code, copyable, post_button, text, time,
    },
    html,
};

pub(super) fn page(frame: &Frame, detail: &EventDetail, connection: Option<&str>, replayed: bool) -> Markup {
    let view = &frame.view;
    let event = &detail.summary;
    let (tone, sentence) = state_sentence(event, view);
    let replay = Button::submit("Replay").kind(Kind::Secondary).icon(Icon::Refresh).disabled(detail.body.is_none());
    let action = format!("/inbox/{}/replay", encoded(&event.event_id));
    Page::new(event.event_type.as_str(), frame)
        .above("Inbox", "/inbox")
        .active("/inbox")
        .state(tone, sentence)
        .action(post_button(&replay, &action, frame.csrf.as_deref()))
        .body(html! {
            @if replayed { (Notice::new(Tone::Good, "The event is being processed again").body("Reload the page to see what came of it.")) }
            (ui::component::columns(&[
                card("The event", facts(event, connection, view)),
                card("What happened", Timeline { happenings: happenings(event), view }),
            ]))
            @match &detail.body {
                Some(body) => (card("Payload", Payload { title: "As received".to_owned(), json: body.get(), open: true, view })),
                None => (card("Payload", html! { p { "The body is no longer kept. What it told of is in the mirror." } })),
            }
        })
        .render()
}

fn state_sentence(event: &EventSummary, view: &View) -> (Tone, Markup) {
    let tone = state_words(event.state).0;
    let sentence = match (event.state, event.processed_at, event.next_try_at) {
        (State::Processed, Some(at), _) => html! { "Processed " (time(at, view)) },
        (State::Processed, None, _) => text("Processed"),
        (State::Ready, ..) => text("Stored and acknowledged; its turn comes in a moment"),
        (State::Failed, _, Some(at)) => html! { "Failed " (tries(event.retry_count)) "; next try " (time(at, view)) },
        (State::Failed, _, None) => html! { "Failed " (tries(event.retry_count)) },
        (State::Dead, ..) => html! { "Given up after " (tries(event.retry_count)) "; see the error, then replay" },
    };
    (tone, sentence)
}

fn tries(number: u32) -> String {
    match number {
        1 => "one try".to_owned(),
        many => format!("{many} tries"),
    }
}

fn facts(event: &EventSummary, connection: Option<&str>, view: &View) -> Definitions {
    let mut facts = Definitions::new().item("Event", copyable(&event.event_id)).item("Type", code(&event.event_type));
    if let Some(object_id) = &event.object_id {
        facts = facts.item("Object", copyable(object_id)).item(
            "About the same object",
            html! { a href={ "/inbox?object=" (encoded(object_id)) } { "Its other events" } },
        );
    }
    let connection_href = format!("/connections/{}", encoded(event.connection_id.as_str()));
    let connection = connection.unwrap_or(event.connection_id.as_str());
    facts = facts
        .item("Connection", html! { a href=(connection_href) { (connection) } })
        .item("Account", copyable(&event.account_id))
        .item("Happened", time(event.created, view))
        .item(
            "Kind",
            text(if event.thin {
                "Thin: names its object, which is read from Stripe"
            } else {
                "Snapshot: carries its object"
            }),
        );
    match &event.api_version {
        Some(version) => facts.item("API version", code(version)),
        None => facts,
    }
}

/// What is known of its history, the newest first.
fn happenings(event: &EventSummary) -> Vec<Happening> {
    let mut happenings = Vec::new();
    let happening = |at, tone, title: &str, words: Markup| Happening { at, tone, title: title.to_owned(), text: words };
    let error = event
        .last_error
        .as_ref()
        .map_or_else(Markup::default, |error| html! { pre.technical tabindex="0" { (error) } });
    match event.state {
        State::Failed => {
            if let Some(at) = event.next_try_at {
                let words = html! { "After " (tries(event.retry_count)) " of at most " (MAX_TRIES) "." (error) };
                happenings.push(happening(at, Tone::Warn, "To be tried again", words));
            }
        }
        State::Dead => {
            let words = html! { "After " (tries(event.retry_count)) "." (error) };
            happenings.push(happening(event.received_at, Tone::Bad, "Given up", words));
        }
        State::Processed | State::Ready => {}
    }
    if let Some(at) = event.processed_at {
        let words = match event.retry_count {
            0 => text("At the first try."),
            failed => html! { "After " (failed) " that failed." },
        };
        happenings.push(happening(at, Tone::Good, "Processed", words));
    }
    let (title, words) = match event.source {
        Source::Webhook => ("Stored and acknowledged", "Delivered by webhook, its signature verified."),
        Source::Sweep => ("Found", "Read from Stripe's event list; no webhook had told of it."),
        Source::Manual => ("Handed in", "Given by a person or a tool."),
    };
    happenings.push(happening(event.received_at, Tone::Neutral, title, text(words)));
    happenings.push(happening(event.created, Tone::Neutral, "Happened at Stripe", Markup::default()));
    happenings
}
