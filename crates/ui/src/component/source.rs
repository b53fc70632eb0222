//! Where figures come from, and the way to their explanation.

use crate::icon::Icon;
use maud::{Markup, Render, html};

/// "From 60,214 charges, mirrored to 09:41:07", with the way to the explanation.
pub fn source(words: impl Render, explain_href: Option<&str>) -> Markup {
    html! {
        p.source {
            span { (words) }
            @if let Some(href) = explain_href { " " (explain(href, "How is this figured?")) }
        }
    }
}

/// A link to how a figure came about.
pub fn explain(href: &str, words: &str) -> Markup {
    html! { a.explain href=(href) { (words) (Icon::Right) } }
}
