//! Bars by period, stacked where there are several series; what is negative hangs below the zero line.

use super::{Chart, Scale, frame};
use maud::{Markup, html};

/// Gap between two parts of a stack, in pixels.
const GAP_PX: f64 = 1.0;

/// An axis that holds every stack and the period before.
pub(super) fn scale(chart: &Chart<'_>) -> Scale {
    let mut ends = vec![0];
    for index in 0..chart.periods.len() {
        ends.extend(segments(chart, index).into_iter().flatten().flat_map(|(from, to)| [from, to]));
    }
    if let Some(previous) = &chart.previous {
        ends.extend(previous.values.iter().flatten());
    }
    let (low, high) = (ends.iter().copied().min().unwrap_or(0), ends.iter().copied().max().unwrap_or(0));
    Scale::new(low, high, chart.unit, 4)
}

/// From where to where each series' part of a period's stack reaches; nothing where there is no value.
fn segments(chart: &Chart<'_>, index: usize) -> Vec<Option<(i64, i64)>> {
    let (mut above, mut below) = (0_i64, 0_i64);
    let mut segments = Vec::with_capacity(chart.series.len());
    for series in &chart.series {
        segments.push(series.at(index).map(|value| {
            let end = if value >= 0 { &mut above } else { &mut below };
            let from = *end;
            *end = end.saturating_add(value);
            (from, *end)
        }));
    }
    segments
}

/// The bars, each period with a column over the whole height that answers to the pointer.
pub(super) fn marks(chart: &Chart<'_>, scale: &Scale) -> Markup {
    let count = chart.periods.len();
    let band = 100.0 / count as f64;
    let width = band * share_of_band(count);
    let several = chart.series.len() > 1;
    html! {
        @for index in 0..count {
            @let left = index as f64 * band;
            @let last = index + 1 == count;
            g.point.partial[last && chart.last_is_partial] tabindex=(if last { "0" } else { "-1" }) role="img" {
                title { (frame::told(chart, index)) }
                rect.hit x={ (format!("{left:.3}")) "%" } width={ (format!("{band:.3}")) "%" } y="0" height=(frame::TOP_PX + frame::PLOT_PX) {}
                @for (part, segment) in segments(chart, index).into_iter().enumerate() {
                    @if let Some((from, to)) = segment.filter(|(from, to)| from != to) {
                        @let (top, bottom) = (frame::y(scale, from.max(to)), frame::y(scale, from.min(to)));
                        @let height = (bottom - top - if several { GAP_PX } else { 0.0 }).max(1.0);
                        rect.bar.(frame::class(chart, part)) x={ (format!("{:.3}", left + (band - width) / 2.0)) "%" }
                            width={ (format!("{width:.3}")) "%" } y=(format!("{top:.1}")) height=(format!("{height:.1}"))
                            rx=[(!several).then_some("2")] {}
                    }
                }
            }
        }
        @if let Some(previous) = &chart.previous {
            // A light edge keeps the thin line in sight where it crosses a bar.
            (frame::line(scale, &previous.values, count, "halo"))
            (frame::line(scale, &previous.values, count, "previous"))
        }
    }
}

/// How much of a period's width its bar takes: a few bars are not made into blocks.
fn share_of_band(count: usize) -> f64 {
    match count {
        0..=2 => 0.16,
        3..=4 => 0.24,
        5..=8 => 0.36,
        9..=16 => 0.5,
        17..=100 => 0.66,
        _ => 0.8,
    }
}

/// The middle of each series' part of the last stack.
pub(super) fn end_heights(chart: &Chart<'_>, scale: &Scale) -> Vec<f64> {
    let last = chart.periods.len().saturating_sub(1);
    let zero = frame::y(scale, 0);
    segments(chart, last)
        .into_iter()
        .map(|segment| segment.map_or(zero, |(from, to)| f64::midpoint(frame::y(scale, from), frame::y(scale, to))))
        .collect()
}
