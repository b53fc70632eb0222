//! Databases that live as long as one benchmark.

use crate::{Result, StoreError};
use sqlx::{AssertSqlSafe, Connection, Executor, PgConnection, postgres::PgConnectOptions};

/// Makes an empty database beside the one that `url` names, and answers its address.
///
/// # Errors
/// `bad_database_url`, `database_unavailable`, or a refusal if the user may not create databases.
pub async fn create(url: &str, name: &str) -> Result<String> {
    execute(url, format!("CREATE DATABASE \"{}\"", name.replace('"', ""))).await?;
    let (before, after) = url.split_once('?').map_or((url, None), |(before, after)| (before, Some(after)));
    // postgres://user:password@host:port/database: the path begins behind the authority.
    let authority_end = before.find("://").map_or(0, |at| at + 3);
    let path_start = before[authority_end..].find('/').map_or(before.len(), |at| authority_end + at);
    let query = after.map(|query| format!("?{query}")).unwrap_or_default();
    Ok(format!("{}/{name}{query}", &before[..path_start]))
}

/// Removes a database made by [`create`], ending whatever still uses it.
///
/// # Errors
/// As [`create`].
pub async fn remove(url: &str, name: &str) -> Result<()> {
    execute(url, format!("DROP DATABASE IF EXISTS \"{}\" WITH (FORCE)", name.replace('"', ""))).await
}

async fn execute(url: &str, statement: String) -> Result<()> {
    let at = |error| StoreError::from_sqlx(error, "a database for one benchmark");
    let options: PgConnectOptions = url.parse().map_err(at)?;
    let mut connection = PgConnection::connect_with(&options).await.map_err(at)?;
    connection.execute(AssertSqlSafe(statement)).await.map_err(at)?;
    connection.close().await.map_err(at)
}
