//! The console's shell: a page's frame, its components, its charts and the files they need.
//!
//! Plain data in, [`maud::Markup`] out. Nothing here knows a slice, a database or a session, reads a clock, or
//! decides anything about money; and every page works with scripts switched off.
//!
//! ```
//! use ui::{Frame, NavEntry, Icon, Page, Tone, View, component::*};
//! use kit::{Environment, Time};
//!
//! let view = View::utc(Time::from_seconds(1_763_718_067));
//! let mut frame = Frame::new("Acme GmbH", Environment::Test, view.clone());
//! frame.navigation = vec![NavEntry::new("Inbox", "/inbox", Icon::Inbox)];
//! let rows = Table::new("Events", vec![Column::text("Type"), Column::number("Tries")])
//!     .row(Row::new(vec![text("charge.succeeded"), count(1, &view)]).href("/inbox/evt_1"))
//!     .empty(Empty::new("No events yet", "They appear here as soon as Stripe sends one."));
//! let page = Page::new("Inbox", &frame)
//!     .state(Tone::Good, "Every event is processed, the last one 14 s ago")
//!     .active("/inbox")
//!     .body(maud::html! { (rows) });
//! assert!(page.render().into_string().contains("charge.succeeded"));
//! ```

extern crate self as ui;

pub mod assets;
pub mod chart;
pub mod component;
pub mod icon;
pub mod layout;
pub mod live;
pub mod samples;
pub mod view;
pub mod words;

pub use assets::assets_router;
pub use component::Tone;
pub use icon::Icon;
pub use layout::{Frame, NavEntry, Page, Person, SignIn};
pub use live::LiveUpdate;
pub use maud::{Markup, PreEscaped, Render, html};
pub use view::{Figures, Theme, View};
