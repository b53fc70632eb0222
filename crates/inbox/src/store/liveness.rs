//! What was last known of whether a connection's webhooks arrive, and what is left to be done of its events.

use crate::inbox::Unfinished;
use ::store::{Result, TenantTx, q, sql};
use kit::Time;
use vault::ConnectionId;

/// Kinds of objects that events are about; there are not so many.
const MOST_KINDS: i64 = 200;

/// What was last told of a connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Told {
    pub(crate) state: String,
    pub(crate) noticed: bool,
}

/// What was last told of a connection; another transaction that wants to change it waits for this one.
pub(crate) async fn told(tx: &mut TenantTx, connection: &ConnectionId) -> Result<Option<Told>> {
    let row: Option<(String, bool)> = q(sql!(
        "SELECT state, noticed FROM inbox_liveness WHERE tenant_id = $1 AND connection_id = $2" pg " FOR UPDATE"
    ))
    .bind(tx.tenant())
    .bind(connection.as_str())
    .optional(tx)
    .await?;
    Ok(row.map(|(state, noticed)| Told { state, noticed }))
}

/// Keeps what is told of a connection.
pub(crate) async fn tell(tx: &mut TenantTx, connection: &ConnectionId, told: &Told, now: Time) -> Result<()> {
    q(sql!(
        "INSERT INTO inbox_liveness (tenant_id, connection_id, state, noticed, changed_at) VALUES ($1, $2, $3, $4, $5)
         ON CONFLICT (tenant_id, connection_id) DO UPDATE
         SET state = excluded.state, noticed = excluded.noticed, changed_at = excluded.changed_at"
    ))
    .bind(tx.tenant())
    .bind(connection.as_str())
    .bind(told.state.as_str())
    .bind(told.noticed)
    .bind(now)
    .execute(tx)
    .await
    .map(drop)
}

#[derive(sqlx::FromRow)]
struct UnfinishedRow {
    object_type: Option<String>,
    waiting: i64,
    waiting_since: Option<i64>,
    dead: i64,
    dead_since: Option<i64>,
}

/// Events of a connection without their effect, by the kind of their object.
pub(crate) async fn unfinished(tx: &mut TenantTx, connection: &ConnectionId) -> Result<Vec<Unfinished>> {
    let rows: Vec<UnfinishedRow> = q(sql!(
        "SELECT object_type, CAST(sum(waiting) AS BIGINT) AS waiting, CAST(min(waiting_since) AS BIGINT) AS waiting_since,
                CAST(sum(dead) AS BIGINT) AS dead, CAST(min(dead_since) AS BIGINT) AS dead_since
         FROM (SELECT object_type, count(*) AS waiting, min(event_created) AS waiting_since, 0 AS dead,
                      CAST(NULL AS BIGINT) AS dead_since
               FROM inbox_events WHERE tenant_id = $1 AND next_try_at IS NOT NULL AND connection_id = $2
               GROUP BY object_type
               UNION ALL
               SELECT object_type, 0, NULL, count(*), min(event_created)
               FROM inbox_events
               WHERE tenant_id = $1 AND state IN ('failed', 'dead') AND state = 'dead' AND connection_id = $2
               GROUP BY object_type) AS unfinished
         GROUP BY object_type ORDER BY object_type LIMIT $3"
    ))
    .bind(tx.tenant())
    .bind(connection.as_str())
    .bind(MOST_KINDS)
    .all(tx)
    .await?;
    let read = |row: UnfinishedRow| Unfinished {
        object_type: row.object_type,
        waiting: row.waiting,
        waiting_since: row.waiting_since.map(Time::from_micros),
        dead: row.dead,
        dead_since: row.dead_since.map(Time::from_micros),
    };
    Ok(rows.into_iter().map(read).collect())
}
