//! Live parts: what a page's event stream sends, and how a page marks what it replaces.

use crate::component::Tone;
use maud::{Markup, PreEscaped, html};
use serde::Serialize;

/// One message of a page's event stream: the new inside of the element with this id.
///
/// A stream answers `text/event-stream`; each message's data is this as JSON, as in
/// `sse::Event::default().json_data(LiveUpdate::new("sync-progress", progress))`. Messages may instead be named after
/// the part with plain HTML as data.
#[derive(Clone, Debug, Serialize)]
pub struct LiveUpdate {
    /// Id of the part, as given to [`part`].
    pub id: String,
    /// Its new inside.
    pub html: String,
}

impl LiveUpdate {
    /// The new inside of the part `id`.
    pub fn new(id: impl Into<String>, inside: impl maud::Render) -> LiveUpdate {
        LiveUpdate { id: id.into(), html: inside.render().into_string() }
    }
}

/// Id of the sentence of state under a page's title: a part that every page with one has.
pub const STATE: &str = "page-state";

impl LiveUpdate {
    /// A new sentence of state under the page's title, with its sign.
    pub fn state(tone: Tone, sentence: impl maud::Render) -> LiveUpdate {
        LiveUpdate::new(STATE, state_line(tone, &sentence.render()))
    }
}

/// The sentence of state as it stands in a page's head.
pub(crate) fn state_line(tone: Tone, sentence: &Markup) -> Markup {
    html! { span.state.(tone.class()) { (tone.sign()) span { (sentence) } } }
}

/// A part of a page that its event stream may replace. `inside` is also what a [`LiveUpdate`] for `id` carries.
pub fn part(id: &str, inside: impl maud::Render) -> Markup {
    html! { div id=(id) data-live-part { (PreEscaped(inside.render().into_string())) } }
}
