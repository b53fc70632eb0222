//! Labels with values, and the boxes that content stands in.

use maud::{Markup, Render, html};

/// A list of labels and values, as at the head of a detail page.
#[derive(Clone, Default)]
pub struct Definitions {
    /// Label and value, in order of importance.
    pub items: Vec<(String, Markup)>,
}

impl Definitions {
    /// An empty list.
    pub fn new() -> Definitions {
        Definitions::default()
    }

    /// Adds a label with its value.
    pub fn item(mut self, label: impl Into<String>, value: impl Render) -> Definitions {
        self.items.push((label.into(), value.render()));
        self
    }
}

impl Render for Definitions {
    fn render(&self) -> Markup {
        html! {
            dl.definitions { @for (label, value) in &self.items { div { dt { (label) } dd { (value) } } } }
        }
    }
}

/// A box with a heading.
pub fn card(title: &str, body: impl Render) -> Markup {
    html! { section.card { h2 { (title) } (body) } }
}

/// A box without a heading, for what carries its own, such as a chart.
pub fn panel(body: impl Render) -> Markup {
    html! { section.card { (body) } }
}

/// A part of a page with a heading, a remark or small action at its right, and no box of its own.
pub fn section(title: &str, aside: impl Render, body: impl Render) -> Markup {
    html! { section.section { header { h2 { (title) } div.aside { (aside) } } (body) } }
}

/// Boxes side by side where there is room, one above the other where there is not.
pub fn columns(boxes: &[Markup]) -> Markup {
    html! { div.columns { @for inside in boxes { (inside) } } }
}
