//! Events for people and programs: lists, and one with its body.

use super::type_pattern;
use crate::{EventDetail, EventFilter, EventSummary, State};
use ::store::{Result, StoreError, TenantTx, q, sql};
use kit::Time;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use vault::ConnectionId;

/// An event's place in the order of lists.
#[derive(Clone, Debug, Serialize, Deserialize, sqlx::FromRow)]
pub(crate) struct Key {
    pub(crate) received_at: i64,
    pub(crate) connection_id: String,
    pub(crate) event_id: String,
}

#[derive(sqlx::FromRow)]
struct SummaryRow {
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
    state: String,
    retry_count: i64,
    next_try_at: Option<i64>,
    last_error: Option<String>,
    processed_at: Option<i64>,
}

impl SummaryRow {
    fn into_summary(self) -> Result<EventSummary> {
        let unreadable = |why| StoreError::unreadable_row("inbox_events", &self.event_id, why);
        let source = self.source.parse().map_err(unreadable)?;
        let state = self.state.parse().map_err(unreadable)?;
        Ok(EventSummary {
            source,
            state,
            event_id: self.event_id,
            connection_id: ConnectionId::from_text(self.connection_id),
            account_id: self.account_id,
            event_type: self.event_type,
            api_version: self.api_version,
            created: Time::from_micros(self.event_created),
            received_at: Time::from_micros(self.received_at),
            object_type: self.object_type,
            object_id: self.object_id,
            thin: self.thin,
            retry_count: u32::try_from(self.retry_count).unwrap_or(u32::MAX),
            next_try_at: self.next_try_at.map(Time::from_micros),
            last_error: self.last_error,
            processed_at: self.processed_at.map(Time::from_micros),
        })
    }
}

/// Events behind `after`, the last received first.
pub(crate) async fn list(
    tx: &mut TenantTx,
    filter: &EventFilter,
    after: Option<&Key>,
    limit: u32,
) -> Result<Vec<EventSummary>> {
    let end = Key { received_at: i64::MAX, connection_id: String::new(), event_id: String::new() };
    let after = after.unwrap_or(&end);
    // Events in trouble and those that wait are few and have indexes of their own, whose
    // predicates must stand as literals; `+ 0` keeps the order from choosing another.
    let statement = match filter.state {
        Some(State::Failed | State::Dead) => sql!(
            "SELECT connection_id, event_id, account_id, event_type, api_version, event_created, received_at, object_type,
                    object_id, thin, source, state, retry_count, next_try_at, last_error, processed_at
             FROM inbox_events
             WHERE tenant_id = $1 AND received_at <= $2 AND (received_at, connection_id, event_id) < ($2, $3, $4)
               AND state IN ('failed', 'dead') AND state = $5
               AND (CAST($6 AS TEXT) IS NULL OR event_type LIKE $6 ESCAPE '!')
               AND (CAST($7 AS TEXT) IS NULL OR connection_id = $7) AND (CAST($8 AS TEXT) IS NULL OR object_id = $8)
             ORDER BY received_at DESC, connection_id DESC, event_id DESC LIMIT $9"
        ),
        Some(State::Ready) => sql!(
            "SELECT connection_id, event_id, account_id, event_type, api_version, event_created, received_at, object_type,
                    object_id, thin, source, state, retry_count, next_try_at, last_error, processed_at
             FROM inbox_events
             WHERE tenant_id = $1 AND next_try_at IS NOT NULL AND state = $5 AND (received_at, connection_id, event_id) < ($2, $3, $4)
               AND (CAST($6 AS TEXT) IS NULL OR event_type LIKE $6 ESCAPE '!')
               AND (CAST($7 AS TEXT) IS NULL OR connection_id = $7) AND (CAST($8 AS TEXT) IS NULL OR object_id = $8)
             ORDER BY received_at + 0 DESC, connection_id DESC, event_id DESC LIMIT $9"
        ),
        Some(State::Processed) | None => sql!(
            "SELECT connection_id, event_id, account_id, event_type, api_version, event_created, received_at, object_type,
                    object_id, thin, source, state, retry_count, next_try_at, last_error, processed_at
             FROM inbox_events
             WHERE tenant_id = $1 AND received_at <= $2 AND (received_at, connection_id, event_id) < ($2, $3, $4)
               AND (CAST($5 AS TEXT) IS NULL OR state = $5)
               AND (CAST($6 AS TEXT) IS NULL OR event_type LIKE $6 ESCAPE '!')
               AND (CAST($7 AS TEXT) IS NULL OR connection_id = $7) AND (CAST($8 AS TEXT) IS NULL OR object_id = $8)
             ORDER BY received_at DESC, connection_id DESC, event_id DESC LIMIT $9"
        ),
    };
    let rows: Vec<SummaryRow> = q(statement)
        .bind(tx.tenant())
        .bind(after.received_at)
        .bind(after.connection_id.as_str())
        .bind(after.event_id.as_str())
        .bind(filter.state.map(|state| state.as_str().to_owned()))
        .bind(filter.event_type.as_deref().map(type_pattern))
        .bind(filter.connection_id.clone())
        .bind(filter.object_id.clone())
        .bind(limit)
        .all(tx)
        .await?;
    rows.into_iter().map(SummaryRow::into_summary).collect()
}

/// One event with its body. The same id through two connections (a platform's and the account's own) is the same event;
/// the one received last is answered.
pub(crate) async fn find(tx: &mut TenantTx, event_id: &str) -> Result<Option<EventDetail>> {
    let row: Option<SummaryRow> = q(sql!(
        "SELECT connection_id, event_id, account_id, event_type, api_version, event_created, received_at, object_type,
                object_id, thin, source, state, retry_count, next_try_at, last_error, processed_at
         FROM inbox_events
         WHERE tenant_id = $1 AND event_id = $2 ORDER BY received_at DESC LIMIT 1"
    ))
    .bind(tx.tenant())
    .bind(event_id)
    .optional(tx)
    .await?;
    let Some(row) = row else { return Ok(None) };
    let summary = row.into_summary()?;
    let body: Option<(String,)> =
        q(sql!("SELECT body FROM inbox_payloads WHERE tenant_id = $1 AND connection_id = $2 AND event_id = $3"))
            .bind(tx.tenant())
            .bind(summary.connection_id.as_str())
            .bind(event_id)
            .optional(tx)
            .await?;
    // What was stored by earlier releases may hold it still.
    let shown = |body: String| RawValue::from_string(stripe::redact::without_client_secrets(&body).into_owned());
    let body = body.map(|(body,)| shown(body)).transpose();
    let body = body.map_err(|why| StoreError::unreadable_row("inbox_payloads", event_id, why))?;
    Ok(Some(EventDetail { summary, body }))
}
