//! Every row of revenue as a line of text, to hold two databases against each other.

use kit::TenantId;
use store::{Tx, q, sql};

/// Most lines of one table that are read; a larger one is answered as far as that.
const MOST_LINES: i64 = 500_000;

/// The lines of all tables, each table's in a fixed order. When a row was written is left out: it differs between two
/// databases that know the same.
pub(crate) async fn lines(tx: &mut Tx, tenant: TenantId) -> store::Result<Vec<String>> {
    let mut lines = Vec::new();
    for statement in [
        sql!("SELECT 'fact ' || account_id || ' ' || payment_key || ' ' || fact_id || ' ' || kind || ' ' || object_id || ' '
                || coalesce(charge_id, '-') || ' ' || occurred_at || ' ' || day || ' ' || currency || ' ' || amount_minor || ' '
                || coalesce(balance_transaction_id, '-') || ' ' || coalesce(customer_id, '-') || ' '
                || CASE WHEN automatic THEN 1 ELSE 0 END || ' ' || coalesce(metadata, '-') AS line
              FROM revenue_facts WHERE tenant_id = $1 ORDER BY line LIMIT $2"),
        sql!("SELECT 'movement ' || account_id || ' ' || id || ' ' || category || ' ' || created_at || ' ' || available_on || ' '
                || day || ' ' || currency || ' ' || amount_minor || ' ' || fee_minor || ' ' || fee_parts_minor || ' ' || net_minor
                || ' ' || coalesce(source_id, '-') || ' ' || coalesce(exchange_rate, '-') AS line
              FROM revenue_balance_transactions WHERE tenant_id = $1 ORDER BY line LIMIT $2"),
        sql!("SELECT 'sale ' || account_id || ' ' || invoice_id || ' ' || lines AS line
              FROM revenue_invoices WHERE tenant_id = $1 ORDER BY line LIMIT $2"),
        sql!("SELECT 'link ' || account_id || ' ' || payment_key || ' ' || id || ' ' || invoice_id AS line
              FROM revenue_invoice_payments WHERE tenant_id = $1 ORDER BY line LIMIT $2"),
        sql!("SELECT 'product ' || account_id || ' ' || id || ' ' || name AS line
              FROM revenue_products WHERE tenant_id = $1 ORDER BY line LIMIT $2"),
        sql!("SELECT 'day ' || account_id || ' ' || day || ' ' || currency || ' ' || gross_minor || ' ' || refunds_minor || ' '
                || disputes_minor || ' ' || fees_minor || ' ' || charges || ' ' || refunds || ' ' || disputes || ' ' || fees AS line
              FROM revenue_daily WHERE tenant_id = $1 ORDER BY line LIMIT $2"),
        sql!("SELECT 'part ' || account_id || ' ' || day || ' ' || currency || ' ' || dimension || ' '
                || CASE WHEN rest THEN 1 ELSE 0 END || ' ' || value || ' ' || amount_minor || ' ' || units || ' ' || charges AS line
              FROM revenue_daily_dimensions WHERE tenant_id = $1 ORDER BY line LIMIT $2"),
    ] {
        let rows: Vec<(String,)> = q(statement).bind(tenant).bind(MOST_LINES).all(tx).await?;
        lines.extend(rows.into_iter().map(|row| row.0));
    }
    Ok(lines)
}
