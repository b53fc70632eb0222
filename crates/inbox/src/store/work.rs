//! What the processor asks: which events are due, and what became of them.

use super::{by_connection, figures::add_to_tallies};
use crate::{Source, State, StoredEvent};
use ::store::{Result, StoreError, SystemTx, TenantTx, json_rows, q, sql};
use kit::{TenantId, Time};
use vault::ConnectionId;

/// Most tenants that one look for due events finds; the next look finds the others.
const MAX_TENANTS: u32 = 256;
/// What is kept of an error: enough to read, little enough to store twelve times a day.
const MAX_ERROR_CHARS: usize = 1_000;

/// Tenants that have due events.
pub(crate) async fn due_tenants(tx: &mut SystemTx, now: Time) -> Result<Vec<TenantId>> {
    // Jumps from tenant to tenant through the index, so that a backlog of one does not have to be counted.
    let tenants: Vec<(i64,)> = q(sql!(
        "WITH RECURSIVE due(tenant_id) AS (
             SELECT min(tenant_id) FROM inbox_events WHERE next_try_at <= $1
             UNION ALL
             SELECT (SELECT min(e.tenant_id) FROM inbox_events e WHERE e.next_try_at <= $1 AND e.tenant_id > due.tenant_id)
             FROM due WHERE due.tenant_id IS NOT NULL)
         SELECT tenant_id FROM due WHERE tenant_id IS NOT NULL LIMIT $2"
    ))
    .bind(now)
    .bind(MAX_TENANTS)
    .all(tx)
    .await?;
    Ok(tenants.into_iter().map(|(id,)| TenantId(id)).collect())
}

/// When the next event is due that is not due yet.
pub(crate) async fn next_due(tx: &mut SystemTx, now: Time) -> Result<Option<Time>> {
    let due: Option<i64> =
        q(sql!("SELECT min(next_try_at) FROM inbox_events WHERE next_try_at > $1")).bind(now).scalar(tx).await?;
    Ok(due.map(Time::from_micros))
}

/// An event to be processed, with what its outcome needs.
#[derive(Clone, Debug)]
pub(crate) struct Due {
    pub(crate) event: StoredEvent,
    pub(crate) source: Source,
    pub(crate) retry_count: u32,
}

#[derive(sqlx::FromRow)]
struct DueRow {
    connection_id: String,
    event_id: String,
    account_id: String,
    event_type: String,
    api_version: Option<String>,
    event_created: i64,
    received_at: i64,
    object_type: Option<String>,
    object_id: Option<String>,
    thin: bool,
    source: String,
    retry_count: i64,
    body: String,
}

impl DueRow {
    fn into_due(self) -> Result<Due> {
        let source =
            self.source.parse().map_err(|why| StoreError::unreadable_row("inbox_events", &self.event_id, why))?;
        Ok(Due {
            source,
            retry_count: u32::try_from(self.retry_count).unwrap_or(u32::MAX),
            event: StoredEvent {
                event_id: self.event_id,
                connection_id: ConnectionId::from_text(self.connection_id),
                account_id: self.account_id,
                event_type: self.event_type,
                api_version: self.api_version,
                created: Time::from_micros(self.event_created),
                received_at: Time::from_micros(self.received_at),
                object_type: self.object_type,
                object_id: self.object_id,
                body: self.body,
                thin: self.thin,
            },
        })
    }
}

/// The due events that have waited longest. On PostgreSQL they are this transaction's until it ends, and other nodes take
/// others; on SQLite there is only this process, so that a reader may look.
pub(crate) async fn take_due(tx: &mut TenantTx, now: Time, limit: u32) -> Result<Vec<Due>> {
    let rows: Vec<DueRow> = q(sql!(
        // PostgreSQL locks first and fetches bodies then, one look each: however old its statistics are, it neither sorts
        // bodies nor joins the tables the wrong way round.
        pg "WITH e AS MATERIALIZED (
             SELECT * FROM inbox_events WHERE tenant_id = $1 AND next_try_at <= $2 ORDER BY next_try_at LIMIT $3
             FOR UPDATE SKIP LOCKED) "
        "SELECT e.connection_id, e.event_id, e.account_id, e.event_type, e.api_version, e.event_created, e.received_at,
                e.object_type, e.object_id, e.thin, e.source, e.retry_count, p.body "
        pg "FROM e CROSS JOIN LATERAL (
                SELECT body FROM inbox_payloads p
                WHERE p.tenant_id = $1 AND p.event_id = e.event_id AND p.connection_id = e.connection_id OFFSET 0) p"
        lite "FROM inbox_events e
              JOIN inbox_payloads p ON p.tenant_id = e.tenant_id AND p.event_id = e.event_id AND p.connection_id = e.connection_id
              WHERE e.tenant_id = $1 AND e.next_try_at <= $2 ORDER BY e.next_try_at LIMIT $3"
    ))
    .bind(tx.tenant())
    .bind(now)
    .bind(limit)
    .all(tx)
    .await?;
    rows.into_iter().map(DueRow::into_due).collect()
}

/// Takes these events again, in another transaction than the one that failed; those are left out that somebody else has
/// or has dealt with.
pub(crate) async fn take_again(tx: &mut TenantTx, events: &[Due], now: Time) -> Result<Vec<(String, String)>> {
    q(sql!(
        "SELECT connection_id, event_id FROM inbox_events
         WHERE tenant_id = $1 AND next_try_at <= $2 AND event_id "
        pg "= ANY(ARRAY(SELECT json_array_elements_text($3::json))) FOR UPDATE SKIP LOCKED"
        lite "IN (SELECT value FROM jsonb_each($3))"
    ))
    .bind(tx.tenant())
    .bind(now)
    .bind(json_rows(&events.iter().map(|due| due.event.event_id.as_str()).collect::<Vec<_>>())?)
    .all(tx)
    .await
}

/// Marks events processed, in the transaction that holds their effect, and adds them to the tallies.
///
/// # Errors
/// A row that was there and is not any more undoes all: the batch has to be taken again.
pub(crate) async fn mark_processed(tx: &mut TenantTx, events: &[Due], now: Time) -> Result<()> {
    let mut marked = 0;
    let keys = events.iter().map(|due| (due.event.connection_id.as_str(), due.event.event_id.as_str()));
    for (connection_id, event_ids) in by_connection(keys) {
        marked += q(sql!(
            "UPDATE inbox_events SET state = 'processed', next_try_at = NULL, last_error = NULL, processed_at = $2
             WHERE tenant_id = $1 AND "
            pg "ctid = ANY(ARRAY(SELECT found.ctid FROM json_array_elements_text($4::json) AS ids(id) CROSS JOIN LATERAL (
                    SELECT ctid FROM inbox_events e
                    WHERE e.tenant_id = $1 AND e.connection_id = $3 AND e.event_id = ids.id OFFSET 0) found))"
            lite "connection_id = $3 AND event_id IN (SELECT value FROM jsonb_each($4))"
        ))
        .bind(tx.tenant())
        .bind(now)
        .bind(connection_id)
        .bind(json_rows(&event_ids)?)
        .execute(tx)
        .await?;
    }
    if marked != events.len() as u64 {
        return Err(StoreError::missing_row("marking events processed"));
    }
    add_to_tallies(tx, events, now).await
}

/// Writes down that an event failed; `next_try_at` is none when it is given up. Answers whether it was still due.
pub(crate) async fn mark_failed(tx: &mut TenantTx, due: &Due, next_try_at: Option<Time>, error: &str) -> Result<bool> {
    let marked = q(sql!(
        "UPDATE inbox_events SET state = $4, next_try_at = $5, retry_count = $6, last_error = $7
         WHERE tenant_id = $1 AND connection_id = $2 AND event_id = $3 AND next_try_at IS NOT NULL AND retry_count = $6 - 1"
    ))
    .bind(tx.tenant())
    .bind(due.event.connection_id.as_str())
    .bind(due.event.event_id.as_str())
    .bind(if next_try_at.is_some() { State::Failed } else { State::Dead }.as_str())
    .bind(next_try_at.map(Time::micros))
    .bind(i64::from(due.retry_count) + 1)
    .bind(error.chars().take(MAX_ERROR_CHARS).collect::<String>())
    .execute(tx)
    .await?;
    Ok(marked == 1)
}
