//! Many events at once, because a person asked: processed again, or erased.

use super::{Key, by_connection, type_pattern};
use crate::ReplayFilter;
use ::store::{Result, TenantTx, json_rows, q, sql};
use kit::Time;

/// The next events of a replay, oldest first, up to those received by `until`. Events whose body is gone are left out.
pub(crate) async fn replayable(
    tx: &mut TenantTx,
    filter: &ReplayFilter,
    until: Time,
    after: Option<&Key>,
    limit: u32,
) -> Result<Vec<Key>> {
    let first = filter.from.map_or(i64::MIN, Time::micros);
    let last = filter.to.map_or(i64::MAX, |to| to.micros().saturating_sub(1)).min(until.micros());
    let start = Key { received_at: first, connection_id: String::new(), event_id: String::new() };
    let after = after.unwrap_or(&start);
    let statement = if filter.ids.is_empty() {
        sql!(
            "SELECT e.received_at, e.connection_id, e.event_id FROM inbox_events e
             WHERE e.tenant_id = $1 AND e.received_at >= $2 AND e.received_at <= $3
               AND (e.received_at, e.connection_id, e.event_id) > ($2, $4, $5)
               AND e.state <> 'ready' AND (CAST($6 AS TEXT) IS NULL OR e.state = $6)
               AND (CAST($7 AS TEXT) IS NULL OR e.event_type LIKE $7 ESCAPE '!')
               AND EXISTS (SELECT 1 FROM inbox_payloads p
                   WHERE p.tenant_id = e.tenant_id AND p.connection_id = e.connection_id AND p.event_id = e.event_id)
             ORDER BY e.received_at, e.connection_id, e.event_id LIMIT $8"
        )
    } else {
        sql!(
            "SELECT e.received_at, e.connection_id, e.event_id FROM inbox_events e
             WHERE e.tenant_id = $1 AND e.received_at >= $2 AND e.received_at <= $3 AND e.event_id "
            pg "= ANY(ARRAY(SELECT json_array_elements_text($9::json)))" lite "IN (SELECT value FROM jsonb_each($9))"
            "
               AND (e.received_at, e.connection_id, e.event_id) > ($2, $4, $5)
               AND e.state <> 'ready' AND (CAST($6 AS TEXT) IS NULL OR e.state = $6)
               AND (CAST($7 AS TEXT) IS NULL OR e.event_type LIKE $7 ESCAPE '!')
               AND EXISTS (SELECT 1 FROM inbox_payloads p
                   WHERE p.tenant_id = e.tenant_id AND p.connection_id = e.connection_id AND p.event_id = e.event_id)
             ORDER BY e.received_at, e.connection_id, e.event_id LIMIT $8"
        )
    };
    let query = q(statement)
        .bind(tx.tenant())
        .bind(after.received_at)
        .bind(last)
        .bind(after.connection_id.as_str())
        .bind(after.event_id.as_str())
        .bind(filter.state.map(|state| state.as_str().to_owned()))
        .bind(filter.event_type.as_deref().map(type_pattern))
        .bind(limit);
    let query = if filter.ids.is_empty() { query } else { query.bind(json_rows(&filter.ids)?) };
    query.all(tx).await
}

/// Makes events ready again, with all their tries.
pub(crate) async fn make_ready(tx: &mut TenantTx, keys: &[Key], now: Time) -> Result<u64> {
    let mut changed = 0;
    let keys = keys.iter().map(|key| (key.connection_id.as_str(), key.event_id.as_str()));
    for (connection_id, event_ids) in by_connection(keys) {
        changed += q(sql!(
            "UPDATE inbox_events SET state = 'ready', next_try_at = $2, retry_count = 0
             WHERE tenant_id = $1 AND state <> 'ready' AND "
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
    tx.wake(crate::WAKE);
    Ok(changed)
}

/// Deletes up to `limit` events of a connection, in the order of their ids behind `after`, with their bodies. Answers the
/// last one's id; none when no more are left, and then forgets the connection's figures too.
pub(crate) async fn erase(tx: &mut TenantTx, connection_id: &str, after: &str, limit: u32) -> Result<Option<String>> {
    let ids: Vec<(String,)> = q(sql!(
        "SELECT event_id FROM inbox_events
         WHERE tenant_id = $1 AND connection_id = $2 AND event_id > $3 ORDER BY event_id LIMIT $4"
    ))
    .bind(tx.tenant())
    .bind(connection_id)
    .bind(after)
    .bind(limit)
    .all(tx)
    .await?;
    let Some((last,)) = ids.last().cloned() else {
        q(sql!("DELETE FROM inbox_tallies WHERE tenant_id = $1 AND connection_id = $2"))
            .bind(tx.tenant())
            .bind(connection_id)
            .execute(tx)
            .await?;
        return Ok(None);
    };
    let ids = json_rows(&ids.into_iter().map(|(id,)| id).collect::<Vec<_>>())?;
    for statement in [
        sql!("DELETE FROM inbox_payloads WHERE tenant_id = $1 AND "
            pg "ctid = ANY(ARRAY(SELECT found.ctid FROM json_array_elements_text($3::json) AS ids(id) CROSS JOIN LATERAL (
                    SELECT ctid FROM inbox_payloads e
                    WHERE e.tenant_id = $1 AND e.connection_id = $2 AND e.event_id = ids.id OFFSET 0) found))"
            lite "connection_id = $2 AND event_id IN (SELECT value FROM jsonb_each($3))"),
        sql!("DELETE FROM inbox_events WHERE tenant_id = $1 AND "
            pg "ctid = ANY(ARRAY(SELECT found.ctid FROM json_array_elements_text($3::json) AS ids(id) CROSS JOIN LATERAL (
                    SELECT ctid FROM inbox_events e
                    WHERE e.tenant_id = $1 AND e.connection_id = $2 AND e.event_id = ids.id OFFSET 0) found))"
            lite "connection_id = $2 AND event_id IN (SELECT value FROM jsonb_each($3))"),
    ] {
        q(statement).bind(tx.tenant()).bind(connection_id).bind(ids.as_str()).execute(tx).await?;
    }
    Ok(Some(last))
}
