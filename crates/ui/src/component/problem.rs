//! An error where it arose: what happened, what to do, and the technical part folded away.

use super::Tone;
use maud::{Markup, Render, html};

/// A problem as a person needs it. The same code as in the API's problem documents.
#[derive(Clone, Debug)]
pub struct Problem {
    /// Stable code, such as `stripe_key_revoked`.
    pub code: String,
    /// What happened, in one sentence.
    pub happened: String,
    /// What to do about it.
    pub to_do: String,
    /// The technical part, without secrets; folded away.
    pub technical: Option<String>,
    /// The id of the request in which it arose.
    pub request_id: Option<String>,
}

impl Render for Problem {
    fn render(&self) -> Markup {
        html! {
            section.notice.problem.bad role="alert" {
                (Tone::Bad.sign())
                div {
                    p { strong { (self.happened) } }
                    p { (self.to_do) }
                    details {
                        summary { "Technical details" }
                        dl.definitions {
                            div { dt { "Code" } dd { code { (self.code) } } }
                            @if let Some(request_id) = &self.request_id {
                                div { dt { "Request" } dd { (super::copyable(request_id)) } }
                            }
                        }
                        @if let Some(technical) = &self.technical { pre.technical tabindex="0" { (technical) } }
                    }
                }
            }
        }
    }
}
