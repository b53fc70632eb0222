//! Time cut into spans of which different things are known, one bar for each of several things, on one scale.
//!
//! The scale is that of memory: an hour ago and a year ago are both there to be seen. A filling says what is known, so
//! that nothing depends on colour; a table behind it says the same in words.

use crate::{view::View, words};
use kit::Time;
use maud::{Markup, Render, html};
use std::time::Duration;

/// How a span is filled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fill {
    /// Full: known.
    Solid,
    /// Dotted: likely.
    Dots,
    /// Hatched: a hole.
    Hatch,
    /// An empty frame: not asked for.
    Hollow,
}

impl Fill {
    /// All of them, for keys and samples.
    pub const ALL: [Fill; 4] = [Fill::Solid, Fill::Dots, Fill::Hatch, Fill::Hollow];

    fn class(self) -> &'static str {
        match self {
            Fill::Solid => "span-solid",
            Fill::Dots => "span-dots",
            Fill::Hatch => "span-hatch",
            Fill::Hollow => "span-hollow",
        }
    }
}

/// One span of a bar.
#[derive(Clone)]
pub struct TimeSpan {
    /// When it begins; none for the beginning of all.
    pub from: Option<Time>,
    /// When it ends.
    pub until: Time,
    /// How it is filled.
    pub fill: Fill,
    /// What it means, in a few words.
    pub words: String,
}

/// One bar.
#[derive(Clone)]
pub struct TimeBar {
    /// What it is of.
    pub label: String,
    /// How it stands, beside the label.
    pub state: Markup,
    /// What there is to say or do about it, beneath; may be empty.
    pub note: Markup,
    /// Its spans, oldest first.
    pub spans: Vec<TimeSpan>,
}

/// Bars on one scale.
#[derive(Clone)]
pub struct TimeBars<'a> {
    /// What they show; the name of the table behind.
    pub title: String,
    /// What each filling means here.
    pub key: Vec<(Fill, String)>,
    /// The bars.
    pub bars: Vec<TimeBar>,
    /// How the person reads times; its `now` is the right end.
    pub view: &'a View,
}

/// Where the scale ends on the left if nothing is older.
const SHORTEST: Duration = Duration::from_secs(30 * 86_400);
/// Marks of the scale, with how long ago they are.
const MARKS: [(u64, &str); 5] = [
    (3_600, "an hour ago"),
    (86_400, "a day ago"),
    (30 * 86_400, "a month ago"),
    (365 * 86_400, "a year ago"),
    (5 * 365 * 86_400, "5 years ago"),
];

impl TimeBars<'_> {
    /// The oldest time that has to be told from the beginning, and half as much again.
    fn reach(&self) -> Duration {
        let times = self.bars.iter().flat_map(|bar| &bar.spans).flat_map(|span| [span.from, Some(span.until)]);
        let oldest = times.flatten().map(|at| self.view.now.since(at)).max().unwrap_or_default();
        oldest.max(SHORTEST) * 3 / 2
    }

    /// Where a time stands, in thousandths from the left.
    fn place(&self, at: Option<Time>, reach: Duration) -> u32 {
        let Some(at) = at else { return 0 };
        place_of(self.view.now.since(at), reach)
    }
}

/// Where an age stands on a scale that is even in its logarithm: thousandths from the left, 1000 for now.
fn place_of(age: Duration, reach: Duration) -> u32 {
    let minutes = |length: Duration| (1.0 + length.as_secs_f64() / 60.0).ln();
    let share = minutes(age) / minutes(reach).max(f64::MIN_POSITIVE);
    1_000 - (share.clamp(0.0, 1.0) * 1_000.0).round() as u32
}

fn percent(thousandths: u32) -> String {
    format!("{}.{}%", thousandths / 10, thousandths % 10)
}

impl Render for TimeBars<'_> {
    fn render(&self) -> Markup {
        let reach = self.reach();
        html! {
            figure.time-bars {
                (patterns())
                ul.time-key { @for (fill, words) in &self.key { li { (swatch(*fill)) (words) } } }
                div.time-axis aria-hidden="true" { (axis(reach)) }
                ul.time-rows { @for bar in &self.bars { li { (self.bar(bar, reach)) } } }
                details.chart-table {
                    summary { "As a table" }
                    div.table-box { (self.table()) }
                }
            }
        }
    }
}

impl TimeBars<'_> {
    fn bar(&self, bar: &TimeBar, reach: Duration) -> Markup {
        let said: Vec<String> = bar.spans.iter().map(|span| self.in_words(span)).collect();
        html! {
            p.time-label { strong { (bar.label) } " " (bar.state) }
            svg.time-bar role="img" aria-label=(format!("{}: {}", bar.label, said.join("; "))) {
                @for (span, said) in bar.spans.iter().zip(&said) {
                    @let (from, until) = (self.place(span.from, reach), self.place(Some(span.until), reach));
                    @if until > from {
                        rect.(span.fill.class()) x=(percent(from)) y="1" width=(percent(until - from)) height="14" {
                            title { (said) }
                        }
                    }
                }
            }
            div.time-note { (bar.note) }
        }
    }

    fn in_words(&self, span: &TimeSpan) -> String {
        let from = span.from.map_or_else(|| "from the beginning".to_owned(), |at| words::exact(at, &self.view.zone));
        let until =
            if span.until >= self.view.now { "now".to_owned() } else { words::exact(span.until, &self.view.zone) };
        format!("{from} to {until}: {}", span.words)
    }

    fn table(&self) -> Markup {
        html! {
            table {
                caption.sr { (self.title) }
                thead { tr { th scope="col" { "Kind" } th scope="col" { "From" } th scope="col" { "To" } th scope="col" { "What is known" } } }
                tbody {
                    @for bar in &self.bars {
                        @for span in &bar.spans {
                            tr {
                                td { (bar.label) }
                                td { @match span.from {
                                    Some(at) => (words::exact(at, &self.view.zone)),
                                    None => "the beginning",
                                } }
                                td { @if span.until >= self.view.now { "now" } @else { (words::exact(span.until, &self.view.zone)) } }
                                td { (span.words) }
                            }
                        }
                    }
                }
            }
        }
    }
}

/// The fillings, once for all bars of a figure.
fn patterns() -> Markup {
    html! {
        svg.time-patterns width="0" height="0" aria-hidden="true" {
            defs {
                pattern #time-dots width="5" height="5" patternUnits="userSpaceOnUse" {
                    rect.time-dots-ground width="5" height="5" {}
                    circle.time-dots-ink cx="2.5" cy="2.5" r="1.2" {}
                }
                pattern #time-hatch width="6" height="6" patternUnits="userSpaceOnUse" patternTransform="rotate(45)" {
                    rect.time-hatch-ground width="6" height="6" {}
                    rect.time-hatch-ink width="2.5" height="6" {}
                }
            }
        }
    }
}

fn swatch(fill: Fill) -> Markup {
    html! { svg.time-swatch width="28" height="14" aria-hidden="true" { rect.(fill.class()) x="1" y="1" width="26" height="12" {} } }
}

fn axis(reach: Duration) -> Markup {
    let marks = MARKS.iter().filter(|(age, _)| Duration::from_secs(*age) < reach).map(|(age, words)| {
        let place = place_of(Duration::from_secs(*age), reach);
        (place, *words)
    });
    html! {
        svg {
            text x="0%" y="11" { "beginning" }
            // Near the left end the words would stand on one another.
            @for (place, words) in marks.filter(|(place, _)| *place > 130) {
                line.between x1=(percent(place)) x2=(percent(place)) y1="14" y2="18" {}
                text.between x=(percent(place)) y="11" text-anchor="middle" { (words) }
            }
            text x="100%" y="11" text-anchor="end" { "now" }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_age_has_its_place_and_the_recent_past_is_wide() {
        let reach = Duration::from_secs(2 * 365 * 86_400);
        let check = |seconds: u64, place| assert_eq!(place_of(Duration::from_secs(seconds), reach), place, "{seconds}");
        check(0, 1_000);
        check(15 * 60, 800);
        check(3_600, 704);
        check(86_400, 475);
        check(30 * 86_400, 230);
        check(2 * 365 * 86_400, 0);
        check(u64::from(u32::MAX), 0);
    }
}
