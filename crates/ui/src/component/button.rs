//! Buttons: what they say is what they do.

use crate::{icon::Icon, layout::CSRF_FIELD};
use maud::{Markup, Render, html};

/// How a button looks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Kind {
    /// The page's or form's main action.
    #[default]
    Primary,
    /// Any other.
    Secondary,
    /// Destroys something or moves money.
    Danger,
    /// Barely there: cancel, close.
    Quiet,
}

impl Kind {
    fn class(self) -> &'static str {
        match self {
            Kind::Primary => "primary",
            Kind::Secondary => "secondary",
            Kind::Danger => "danger",
            Kind::Quiet => "quiet",
        }
    }
}

/// A button that sends its form, or a link that looks like one.
#[derive(Clone, Debug)]
pub struct Button {
    label: String,
    kind: Kind,
    icon: Option<Icon>,
    target: Target,
    disabled: bool,
}

#[derive(Clone, Debug)]
enum Target {
    Submit { value: Option<(String, String)> },
    Link { href: String, confirms: bool },
}

impl Button {
    /// Sends the form it stands in. The label says what happens: "Connect account", not "Submit".
    pub fn submit(label: impl Into<String>) -> Button {
        Button {
            label: label.into(),
            kind: Kind::Primary,
            icon: None,
            target: Target::Submit { value: None },
            disabled: false,
        }
    }

    /// Leads somewhere.
    pub fn link(label: impl Into<String>, href: impl Into<String>) -> Button {
        let target = Target::Link { href: href.into(), confirms: false };
        Button { label: label.into(), kind: Kind::Secondary, icon: None, target, disabled: false }
    }

    /// Leads to a page with a [`super::Confirm`]; where scripts run, that is shown in a dialog on this page instead.
    pub fn confirmed(label: impl Into<String>, href: impl Into<String>) -> Button {
        let target = Target::Link { href: href.into(), confirms: true };
        Button { label: label.into(), kind: Kind::Danger, icon: None, target, disabled: false }
    }

    /// Changes the look.
    pub fn kind(mut self, kind: Kind) -> Button {
        self.kind = kind;
        self
    }

    /// Puts an icon before the label.
    pub fn icon(mut self, icon: Icon) -> Button {
        self.icon = Some(icon);
        self
    }

    /// Sends this name and value with the form, to tell several buttons apart.
    pub fn value(mut self, name: impl Into<String>, value: impl Into<String>) -> Button {
        if let Target::Submit { value: sent } = &mut self.target {
            *sent = Some((name.into(), value.into()));
        }
        self
    }

    /// Cannot be pressed now; say why beside it. A link that is disabled is shown as text.
    pub fn disabled(mut self, disabled: bool) -> Button {
        self.disabled = disabled;
        self
    }
}

impl Render for Button {
    fn render(&self) -> Markup {
        let inside = html! { @if let Some(icon) = self.icon { (icon) } span { (self.label) } };
        match &self.target {
            Target::Submit { value } => html! {
                button.button.(self.kind.class()) type="submit" name=[value.as_ref().map(|sent| &sent.0)]
                    value=[value.as_ref().map(|sent| &sent.1)] disabled[self.disabled] { (inside) }
            },
            Target::Link { .. } if self.disabled => html! {
                span.button.(self.kind.class()) aria-disabled="true" { (inside) }
            },
            Target::Link { href, confirms } => html! {
                a.button.(self.kind.class()) href=(href) data-dialog[*confirms] { (inside) }
            },
        }
    }
}

/// The hidden field with the token against forged requests; nothing without one.
pub fn csrf(token: Option<&str>) -> Markup {
    html! { @if let Some(token) = token { input type="hidden" name=(CSRF_FIELD) value=(token); } }
}

/// A form that is nothing but its button, for actions that need no word of warning ("Test connection", "Replay").
pub fn post_button(button: &Button, action: &str, token: Option<&str>) -> Markup {
    html! { form.inline method="post" action=(action) { (csrf(token)) (button) } }
}
