//! What all charts have around them: title, axis, grid, names under the axis, names at the ends, and the table behind.

use super::{Chart, REST_NAME, Scale, scale};
use crate::component::{Column, Row, Table, none, text};
use maud::{Markup, Render, html};

/// Height of the part in which values are drawn, in pixels.
pub(super) const PLOT_PX: f64 = 200.0;
/// Room above it, so that the topmost tick's label is whole.
pub(super) const TOP_PX: f64 = 8.0;
const HEIGHT_PX: f64 = TOP_PX + PLOT_PX + 24.0;
/// Width of one character of an axis' label, for the room it needs.
const CHARACTER_PX: usize = 7;

/// Height of a value in the picture, in pixels from its top.
pub(super) fn y(scale: &Scale, value: i64) -> f64 {
    TOP_PX + (1.0 - scale.share(value)) * PLOT_PX
}

/// Middle of a period, as a percentage of the width.
pub(super) fn middle(index: usize, count: usize) -> f64 {
    (index as f64 + 0.5) * 100.0 / count.max(1) as f64
}

/// Class of a series: its colour.
pub(super) fn class(chart: &Chart<'_>, index: usize) -> String {
    if chart.series[index].name == REST_NAME { "rest".to_owned() } else { format!("s{}", index + 1) }
}

/// A line through values, broken where one is missing; single values get a short dash so that they are seen.
pub(super) fn line(scale: &Scale, values: &[Option<i64>], count: usize, class: &str) -> Markup {
    let mut path = String::new();
    let mut drawing = false;
    for (index, value) in values.iter().take(count).enumerate() {
        let Some(value) = value else {
            drawing = false;
            continue;
        };
        let (x, y) = (middle(index, count) * 10.0, y(scale, *value));
        let alone = !drawing && values.get(index + 1).copied().flatten().is_none();
        match (drawing, alone) {
            (true, _) => path.push_str(&format!("L{x:.1} {y:.1}")),
            (false, true) => path.push_str(&format!("M{:.1} {y:.1}h4", x - 2.0)),
            (false, false) => path.push_str(&format!("M{x:.1} {y:.1}")),
        }
        drawing = true;
    }
    html! {
        svg viewBox={ "0 0 1000 " (HEIGHT_PX) } width="100%" height=(HEIGHT_PX) preserveAspectRatio="none" {
            path.line.(class) d=(path) vector-effect="non-scaling-stroke" {}
        }
    }
}

/// What is said of one period: its name, then each value.
pub(super) fn told(chart: &Chart<'_>, index: usize) -> String {
    let figures = chart.view.figures;
    let mut lines = vec![chart.periods[index].name.clone()];
    if chart.last_is_partial && index + 1 == chart.periods.len() {
        lines[0].push_str(", so far");
    }
    let alone = chart.series.len() == 1;
    for series in &chart.series {
        let value = series.at(index).map_or("unknown".to_owned(), |value| chart.unit.write_named(value, figures));
        lines.push(if alone { value } else { format!("{}: {value}", series.name) });
    }
    if let Some((previous, value)) = chart.previous.as_ref().and_then(|series| Some((series, series.at(index)?))) {
        lines.push(format!("{}: {}", previous.name, chart.unit.write_named(value, figures)));
    }
    lines.join("\n")
}

/// The whole figure. `marks` draws the values; `end_heights` tells where each series ends at the right.
pub(super) fn render(
    chart: &Chart<'_>,
    scale: &Scale,
    marks: fn(&Chart<'_>, &Scale) -> Markup,
    end_heights: fn(&Chart<'_>, &Scale) -> Vec<f64>,
) -> Markup {
    let nothing = !chart.series.iter().any(|series| series.values.iter().any(Option::is_some));
    let caption = html! {
        figcaption {
            span.chart-title { (chart.title) }
            @if let Some(name) = chart.unit.name() { span.chart-unit { (name) } }
            @if let (true, Some(lowest)) = (chart.zoomed, scale.ticks.first().filter(|lowest| **lowest != 0)) {
                span.chart-unit { "axis from " (scale.label(*lowest, chart.unit, chart.view.figures)) }
            }
            @if let (Some(previous), false) = (&chart.previous, nothing) {
                span.chart-key { svg width="16" height="8" aria-hidden="true" { path.line.previous d="M0 4h16" {} } (previous.name) }
            }
        }
    };
    if nothing || chart.periods.is_empty() {
        return html! { figure.chart #(chart.id) { (caption) (chart.empty) } };
    }
    let several = chart.series.len() > 1;
    html! {
        figure.chart.several[several] #(chart.id) data-chart {
            (caption)
            @if several { (legend(chart)) }
            div.chart-body {
                (axis(chart, scale))
                div.chart-plot data-plot {
                    svg width="100%" height=(HEIGHT_PX) role="group" aria-label={ (chart.title) ", by period; arrow keys move" } {
                        (grid(scale))
                        (marks(chart, scale))
                        (period_names(chart))
                    }
                }
                @if several { (end_names(chart, &end_heights(chart, scale))) }
            }
            details.chart-table { summary { "Show as a table" } (table(chart)) }
        }
    }
}

fn axis(chart: &Chart<'_>, scale: &Scale) -> Markup {
    let labels: Vec<String> =
        scale.ticks.iter().map(|tick| scale.label(*tick, chart.unit, chart.view.figures)).collect();
    let width = labels.iter().map(|label| label.chars().count()).max().unwrap_or(1) * CHARACTER_PX + 10;
    html! {
        svg.chart-axis width=(width) height=(HEIGHT_PX) aria-hidden="true" {
            @for (tick, label) in scale.ticks.iter().zip(&labels) {
                text x=(width - 8) y={ (format!("{:.1}", y(scale, *tick) + 4.0)) } text-anchor="end" { (label) }
            }
        }
    }
}

fn grid(scale: &Scale) -> Markup {
    html! {
        @for tick in &scale.ticks {
            // Half pixels make a line of one pixel sharp.
            @let place = format!("{:.1}", y(scale, *tick).round() + 0.5);
            line.grid.zero[*tick == 0] x1="0" x2="100%" y1=(place) y2=(place) {}
        }
    }
}

fn period_names(chart: &Chart<'_>) -> Markup {
    let count = chart.periods.len();
    let named = scale::named_periods(count, 5);
    let y = HEIGHT_PX - 4.0;
    html! {
        g.periods aria-hidden="true" {
            @for (position, index) in named.iter().enumerate() {
                @let (anchor, x) = match position {
                    // Many periods: the first and last name would stick out beyond the plot if centred.
                    0 if count > 8 => ("start", 0.0),
                    last if last + 1 == named.len() && count > 8 => ("end", 100.0),
                    _ => ("middle", middle(*index, count)),
                };
                @let between = position > 0 && position + 1 < named.len();
                text.between[between] x={ (format!("{x:.2}")) "%" } y=(y) text-anchor=(anchor) { (chart.periods[*index].short) }
            }
        }
    }
}

fn legend(chart: &Chart<'_>) -> Markup {
    html! {
        ul.chart-legend {
            @for (index, series) in chart.series.iter().enumerate() {
                li { svg width="10" height="10" aria-hidden="true" { rect.bar.(class(chart, index)) width="10" height="10" rx="2" {} } (series.name) }
            }
        }
    }
}

/// Names beside the last value of each series; at phone width the legend stands in for them.
fn end_names(chart: &Chart<'_>, heights: &[f64]) -> Markup {
    let places = scale::spread(heights, 15.0, TOP_PX + 6.0, TOP_PX + PLOT_PX - 2.0);
    let longest = chart.series.iter().map(|series| series.name.chars().count()).max().unwrap_or(0);
    let shown = longest.min(22);
    html! {
        svg.chart-ends width=(shown * CHARACTER_PX + 22) height=(HEIGHT_PX) aria-hidden="true" {
            @for (index, (series, place)) in chart.series.iter().zip(&places).enumerate() {
                @let name: String = if series.name.chars().count() > shown {
                    series.name.chars().take(shown - 1).chain(['…']).collect()
                } else { series.name.clone() };
                rect.bar.(class(chart, index)) x="6" y=(format!("{:.1}", place - 4.0)) width="8" height="8" rx="2" {}
                text x="19" y=(format!("{:.1}", place + 4.0)) { (name) }
            }
        }
    }
}

fn table(chart: &Chart<'_>) -> Markup {
    let unit = chart.unit.name().map_or(String::new(), |name| format!(", {name}"));
    let rows: Vec<_> = chart.series.iter().chain(&chart.previous).collect();
    let mut columns = vec![Column::text("Period")];
    columns.extend(rows.iter().map(|series| Column::number(format!("{}{unit}", series.name))));
    Table::new(chart.title.clone(), columns)
        .rows(chart.periods.iter().enumerate().map(|(index, period)| {
            let mut cells = vec![text(&period.name)];
            cells.extend(rows.iter().map(|series| match series.at(index) {
                Some(value) => text(chart.unit.write(value, chart.view.figures)),
                None => none(),
            }));
            Row::new(cells)
        }))
        .render()
}
