//! Totals by day: moved by differences, read as they are.

use crate::{CurrencyTotal, DailyFigure, Sources, effects::DailyDelta};
use kit::{Currency, TenantId, Time};
use serde::Serialize;
use std::{
    borrow::Cow,
    collections::{BTreeMap, BTreeSet},
};
use store::{StoreError, Tx, json_rows, q, sql};

/// Most rows one reading gives: eight years of five currencies. A longer range is refused before.
const MOST_ROWS: i64 = 20_000;

#[derive(Serialize)]
struct DeltaRow {
    day: i64,
    currency: Currency,
    gross: i64,
    refunded: i64,
    disputed: i64,
    cost: i64,
    charges: i64,
    refunds: i64,
    disputes: i64,
    fees: i64,
    stale: bool,
}

/// Adds differences to the days' totals.
pub(crate) async fn add(
    tx: &mut Tx,
    tenant: TenantId,
    account: &str,
    deltas: &BTreeMap<(i64, Currency), DailyDelta>,
    now: Time,
) -> store::Result<()> {
    let rows: Vec<DeltaRow> = deltas
        .iter()
        .filter(|(_, delta)| **delta != DailyDelta::default())
        .map(|((day, currency), delta)| DeltaRow {
            day: *day,
            currency: *currency,
            gross: delta.gross_minor,
            refunded: delta.refunds_minor,
            disputed: delta.disputes_minor,
            cost: delta.fees_minor,
            charges: delta.charges,
            refunds: delta.refunds,
            disputes: delta.disputes,
            fees: delta.fees,
            stale: delta.stale,
        })
        .collect();
    if rows.is_empty() {
        return Ok(());
    }
    q(sql!(
        "INSERT INTO revenue_daily (tenant_id, account_id, day, currency, gross_minor, refunds_minor, disputes_minor, fees_minor,
            charges, refunds, disputes, fees, dimensions_stale, changed_at)
         SELECT $1, $2, "
        pg "r.day, r.currency, r.gross, r.refunded, r.disputed, r.cost, r.charges, r.refunds, r.disputes, r.fees, r.stale, $4
            FROM json_to_recordset($3::json) AS r(day bigint, currency text, gross bigint, refunded bigint, disputed bigint,
                cost bigint, charges bigint, refunds bigint, disputes bigint, fees bigint, stale boolean)"
        lite "value->>'day', value->>'currency', value->>'gross', value->>'refunded', value->>'disputed', value->>'cost',
            value->>'charges', value->>'refunds', value->>'disputes', value->>'fees', value->>'stale', $4 FROM jsonb_each($3)"
        " WHERE true
         ON CONFLICT (tenant_id, day, currency, account_id) DO UPDATE SET
            gross_minor = revenue_daily.gross_minor + excluded.gross_minor,
            refunds_minor = revenue_daily.refunds_minor + excluded.refunds_minor,
            disputes_minor = revenue_daily.disputes_minor + excluded.disputes_minor,
            fees_minor = revenue_daily.fees_minor + excluded.fees_minor,
            charges = revenue_daily.charges + excluded.charges,
            refunds = revenue_daily.refunds + excluded.refunds,
            disputes = revenue_daily.disputes + excluded.disputes,
            fees = revenue_daily.fees + excluded.fees,
            dimensions_stale = revenue_daily.dimensions_stale OR excluded.dimensions_stale,
            changed_at = excluded.changed_at"
    ))
    .bind(tenant)
    .bind(account)
    .bind(json_rows(&rows)?)
    .bind(now)
    .execute(tx)
    .await?;
    Ok(())
}

/// A day and currency as stored.
#[derive(sqlx::FromRow)]
struct DayKey {
    day: i64,
    currency: String,
}

/// The days whose charges were paid by these payments, or were for these invoices.
pub(crate) async fn days_touched(
    tx: &mut Tx,
    tenant: TenantId,
    account: &str,
    payments: &BTreeSet<Cow<'_, str>>,
    invoices: &BTreeSet<Cow<'_, str>>,
) -> store::Result<Vec<(i64, Currency)>> {
    if payments.is_empty() && invoices.is_empty() {
        return Ok(Vec::new());
    }
    let payments: Vec<&str> = payments.iter().map(|key| &**key).collect();
    let invoices: Vec<&str> = invoices.iter().map(|id| &**id).collect();
    // The account is compared as an expression, so that only the keys are looked up: before its tables are analysed
    // PostgreSQL takes an account for a handful of rows and would walk all of it instead.
    let rows: Vec<DayKey> = q(sql!(
        "SELECT DISTINCT day, currency FROM revenue_facts
         WHERE tenant_id = $1 AND account_id || '' = $2 AND kind = 'charge' AND payment_key "
        pg "= ANY (ARRAY(SELECT json_array_elements_text($3::json)"
        lite "IN (SELECT value FROM jsonb_each($3)"
        " UNION SELECT payment_key FROM revenue_invoice_payments
            WHERE tenant_id = $1 AND account_id || '' = $2 AND invoice_id "
        pg "= ANY (ARRAY(SELECT json_array_elements_text($4::json)))))"
        lite "IN (SELECT value FROM jsonb_each($4)))"
        // A bound only: a batch is far smaller.
        " LIMIT 100000"
    ))
    .bind(tenant)
    .bind(account)
    .bind(json_rows(&payments)?)
    .bind(json_rows(&invoices)?)
    .all(tx)
    .await?;
    rows.into_iter().map(|row| Ok((row.day, currency_of(&row.currency, "revenue_facts")?))).collect()
}

pub(crate) fn currency_of(text: &str, table: &str) -> store::Result<Currency> {
    text.parse().map_err(|error| StoreError::unreadable_row(table, text, error))
}

#[derive(sqlx::FromRow)]
struct FigureRow {
    day: i64,
    currency: String,
    gross_minor: i64,
    refunds_minor: i64,
    disputes_minor: i64,
    fees_minor: i64,
    charges: i64,
    refunds: i64,
    disputes: i64,
    fees: i64,
}

/// Figures of the days of a range, all accounts together, by day and currency.
pub(crate) async fn series(
    tx: &mut Tx,
    tenant: TenantId,
    from_day: i64,
    to_day: i64,
) -> store::Result<Vec<DailyFigure>> {
    let rows: Vec<FigureRow> = q(sql!(
        "SELECT day, currency, CAST(sum(gross_minor) AS BIGINT) AS gross_minor, CAST(sum(refunds_minor) AS BIGINT) AS refunds_minor,
            CAST(sum(disputes_minor) AS BIGINT) AS disputes_minor, CAST(sum(fees_minor) AS BIGINT) AS fees_minor,
            CAST(sum(charges) AS BIGINT) AS charges, CAST(sum(refunds) AS BIGINT) AS refunds,
            CAST(sum(disputes) AS BIGINT) AS disputes, CAST(sum(fees) AS BIGINT) AS fees
         FROM revenue_daily WHERE tenant_id = $1 AND day BETWEEN $2 AND $3
         GROUP BY day, currency ORDER BY day, currency LIMIT $4"
    ))
    .bind(tenant)
    .bind(from_day)
    .bind(to_day)
    .bind(MOST_ROWS)
    .all(tx)
    .await?;
    let figure = |row: FigureRow| {
        Ok(DailyFigure {
            day: row.day,
            currency: currency_of(&row.currency, "revenue_daily")?,
            gross_minor: row.gross_minor,
            refunds_minor: row.refunds_minor,
            disputes_minor: row.disputes_minor,
            fees_minor: row.fees_minor,
            charges: row.charges,
            refunds: row.refunds,
            disputes: row.disputes,
            fees: row.fees,
        })
    };
    rows.into_iter().map(figure).collect()
}

#[derive(sqlx::FromRow)]
struct TotalRow {
    currency: String,
    first_day: i64,
    last_day: i64,
    gross_minor: i64,
    refunds_minor: i64,
    disputes_minor: i64,
    fees_minor: i64,
    charges: i64,
    refunds: i64,
    disputes: i64,
}

/// Everything, by currency.
pub(crate) async fn totals(tx: &mut Tx, tenant: TenantId) -> store::Result<Vec<CurrencyTotal>> {
    let rows: Vec<TotalRow> = q(sql!(
        "SELECT currency, min(day) AS first_day, max(day) AS last_day, CAST(sum(gross_minor) AS BIGINT) AS gross_minor,
            CAST(sum(refunds_minor) AS BIGINT) AS refunds_minor, CAST(sum(disputes_minor) AS BIGINT) AS disputes_minor,
            CAST(sum(fees_minor) AS BIGINT) AS fees_minor, CAST(sum(charges) AS BIGINT) AS charges,
            CAST(sum(refunds) AS BIGINT) AS refunds, CAST(sum(disputes) AS BIGINT) AS disputes
         FROM revenue_daily WHERE tenant_id = $1 GROUP BY currency ORDER BY currency LIMIT 200"
    ))
    .bind(tenant)
    .all(tx)
    .await?;
    let total = |row: TotalRow| {
        Ok(CurrencyTotal {
            currency: currency_of(&row.currency, "revenue_daily")?,
            first_day: row.first_day,
            last_day: row.last_day,
            gross_minor: row.gross_minor,
            refunds_minor: row.refunds_minor,
            disputes_minor: row.disputes_minor,
            fees_minor: row.fees_minor,
            charges: row.charges,
            refunds: row.refunds,
            disputes: row.disputes,
        })
    };
    rows.into_iter().map(total).collect()
}

#[derive(sqlx::FromRow)]
struct SourcesRow {
    charges: i64,
    refunds: i64,
    disputes: i64,
    changed_at: Option<i64>,
}

/// What the figures come from.
pub(crate) async fn sources(tx: &mut Tx, tenant: TenantId) -> store::Result<Sources> {
    let row: SourcesRow = q(sql!(
        "SELECT CAST(coalesce(sum(charges), 0) AS BIGINT) AS charges, CAST(coalesce(sum(refunds), 0) AS BIGINT) AS refunds,
            CAST(coalesce(sum(disputes), 0) AS BIGINT) AS disputes, max(changed_at) AS changed_at
         FROM revenue_daily WHERE tenant_id = $1"
    ))
    .bind(tenant)
    .one(tx)
    .await?;
    Ok(Sources {
        charges: row.charges,
        refunds: row.refunds,
        disputes: row.disputes,
        updated_to: row.changed_at.map(Time::from_micros),
    })
}
