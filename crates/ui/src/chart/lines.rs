//! Lines for rates, broken where nothing is known.

use super::{Chart, Scale, frame};
use maud::{Markup, html};

/// An axis that holds every value, and zero unless the chart says that it is zoomed in.
pub(super) fn scale(chart: &Chart<'_>) -> Scale {
    let values = || chart.series.iter().chain(&chart.previous).flat_map(|series| series.values.iter().flatten());
    let (low, high) = (values().copied().min().unwrap_or(0), values().copied().max().unwrap_or(0));
    if chart.zoomed { Scale::between(low, high, chart.unit, 4) } else { Scale::new(low, high, chart.unit, 4) }
}

/// The lines, and for each period a column that answers to the pointer and shows its points.
pub(super) fn marks(chart: &Chart<'_>, scale: &Scale) -> Markup {
    let count = chart.periods.len();
    let band = 100.0 / count as f64;
    html! {
        @if let Some(previous) = &chart.previous { (frame::line(scale, &previous.values, count, "previous")) }
        @for (part, series) in chart.series.iter().enumerate() {
            (frame::line(scale, &series.values, count, &frame::class(chart, part)))
        }
        @for index in 0..count {
            g.point tabindex=(if index + 1 == count { "0" } else { "-1" }) role="img" {
                title { (frame::told(chart, index)) }
                rect.hit x={ (format!("{:.3}", index as f64 * band)) "%" } width={ (format!("{band:.3}")) "%" }
                    y="0" height=(frame::TOP_PX + frame::PLOT_PX) {}
                @for (part, value) in chart.series.iter().enumerate().filter_map(|(part, series)| Some((part, series.at(index)?))) {
                    circle.dot.(frame::class(chart, part)) cx={ (format!("{:.3}", frame::middle(index, count))) "%" }
                        cy=(format!("{:.1}", frame::y(scale, value))) r="3.5" {}
                }
            }
        }
    }
}

/// The height of each series' last known value.
pub(super) fn end_heights(chart: &Chart<'_>, scale: &Scale) -> Vec<f64> {
    let last = |values: &[Option<i64>]| values.iter().rev().flatten().next().copied().unwrap_or(0);
    chart.series.iter().map(|series| frame::y(scale, last(&series.values))).collect()
}
