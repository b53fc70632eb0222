//! The SQL of sealed secrets.

use crate::{
    Purpose, Result, SecretId,
    seal::{Binding, Sealed},
};
use kit::{TenantId, Time};
use store::{TenantTx, Tx, json_rows, q, sql};

/// Most secrets of one owner and purpose: a few webhook endpoints, each with an old and a new secret.
const MOST_OF_OWNER: u32 = 50;
/// Most secrets that one look of the hot path reads.
const MOST_OF_LOOK: u32 = 100_000;

/// A sealed secret's row.
#[derive(sqlx::FromRow)]
pub(crate) struct SecretRow {
    pub(crate) tenant_id: i64,
    pub(crate) id: String,
    pub(crate) purpose: String,
    pub(crate) owner_id: String,
    pub(crate) key_id: String,
    pub(crate) sealed: Vec<u8>,
}

impl SecretRow {
    pub(crate) fn secret_id(&self) -> SecretId {
        SecretId::from_text(self.id.as_str())
    }

    /// What the secret must be bound to, standing in this row.
    pub(crate) fn binding<'a>(&'a self, id: &'a SecretId) -> Binding<'a> {
        Binding { tenant: TenantId(self.tenant_id), secret: id, purpose: &self.purpose, owner: &self.owner_id }
    }
}

pub(crate) async fn insert_secret(tx: &mut TenantTx, binding: Binding<'_>, sealed: Sealed, now: Time) -> Result<()> {
    q(sql!(
        "INSERT INTO vault_secrets (tenant_id, id, purpose, owner_id, key_id, sealed, created_at)
         VALUES ($1, $2, $3, $4, $5, $6, $7)"
    ))
    .bind(binding.tenant)
    .bind(binding.secret.as_str())
    .bind(binding.purpose)
    .bind(binding.owner)
    .bind(sealed.key_id)
    .bind(sealed.bytes)
    .bind(now)
    .change_one(tx)
    .await?;
    Ok(())
}

/// What opens at `now`, newest first.
pub(crate) async fn secrets_of(
    tx: &mut TenantTx,
    purpose: Purpose,
    owner_id: &str,
    now: Time,
) -> Result<Vec<SecretRow>> {
    let tenant = tx.tenant();
    let rows = q(sql!(
        "SELECT tenant_id, id, purpose, owner_id, key_id, sealed FROM vault_secrets
         WHERE tenant_id = $1 AND owner_id = $2 AND purpose = $3 AND (retired_at IS NULL OR retired_at > $4)
         ORDER BY created_at DESC, id DESC LIMIT $5"
    ))
    .bind(tenant)
    .bind(owner_id)
    .bind(purpose.as_str())
    .bind(now)
    .bind(MOST_OF_OWNER)
    .all(tx)
    .await?;
    Ok(rows)
}

/// Lets the owner's secrets open until `at`; one that ends sooner keeps its end.
pub(crate) async fn retire(tx: &mut TenantTx, purpose: Purpose, owner_id: &str, at: Time) -> Result<u64> {
    let tenant = tx.tenant();
    let retired = q(sql!(
        "UPDATE vault_secrets SET retired_at = $4
         WHERE tenant_id = $1 AND owner_id = $2 AND purpose = $3 AND (retired_at IS NULL OR retired_at > $4)"
    ))
    .bind(tenant)
    .bind(owner_id)
    .bind(purpose.as_str())
    .bind(at)
    .execute(tx)
    .await?;
    Ok(retired)
}

pub(crate) async fn delete_secrets_of(tx: &mut TenantTx, owner_id: &str) -> Result<u64> {
    let tenant = tx.tenant();
    let deleted = q(sql!("DELETE FROM vault_secrets WHERE tenant_id = $1 AND owner_id = $2"))
        .bind(tenant)
        .bind(owner_id)
        .execute(tx)
        .await?;
    Ok(deleted)
}

/// Deletes secrets that ended before `before`, over all tenants; answers how many.
pub(crate) async fn delete_retired(tx: &mut Tx, before: Time, at_most: u32) -> Result<u64> {
    let deleted = q(sql!(
        "DELETE FROM vault_secrets WHERE (tenant_id, id) IN (
             SELECT tenant_id, id FROM vault_secrets WHERE retired_at IS NOT NULL AND retired_at < $1 LIMIT $2)"
    ))
    .bind(before)
    .bind(at_most)
    .execute(tx)
    .await?;
    Ok(deleted)
}

/// Everything that opens at `now` for the given owners, over all tenants, newest first.
pub(crate) async fn secrets_of_owners(tx: &mut Tx, owner_ids: &[&str], now: Time) -> Result<Vec<SecretRow>> {
    let rows = q(sql!(
        "SELECT tenant_id, id, purpose, owner_id, key_id, sealed FROM vault_secrets
         WHERE owner_id " pg "= ANY(ARRAY(SELECT json_array_elements_text($1::json)))" lite "IN (SELECT value FROM jsonb_each($1))" "
           AND purpose IN ('api_key', 'webhook_secret') AND (retired_at IS NULL OR retired_at > $2)
         ORDER BY created_at DESC, id DESC LIMIT $3"
    ))
    .bind(json_rows(owner_ids)?)
    .bind(now)
    .bind(MOST_OF_LOOK)
    .all(tx)
    .await?;
    Ok(rows)
}

/// How many secrets are not under `key_id`.
pub(crate) async fn count_not_under(tx: &mut Tx, key_id: &str) -> Result<u64> {
    let count: i64 = q(sql!("SELECT count(*) FROM vault_secrets WHERE key_id <> $1")).bind(key_id).scalar(tx).await?;
    Ok(count.unsigned_abs())
}

/// The next secrets behind `after` that are not under `key_id`, over all tenants.
pub(crate) async fn not_under(
    tx: &mut Tx,
    key_id: &str,
    after: &(TenantId, String),
    at_most: u32,
) -> Result<Vec<SecretRow>> {
    let rows = q(sql!(
        "SELECT tenant_id, id, purpose, owner_id, key_id, sealed FROM vault_secrets
         WHERE key_id <> $1 AND (tenant_id, id) > ($2, $3) ORDER BY tenant_id, id LIMIT $4"
    ))
    .bind(key_id)
    .bind(after.0)
    .bind(after.1.as_str())
    .bind(at_most)
    .all(tx)
    .await?;
    Ok(rows)
}

/// Puts a secret under another key, unless it changed meanwhile; answers whether it did.
pub(crate) async fn reseal(tx: &mut Tx, old: &SecretRow, sealed: Sealed) -> Result<bool> {
    let changed = q(sql!(
        "UPDATE vault_secrets SET key_id = $3, sealed = $4
         WHERE tenant_id = $1 AND id = $2 AND key_id = $5 AND sealed = $6"
    ))
    .bind(TenantId(old.tenant_id))
    .bind(old.id.as_str())
    .bind(sealed.key_id)
    .bind(sealed.bytes)
    .bind(old.key_id.as_str())
    .bind(old.sealed.clone())
    .execute(tx)
    .await?;
    Ok(changed == 1)
}

/// How many secrets each key has, over all tenants.
pub(crate) async fn key_usage(tx: &mut Tx) -> Result<Vec<(String, i64)>> {
    let rows = q(sql!("SELECT key_id, count(*) FROM vault_secrets GROUP BY key_id ORDER BY key_id LIMIT 1000"))
        .all(tx)
        .await?;
    Ok(rows)
}
