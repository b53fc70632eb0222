//! Pages as the product has them, with made-up figures.

use super::{charts::days, wave};
use crate::{
    Frame, Icon, Page, SignIn, Theme, Tone,
    chart::{Chart, Series, Unit},
    component::{
        Better, Button, Change, Choice, Column, Confirm, Definitions, Empty, Field, Form, Happening, Kind, Notice,
        Pager, Payload, Problem, Progress, Row, Stat, Step, StepState, Steps, Tab, Table, Tabs, Timeline, amount,
        badge, bytes, card, code, columns, copyable, count, duration, money, money_big, none, panel, post_button,
        source, stats, text, time,
    },
    layout, live,
};
use kit::{Currency, Money};
use maud::{Markup, html};
use std::time::Duration;

const BODY: &str = r#"{"id":"evt_1QK3vK2eZvKYlo2C","object":"event","api_version":"2025-09-30.clover","created":1795254053,"data":{"object":{"id":"ch_3QK3vJ2eZvKYlo2C","object":"charge","amount":12900,"currency":"usd","billing_details":{"address":{"city":"Malmö","country":"SE","line1":null},"email":"someone@example.com"},"metadata":{"plan":"studio","seats":"4"},"paid":true,"refunds":{"data":[],"has_more":false}}},"livemode":true,"pending_webhooks":1,"type":"charge.succeeded"}"#;

fn usd(amount_minor: i64) -> Money {
    Money::new(amount_minor, Currency::USD)
}

pub(super) fn overview(frame: &Frame) -> Markup {
    let view = &frame.view;
    let ago = |seconds| time(view.now - Duration::from_secs(seconds), view);
    let than = || "the day before by now".to_owned();
    let revenue = Chart::bars("revenue", "Net revenue by day", Unit::Money(Currency::USD), days(30), view)
        .series(Series::new("Net revenue", (0..30).map(|day| wave(day, 420_000))))
        .previous(Series::new("The 30 days before", (0..30).map(|day| wave(day + 11, 340_000))))
        .last_is_partial();
    let figures = stats(&[
        Stat::new("Net revenue today", money_big(usd(312_450), view), view)
            .change(Change { before: 278_000, now: 312_450, better: Better::Up, than: than() })
            .trend((0..24).map(|hour| wave(hour, 9_000)).collect())
            .href("/revenue"),
        Stat::new("Charges today", count(1_284, view), view)
            .change(Change { before: 1_310, now: 1_284, better: Better::Up, than: than() })
            .trend((0..24).map(|hour| wave(hour + 5, 60)).collect()),
        Stat::new("Refunded today", money_big(usd(4_900), view), view)
            .change(Change { before: 12_000, now: 4_900, better: Better::Down, than: than() })
            .trend((0..24).map(|hour| wave(hour + 2, 30) % 7).collect()),
        Stat::new("Recurring each month", money_big(usd(18_442_000), view), view)
            .change(Change { before: 18_000_000, now: 18_442_000, better: Better::Up, than: "a month ago".to_owned() })
            .trend((0..24).map(|week| 10_000 + week * 220).collect()),
    ]);
    let objects = Table::new(
        "Objects in step",
        vec![
            Column::text("Object").wide(),
            Column::text("State"),
            Column::number("Mirrored"),
            Column::number("Behind").minor(),
        ],
    )
    .row(
        Row::new(vec![text("Charges"), badge(Tone::Good, "In step"), count(60_214, view), text("2 s")])
            .href("/sync/charges"),
    )
    .row(
        Row::new(vec![text("Customers"), badge(Tone::Good, "In step"), count(5_000, view), text("2 s")])
            .href("/sync/customers"),
    )
    .row(
        Row::new(vec![text("Subscriptions"), badge(Tone::Good, "In step"), count(3_911, view), text("2 s")])
            .href("/sync/subscriptions"),
    )
    .row(
        Row::new(vec![text("Disputes"), badge(Tone::Warn, "Not allowed"), none(), none()])
            .href("/sync/disputes")
            .tone(Tone::Warn),
    );
    let flow = Definitions::new()
        .item("Webhooks, last hour", count(1_904, view))
        .item("Waiting", count(0, view))
        .item("Failed", html! { a href="/inbox?state=failed" { "3 events" } })
        .item("Newest", ago(2))
        .item("Calls to Stripe, last hour", count(212, view))
        .item("Intents in doubt", count(0, view));
    Page::new("Overview", frame)
        .state(Tone::Good, html! { "11 of 12 objects in step, last change " (ago(14)) })
        .active("/overview")
        .live("/overview/live")
        .action(Button::link("Sync now", "/sync").kind(Kind::Primary).icon(Icon::Refresh))
        .body(html! {
            (live::part("overview-figures", figures))
            (panel(html! {
                (revenue)
                (source("From 60,214 charges and 812 refunds, mirrored to 09:41:07", Some("/revenue/explain")))
            }))
            (columns(&[
                card("Sync", objects),
                card("In and out", flow),
            ]))
        })
        .render()
}

pub(super) fn overview_empty(frame: &Frame) -> Markup {
    let view = &frame.view;
    Page::new("Overview", frame)
        .state(Tone::Neutral, "No account is connected yet")
        .active("/overview")
        .body(html! {
            (columns(&[
                card("First steps", Steps(vec![
                    Step { state: StepState::Done, title: "Install Bursar".to_owned(), text: text("It keeps its data in a folder beside it.") },
                    Step { state: StepState::Current, title: "Connect a Stripe account".to_owned(), text: html! {
                        p { "With a restricted key that may only read." } div.buttons { (Button::link("Connect an account", "/integrations").kind(Kind::Primary)) } } },
                    Step { state: StepState::Ahead, title: "First sync".to_owned(), text: text("Everything there is, at Stripe's full rate.") },
                ])),
                card("Revenue", Chart::bars("revenue", "Net revenue by day", Unit::Money(Currency::USD), days(30), view)
                    .empty(Empty::new("No revenue yet", "It appears as soon as the first charges are mirrored.").icon(Icon::Revenue))),
            ]))
        })
        .render()
}

pub(super) fn inbox(frame: &Frame) -> Markup {
    let view = &frame.view;
    let event = |at: u64, kind: &str, tone, state: &str, tries, id: &str| {
        Row::new(vec![
            code(kind),
            badge(tone, state),
            html! { code { (id) } },
            count(tries, view),
            time(view.now - Duration::from_secs(at), view),
        ])
        .href(format!("/inbox/{id}"))
    };
    let mut table = Table::new(
        "Events",
        vec![
            Column::text("Type").wide(),
            Column::text("State"),
            Column::text("Event").minor(),
            Column::number("Tries").minor(),
            Column::number("Received"),
        ],
    )
    .row(event(2, "charge.succeeded", Tone::Good, "Processed", 1, "evt_1QK3vK2eZvKYlo2C"))
    .row(event(9, "customer.subscription.updated", Tone::Busy, "Processing", 1, "evt_1QK3vJ9xQvKYlo2D"))
    .row(event(41, "payout.paid", Tone::Bad, "Failed", 5, "evt_1QK3uZ1aBvKYlo2E").tone(Tone::Bad))
    .row(event(75, "invoice.paid", Tone::Warn, "Trying again", 2, "evt_1QK3uX8cDvKYlo2F"))
    .row(event(120, "product.created", Tone::Neutral, "Of no interest", 1, "evt_1QK3uW2eFvKYlo2G"));
    for index in 0..12_u64 {
        let id = format!("evt_1QK3u{index:02}gHvKYlo2H");
        table = table.row(event(200 + index * 97, "payment_intent.succeeded", Tone::Good, "Processed", 1, &id));
    }
    Page::new("Inbox", frame)
        .state(Tone::Warn, "3 events failed; all others are processed within 80 ms")
        .active("/inbox")
        .live("/inbox/live")
        .action(Button::confirmed("Replay the failed", "/inbox/replay").kind(Kind::Secondary).icon(Icon::Refresh))
        .body(html! {
            (Tabs { label: "State".to_owned(), active: "/inbox".to_owned(), tabs: vec![
                Tab::new("All", "/inbox").count("48,112"), Tab::new("Failed", "/inbox?state=failed").count("3"), Tab::new("Waiting", "/inbox?state=waiting").count("0")] })
            (Form::get("/inbox")
                .field(Field::select("type", "Type", vec![Choice::new("", "All types"), Choice::new("charge", "charge.*")]))
                .field(Field::input("search", "q", "Event or object").placeholder("evt_… or ch_…"))
                .button(Button::submit("Show").kind(Kind::Secondary)))
            (live::part("events", table))
            (Pager { shown: "17 events, newest first".to_owned(), first_href: None, next_href: Some("/inbox?cursor=x".to_owned()) })
        })
        .render()
}

pub(super) fn event(frame: &Frame) -> Markup {
    let view = &frame.view;
    let happening = |seconds, tone, title: &str, words: &str| Happening {
        at: view.now - Duration::from_secs(seconds),
        tone,
        title: title.to_owned(),
        text: text(words),
    };
    let facts = Definitions::new()
        .item("Event", copyable("evt_1QK3vK2eZvKYlo2C"))
        .item("Object", html! { a href="/objects/ch_3QK3vJ2eZvKYlo2C" { code { "ch_3QK3vJ2eZvKYlo2C" } } })
        .item("Amount", money(usd(12_900), view))
        .item("Received", time(view.now - Duration::from_secs(75), view))
        .item("Processed in", duration(Duration::from_millis(41)))
        .item("Size", bytes(BODY.len() as u64, view));
    let replay = Button::submit("Replay").kind(Kind::Secondary).icon(Icon::Refresh);
    Page::new("charge.succeeded", frame)
        .above("Inbox", "/inbox")
        .state(Tone::Good, "Processed at the second try, 2 objects changed")
        .active("/inbox")
        .action(post_button(&replay, "/inbox/evt_1/replay", frame.csrf.as_deref()))
        .body(html! {
            (columns(&[
                card("The event", facts),
                card("What happened", Timeline { view, happenings: vec![
                    happening(74, Tone::Good, "Processed", "A charge and its payment intent changed."),
                    happening(75, Tone::Warn, "Put off", "The database was busy; tried again after 1 s."),
                    happening(75, Tone::Neutral, "Stored and acknowledged", "Signature verified; answered after 3 ms."),
                ] }),
            ]))
            (card("Payload", Payload { title: "As received".to_owned(), json: BODY, open: true, view }))
        })
        .render()
}

pub(super) fn connection(frame: &Frame) -> Markup {
    let view = &frame.view;
    let facts = Definitions::new()
        .item("Account", copyable("acct_1032D82eZvKYlo2C"))
        .item("Key", code("rk_test_…a9Xz"))
        .item("Mode", "Test")
        .item("Last tested", time(view.now - Duration::from_secs(3_700), view))
        .item("Webhook endpoint", copyable("https://bursar.example.com/webhooks/stripe/con_7f3k"))
        .item("API version", code("2025-09-30.clover"));
    let progress = html! {
        (Progress::new("Charges", 41_200, Some(60_214), view).pace(Some(1_930), Some(Duration::from_secs(10))))
        (Progress::new("Customers", 5_000, Some(5_000), view).remark(Tone::Good, "Done in 12 s"))
        (Progress::new("Subscriptions", 2_100, Some(3_911), view).pace(Some(410), Some(Duration::from_secs(5))))
        (Progress::new("Disputes", 0, None, view).remark(Tone::Warn, "The key may not read disputes; all else goes on"))
    };
    let rows = Table::new(
        "Recent syncs",
        vec![
            Column::text("Started").wide(),
            Column::text("Kind"),
            Column::text("State"),
            Column::number("Objects"),
            Column::number("Took").minor(),
        ],
    )
    .row(Row::new(vec![
        time(view.now - Duration::from_secs(40), view),
        text("Full"),
        badge(Tone::Busy, "Running"),
        count(48_300, view),
        none(),
    ]))
    .row(Row::new(vec![
        time(view.now - Duration::from_secs(90_000), view),
        text("Incremental"),
        badge(Tone::Good, "Completed"),
        count(12, view),
        duration(Duration::from_millis(840)),
    ]))
    .row(Row::new(vec![
        time(view.now - Duration::from_secs(180_000), view),
        text("Incremental"),
        badge(Tone::Bad, "Failed"),
        count(0, view),
        duration(Duration::from_secs(31)),
    ]));
    Page::new("Stripe, Northwind Audio", frame)
        .above("Integrations", "/integrations")
        .state(Tone::Busy, "First sync under way: 48,300 of 69,125 objects, about 10 s left")
        .active("/integrations")
        .live("/connections/con_7f3k/live")
        .action(Button::link("Test connection", "/connections/con_7f3k/test").icon(Icon::Check))
        .body(html! {
            (Notice::new(Tone::Warn, "This key may not read disputes").body(html! {
                "Without them, revenue lacks what was lost to disputes. Give the key the right " strong { "Disputes: read" } " in Stripe's dashboard, then test it here." }))
            (columns(&[card("Progress", live::part("sync-progress", progress)), card("Connection", facts)]))
            (card("Recent syncs", rows))
            (card("Disconnect", html! {
                p { "Bursar forgets the key and stops syncing. What is mirrored stays until you delete it." }
                div.buttons { (Button::confirmed("Disconnect", "/connections/con_7f3k/disconnect")) }
            }))
        })
        .render()
}

fn connect_form(frame: &Frame) -> Form {
    Form::post("/connections", frame.csrf.as_deref())
        .field(Field::text("name", "Name").value("Northwind Audio").hint("How the account is called here.").required())
        .field(
            Field::radio(
                "method",
                "How to connect",
                vec![
                    Choice::new("restricted", "Restricted key").hint("Recommended: may read only what Bursar needs."),
                    Choice::new("secret", "Secret key")
                        .hint("May do everything; needed to send invoices and transfers."),
                ],
            )
            .value("restricted")
            .required(),
        )
}

pub(super) fn connect(frame: &Frame) -> Markup {
    let form = connect_form(frame)
        .field(
            Field::secret("key", "Key")
                .hint("Starts with rk_test_ or sk_test_. It is sealed at once and never shown again.")
                .required()
                .first(),
        )
        .button(Button::submit("Connect account"))
        .button(Button::link("Cancel", "/integrations").kind(Kind::Quiet));
    Page::new("Connect a Stripe account", frame)
        .above("Integrations", "/integrations")
        .active("/integrations")
        .state(Tone::Info, "Takes a minute; nothing at Stripe is changed")
        .body(html! { div.card { (form) } })
        .render()
}

pub(super) fn connect_refused(frame: &Frame) -> Markup {
    let form = connect_form(frame)
        .problem(Some(Problem {
            code: "stripe_key_publishable".to_owned(),
            happened: "This is a publishable key, which cannot read anything.".to_owned(),
            to_do: "Take the restricted or the secret key from Developers → API keys in Stripe's dashboard.".to_owned(),
            technical: None,
            request_id: frame.request_id.clone(),
        }))
        .field(Field::secret("key", "Key").error(Some("Starts with pk_; rk_ or sk_ is needed.")).required().first())
        .button(Button::submit("Connect account"))
        .button(Button::link("Cancel", "/integrations").kind(Kind::Quiet));
    Page::new("Connect a Stripe account", frame)
        .above("Integrations", "/integrations")
        .active("/integrations")
        .state(Tone::Bad, "Not connected: the key was refused")
        .body(html! { div.card { (form) } })
        .render()
}

pub(super) fn confirm(frame: &Frame) -> Markup {
    let view = &frame.view;
    Page::new("Send a transfer", frame)
        .above("Sellers", "/sellers")
        .active("/sellers")
        .body(Confirm {
            question: "Send 1,250.00 USD to Fabrikam Ltd?".to_owned(),
            facts: vec![
                ("To".to_owned(), html! { "Fabrikam Ltd " (code("acct_1032D82eZvKYlo2C")) }),
                ("Amount".to_owned(), money(usd(125_000), view)),
                ("How often".to_owned(), text("Once, now")),
                ("Your balance after".to_owned(), amount(usd(2_775_000), view)),
            ],
            consequences: vec![
                "Stripe moves the money at once.".to_owned(),
                "It can be reversed while the seller's balance holds it.".to_owned(),
            ],
            button: "Send 1,250.00 USD".to_owned(),
            danger: true,
            action: "/transfers".to_owned(),
            hidden: vec![("amount_minor".to_owned(), "125000".to_owned())],
            cancel_href: "/sellers".to_owned(),
            csrf: frame.csrf.clone(),
        })
        .render()
}

pub(super) fn sign_in(theme: Theme) -> Markup {
    SignIn {
        title: "Sign in".to_owned(),
        intro: html! { "With the token that " code { "bursar serve" } " printed when it started." },
        body: html! {
            (Form::post("/sign-in", None)
                .field(Field::secret("token", "Token").required().first().autocomplete("current-password"))
                .button(Button::submit("Sign in")))
        },
        theme,
    }
    .render()
}

pub(super) fn problem(theme: Theme) -> Markup {
    let problem = Problem {
        code: "database_unreachable".to_owned(),
        happened: "The database does not answer.".to_owned(),
        to_do: "Nothing is lost: webhooks are answered with 503 and Stripe sends them again. Look at the database, then load this page again.".to_owned(),
        technical: Some("connecting to 10.0.3.7:5432: connection refused".to_owned()),
        request_id: Some("req_01JD7N3K8Q".to_owned()),
    };
    layout::bare_problem(&problem, theme)
}
