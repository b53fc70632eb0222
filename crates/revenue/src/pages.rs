//! Revenue as people see it: one currency at a time, over a span that the address names, with its proof beneath.

use crate::{
    CurrencyTotal, DailyFigure, Interval, ProductFigure, Revenue, RevenueError, Sources, TieOut, TieOutRow, TwoSides,
    interval::{grouped, periods},
};
use axum::{
    Router,
    extract::{Query, State, rejection::QueryRejection},
    routing::get,
};
use identity::{Caller, Frame};
use kit::{Currency, Money, time::civil_from_days};
use platform::Problem;
use serde::Deserialize;
use std::{collections::BTreeMap, sync::Arc};
use ui::{
    Icon, Markup, Page, Tone, View,
    chart::{Chart, Period, Series, Unit},
    component::{
        Better, Button, Change, Column, Empty, Row, Stat, Tab, Table, Tabs, amount, badge, card, code, columns, count,
        money_big, muted, panel, section, source, stats, text, time,
    },
    html,
};

/// Most products that the page lists.
const MOST_PRODUCTS: usize = 12;

pub(crate) fn routes(revenue: Revenue) -> Router {
    Router::new().route("/revenue", get(page)).with_state(revenue)
}

/// What the address says; what it does not know is taken as left out, so that an old link still opens.
#[derive(Debug, Default, Deserialize)]
struct PageQuery {
    #[serde(default)]
    currency: Option<String>,
    #[serde(default)]
    span: Option<String>,
}

/// A stretch of time up to today, and how it is cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Span {
    /// In the address.
    name: &'static str,
    /// For people.
    words: &'static str,
    /// The periods that it is cut into.
    interval: Interval,
    /// How many of them, the present one included.
    count: usize,
}

const SPANS: [Span; 4] = [
    Span { name: "30d", words: "30 days", interval: Interval::Day, count: 30 },
    Span { name: "90d", words: "90 days", interval: Interval::Day, count: 90 },
    Span { name: "52w", words: "52 weeks", interval: Interval::Week, count: 52 },
    Span { name: "24m", words: "24 months", interval: Interval::Month, count: 24 },
];

impl Span {
    fn named(name: Option<&str>) -> Span {
        SPANS.into_iter().find(|span| Some(span.name) == name).unwrap_or(SPANS[0])
    }

    /// The first day of the periods up to the one that `last_day` is in.
    fn first_day(self, last_day: i64) -> i64 {
        let mut begin = self.interval.begin(last_day);
        for _ in 1..self.count {
            begin = self.interval.begin(begin - 1);
        }
        begin
    }
}

async fn page(
    State(revenue): State<Revenue>,
    caller: Caller,
    Frame(frame): Frame,
    query: Result<Query<PageQuery>, QueryRejection>,
) -> Result<Markup, Problem> {
    let query = query.map(|Query(query)| query).unwrap_or_default();
    let shown = Shown::read(&revenue, &caller, &query).await?;
    Ok(shown.page(&frame))
}

/// Everything that the page shows, read once.
pub(crate) struct Shown {
    span: Span,
    today: i64,
    currency: Option<Currency>,
    totals: Vec<CurrencyTotal>,
    figures: Vec<DailyFigure>,
    before: Vec<DailyFigure>,
    products: Vec<ProductFigure>,
    tie_out: Arc<TieOut>,
    sources: Sources,
}

impl Shown {
    async fn read(revenue: &Revenue, caller: &Caller, query: &PageQuery) -> Result<Shown, RevenueError> {
        let (tenant, today) = (caller.tenant, revenue.base().now().utc_day());
        let span = Span::named(query.span.as_deref());
        let totals = revenue.totals(tenant).await?;
        let asked = query.currency.as_deref().and_then(|code| code.parse().ok());
        let largest = totals.iter().max_by_key(|total| total.charges).map(|total| total.currency);
        let currency = asked.filter(|asked| totals.iter().any(|total| total.currency == *asked)).or(largest);
        let from_day = span.first_day(today);
        let before_day = span.first_day(from_day - 1);
        let mut figures = revenue.series(tenant, before_day, today).await?;
        figures.retain(|figure| Some(figure.currency) == currency);
        let (before, figures): (Vec<_>, Vec<_>) = figures.into_iter().partition(|figure| figure.day < from_day);
        let mut products = revenue.by_product(tenant, from_day, today).await?;
        products.retain(|product| Some(product.currency) == currency);
        Ok(Shown {
            span,
            today,
            currency,
            totals,
            figures: grouped(&figures, span.interval),
            before: grouped(&before, span.interval),
            products,
            tie_out: revenue.tie_out_recent(tenant).await?,
            sources: revenue.sources(tenant).await?,
        })
    }

    fn page(&self, frame: &ui::Frame) -> Markup {
        let view = &frame.view;
        let page = Page::new("Revenue", frame).active("/revenue");
        let Some(currency) = self.currency else {
            let empty = Empty::new(
                "No revenue yet",
                "Connect a Stripe account: its history is read, and kept in step from then on.",
            )
            .icon(Icon::Revenue)
            .action(Button::link("Connect an account", "/connections"));
            return page.state(Tone::Neutral, "Nothing was taken so far").body(panel(empty)).render();
        };
        let page = match (self.tie_out.difference_count, self.tie_out.balance_transactions) {
            (0, 0) => page.state(Tone::Neutral, "No balance transactions are mirrored yet, so nothing is proved"),
            (0, _) => page.state(
                Tone::Good,
                html! { "Every amount agrees with its balance transaction, checked " (time(self.tie_out.computed_at, view)) },
            ),
            (differences, _) => page.state(
                Tone::Warn,
                html! { (count(differences, view)) " amounts do not agree with the balance; " a href="#tie-out" { "see which" } },
            ),
        };
        page.body(html! {
            (self.choices(currency))
            (self.figures(currency, view))
            (panel(self.chart(currency, view)))
            (source(self.source_words(view), None))
            (columns(&[self.periods(currency, view), self.products(currency, view)]))
            (self.proof(view))
        })
        .render()
    }

    fn choices(&self, currency: Currency) -> Markup {
        let href = |currency: Currency, span: Span| format!("/revenue?currency={}&span={}", currency.code(), span.name);
        let active = href(currency, self.span);
        let spans = SPANS.iter().map(|span| Tab::new(span.words, href(currency, *span))).collect();
        let currencies: Vec<Tab> =
            self.totals.iter().map(|it| Tab::new(it.currency.to_string(), href(it.currency, self.span))).collect();
        html! {
            @if currencies.len() > 1 {
                (Tabs { label: "Currency".to_owned(), tabs: currencies, active: active.clone() })
            }
            (Tabs { label: "Span".to_owned(), tabs: spans, active })
        }
    }

    fn figures(&self, currency: Currency, view: &View) -> Markup {
        let sum = |figures: &[DailyFigure], of: fn(&DailyFigure) -> i64| figures.iter().map(of).sum::<i64>();
        let stat = |label: &str, of: fn(&DailyFigure) -> i64, better| {
            let now = sum(&self.figures, of);
            let change =
                Change { before: sum(&self.before, of), now, better, than: format!("the {} before", self.span.words) };
            Stat::new(label, money_big(Money::new(now, currency), view), view).change(change)
        };
        stats(&[
            stat("Gross", |it| it.gross_minor, Better::Up),
            stat("Refunds", |it| it.refunds_minor, Better::Down),
            stat("Disputes", |it| it.disputes_minor, Better::Down),
            stat("Fees", |it| it.fees_minor, Better::Down),
            stat("Net", DailyFigure::net_minor, Better::Up),
        ])
    }

    fn chart<'a>(&self, currency: Currency, view: &'a View) -> Chart<'a> {
        let interval = self.span.interval;
        let begins = periods(interval, self.span.first_day(self.today), self.today);
        let before_day = self.span.first_day(self.span.first_day(self.today) - 1);
        let begins_before = periods(interval, before_day, self.span.first_day(self.today) - 1);
        let net = |figures: &[DailyFigure], begins: &[i64]| {
            let by_begin: BTreeMap<i64, i64> = figures.iter().map(|it| (it.day, it.net_minor())).collect();
            begins.iter().map(|begin| by_begin.get(begin).copied().unwrap_or(0)).collect::<Vec<i64>>()
        };
        let names = begins.iter().map(|begin| named(interval, *begin)).collect();
        let title = format!("Net revenue by {}, {currency}", interval.as_str());
        Chart::bars("net-revenue", &title, Unit::Money(currency), names, view)
            .series(Series::new("Net revenue", net(&self.figures, &begins)))
            .previous(Series::new(format!("The {} before", self.span.words), net(&self.before, &begins_before)))
            .last_is_partial()
    }

    fn source_words(&self, view: &View) -> Markup {
        html! {
            "From " (count(self.sources.charges, view)) " charges, " (count(self.sources.refunds, view)) " refunds and "
            (count(self.sources.disputes, view)) " disputes"
            @if let Some(at) = self.sources.updated_to { ", last changed " (time(at, view)) }
            ". Days are those of UTC; fees count where the balance is kept."
        }
    }

    /// The newest periods first, as the eye looks for the latest.
    fn periods(&self, currency: Currency, view: &View) -> Markup {
        let cell = |minor| amount(Money::new(minor, currency), view);
        let rows = self.figures.iter().rev().map(|it| {
            Row::new(vec![
                text(named(self.span.interval, it.day).name),
                count(it.charges, view),
                cell(it.gross_minor),
                cell(it.refunds_minor + it.disputes_minor),
                cell(it.fees_minor),
                cell(it.net_minor()),
            ])
        });
        let head = format!("By {}, amounts in {currency}", self.span.interval.as_str());
        let columns = vec![
            Column::text(capital(self.span.interval.as_str())).wide(),
            Column::number("Charges").minor(),
            Column::number("Gross"),
            Column::number("Given back").minor(),
            Column::number("Fees").minor(),
            Column::number("Net"),
        ];
        let table = Table::new(head.clone(), columns)
            .rows(rows)
            .empty(Empty::new("Nothing in this span", "Choose a longer one.").icon(Icon::Revenue));
        card(&head, table)
    }

    fn products(&self, currency: Currency, view: &View) -> Markup {
        let row = |name: Markup, amount_minor, units| {
            Row::new(vec![name, count(units, view), amount(Money::new(amount_minor, currency), view)])
        };
        let (listed, others) = self.products.split_at(self.products.len().min(MOST_PRODUCTS));
        let rows = listed.iter().map(|it| {
            let name = match (&it.product_id, &it.name) {
                (None, _) => muted("Others"),
                (Some(id), None) if id.is_empty() => muted("Without an invoice or product"),
                (Some(id), None) => code(id),
                (Some(_), Some(name)) => text(name),
            };
            row(name, it.part.amount_minor, it.part.units)
        });
        let mut table = Table::new(
            format!("Gross by product, {currency}"),
            vec![Column::text("Product").wide(), Column::number("Units"), Column::number(format!("Gross, {currency}"))],
        )
        .rows(rows)
        .empty(Empty::new("Nothing in this span", "Choose a longer one.").icon(Icon::Revenue));
        if !others.is_empty() {
            let (amount_minor, units) =
                others.iter().fold((0, 0), |sum, it| (sum.0 + it.part.amount_minor, sum.1 + it.part.units));
            table = table.row(row(muted(format!("{} others", others.len())), amount_minor, units));
        }
        card("Gross by product", table)
    }

    fn proof(&self, view: &View) -> Markup {
        let tie_out = &self.tie_out;
        let rows = tie_out.rows.iter().flat_map(|row| proof_rows(row, view));
        let columns = vec![
            Column::text("Amount").wide(),
            Column::number("By its objects"),
            Column::number("By the balance"),
            Column::number("Difference"),
        ];
        let table = Table::new("Tie-out by currency", columns)
            .rows(rows)
            .empty(Empty::new("Nothing to prove yet", "It is proved as soon as balance transactions are mirrored."));
        let aside = html! {
            (count(tie_out.facts, view)) " movements held against " (count(tie_out.balance_transactions, view))
            " balance transactions, " (time(tie_out.computed_at, view))
        };
        html! {
            div #tie-out {
                (section("Tie-out", aside, panel(table)))
                @if !tie_out.converted.is_empty() { (card("Settled in another currency", self.converted(view))) }
                @if tie_out.difference_count > 0 { (card("What does not agree", self.differences(view))) }
            }
        }
    }

    fn converted(&self, view: &View) -> Table {
        let rows = self.tie_out.converted.iter().map(|it| {
            Row::new(vec![
                text(format!("{} → {}", it.from, it.to)),
                text(it.kind.replace('_', " ")),
                count(it.count, view),
                amount(Money::new(it.from_minor, it.from), view),
                amount(Money::new(it.to_minor, it.to), view),
            ])
        });
        let columns = vec![
            Column::text("Currencies"),
            Column::text("What").wide(),
            Column::number("How many"),
            Column::number("Paid"),
            Column::number("Settled"),
        ];
        Table::new("Payments settled in another currency, each checked by its exchange rate", columns).rows(rows)
    }

    fn differences(&self, view: &View) -> Markup {
        let tie_out = &self.tie_out;
        let amount_of = |minor: Option<i64>, currency: Option<Currency>| match (minor, currency) {
            (Some(minor), Some(currency)) => amount(Money::new(minor, currency), view),
            _ => muted("none"),
        };
        let rows = tie_out.differences.iter().map(|it| {
            Row::new(vec![
                text(it.kind.in_words()),
                it.object_id.as_ref().map_or_else(|| muted("none"), code),
                it.balance_transaction_id.as_ref().map_or_else(|| muted("none"), code),
                text(it.currency.map(|currency| currency.to_string()).unwrap_or_default()),
                amount_of(it.fact_minor, it.currency),
                amount_of(it.balance_minor, it.currency),
            ])
        });
        let columns = vec![
            Column::text("Why").wide(),
            Column::text("Object"),
            Column::text("Balance transaction").minor(),
            Column::text("Currency").minor(),
            Column::number("Object says"),
            Column::number("Balance says"),
        ];
        let listed = i64::try_from(tie_out.differences.len()).unwrap_or(i64::MAX);
        html! {
            @if tie_out.difference_count > listed {
                p.muted { (count(listed, view)) " of " (count(tie_out.difference_count, view)) " are listed." }
            }
            (Table::new("What does not agree", columns).rows(rows))
        }
    }
}

fn proof_rows(row: &TieOutRow, view: &View) -> Vec<Row> {
    let currency = row.currency;
    let cell = |minor| amount(Money::new(minor, currency), view);
    let line = |label: &str, sides: TwoSides| {
        let difference = match sides.difference_minor() {
            0 => badge(Tone::Good, "none"),
            minor => badge(Tone::Warn, cell(minor)),
        };
        Row::new(vec![
            text(format!("{label}, {currency}")),
            cell(sides.facts_minor),
            cell(sides.balance_minor),
            difference,
        ])
    };
    vec![
        line("Charges", row.charges),
        line("Refunds", row.refunds),
        line("Disputes", row.disputes),
        line("Fees", row.fees),
        line("Net", row.net).total(),
        line("Payouts", row.payouts),
    ]
}

/// A period's name in full and under the axis.
fn named(interval: Interval, begin: i64) -> Period {
    let (year, month, day) = civil_from_days(begin);
    let month = month_name(month);
    match interval {
        Interval::Day => Period::new(format!("{day} {month} {year}"), format!("{day} {month}")),
        Interval::Week => Period::new(format!("Week of {day} {month} {year}"), format!("{day} {month}")),
        Interval::Month => Period::new(format!("{month} {year}"), format!("{month} {:02}", year % 100)),
    }
}

fn month_name(month: u8) -> &'static str {
    const NAMES: [&str; 12] = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    NAMES.get(usize::from(month.saturating_sub(1))).copied().unwrap_or("")
}

fn capital(word: &str) -> String {
    let mut letters = word.chars();
    letters.next().map(|first| first.to_uppercase().chain(letters).collect()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Difference, DifferenceKind, dimension::Part, interval::day_of_date};
    use kit::{Environment, Time};

    fn frame() -> ui::Frame {
        ui::Frame::new("Acme", Environment::Test, View::utc(Time::from_seconds(1_795_267_200)))
    }

    fn shown() -> Shown {
        let today = day_of_date("2026-11-21").unwrap();
        let figure = |day, gross_minor| DailyFigure {
            gross_minor,
            charges: 2,
            fees_minor: 30,
            ..DailyFigure::nothing(day, Currency::USD)
        };
        let sides = TwoSides { facts_minor: 300, balance_minor: 299 };
        Shown {
            span: SPANS[0],
            today,
            currency: Some(Currency::USD),
            totals: [Currency::EUR, Currency::USD]
                .map(|currency| CurrencyTotal {
                    currency,
                    first_day: today - 1,
                    last_day: today,
                    gross_minor: 300,
                    refunds_minor: 0,
                    disputes_minor: 0,
                    fees_minor: 60,
                    charges: 4,
                    refunds: 0,
                    disputes: 0,
                })
                .to_vec(),
            figures: vec![figure(today - 1, 100), figure(today, 200)],
            before: vec![figure(today - 40, 50)],
            products: [Some("prod_1"), Some(""), None]
                .map(|id| ProductFigure {
                    currency: Currency::USD,
                    product_id: id.map(str::to_owned),
                    name: (id == Some("prod_1")).then(|| "<Team> plan".to_owned()),
                    part: Part { amount_minor: 100, units: 1, charges: 1 },
                })
                .to_vec(),
            tie_out: Arc::new(TieOut {
                rows: vec![TieOutRow {
                    currency: Currency::USD,
                    charges: sides,
                    refunds: sides,
                    disputes: TwoSides::default(),
                    fees: sides,
                    net: sides,
                    payouts: sides,
                }],
                converted: vec![crate::Converted {
                    from: Currency::EUR,
                    to: Currency::USD,
                    kind: "charge",
                    count: 1,
                    from_minor: 100,
                    to_minor: 108,
                }],
                differences: vec![Difference {
                    kind: DifferenceKind::AmountDiffers,
                    object_id: Some("ch_1".to_owned()),
                    balance_transaction_id: Some("txn_1".to_owned()),
                    currency: Some(Currency::USD),
                    fact_minor: Some(300),
                    balance_minor: Some(299),
                }],
                difference_count: 7,
                facts: 4,
                awaited: 0,
                balance_transactions: 4,
                computed_at: Time::from_seconds(1_795_267_190),
            }),
            sources: Sources {
                charges: 4,
                refunds: 0,
                disputes: 0,
                updated_to: Some(Time::from_seconds(1_795_267_000)),
            },
        }
    }

    #[test]
    fn the_page_shows_figures_and_their_proof() {
        let html = shown().page(&frame()).into_string();
        for words in [
            "Net revenue by day, USD",
            "21 Nov 2026",
            "&lt;Team&gt; plan",
            "Without an invoice or product",
            "amounts differ",
            "EUR → USD",
            "are listed",
        ] {
            assert!(html.contains(words), "{words}");
        }
        assert!(html.len() < 60_000, "{}", html.len());
    }

    #[test]
    fn the_empty_page_says_what_to_do() {
        let html = Shown { currency: None, ..shown() }.page(&frame()).into_string();
        assert!(html.contains("Connect an account"));
    }

    #[test]
    fn spans_begin_where_their_periods_do() {
        let check = |name: &str, first: &str| {
            let today = day_of_date("2026-11-21").unwrap();
            assert_eq!(crate::daily::date_of(Span::named(Some(name)).first_day(today)), first, "{name}");
        };
        check("30d", "2026-10-23");
        check("90d", "2026-08-24");
        check("52w", "2025-11-24");
        check("24m", "2024-12-01");
        check("unknown", "2026-10-23");
    }
}
