//! Sync jobs with their parts and ranges.

use crate::{
    range::Range,
    sync::{PartState, SyncId, SyncKind},
};
use kit::{TenantId, Time};
use serde::Serialize;
use store::{Tx, json_rows, q, sql};
use vault::ConnectionId;

/// A sync job's row.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, sqlx::FromRow)]
pub struct SyncJob {
    /// Which job.
    pub id: String,
    /// Of which connection.
    pub connection_id: String,
    /// `full` or `incremental`.
    pub kind: String,
    /// `pending`, `running`, `completed` or `failed`.
    pub state: String,
    /// Why it was made: `connected`, `schedule`, `person`, `downtime`.
    pub requested_by: String,
    /// When it was asked for, in microseconds since 1970.
    #[serde(serialize_with = "crate::progress::time_text")]
    pub created_at: i64,
    /// When it began, in microseconds since 1970.
    #[serde(serialize_with = "crate::progress::some_time_text")]
    pub started_at: Option<i64>,
    /// When it ended, in microseconds since 1970.
    #[serde(serialize_with = "crate::progress::some_time_text")]
    pub finished_at: Option<i64>,
    /// Nothing created after this moment is listed; in microseconds since 1970.
    #[serde(serialize_with = "crate::progress::some_time_text")]
    pub ceiling_at: Option<i64>,
    /// Stable code of what ended it.
    pub error_code: Option<String>,
    /// What ended it.
    pub error: Option<String>,
    /// Calls made to Stripe.
    pub calls: i64,
    /// Events that no webhook had brought.
    pub events_found: i64,
    /// Objects that had changed without an event.
    pub silent_changes: i64,
}

/// One kind of objects within a sync job.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, sqlx::FromRow)]
pub struct SyncPart {
    /// Stripe's name of the kind.
    pub object_type: String,
    /// `pending`, `running`, `complete`, `forbidden`, `throttled` or `failed`.
    pub state: String,
    /// Why it is not complete.
    pub reason: Option<String>,
    /// The oldest second that is read; none for everything.
    pub from_second: Option<i64>,
    /// The newest second that is read.
    pub to_second: i64,
    /// Objects read.
    pub objects: i64,
    /// Pages read.
    pub pages: i64,
    /// About how many objects are left, judged by the time that is left and how dense objects were so far.
    pub remaining: i64,
}

#[derive(sqlx::FromRow)]
struct RangeRow {
    object_type: String,
    number: i64,
    from_second: Option<i64>,
    to_second: i64,
    cursor_id: Option<String>,
    pages: i64,
    objects: i64,
    done: bool,
}

/// Asks for a sync; answers false if one of the connection waits already.
pub(crate) async fn request(
    tx: &mut Tx,
    tenant: TenantId,
    id: &SyncId,
    connection: &ConnectionId,
    kind: SyncKind,
    requested_by: &str,
    now: Time,
) -> store::Result<bool> {
    let inserted = q(sql!(
        "INSERT INTO mirror_sync_jobs (tenant_id, id, connection_id, kind, state, requested_by, created_at)
         VALUES ($1, $2, $3, $4, 'pending', $5, $6)
         ON CONFLICT (tenant_id, connection_id, state) WHERE state IN ('pending', 'running') DO NOTHING"
    ))
    .bind(tenant)
    .bind(id.as_str())
    .bind(connection.as_str())
    .bind(kind.as_str())
    .bind(requested_by)
    .bind(now)
    .execute(tx)
    .await?;
    Ok(inserted == 1)
}

/// Makes the waiting sync of a connection a full one.
pub(crate) async fn make_full(tx: &mut Tx, tenant: TenantId, connection: &ConnectionId) -> store::Result<()> {
    q(sql!(
        "UPDATE mirror_sync_jobs SET kind = 'full' WHERE tenant_id = $1 AND connection_id = $2 AND state = 'pending'"
    ))
    .bind(tenant)
    .bind(connection.as_str())
    .execute(tx)
    .await?;
    Ok(())
}

/// The sync of a connection that runs, or else waits.
pub(crate) async fn current(
    tx: &mut Tx,
    tenant: TenantId,
    connection: &ConnectionId,
) -> store::Result<Option<SyncJob>> {
    q(sql!(
        "SELECT id, connection_id, kind, state, requested_by, created_at, started_at, finished_at, ceiling_at, error_code,
                error, calls, events_found, silent_changes
         FROM mirror_sync_jobs WHERE tenant_id = $1 AND connection_id = $2 AND state IN ('pending', 'running')
         ORDER BY CASE state WHEN 'running' THEN 0 ELSE 1 END LIMIT 1"
    ))
    .bind(tenant)
    .bind(connection.as_str())
    .optional(tx)
    .await
}

/// Syncs of a connection, the newest first, before `before`.
pub(crate) async fn list(
    tx: &mut Tx,
    tenant: TenantId,
    connection: &ConnectionId,
    before: Option<&str>,
    limit: u32,
) -> store::Result<Vec<SyncJob>> {
    q(sql!(
        "SELECT id, connection_id, kind, state, requested_by, created_at, started_at, finished_at, ceiling_at, error_code,
                error, calls, events_found, silent_changes
         FROM mirror_sync_jobs WHERE tenant_id = $1 AND connection_id = $2 AND (CAST($3 AS TEXT) IS NULL OR id < $3)
         ORDER BY id DESC LIMIT $4"
    ))
    .bind(tenant)
    .bind(connection.as_str())
    .bind(before)
    .bind(limit)
    .all(tx)
    .await
}

/// The last sync of a connection that completed.
pub(crate) async fn last_completed(
    tx: &mut Tx,
    tenant: TenantId,
    connection: &ConnectionId,
) -> store::Result<Option<SyncJob>> {
    q(sql!(
        "SELECT id, connection_id, kind, state, requested_by, created_at, started_at, finished_at, ceiling_at, error_code,
                error, calls, events_found, silent_changes
         FROM mirror_sync_jobs WHERE tenant_id = $1 AND connection_id = $2 AND state = 'completed'
         ORDER BY id DESC LIMIT 1"
    ))
    .bind(tenant)
    .bind(connection.as_str())
    .optional(tx)
    .await
}

pub(crate) async fn start(tx: &mut Tx, tenant: TenantId, id: &str, ceiling: Time, now: Time) -> store::Result<()> {
    q(sql!(
        "UPDATE mirror_sync_jobs SET state = 'running', started_at = $3, ceiling_at = $4
         WHERE tenant_id = $1 AND id = $2 AND state = 'pending'"
    ))
    .bind(tenant)
    .bind(id)
    .bind(now)
    .bind(ceiling)
    .change_one(tx)
    .await
}

/// How a sync ended: none for well, or the code and the words of what ended it.
pub(crate) type Ended<'a> = Option<(&'a str, &'a str)>;

pub(crate) async fn end(tx: &mut Tx, tenant: TenantId, id: &str, ended: Ended<'_>, now: Time) -> store::Result<()> {
    q(sql!(
        "UPDATE mirror_sync_jobs SET state = $3, finished_at = $4, error_code = $5, error = $6
         WHERE tenant_id = $1 AND id = $2 AND state = 'running'"
    ))
    .bind(tenant)
    .bind(id)
    .bind(if ended.is_some() { "failed" } else { "completed" })
    .bind(now)
    .bind(ended.map(|it| it.0))
    .bind(ended.map(|it| it.1))
    .change_one(tx)
    .await
}

/// What a step of a sync did besides storing objects.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Figures {
    pub(crate) calls: i64,
    pub(crate) events_found: i64,
    pub(crate) silent_changes: i64,
}

pub(crate) async fn add_figures(tx: &mut Tx, tenant: TenantId, id: &str, figures: Figures) -> store::Result<()> {
    q(sql!(
        "UPDATE mirror_sync_jobs SET calls = calls + $3, events_found = events_found + $4, silent_changes = silent_changes + $5
         WHERE tenant_id = $1 AND id = $2 AND state = 'running'"
    ))
    .bind(tenant)
    .bind(id)
    .bind(figures.calls)
    .bind(figures.events_found)
    .bind(figures.silent_changes)
    .change_one(tx)
    .await
}

pub(crate) async fn parts(tx: &mut Tx, tenant: TenantId, job: &str) -> store::Result<Vec<SyncPart>> {
    q(sql!(
        "SELECT object_type, state, reason, from_second, to_second, objects, pages, remaining FROM mirror_sync_parts
         WHERE tenant_id = $1 AND job_id = $2 ORDER BY object_type LIMIT 100"
    ))
    .bind(tenant)
    .bind(job)
    .all(tx)
    .await
}

/// The oldest second that a part reads; none for everything.
pub(crate) async fn part_from(tx: &mut Tx, tenant: TenantId, job: &str, kind: &str) -> store::Result<Option<i64>> {
    let from: Option<(Option<i64>,)> =
        q(sql!("SELECT from_second FROM mirror_sync_parts WHERE tenant_id = $1 AND job_id = $2 AND object_type = $3"))
            .bind(tenant)
            .bind(job)
            .bind(kind)
            .optional(tx)
            .await?;
    Ok(from.and_then(|row| row.0))
}

/// Adds a part that was not begun.
pub(crate) async fn add_part(
    tx: &mut Tx,
    tenant: TenantId,
    job: &str,
    kind: &str,
    from: Option<i64>,
    to: i64,
) -> store::Result<()> {
    q(sql!(
        "INSERT INTO mirror_sync_parts (tenant_id, job_id, object_type, state, from_second, to_second, objects, pages, remaining)
         VALUES ($1, $2, $3, 'pending', $4, $5, 0, 0, 0) ON CONFLICT DO NOTHING"
    ))
    .bind(tenant)
    .bind(job)
    .bind(kind)
    .bind(from)
    .bind(to)
    .execute(tx)
    .await?;
    Ok(())
}

/// The ranges of a job that are not done, and for each part the next free number. Bounded by the number of parts times
/// the spans that are open at once.
pub(crate) async fn open_ranges(tx: &mut Tx, tenant: TenantId, job: &str) -> store::Result<Vec<(String, Range)>> {
    let rows: Vec<RangeRow> = q(sql!(
        "SELECT object_type, number, from_second, to_second, cursor_id, pages, objects, done FROM mirror_sync_ranges
         WHERE tenant_id = $1 AND job_id = $2 AND done = FALSE ORDER BY object_type, number LIMIT 1000"
    ))
    .bind(tenant)
    .bind(job)
    .all(tx)
    .await?;
    Ok(rows.into_iter().map(range_of).collect())
}

fn range_of(row: RangeRow) -> (String, Range) {
    let range = Range {
        number: row.number,
        from: row.from_second,
        to: row.to_second,
        cursor: row.cursor_id,
        pages: row.pages,
        objects: row.objects,
        done: row.done,
        left: 0,
    };
    (row.object_type, range)
}

/// How many ranges each part has, done ones included: numbers go on behind them.
pub(crate) async fn range_counts(tx: &mut Tx, tenant: TenantId, job: &str) -> store::Result<Vec<(String, i64)>> {
    q(sql!(
        "SELECT object_type, CAST(max(number) + 1 AS BIGINT) FROM mirror_sync_ranges WHERE tenant_id = $1 AND job_id = $2
         GROUP BY object_type"
    ))
    .bind(tenant)
    .bind(job)
    .all(tx)
    .await
}

/// The unread ranges of a kind in the last job of the connection that had it as a part.
pub(crate) async fn unread_before(
    tx: &mut Tx,
    tenant: TenantId,
    connection: &ConnectionId,
    kind: &str,
) -> store::Result<Vec<Range>> {
    let rows: Vec<RangeRow> = q(sql!(
        "SELECT object_type, number, from_second, to_second, cursor_id, pages, objects, done FROM mirror_sync_ranges
         WHERE tenant_id = $1 AND object_type = $3 AND done = FALSE AND job_id = (
            SELECT p.job_id FROM mirror_sync_parts p JOIN mirror_sync_jobs j ON j.tenant_id = p.tenant_id AND j.id = p.job_id
            WHERE p.tenant_id = $1 AND j.connection_id = $2 AND p.object_type = $3 AND j.state IN ('completed', 'failed')
            ORDER BY j.id DESC LIMIT 1)
         ORDER BY number LIMIT 100"
    ))
    .bind(tenant)
    .bind(connection.as_str())
    .bind(kind)
    .all(tx)
    .await?;
    Ok(rows.into_iter().map(|row| range_of(row).1).collect())
}

/// A range as it now stands.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct RangeUpdate {
    pub(crate) kind: &'static str,
    pub(crate) number: i64,
    pub(crate) from: Option<i64>,
    pub(crate) to: i64,
    pub(crate) cursor: Option<String>,
    pub(crate) pages: i64,
    pub(crate) objects: i64,
    pub(crate) done: bool,
}

pub(crate) async fn save_ranges(tx: &mut Tx, tenant: TenantId, job: &str, rows: &[RangeUpdate]) -> store::Result<()> {
    if rows.is_empty() {
        return Ok(());
    }
    q(sql!(
        "INSERT INTO mirror_sync_ranges (tenant_id, job_id, object_type, number, from_second, to_second, cursor_id, pages, objects, done)
         SELECT $1, $2, r.kind, r.number, r.from_second, r.to_second, r.cursor_id, r.pages, r.objects, r.done
         FROM " pg "(SELECT kind, number, \"from\" AS from_second, \"to\" AS to_second, cursor AS cursor_id, pages, objects, done
                FROM json_to_recordset($3::json) AS t(kind text, number bigint, \"from\" bigint, \"to\" bigint, cursor text,
                    pages bigint, objects bigint, done boolean)) AS r"
                lite "(SELECT value->>'kind' AS kind, value->>'number' AS number, value->>'from' AS from_second,
                value->>'to' AS to_second, value->>'cursor' AS cursor_id, value->>'pages' AS pages,
                value->>'objects' AS objects, value->>'done' AS done FROM jsonb_each($3)) AS r"
        " WHERE true
         ON CONFLICT (tenant_id, job_id, object_type, number) DO UPDATE SET from_second = excluded.from_second,
            to_second = excluded.to_second, cursor_id = excluded.cursor_id, pages = excluded.pages,
            objects = excluded.objects, done = excluded.done"
    ))
    .bind(tenant)
    .bind(job)
    .bind(json_rows(rows)?)
    .execute(tx)
    .await?;
    Ok(())
}

/// A part as it now stands; objects and pages are added.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct PartUpdate {
    pub(crate) kind: &'static str,
    pub(crate) state: PartState,
    pub(crate) reason: Option<String>,
    pub(crate) objects: i64,
    pub(crate) pages: i64,
    pub(crate) remaining: i64,
}

pub(crate) async fn save_parts(tx: &mut Tx, tenant: TenantId, job: &str, rows: &[PartUpdate]) -> store::Result<()> {
    if rows.is_empty() {
        return Ok(());
    }
    q(sql!(
        "UPDATE mirror_sync_parts SET state = r.state, reason = r.reason, objects = mirror_sync_parts.objects + r.objects,
            pages = mirror_sync_parts.pages + r.pages, remaining = r.remaining
         FROM " pg "json_to_recordset($3::json) AS r(kind text, state text, reason text, objects bigint, pages bigint, remaining bigint)"
                lite "(SELECT value->>'kind' AS kind, value->>'state' AS state, value->>'reason' AS reason,
                value->>'objects' AS objects, value->>'pages' AS pages, value->>'remaining' AS remaining FROM jsonb_each($3)) AS r"
        " WHERE mirror_sync_parts.tenant_id = $1 AND mirror_sync_parts.job_id = $2 AND mirror_sync_parts.object_type = r.kind"
    ))
    .bind(tenant)
    .bind(job)
    .bind(json_rows(rows)?)
    .execute(tx)
    .await?;
    Ok(())
}
