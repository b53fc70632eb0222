//! The rows that all figures come from, written in bulk: one statement for each table, whatever the batch's size.

use crate::{
    effects::FactKey,
    fact::Fact,
    movement::Movement,
    sale::{Link, SoldLine},
};
use kit::{Currency, TenantId};
use serde::Serialize;
use std::borrow::Cow;
use store::{Tx, Value, json_rows, q, sql};

#[derive(Serialize)]
struct FactRow<'a> {
    key: &'a str,
    id: &'a str,
    kind: &'static str,
    object: &'a str,
    charge: Option<&'a str>,
    at: i64,
    day: i64,
    currency: Currency,
    amount: i64,
    booked: Option<&'a str>,
    customer: Option<&'a str>,
    automatic: bool,
    // As text within the JSON, so that no engine unescapes what is in it.
    metadata: Option<Cow<'a, str>>,
}

impl<'a> FactRow<'a> {
    fn of(fact: &'a Fact<'_>) -> FactRow<'a> {
        FactRow {
            key: &fact.payment_key,
            id: &fact.id,
            kind: fact.kind.as_str(),
            object: &fact.object_id,
            charge: fact.charge_id.as_deref(),
            at: fact.occurred_at.micros(),
            day: fact.occurred_at.utc_day(),
            currency: fact.money.currency,
            amount: fact.money.amount_minor,
            booked: fact.balance_transaction_id.as_deref(),
            customer: fact.customer_id.as_deref(),
            automatic: fact.automatic,
            metadata: fact.metadata.map(without_spaces),
        }
    }
}

pub(crate) async fn write_facts(tx: &mut Tx, tenant: TenantId, account: &str, facts: &[Fact<'_>]) -> store::Result<()> {
    if facts.is_empty() {
        return Ok(());
    }
    let rows: Vec<FactRow<'_>> = facts.iter().map(FactRow::of).collect();
    let bound = rows.iter().map(|row| {
        [
            Value::from(tenant),
            account.into(),
            row.key.into(),
            row.id.into(),
            row.kind.into(),
            row.object.into(),
            row.charge.map(str::to_owned).into(),
            row.at.into(),
            row.day.into(),
            row.currency.into(),
            row.amount.into(),
            row.booked.map(str::to_owned).into(),
            row.customer.map(str::to_owned).into(),
            row.automatic.into(),
            row.metadata.as_deref().map(str::to_owned).into(),
        ]
    });
    let whole = || Ok(vec![tenant.into(), account.into(), json_rows(&rows)?.into()]);
    let statement = sql!(
        "INSERT INTO revenue_facts (tenant_id, account_id, payment_key, fact_id, kind, object_id, charge_id, occurred_at, day,
            currency, amount_minor, balance_transaction_id, customer_id, automatic, metadata) "
        pg "SELECT $1, $2, r.key, r.id, r.kind, r.object, r.charge, r.at, r.day, r.currency, r.amount, r.booked, r.customer, r.automatic, r.metadata
            FROM json_to_recordset($3::json) AS r(key text, id text, kind text, object text, charge text, at bigint, day bigint,
                currency text, amount bigint, booked text, customer text, automatic boolean, metadata text) WHERE true"
        lite "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
        " ON CONFLICT (tenant_id, account_id, payment_key, fact_id) DO UPDATE SET
            kind = excluded.kind, object_id = excluded.object_id, charge_id = excluded.charge_id,
            occurred_at = excluded.occurred_at, day = excluded.day, currency = excluded.currency,
            amount_minor = excluded.amount_minor, balance_transaction_id = excluded.balance_transaction_id,
            customer_id = excluded.customer_id, automatic = excluded.automatic, metadata = excluded.metadata"
    );
    store::write_rows(tx, statement, whole, bound).await?;
    Ok(())
}

/// Takes out the spaces between the parts of JSON, since the same metadata comes indented in events and not in lists.
fn without_spaces(json: &str) -> Cow<'_, str> {
    if !json.contains(['\n', ' ', '\t', '\r']) {
        return Cow::Borrowed(json);
    }
    let (mut text, mut in_text, mut escaped) = (String::with_capacity(json.len()), false, false);
    for letter in json.chars() {
        if in_text {
            in_text = escaped || letter != '"';
            escaped = !escaped && letter == '\\';
        } else if letter.is_ascii_whitespace() {
            continue;
        } else {
            in_text = letter == '"';
        }
        text.push(letter);
    }
    Cow::Owned(text)
}

pub(crate) async fn remove_facts(
    tx: &mut Tx,
    tenant: TenantId,
    account: &str,
    keys: &[FactKey<'_>],
) -> store::Result<()> {
    if keys.is_empty() {
        return Ok(());
    }
    let pairs: Vec<[&str; 2]> = keys.iter().map(|key| [&*key.payment_key, &*key.fact_id]).collect();
    q(sql!(
        "DELETE FROM revenue_facts WHERE tenant_id = $1 AND account_id = $2 AND (payment_key, fact_id) IN (SELECT "
        pg "value->>0, value->>1 FROM json_array_elements($3::json)"
        lite "value->>0, value->>1 FROM jsonb_each($3)"
        ")"
    ))
    .bind(tenant)
    .bind(account)
    .bind(json_rows(&pairs)?)
    .execute(tx)
    .await?;
    Ok(())
}

#[derive(Serialize)]
struct MovementRow<'a> {
    id: &'a str,
    category: &'a str,
    at: i64,
    available: i64,
    day: i64,
    currency: Currency,
    amount: i64,
    fee: i64,
    parts: i64,
    net: i64,
    source: Option<&'a str>,
    rate: Option<&'a str>,
}

impl<'a> MovementRow<'a> {
    fn of(movement: &'a Movement<'_>) -> MovementRow<'a> {
        MovementRow {
            id: &movement.id,
            category: &movement.category,
            at: movement.created_at.micros(),
            available: movement.available_on.micros(),
            day: movement.created_at.utc_day(),
            currency: movement.currency,
            amount: movement.amount_minor,
            fee: movement.fee_minor,
            parts: movement.fee_parts_minor,
            net: movement.net_minor,
            source: movement.source_id.as_deref(),
            rate: movement.exchange_rate,
        }
    }
}

pub(crate) async fn write_movements(
    tx: &mut Tx,
    tenant: TenantId,
    account: &str,
    movements: &[Movement<'_>],
) -> store::Result<()> {
    if movements.is_empty() {
        return Ok(());
    }
    let rows: Vec<MovementRow<'_>> = movements.iter().map(MovementRow::of).collect();
    let bound = rows.iter().map(|row| {
        [
            Value::from(tenant),
            account.into(),
            row.id.into(),
            row.category.into(),
            row.at.into(),
            row.available.into(),
            row.day.into(),
            row.currency.into(),
            row.amount.into(),
            row.fee.into(),
            row.parts.into(),
            row.net.into(),
            row.source.map(str::to_owned).into(),
            row.rate.map(str::to_owned).into(),
        ]
    });
    let whole = || Ok(vec![tenant.into(), account.into(), json_rows(&rows)?.into()]);
    let statement = sql!(
        "INSERT INTO revenue_balance_transactions (tenant_id, account_id, id, category, created_at, available_on, day, currency,
            amount_minor, fee_minor, fee_parts_minor, net_minor, source_id, exchange_rate) "
        pg "SELECT $1, $2, r.id, r.category, r.at, r.available, r.day, r.currency, r.amount, r.fee, r.parts, r.net, r.source, r.rate
            FROM json_to_recordset($3::json) AS r(id text, category text, at bigint, available bigint, day bigint, currency text,
                amount bigint, fee bigint, parts bigint, net bigint, source text, rate text) WHERE true"
        lite "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
        " ON CONFLICT (tenant_id, account_id, id) DO UPDATE SET
            category = excluded.category, created_at = excluded.created_at, available_on = excluded.available_on,
            day = excluded.day, currency = excluded.currency, amount_minor = excluded.amount_minor,
            fee_minor = excluded.fee_minor, fee_parts_minor = excluded.fee_parts_minor, net_minor = excluded.net_minor,
            source_id = excluded.source_id, exchange_rate = excluded.exchange_rate"
    );
    store::write_rows(tx, statement, whole, bound).await?;
    Ok(())
}

pub(crate) async fn remove_movements(
    tx: &mut Tx,
    tenant: TenantId,
    account: &str,
    ids: &[Cow<'_, str>],
) -> store::Result<()> {
    if ids.is_empty() {
        return Ok(());
    }
    q(sql!(
        "DELETE FROM revenue_balance_transactions WHERE tenant_id = $1 AND account_id = $2 AND id IN (SELECT "
        pg "json_array_elements_text($3::json)" lite "value FROM jsonb_each($3)" ")"
    ))
    .bind(tenant)
    .bind(account)
    .bind(json_rows(ids)?)
    .execute(tx)
    .await?;
    Ok(())
}

#[derive(Serialize)]
struct SaleRow<'a> {
    id: &'a str,
    // As text within the JSON: it is read back whole.
    lines: String,
}

pub(crate) async fn write_sales(
    tx: &mut Tx,
    tenant: TenantId,
    account: &str,
    sales: &[(Cow<'_, str>, Vec<SoldLine>)],
) -> store::Result<()> {
    if sales.is_empty() {
        return Ok(());
    }
    let mut rows = Vec::with_capacity(sales.len());
    for (id, lines) in sales {
        rows.push(SaleRow { id, lines: json_rows(lines)? });
    }
    q(sql!(
        "INSERT INTO revenue_invoices (tenant_id, account_id, invoice_id, lines)
         SELECT $1, $2, "
        pg "r.id, r.lines FROM json_to_recordset($3::json) AS r(id text, lines text)"
        lite "value->>'id', value->>'lines' FROM jsonb_each($3)"
        " WHERE true
         ON CONFLICT (tenant_id, account_id, invoice_id) DO UPDATE SET lines = excluded.lines"
    ))
    .bind(tenant)
    .bind(account)
    .bind(json_rows(&rows)?)
    .execute(tx)
    .await?;
    Ok(())
}

pub(crate) async fn remove_sales(
    tx: &mut Tx,
    tenant: TenantId,
    account: &str,
    ids: &[Cow<'_, str>],
) -> store::Result<()> {
    if ids.is_empty() {
        return Ok(());
    }
    q(sql!(
        "DELETE FROM revenue_invoices WHERE tenant_id = $1 AND account_id = $2 AND invoice_id IN (SELECT "
        pg "json_array_elements_text($3::json)" lite "value FROM jsonb_each($3)" ")"
    ))
    .bind(tenant)
    .bind(account)
    .bind(json_rows(ids)?)
    .execute(tx)
    .await?;
    Ok(())
}

#[derive(Serialize)]
struct LinkRow<'a> {
    key: &'a str,
    id: &'a str,
    invoice: &'a str,
}

impl<'a> LinkRow<'a> {
    fn of(link: &'a Link<'_>) -> LinkRow<'a> {
        LinkRow { key: &link.payment_key, id: &link.id, invoice: &link.invoice_id }
    }
}

pub(crate) async fn write_links(tx: &mut Tx, tenant: TenantId, account: &str, links: &[Link<'_>]) -> store::Result<()> {
    if links.is_empty() {
        return Ok(());
    }
    let rows: Vec<LinkRow<'_>> = links.iter().map(LinkRow::of).collect();
    q(sql!(
        "INSERT INTO revenue_invoice_payments (tenant_id, account_id, payment_key, id, invoice_id)
         SELECT $1, $2, "
        pg "r.key, r.id, r.invoice FROM json_to_recordset($3::json) AS r(key text, id text, invoice text)"
        lite "value->>'key', value->>'id', value->>'invoice' FROM jsonb_each($3)"
        " WHERE true
         ON CONFLICT (tenant_id, account_id, payment_key, id) DO UPDATE SET invoice_id = excluded.invoice_id"
    ))
    .bind(tenant)
    .bind(account)
    .bind(json_rows(&rows)?)
    .execute(tx)
    .await?;
    Ok(())
}

pub(crate) async fn remove_links(
    tx: &mut Tx,
    tenant: TenantId,
    account: &str,
    links: &[Link<'_>],
) -> store::Result<()> {
    if links.is_empty() {
        return Ok(());
    }
    let pairs: Vec<[&str; 2]> = links.iter().map(|link| [&*link.payment_key, &*link.id]).collect();
    q(sql!(
        "DELETE FROM revenue_invoice_payments WHERE tenant_id = $1 AND account_id = $2 AND (payment_key, id) IN (SELECT "
        pg "value->>0, value->>1 FROM json_array_elements($3::json)"
        lite "value->>0, value->>1 FROM jsonb_each($3)"
        ")"
    ))
    .bind(tenant)
    .bind(account)
    .bind(json_rows(&pairs)?)
    .execute(tx)
    .await?;
    Ok(())
}

#[derive(Serialize)]
struct ProductRow<'a> {
    id: &'a str,
    name: String,
}

pub(crate) async fn write_products(
    tx: &mut Tx,
    tenant: TenantId,
    account: &str,
    products: &[(&str, Cow<'_, str>)],
) -> store::Result<()> {
    if products.is_empty() {
        return Ok(());
    }
    // PostgreSQL keeps no zero character in texts.
    let rows: Vec<ProductRow<'_>> =
        products.iter().map(|(id, name)| ProductRow { id, name: name.replace('\0', "\u{fffd}") }).collect();
    q(sql!(
        "INSERT INTO revenue_products (tenant_id, account_id, id, name)
         SELECT $1, $2, "
        pg "r.id, r.name FROM json_to_recordset($3::json) AS r(id text, name text)"
        lite "value->>'id', value->>'name' FROM jsonb_each($3)"
        " WHERE true
         ON CONFLICT (tenant_id, account_id, id) DO UPDATE SET name = excluded.name"
    ))
    .bind(tenant)
    .bind(account)
    .bind(json_rows(&rows)?)
    .execute(tx)
    .await?;
    Ok(())
}

/// A product's name by its id.
#[derive(sqlx::FromRow)]
pub(crate) struct ProductName {
    pub(crate) id: String,
    pub(crate) name: String,
}

/// Names of products.
pub(crate) async fn product_names(tx: &mut Tx, tenant: TenantId, ids: &[&str]) -> store::Result<Vec<ProductName>> {
    if ids.is_empty() {
        return Ok(Vec::new());
    }
    q(sql!(
        "SELECT id, min(name) AS name FROM revenue_products WHERE tenant_id = $1 AND id IN (SELECT "
        pg "json_array_elements_text($2::json)" lite "value FROM jsonb_each($2)" ") GROUP BY id"
    ))
    .bind(tenant)
    .bind(json_rows(ids)?)
    .all(tx)
    .await
}

/// Removes everything of one account.
pub(crate) async fn clear(tx: &mut Tx, tenant: TenantId, account: &str) -> store::Result<()> {
    for statement in [
        sql!("DELETE FROM revenue_facts WHERE tenant_id = $1 AND account_id = $2"),
        sql!("DELETE FROM revenue_balance_transactions WHERE tenant_id = $1 AND account_id = $2"),
        sql!("DELETE FROM revenue_invoices WHERE tenant_id = $1 AND account_id = $2"),
        sql!("DELETE FROM revenue_invoice_payments WHERE tenant_id = $1 AND account_id = $2"),
        sql!("DELETE FROM revenue_products WHERE tenant_id = $1 AND account_id = $2"),
        sql!("DELETE FROM revenue_daily WHERE tenant_id = $1 AND account_id = $2"),
        sql!("DELETE FROM revenue_daily_dimensions WHERE tenant_id = $1 AND account_id = $2"),
    ] {
        q(statement).bind(tenant).bind(account).execute(tx).await?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spaces_go_only_between_the_parts() {
        let check = |from: &str, to: &str| assert_eq!(without_spaces(from), to);
        check(r#"{"a":"b"}"#, r#"{"a":"b"}"#);
        check("{\n  \"a b\": \"c \\\" d\\\\\" ,\t\"e\":\"\"\r\n}", r#"{"a b":"c \" d\\","e":""}"#);
    }
}
