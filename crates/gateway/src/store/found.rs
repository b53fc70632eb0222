//! What was found out about a connection: its key's permissions, what Stripe denied it, its webhook endpoint.

use crate::{KeyReport, reads::NewDenial, status::time_text};
use kit::{TenantId, Time};
use serde::Serialize;
use std::collections::HashMap;
use store::{Json, Result, StoreError, TenantTx, Tx, json_rows, q, sql};
use vault::ConnectionId;

/// Endpoints that can have been denied; there are no more kinds of calls.
const MOST_DENIALS: i64 = 200;

/// Keeps what was found out about a key.
pub(crate) async fn save_key_report(
    tx: &mut TenantTx,
    connection: &ConnectionId,
    report: &KeyReport,
    now: Time,
) -> Result<()> {
    q(sql!(
        "INSERT INTO gateway_key_reports (tenant_id, connection_id, checked_at, report) VALUES ($1, $2, $3, $4)
         ON CONFLICT (tenant_id, connection_id) DO UPDATE SET checked_at = excluded.checked_at, report = excluded.report"
    ))
    .bind(tx.tenant())
    .bind(connection.as_str())
    .bind(now)
    .bind(serde_json::to_value(report).map_err(StoreError::encoding)?)
    .execute(tx)
    .await
    .map(drop)
}

/// What was last found out about a key, and when.
pub(crate) async fn key_report(tx: &mut TenantTx, connection: &ConnectionId) -> Result<Option<(Time, KeyReport)>> {
    let row: Option<(i64, Json<KeyReport>)> =
        q(sql!("SELECT checked_at, report FROM gateway_key_reports WHERE tenant_id = $1 AND connection_id = $2"))
            .bind(tx.tenant())
            .bind(connection.as_str())
            .optional(tx)
            .await?;
    Ok(row.map(|(at, Json(report))| (Time::from_micros(at), report)))
}

/// What Stripe refused to a key for want of a permission.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Denial {
    /// Verb and path pattern, as in `GET /v1/charges`.
    pub endpoint: String,
    /// The permission, as Stripe named it; empty where it named none.
    pub permission: String,
    /// Stripe's words.
    pub message: String,
    /// How often.
    pub denials: i64,
    /// When it was refused last.
    #[serde(serialize_with = "time_text")]
    pub last_at: Time,
}

#[derive(Serialize)]
struct NewDenialRow<'a> {
    t: i64,
    c: &'a str,
    e: &'a str,
    p: &'a str,
    m: &'a str,
    n: i64,
    l: i64,
}

/// Adds what was refused, of all tenants in one statement.
pub(crate) async fn add_denials(
    tx: &mut Tx,
    denied: &HashMap<(TenantId, ConnectionId, String), NewDenial>,
) -> Result<()> {
    if denied.is_empty() {
        return Ok(());
    }
    let rows: Vec<NewDenialRow<'_>> = denied
        .iter()
        .map(|((tenant, connection, endpoint), denial)| NewDenialRow {
            t: tenant.0,
            c: connection.as_str(),
            e: endpoint,
            p: &denial.permission,
            m: &denial.message,
            n: denial.denials,
            l: denial.last_at.micros(),
        })
        .collect();
    q(sql!(
        "INSERT INTO gateway_denials (tenant_id, connection_id, endpoint, permission, message, denials, last_at)
         " pg "SELECT t, c, e, p, m, n, l FROM json_to_recordset($1::json)
                   AS n(t BIGINT, c TEXT, e TEXT, p TEXT, m TEXT, n BIGINT, l BIGINT)"
         lite "SELECT value ->> 't', value ->> 'c', value ->> 'e', value ->> 'p', value ->> 'm', value ->> 'n', value ->> 'l'
                   FROM jsonb_each($1)" "
         WHERE TRUE
         ON CONFLICT (tenant_id, connection_id, endpoint) DO UPDATE SET permission = excluded.permission,
             message = excluded.message, denials = gateway_denials.denials + excluded.denials, last_at = excluded.last_at"
    ))
    .bind(json_rows(&rows)?)
    .execute(tx)
    .await
    .map(drop)
}

/// What was refused to a connection's key, by endpoint.
pub(crate) async fn denials(tx: &mut TenantTx, connection: &ConnectionId) -> Result<Vec<Denial>> {
    let rows: Vec<(String, String, String, i64, i64)> = q(sql!(
        "SELECT endpoint, permission, message, denials, last_at FROM gateway_denials
         WHERE tenant_id = $1 AND connection_id = $2 ORDER BY endpoint LIMIT $3"
    ))
    .bind(tx.tenant())
    .bind(connection.as_str())
    .bind(MOST_DENIALS)
    .all(tx)
    .await?;
    let denial = |(endpoint, permission, message, denials, last_at): (String, String, String, i64, i64)| {
        let last_at = Time::from_micros(last_at);
        Denial { endpoint, permission, message, denials, last_at }
    };
    Ok(rows.into_iter().map(denial).collect())
}

/// Forgets what was refused to a key that is used no more.
pub(crate) async fn forget_denials(tx: &mut TenantTx, connection: &ConnectionId) -> Result<()> {
    q(sql!("DELETE FROM gateway_denials WHERE tenant_id = $1 AND connection_id = $2"))
        .bind(tx.tenant())
        .bind(connection.as_str())
        .execute(tx)
        .await
        .map(drop)
}

/// How a webhook endpoint stands at Stripe.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum EndpointState {
    /// Stripe sends everything to our address.
    Enabled,
    /// Stripe sends to another address, or not everything.
    OtherAddress,
    /// Switched off: by a person, or by Stripe after days of failures. What happens meanwhile is never sent.
    Disabled,
    /// Stripe does not know it any more.
    Gone,
}

impl EndpointState {
    const ALL: [EndpointState; 4] =
        [EndpointState::Enabled, EndpointState::OtherAddress, EndpointState::Disabled, EndpointState::Gone];

    /// As the database and the API write it.
    pub fn as_str(self) -> &'static str {
        match self {
            EndpointState::Enabled => "enabled",
            EndpointState::OtherAddress => "other_address",
            EndpointState::Disabled => "disabled",
            EndpointState::Gone => "gone",
        }
    }
}

/// A webhook endpoint as it was last seen at Stripe.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct SeenEndpoint {
    /// Stripe's id of it.
    pub endpoint_id: String,
    /// How it stood.
    pub state: EndpointState,
    /// When it was looked at.
    #[serde(serialize_with = "time_text")]
    pub seen_at: Time,
}

/// Keeps how a connection's endpoint stands at Stripe.
pub(crate) async fn save_endpoint(tx: &mut TenantTx, connection: &ConnectionId, seen: &SeenEndpoint) -> Result<()> {
    q(sql!(
        "INSERT INTO gateway_endpoints (tenant_id, connection_id, endpoint_id, state, seen_at) VALUES ($1, $2, $3, $4, $5)
         ON CONFLICT (tenant_id, connection_id) DO UPDATE
         SET endpoint_id = excluded.endpoint_id, state = excluded.state, seen_at = excluded.seen_at"
    ))
    .bind(tx.tenant())
    .bind(connection.as_str())
    .bind(seen.endpoint_id.as_str())
    .bind(seen.state.as_str())
    .bind(seen.seen_at)
    .execute(tx)
    .await
    .map(drop)
}

/// How a connection's endpoint was last seen.
pub(crate) async fn endpoint(tx: &mut TenantTx, connection: &ConnectionId) -> Result<Option<SeenEndpoint>> {
    let row: Option<(String, String, i64)> = q(sql!(
        "SELECT endpoint_id, state, seen_at FROM gateway_endpoints WHERE tenant_id = $1 AND connection_id = $2"
    ))
    .bind(tx.tenant())
    .bind(connection.as_str())
    .optional(tx)
    .await?;
    let Some((endpoint_id, state, seen_at)) = row else { return Ok(None) };
    let known = EndpointState::ALL.into_iter().find(|known| known.as_str() == state);
    let unreadable = || StoreError::unreadable_row("gateway_endpoints", connection, format!("`{state}` is no state"));
    let state = known.ok_or_else(unreadable)?;
    Ok(Some(SeenEndpoint { endpoint_id, state, seen_at: Time::from_micros(seen_at) }))
}
