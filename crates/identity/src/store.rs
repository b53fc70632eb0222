//! The SQL of organizations, tenants, tokens, sessions and sign-in codes.
//!
//! These rows are what tells whose a request is, so they are read before a tenant is known, in system transactions.

use crate::{OrganizationId, Tenant, identity::Organization};
use jiff::tz::TimeZone;
use kit::{Environment, TenantId, Time};
use store::{Result, StoreError, Tx, q, sql};

/// Most tenants that one list holds.
const MOST_TENANTS: u32 = 100_000;
/// Any number that nobody else locks: of several nodes that start at once one makes the organization.
const BOOTSTRAP_LOCK: i64 = 0x6275_7273_6172_0002;

#[derive(sqlx::FromRow)]
struct TenantRow {
    tenant_id: i64,
    organization_id: String,
    organization_name: String,
    environment: String,
}

impl TenantRow {
    fn read(self) -> Result<Tenant> {
        Ok(Tenant {
            environment: environment("tenants", self.tenant_id, &self.environment)?,
            id: TenantId(self.tenant_id),
            organization: OrganizationId::from_text(self.organization_id),
            organization_name: self.organization_name,
        })
    }
}

/// Whom a token, a session or a code stands for.
#[derive(sqlx::FromRow)]
struct HolderRow {
    id: String,
    name: String,
    time_zone: String,
    test_tenant: i64,
    live_tenant: i64,
    environment: Option<String>,
    expires_at: Option<i64>,
}

/// A session as it is known.
pub(crate) struct Session {
    pub(crate) organization: Organization,
    pub(crate) environment: Environment,
    pub(crate) expires_at: Time,
}

impl HolderRow {
    fn organization(&self) -> Organization {
        Organization {
            id: OrganizationId::from_text(self.id.as_str()),
            name: self.name.clone(),
            // A zone that this machine does not know shows times in UTC, which pages say beside them.
            zone: TimeZone::get(&self.time_zone).unwrap_or(TimeZone::UTC),
            test: TenantId(self.test_tenant),
            live: TenantId(self.live_tenant),
        }
    }
}

fn environment(table: &str, row: impl std::fmt::Display, text: &str) -> Result<Environment> {
    text.parse().map_err(|error| StoreError::unreadable_row(table, row, error))
}

/// Keeps other nodes from bootstrapping until this transaction ends. On SQLite the transaction itself does.
pub(crate) async fn lock_bootstrap(tx: &mut Tx) -> Result<()> {
    let _: i64 = q(sql!("SELECT CAST(1 AS BIGINT)" pg " FROM pg_advisory_xact_lock($1)" lite " WHERE $1 IS NOT NULL"))
        .bind(BOOTSTRAP_LOCK)
        .scalar(tx)
        .await?;
    Ok(())
}

/// The oldest organization.
pub(crate) async fn first_organization(tx: &mut Tx) -> Result<Option<(OrganizationId, String)>> {
    let row: Option<(String, String)> =
        q(sql!("SELECT id, name FROM organizations ORDER BY created_at, id LIMIT 1")).optional(tx).await?;
    Ok(row.map(|(id, name)| (OrganizationId::from_text(id), name)))
}

pub(crate) async fn insert_organization(tx: &mut Tx, id: &OrganizationId, name: &str, now: Time) -> Result<()> {
    q(sql!("INSERT INTO organizations (id, name, created_at) VALUES ($1, $2, $3)"))
        .bind(id.as_str())
        .bind(name)
        .bind(now)
        .change_one(tx)
        .await?;
    for environment in Environment::ALL {
        q(sql!(
            "INSERT INTO tenants (tenant_id, organization_id, environment)
             SELECT CAST(coalesce(max(tenant_id), 0) + 1 AS BIGINT), $1, $2 FROM tenants"
        ))
        .bind(id.as_str())
        .bind(environment)
        .change_one(tx)
        .await?;
    }
    Ok(())
}

pub(crate) async fn tenant_of(tx: &mut Tx, id: &OrganizationId, environment: Environment) -> Result<TenantId> {
    q(sql!("SELECT tenant_id FROM tenants WHERE organization_id = $1 AND environment = $2"))
        .bind(id.as_str())
        .bind(environment)
        .scalar(tx)
        .await
        .map(TenantId)
}

pub(crate) async fn token_hashes(tx: &mut Tx, id: &OrganizationId) -> Result<Vec<String>> {
    let rows: Vec<(String,)> = q(sql!("SELECT token_hash FROM admin_tokens WHERE organization_id = $1 LIMIT 100"))
        .bind(id.as_str())
        .all(tx)
        .await?;
    Ok(rows.into_iter().map(|row| row.0).collect())
}

pub(crate) async fn insert_token(tx: &mut Tx, hash: &str, id: &OrganizationId, now: Time) -> Result<()> {
    q(sql!("INSERT INTO admin_tokens (token_hash, organization_id, created_at) VALUES ($1, $2, $3)"))
        .bind(hash)
        .bind(id.as_str())
        .bind(now)
        .change_one(tx)
        .await
}

/// Ends an organization's tokens, and the sessions and codes that came of them.
pub(crate) async fn revoke_all(tx: &mut Tx, id: &OrganizationId) -> Result<()> {
    for statement in [
        sql!("DELETE FROM admin_tokens WHERE organization_id = $1"),
        sql!("DELETE FROM sessions WHERE organization_id = $1"),
        sql!("DELETE FROM sign_in_codes WHERE organization_id = $1"),
    ] {
        q(statement).bind(id.as_str()).execute(tx).await?;
    }
    Ok(())
}

pub(crate) async fn tenants(tx: &mut Tx) -> Result<Vec<Tenant>> {
    let rows: Vec<TenantRow> = q(sql!(
        "SELECT t.tenant_id, t.organization_id, o.name AS organization_name, t.environment
         FROM tenants t JOIN organizations o ON o.id = t.organization_id ORDER BY t.tenant_id LIMIT $1"
    ))
    .bind(MOST_TENANTS)
    .all(tx)
    .await?;
    rows.into_iter().map(TenantRow::read).collect()
}

pub(crate) async fn tenant(tx: &mut Tx, id: TenantId) -> Result<Option<Tenant>> {
    let row: Option<TenantRow> = q(sql!(
        "SELECT t.tenant_id, t.organization_id, o.name AS organization_name, t.environment
         FROM tenants t JOIN organizations o ON o.id = t.organization_id WHERE t.tenant_id = $1"
    ))
    .bind(id)
    .optional(tx)
    .await?;
    row.map(TenantRow::read).transpose()
}

/// The organization that has a token.
pub(crate) async fn holder_of_token(tx: &mut Tx, hash: &str) -> Result<Option<Organization>> {
    let row: Option<HolderRow> = q(sql!(
        "SELECT o.id, o.name, o.time_zone, test.tenant_id AS test_tenant, live.tenant_id AS live_tenant,
                CAST(NULL AS TEXT) AS environment, CAST(NULL AS BIGINT) AS expires_at
         FROM admin_tokens k JOIN organizations o ON o.id = k.organization_id
         JOIN tenants test ON test.organization_id = o.id AND test.environment = 'test'
         JOIN tenants live ON live.organization_id = o.id AND live.environment = 'live'
         WHERE k.token_hash = $1"
    ))
    .bind(hash)
    .optional(tx)
    .await?;
    Ok(row.map(|row| row.organization()))
}

pub(crate) async fn session(tx: &mut Tx, hash: &str) -> Result<Option<Session>> {
    let row: Option<HolderRow> = q(sql!(
        "SELECT o.id, o.name, o.time_zone, test.tenant_id AS test_tenant, live.tenant_id AS live_tenant,
                s.environment, s.expires_at
         FROM sessions s JOIN organizations o ON o.id = s.organization_id
         JOIN tenants test ON test.organization_id = o.id AND test.environment = 'test'
         JOIN tenants live ON live.organization_id = o.id AND live.environment = 'live'
         WHERE s.session_hash = $1"
    ))
    .bind(hash)
    .optional(tx)
    .await?;
    let Some(row) = row else { return Ok(None) };
    let organization = row.organization();
    let (Some(text), Some(expires_at)) = (&row.environment, row.expires_at) else {
        return Err(StoreError::unreadable_row("sessions", &row.id, "it has no environment or no end"));
    };
    let environment = environment("sessions", &row.id, text)?;
    Ok(Some(Session { organization, environment, expires_at: Time::from_micros(expires_at) }))
}

pub(crate) async fn insert_session(
    tx: &mut Tx,
    hash: &str,
    id: &OrganizationId,
    now: Time,
    expires_at: Time,
) -> Result<()> {
    q(sql!(
        "INSERT INTO sessions (session_hash, organization_id, environment, created_at, expires_at)
         VALUES ($1, $2, $3, $4, $5)"
    ))
    .bind(hash)
    .bind(id.as_str())
    .bind(Environment::Test)
    .bind(now)
    .bind(expires_at)
    .change_one(tx)
    .await
}

pub(crate) async fn delete_session(tx: &mut Tx, hash: &str) -> Result<()> {
    q(sql!("DELETE FROM sessions WHERE session_hash = $1")).bind(hash).execute(tx).await?;
    Ok(())
}

/// A session that ended meanwhile stays ended.
pub(crate) async fn switch_session(tx: &mut Tx, hash: &str, environment: Environment) -> Result<()> {
    q(sql!("UPDATE sessions SET environment = $2 WHERE session_hash = $1"))
        .bind(hash)
        .bind(environment)
        .execute(tx)
        .await?;
    Ok(())
}

pub(crate) async fn insert_code(tx: &mut Tx, hash: &str, id: &OrganizationId, expires_at: Time) -> Result<()> {
    q(sql!("INSERT INTO sign_in_codes (code_hash, organization_id, expires_at) VALUES ($1, $2, $3)"))
        .bind(hash)
        .bind(id.as_str())
        .bind(expires_at)
        .change_one(tx)
        .await
}

/// Uses a code up; of two that try at once one gets it.
pub(crate) async fn take_code(tx: &mut Tx, hash: &str, now: Time) -> Result<Option<OrganizationId>> {
    let row: Option<(String,)> =
        q(sql!("DELETE FROM sign_in_codes WHERE code_hash = $1 AND expires_at > $2 RETURNING organization_id"))
            .bind(hash)
            .bind(now)
            .optional(tx)
            .await?;
    Ok(row.map(|row| OrganizationId::from_text(row.0)))
}

/// Deletes some of what has ended; answers how many rows that were.
pub(crate) async fn delete_expired(tx: &mut Tx, now: Time, at_most: u32) -> Result<u64> {
    let sessions = q(sql!(
        "DELETE FROM sessions WHERE session_hash IN (SELECT session_hash FROM sessions WHERE expires_at <= $1 LIMIT $2)"
    ))
    .bind(now)
    .bind(at_most)
    .execute(tx)
    .await?;
    let codes = q(sql!(
        "DELETE FROM sign_in_codes WHERE code_hash IN (SELECT code_hash FROM sign_in_codes WHERE expires_at <= $1 LIMIT $2)"
    ))
    .bind(now)
    .bind(at_most)
    .execute(tx)
    .await?;
    Ok(sessions.max(codes))
}
