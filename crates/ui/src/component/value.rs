//! Single values in running text and in cells: money, counts, times, ids.

use crate::{icon::Icon, view::View, words};
use kit::{Money, Time};
use maud::{Markup, Render, html};
use std::time::Duration;

/// Text as a cell or value.
pub fn text(words: impl Render) -> Markup {
    words.render()
}

/// Text that matters less.
pub fn muted(words: impl Render) -> Markup {
    html! { span.muted { (words) } }
}

/// Nothing known: a dash that screen readers read as "none".
pub fn none() -> Markup {
    html! { span.muted { span aria-hidden="true" { "–" } span.sr { "none" } } }
}

/// Text in monospace, such as an event's type; where there is no room it breaks behind its dots and dashes.
pub fn code(words: impl AsRef<str>) -> Markup {
    html! {
        code { @for part in words.as_ref().split_inclusive(['.', '_', '/', '-']) { (part) wbr; } }
    }
}

/// An amount with its currency, for running text: `1,234.50 USD`.
pub fn money(money: Money, view: &View) -> Markup {
    html! {
        span.number { (words::amount(money, view.figures)) "\u{a0}" span.currency { (money.currency) } }
    }
}

/// An amount without its currency, for a column whose head names it.
pub fn amount(money: Money, view: &View) -> Markup {
    html! { span.number.negative[money.amount_minor < 0] { (words::amount(money, view.figures)) } }
}

/// An amount as a large figure: the currency small, the decimals smaller than the whole.
pub fn money_big(money: Money, view: &View) -> Markup {
    let written = words::amount(money, view.figures);
    let (whole, decimals) = match money.currency.exponent() {
        0 => (written.as_str(), ""),
        exponent => written.split_at(written.len().saturating_sub(exponent as usize + 1)),
    };
    html! {
        span.big { (whole) @if !decimals.is_empty() { span.decimals { (decimals) } } "\u{a0}" span.currency { (money.currency) } }
    }
}

/// A whole number.
pub fn count(number: i64, view: &View) -> Markup {
    html! { span.number { (words::count(number, view.figures)) } }
}

/// A size.
pub fn bytes(size_bytes: u64, view: &View) -> Markup {
    html! { span.number { (words::bytes(size_bytes, view.figures)) } }
}

/// A ratio in basis points as a percentage.
pub fn percent(basis_points: i64, view: &View) -> Markup {
    html! { span.number { (words::percent(basis_points, view.figures)) } }
}

/// How long something took.
pub fn duration(length: Duration) -> Markup {
    html! { span.number { (words::duration(length)) } }
}

/// How long ago, with the exact time on hover and for screen readers.
pub fn time(at: Time, view: &View) -> Markup {
    let (exact, relative) = (words::exact(at, &view.zone), words::relative(at, view));
    html! {
        time datetime=(at) title=(exact) { span data-relative=(at.seconds()) { (relative) } span.sr { ", " (exact) } }
    }
}

/// The day of a time, with the exact time on hover.
pub fn date(at: Time, view: &View) -> Markup {
    html! { time datetime=(at) title=(words::exact(at, &view.zone)) { (words::date(at, &view.zone)) } }
}

/// An id in monospace with a button that copies it.
pub fn copyable(id: &str) -> Markup {
    html! {
        span.copyable {
            code { (id) }
            button.copy.script-only type="button" data-copy=(id) title="Copy" { (Icon::Copy) span.sr { "Copy " (id) } }
        }
    }
}

/// A secret that is shown this once, with a button that copies it. Never render one that was stored.
pub fn secret_once(label: &str, secret: &str) -> Markup {
    html! {
        div.secret {
            p { strong { (label) } " is shown only this once. Copy it now; it cannot be shown again." }
            div.secret-line {
                code { (secret) }
                button.button.secondary.script-only type="button" data-copy=(secret) { (Icon::Copy) span { "Copy" } }
            }
        }
    }
}
