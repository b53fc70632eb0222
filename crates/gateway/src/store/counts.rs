//! Counts of calls, by connection and day.

use crate::{allocation::ReadsFor, reads::DayCount};
use kit::TenantId;
use serde::Serialize;
use std::collections::HashMap;
use store::{Result, TenantTx, Tx, json_rows, q, sql};
use vault::ConnectionId;

/// One row of counts in a bulk statement. Names are short because they stand in each row.
#[derive(Serialize)]
struct CallsRow<'a> {
    t: i64,
    c: &'a str,
    d: i64,
    r: i64,
    w: i64,
    x: i64,
    s: i64,
    e: i64,
    a: i64,
    p: i64,
}

/// Adds counts of calls, of all tenants in one statement.
pub(crate) async fn add_calls(tx: &mut Tx, days: &HashMap<(TenantId, ConnectionId, i64), DayCount>) -> Result<()> {
    if days.is_empty() {
        return Ok(());
    }
    let rows: Vec<CallsRow<'_>> = days
        .iter()
        .map(|((tenant, connection, day), count)| CallsRow {
            t: tenant.0,
            c: connection.as_str(),
            d: *day,
            r: count.reads.total(),
            w: count.writes,
            x: count.throttled,
            s: count.reads.sync,
            e: count.reads.sweep,
            a: count.reads.reread,
            p: count.reads.probe,
        })
        .collect();
    q(sql!(
        "INSERT INTO gateway_calls (tenant_id, connection_id, day, reads, writes, throttled, reads_sync, reads_sweep,
             reads_reread, reads_probe)
         " pg "SELECT t, c, d, r, w, x, s, e, a, p
               FROM json_to_recordset($1::json) AS n(t BIGINT, c TEXT, d BIGINT, r BIGINT, w BIGINT, x BIGINT, s BIGINT,
                   e BIGINT, a BIGINT, p BIGINT)"
         lite "SELECT value ->> 't', value ->> 'c', value ->> 'd', value ->> 'r', value ->> 'w', value ->> 'x', value ->> 's',
                   value ->> 'e', value ->> 'a', value ->> 'p' FROM jsonb_each($1)" "
         WHERE TRUE
         ON CONFLICT (tenant_id, connection_id, day) DO UPDATE
         SET reads = gateway_calls.reads + excluded.reads, writes = gateway_calls.writes + excluded.writes,
             throttled = gateway_calls.throttled + excluded.throttled,
             reads_sync = gateway_calls.reads_sync + excluded.reads_sync,
             reads_sweep = gateway_calls.reads_sweep + excluded.reads_sweep,
             reads_reread = gateway_calls.reads_reread + excluded.reads_reread,
             reads_probe = gateway_calls.reads_probe + excluded.reads_probe"
    ))
    .bind(json_rows(&rows)?)
    .execute(tx)
    .await
    .map(drop)
}

#[derive(sqlx::FromRow)]
struct DayRow {
    day: i64,
    reads: i64,
    writes: i64,
    throttled: i64,
    reads_sync: i64,
    reads_sweep: i64,
    reads_reread: i64,
    reads_probe: i64,
}

/// Calls of one connection on each of the 30 days up to `today` that had any, oldest first.
pub(crate) async fn call_days(
    tx: &mut TenantTx,
    connection: &ConnectionId,
    today: i64,
) -> Result<Vec<(i64, DayCount)>> {
    let rows: Vec<DayRow> = q(sql!(
        "SELECT day, reads, writes, throttled, reads_sync, reads_sweep, reads_reread, reads_probe FROM gateway_calls
         WHERE tenant_id = $1 AND connection_id = $2 AND day > $3 AND day <= $4 ORDER BY day"
    ))
    .bind(tx.tenant())
    .bind(connection.as_str())
    .bind(today - crate::allocation::ALLOCATION_DAYS)
    .bind(today)
    .all(tx)
    .await?;
    let count = |row: DayRow| {
        let (sync, sweep, reread, probe) = (row.reads_sync, row.reads_sweep, row.reads_reread, row.reads_probe);
        // What an earlier release counted has no word for what it was for.
        let other = row.reads - sync - sweep - reread - probe;
        let reads = ReadsFor { sync, sweep, reread, probe, other };
        (row.day, DayCount { reads, writes: row.writes, throttled: row.throttled })
    };
    Ok(rows.into_iter().map(count).collect())
}
