//! The SQL of sealed secrets and connections.

use crate::{Connection, ConnectionId, ConnectionState, NewConnection, Purpose, Result, SecretId, seal::Binding};
use kit::{TenantId, Time};
use store::{StoreError, TenantTx, Tx, json_rows, q, sql};

/// Most rows that one list of connections holds; an organization has a handful.
const MOST_OF_TENANT: u32 = 1_000;
/// Most connections that one node schedules work for.
const MOST_OF_ALL: u32 = 100_000;
/// Most secrets of one owner and purpose: a few webhook endpoints, each with an old and a new secret.
const MOST_OF_OWNER: u32 = 50;

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

#[derive(sqlx::FromRow)]
struct ConnectionRow {
    tenant_id: i64,
    id: String,
    provider: String,
    account_id: String,
    environment: String,
    display_name: String,
    key_hint: String,
    key_kind: String,
    state: String,
    state_reason: Option<String>,
    lookback_days: Option<i64>,
    api_base: Option<String>,
    webhook_endpoint_id: Option<String>,
    created_at: i64,
    updated_at: i64,
    last_good_call_at: Option<i64>,
}

impl ConnectionRow {
    fn read(self) -> Result<Connection, StoreError> {
        let unreadable = |why: String| StoreError::unreadable_row("connections", &self.id, why);
        let environment =
            self.environment.parse().map_err(|error: kit::tenant::BadEnvironment| unreadable(error.to_string()))?;
        let lookback_days = self.lookback_days.map(u32::try_from).transpose();
        let lookback_days = lookback_days.map_err(|_| unreadable("lookback_days is out of range".to_owned()))?;
        let state = match (self.state.as_str(), self.state_reason) {
            ("active", None) => ConnectionState::Active,
            ("key_refused", Some(reason)) => ConnectionState::KeyRefused { reason },
            ("disconnected", None) => ConnectionState::Disconnected,
            (state, reason) => {
                let with = if reason.is_some() { "with" } else { "without" };
                return Err(StoreError::unreadable_row("connections", &self.id, format!("`{state}` {with} a reason")));
            }
        };
        Ok(Connection {
            tenant: TenantId(self.tenant_id),
            id: ConnectionId::from_text(self.id),
            provider: self.provider,
            account_id: self.account_id,
            environment,
            display_name: self.display_name,
            key_hint: self.key_hint,
            key_kind: self.key_kind,
            state,
            lookback_days,
            api_base: self.api_base,
            webhook_endpoint_id: self.webhook_endpoint_id,
            created_at: Time::from_micros(self.created_at),
            updated_at: Time::from_micros(self.updated_at),
            last_good_call_at: self.last_good_call_at.map(Time::from_micros),
        })
    }
}

fn read_all(rows: Vec<ConnectionRow>) -> Result<Vec<Connection>> {
    Ok(rows.into_iter().map(ConnectionRow::read).collect::<Result<_, _>>()?)
}

/// A state's column and its reason's.
fn state_columns(state: &ConnectionState) -> (&'static str, Option<&str>) {
    match state {
        ConnectionState::Active => ("active", None),
        ConnectionState::KeyRefused { reason } => ("key_refused", Some(reason)),
        ConnectionState::Disconnected => ("disconnected", None),
    }
}

pub(crate) async fn insert_secret(
    tx: &mut TenantTx,
    binding: Binding<'_>,
    sealed: crate::seal::Sealed,
    now: Time,
) -> Result<()> {
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

/// Inserts the row unless the account is connected already; answers whether it did.
pub(crate) async fn insert_connection(
    tx: &mut TenantTx,
    id: &ConnectionId,
    new: &NewConnection<'_>,
    now: Time,
) -> Result<bool> {
    let tenant = tx.tenant();
    let inserted = q(sql!(
        "INSERT INTO connections (tenant_id, id, provider, account_id, environment, display_name, key_hint, key_kind,
                                  state, lookback_days, api_base, created_at, updated_at)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, 'active', $9, $10, $11, $11)
         ON CONFLICT (tenant_id, provider, account_id) WHERE state <> 'disconnected' DO NOTHING"
    ))
    .bind(tenant)
    .bind(id.as_str())
    .bind(new.provider)
    .bind(new.account_id)
    .bind(new.environment)
    .bind(new.display_name)
    .bind(new.key_hint)
    .bind(new.key_kind)
    .bind(new.lookback_days)
    .bind(new.api_base)
    .bind(now)
    .execute(tx)
    .await?;
    Ok(inserted == 1)
}

/// The connection that has an account now.
pub(crate) async fn connected_account(tx: &mut TenantTx, provider: &str, account_id: &str) -> Result<ConnectionId> {
    let tenant = tx.tenant();
    let id: String = q(sql!(
        "SELECT id FROM connections
         WHERE tenant_id = $1 AND provider = $2 AND account_id = $3 AND state <> 'disconnected'"
    ))
    .bind(tenant)
    .bind(provider)
    .bind(account_id)
    .scalar(tx)
    .await?;
    Ok(ConnectionId::from_text(id))
}

pub(crate) async fn connection(tx: &mut TenantTx, id: &ConnectionId) -> Result<Option<Connection>> {
    let tenant = tx.tenant();
    let row: Option<ConnectionRow> = q(sql!(
        "SELECT tenant_id, id, provider, account_id, environment, display_name, key_hint, key_kind, state, state_reason,
                lookback_days, api_base, webhook_endpoint_id, created_at, updated_at, last_good_call_at
         FROM connections WHERE tenant_id = $1 AND id = $2"
    ))
    .bind(tenant)
    .bind(id.as_str())
    .optional(tx)
    .await?;
    Ok(row.map(ConnectionRow::read).transpose()?)
}

/// All of the tenant, oldest first, those that ended last.
pub(crate) async fn connections(tx: &mut TenantTx) -> Result<Vec<Connection>> {
    let tenant = tx.tenant();
    let rows = q(sql!(
        "SELECT tenant_id, id, provider, account_id, environment, display_name, key_hint, key_kind, state, state_reason,
                lookback_days, api_base, webhook_endpoint_id, created_at, updated_at, last_good_call_at
         FROM connections WHERE tenant_id = $1
         ORDER BY CASE state WHEN 'disconnected' THEN 1 ELSE 0 END, created_at, id LIMIT $2"
    ))
    .bind(tenant)
    .bind(MOST_OF_TENANT)
    .all(tx)
    .await?;
    read_all(rows)
}

/// The active ones of every tenant.
pub(crate) async fn active_connections(tx: &mut Tx) -> Result<Vec<Connection>> {
    let rows = q(sql!(
        "SELECT tenant_id, id, provider, account_id, environment, display_name, key_hint, key_kind, state, state_reason,
                lookback_days, api_base, webhook_endpoint_id, created_at, updated_at, last_good_call_at
         FROM connections WHERE state = 'active' ORDER BY tenant_id, id LIMIT $1"
    ))
    .bind(MOST_OF_ALL)
    .all(tx)
    .await?;
    read_all(rows)
}

/// Those of the given ids and accounts that did not end, over all tenants.
///
/// `= ANY(array)` and not `IN (SELECT …)`: under an OR PostgreSQL uses the indexes only for the former.
pub(crate) async fn connections_named(tx: &mut Tx, ids: &[&str], account_ids: &[&str]) -> Result<Vec<Connection>> {
    let rows = q(sql!(
        "SELECT tenant_id, id, provider, account_id, environment, display_name, key_hint, key_kind, state, state_reason,
                lookback_days, api_base, webhook_endpoint_id, created_at, updated_at, last_good_call_at
         FROM connections
         WHERE state <> 'disconnected'
           AND (id " pg "= ANY(ARRAY(SELECT json_array_elements_text($1::json)))" lite "IN (SELECT value FROM json_each($1))" "
             OR account_id " pg "= ANY(ARRAY(SELECT json_array_elements_text($2::json)))" lite "IN (SELECT value FROM json_each($2))" ")
         ORDER BY created_at, id LIMIT $3"
    ))
    .bind(json_rows(ids)?)
    .bind(json_rows(account_ids)?)
    .bind(MOST_OF_ALL)
    .all(tx)
    .await?;
    read_all(rows)
}

/// Everything that opens at `now` for the given owners, over all tenants, newest first.
pub(crate) async fn secrets_of_owners(tx: &mut Tx, owner_ids: &[&str], now: Time) -> Result<Vec<SecretRow>> {
    let rows = q(sql!(
        "SELECT tenant_id, id, purpose, owner_id, key_id, sealed FROM vault_secrets
         WHERE owner_id " pg "= ANY(ARRAY(SELECT json_array_elements_text($1::json)))" lite "IN (SELECT value FROM json_each($1))" "
           AND purpose IN ('api_key', 'webhook_secret') AND (retired_at IS NULL OR retired_at > $2)
         ORDER BY created_at DESC, id DESC LIMIT $3"
    ))
    .bind(json_rows(owner_ids)?)
    .bind(now)
    .bind(MOST_OF_ALL)
    .all(tx)
    .await?;
    Ok(rows)
}

/// Changes what a person may change, or the outcome of calls; answers whether such a connection is there and not ended.
pub(crate) async fn set_state(
    tx: &mut TenantTx,
    id: &ConnectionId,
    state: &ConnectionState,
    now: Time,
) -> Result<bool> {
    let tenant = tx.tenant();
    let (state, reason) = state_columns(state);
    let changed = q(sql!(
        "UPDATE connections SET state = $3, state_reason = $4, updated_at = $5
         WHERE tenant_id = $1 AND id = $2 AND state <> 'disconnected'"
    ))
    .bind(tenant)
    .bind(id.as_str())
    .bind(state)
    .bind(reason)
    .bind(now)
    .execute(tx)
    .await?;
    Ok(changed == 1)
}

pub(crate) async fn set_key(
    tx: &mut TenantTx,
    id: &ConnectionId,
    key_hint: &str,
    key_kind: &str,
    now: Time,
) -> Result<bool> {
    let tenant = tx.tenant();
    let changed = q(sql!(
        "UPDATE connections SET key_hint = $3, key_kind = $4, state = 'active', state_reason = NULL, updated_at = $5
         WHERE tenant_id = $1 AND id = $2 AND state <> 'disconnected'"
    ))
    .bind(tenant)
    .bind(id.as_str())
    .bind(key_hint)
    .bind(key_kind)
    .bind(now)
    .execute(tx)
    .await?;
    Ok(changed == 1)
}

pub(crate) async fn set_display_name(tx: &mut TenantTx, id: &ConnectionId, name: &str, now: Time) -> Result<bool> {
    let tenant = tx.tenant();
    let changed = q(sql!(
        "UPDATE connections SET display_name = $3, updated_at = $4
         WHERE tenant_id = $1 AND id = $2 AND state <> 'disconnected'"
    ))
    .bind(tenant)
    .bind(id.as_str())
    .bind(name)
    .bind(now)
    .execute(tx)
    .await?;
    Ok(changed == 1)
}

pub(crate) async fn set_lookback_days(
    tx: &mut TenantTx,
    id: &ConnectionId,
    days: Option<u32>,
    now: Time,
) -> Result<bool> {
    let tenant = tx.tenant();
    let changed = q(sql!(
        "UPDATE connections SET lookback_days = $3, updated_at = $4
         WHERE tenant_id = $1 AND id = $2 AND state <> 'disconnected'"
    ))
    .bind(tenant)
    .bind(id.as_str())
    .bind(days)
    .bind(now)
    .execute(tx)
    .await?;
    Ok(changed == 1)
}

pub(crate) async fn set_webhook_endpoint(
    tx: &mut TenantTx,
    id: &ConnectionId,
    endpoint_id: Option<&str>,
    now: Time,
) -> Result<bool> {
    let tenant = tx.tenant();
    let changed = q(sql!(
        "UPDATE connections SET webhook_endpoint_id = $3, updated_at = $4
         WHERE tenant_id = $1 AND id = $2 AND state <> 'disconnected'"
    ))
    .bind(tenant)
    .bind(id.as_str())
    .bind(endpoint_id)
    .bind(now)
    .execute(tx)
    .await?;
    Ok(changed == 1)
}

pub(crate) async fn note_good_call(tx: &mut TenantTx, id: &ConnectionId, now: Time) -> Result<()> {
    let tenant = tx.tenant();
    q(sql!("UPDATE connections SET last_good_call_at = $3 WHERE tenant_id = $1 AND id = $2"))
        .bind(tenant)
        .bind(id.as_str())
        .bind(now)
        .execute(tx)
        .await?;
    Ok(())
}

/// Takes from an ended connection what tells of a person. Ids stay: others erase their own rows by them.
pub(crate) async fn blank(tx: &mut TenantTx, id: &ConnectionId) -> Result<()> {
    let tenant = tx.tenant();
    q(sql!(
        "UPDATE connections SET display_name = '', key_hint = '', api_base = NULL, webhook_endpoint_id = NULL
         WHERE tenant_id = $1 AND id = $2"
    ))
    .bind(tenant)
    .bind(id.as_str())
    .change_one(tx)
    .await?;
    Ok(())
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
pub(crate) async fn reseal(tx: &mut Tx, old: &SecretRow, sealed: crate::seal::Sealed) -> Result<bool> {
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
