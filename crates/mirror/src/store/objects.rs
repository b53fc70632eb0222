//! Mirrored objects: what is known, written in bulk.

use crate::{Interval, Version};
use kit::{TenantId, Time};
use serde::Serialize;
use store::{Engine, Tx, Value, json_rows, q, sql};

/// An object that is looked up, and until when anything was seen of it that the batch brings.
#[derive(Serialize)]
pub(crate) struct Wanted<'a> {
    pub(crate) kind: &'a str,
    pub(crate) id: &'a str,
    /// A body that was stored as true only after this moment is not needed.
    pub(crate) newest: i64,
}

/// A stored object. The body is left out where everything in the batch is older.
#[derive(Debug, sqlx::FromRow)]
pub(crate) struct Stored {
    pub(crate) object_type: String,
    pub(crate) id: String,
    seen_begin: i64,
    seen_end: i64,
    deleted: bool,
    contested: bool,
    stub: bool,
    pub(crate) body: Option<String>,
}

impl Stored {
    pub(crate) fn version(&self) -> Version {
        Version {
            seen: Interval { begin: Time::from_micros(self.seen_begin), end: Time::from_micros(self.seen_end) },
            deleted: self.deleted,
            contested: self.contested,
            stub: self.stub,
        }
    }
}

/// Lets one transaction at a time absorb an account's objects. SQLite has one writer anyway; on PostgreSQL two
/// transactions would both read the old version, and the later one would overwrite the newer one.
pub(crate) async fn lock_account(tx: &mut Tx, engine: Engine, tenant: TenantId, account: &str) -> store::Result<()> {
    if engine == Engine::Postgres {
        q(sql!("SELECT " pg "pg_advisory_xact_lock(hashtextextended($2, $1))" lite "$1, $2"))
            .bind(tenant)
            .bind(account)
            .execute(tx)
            .await?;
    }
    Ok(())
}

pub(crate) async fn find(
    tx: &mut Tx,
    tenant: TenantId,
    account: &str,
    wanted: &[Wanted<'_>],
) -> store::Result<Vec<Stored>> {
    q(sql!(
        "SELECT m.object_type, m.id, m.seen_begin, m.seen_end, m.deleted, m.contested, m.stub,
                CASE WHEN r.newest < m.seen_begin AND NOT m.stub THEN NULL ELSE m.body END AS body
         FROM "
        // Each object is looked up by itself: as long as PostgreSQL knows little of the table it would walk the account.
        pg "json_to_recordset($3::json) AS r(kind text, id text, newest bigint) CROSS JOIN LATERAL (
                SELECT * FROM mirror_objects o
                WHERE o.tenant_id = $1 AND o.account_id = $2 AND o.object_type = r.kind AND o.id = r.id OFFSET 0) m"
        lite "(SELECT value->>'kind' AS kind, value->>'id' AS id, value->>'newest' AS newest FROM jsonb_each($3)) AS r
              CROSS JOIN mirror_objects m
                ON m.tenant_id = $1 AND m.account_id = $2 AND m.object_type = r.kind AND m.id = r.id"
    ))
    .bind(tenant)
    .bind(account)
    .bind(json_rows(wanted)?)
    .all(tx)
    .await
}

/// An object to be written whole. Its body is a part of one long run of bytes, so that no body has to be escaped into
/// JSON and out of it again: that would cost more than the writing.
#[derive(Serialize)]
pub(crate) struct Written<'a> {
    pub(crate) kind: &'a str,
    pub(crate) id: &'a str,
    pub(crate) created: Option<i64>,
    pub(crate) begin: i64,
    pub(crate) end: i64,
    pub(crate) deleted: bool,
    pub(crate) contested: bool,
    pub(crate) stub: bool,
    /// Where the body begins, counted from 1.
    pub(crate) at: usize,
    pub(crate) length: usize,
}

pub(crate) async fn write(
    tx: &mut Tx,
    tenant: TenantId,
    account: &str,
    rows: &[Written<'_>],
    bodies: &[u8],
) -> store::Result<()> {
    if rows.is_empty() {
        return Ok(());
    }
    let body = |row: &Written<'_>| {
        let bytes = bodies.get(row.at - 1..row.at - 1 + row.length).unwrap_or_default();
        String::from_utf8_lossy(bytes).into_owned()
    };
    let bound = rows.iter().map(|row| {
        [
            Value::from(tenant),
            account.into(),
            row.kind.into(),
            row.id.into(),
            row.created.into(),
            row.begin.into(),
            row.end.into(),
            row.deleted.into(),
            row.contested.into(),
            row.stub.into(),
            body(row).into(),
        ]
    });
    let whole = || Ok(vec![tenant.into(), account.into(), json_rows(rows)?.into(), bodies.to_vec().into()]);
    let statement = sql!(
        "INSERT INTO mirror_objects (tenant_id, account_id, object_type, id, created_at, seen_begin, seen_end, deleted, contested, stub, body) "
        pg "SELECT $1, $2, r.kind, r.id, r.created, r.begin, r.end, r.deleted, r.contested, r.stub,
            convert_from(substr($4::bytea, r.at, r.length), 'UTF8')
            FROM json_to_recordset($3::json) AS r(kind text, id text, created bigint, begin bigint, \"end\" bigint,
                deleted boolean, contested boolean, stub boolean, at int, length int) WHERE true"
        lite "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
        " ON CONFLICT (tenant_id, account_id, object_type, id) DO UPDATE SET
            created_at = coalesce(excluded.created_at, mirror_objects.created_at), seen_begin = excluded.seen_begin,
            seen_end = excluded.seen_end, deleted = excluded.deleted, contested = excluded.contested,
            stub = excluded.stub, body = excluded.body"
    );
    let written = store::write_rows(tx, statement, whole, bound).await?;
    expect_all(written, rows.len())
}

/// An object whose body stays and of which only more is known.
#[derive(Serialize)]
pub(crate) struct Touched<'a> {
    pub(crate) kind: &'a str,
    pub(crate) id: &'a str,
    pub(crate) begin: i64,
    pub(crate) end: i64,
    pub(crate) deleted: bool,
    pub(crate) contested: bool,
}

pub(crate) async fn touch(tx: &mut Tx, tenant: TenantId, account: &str, rows: &[Touched<'_>]) -> store::Result<()> {
    if rows.is_empty() {
        return Ok(());
    }
    // Each row is there, so nothing is inserted. An UPDATE with FROM would say the same, but SQLite then walks the whole
    // account for each batch, and there is no way to tell it otherwise.
    let touched = q(sql!(
        "INSERT INTO mirror_objects (tenant_id, account_id, object_type, id, seen_begin, seen_end, deleted, contested, stub, body)
         SELECT $1, $2, "
        pg "r.kind, r.id, r.begin, r.end, r.deleted, r.contested, FALSE, ''
            FROM json_to_recordset($3::json) AS r(kind text, id text, begin bigint, \"end\" bigint, deleted boolean, contested boolean)"
        lite "value->>'kind', value->>'id', value->>'begin', value->>'end', value->>'deleted', value->>'contested', FALSE, ''
            FROM jsonb_each($3)"
        " WHERE true
         ON CONFLICT (tenant_id, account_id, object_type, id) DO UPDATE SET seen_begin = excluded.seen_begin,
            seen_end = excluded.seen_end, deleted = excluded.deleted, contested = excluded.contested"
    ))
    .bind(tenant)
    .bind(account)
    .bind(json_rows(rows)?)
    .execute(tx)
    .await?;
    expect_all(touched, rows.len())
}

fn expect_all(changed: u64, wanted: usize) -> store::Result<()> {
    if changed == wanted as u64 {
        return Ok(());
    }
    let why = format!("{changed} rows were written instead of {wanted}");
    Err(store::StoreError::unreadable_row("mirror_objects", "batch", why))
}

/// By how much the numbers of one kind change.
#[derive(Clone, Debug, Default, Serialize)]
pub(crate) struct CountChange {
    pub(crate) kind: String,
    pub(crate) objects: i64,
    pub(crate) deleted: i64,
    pub(crate) contested: i64,
}

pub(crate) async fn count(
    tx: &mut Tx,
    tenant: TenantId,
    account: &str,
    changes: &[CountChange],
    now: Time,
) -> store::Result<()> {
    if changes.is_empty() {
        return Ok(());
    }
    q(sql!(
        "INSERT INTO mirror_counts (tenant_id, account_id, object_type, objects, deleted, contested, changed_at)
         SELECT $1, $2, r.kind, r.objects, r.deleted, r.contested, $4
         FROM " pg "json_to_recordset($3::json) AS r(kind text, objects bigint, deleted bigint, contested bigint)"
                lite "(SELECT value->>'kind' AS kind, value->>'objects' AS objects, value->>'deleted' AS deleted,
                       value->>'contested' AS contested FROM jsonb_each($3)) AS r"
         " WHERE true
         ON CONFLICT (tenant_id, account_id, object_type) DO UPDATE SET
            objects = mirror_counts.objects + excluded.objects, deleted = mirror_counts.deleted + excluded.deleted,
            contested = mirror_counts.contested + excluded.contested, changed_at = excluded.changed_at"
    ))
    .bind(tenant)
    .bind(account)
    .bind(json_rows(changes)?)
    .bind(now)
    .execute(tx)
    .await?;
    Ok(())
}

/// How many objects of a kind are mirrored.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, sqlx::FromRow)]
pub struct KindCount {
    /// The Stripe account they belong to.
    pub account_id: String,
    /// Stripe's name of the kind.
    pub object_type: String,
    /// How many, deleted ones included.
    pub objects: i64,
    /// How many of them are gone at Stripe.
    pub deleted: i64,
    /// How many wait to be read again.
    pub contested: i64,
    /// When one of them last changed, in microseconds since 1970.
    #[serde(serialize_with = "crate::progress::time_text")]
    pub changed_at: i64,
}

/// Accounts and kinds are few; this is only a bound.
const MOST_COUNTS: i64 = 2_000;

pub(crate) async fn counts(tx: &mut Tx, tenant: TenantId) -> store::Result<Vec<KindCount>> {
    q(sql!(
        "SELECT account_id, object_type, objects, deleted, contested, changed_at FROM mirror_counts
         WHERE tenant_id = $1 ORDER BY account_id, object_type LIMIT $2"
    ))
    .bind(tenant)
    .bind(MOST_COUNTS)
    .all(tx)
    .await
}

/// One object as the API gives it.
#[derive(Clone, Debug, sqlx::FromRow)]
pub struct ObjectRow {
    /// The Stripe account it belongs to.
    pub account_id: String,
    /// Stripe's name of the kind.
    pub object_type: String,
    /// Its id.
    pub id: String,
    /// When Stripe made it, in microseconds since 1970.
    pub created_at: Option<i64>,
    /// When it was last seen, in microseconds since 1970.
    pub seen_end: i64,
    /// It is gone at Stripe.
    pub deleted: bool,
    /// It waits to be read again.
    pub contested: bool,
    /// Its JSON as it came.
    pub body: String,
}

pub(crate) async fn one(tx: &mut Tx, tenant: TenantId, kind: &str, id: &str) -> store::Result<Option<ObjectRow>> {
    q(sql!(
        "SELECT o.account_id, o.object_type, o.id, o.created_at, o.seen_end, o.deleted, o.contested, o.body
         FROM mirror_objects o JOIN mirror_counts c
           ON c.tenant_id = o.tenant_id AND c.account_id = o.account_id AND c.object_type = o.object_type
         WHERE c.tenant_id = $1 AND c.object_type = $2 AND o.id = $3 ORDER BY o.account_id LIMIT 1"
    ))
    .bind(tenant)
    .bind(kind)
    .bind(id)
    .optional(tx)
    .await
}

/// Objects of one account and kind, by id, after `after`.
pub(crate) async fn list(
    tx: &mut Tx,
    tenant: TenantId,
    account: &str,
    kind: &str,
    after: &str,
    limit: u32,
) -> store::Result<Vec<ObjectRow>> {
    q(sql!(
        "SELECT account_id, object_type, id, created_at, seen_end, deleted, contested, body FROM mirror_objects
         WHERE tenant_id = $1 AND account_id = $2 AND object_type = $3 AND id > $4 ORDER BY id LIMIT $5"
    ))
    .bind(tenant)
    .bind(account)
    .bind(kind)
    .bind(after)
    .bind(limit)
    .all(tx)
    .await
}

/// Removes everything mirrored of an account, in steps of at most `limit` rows; answers how many went.
pub(crate) async fn erase(tx: &mut Tx, tenant: TenantId, account: &str, limit: u32) -> store::Result<u64> {
    q(sql!(
        "DELETE FROM mirror_objects WHERE tenant_id = $1 AND account_id = $2 AND (object_type, id) IN
            (SELECT object_type, id FROM mirror_objects WHERE tenant_id = $1 AND account_id = $2 LIMIT $3)"
    ))
    .bind(tenant)
    .bind(account)
    .bind(limit)
    .execute(tx)
    .await
}

/// Forgets the counts of an account whose objects are gone, and what was to be read again.
pub(crate) async fn forget_account(tx: &mut Tx, tenant: TenantId, account: &str) -> store::Result<()> {
    q(sql!("DELETE FROM mirror_counts WHERE tenant_id = $1 AND account_id = $2"))
        .bind(tenant)
        .bind(account)
        .execute(tx)
        .await?;
    q(sql!("DELETE FROM mirror_rereads WHERE tenant_id = $1 AND account_id = $2"))
        .bind(tenant)
        .bind(account)
        .execute(tx)
        .await?;
    q(sql!("DELETE FROM mirror_rebuilds WHERE tenant_id = $1 AND account_id = $2"))
        .bind(tenant)
        .bind(account)
        .execute(tx)
        .await?;
    Ok(())
}
