//! What the tie-out holds against each other, summed up by the database; single rows only where they do not agree.

use kit::{TenantId, Time};
use store::{Tx, q, sql};

/// Facts of one kind with what their balance transactions say, together.
#[derive(Clone, Debug, sqlx::FromRow)]
pub(crate) struct FactSum {
    pub(crate) kind: String,
    pub(crate) currency: String,
    /// Of the balance transaction; none where it is not mirrored.
    pub(crate) settled: Option<String>,
    /// The balance transaction's.
    pub(crate) category: Option<String>,
    /// They name no balance transaction.
    pub(crate) unbooked: bool,
    /// They happened so lately that their balance transaction need not be mirrored yet.
    pub(crate) recent: bool,
    pub(crate) count: i64,
    pub(crate) fact_minor: i64,
    pub(crate) balance_minor: i64,
    /// How many of the same currency say different amounts.
    pub(crate) differing: i64,
}

/// Makes all readings of this transaction see one state: a total and its rows must not be from different moments.
pub(crate) async fn freeze(tx: &mut Tx) -> store::Result<()> {
    // SQLite's transactions see one state anyway.
    q(sql!(pg "SET TRANSACTION ISOLATION LEVEL REPEATABLE READ" lite "SELECT 1")).execute(tx).await?;
    Ok(())
}

/// `awaited_since`: facts from then on may still wait for their balance transaction.
pub(crate) async fn fact_sums(tx: &mut Tx, tenant: TenantId, awaited_since: Time) -> store::Result<Vec<FactSum>> {
    q(sql!(
        "SELECT f.kind, f.currency, b.currency AS settled, b.category, f.balance_transaction_id IS NULL AS unbooked,
            b.id IS NULL AND f.occurred_at >= $2 AS recent, count(*) AS count,
            CAST(sum(f.amount_minor) AS BIGINT) AS fact_minor, CAST(coalesce(sum(b.amount_minor), 0) AS BIGINT) AS balance_minor,
            CAST(sum(CASE WHEN b.currency = f.currency AND b.amount_minor <> f.amount_minor THEN 1 ELSE 0 END) AS BIGINT) AS differing
         FROM revenue_facts f LEFT JOIN revenue_balance_transactions b
            ON b.tenant_id = $1 AND b.account_id = f.account_id AND b.id = f.balance_transaction_id
         WHERE f.tenant_id = $1
         GROUP BY f.kind, f.currency, b.currency, b.category, f.balance_transaction_id IS NULL, b.id IS NULL AND f.occurred_at >= $2
         ORDER BY 1, 2, 3, 4, 5 LIMIT 10000"
    ))
    .bind(tenant)
    .bind(awaited_since)
    .all(tx)
    .await
}

/// Balance transactions of one category, together.
#[derive(Clone, Debug, sqlx::FromRow)]
pub(crate) struct MovementSum {
    pub(crate) category: String,
    pub(crate) currency: String,
    pub(crate) count: i64,
    pub(crate) amount_minor: i64,
    pub(crate) fee_minor: i64,
    pub(crate) net_minor: i64,
    /// How many have fees that do not add up.
    pub(crate) crooked: i64,
}

pub(crate) async fn movement_sums(tx: &mut Tx, tenant: TenantId) -> store::Result<Vec<MovementSum>> {
    q(sql!(
        "SELECT category, currency, count(*) AS count, CAST(sum(amount_minor) AS BIGINT) AS amount_minor,
            CAST(sum(fee_minor) AS BIGINT) AS fee_minor, CAST(sum(net_minor) AS BIGINT) AS net_minor,
            CAST(sum(CASE WHEN fee_parts_minor <> fee_minor OR net_minor <> amount_minor - fee_minor THEN 1 ELSE 0 END) AS BIGINT) AS crooked
         FROM revenue_balance_transactions WHERE tenant_id = $1 GROUP BY category, currency ORDER BY 1, 2 LIMIT 10000"
    ))
    .bind(tenant)
    .all(tx)
    .await
}

/// A fact and its balance transaction, side by side; either may be missing.
#[derive(Clone, Debug, sqlx::FromRow)]
pub(crate) struct Pair {
    pub(crate) object_id: Option<String>,
    pub(crate) balance_transaction_id: Option<String>,
    pub(crate) currency: Option<String>,
    pub(crate) fact_minor: Option<i64>,
    pub(crate) balance_minor: Option<i64>,
}

/// Facts that name no balance transaction.
pub(crate) async fn unbooked(tx: &mut Tx, tenant: TenantId, before: Time, limit: u32) -> store::Result<Vec<Pair>> {
    q(sql!(
        "SELECT object_id, balance_transaction_id, currency, amount_minor AS fact_minor, CAST(NULL AS BIGINT) AS balance_minor
         FROM revenue_facts WHERE tenant_id = $1 AND balance_transaction_id IS NULL AND occurred_at < $3
         ORDER BY occurred_at DESC, fact_id LIMIT $2"
    ))
    .bind(tenant)
    .bind(limit)
    .bind(before)
    .all(tx)
    .await
}

/// Facts whose balance transaction is not mirrored.
pub(crate) async fn unmatched(tx: &mut Tx, tenant: TenantId, before: Time, limit: u32) -> store::Result<Vec<Pair>> {
    q(sql!(
        "SELECT f.object_id, f.balance_transaction_id, f.currency, f.amount_minor AS fact_minor, CAST(NULL AS BIGINT) AS balance_minor
         FROM revenue_facts f LEFT JOIN revenue_balance_transactions b
            ON b.tenant_id = $1 AND b.account_id = f.account_id AND b.id = f.balance_transaction_id
         WHERE f.tenant_id = $1 AND f.balance_transaction_id IS NOT NULL AND b.id IS NULL AND f.occurred_at < $3
         ORDER BY f.occurred_at DESC, f.fact_id LIMIT $2"
    ))
    .bind(tenant)
    .bind(limit)
    .bind(before)
    .all(tx)
    .await
}

/// Facts whose balance transaction says another amount of the same currency.
pub(crate) async fn differing(tx: &mut Tx, tenant: TenantId, limit: u32) -> store::Result<Vec<Pair>> {
    q(sql!(
        "SELECT f.object_id, f.balance_transaction_id, f.currency, f.amount_minor AS fact_minor, b.amount_minor AS balance_minor
         FROM revenue_facts f JOIN revenue_balance_transactions b
            ON b.tenant_id = $1 AND b.account_id = f.account_id AND b.id = f.balance_transaction_id
         WHERE f.tenant_id = $1 AND f.currency = b.currency AND f.amount_minor <> b.amount_minor
         ORDER BY f.occurred_at DESC, f.fact_id LIMIT $2"
    ))
    .bind(tenant)
    .bind(limit)
    .all(tx)
    .await
}

/// Balance transactions of the categories that objects tell of, of which none does.
pub(crate) async fn orphans(tx: &mut Tx, tenant: TenantId, limit: u32) -> store::Result<Vec<Pair>> {
    // Written so that each engine makes one table of all ids: a search of each in the facts has no index to use.
    q(sql!(
        "SELECT b.source_id AS object_id, b.id AS balance_transaction_id, b.currency, CAST(NULL AS BIGINT) AS fact_minor,
            b.amount_minor AS balance_minor
         FROM revenue_balance_transactions b
         WHERE b.tenant_id = $1 AND b.category IN ('charge', 'payment', 'refund', 'refund_failure', 'payment_refund',
            'payment_failure_refund', 'dispute', 'dispute_reversal', 'payout', 'payout_reversal', 'payout_failure', 'payout_cancel') AND "
        pg "NOT EXISTS (SELECT 1 FROM revenue_facts f
                WHERE f.tenant_id = b.tenant_id AND f.account_id = b.account_id AND f.balance_transaction_id = b.id)"
        lite "(b.account_id, b.id) NOT IN (SELECT account_id, balance_transaction_id FROM revenue_facts
                WHERE tenant_id = $1 AND balance_transaction_id IS NOT NULL)"
        " ORDER BY b.created_at DESC, b.id LIMIT $2"
    ))
    .bind(tenant)
    .bind(limit)
    .all(tx)
    .await
}

/// Balance transactions whose fees do not add up.
pub(crate) async fn crooked(tx: &mut Tx, tenant: TenantId, limit: u32) -> store::Result<Vec<Pair>> {
    q(sql!(
        "SELECT source_id AS object_id, id AS balance_transaction_id, currency, fee_parts_minor AS fact_minor, fee_minor AS balance_minor
         FROM revenue_balance_transactions
         WHERE tenant_id = $1 AND (fee_parts_minor <> fee_minor OR net_minor <> amount_minor - fee_minor)
         ORDER BY created_at DESC, id LIMIT $2"
    ))
    .bind(tenant)
    .bind(limit)
    .all(tx)
    .await
}

/// A fact that was settled in another currency.
#[derive(Clone, Debug, sqlx::FromRow)]
pub(crate) struct ConvertedPair {
    pub(crate) account_id: String,
    pub(crate) payment_key: String,
    pub(crate) fact_id: String,
    pub(crate) object_id: String,
    pub(crate) balance_transaction_id: String,
    pub(crate) from_currency: String,
    pub(crate) to_currency: String,
    pub(crate) from_minor: i64,
    pub(crate) to_minor: i64,
    pub(crate) exchange_rate: Option<String>,
}

/// Converted facts after a place in the table, in its order.
pub(crate) async fn converted(
    tx: &mut Tx,
    tenant: TenantId,
    after: (&str, &str, &str),
    limit: u32,
) -> store::Result<Vec<ConvertedPair>> {
    q(sql!(
        "SELECT f.account_id, f.payment_key, f.fact_id, f.object_id, b.id AS balance_transaction_id, f.currency AS from_currency,
            b.currency AS to_currency, f.amount_minor AS from_minor, b.amount_minor AS to_minor, b.exchange_rate
         FROM revenue_facts f JOIN revenue_balance_transactions b
            ON b.tenant_id = $1 AND b.account_id = f.account_id AND b.id = f.balance_transaction_id
         WHERE f.tenant_id = $1 AND f.currency <> b.currency AND (f.payment_key, f.account_id, f.fact_id) > ($2, $3, $4)
         ORDER BY f.payment_key, f.account_id, f.fact_id LIMIT $5"
    ))
    .bind(tenant)
    .bind(after.0)
    .bind(after.1)
    .bind(after.2)
    .bind(limit)
    .all(tx)
    .await
}
