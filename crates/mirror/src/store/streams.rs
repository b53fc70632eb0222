//! How far the event list was read, and what is known to be complete.

use crate::sync::PartState;
use kit::{TenantId, Time};
use serde::Serialize;
use store::{Tx, q, sql};
use vault::ConnectionId;

/// How far a connection's event list was read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, sqlx::FromRow)]
pub struct Stream {
    /// Everything before this event was read; none while the account has none.
    pub anchor_event_id: Option<String>,
    /// When the anchor was created, in microseconds since 1970.
    #[serde(serialize_with = "crate::progress::time_text")]
    pub anchor_at: i64,
    /// When the newest event that was seen in the list was created.
    #[serde(serialize_with = "crate::progress::some_time_text")]
    pub newest_event_at: Option<i64>,
    /// When the list was last read to its end.
    #[serde(serialize_with = "crate::progress::some_time_text")]
    pub last_sweep_at: Option<i64>,
    /// Balance transactions created before this time were read.
    #[serde(serialize_with = "crate::progress::time_text")]
    pub balance_through_at: i64,
    /// When they were last listed.
    #[serde(serialize_with = "crate::progress::some_time_text")]
    pub last_balance_read_at: Option<i64>,
    /// When a page was last read again to look for changes that no event told of.
    #[serde(serialize_with = "crate::progress::some_time_text")]
    pub last_sample_at: Option<i64>,
}

pub(crate) async fn find(tx: &mut Tx, tenant: TenantId, connection: &ConnectionId) -> store::Result<Option<Stream>> {
    q(sql!(
        "SELECT anchor_event_id, anchor_at, newest_event_at, last_sweep_at, balance_through_at, last_balance_read_at, last_sample_at
         FROM mirror_streams WHERE tenant_id = $1 AND connection_id = $2"
    ))
    .bind(tenant)
    .bind(connection.as_str())
    .optional(tx)
    .await
}

pub(crate) async fn save(
    tx: &mut Tx,
    tenant: TenantId,
    connection: &ConnectionId,
    stream: &Stream,
) -> store::Result<()> {
    q(sql!(
        "INSERT INTO mirror_streams (tenant_id, connection_id, anchor_event_id, anchor_at, newest_event_at, last_sweep_at,
            balance_through_at, last_balance_read_at, last_sample_at)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)
         ON CONFLICT (tenant_id, connection_id) DO UPDATE SET anchor_event_id = excluded.anchor_event_id,
            anchor_at = excluded.anchor_at, newest_event_at = excluded.newest_event_at, last_sweep_at = excluded.last_sweep_at,
            balance_through_at = excluded.balance_through_at, last_balance_read_at = excluded.last_balance_read_at,
            last_sample_at = excluded.last_sample_at"
    ))
    .bind(tenant)
    .bind(connection.as_str())
    .bind(stream.anchor_event_id.as_deref())
    .bind(stream.anchor_at)
    .bind(stream.newest_event_at)
    .bind(stream.last_sweep_at)
    .bind(stream.balance_through_at)
    .bind(stream.last_balance_read_at)
    .bind(stream.last_sample_at)
    .execute(tx)
    .await?;
    Ok(())
}

/// What is known to be complete of one kind.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, sqlx::FromRow)]
pub struct Coverage {
    /// Stripe's name of the kind.
    pub object_type: String,
    /// `pending`, `running`, `complete`, `forbidden`, `throttled` or `failed`.
    pub state: String,
    /// Why it is not complete.
    pub reason: Option<String>,
    /// The oldest creation time that is covered, in microseconds since 1970; none for everything.
    #[serde(serialize_with = "crate::progress::some_time_text")]
    pub covered_from: Option<i64>,
    /// The newest creation time that was listed; what came later comes by events.
    #[serde(serialize_with = "crate::progress::some_time_text")]
    pub covered_until: Option<i64>,
    /// When this last changed.
    #[serde(serialize_with = "crate::progress::time_text")]
    pub changed_at: i64,
}

pub(crate) async fn coverage(tx: &mut Tx, tenant: TenantId, connection: &ConnectionId) -> store::Result<Vec<Coverage>> {
    q(sql!(
        "SELECT object_type, state, reason, covered_from, covered_until, changed_at FROM mirror_coverage
         WHERE tenant_id = $1 AND connection_id = $2 ORDER BY object_type LIMIT 100"
    ))
    .bind(tenant)
    .bind(connection.as_str())
    .all(tx)
    .await
}

/// What a part's end means for what is covered. A kind that was complete stays so while it is listed again.
pub(crate) struct Covered<'a> {
    pub(crate) kind: &'a str,
    pub(crate) state: PartState,
    pub(crate) reason: Option<&'a str>,
    pub(crate) from: Option<Time>,
    pub(crate) until: Option<Time>,
}

pub(crate) async fn cover(
    tx: &mut Tx,
    tenant: TenantId,
    connection: &ConnectionId,
    covered: Covered<'_>,
    now: Time,
) -> store::Result<()> {
    q(sql!(
        "INSERT INTO mirror_coverage (tenant_id, connection_id, object_type, state, reason, covered_from, covered_until, changed_at)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
         ON CONFLICT (tenant_id, connection_id, object_type) DO UPDATE SET state = excluded.state, reason = excluded.reason,
            covered_from = excluded.covered_from, covered_until = coalesce(excluded.covered_until, mirror_coverage.covered_until),
            changed_at = excluded.changed_at"
    ))
    .bind(tenant)
    .bind(connection.as_str())
    .bind(covered.kind)
    .bind(covered.state.as_str())
    .bind(covered.reason)
    .bind(covered.from)
    .bind(covered.until)
    .bind(now)
    .execute(tx)
    .await?;
    Ok(())
}

/// Forgets how far a connection was read, before everything is read anew or when its data is erased.
pub(crate) async fn forget(tx: &mut Tx, tenant: TenantId, connection: &ConnectionId) -> store::Result<()> {
    q(sql!("DELETE FROM mirror_streams WHERE tenant_id = $1 AND connection_id = $2"))
        .bind(tenant)
        .bind(connection.as_str())
        .execute(tx)
        .await?;
    Ok(())
}
