//! Charts as SVG made on the server: bars for amounts by period, lines for rates, sparklines.
//!
//! Places along the width are percentages and along the height pixels, so that a chart fits any screen without its
//! words growing or shrinking. Every period can be reached by arrow keys, and behind every chart stands a table.

mod bars;
mod frame;
mod lines;
mod parts;
mod scale;
mod spark;

pub use parts::{MAX_PARTS, REST_NAME, largest_parts};
pub use scale::{Scale, Unit, named_periods, spread};
pub use spark::Sparkline;

use crate::{component::Empty, icon::Icon, view::View};
use maud::{Markup, Render};

/// The most periods that one chart shows; of more, the latest. Group by a longer period before that.
pub const MAX_PERIODS: usize = 400;

/// One period along the width.
#[derive(Clone, Debug)]
pub struct Period {
    /// Its name in full: "12 Nov 2026".
    pub name: String,
    /// Its name under the axis: "12 Nov".
    pub short: String,
}

impl Period {
    /// A period with a name in full and a short one.
    pub fn new(name: impl Into<String>, short: impl Into<String>) -> Period {
        Period { name: name.into(), short: short.into() }
    }
}

/// One row of values, one for each period; nothing where none is known.
#[derive(Clone, Debug)]
pub struct Series {
    /// What it is.
    pub name: String,
    /// Its values, oldest first.
    pub values: Vec<Option<i64>>,
}

impl Series {
    /// A series whose every value is known.
    pub fn new(name: impl Into<String>, values: impl IntoIterator<Item = i64>) -> Series {
        Series { name: name.into(), values: values.into_iter().map(Some).collect() }
    }

    /// A series with gaps.
    pub fn with_gaps(name: impl Into<String>, values: Vec<Option<i64>>) -> Series {
        Series { name: name.into(), values }
    }

    pub(crate) fn at(&self, index: usize) -> Option<i64> {
        self.values.get(index).copied().flatten()
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Bars,
    Lines,
}

/// A chart over periods of one length.
#[derive(Clone)]
pub struct Chart<'a> {
    id: String,
    title: String,
    unit: Unit,
    kind: Kind,
    periods: Vec<Period>,
    series: Vec<Series>,
    previous: Option<Series>,
    last_is_partial: bool,
    zoomed: bool,
    empty: Empty,
    view: &'a View,
}

impl<'a> Chart<'a> {
    /// Amounts by period. Several series are stacked: the six largest, and the others together.
    pub fn bars(id: &str, title: &str, unit: Unit, periods: Vec<Period>, view: &'a View) -> Chart<'a> {
        Chart::new(Kind::Bars, id, title, unit, periods, view)
    }

    /// Rates over time. Of more than six series the six with the largest values are drawn.
    pub fn lines(id: &str, title: &str, unit: Unit, periods: Vec<Period>, view: &'a View) -> Chart<'a> {
        Chart::new(Kind::Lines, id, title, unit, periods, view)
    }

    fn new(kind: Kind, id: &str, title: &str, unit: Unit, periods: Vec<Period>, view: &'a View) -> Chart<'a> {
        Chart {
            id: id.to_owned(),
            title: title.to_owned(),
            unit,
            kind,
            periods,
            series: Vec::new(),
            previous: None,
            last_is_partial: false,
            zoomed: false,
            empty: Empty::new("Nothing in this period", "Choose a longer period, or wait for the first figures.")
                .icon(Icon::Revenue),
            view,
        }
    }

    /// Adds a series.
    pub fn series(mut self, series: Series) -> Self {
        self.series.push(series);
        self
    }

    /// Adds what was in the period before, drawn as a thin line; its name says which period that was.
    pub fn previous(mut self, previous: Series) -> Self {
        self.previous = Some(previous);
        self
    }

    /// Says that the last period is not over yet.
    pub fn last_is_partial(mut self) -> Self {
        self.last_is_partial = true;
        self
    }

    /// Lets the axis of lines begin above zero, and says so; bars always stand on zero.
    pub fn zoomed(mut self) -> Self {
        self.zoomed = self.kind == Kind::Lines;
        self
    }

    /// What stands there without any value.
    pub fn empty(mut self, empty: Empty) -> Self {
        self.empty = empty;
        self
    }

    /// The same chart with the latest periods only, and no more parts than can be told apart.
    fn bounded(&self) -> Chart<'a> {
        let mut bounded = self.clone();
        let surplus = self.periods.len().saturating_sub(MAX_PERIODS);
        bounded.periods.drain(..surplus);
        for series in bounded.series.iter_mut().chain(&mut bounded.previous) {
            series.values.drain(..surplus.min(series.values.len()));
        }
        bounded.series = largest_parts(bounded.series, self.kind == Kind::Bars);
        bounded
    }
}

impl Render for Chart<'_> {
    fn render(&self) -> Markup {
        let chart = self.bounded();
        match self.kind {
            Kind::Bars => frame::render(&chart, &bars::scale(&chart), bars::marks, bars::end_heights),
            Kind::Lines => frame::render(&chart, &lines::scale(&chart), lines::marks, lines::end_heights),
        }
    }
}
