//! One figure that matters: what it is, how it changed, how it ran.

use crate::{chart::Sparkline, icon::Icon, view::View, words};
use maud::{Markup, Render, html};

/// Which way is the better one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Better {
    /// More is better: revenue.
    Up,
    /// Less is better: refunds, lag.
    Down,
    /// Neither.
    Neither,
}

/// What a figure was before.
#[derive(Clone, Debug)]
pub struct Change {
    /// The figure before, in the same unit.
    pub before: i64,
    /// The figure now.
    pub now: i64,
    /// Which way is the better one.
    pub better: Better,
    /// What "before" is: "the 7 days before".
    pub than: String,
}

impl Change {
    /// Sign, word and class: `("up", "12.4% more than the day before", "good")`.
    fn read(&self, view: &View) -> (Option<Icon>, String, &'static str) {
        use std::cmp::Ordering;
        let ordering = self.now.cmp(&self.before);
        let class = match (ordering, self.better) {
            (Ordering::Equal, _) | (_, Better::Neither) => "neutral",
            (Ordering::Greater, Better::Up) | (Ordering::Less, Better::Down) => "good",
            _ => "bad",
        };
        let by = words::change_basis_points(self.before, self.now).map(|points| {
            // Tenths of a percent are all that a glance can use, and whole percents from 100 on.
            let points = if points.unsigned_abs() >= 10_000 { points / 100 * 100 } else { points / 10 * 10 };
            words::percent(points.saturating_abs(), view.figures)
        });
        let (icon, direction) = match ordering {
            Ordering::Equal => return (None, format!("same as {}", self.than), class),
            Ordering::Greater => (Icon::Up, "more than"),
            Ordering::Less => (Icon::Down, "less than"),
        };
        let words = match by {
            Some(by) => format!("{by} {direction} {}", self.than),
            None => format!("nothing {}", self.than),
        };
        (Some(icon), words, class)
    }
}

/// A card with one figure.
#[derive(Clone)]
pub struct Stat<'a> {
    /// What it is: "Revenue today".
    pub label: String,
    /// The figure: `money_big(…)`, `count(…)`.
    pub figure: Markup,
    /// How it changed.
    pub change: Option<Change>,
    /// How it ran, oldest first.
    pub trend: Vec<i64>,
    /// A sentence beneath, in place of the change.
    pub remark: Option<Markup>,
    /// Where more of it is.
    pub href: Option<String>,
    /// How the person reads figures.
    pub view: &'a View,
}

impl<'a> Stat<'a> {
    /// A figure with its label.
    pub fn new(label: impl Into<String>, figure: impl Render, view: &'a View) -> Stat<'a> {
        Stat {
            label: label.into(),
            figure: figure.render(),
            change: None,
            trend: Vec::new(),
            remark: None,
            href: None,
            view,
        }
    }

    /// Adds how it changed.
    pub fn change(mut self, change: Change) -> Self {
        self.change = Some(change);
        self
    }

    /// Adds how it ran, oldest first.
    pub fn trend(mut self, trend: Vec<i64>) -> Self {
        self.trend = trend;
        self
    }

    /// Adds a sentence beneath.
    pub fn remark(mut self, remark: impl Render) -> Self {
        self.remark = Some(remark.render());
        self
    }

    /// Makes the card lead somewhere.
    pub fn href(mut self, href: impl Into<String>) -> Self {
        self.href = Some(href.into());
        self
    }
}

impl Render for Stat<'_> {
    fn render(&self) -> Markup {
        let change = self.change.as_ref().map(|change| change.read(self.view));
        html! {
            div.stat {
                p.stat-label {
                    @match &self.href { Some(href) => a href=(href) { (self.label) }, None => (self.label) }
                }
                p.stat-figure { (self.figure) }
                @if let Some((icon, words, class)) = &change {
                    p.stat-change.(class) { @if let Some(icon) = icon { (icon) } span { (words) } }
                }
                @if let Some(remark) = &self.remark { p.stat-remark { (remark) } }
                @if self.trend.len() > 1 { (Sparkline { values: &self.trend }) }
            }
        }
    }
}

/// A row of figures.
pub fn stats(cards: &[Stat<'_>]) -> Markup {
    html! { div.stats { @for card in cards { (card) } } }
}

#[cfg(test)]
mod tests {
    use super::*;
    use kit::Time;

    #[test]
    fn changes_are_told_in_words_and_judged_by_what_is_better() {
        let view = View::utc(Time::default());
        let check = |before, now, better, text: &str, class: &str| {
            let change = Change { before, now, better, than: "the day before".to_owned() };
            let (_, words, read_class) = change.read(&view);
            assert_eq!((words.as_str(), read_class), (text, class));
        };
        check(1_000, 1_124, Better::Up, "12.4% more than the day before", "good");
        check(1_000, 900, Better::Up, "10% less than the day before", "bad");
        check(1_000, 900, Better::Down, "10% less than the day before", "good");
        check(1_000, 5_555, Better::Neither, "455% more than the day before", "neutral");
        check(5, 5, Better::Up, "same as the day before", "neutral");
        check(0, 5, Better::Up, "nothing the day before", "good");
        check(i64::MIN, i64::MAX, Better::Up, "199% more than the day before", "good");
    }
}
