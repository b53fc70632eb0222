//! The inbox's SQL. Bulk statements get their small rows as one JSON array and all bodies as one run of bytes, cut apart
//! by offset inside the database: a body is neither escaped nor parsed on its way.

use crate::{
    ConnectionCounts, Counts, EventDetail, EventFilter, EventSummary, ReplayFilter, Source, State, StoredEvent,
    event::Facts, inbox::MISSED_AFTER,
};
use ::store::{Result, StoreError, SystemTx, TenantTx, Tx, json_rows, q, sql};
use kit::{TenantId, Time};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use std::collections::BTreeMap;
use vault::{Connection, ConnectionId};

/// Most tenants that one look for due events finds; the next look finds the others.
const MAX_TENANTS: u32 = 256;
const HOUR_MICROS: i64 = 3_600_000_000;
/// What is kept of an error: enough to read, little enough to store twelve times a day.
const MAX_ERROR_CHARS: usize = 1_000;

/// An event to be stored.
pub(crate) struct NewRow<'a> {
    pub(crate) connection: &'a Connection,
    pub(crate) facts: &'a Facts,
    pub(crate) source: Source,
    pub(crate) received_at: Time,
    pub(crate) body: &'a [u8],
}

/// A row as the bulk statements read it. Names are short because they stand in each row.
#[derive(Serialize)]
struct WireRow<'a> {
    t: i64,
    c: &'a str,
    e: &'a str,
    a: &'a str,
    y: &'a str,
    v: Option<&'a str>,
    k: i64,
    r: i64,
    o: Option<&'a str>,
    i: Option<&'a str>,
    h: bool,
    s: &'static str,
    /// Where the body begins, from 1 as SQL counts, and its length.
    b: usize,
    l: usize,
}

/// Stores events that are not known yet and wakes a processor once the transaction commits; answers how many were new.
pub(crate) async fn insert(tx: &mut Tx, rows: &[NewRow<'_>]) -> Result<u64> {
    let mut bodies = Vec::with_capacity(rows.iter().map(|row| row.body.len()).sum());
    let mut wire = Vec::with_capacity(rows.len());
    for row in rows {
        let NewRow { connection, facts, .. } = row;
        wire.push(WireRow {
            t: connection.tenant.0,
            c: connection.id.as_str(),
            e: &facts.event_id,
            a: facts.account.as_deref().unwrap_or(&connection.account_id),
            y: &facts.event_type,
            v: facts.api_version.as_deref(),
            k: facts.created.micros(),
            r: row.received_at.micros(),
            o: facts.object_type.as_deref(),
            i: facts.object_id.as_deref(),
            h: facts.thin,
            s: row.source.as_str(),
            b: bodies.len() + 1,
            l: row.body.len(),
        });
        bodies.extend_from_slice(row.body);
    }
    let wire = json_rows(&wire)?;
    let new = q(sql!(
        "INSERT INTO inbox_events (tenant_id, connection_id, event_id, account_id, event_type, api_version,
             event_created, received_at, object_type, object_id, thin, source, state, next_try_at) "
        pg "SELECT t, c, e, a, y, v, k, r, o, i, h, s, 'ready', r
            FROM json_to_recordset($1::json) AS r(t bigint, c text, e text, a text, y text, v text, k bigint, r bigint,
                o text, i text, h boolean, s text)"
        lite "SELECT value->>'t', value->>'c', value->>'e', value->>'a', value->>'y', value->>'v', value->>'k', value->>'r',
                value->>'o', value->>'i', value->>'h', value->>'s', 'ready', value->>'r' FROM json_each($1) WHERE true"
        " ON CONFLICT (tenant_id, event_id, connection_id) DO NOTHING"
    ))
    .bind(wire.as_str())
    .execute(tx)
    .await?;
    if new > 0 {
        q(sql!(
            "INSERT INTO inbox_payloads (tenant_id, connection_id, event_id, body) "
            pg "SELECT t, c, e, convert_from(substring($2::bytea FROM b FOR l), 'UTF8')
                FROM json_to_recordset($1::json) AS r(t bigint, c text, e text, b integer, l integer)"
            lite "SELECT value->>'t', value->>'c', value->>'e', CAST(substr($2, value->>'b', value->>'l') AS TEXT)
                FROM json_each($1) WHERE true"
            " ON CONFLICT (tenant_id, event_id, connection_id) DO NOTHING"
        ))
        .bind(wire)
        .bind(bodies)
        .execute(tx)
        .await?;
        tx.wake(crate::WAKE);
    }
    Ok(new)
}

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
    /// Since when it was due.
    pub(crate) due_at: Time,
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
    due_at: i64,
    body: String,
}

impl DueRow {
    fn into_due(self) -> Result<Due> {
        let source =
            self.source.parse().map_err(|why| StoreError::unreadable_row("inbox_events", &self.event_id, why))?;
        Ok(Due {
            source,
            retry_count: u32::try_from(self.retry_count).unwrap_or(u32::MAX),
            due_at: Time::from_micros(self.due_at),
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
                e.object_type, e.object_id, e.thin, e.source, e.retry_count, e.next_try_at AS due_at, p.body "
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
        lite "IN (SELECT value FROM json_each($3))"
    ))
    .bind(tx.tenant())
    .bind(now)
    .bind(json_rows(&events.iter().map(|due| due.event.event_id.as_str()).collect::<Vec<_>>())?)
    .all(tx)
    .await
}

/// Events' ids by connection, for statements about many events of one.
///
/// On PostgreSQL these look each id up by itself (`LATERAL … OFFSET 0` keeps it so) and then go to the rows by place. Left
/// to choose, its planner has compared every event with every id as long as it knew little of the table: 250 ms and more
/// for what takes 4 ms. The rows are locked by this transaction, or it does not matter if one is missed.
fn by_connection<'a>(keys: impl Iterator<Item = (&'a str, &'a str)>) -> BTreeMap<&'a str, Vec<&'a str>> {
    let mut grouped: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for (connection_id, event_id) in keys {
        grouped.entry(connection_id).or_default().push(event_id);
    }
    grouped
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
            lite "connection_id = $3 AND event_id IN (SELECT value FROM json_each($4))"
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

#[derive(Default, Serialize)]
struct Tally<'a> {
    c: &'a str,
    processed: i64,
    by_webhook: i64,
    missed: i64,
    last_webhook_at: i64,
    last_missed_at: i64,
    last_received_at: i64,
}

async fn add_to_tallies(tx: &mut TenantTx, events: &[Due], now: Time) -> Result<()> {
    let mut tallies: BTreeMap<&str, Tally<'_>> = BTreeMap::new();
    for Due { event, source, .. } in events {
        let c = event.connection_id.as_str();
        let tally = tallies.entry(c).or_insert_with(|| Tally { c, ..Tally::default() });
        tally.processed += 1;
        tally.last_received_at = tally.last_received_at.max(event.received_at.micros());
        if *source == Source::Webhook {
            tally.by_webhook += 1;
            tally.last_webhook_at = tally.last_webhook_at.max(event.received_at.micros());
        } else if *source == Source::Sweep && event.received_at.since(event.created) > MISSED_AFTER {
            tally.missed += 1;
            tally.last_missed_at = tally.last_missed_at.max(event.created.micros());
        }
    }
    let tallies: Vec<Tally<'_>> = tallies.into_values().collect();
    q(sql!(
        "INSERT INTO inbox_tallies (tenant_id, connection_id, hour, processed, by_webhook, missed, last_webhook_at,
             last_missed_at, last_received_at) "
        pg "SELECT $1, c, $2, processed, by_webhook, missed, last_webhook_at, last_missed_at, last_received_at
            FROM json_to_recordset($3::json) AS r(c text, processed bigint, by_webhook bigint, missed bigint,
                last_webhook_at bigint, last_missed_at bigint, last_received_at bigint)"
        lite "SELECT $1, value->>'c', $2, value->>'processed', value->>'by_webhook', value->>'missed',
                value->>'last_webhook_at', value->>'last_missed_at', value->>'last_received_at' FROM json_each($3) WHERE true"
        " ON CONFLICT (tenant_id, connection_id, hour) DO UPDATE SET
             processed = inbox_tallies.processed + excluded.processed,
             by_webhook = inbox_tallies.by_webhook + excluded.by_webhook,
             missed = inbox_tallies.missed + excluded.missed,
             last_webhook_at = " pg "greatest" lite "max" "(inbox_tallies.last_webhook_at, excluded.last_webhook_at),
             last_missed_at = " pg "greatest" lite "max" "(inbox_tallies.last_missed_at, excluded.last_missed_at),
             last_received_at = " pg "greatest" lite "max" "(inbox_tallies.last_received_at, excluded.last_received_at)"
    ))
    .bind(tx.tenant())
    .bind(now.micros().div_euclid(HOUR_MICROS))
    .bind(json_rows(&tallies)?)
    .execute(tx)
    .await
    .map(drop)
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

/// An event's place in the order of lists.
#[derive(Clone, Debug, Serialize, Deserialize, sqlx::FromRow)]
pub(crate) struct Key {
    pub(crate) received_at: i64,
    pub(crate) connection_id: String,
    pub(crate) event_id: String,
}

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
            pg "= ANY(ARRAY(SELECT json_array_elements_text($9::json)))" lite "IN (SELECT value FROM json_each($9))"
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
            lite "connection_id = $3 AND event_id IN (SELECT value FROM json_each($4))"
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

/// `charge.*` means all types that begin so; anything else is taken as it stands.
fn type_pattern(event_type: &str) -> String {
    let (stem, ending) = match event_type.strip_suffix('*') {
        Some(stem) => (stem, "%"),
        None => (event_type, ""),
    };
    let mut pattern = String::with_capacity(event_type.len() + 8);
    for character in stem.chars() {
        if matches!(character, '%' | '_' | '!') {
            pattern.push('!');
        }
        pattern.push(character);
    }
    pattern + ending
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
    // Events in trouble are few and have an index of their own, whose predicate must stand as a literal.
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
        Some(State::Ready | State::Processed) | None => sql!(
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
    let body = body.map(|(body,)| RawValue::from_string(body)).transpose();
    let body = body.map_err(|why| StoreError::unreadable_row("inbox_payloads", event_id, why))?;
    Ok(Some(EventDetail { summary, body }))
}

#[derive(sqlx::FromRow)]
struct PendingRow {
    state: String,
    events: i64,
    oldest_at: i64,
}

#[derive(sqlx::FromRow)]
struct TallyRow {
    connection_id: String,
    processed: i64,
    by_webhook: i64,
    missed: i64,
    last_webhook_at: i64,
    last_missed_at: i64,
    last_received_at: i64,
}

/// How the inbox stands.
pub(crate) async fn counts(tx: &mut TenantTx, now: Time) -> Result<Counts> {
    let pending: Vec<PendingRow> = q(sql!(
        "SELECT state, count(*) AS events, min(received_at) AS oldest_at FROM inbox_events
         WHERE tenant_id = $1 AND next_try_at IS NOT NULL GROUP BY state
         UNION ALL
         SELECT 'dead', count(*), coalesce(min(received_at), 0) FROM inbox_events
         WHERE tenant_id = $1 AND state IN ('failed', 'dead') AND state = 'dead'"
    ))
    .bind(tx.tenant())
    .all(tx)
    .await?;
    let since_hour = now.micros().div_euclid(HOUR_MICROS) - 24;
    let tallies: Vec<TallyRow> = q(sql!(
        "SELECT connection_id,
                CAST(coalesce(sum(CASE WHEN hour > $2 THEN processed END), 0) AS BIGINT) AS processed,
                CAST(coalesce(sum(CASE WHEN hour > $2 THEN by_webhook END), 0) AS BIGINT) AS by_webhook,
                CAST(coalesce(sum(CASE WHEN hour > $2 THEN missed END), 0) AS BIGINT) AS missed,
                max(last_webhook_at) AS last_webhook_at, max(last_missed_at) AS last_missed_at,
                max(last_received_at) AS last_received_at
         FROM inbox_tallies WHERE tenant_id = $1 GROUP BY connection_id ORDER BY connection_id LIMIT 200"
    ))
    .bind(tx.tenant())
    .bind(since_hour)
    .all(tx)
    .await?;

    let mut counts = Counts::default();
    for PendingRow { state, events, oldest_at } in pending {
        match state.parse().map_err(|why| StoreError::unreadable_row("inbox_events", &state, why))? {
            State::Ready => {
                counts.ready = events;
                counts.oldest_ready_age = Some(now.since(Time::from_micros(oldest_at)));
            }
            State::Failed => counts.failed = events,
            State::Dead => counts.dead = events,
            State::Processed => {}
        }
    }
    let time = |micros: i64| (micros > 0).then(|| Time::from_micros(micros));
    counts.connections = tallies
        .into_iter()
        .map(|row| ConnectionCounts {
            connection_id: ConnectionId::from_text(row.connection_id),
            processed_24h: row.processed,
            by_webhook_24h: row.by_webhook,
            missed_24h: row.missed,
            last_event_at: time(row.last_received_at),
            last_webhook_at: time(row.last_webhook_at),
            last_missed_at: time(row.last_missed_at),
        })
        .collect();
    counts.processed_24h = counts.connections.iter().map(|connection| connection.processed_24h).sum();
    Ok(counts)
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
            lite "connection_id = $2 AND event_id IN (SELECT value FROM json_each($3))"),
        sql!("DELETE FROM inbox_events WHERE tenant_id = $1 AND "
            pg "ctid = ANY(ARRAY(SELECT found.ctid FROM json_array_elements_text($3::json) AS ids(id) CROSS JOIN LATERAL (
                    SELECT ctid FROM inbox_events e
                    WHERE e.tenant_id = $1 AND e.connection_id = $2 AND e.event_id = ids.id OFFSET 0) found))"
            lite "connection_id = $2 AND event_id IN (SELECT value FROM json_each($3))"),
    ] {
        q(statement).bind(tx.tenant()).bind(connection_id).bind(ids.as_str()).execute(tx).await?;
    }
    Ok(Some(last))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_star_stands_for_an_ending_and_nothing_else_is_special() {
        let check = |given, pattern| assert_eq!(type_pattern(given), pattern);
        check("charge.refunded", "charge.refunded");
        check("charge.*", "charge.%");
        check("payment_intent.*", "payment!_intent.%");
        check("100%!*x", "100!%!!*x");
        check("*", "%");
    }
}
