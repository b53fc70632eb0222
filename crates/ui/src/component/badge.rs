//! State in a colour, a sign and a word: never the colour alone.

use crate::icon::Icon;
use maud::{Markup, Render, html};

/// How things stand.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Tone {
    /// Nothing to say: waiting, switched off, historical.
    #[default]
    Neutral,
    /// Worth knowing.
    Info,
    /// Under way.
    Busy,
    /// As it should be.
    Good,
    /// Needs somebody's eye.
    Warn,
    /// Wrong.
    Bad,
}

impl Tone {
    /// All of them, for the gallery.
    pub const ALL: [Tone; 6] = [Tone::Neutral, Tone::Info, Tone::Busy, Tone::Good, Tone::Warn, Tone::Bad];

    /// Its class in the style sheet.
    pub fn class(self) -> &'static str {
        match self {
            Tone::Neutral => "neutral",
            Tone::Info => "info",
            Tone::Busy => "busy",
            Tone::Good => "good",
            Tone::Warn => "warn",
            Tone::Bad => "bad",
        }
    }

    /// Its sign, for those who do not see the colour.
    pub fn sign(self) -> Icon {
        match self {
            Tone::Neutral => Icon::Circle,
            Tone::Info => Icon::Info,
            Tone::Busy => Icon::Half,
            Tone::Good => Icon::Check,
            Tone::Warn => Icon::Warning,
            Tone::Bad => Icon::Cross,
        }
    }
}

/// A state in one or two words, as in a table's column.
pub fn badge(tone: Tone, words: impl Render) -> Markup {
    html! { span.badge.(tone.class()) { (tone.sign()) (words) } }
}
