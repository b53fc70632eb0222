//! What days' charges were for: stored when a day is drawn from its rows, and drawn on reading while it is stale.

use super::daily::currency_of;
use crate::{
    dimension::{ChargeSold, DimensionRow, Part, dimensions_of},
    sale::SoldLine,
};
use kit::{Currency, TenantId};
use serde::Serialize;
use std::collections::BTreeMap;
use store::{StoreError, Tx, json_rows, q, sql};

/// Most rows that one reading gives.
const MOST_ROWS: i64 = 100_000;
/// Days that are drawn at once on reading, so that memory stays flat.
const READ_STEP: usize = 32;

/// One account's day in one currency.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, sqlx::FromRow)]
struct DayKey {
    day: i64,
    currency: String,
    account_id: String,
}

/// A part of a day, all accounts together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct DayPart {
    pub(crate) day: i64,
    pub(crate) currency: Currency,
    pub(crate) row: DimensionRow,
}

/// Draws up to `most_days` stale days before `before_day` from their rows again and stores them; answers how many there
/// were.
pub(crate) async fn refresh_step(
    tx: &mut Tx,
    tenant: TenantId,
    before_day: i64,
    most_days: u32,
) -> store::Result<usize> {
    // On PostgreSQL the rows are held from here on: whoever changes a day's facts waits, and marks it stale again after.
    let keys: Vec<DayKey> = q(sql!(
        "SELECT day, currency, account_id FROM revenue_daily WHERE tenant_id = $1 AND dimensions_stale AND day < $3
         ORDER BY day, currency, account_id LIMIT $2" pg " FOR UPDATE"
    ))
    .bind(tenant)
    .bind(most_days)
    .bind(before_day)
    .all(tx)
    .await?;
    if keys.is_empty() {
        return Ok(0);
    }
    let keys_json = json_rows(&keys)?;
    let drawn = draw(tx, tenant, &keys_json).await?;
    q(sql!(
        "DELETE FROM revenue_daily_dimensions WHERE tenant_id = $1 "
        pg "AND day = ANY (ARRAY(SELECT d.day FROM json_to_recordset($2::json) AS d(day bigint))) "
        "AND (day, currency, account_id) IN (SELECT "
        pg "r.day, r.currency, r.account_id FROM json_to_recordset($2::json) AS r(day bigint, currency text, account_id text)"
        lite "value->>'day', value->>'currency', value->>'account_id' FROM jsonb_each($2)"
        ")"
    ))
    .bind(tenant)
    .bind(&keys_json)
    .execute(tx)
    .await?;
    write(tx, tenant, &drawn).await?;
    // A day that all its rows have left is no day with zeros.
    q(sql!(
        "DELETE FROM revenue_daily WHERE tenant_id = $1 AND charges = 0 AND refunds = 0 AND disputes = 0 AND fees = 0
            AND gross_minor = 0 AND refunds_minor = 0 AND disputes_minor = 0 AND fees_minor = 0
            AND (day, currency, account_id) IN (SELECT "
        pg "r.day, r.currency, r.account_id FROM json_to_recordset($2::json) AS r(day bigint, currency text, account_id text)"
        lite "value->>'day', value->>'currency', value->>'account_id' FROM jsonb_each($2)"
        ")"
    ))
    .bind(tenant)
    .bind(&keys_json)
    .execute(tx)
    .await?;
    q(sql!(
        "UPDATE revenue_daily SET dimensions_stale = FALSE WHERE tenant_id = $1 AND (day, currency, account_id) IN (SELECT "
        pg "r.day, r.currency, r.account_id FROM json_to_recordset($2::json) AS r(day bigint, currency text, account_id text)"
        lite "value->>'day', value->>'currency', value->>'account_id' FROM jsonb_each($2)"
        ")"
    ))
    .bind(tenant)
    .bind(&keys_json)
    .execute(tx)
    .await?;
    Ok(keys.len())
}

#[derive(sqlx::FromRow)]
struct SoldRow {
    day: i64,
    currency: String,
    account_id: String,
    fact_id: String,
    amount_minor: i64,
    metadata: Option<String>,
    lines: Option<String>,
}

type Drawn = BTreeMap<DayKey, Vec<DimensionRow>>;

/// Draws days from the charges, invoices and their links.
async fn draw(tx: &mut Tx, tenant: TenantId, keys_json: &str) -> store::Result<Drawn> {
    let rows: Vec<SoldRow> = q(sql!(
        "SELECT f.day, f.currency, f.account_id, f.fact_id, f.amount_minor, f.metadata, i.lines FROM "
        pg "json_to_recordset($2::json) AS r(day bigint, currency text, account_id text) JOIN"
        lite "(SELECT value->>'day' AS day, value->>'currency' AS currency, value->>'account_id' AS account_id FROM jsonb_each($2)) AS r CROSS JOIN"
        " revenue_facts f ON f.tenant_id = $1 AND f.account_id = r.account_id AND f.day = r.day AND f.currency = r.currency
            AND f.kind = 'charge'
         LEFT JOIN revenue_invoice_payments p
            ON p.tenant_id = $1 AND p.account_id = f.account_id AND p.payment_key = f.payment_key
         LEFT JOIN revenue_invoices i ON i.tenant_id = $1 AND i.invoice_id = p.invoice_id AND i.account_id || '' = f.account_id "
        // Days are said once more, and the invoices' account is an expression, so that PostgreSQL looks up days and
        // invoices: before tables are analysed it takes a tenant or an account for a handful of rows and would walk it.
        pg "WHERE f.day = ANY (ARRAY(SELECT d.day FROM json_to_recordset($2::json) AS d(day bigint)))"
        "
         ORDER BY f.day, f.currency, f.account_id, f.fact_id, p.id"
    ))
    .bind(tenant)
    .bind(keys_json)
    .all(tx)
    .await?;
    let mut drawn = Drawn::new();
    for day in rows.chunk_by(|one, other| {
        (one.day, &one.currency, &one.account_id) == (other.day, &other.currency, &other.account_id)
    }) {
        let mut charges = Vec::with_capacity(day.len());
        for payments in day.chunk_by(|one, other| one.fact_id == other.fact_id) {
            let mut lines: Vec<SoldLine> = Vec::new();
            for text in payments.iter().filter_map(|row| row.lines.as_deref()) {
                let more: Vec<SoldLine> = serde_json::from_str(text)
                    .map_err(|error| StoreError::unreadable_row("revenue_invoices", &payments[0].fact_id, error))?;
                lines.extend(more);
            }
            charges.push(ChargeSold {
                amount_minor: payments[0].amount_minor,
                metadata: payments[0].metadata.as_deref(),
                lines,
            });
        }
        let key = DayKey { day: day[0].day, currency: day[0].currency.clone(), account_id: day[0].account_id.clone() };
        drawn.insert(key, dimensions_of(charges));
    }
    Ok(drawn)
}

#[derive(Serialize)]
struct PartRow<'a> {
    day: i64,
    currency: &'a str,
    account: &'a str,
    dimension: &'a str,
    rest: bool,
    value: &'a str,
    amount: i64,
    units: i64,
    charges: i64,
}

async fn write(tx: &mut Tx, tenant: TenantId, drawn: &Drawn) -> store::Result<()> {
    let rows: Vec<PartRow<'_>> = drawn
        .iter()
        .flat_map(|(key, rows)| rows.iter().map(move |row| (key, row)))
        .map(|(key, row)| PartRow {
            day: key.day,
            currency: &key.currency,
            account: &key.account_id,
            dimension: &row.dimension,
            rest: row.value.is_none(),
            value: row.value.as_deref().unwrap_or_default(),
            amount: row.part.amount_minor,
            units: row.part.units,
            charges: row.part.charges,
        })
        .collect();
    if rows.is_empty() {
        return Ok(());
    }
    q(sql!(
        "INSERT INTO revenue_daily_dimensions (tenant_id, day, currency, account_id, dimension, rest, value, amount_minor, units, charges)
         SELECT $1, "
        pg "r.day, r.currency, r.account, r.dimension, r.rest, r.value, r.amount, r.units, r.charges
            FROM json_to_recordset($2::json) AS r(day bigint, currency text, account text, dimension text, rest boolean,
                value text, amount bigint, units bigint, charges bigint)"
        lite "value->>'day', value->>'currency', value->>'account', value->>'dimension', value->>'rest', value->>'value',
            value->>'amount', value->>'units', value->>'charges' FROM jsonb_each($2)"
    ))
    .bind(tenant)
    .bind(json_rows(&rows)?)
    .execute(tx)
    .await?;
    Ok(())
}

#[derive(sqlx::FromRow)]
struct StoredPart {
    day: i64,
    currency: String,
    dimension: String,
    rest: bool,
    value: String,
    amount_minor: i64,
    units: i64,
    charges: i64,
}

/// Parts of the days of a range, all accounts together, by day, currency and dimension, the largest first. `dimension`
/// narrows them to one. Always what the rows give, stored or not.
pub(crate) async fn read(
    tx: &mut Tx,
    tenant: TenantId,
    from_day: i64,
    to_day: i64,
    dimension: Option<&str>,
) -> store::Result<Vec<DayPart>> {
    // First what is stale, then the others: a day that is stored meanwhile is then drawn here and not missed.
    let stale: Vec<DayKey> = q(sql!(
        "SELECT day, currency, account_id FROM revenue_daily
         WHERE tenant_id = $1 AND dimensions_stale AND day BETWEEN $2 AND $3 ORDER BY day, currency, account_id LIMIT $4"
    ))
    .bind(tenant)
    .bind(from_day)
    .bind(to_day)
    .bind(MOST_ROWS)
    .all(tx)
    .await?;
    let stored: Vec<StoredPart> = q(sql!(
        "SELECT day, currency, dimension, rest, value, CAST(sum(amount_minor) AS BIGINT) AS amount_minor,
            CAST(sum(units) AS BIGINT) AS units, CAST(sum(charges) AS BIGINT) AS charges
         FROM revenue_daily_dimensions
         WHERE tenant_id = $1 AND day BETWEEN $2 AND $3 AND ($5 = '' OR dimension = $5) AND (day, currency, account_id) NOT IN (SELECT "
        pg "r.day, r.currency, r.account_id FROM json_to_recordset($4::json) AS r(day bigint, currency text, account_id text)"
        lite "value->>'day', value->>'currency', value->>'account_id' FROM jsonb_each($4)"
        ") GROUP BY day, currency, dimension, rest, value LIMIT $6"
    ))
    .bind(tenant)
    .bind(from_day)
    .bind(to_day)
    .bind(json_rows(&stale)?)
    .bind(dimension.unwrap_or_default())
    .bind(MOST_ROWS)
    .all(tx)
    .await?;
    let mut parts: BTreeMap<(i64, String, String, Option<String>), Part> = BTreeMap::new();
    for row in stored {
        let value = (!row.rest).then_some(row.value);
        let part = Part { amount_minor: row.amount_minor, units: row.units, charges: row.charges };
        add(parts.entry((row.day, row.currency, row.dimension, value)).or_default(), part);
    }
    for keys in stale.chunks(READ_STEP) {
        for (key, rows) in draw(tx, tenant, &json_rows(keys)?).await? {
            for row in rows.into_iter().filter(|row| dimension.is_none_or(|wanted| wanted == row.dimension)) {
                add(parts.entry((key.day, key.currency.clone(), row.dimension, row.value)).or_default(), row.part);
            }
        }
    }
    let mut found = Vec::with_capacity(parts.len());
    for ((day, currency, dimension, value), part) in parts {
        let currency = currency_of(&currency, "revenue_daily_dimensions")?;
        found.push(DayPart { day, currency, row: DimensionRow { dimension, value, part } });
    }
    found.sort_by(|one, other| {
        let place =
            |it: &DayPart| (it.day, it.currency, it.row.value.is_none(), std::cmp::Reverse(it.row.part.amount_minor));
        let dimension = one.row.dimension.cmp(&other.row.dimension);
        (one.day, one.currency).cmp(&(other.day, other.currency)).then(dimension).then(place(one).cmp(&place(other)))
    });
    Ok(found)
}

fn add(sum: &mut Part, part: Part) {
    sum.amount_minor = sum.amount_minor.saturating_add(part.amount_minor);
    sum.units = sum.units.saturating_add(part.units);
    sum.charges = sum.charges.saturating_add(part.charges);
}
