//! How events come in: tallies by connection and hour, added to as events are processed.

use super::Due;
use crate::{ConnectionCounts, Counts, Source, State, inbox::MISSED_AFTER};
use ::store::{Result, StoreError, TenantTx, json_rows, q, sql};
use kit::Time;
use serde::Serialize;
use std::collections::BTreeMap;
use vault::ConnectionId;

const HOUR_MICROS: i64 = 3_600_000_000;

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

/// Adds processed events to the tallies, in the transaction that marks them.
pub(crate) async fn add_to_tallies(tx: &mut TenantTx, events: &[Due], now: Time) -> Result<()> {
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
                value->>'last_webhook_at', value->>'last_missed_at', value->>'last_received_at' FROM jsonb_each($3) WHERE true"
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
