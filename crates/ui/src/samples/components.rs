//! Components one by one.

use crate::{
    Frame, Icon, Page, Tone,
    component::{
        Better, Button, Change, Choice, Column, Definitions, Empty, Field, Fill, Form, Happening, Kind, Notice, Pager,
        Payload, Problem, Progress, Row, Stat, Step, StepState, Steps, Tab, Table, Tabs, TimeBar, TimeBars, TimeSpan,
        Timeline, amount, badge, bytes, card, code, columns, copyable, count, date, duration, money, money_big, muted,
        none, percent, post_button, secret_once, section, source, stats, text, time,
    },
};
use kit::{Currency, Money};
use maud::{Markup, html};
use std::time::Duration;

pub(super) fn page(frame: &Frame) -> Markup {
    let view = &frame.view;
    Page::new("Components", frame)
        .above("Overview", "/overview")
        .above("A page between", "/between")
        .state(Tone::Warn, "One sentence of state that is rather long, so that it has to find its way around the edge of a narrow screen")
        .action(Button::submit("The main action").icon(Icon::Plus))
        .body(html! {
            (Tabs { label: "Views".to_owned(), active: "/b".to_owned(), tabs: vec![
                Tab::new("All", "/a").count("60,214"), Tab::new("Failed", "/b").count("3"), Tab::new("Settings", "/c")] })
            (figures(frame))
            (columns(&[card("State", states()), card("Values", values(frame))]))
            (columns(&[card("Progress", progress(frame)), card("Buttons", buttons(frame))]))
            (notices())
            (tables(frame))
            (columns(&[card("Fields", form(frame)), card("What happened", timeline(frame))]))
            (columns(&[card("Steps", steps()), card("Shown once", secret_once("The signing secret", "whsec_4f7b1c0de5a94e2b8d6a7c3f"))]))
            (card("Spans of time", time_bars(frame)))
            (card("Payloads", html! {
                (Payload { title: "Folded".to_owned(), json: "{}", open: false, view })
                (Payload { title: "No JSON".to_owned(), json: "<html>502 Bad Gateway</html>", open: true, view })
            }))
            (card("Icons", html! { p.icons { @for icon in Icon::ALL { (icon) " " } } }))
        })
        .render()
}

fn figures(frame: &Frame) -> Markup {
    let view = &frame.view;
    let than = || "the 7 days before".to_owned();
    let figure = |minor, currency| money_big(Money::new(minor, currency), view);
    stats(&[
        Stat::new("Net revenue", figure(8_421_950, Currency::USD), view)
            .change(Change { before: 7_400_000, now: 8_421_950, better: Better::Up, than: than() })
            .trend((0..14).map(|day| super::wave(day, 900)).collect())
            .href("/revenue"),
        Stat::new("Refunds", figure(-45_000, Currency::EUR), view).change(Change {
            before: -30_000,
            now: -45_000,
            better: Better::Up,
            than: than(),
        }),
        Stat::new("Revenue in yen", figure(1_240_000, Currency::JPY), view)
            .change(Change { before: 5, now: 5, better: Better::Up, than: than() })
            .trend(vec![0, 0, 0]),
        Stat::new("Nothing known yet", none(), view).remark("The first sync has not finished."),
    ])
}

fn states() -> Markup {
    html! { p.badges { @for tone in Tone::ALL { (badge(tone, tone.class())) " " } } }
}

fn values(frame: &Frame) -> Markup {
    let view = &frame.view;
    let values = Definitions::new()
        .item("Money", money(Money::new(123_456_789, Currency::USD), view))
        .item("Count", count(60_214, view))
        .item("Size", bytes(1_450_000, view))
        .item("Share", percent(9_312, view))
        .item("Length", duration(Duration::from_secs(130)))
        .item("Time", time(view.now - Duration::from_secs(14), view))
        .item("Day", date(view.now, view))
        .item("Id", copyable("evt_1QK3vK2eZvKYlo2CxGFMdhXe"))
        .item("Nothing", none());
    html! { (values) }
}

fn progress(frame: &Frame) -> Markup {
    let view = &frame.view;
    html! {
        (Progress::new("Charges", 41_200, Some(60_214), view).pace(Some(1_930), Some(Duration::from_secs(10))))
        (Progress::new("Customers", 5_000, Some(5_000), view).remark(Tone::Good, "Done in 2 min 10 s"))
        (Progress::new("Disputes", 12, None, view))
        (Progress::new("Payouts", 300, Some(900), view).remark(Tone::Bad, "Stopped: the key may not read payouts"))
        (Progress::new("Invoices", 450, Some(900), view).remark(Tone::Warn, "Waiting for Stripe's rate limit, 4 s"))
    }
}

fn buttons(frame: &Frame) -> Markup {
    html! {
        div.buttons {
            (Button::submit("Connect account").kind(Kind::Primary))
            (Button::link("See the account", "/account"))
            (Button::confirmed("Disconnect", "/disconnect"))
            (Button::link("Cancel", "/").kind(Kind::Quiet))
            (Button::submit("Not now").disabled(true))
            (post_button(&Button::submit("Test connection").kind(Kind::Secondary).icon(Icon::Refresh), "/test", frame.csrf.as_deref()))
        }
    }
}

fn notices() -> Markup {
    html! {
        (Notice::new(Tone::Good, "Account connected").body(html! { "The first sync has begun. " a href="/audit/1" { "Audit entry" } }))
        (Notice::new(Tone::Warn, "Webhooks have not arrived for 20 minutes").body("The event list is read instead, so nothing is lost."))
        (Notice::new(Tone::Info, "A sentence worth knowing"))
        (Problem {
            code: "stripe_key_revoked".to_owned(),
            happened: "Stripe no longer accepts this key.".to_owned(),
            to_do: "Make a new restricted key in Stripe's dashboard and put it in its place here.".to_owned(),
            technical: Some("GET /v1/account → 401 api_key_expired\nStripe-Request-Id: req_9aBcD".to_owned()),
            request_id: Some("req_01JD7N3K8Q".to_owned()),
        })
    }
}

fn tables(frame: &Frame) -> Markup {
    let view = &frame.view;
    let columns = || {
        vec![
            Column::text("Customer").wide(),
            Column::text("State"),
            Column::number("Tries").minor(),
            Column::number("Amount, USD"),
        ]
    };
    let cells = |name: &str, tone, word: &str, tries, minor| {
        vec![text(name), badge(tone, word), count(tries, view), amount(Money::new(minor, Currency::USD), view)]
    };
    let full = Table::new("Invoices", columns())
        .show_caption()
        .row(Row::new(cells("Fabrikam Ltd", Tone::Good, "Paid", 1, 1_250_000)).href("/1"))
        .row(Row::new(cells("Contoso", Tone::Bad, "Failed", 4, 99_00)).href("/2").tone(Tone::Bad))
        .row(Row::new(cells("Tailspin Toys", Tone::Busy, "Sending", 2, -4_500)).href("/3").selected(true))
        .row(
            Row::new(vec![
                text("Total"),
                muted(""),
                count(7, view),
                amount(Money::new(1_255_400, Currency::USD), view),
            ])
            .total(),
        );
    let none = Table::new("Nothing", columns()).empty(
        Empty::new("No invoices yet", "They appear here once a show has claims.")
            .icon(Icon::Document)
            .action(Button::link("Open the shows", "/shows")),
    );
    html! {
        (section("A table", source("from 3 invoices, mirrored to 09:41:07", Some("/explain")), html! {
            (full)
            (Pager { shown: "3 invoices, newest first".to_owned(), first_href: Some("/list".to_owned()), next_href: Some("/list?cursor=x".to_owned()) })
        }))
        (section("An empty one", "", none))
    }
}

fn form(frame: &Frame) -> Markup {
    let filters = Form::get("/filter")
        .field(
            Field::select("period", "Period", vec![Choice::new("30", "30 days"), Choice::new("90", "90 days")])
                .value("90"),
        )
        .field(Field::input("search", "metadata", "Metadata key").placeholder("plan"))
        .button(Button::submit("Show").kind(Kind::Secondary));
    let form = Form::post("/save", frame.csrf.as_deref())
        .field(Field::text("name", "Name").value("Northwind").hint("As it stands on invoices.").required())
        .field(
            Field::input("email", "email", "Address for notices")
                .value("ada@")
                .error(Some("That is no e-mail address: something is missing after the @.")),
        )
        .field(Field::secret("secret", "Signing secret").required())
        .field(Field::area("note", "Note", 3))
        .field(
            Field::radio(
                "method",
                "How to connect",
                vec![
                    Choice::new("key", "With a key").hint("A restricted key that you make in Stripe's dashboard."),
                    Choice::new("oauth", "With Stripe Connect"),
                ],
            )
            .value("key")
            .required(),
        )
        .field(Field::check("weekly", "Send a summary each week", true).hint("On Monday morning."))
        .field(Field::hidden("step", "2"))
        .button(Button::submit("Save the settings"))
        .button(Button::link("Cancel", "/").kind(Kind::Quiet));
    html! { (filters) (form) }
}

fn timeline(frame: &Frame) -> Markup {
    let view = &frame.view;
    let happening = |seconds, tone, title: &str, text: Markup| Happening {
        at: view.now - Duration::from_secs(seconds),
        tone,
        title: title.to_owned(),
        text,
    };
    html! {
        (Timeline { view, happenings: vec![
            happening(14, Tone::Good, "Processed", html! { "2 objects changed" }),
            happening(74, Tone::Bad, "Failed", html! { "The database was busy" }),
            happening(75, Tone::Neutral, "Stored", html! { "Signature verified with " (code("whsec_…8d6a")) }),
        ] })
    }
}

fn time_bars(frame: &Frame) -> Markup {
    let now = frame.view.now;
    let before = |hours: u64| now - Duration::from_secs(hours * 3_600);
    let bar = |label: &str, state: Markup, note: &str, cuts: &[(u64, Fill, &str)]| {
        let mut from = None;
        let mut spans = Vec::new();
        for (hours, fill, words) in cuts {
            let until = before(*hours);
            spans.push(TimeSpan { from, until, fill: *fill, words: (*words).to_owned() });
            from = Some(until);
        }
        TimeBar { label: label.to_owned(), state, note: text(note), spans }
    };
    let whole =
        [(2_000, Fill::Solid, "listed"), (1, Fill::Solid, "kept up by events"), (0, Fill::Dots, "to be proved")];
    let holes = [
        (9_000, Fill::Hollow, "not asked for"),
        (700, Fill::Solid, "listed"),
        (30, Fill::Hatch, "Stripe answered that there were too many calls"),
        (1, Fill::Solid, "kept up by events"),
        (0, Fill::Dots, "to be proved"),
    ];
    let bars = TimeBars {
        title: "What is known of each kind".to_owned(),
        key: Fill::ALL.into_iter().zip(["known", "likely", "a hole", "not asked for"].map(str::to_owned)).collect(),
        bars: vec![
            bar("Charges", badge(Tone::Good, "complete"), "", &whole),
            bar("Payouts", badge(Tone::Warn, "incomplete"), "It is tried again alone with the next sync.", &holes),
        ],
        view: &frame.view,
    };
    html! { (bars) }
}

fn steps() -> Markup {
    let step = |state, title: &str, words: &str| Step { state, title: title.to_owned(), text: text(words) };
    html! {
        (Steps(vec![
            step(StepState::Done, "Make a restricted key", "It may read charges, customers and refunds."),
            step(StepState::Failed, "Test it", "Stripe answered that the key may not read payouts."),
            step(StepState::Current, "Put it in", "It is sealed and never shown again."),
            step(StepState::Ahead, "First sync", "Takes about two minutes."),
        ]))
    }
}
