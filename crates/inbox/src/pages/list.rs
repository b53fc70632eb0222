//! The list of events with its figures, and the question before a replay.

use crate::{
    ConnectionCounts, Counts, Delivery, EventFilter, EventSummary, ReplayFilter, State, refusals::RefusalCount,
};
use kit::Cursor;
use std::{collections::BTreeMap, time::Duration};
use ui::{
    Frame, Icon, Markup, Page, Tone, View,
    component::{
        Button, Column, Confirm, Empty, Field, Form, Kind, Notice, Pager, Row, Tab, Table, Tabs, badge, code, count,
        duration, muted, none, section, text, time,
    },
    html, live,
};

/// An event that waits longer than this is worth a word; usually they wait some milliseconds.
const SLOW_AFTER: Duration = Duration::from_secs(30);

/// What the list's page shows.
pub(super) struct Shown {
    pub(super) filter: EventFilter,
    pub(super) events: Vec<EventSummary>,
    pub(super) next_cursor: Option<Cursor>,
    /// The first rows are shown, so that new ones may appear above them.
    pub(super) at_start: bool,
    pub(super) replayed: Option<u64>,
    pub(super) counts: Counts,
    pub(super) connections: BTreeMap<String, ConnectionShown>,
}

/// What the page says of a connection beside its figures.
#[derive(PartialEq, Eq)]
pub(super) struct ConnectionShown {
    pub(super) name: String,
    pub(super) refusals: Vec<RefusalCount>,
}

pub(super) fn page(frame: &Frame, shown: &Shown) -> Markup {
    let view = &frame.view;
    let counts = &shown.counts;
    let (tone, sentence) = state_sentence(counts, view);
    let mut page = Page::new("Inbox", frame).state(tone, sentence).active("/inbox");
    if shown.at_start {
        page = page.live(format!("/inbox/live{}", query_of(&shown.filter)));
    }
    let troubled = if counts.dead > 0 { Some("dead") } else { (counts.failed > 0).then_some("failed") };
    if let Some(state) = troubled {
        let label = if state == "dead" { "Replay those given up" } else { "Try the failed now" };
        let button = Button::confirmed(label, format!("/inbox/replay?state={state}"));
        page = page.action(button.kind(Kind::Secondary).icon(Icon::Refresh));
    }
    page.body(html! {
        @if let Some(replayed) = shown.replayed { (replay_notice(replayed, view)) }
        (tabs(shown, view))
        (filters(&shown.filter))
        (live::part("events", table(&shown.events, &shown.filter, view)))
        (pager(shown, view))
        @if !counts.connections.is_empty() || shown.connections.values().any(|it| !it.refusals.is_empty()) {
            (section("How events come in", muted("Last 24 hours"), live::part("deliveries", deliveries(shown, view))))
        }
    })
    .render()
}

/// How the inbox stands, in one sentence.
pub(super) fn state_sentence(counts: &Counts, view: &View) -> (Tone, Markup) {
    let last_at = counts.connections.iter().filter_map(|connection| connection.last_event_at).max();
    let events = |number: i64| if number == 1 { "event" } else { "events" };
    if counts.dead > 0 {
        let words = html! { (count(counts.dead, view)) " " (events(counts.dead)) " given up after all tries; look at the error, then replay" };
        return (Tone::Bad, words);
    }
    if counts.failed > 0 {
        return (
            Tone::Warn,
            html! { (count(counts.failed, view)) " " (events(counts.failed)) " failed and will be tried again" },
        );
    }
    if let Some(age) = counts.oldest_ready_age.filter(|age| *age > SLOW_AFTER) {
        let words =
            html! { (count(counts.ready, view)) " " (events(counts.ready)) " wait, the oldest for " (duration(age)) };
        return (Tone::Warn, words);
    }
    match last_at {
        Some(at) => (Tone::Good, html! { "Every event is processed, the last one came in " (time(at, view)) }),
        None if counts.ready > 0 => {
            (Tone::Busy, html! { (count(counts.ready, view)) " " (events(counts.ready)) " wait" })
        }
        None => (Tone::Neutral, text("No event has come in yet")),
    }
}

fn replay_notice(replayed: u64, view: &View) -> Markup {
    let notice = match replayed {
        0 => Notice::new(Tone::Neutral, "There was nothing to replay").body("What waits already was left alone."),
        1 => Notice::new(Tone::Good, "1 event is being processed again"),
        many => {
            let many = i64::try_from(many).unwrap_or(i64::MAX);
            return html! { (Notice::new(Tone::Good, "Events are being processed again").body(html! { (count(many, view)) " of them." })) };
        }
    };
    html! { (notice) }
}

/// Word and tone of a state.
pub(super) fn state_words(state: State) -> (Tone, &'static str) {
    match state {
        State::Ready => (Tone::Busy, "Waiting"),
        State::Processed => (Tone::Good, "Processed"),
        State::Failed => (Tone::Warn, "Trying again"),
        State::Dead => (Tone::Bad, "Given up"),
    }
}

fn tabs(shown: &Shown, view: &View) -> Markup {
    let href = |state: Option<State>| format!("/inbox{}", query_of(&EventFilter { state, ..shown.filter.clone() }));
    let counts = &shown.counts;
    let number = |number: i64| view.figures.rewrite(&grouped(number));
    let tab = |state: State, events: i64| Tab::new(state_words(state).1, href(Some(state))).count(number(events));
    html! {
        (Tabs {
            label: "State".to_owned(),
            tabs: vec![
                Tab::new("All", href(None)),
                tab(State::Ready, counts.ready),
                tab(State::Failed, counts.failed),
                tab(State::Dead, counts.dead),
                Tab::new("Processed", href(Some(State::Processed))),
            ],
            active: href(shown.filter.state),
        })
    }
}

/// `1,234`
fn grouped(number: i64) -> String {
    let digits = number.unsigned_abs().to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (position, digit) in digits.chars().enumerate() {
        if position > 0 && (digits.len() - position).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

fn filters(filter: &EventFilter) -> Markup {
    let mut form = Form::get("/inbox");
    if let Some(state) = filter.state {
        form = form.field(Field::hidden("state", state.as_str()));
    }
    if let Some(connection) = &filter.connection_id {
        form = form.field(Field::hidden("connection", connection.as_str()));
    }
    html! {
        (form
            .field(Field::text("type", "Type").value(filter.event_type.clone().unwrap_or_default()).placeholder("charge.*"))
            .field(Field::text("object", "Object").value(filter.object_id.clone().unwrap_or_default()).placeholder("ch_… or cus_…"))
            .button(Button::submit("Show").kind(Kind::Secondary)))
    }
}

/// The rows; also what the live stream sends.
pub(super) fn table(events: &[EventSummary], filter: &EventFilter, view: &View) -> Markup {
    let columns = vec![
        Column::text("Type").wide(),
        Column::text("State"),
        Column::text("Object").minor(),
        Column::text("Event").minor(),
        Column::number("Failed tries").minor(),
        Column::number("Received"),
    ];
    html! { (Table::new("Events, the last received first", columns).rows(events.iter().map(|event| row(event, view))).empty(empty(filter))) }
}

fn row(event: &EventSummary, view: &View) -> Row {
    let (tone, words) = state_words(event.state);
    let row = Row::new(vec![
        code(&event.event_type),
        badge(tone, words),
        event.object_id.as_ref().map_or_else(none, code),
        html! { code { (event.event_id) } },
        count(i64::from(event.retry_count), view),
        time(event.received_at, view),
    ]);
    let row = row.href(format!("/inbox/{}", encoded(&event.event_id)));
    if matches!(event.state, State::Failed | State::Dead) { row.tone(tone) } else { row }
}

fn empty(filter: &EventFilter) -> Empty {
    if *filter == EventFilter::default() {
        return Empty::new("No events yet", "They appear here as soon as Stripe sends one, or the event list is read.")
            .action(Button::link("Connections", "/connections"));
    }
    match filter.state {
        Some(State::Dead) => Empty::new("Nothing is given up", "Every event had its effect, or is still being tried."),
        Some(State::Failed) => Empty::new("Nothing failed", "Events that fail appear here until another try succeeds."),
        Some(State::Ready) => Empty::new("Nothing waits", "Events are processed within moments of their arrival."),
        Some(State::Processed) | None => Empty::new("No event is like that", "Change the filter, or show all events.")
            .icon(Icon::Filter)
            .action(Button::link("Show all events", "/inbox")),
    }
}

fn pager(shown: &Shown, view: &View) -> Markup {
    let query = query_of(&shown.filter);
    let separator = if query.is_empty() { '?' } else { '&' };
    let number = i64::try_from(shown.events.len()).unwrap_or(i64::MAX);
    html! {
        (Pager {
            shown: format!("{} {}, newest first", view.figures.rewrite(&grouped(number)), if number == 1 { "event" } else { "events" }),
            first_href: (!shown.at_start).then(|| format!("/inbox{query}")),
            next_href: shown.next_cursor.as_ref().map(|cursor| format!("/inbox{query}{separator}cursor={}", cursor.as_str())),
        })
    }
}

/// Whether webhooks arrive, connection by connection (INB-7), and what was refused at the door.
pub(super) fn deliveries(shown: &Shown, view: &View) -> Markup {
    let columns = vec![
        Column::text("Connection").wide(),
        Column::text("Webhooks"),
        Column::number("By webhook"),
        Column::number("Missed").minor(),
        Column::number("Refused").minor(),
        Column::number("Last event"),
    ];
    let nothing = |id: &str| ConnectionCounts {
        connection_id: vault::ConnectionId::from_text(id),
        processed_24h: 0,
        by_webhook_24h: 0,
        missed_24h: 0,
        last_event_at: None,
        last_webhook_at: None,
        last_missed_at: None,
    };
    let rows = shown.connections.iter().map(|(id, connection)| {
        let figures = shown.counts.connections.iter().find(|figures| figures.connection_id.as_str() == id);
        delivery_row(connection, &figures.cloned().unwrap_or_else(|| nothing(id)), view)
    });
    html! { (Table::new("Deliveries by connection", columns).rows(rows)) }
}

fn delivery_row(connection: &ConnectionShown, figures: &ConnectionCounts, view: &View) -> Row {
    let (tone, words) = match figures.delivery() {
        Delivery::Alive { .. } => (Tone::Good, "Arrive"),
        Delivery::Silent { .. } => (Tone::Warn, "Do not arrive"),
        Delivery::Unproven => (Tone::Neutral, "None yet"),
    };
    let refused: u64 = connection.refusals.iter().map(|refusal| refusal.count).sum();
    let refused_words = match connection.refusals.first() {
        Some(most) => {
            let refused = i64::try_from(refused).unwrap_or(i64::MAX);
            html! { (count(refused, view)) " " (muted(refusal_words(most.code))) " " (time(most.last_at, view)) }
        }
        None => count(0, view),
    };
    let row = Row::new(vec![
        text(&connection.name),
        badge(tone, words),
        count(figures.by_webhook_24h, view),
        count(figures.missed_24h, view),
        refused_words,
        figures.last_event_at.map_or_else(none, |at| time(at, view)),
    ]);
    let row = row.href(format!("/connections/{}", encoded(figures.connection_id.as_str())));
    if tone == Tone::Warn { row.tone(tone) } else { row }
}

/// What a refusal's code means to the person who set the endpoint up.
fn refusal_words(code: &str) -> &str {
    match code {
        "signature_missing" | "signature_malformed" => "not signed by Stripe",
        "signature_mismatch" => "signed with another secret",
        "signature_too_old" | "signature_in_future" => "signed too long ago or ahead",
        "signing_secret_empty" => "no signing secret set here",
        "environment_mismatch" => "of the other mode",
        "source_not_allowed" => "from an address not allowed",
        other => other,
    }
}

/// The question before events are replayed.
pub(super) fn replay_question(frame: &Frame, filter: &ReplayFilter, counts: &Counts) -> Markup {
    let view = &frame.view;
    let number = match filter.state {
        Some(State::Failed) => Some(counts.failed),
        Some(State::Dead) => Some(counts.dead),
        Some(State::Ready | State::Processed) | None => None,
    };
    let mut facts = Vec::new();
    if let Some(state) = filter.state {
        let (tone, words) = state_words(state);
        facts.push(("State".to_owned(), badge(tone, words)));
    }
    if let Some(event_type) = &filter.event_type {
        facts.push(("Type".to_owned(), code(event_type)));
    }
    if let Some(number) = number.filter(|_| filter.event_type.is_none()) {
        facts.push(("Events".to_owned(), count(number, view)));
    }
    let hidden = [("state", filter.state.map(|state| state.as_str().to_owned())), ("type", filter.event_type.clone())];
    let question = Confirm {
        question: "Process these events again?".to_owned(),
        consequences: vec![
            "Each is handed to the mirror again, with all its tries.".to_owned(),
            "What had its effect already has none a second time; newer versions of objects are kept.".to_owned(),
            "Nothing is sent to Stripe.".to_owned(),
        ],
        facts,
        button: "Replay".to_owned(),
        danger: false,
        action: "/inbox/replay".to_owned(),
        hidden: hidden.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?))).collect(),
        cancel_href: "/inbox".to_owned(),
        csrf: frame.csrf.clone(),
    };
    Page::new("Replay events", frame).above("Inbox", "/inbox").active("/inbox").body(question).render()
}

/// The filter as it stands in an address, with its question mark; empty without conditions.
pub(super) fn query_of(filter: &EventFilter) -> String {
    let parts = [
        ("state", filter.state.map(State::as_str)),
        ("type", filter.event_type.as_deref()),
        ("connection", filter.connection_id.as_deref()),
        ("object", filter.object_id.as_deref()),
    ];
    let given: Vec<String> =
        parts.into_iter().filter_map(|(name, value)| Some(format!("{name}={}", encoded(value?)))).collect();
    if given.is_empty() { String::new() } else { format!("?{}", given.join("&")) }
}

/// A word as it stands in an address.
pub(super) fn encoded(word: &str) -> String {
    percent_encoding::utf8_percent_encode(word, percent_encoding::NON_ALPHANUMERIC).to_string().replace("%5F", "_")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_are_grouped() {
        let check = |number, text: &str| assert_eq!(grouped(number), text);
        check(0, "0");
        check(999, "999");
        check(1_000, "1,000");
        check(1_234_567, "1,234,567");
    }

    #[test]
    fn addresses_carry_the_filter() {
        let filter = EventFilter {
            state: Some(State::Dead),
            event_type: Some("charge.*".to_owned()),
            connection_id: None,
            object_id: Some("ch_1&x".to_owned()),
        };
        assert_eq!(query_of(&filter), "?state=dead&type=charge%2E%2A&object=ch_1%26x");
        assert_eq!(query_of(&EventFilter::default()), "");
    }
}
