//! A line the size of a word: how a figure ran, without numbers.

use maud::{Markup, Render, html};

/// How a figure ran, oldest first, drawn over zero. It is decoration beside a figure and its change in words.
#[derive(Clone, Copy, Debug)]
pub struct Sparkline<'a> {
    /// The values, of which the latest 400 are drawn.
    pub values: &'a [i64],
}

const HEIGHT_PX: f64 = 36.0;
const EDGE_PX: f64 = 3.0;

impl Render for Sparkline<'_> {
    fn render(&self) -> Markup {
        let values = &self.values[self.values.len().saturating_sub(super::MAX_PERIODS)..];
        let low = values.iter().copied().min().unwrap_or(0).min(0) as f64;
        let high = values.iter().copied().max().unwrap_or(0).max(0) as f64;
        let y = |value: i64| {
            let share = if high > low { (value as f64 - low) / (high - low) } else { 0.0 };
            EDGE_PX + (1.0 - share) * (HEIGHT_PX - 2.0 * EDGE_PX)
        };
        let step = 1_000.0 / values.len().saturating_sub(1).max(1) as f64;
        let points: Vec<String> = values
            .iter()
            .enumerate()
            .map(|(index, value)| format!("{:.1} {:.1}", index as f64 * step, y(*value)))
            .collect();
        let Some(last) = values.last() else { return Markup::default() };
        let line = format!("M{}", points.join("L"));
        html! {
            svg.spark width="100%" height=(HEIGHT_PX) aria-hidden="true" {
                svg viewBox={ "0 0 1000 " (HEIGHT_PX) } width="100%" height=(HEIGHT_PX) preserveAspectRatio="none" {
                    path.area d={ (line) "L1000 " (format!("{:.1}", y(0))) "L0 " (format!("{:.1}", y(0))) "Z" } {}
                    path.line d=(line) vector-effect="non-scaling-stroke" {}
                }
                circle.dot cx="100%" cy=(format!("{:.1}", y(*last))) r="3" {}
            }
        }
    }
}
