//! The inbox's SQL. Bulk statements get their small rows as one JSON array and all bodies as one run of bytes, cut apart
//! by offset inside the database: a body is neither escaped nor parsed on its way.

mod figures;
mod liveness;
mod look;
mod replay;
mod work;

pub(crate) use figures::{add_to_tallies, counts};
pub(crate) use liveness::{Told, tell, told, unfinished};
pub(crate) use look::{Key, find, list};
pub(crate) use replay::{erase, make_ready, replayable};
pub(crate) use work::{Due, due_tenants, mark_failed, mark_processed, next_due, take_again, take_due};

use crate::{Source, event::Facts};
use ::store::{Result, TenantTx, Tx, json_rows, q, sql};
use kit::{TenantId, Time};
use serde::Serialize;
use std::{borrow::Cow, collections::BTreeMap};
use vault::Connection;

/// An event to be stored.
pub(crate) struct NewRow<'a> {
    pub(crate) tenant: TenantId,
    pub(crate) connection_id: &'a str,
    /// Where it happened.
    pub(crate) account_id: &'a str,
    pub(crate) facts: &'a Facts,
    pub(crate) source: Source,
    pub(crate) received_at: Time,
    pub(crate) body: &'a [u8],
}

impl<'a> NewRow<'a> {
    /// An event that came through `connection`.
    pub(crate) fn through(
        connection: &'a Connection,
        facts: &'a Facts,
        source: Source,
        received_at: Time,
        body: &'a [u8],
    ) -> NewRow<'a> {
        NewRow {
            tenant: connection.tenant,
            connection_id: connection.id.as_str(),
            account_id: facts.account.as_deref().unwrap_or(&connection.account_id),
            facts,
            source,
            received_at,
            body,
        }
    }

    /// What is kept of the body. The signature was verified over what came; what opens a payment is left out. Facts were
    /// read from the body, so it is text; were it not, it would be kept as it came, and the database would refuse it.
    pub(crate) fn kept_body(&self) -> Cow<'a, [u8]> {
        match std::str::from_utf8(self.body).map(stripe::redact::without_client_secrets) {
            Ok(Cow::Owned(redacted)) => Cow::Owned(redacted.into_bytes()),
            Ok(Cow::Borrowed(_)) | Err(_) => Cow::Borrowed(self.body),
        }
    }
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

/// The rows and all their bodies as the bulk statements take them.
fn wire(rows: &[NewRow<'_>]) -> Result<(String, Vec<u8>)> {
    let mut bodies = Vec::with_capacity(rows.iter().map(|row| row.body.len()).sum());
    let mut wire = Vec::with_capacity(rows.len());
    for row in rows {
        let facts = row.facts;
        let body = row.kept_body();
        let body = &*body;
        wire.push(WireRow {
            t: row.tenant.0,
            c: row.connection_id,
            e: &facts.event_id,
            a: row.account_id,
            y: &facts.event_type,
            v: facts.api_version.as_deref(),
            k: facts.created.micros(),
            r: row.received_at.micros(),
            o: facts.object_type.as_deref(),
            i: facts.object_id.as_deref(),
            h: facts.thin,
            s: row.source.as_str(),
            b: bodies.len() + 1,
            l: body.len(),
        });
        bodies.extend_from_slice(body);
    }
    Ok((json_rows(&wire)?, bodies))
}

/// Stores events that are not known yet and wakes a processor once the transaction commits; answers how many were new.
pub(crate) async fn insert(tx: &mut Tx, rows: &[NewRow<'_>]) -> Result<u64> {
    let (wire, bodies) = wire(rows)?;
    let new = q(sql!(
        "INSERT INTO inbox_events (tenant_id, connection_id, event_id, account_id, event_type, api_version,
             event_created, received_at, object_type, object_id, thin, source, state, next_try_at) "
        pg "SELECT t, c, e, a, y, v, k, r, o, i, h, s, 'ready', r
            FROM json_to_recordset($1::json) AS r(t bigint, c text, e text, a text, y text, v text, k bigint, r bigint,
                o text, i text, h boolean, s text)"
        lite "SELECT value->>'t', value->>'c', value->>'e', value->>'a', value->>'y', value->>'v', value->>'k', value->>'r',
                value->>'o', value->>'i', value->>'h', value->>'s', 'ready', value->>'r' FROM jsonb_each($1) WHERE true"
        " ON CONFLICT (tenant_id, event_id, connection_id) DO NOTHING"
    ))
    .bind(wire.as_str())
    .execute(tx)
    .await?;
    if new > 0 {
        insert_payloads(tx, wire, bodies).await?;
        tx.wake(crate::WAKE);
    }
    Ok(new)
}

/// Stores events that are not known yet, as processed: for a transaction that gives them their effect, too. Answers the
/// connection and the id of each that is new.
pub(crate) async fn insert_processed(
    tx: &mut TenantTx,
    rows: &[NewRow<'_>],
    now: Time,
) -> Result<Vec<(String, String)>> {
    let (wire, bodies) = wire(rows)?;
    let new: Vec<(String, String)> = q(sql!(
        "INSERT INTO inbox_events (tenant_id, connection_id, event_id, account_id, event_type, api_version,
             event_created, received_at, object_type, object_id, thin, source, state, processed_at) "
        pg "SELECT t, c, e, a, y, v, k, r, o, i, h, s, 'processed', $2
            FROM json_to_recordset($1::json) AS r(t bigint, c text, e text, a text, y text, v text, k bigint, r bigint,
                o text, i text, h boolean, s text)"
        lite "SELECT value->>'t', value->>'c', value->>'e', value->>'a', value->>'y', value->>'v', value->>'k', value->>'r',
                value->>'o', value->>'i', value->>'h', value->>'s', 'processed', $2 FROM jsonb_each($1) WHERE true"
        " ON CONFLICT (tenant_id, event_id, connection_id) DO NOTHING RETURNING connection_id, event_id"
    ))
    .bind(wire.as_str())
    .bind(now)
    .all(tx)
    .await?;
    if !new.is_empty() {
        insert_payloads(tx, wire, bodies).await?;
    }
    Ok(new)
}

async fn insert_payloads(tx: &mut Tx, wire: String, bodies: Vec<u8>) -> Result<()> {
    q(sql!(
        "INSERT INTO inbox_payloads (tenant_id, connection_id, event_id, body) "
        pg "SELECT t, c, e, convert_from(substring($2::bytea FROM b FOR l), 'UTF8')
            FROM json_to_recordset($1::json) AS r(t bigint, c text, e text, b integer, l integer)"
        lite "SELECT value->>'t', value->>'c', value->>'e', CAST(substr($2, value->>'b', value->>'l') AS TEXT)
            FROM jsonb_each($1) WHERE true"
        " ON CONFLICT (tenant_id, event_id, connection_id) DO NOTHING"
    ))
    .bind(wire)
    .bind(bodies)
    .execute(tx)
    .await
    .map(drop)
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
