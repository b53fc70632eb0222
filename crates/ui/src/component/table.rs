//! Tables: right-aligned figures, a head that stays, rows that open their detail, and words where there is nothing.

use super::{Empty, Tone};
use maud::{Markup, Render, html};

/// How a column's cells stand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Align {
    /// At the left: text.
    Start,
    /// At the right, with tabular digits: figures.
    End,
}

/// One column. A column of money names its currency here, once.
#[derive(Clone, Debug)]
pub struct Column {
    /// Its head: "Amount, USD".
    pub head: String,
    /// How its cells stand.
    pub align: Align,
    /// Left out at phone width.
    pub minor: bool,
    /// Takes the width that is left over.
    pub wide: bool,
}

impl Column {
    /// A column of text.
    pub fn text(head: impl Into<String>) -> Column {
        Column { head: head.into(), align: Align::Start, minor: false, wide: false }
    }

    /// A column of figures.
    pub fn number(head: impl Into<String>) -> Column {
        Column { head: head.into(), align: Align::End, minor: false, wide: false }
    }

    /// Leaves the column out at phone width.
    pub fn minor(mut self) -> Column {
        self.minor = true;
        self
    }

    /// Gives the column the width that is left over.
    pub fn wide(mut self) -> Column {
        self.wide = true;
        self
    }

    fn class(&self) -> Option<String> {
        let classes: Vec<&str> = [(self.align == Align::End, "end"), (self.minor, "minor"), (self.wide, "wide")]
            .into_iter()
            .filter_map(|(holds, class)| holds.then_some(class))
            .collect();
        (!classes.is_empty()).then(|| classes.join(" "))
    }
}

/// One row.
#[derive(Clone, Default)]
pub struct Row {
    cells: Vec<Markup>,
    href: Option<String>,
    id: Option<String>,
    tone: Option<Tone>,
    selected: bool,
    total: bool,
}

impl Row {
    /// A row of one cell per column.
    pub fn new(cells: Vec<Markup>) -> Row {
        Row { cells, ..Row::default() }
    }

    /// Where the row leads: its first cell becomes the link, and the whole row answers to a click.
    pub fn href(mut self, href: impl Into<String>) -> Row {
        self.href = Some(href.into());
        self
    }

    /// Gives the row an id, to be linked to or replaced.
    pub fn id(mut self, id: impl Into<String>) -> Row {
        self.id = Some(id.into());
        self
    }

    /// Marks the row's edge. The state must also stand in a cell as a word.
    pub fn tone(mut self, tone: Tone) -> Row {
        self.tone = Some(tone);
        self
    }

    /// Marks the row whose detail is shown.
    pub fn selected(mut self, selected: bool) -> Row {
        self.selected = selected;
        self
    }

    /// Sets the row apart as the total of those above.
    pub fn total(mut self) -> Row {
        self.total = true;
        self
    }

    fn class(&self) -> Option<String> {
        let classes: Vec<&str> = [
            (self.href.is_some(), "linked"),
            (self.selected, "selected"),
            (self.total, "total"),
            (self.tone.is_some(), self.tone.unwrap_or_default().class()),
        ]
        .into_iter()
        .filter_map(|(holds, class)| holds.then_some(class))
        .collect();
        (!classes.is_empty()).then(|| classes.join(" "))
    }
}

/// A table.
#[derive(Clone)]
pub struct Table {
    caption: String,
    columns: Vec<Column>,
    rows: Vec<Row>,
    empty: Option<Empty>,
    caption_shown: bool,
}

impl Table {
    /// A table without rows yet. The caption says what it lists; screen readers hear it, the page's heading shows it.
    pub fn new(caption: impl Into<String>, columns: Vec<Column>) -> Table {
        Table { caption: caption.into(), columns, rows: Vec::new(), empty: None, caption_shown: false }
    }

    /// Adds a row.
    pub fn row(mut self, row: Row) -> Table {
        self.rows.push(row);
        self
    }

    /// Adds rows.
    pub fn rows(mut self, rows: impl IntoIterator<Item = Row>) -> Table {
        self.rows.extend(rows);
        self
    }

    /// What stands there without rows.
    pub fn empty(mut self, empty: Empty) -> Table {
        self.empty = Some(empty);
        self
    }

    /// Shows the caption above the table.
    pub fn show_caption(mut self) -> Table {
        self.caption_shown = true;
        self
    }
}

impl Render for Table {
    fn render(&self) -> Markup {
        if self.rows.is_empty()
            && let Some(empty) = &self.empty
        {
            return html! { div.table-box { (empty) } };
        }
        // A box that scrolls must be reachable by keyboard; one with links in it already is.
        let reachable = self.rows.iter().all(|row| row.href.is_none()).then_some("0");
        let classes: Vec<Option<String>> = self.columns.iter().map(Column::class).collect();
        html! {
            div.table-box role="region" aria-label=(self.caption) tabindex=[reachable] {
                table {
                    caption.sr[!self.caption_shown] { (self.caption) }
                    thead {
                        tr { @for (column, class) in self.columns.iter().zip(&classes) {
                            th scope="col" class=[class.as_ref()] { (column.head) }
                        } }
                    }
                    tbody {
                        @for row in &self.rows {
                            tr id=[row.id.as_ref()] class=[row.class()] aria-current=[row.selected.then_some("true")] {
                                @for (position, (cell, class)) in row.cells.iter().zip(&classes).enumerate() {
                                    td class=[class.as_ref()] {
                                        @match &row.href {
                                            Some(href) if position == 0 => a.row-link href=(href) { (cell) },
                                            _ => (cell),
                                        }
                                    }
                                }
                            }
                        }
                    }
                }
            }
        }
    }
}
