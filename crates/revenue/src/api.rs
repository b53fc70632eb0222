//! Figures for programs: `/v1/analytics/…`.

use crate::{
    DailyFigure, Revenue, RevenueError,
    daily::date_of,
    dimension::{ALL, METADATA, PRODUCT},
    interval::{Interval, day_of_date, grouped},
    revenue::check_range,
    store::dimensions::DayPart,
};
use axum::{
    Json, Router,
    extract::{Query, State, rejection::QueryRejection},
    routing::get,
};
use identity::Caller;
use kit::Currency;
use serde::Deserialize;
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;

/// Days an answer covers when no range is asked for.
const USUAL_DAYS: i64 = 30;
/// Most days of one answer with parts by product and metadata.
const MOST_DAYS_WITH_PARTS: i64 = 92;

pub(crate) fn routes(revenue: Revenue) -> Router {
    Router::new()
        .route("/v1/analytics/revenue", get(revenue_by_period))
        .route("/v1/analytics/daily", get(daily))
        .route("/v1/analytics/tie-out", get(tie_out))
        .with_state(revenue)
}

/// What a question about a range may say.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct RangeQuery {
    /// First day, as `2026-11-21`.
    pub(crate) from: Option<String>,
    /// Last day.
    pub(crate) to: Option<String>,
    /// day, week or month.
    pub(crate) interval: Option<String>,
    /// Only this currency.
    pub(crate) currency: Option<String>,
}

/// A range as asked for, checked.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Asked {
    pub(crate) from_day: i64,
    pub(crate) to_day: i64,
    pub(crate) interval: Interval,
    pub(crate) currency: Option<Currency>,
}

impl RangeQuery {
    /// Reads the question; what is left out is the last 30 days, by day, in all currencies.
    pub(crate) fn asked(&self, today: i64) -> Result<Asked, RevenueError> {
        let day = |name, text: &Option<String>| match text.as_deref().filter(|text| !text.is_empty()) {
            None => Ok(None),
            Some(text) => day_of_date(text).map(Some).ok_or_else(|| RevenueError::BadParameter {
                name,
                detail: "A date of the calendar is expected, such as 2026-11-21.".to_owned(),
            }),
        };
        let to_day = day("to", &self.to)?.unwrap_or(today);
        let from_day = day("from", &self.from)?.unwrap_or(to_day - USUAL_DAYS + 1);
        check_range(from_day, to_day)?;
        let interval = match self.interval.as_deref().unwrap_or("day") {
            "" | "day" => Interval::Day,
            "week" => Interval::Week,
            "month" => Interval::Month,
            _ => {
                let detail = "day, week or month is expected.".to_owned();
                return Err(RevenueError::BadParameter { name: "interval", detail });
            }
        };
        let currency = match self.currency.as_deref().filter(|text| !text.is_empty()) {
            None => None,
            Some(text) => Some(text.parse().map_err(|error: kit::MoneyError| RevenueError::BadParameter {
                name: "currency",
                detail: error.to_string(),
            })?),
        };
        Ok(Asked { from_day, to_day, interval, currency })
    }
}

impl Asked {
    /// The figures of the wanted currency, by period.
    pub(crate) fn taken(&self, mut figures: Vec<DailyFigure>) -> Vec<DailyFigure> {
        figures.retain(|figure| self.currency.is_none_or(|currency| currency == figure.currency));
        grouped(&figures, self.interval)
    }
}

fn read(query: Result<Query<RangeQuery>, QueryRejection>) -> Result<RangeQuery, RevenueError> {
    let bad = |why: QueryRejection| RevenueError::BadParameter { name: "query", detail: why.body_text() };
    query.map(|Query(query)| query).map_err(bad)
}

/// Figures by period and currency, and those of as many days before, to compare with.
async fn revenue_by_period(
    State(revenue): State<Revenue>,
    caller: Caller,
    query: Result<Query<RangeQuery>, QueryRejection>,
) -> Result<Json<Value>, RevenueError> {
    let asked = read(query)?.asked(revenue.base().now().utc_day())?;
    let days = asked.to_day - asked.from_day + 1;
    let figures = asked.taken(revenue.series(caller.tenant, asked.from_day, asked.to_day).await?);
    let before = revenue.series(caller.tenant, asked.from_day - days, asked.from_day - 1).await?;
    Ok(Json(json!({
        "from": date_of(asked.from_day),
        "to": date_of(asked.to_day),
        "interval": asked.interval,
        "time_zone": "UTC",
        "data": figures,
        "totals": totals(&figures),
        "previous": {
            "from": date_of(asked.from_day - days),
            "to": date_of(asked.from_day - 1),
            "totals": totals(&asked.taken(before)),
        },
        "sources": revenue.sources(caller.tenant).await?,
    })))
}

/// The sums by currency; never across currencies.
fn totals(figures: &[DailyFigure]) -> Value {
    let mut totals: BTreeMap<Currency, (i64, i64, i64, i64, i64)> = BTreeMap::new();
    for figure in figures {
        let total = totals.entry(figure.currency).or_default();
        total.0 += figure.gross_minor;
        total.1 += figure.refunds_minor;
        total.2 += figure.disputes_minor;
        total.3 += figure.fees_minor;
        total.4 += figure.charges;
    }
    let told = |(currency, (gross, refunds, disputes, fees, charges)): (Currency, (i64, i64, i64, i64, i64))| {
        json!({
            "currency": currency, "exponent": currency.exponent(), "gross_minor": gross, "refunds_minor": refunds,
            "disputes_minor": disputes, "fees_minor": fees, "net_minor": gross - refunds - disputes - fees,
            "charges": charges,
        })
    };
    totals.into_iter().map(told).collect()
}

/// Daily aggregates: totals, units, revenue by product, top values of metadata.
async fn daily(
    State(revenue): State<Revenue>,
    caller: Caller,
    query: Result<Query<RangeQuery>, QueryRejection>,
) -> Result<Json<Value>, RevenueError> {
    let asked = read(query)?.asked(revenue.base().now().utc_day())?;
    if asked.interval != Interval::Day {
        let detail = "Daily aggregates are by day; leave it out.".to_owned();
        return Err(RevenueError::BadParameter { name: "interval", detail });
    }
    if asked.to_day - asked.from_day >= MOST_DAYS_WITH_PARTS {
        let detail = format!("A range may have at most {MOST_DAYS_WITH_PARTS} days here.");
        return Err(RevenueError::BadParameter { name: "from", detail });
    }
    let figures = asked.taken(revenue.series(caller.tenant, asked.from_day, asked.to_day).await?);
    let parts = revenue.parts(caller.tenant, asked.from_day, asked.to_day, None).await?;
    let mut by_day: BTreeMap<(i64, Currency), Vec<DayPart>> = BTreeMap::new();
    for part in parts {
        by_day.entry((part.day, part.currency)).or_default().push(part);
    }
    let rows = figures.iter().map(|figure| {
        let parts = by_day.remove(&(figure.day, figure.currency)).unwrap_or_default();
        let mut row = json!(figure);
        row["units"] = parts.iter().find(|it| it.row.dimension == ALL).map_or(0, |it| it.row.part.units).into();
        row["products"] = parts.iter().filter(|it| it.row.dimension == PRODUCT).map(part_told).collect();
        let mut metadata: Map<String, Value> = Map::new();
        for part in &parts {
            if let (Some(key), Value::Object(told)) = (part.row.dimension.strip_prefix(METADATA), part_told(part)) {
                let values = metadata.entry(key).or_insert_with(|| Value::Array(Vec::new()));
                values.as_array_mut().map(|values| values.push(Value::Object(told))).unwrap_or_default();
            }
        }
        row["metadata"] = Value::Object(metadata);
        row
    });
    Ok(Json(json!({
        "from": date_of(asked.from_day),
        "to": date_of(asked.to_day),
        "time_zone": "UTC",
        "data": rows.collect::<Vec<Value>>(),
    })))
}

/// One value of a dimension; `value` is null for all values together that are not among the largest.
fn part_told(part: &DayPart) -> Value {
    json!({
        "value": part.row.value,
        "amount_minor": part.row.part.amount_minor,
        "units": part.row.part.units,
        "charges": part.row.part.charges,
    })
}

/// The proof, computed for this answer.
async fn tie_out(State(revenue): State<Revenue>, caller: Caller) -> Result<Json<Value>, RevenueError> {
    let tie_out = revenue.tie_out(caller.tenant).await?;
    let mut told = json!(tie_out);
    told["agrees"] = tie_out.agrees().into();
    Ok(Json(told))
}
