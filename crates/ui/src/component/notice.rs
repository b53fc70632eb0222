//! A box that says something about the page: what just happened, what to mind.

use super::Tone;
use maud::{Markup, Render, html};

/// What happened or what to mind, in words.
#[derive(Clone)]
pub struct Notice {
    tone: Tone,
    title: String,
    body: Option<Markup>,
}

impl Notice {
    /// A notice of one sentence.
    pub fn new(tone: Tone, title: impl Into<String>) -> Notice {
        Notice { tone, title: title.into(), body: None }
    }

    /// More words, a link to the audit entry, a button.
    pub fn body(mut self, body: impl Render) -> Notice {
        self.body = Some(body.render());
        self
    }
}

impl Render for Notice {
    fn render(&self) -> Markup {
        // Bad news interrupts a screen reader; all else waits for a pause.
        let role = if self.tone == Tone::Bad { "alert" } else { "status" };
        html! {
            div.notice.(self.tone.class()) role=(role) {
                (self.tone.sign())
                div { p { strong { (self.title) } } @if let Some(body) = &self.body { div { (body) } } }
            }
        }
    }
}
