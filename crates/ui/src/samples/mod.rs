//! Every component in its sample, empty and error states, as whole pages: for eyes, screenshots and tests.

mod charts;
mod components;
mod pages;

use crate::{
    Frame, Icon, NavEntry, Person, Theme, View,
    layout::{Alerts, EnvironmentSwitch},
};
use kit::{Environment, Time};
use maud::Markup;

/// One sample page.
#[derive(Clone)]
pub struct Sample {
    /// Its name, fit for a file.
    pub name: &'static str,
    /// The whole document.
    pub document: Markup,
}

/// All of them, in one theme.
pub fn samples(theme: Theme) -> Vec<Sample> {
    let live = Frame { theme, ..frame(Environment::Live) };
    let test = Frame { theme, ..frame(Environment::Test) };
    vec![
        Sample { name: "overview", document: pages::overview(&live) },
        Sample { name: "overview-test", document: pages::overview(&test) },
        Sample { name: "overview-empty", document: pages::overview_empty(&test) },
        Sample { name: "inbox", document: pages::inbox(&live) },
        Sample { name: "event", document: pages::event(&live) },
        Sample { name: "connection", document: pages::connection(&test) },
        Sample { name: "connect", document: pages::connect(&test) },
        Sample { name: "connect-refused", document: pages::connect_refused(&test) },
        Sample { name: "confirm", document: pages::confirm(&live) },
        Sample { name: "components", document: components::page(&live) },
        Sample { name: "charts", document: charts::page(&live) },
        Sample { name: "sign-in", document: pages::sign_in(theme) },
        Sample { name: "problem", document: pages::problem(theme) },
    ]
}

/// The moment at which all samples are looked at.
pub fn now() -> Time {
    Time::from_seconds(1_795_254_067)
}

/// A frame with everything in it.
pub fn frame(environment: Environment) -> Frame {
    let entry = |label: &str, icon| NavEntry::new(label, format!("/{}", label.to_lowercase()), icon);
    let mut inbox = entry("Inbox", Icon::Inbox);
    inbox.waiting = 3;
    Frame {
        switch: Some(EnvironmentSwitch { action: "/environment".to_owned(), return_to: "/overview".to_owned() }),
        navigation: vec![
            entry("Overview", Icon::Overview),
            entry("Revenue", Icon::Revenue),
            entry("Usage", Icon::Usage),
            entry("Credits", Icon::Credits),
            entry("Sellers", Icon::Sellers),
            entry("Sales", Icon::Sales),
            entry("Integrations", Icon::Integrations),
            inbox,
            entry("Settings", Icon::Settings),
        ],
        search_action: Some("/search".to_owned()),
        alerts: Some(Alerts { count: 2, href: "/alerts".to_owned() }),
        person: Some(Person {
            name: "Ada Lindqvist".to_owned(),
            detail: "ada@northwind.example · Owner".to_owned(),
            sign_out_action: "/sign-out".to_owned(),
            links: vec![("Your settings".to_owned(), "/settings/me".to_owned())],
        }),
        csrf: Some("sample-token".to_owned()),
        request_id: Some("req_01JD7N3K8Q".to_owned()),
        ..Frame::new("Northwind Audio", environment, View::utc(now()))
    }
}

/// A figure that goes up and down by the week, grows, and is the same each time.
fn wave(index: i64, base: i64) -> i64 {
    let noise = (index * 7_919 + 104_729) % 37 - 18;
    let weekend = if index % 7 >= 5 { 62 } else { 100 };
    base * (80 + index) / 100 * (100 + noise) / 100 * weekend / 100
}
