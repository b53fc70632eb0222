//! Before something is destroyed or money moves: what will happen, to whom, how much, how often.

use super::{Button, Kind, button::csrf};
use maud::{Markup, Render, html};

/// A question that stands on a page of its own, and in a dialog where scripts run.
#[derive(Clone)]
pub struct Confirm {
    /// The question, naming the thing: "Disconnect Acme GmbH from Stripe?".
    pub question: String,
    /// What will happen, and what will not.
    pub consequences: Vec<String>,
    /// Whom, how much, how often: label and value.
    pub facts: Vec<(String, Markup)>,
    /// What the button says: "Disconnect".
    pub button: String,
    /// Whether it is marked as dangerous.
    pub danger: bool,
    /// Where the form posts to.
    pub action: String,
    /// Further hidden fields: name and value.
    pub hidden: Vec<(String, String)>,
    /// Where "Cancel" leads.
    pub cancel_href: String,
    /// The token against forged requests.
    pub csrf: Option<String>,
}

impl Render for Confirm {
    fn render(&self) -> Markup {
        let facts = super::Definitions { items: self.facts.clone() };
        let kind = if self.danger { Kind::Danger } else { Kind::Primary };
        html! {
            section.confirm data-confirm {
                h2 { (self.question) }
                @if !self.facts.is_empty() { (facts) }
                @if !self.consequences.is_empty() {
                    ul.plain { @for consequence in &self.consequences { li { (consequence) } } }
                }
                form method="post" action=(self.action) {
                    (csrf(self.csrf.as_deref()))
                    @for (name, value) in &self.hidden { input type="hidden" name=(name) value=(value); }
                    div.buttons {
                        (Button::submit(&self.button).kind(kind))
                        a.button.quiet href=(self.cancel_href) data-cancel { "Cancel" }
                    }
                }
            }
        }
    }
}
