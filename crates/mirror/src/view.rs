//! What pages say about connections and syncs. Plain data in, markup out.

pub(crate) mod health;

use crate::{KindCount, PartState, SyncJob, SyncPart, SyncStatus, coverage::OVERDUE, progress::progress};
use kit::Time;
use maud::{Markup, html};
use std::time::Duration;
use stripe::ObjectKind;
use ui::{Tone, View, component::*, words};
use vault::{Connection, ConnectionState};

pub(crate) fn state_of(connection: &Connection) -> (Tone, &'static str) {
    match connection.state {
        ConnectionState::Active => (Tone::Good, "Works"),
        ConnectionState::KeyRefused { .. } => (Tone::Bad, "Key refused"),
        ConnectionState::Disconnected => (Tone::Neutral, "Disconnected"),
    }
}

/// One sentence about how a connection's copy stands.
pub(crate) fn sync_words(status: &SyncStatus, view: &View) -> (Tone, String) {
    if let Some(job) = status.current.as_ref().filter(|job| job.state == "running" && !status.parts.is_empty()) {
        let done = progress(&status.parts, job.began(), view.now);
        return (Tone::Busy, format!("Reading the account, {}% done", done.percent));
    }
    let hindered = status.coverage.iter().filter(|it| it.state != PartState::Complete.as_str()).count();
    let Some(last) = status.last_completed.as_ref().and_then(|job| job.finished_at).map(Time::from_micros) else {
        return match &status.current {
            Some(_) => (Tone::Busy, "The first sync is about to begin".to_owned()),
            None => (Tone::Neutral, "Not synced yet".to_owned()),
        };
    };
    let when = words::relative(last, view);
    if hindered > 0 {
        return (Tone::Warn, format!("{hindered} kinds of objects are not complete; synced {when}"));
    }
    if view.now.since(last) > OVERDUE {
        return (Tone::Warn, format!("Last synced {when}, which is too long ago"));
    }
    (Tone::Good, format!("All {} kinds of objects in step, {when}", ObjectKind::ALL.len()))
}

fn tone_of(state: &str) -> Tone {
    match state {
        "complete" | "completed" => Tone::Good,
        "running" => Tone::Busy,
        "forbidden" | "throttled" => Tone::Warn,
        "failed" => Tone::Bad,
        _ => Tone::Neutral,
    }
}

fn plural(object_type: &str) -> String {
    let name =
        ObjectKind::from_object_name(object_type).map_or(object_type, |kind| kind.plural()).replace(['_', '.'], " ");
    let mut letters = name.chars();
    letters.next().map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect())
}

/// A problem as the console shows it.
pub(crate) fn shown(problem: &platform::Problem) -> Problem {
    Problem {
        code: problem.code.to_owned(),
        happened: problem.detail.clone(),
        to_do: problem.what_to_do.clone(),
        technical: None,
        request_id: None,
    }
}

pub(crate) fn facts(connection: &Connection, view: &View) -> Definitions {
    let (tone, state) = state_of(connection);
    Definitions::new()
        .item("State", badge(tone, state))
        .item("Account", copyable(&connection.account_id))
        .item("Key", html! { (code(&connection.key_hint)) " " (muted(&connection.key_kind)) })
        .item(
            "History",
            connection.lookback_days.map_or_else(|| text("everything"), |days| text(format!("the last {days} days"))),
        )
        .item("Last answer from Stripe", connection.last_good_call_at.map_or_else(none, |at| time(at, view)))
        .item("Connected", time(connection.created_at, view))
}

/// The part of a connection's page that moves.
pub(crate) fn moving(
    status: &SyncStatus,
    kinds: &[KindCount],
    jobs: &[SyncJob],
    coverage_href: &str,
    view: &View,
) -> Markup {
    let aside = html! { (muted(covered_words(status, view))) " " a href=(coverage_href) { "Coverage" } };
    html! {
        @if let Some(job) = &status.current { (running(job, &status.parts, view)) }
        (section("Objects", aside, objects(status, kinds, view)))
        (section("Last syncs", Markup::default(), syncs(jobs, view)))
    }
}

fn covered_words(status: &SyncStatus, view: &View) -> Markup {
    match status.stream.as_ref().and_then(|stream| stream.last_sweep_at) {
        Some(at) => html! { "Events read to their end " (time(Time::from_micros(at), view)) },
        None => html! { "Events not read yet" },
    }
}

fn running(job: &SyncJob, parts: &[SyncPart], view: &View) -> Markup {
    if job.state == "pending" {
        return html! { (Notice::new(Tone::Info, "A sync waits for its turn.")) };
    }
    if parts.is_empty() {
        return html! { (Notice::new(Tone::Info, "Reading what happened since the last sync.")) };
    }
    let all = progress(parts, job.began(), view.now);
    let total = Progress::new("All objects", all.objects, Some(all.objects + all.remaining).filter(|it| *it > 0), view)
        .pace(Some(all.per_second), all.seconds_left.map(Duration::from_secs));
    card(
        "Reading the account",
        html! {
            (total)
            @for part in parts {
                @let (done, left) = (part.objects.max(0) as u64, part.remaining.max(0) as u64);
                @let bar = Progress::new(plural(&part.object_type), done, Some(done + left).filter(|it| *it > 0), view);
                @match part.state.as_str() {
                    "complete" => (bar.remark(Tone::Good, "Complete")),
                    "pending" | "running" => (bar),
                    state => (bar.remark(tone_of(state), part.reason.clone().unwrap_or_else(|| state.to_owned()))),
                }
            }
        },
    )
}

fn objects(status: &SyncStatus, kinds: &[KindCount], view: &View) -> Table {
    let columns = vec![
        Column::text("Kind").wide(),
        Column::number("Objects"),
        Column::number("Deleted").minor(),
        Column::text("Coverage"),
        Column::text("Last change").minor(),
    ];
    let empty = Empty::new("Nothing is mirrored yet", "The first sync begins by itself once the account is connected.");
    let covered = |kind: &str| status.coverage.iter().find(|it| it.object_type == kind);
    let listed = ObjectKind::ALL.into_iter().map(|kind| -> &str { kind.object_name() });
    let further =
        kinds.iter().map(|it| it.object_type.as_str()).filter(|it| ObjectKind::from_object_name(it).is_none());
    let rows = listed.chain(further).filter_map(|kind| {
        let (known, coverage) = (kinds.iter().find(|it| it.object_type == kind), covered(kind));
        if known.is_none() && coverage.is_none() {
            return None;
        }
        let number = |of: fn(&KindCount) -> i64| known.map_or(0, of);
        let contested = number(|it| it.contested);
        let words = coverage.map_or("by events", |it| it.state.as_str());
        Some(Row::new(vec![
            text(plural(kind)),
            count(number(|it| it.objects), view),
            count(number(|it| it.deleted), view),
            html! {
                (badge(coverage.map_or(Tone::Neutral, |it| tone_of(&it.state)), words))
                @if contested > 0 { " " (muted(format!("{contested} read again"))) }
                @if let Some(reason) = coverage.and_then(|it| it.reason.as_deref()) { " " (muted(reason)) }
            },
            known.map_or_else(none, |it| time(Time::from_micros(it.changed_at), view)),
        ]))
    });
    Table::new("Mirrored objects", columns).rows(rows).empty(empty)
}

fn syncs(jobs: &[SyncJob], view: &View) -> Table {
    let columns = vec![
        Column::text("Asked for"),
        Column::text("Kind"),
        Column::text("State"),
        Column::number("Calls").minor(),
        Column::number("Missed events").minor(),
        Column::number("Silent changes").minor(),
        Column::text("What happened").wide(),
    ];
    let rows = jobs.iter().map(|job| {
        Row::new(vec![
            time(Time::from_micros(job.created_at), view),
            text(&job.kind),
            badge(tone_of(&job.state), &job.state),
            count(job.calls, view),
            count(job.events_found, view),
            count(job.silent_changes, view),
            match (&job.error, job.started_at, job.finished_at) {
                (Some(error), _, _) => text(error),
                (None, Some(began), Some(ended)) => {
                    html! { "took " (duration(Time::from_micros(ended).since(Time::from_micros(began)))) }
                }
                _ => none(),
            },
        ])
    });
    Table::new("Last syncs", columns)
        .rows(rows)
        .empty(Empty::new("No sync yet", "One begins by itself every quarter of an hour."))
}
