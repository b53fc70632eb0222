//! Nothing there: what it means and what to do next.

use super::Button;
use crate::icon::Icon;
use maud::{Markup, Render, html};

/// Stands where a list or chart has nothing to show.
#[derive(Clone, Debug)]
pub struct Empty {
    title: String,
    text: String,
    icon: Icon,
    action: Option<Button>,
}

impl Empty {
    /// What is not there, and what to do next.
    pub fn new(title: impl Into<String>, text: impl Into<String>) -> Empty {
        Empty { title: title.into(), text: text.into(), icon: Icon::Inbox, action: None }
    }

    /// Another icon than the tray.
    pub fn icon(mut self, icon: Icon) -> Empty {
        self.icon = icon;
        self
    }

    /// The next step as a button.
    pub fn action(mut self, action: Button) -> Empty {
        self.action = Some(action);
        self
    }
}

impl Render for Empty {
    fn render(&self) -> Markup {
        html! {
            div.empty {
                (self.icon)
                p.empty-title { (self.title) }
                p { (self.text) }
                @if let Some(action) = &self.action { (action) }
            }
        }
    }
}
