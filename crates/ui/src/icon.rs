//! Icons: thin lines on a grid of 16, drawn inline so that they take the text's colour. They always stand beside a word.

use maud::{Markup, PreEscaped, Render, html};

/// An icon. It is decoration: the word beside it carries the meaning.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "each is called by what it shows")]
pub enum Icon {
    Overview,
    Revenue,
    Usage,
    Credits,
    Sellers,
    Sales,
    Integrations,
    Inbox,
    Settings,
    Search,
    Bell,
    Person,
    Menu,
    Check,
    Warning,
    Cross,
    Info,
    Circle,
    Half,
    Copy,
    Arrow,
    Left,
    Right,
    Up,
    Down,
    Plus,
    Key,
    Refresh,
    Clock,
    Outbox,
    Document,
    Shield,
    Download,
    Filter,
    External,
}

impl Icon {
    /// All of them, for the gallery.
    pub const ALL: [Icon; 35] = [
        Icon::Overview,
        Icon::Revenue,
        Icon::Usage,
        Icon::Credits,
        Icon::Sellers,
        Icon::Sales,
        Icon::Integrations,
        Icon::Inbox,
        Icon::Settings,
        Icon::Search,
        Icon::Bell,
        Icon::Person,
        Icon::Menu,
        Icon::Check,
        Icon::Warning,
        Icon::Cross,
        Icon::Info,
        Icon::Circle,
        Icon::Half,
        Icon::Copy,
        Icon::Arrow,
        Icon::Left,
        Icon::Right,
        Icon::Up,
        Icon::Down,
        Icon::Plus,
        Icon::Key,
        Icon::Refresh,
        Icon::Clock,
        Icon::Outbox,
        Icon::Document,
        Icon::Shield,
        Icon::Download,
        Icon::Filter,
        Icon::External,
    ];

    fn path(self) -> &'static str {
        match self {
            Icon::Overview => "M2.5 2.5h4.5v4.5h-4.5zM9 2.5h4.5v4.5H9zM2.5 9h4.5v4.5h-4.5zM9 9h4.5v4.5H9z",
            Icon::Revenue => "M2.5 13.5h11M4.5 11V8M8 11V3M11.5 11V5.5",
            Icon::Usage => "M1.5 8.5h3l2-5 3 9 2-4h3",
            Icon::Credits => {
                "M8 2c3 0 5 1 5 2.3S11 6.6 8 6.6 3 5.6 3 4.3 5 2 8 2zM3 4.3v3.7c0 1.3 2 2.3 5 2.3s5-1 5-2.3V4.3M3 8v3.7C3 13 5 14 8 14s5-1 5-2.3V8"
            }
            Icon::Sellers => {
                "M2.5 6.5V13.5h11V6.5M1.5 6 3 2.5h10L14.5 6c0 1.1-.9 1.8-2.1 1.8S10.2 7.1 10.2 6c0 1.1-1 1.8-2.2 1.8S5.8 7.1 5.8 6c0 1.1-1 1.8-2.2 1.8S1.5 7.1 1.5 6zM6.5 13.5v-3h3v3"
            }
            Icon::Sales => "M8.5 2H13.5V7L7.5 13.5 2 8zM10.8 5.2v.01",
            Icon::Integrations => "M6 2v3M10 2v3M4 5h8v2.5a4 4 0 0 1-8 0zM8 11.5V14",
            Icon::Inbox => "M2 9.5 4 3h8l2 6.5V13H2zM2 9.5h3.5L6.5 11.5h3l1-2H14",
            Icon::Settings => {
                "M2 4.5h6M12 4.5h2M2 11.5h2M8 11.5h6M10 2.7a1.8 1.8 0 1 0 0 3.6 1.8 1.8 0 1 0 0-3.6zM6 9.7a1.8 1.8 0 1 0 0 3.6 1.8 1.8 0 1 0 0-3.6z"
            }
            Icon::Search => "M7 2.5a4.5 4.5 0 1 0 0 9 4.5 4.5 0 1 0 0-9zM10.3 10.3 13.5 13.5",
            Icon::Bell => "M3 11.5h10L11.8 10V6.5a3.8 3.8 0 0 0-7.6 0V10zM6.5 13.5h3",
            Icon::Person => {
                "M8 2.5a2.7 2.7 0 1 0 0 5.4 2.7 2.7 0 1 0 0-5.4zM2.8 13.5c.4-2.5 2.5-3.8 5.2-3.8s4.8 1.3 5.2 3.8"
            }
            Icon::Menu => "M2.5 4.5h11M2.5 8h11M2.5 11.5h11",
            Icon::Check => "M3 8.5 6.5 12 13 4.5",
            Icon::Warning => "M8 2.5 14.5 13.5H1.5zM8 6.5v3.2M8 11.7v.01",
            Icon::Cross => "M4 4l8 8M12 4l-8 8",
            Icon::Info => "M8 2a6 6 0 1 0 0 12A6 6 0 1 0 8 2zM8 7.3V11M8 5v.01",
            Icon::Circle => "M8 4a4 4 0 1 0 0 8 4 4 0 1 0 0-8z",
            Icon::Half => "M8 3a5 5 0 1 0 0 10A5 5 0 1 0 8 3zM8 5.5V8l1.8 1.3",
            Icon::Copy => "M5.5 5.5h8v8h-8zM10.5 5.5v-3h-8v8h3",
            Icon::Arrow => "M3 8h10M9 4l4 4-4 4",
            Icon::Left => "M10 3.5 5.5 8 10 12.5",
            Icon::Right => "M6 3.5 10.5 8 6 12.5",
            Icon::Up => "M8 13V3.5M4 7l4-4 4 4",
            Icon::Down => "M8 3v9.5M4 9l4 4 4-4",
            Icon::Plus => "M8 3v10M3 8h10",
            Icon::Key => "M5.5 7a3.5 3.5 0 1 0 0 .01M8.8 7.5H14.5V10M12 7.5V9.5",
            Icon::Refresh => "M13.5 8a5.5 5.5 0 1 1-1.7-4M13.5 1.8v3h-3",
            Icon::Clock => "M8 2a6 6 0 1 0 0 12A6 6 0 1 0 8 2zM8 4.5V8l2.5 1.5",
            Icon::Outbox => "M2 9.5V13.5h12V9.5M8 10.5V2.5M4.8 5.5 8 2.3l3.2 3.2",
            Icon::Document => "M3.5 1.8h6l3 3v9.4h-9zM9.3 1.8V5h3.2M5.8 8h4.4M5.8 10.8h4.4",
            Icon::Shield => "M8 1.8 13 3.7V8c0 3-2.2 5.2-5 6.2C5.2 13.2 3 11 3 8V3.7zM5.7 8 7.4 9.7 10.5 6.3",
            Icon::Download => "M8 2.5v8M4.8 7.3 8 10.5l3.2-3.2M2.5 13.5h11",
            Icon::Filter => "M2 3.5h12L9.5 8.8V13l-3-1.5V8.8z",
            Icon::External => "M9 2.5h4.5V7M13.5 2.5 7.5 8.5M6.5 3.5h-4v10h10v-4",
        }
    }
}

impl Render for Icon {
    fn render(&self) -> Markup {
        html! {
            svg.icon viewBox="0 0 16 16" width="16" height="16" aria-hidden="true" { path d=(PreEscaped(self.path())); }
        }
    }
}
