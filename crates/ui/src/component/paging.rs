//! Moving between parts of a page and pages of a list. Addresses carry where one is.

use crate::icon::Icon;
use maud::{Markup, Render, html};

/// Links to sibling views of one thing; the address decides which is shown.
#[derive(Clone, Debug)]
pub struct Tabs {
    /// What the tabs choose between, for screen readers.
    pub label: String,
    /// The tabs.
    pub tabs: Vec<Tab>,
    /// Address of the one shown.
    pub active: String,
}

/// One tab.
#[derive(Clone, Debug)]
pub struct Tab {
    /// Its word.
    pub label: String,
    /// Its address.
    pub href: String,
    /// How many there are behind it, already formatted.
    pub count: Option<String>,
}

impl Tab {
    /// A tab without a count.
    pub fn new(label: impl Into<String>, href: impl Into<String>) -> Tab {
        Tab { label: label.into(), href: href.into(), count: None }
    }

    /// Adds how many there are behind it.
    pub fn count(mut self, count: impl Into<String>) -> Tab {
        self.count = Some(count.into());
        self
    }
}

impl Render for Tabs {
    fn render(&self) -> Markup {
        html! {
            nav.tabs aria-label=(self.label) {
                @for tab in &self.tabs {
                    a href=(tab.href) aria-current=[(tab.href == self.active).then_some("true")] {
                        (tab.label) @if let Some(count) = &tab.count { " " span.tab-count { (count) } }
                    }
                }
            }
        }
    }
}

/// Goes through a list by cursor.
#[derive(Clone, Debug, Default)]
pub struct Pager {
    /// What is shown: "50 events, newest first".
    pub shown: String,
    /// Back to the beginning, when not there.
    pub first_href: Option<String>,
    /// On to the next rows, when there are more.
    pub next_href: Option<String>,
}

impl Render for Pager {
    fn render(&self) -> Markup {
        html! {
            nav.pager aria-label="Pages of the list" {
                span.muted { (self.shown) }
                div.buttons {
                    @if let Some(href) = &self.first_href { a.button.secondary href=(href) rel="first" { "Back to the start" } }
                    @if let Some(href) = &self.next_href { a.button.secondary href=(href) rel="next" { span { "Next" } (Icon::Right) } }
                }
            }
        }
    }
}
