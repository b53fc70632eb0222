//! Objects that wait to be read again.

use kit::{TenantId, Time};
use serde::Serialize;
use store::{Tx, json_rows, q, sql};
use vault::ConnectionId;

/// An object to be read again.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct NewReread {
    pub(crate) account: String,
    pub(crate) kind: String,
    pub(crate) id: String,
    pub(crate) reason: &'static str,
    /// Not before this time, in microseconds since 1970.
    pub(crate) due: i64,
}

/// Asks for objects to be read again. One that waits already waits at least as long as is asked for now.
pub(crate) async fn add(
    tx: &mut Tx,
    tenant: TenantId,
    connection: &ConnectionId,
    rows: &[NewReread],
) -> store::Result<()> {
    if rows.is_empty() {
        return Ok(());
    }
    q(sql!(
        "INSERT INTO mirror_rereads (tenant_id, account_id, object_type, id, connection_id, reason, state, due_at, tries)
         SELECT $1, r.account, r.kind, r.id, $2, r.reason, 'waiting', r.due, 0
         FROM " pg "json_to_recordset($3::json) AS r(account text, kind text, id text, reason text, due bigint)"
                lite "(SELECT value->>'account' AS account, value->>'kind' AS kind, value->>'id' AS id, value->>'reason' AS reason,
                       value->>'due' AS due FROM jsonb_each($3)) AS r"
         " WHERE true
         ON CONFLICT (tenant_id, account_id, object_type, id) DO UPDATE SET
            due_at = " pg "greatest" lite "max" "(mirror_rereads.due_at, excluded.due_at), connection_id = excluded.connection_id,
            reason = excluded.reason, state = 'waiting', tries = 0"
    ))
    .bind(tenant)
    .bind(connection.as_str())
    .bind(json_rows(rows)?)
    .execute(tx)
    .await?;
    Ok(())
}

/// One that waits.
#[derive(Clone, Debug, sqlx::FromRow)]
pub(crate) struct Waiting {
    pub(crate) account_id: String,
    pub(crate) object_type: String,
    pub(crate) id: String,
    pub(crate) tries: i64,
}

pub(crate) async fn due(
    tx: &mut Tx,
    tenant: TenantId,
    connection: &ConnectionId,
    now: Time,
    limit: u32,
) -> store::Result<Vec<Waiting>> {
    q(sql!(
        "SELECT account_id, object_type, id, tries FROM mirror_rereads
         WHERE tenant_id = $1 AND connection_id = $2 AND state = 'waiting' AND due_at <= $3 ORDER BY due_at LIMIT $4"
    ))
    .bind(tenant)
    .bind(connection.as_str())
    .bind(now)
    .bind(limit)
    .all(tx)
    .await
}

/// Most objects of a kind that one listing asks for again; the next listing goes on.
const MOST_UNLISTED: i64 = 5_000;

/// What a listing that began at `ceiling` should have shown and did not.
pub(crate) struct Unlisted<'a> {
    pub(crate) account: &'a str,
    pub(crate) kind: &'a str,
    /// The oldest creation time that was listed; none for everything.
    pub(crate) from: Option<Time>,
    pub(crate) ceiling: Time,
}

/// Asks for the objects to be read again that a whole listing did not show: they may be gone without an event that we
/// know, in a time when nobody listened.
pub(crate) async fn add_unlisted(
    tx: &mut Tx,
    tenant: TenantId,
    connection: &ConnectionId,
    unlisted: Unlisted<'_>,
    now: Time,
) -> store::Result<u64> {
    q(sql!(
        "INSERT INTO mirror_rereads (tenant_id, account_id, object_type, id, connection_id, reason, state, due_at, tries)
         SELECT tenant_id, account_id, object_type, id, CAST($4 AS TEXT), 'unlisted', 'waiting', CAST($7 AS BIGINT), 0
         FROM mirror_objects
         WHERE tenant_id = $1 AND account_id = $2 AND object_type = $3 AND NOT deleted AND seen_end < $5
           AND created_at IS NOT NULL AND created_at >= $6
         ORDER BY id LIMIT $8
         ON CONFLICT (tenant_id, account_id, object_type, id) DO NOTHING"
    ))
    .bind(tenant)
    .bind(unlisted.account)
    .bind(unlisted.kind)
    .bind(connection.as_str())
    .bind(unlisted.ceiling)
    .bind(unlisted.from.map_or(i64::MIN, Time::micros))
    .bind(now)
    .bind(MOST_UNLISTED)
    .execute(tx)
    .await
}

/// Hands what waits in an account to the connection that works: another one may have asked for it, and ended.
pub(crate) async fn adopt(
    tx: &mut Tx,
    tenant: TenantId,
    account: &str,
    connection: &ConnectionId,
) -> store::Result<u64> {
    q(sql!(
        "UPDATE mirror_rereads SET connection_id = $3
         WHERE tenant_id = $1 AND account_id = $2 AND connection_id <> $3 AND state = 'waiting'"
    ))
    .bind(tenant)
    .bind(account)
    .bind(connection.as_str())
    .execute(tx)
    .await
}

/// When the next one is due.
pub(crate) async fn next_due(tx: &mut Tx, tenant: TenantId, connection: &ConnectionId) -> store::Result<Option<Time>> {
    let due: Option<i64> = q(sql!(
        "SELECT min(due_at) FROM mirror_rereads WHERE tenant_id = $1 AND connection_id = $2 AND state = 'waiting'"
    ))
    .bind(tenant)
    .bind(connection.as_str())
    .scalar(tx)
    .await?;
    Ok(due.map(Time::from_micros))
}

/// They were read in calls that began at `began` or later; what was asked for again meanwhile stays.
pub(crate) async fn remove(tx: &mut Tx, tenant: TenantId, read: &[&Waiting], began: Time) -> store::Result<()> {
    let keys: Vec<[&str; 3]> = read.iter().map(|it| [&*it.account_id, &*it.object_type, &*it.id]).collect();
    q(sql!(
        "DELETE FROM mirror_rereads
         WHERE tenant_id = $1 AND due_at <= $2 AND (account_id, object_type, id) IN (SELECT "
        pg "value->>0, value->>1, value->>2 FROM json_array_elements($3::json)"
        lite "value->>0, value->>1, value->>2 FROM jsonb_each($3)"
        ")"
    ))
    .bind(tenant)
    .bind(began)
    .bind(json_rows(&keys)?)
    .execute(tx)
    .await?;
    Ok(())
}

/// What becomes of one that could not be read: it waits until `due`, or is given up and shown.
pub(crate) struct Failure<'a> {
    pub(crate) error: &'a str,
    pub(crate) due: Time,
    pub(crate) give_up: bool,
}

pub(crate) async fn fail(tx: &mut Tx, tenant: TenantId, waiting: &Waiting, failure: Failure<'_>) -> store::Result<()> {
    q(sql!(
        "UPDATE mirror_rereads SET tries = tries + 1, last_error = $5, due_at = $6, state = $7
         WHERE tenant_id = $1 AND account_id = $2 AND object_type = $3 AND id = $4"
    ))
    .bind(tenant)
    .bind(&waiting.account_id)
    .bind(&waiting.object_type)
    .bind(&waiting.id)
    .bind(failure.error)
    .bind(failure.due)
    .bind(if failure.give_up { "refused" } else { "waiting" })
    .execute(tx)
    .await?;
    Ok(())
}

/// How many wait, and how many were given up.
pub(crate) async fn counts(tx: &mut Tx, tenant: TenantId) -> store::Result<(i64, i64)> {
    let rows: Vec<(String, i64)> =
        q(sql!("SELECT state, count(*) FROM mirror_rereads WHERE tenant_id = $1 GROUP BY state"))
            .bind(tenant)
            .all(tx)
            .await?;
    let of = |state: &str| rows.iter().find(|row| row.0 == state).map_or(0, |row| row.1);
    Ok((of("waiting"), of("refused")))
}
