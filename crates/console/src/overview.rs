//! How the overview looks.

use crate::{
    Looking,
    moment::{ConnectionHealth, DAYS, Moment},
    trouble::{Trouble, troubles},
};
use gateway::BreakerView;
use kit::{Currency, Money, Time, time::civil_from_days};
use ui::{
    Frame, Icon, Markup, Page, Tone, View,
    chart::{Chart, Period, Series, Unit},
    component::*,
    html, live,
};
use vault::ConnectionState;

/// The whole page.
pub(crate) fn page(moment: &Moment, looking: &Looking, frame: &Frame) -> Markup {
    let view = &frame.view;
    let (tone, sentence) = state(moment, view);
    let mut page = Page::new("Overview", frame).active("/").state(tone, sentence);
    if moment.connections.is_empty() {
        page = page.body(
            Empty::new(
                "Connect your Stripe account",
                "Bursar reads its history, keeps it in step by webhooks, and shows your revenue here.",
            )
            .icon(Icon::Integrations)
            .action(Button::link("Connect an account", "/connections")),
        );
        return page.render();
    }
    let currency = shown_currency(moment, looking);
    let href = format!("/live/overview?currency={}", currency.code());
    page = page.live(href).action(Button::link("Connections", "/connections").kind(Kind::Secondary)).body(html! {
        (live::part("troubles", trouble_list(moment, view)))
        (live::part("figures", figures(moment, currency, view)))
        (currencies(moment, currency))
        (live::part("chart", panel(chart(moment, currency, view))))
        (source(html! {
            "From " (count(moment.sources.charges, view)) " charges and " (count(moment.sources.refunds, view)) " refunds"
            @if let Some(at) = moment.sources.updated_to { ", mirrored to " (time(at, view)) }
            ". Days are UTC’s."
        }, Some("/revenue")))
        (live::part("health", html! {
            (columns(&[section("Sync", html! {}, connections(moment, view)), section("Doors", html! {}, doors(moment, view))]))
        }))
        (section("Regular work", html! {}, live::part("schedule", schedule(moment, view))))
    });
    page.render()
}

/// The currency that was asked for, or the main one.
pub(crate) fn shown_currency(moment: &Moment, looking: &Looking) -> Currency {
    let asked = looking.currency.as_deref().and_then(|code| code.parse().ok());
    asked.or_else(|| moment.main_currency()).unwrap_or(Currency::USD)
}

/// The worst news there is, in one sentence.
pub(crate) fn state(moment: &Moment, view: &View) -> (Tone, Markup) {
    let worst = troubles(moment);
    let bad = worst.iter().find(|trouble| trouble.tone == Tone::Bad);
    let hindered =
        moment.connections.iter().find(|it| !it.is_in_step() && !it.is_filling() && it.sync.last_completed.is_some());
    if moment.connections.is_empty() {
        (Tone::Neutral, html! { "Nothing is connected yet" })
    } else if let Some(trouble) = bad {
        (Tone::Bad, text(&trouble.what))
    } else if moment.tie_out.difference_count > 0 && !moment.connections.iter().any(ConnectionHealth::is_filling) {
        (
            Tone::Warn,
            html! { (count(moment.tie_out.difference_count, view)) " objects do not tie out with the balance; see Revenue" },
        )
    } else if let Some(health) = hindered {
        (Tone::Warn, html! { "Not everything of " (health.connection.display_name) " could be read" })
    } else if let Some(trouble) = worst.first() {
        (Tone::Warn, text(&trouble.what))
    } else if moment.connections.iter().any(ConnectionHealth::is_filling) {
        (Tone::Neutral, html! { "Reading history: " (count(moment.objects(), view)) " objects so far" })
    } else {
        (
            Tone::Good,
            html! {
                "All " (count(moment.objects(), view)) " objects in step"
                @if let Some(at) = moment.last_event_at() { ", last event " (time(at, view)) }
            },
        )
    }
}

/// What is wrong right now, with what to do; nothing where all is well.
pub(crate) fn trouble_list(moment: &Moment, view: &View) -> Markup {
    let found = troubles(moment);
    if found.is_empty() {
        return Markup::default();
    }
    let row = |trouble: &Trouble| {
        let word = if trouble.tone == Tone::Bad { "wrong" } else { "look" };
        let what = html! { (badge(trouble.tone, word)) " " (trouble.what) br; (muted(&trouble.to_do)) };
        let since = trouble.since.map_or_else(none, |at| time(at, view));
        Row::new(vec![what, since]).href(&trouble.href).tone(trouble.tone)
    };
    let columns = vec![Column::text("What is the matter, and what to do").wide(), Column::text("Since")];
    let table = Table::new("What needs somebody’s eye", columns).rows(found.iter().map(row));
    section("Needs an eye", html! {}, html! { (table) })
}

/// The row of figures.
pub(crate) fn figures(moment: &Moment, currency: Currency, view: &View) -> Markup {
    let today = moment.now.utc_day();
    let net = |day| moment.day(day, currency).net_minor();
    let sum = |days: std::ops::Range<i64>, of: &dyn Fn(i64) -> i64| days.map(of).sum::<i64>();
    let gross = |day| moment.day(day, currency).gross_minor;
    let refunds = |day| moment.day(day, currency).refunds_minor;
    let month = today - DAYS + 1..today + 1;
    let before = today - 2 * DAYS + 1..today - DAYS + 1;
    let than = || format!("the {DAYS} days before");
    let proof = moment.tie_out.difference_count;
    stats(&[
        Stat::new("Net today", money_big(Money::new(net(today), currency), view), view)
            .remark(html! { "yesterday " (money(Money::new(net(today - 1), currency), view)) })
            .trend((today - 13..=today).map(net).collect())
            .href(format!("/revenue?currency={}", currency.code())),
        Stat::new(
            format!("Gross, {DAYS} days"),
            money_big(Money::new(sum(month.clone(), &gross), currency), view),
            view,
        )
        .change(Change {
            before: sum(before.clone(), &gross),
            now: sum(month.clone(), &gross),
            better: Better::Up,
            than: than(),
        }),
        Stat::new(
            format!("Refunds, {DAYS} days"),
            money_big(Money::new(sum(month.clone(), &refunds), currency), view),
            view,
        )
        .change(Change {
            before: sum(before, &refunds),
            now: sum(month, &refunds),
            better: Better::Down,
            than: than(),
        }),
        Stat::new(
            "Tie-out",
            if proof == 0 {
                html! { "to the cent" }
            } else {
                html! { (count(proof, view)) " differ" }
            },
            view,
        )
        .remark(html! { span {
            (count(moment.tie_out.balance_transactions, view)) " balance transactions"
            @if moment.tie_out.awaited > 0 { ", " (count(moment.tie_out.awaited, view)) " on their way" }
        } })
        .href("/revenue#tie-out"),
    ])
}

fn currencies(moment: &Moment, shown: Currency) -> Markup {
    let href = |currency: Currency| format!("/?currency={}", currency.code());
    let tabs = moment.totals.iter().map(|total| Tab::new(total.currency.to_string(), href(total.currency))).collect();
    let tabs = Tabs { label: "Currency".to_owned(), tabs, active: href(shown) };
    html! {
        @if moment.totals.len() > 1 { (tabs) }
    }
}

/// Net revenue by day, with the days before as a thin line.
pub(crate) fn chart<'a>(moment: &Moment, currency: Currency, view: &'a View) -> Chart<'a> {
    let today = moment.now.utc_day();
    let net = |day| moment.day(day, currency).net_minor();
    let periods = (today - DAYS + 1..=today).map(|day| {
        let (year, month, day) = civil_from_days(day);
        Period::new(format!("{day} {} {year}", month_name(month)), format!("{day} {}", month_name(month)))
    });
    let title = format!("Net revenue by day, {currency}");
    Chart::bars("revenue-by-day", &title, Unit::Money(currency), periods.collect(), view)
        .series(Series::new("Net revenue", (today - DAYS + 1..=today).map(net)))
        .previous(Series::new(format!("The {DAYS} days before"), (today - 2 * DAYS + 1..=today - DAYS).map(net)))
        .last_is_partial()
}

fn month_name(month: u8) -> &'static str {
    const NAMES: [&str; 12] = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    NAMES.get(usize::from(month.saturating_sub(1))).copied().unwrap_or("")
}

fn connections(moment: &Moment, view: &View) -> Markup {
    let rows = moment.connections.iter().map(|health| {
        let objects: i64 = moment
            .kinds
            .iter()
            .filter(|kind| kind.account_id == health.connection.account_id)
            .map(|kind| kind.objects - kind.deleted)
            .sum();
        let name = html! { (text(&health.connection.display_name)) br; (code(&health.connection.account_id)) };
        Row::new(vec![name, connection_badge(health), count(objects, view), last_sync(health, view)])
            .href(format!("/connections/{}", health.connection.id))
    });
    let columns = vec![
        Column::text("Connection").wide(),
        Column::text("State"),
        Column::number("Objects"),
        Column::text("Last sync").minor(),
    ];
    html! { (Table::new("Connections and their syncs", columns).rows(rows)) }
}

fn connection_badge(health: &ConnectionHealth) -> Markup {
    let open = health.stripe.as_ref().is_some_and(|stripe| stripe.breaker != BreakerView::Closed);
    match &health.connection.state {
        ConnectionState::KeyRefused { .. } => badge(Tone::Bad, "key refused"),
        ConnectionState::Disconnected => badge(Tone::Neutral, "disconnected"),
        ConnectionState::Active if open => badge(Tone::Warn, "Stripe does not answer"),
        ConnectionState::Active if health.liveness.is_trouble() && health.is_in_step() => {
            badge(Tone::Warn, "webhooks silent")
        }
        ConnectionState::Active if health.is_filling() => badge(Tone::Neutral, "reading history"),
        ConnectionState::Active if health.is_in_step() => badge(Tone::Good, "in step"),
        ConnectionState::Active if health.sync.last_completed.is_none() => badge(Tone::Neutral, "not read yet"),
        ConnectionState::Active => badge(Tone::Warn, "incomplete"),
    }
}

fn last_sync(health: &ConnectionHealth, view: &View) -> Markup {
    match health.sync.last_completed.as_ref().and_then(|sync| sync.finished_at) {
        Some(at) => time(Time::from_micros(at), view),
        None => none(),
    }
}

fn doors(moment: &Moment, view: &View) -> Markup {
    let row = |name: &str, href: Option<&str>, waiting: i64, failed: i64, dead: i64, done: Markup| {
        let state = match (dead, failed) {
            (0, 0) => badge(Tone::Good, "well"),
            (0, _) => badge(Tone::Warn, html! { (count(failed, view)) " to be tried again" }),
            _ => badge(Tone::Bad, html! { (count(dead, view)) " given up" }),
        };
        let row = Row::new(vec![text(name), state, count(waiting, view), done]);
        match href {
            Some(href) => row.href(href),
            None => row,
        }
    };
    let (inbox, outbox, jobs) = (&moment.inbox, &moment.outbox, &moment.jobs);
    let columns = vec![
        Column::text("Door").wide(),
        Column::text("State"),
        Column::number("Waiting"),
        Column::text("Done").minor(),
    ];
    let table = Table::new("Inbox, outbox and jobs", columns)
        .row(row(
            "Inbox: events from Stripe",
            Some("/inbox"),
            inbox.ready,
            inbox.failed,
            inbox.dead,
            count(inbox.processed_24h, view),
        ))
        .row(row(
            "Outbox: writes to Stripe",
            None,
            outbox.pending + outbox.sent,
            outbox.in_doubt,
            outbox.refused,
            count(outbox.done, view),
        ))
        .row(row("Jobs: background work", None, jobs.ready + jobs.running, 0, jobs.dead, none()));
    html! { (table) }
}

/// What runs when, and how it went.
pub(crate) fn schedule(moment: &Moment, view: &View) -> Markup {
    let rows = moment.schedules.iter().map(|row| {
        let outcome = match row.last_state.as_deref() {
            Some("done") => badge(Tone::Good, "done"),
            Some("dead") => badge(Tone::Bad, "given up"),
            Some(_) => badge(Tone::Neutral, "under way"),
            None => none(),
        };
        let last = row.last_run_at.map_or_else(none, |at| time(Time::from_micros(at), view));
        Row::new(vec![text(in_words(&row.name)), outcome, last, time(Time::from_micros(row.next_run_at), view)])
    });
    let columns =
        vec![Column::text("Work").wide(), Column::text("Outcome"), Column::text("Last").minor(), Column::text("Next")];
    let empty = Empty::new("No regular work yet", "A node with the role scheduler starts it.");
    html! { (Table::new("Regular work", columns).rows(rows).empty(empty)) }
}

/// `vault.purge_retired` as `Vault: purge retired`.
fn in_words(name: &str) -> String {
    let spaced = name.replace('.', ": ").replace('_', " ");
    let mut letters = spaced.chars();
    letters.next().map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect())
}

/// The parts that the live stream replaces, by id.
pub(crate) fn parts(moment: &Moment, currency: Currency, view: &View) -> Vec<ui::LiveUpdate> {
    let (tone, sentence) = state(moment, view);
    vec![
        ui::LiveUpdate::state(tone, sentence),
        ui::LiveUpdate::new("troubles", trouble_list(moment, view)),
        ui::LiveUpdate::new("figures", figures(moment, currency, view)),
        ui::LiveUpdate::new("chart", panel(chart(moment, currency, view))),
        ui::LiveUpdate::new(
            "health",
            columns(&[
                section("Sync", html! {}, connections(moment, view)),
                section("Doors", html! {}, doors(moment, view)),
            ]),
        ),
        ui::LiveUpdate::new("schedule", schedule(moment, view)),
    ]
}
