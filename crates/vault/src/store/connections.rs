//! The SQL of connections.

use crate::{Connection, ConnectionId, ConnectionState, NewConnection, Result};
use kit::{TenantId, Time};
use store::{StoreError, TenantTx, Tx, json_rows, q, sql};

/// Most rows that one list of connections holds; an organization has a handful.
const MOST_OF_TENANT: u32 = 1_000;
/// Most connections that one node schedules work for.
const MOST_OF_ALL: u32 = 100_000;

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
           AND (id " pg "= ANY(ARRAY(SELECT json_array_elements_text($1::json)))" lite "IN (SELECT value FROM jsonb_each($1))" "
             OR account_id " pg "= ANY(ARRAY(SELECT json_array_elements_text($2::json)))" lite "IN (SELECT value FROM jsonb_each($2))" ")
         ORDER BY created_at, id LIMIT $3"
    ))
    .bind(json_rows(ids)?)
    .bind(json_rows(account_ids)?)
    .bind(MOST_OF_ALL)
    .all(tx)
    .await?;
    read_all(rows)
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
