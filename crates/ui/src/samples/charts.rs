//! Charts in all their states.

use super::wave;
use crate::{
    Frame, Page,
    chart::{Chart, Period, Series, Unit},
    component::{Tone, card, columns},
};
use kit::{Currency, time::civil_from_days};
use maud::{Markup, html};

pub(super) const MONTHS: [&str; 12] =
    ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

/// The last `count` days.
pub(super) fn days(count: i64) -> Vec<Period> {
    let today = super::now().utc_day();
    (today - count + 1..=today)
        .map(|day| {
            let (year, month, day) = civil_from_days(day);
            let month = MONTHS[usize::from(month) - 1];
            Period::new(format!("{day} {month} {year}"), format!("{day} {month}"))
        })
        .collect()
}

pub(super) fn page(frame: &Frame) -> Markup {
    let view = &frame.view;
    let usd = Unit::Money(Currency::USD);
    let parts = |names: &[&str], count: i64| -> Vec<Series> {
        names
            .iter()
            .enumerate()
            .map(|(part, name)| {
                let part = part as i64;
                Series::new(*name, (0..count).map(move |day| wave(day + part * 3, 900_000 / (part + 1))))
            })
            .collect()
    };
    let stack =
        parts(&["Studio plan", "Team plan", "Solo plan", "Add-ons", "Hardware", "Support", "Courses", "Gifts"], 30)
            .into_iter()
            .fold(Chart::bars("stack", "Revenue by product", usd, days(30), view), Chart::series);
    let net = Chart::bars("net", "Net movement of the balance", usd, days(14), view)
        .series(Series::new("Net", (0..14).map(|day| wave(day, 500_000) - 300_000)));
    let yen = Chart::bars("yen", "Revenue", Unit::Money(Currency::JPY), days(3), view)
        .series(Series::new("Revenue", [1_240_000, 980_000, 1_410_500]))
        .last_is_partial();
    let rates = Chart::lines("rates", "Payments that succeed", Unit::BasisPoints, days(30), view)
        .series(Series::with_gaps(
            "Cards",
            (0..30).map(|day| (!(11..14).contains(&day)).then(|| 9_300 + wave(day, 100))).collect(),
        ))
        .series(Series::new("Bank debits", (0..30).map(|day| 8_100 + wave(day + 5, 300))))
        .series(Series::new("Wallets", (0..30).map(|day| 9_420 + wave(day + 9, 80))))
        .zoomed();
    let lag = Chart::lines("lag", "Processing lag, 95th percentile", Unit::Milliseconds, days(60), view)
        .series(Series::new("Lag", (0..60).map(|day| 60 + wave(day, 40))))
        .previous(Series::new("The 60 days before", (0..60).map(|day| 90 + wave(day + 3, 30))));
    let empty = Chart::bars("nothing", "Revenue by day", usd, days(30), view);
    let zeros = Chart::bars("zeros", "Refunds by day", usd, days(30), view).series(Series::new("Refunds", [0; 30]));
    let year = Chart::bars("year", "Usage events by day", Unit::Count, days(365), view)
        .series(Series::new("Events", (0..365).map(|day| wave(day, 40_000))));
    Page::new("Charts", frame)
        .state(Tone::Info, "Bars, stacks, lines, gaps, nothing at all")
        .body(html! {
            (card("Parts of a whole", stack))
            (columns(&[card("Below zero", net), card("Three days of yen", yen)]))
            (card("Rates with a gap", rates))
            (columns(&[card("Against the period before", lag), card("Every day of a year", year)]))
            (columns(&[card("Nothing known", empty), card("Known to be nothing", zeros)]))
        })
        .render()
}
