//! A statement with its values, and the four ways to run it.

use crate::{Result, Sql, StoreError, Tx, tx::Connection};
use serde::Serialize;
use sqlx::{AssertSqlSafe, postgres::PgRow, sqlite::SqliteRow};

/// A bindable value. `None` keeps its type, because PostgreSQL wants one.
#[derive(Clone, Debug)]
pub enum Value {
    /// BOOLEAN
    Bool(Option<bool>),
    /// BIGINT, the only integer type our tables use
    Integer(Option<i64>),
    /// DOUBLE PRECISION; never for money
    Float(Option<f64>),
    /// TEXT
    Text(Option<String>),
    /// BYTEA on PostgreSQL, BLOB on SQLite
    Bytes(Option<Vec<u8>>),
    /// JSONB on PostgreSQL, text on SQLite
    Json(Option<serde_json::Value>),
}

macro_rules! value_from {
    ($($type:ty => $variant:ident $convert:expr),* $(,)?) => { $(
        impl From<$type> for Value {
            fn from(value: $type) -> Value { Value::$variant(Some($convert(value))) }
        }
        impl From<Option<$type>> for Value {
            fn from(value: Option<$type>) -> Value { Value::$variant(value.map($convert)) }
        }
    )* };
}
value_from! {
    bool => Bool |it| it,
    i64 => Integer |it| it,
    i32 => Integer i64::from,
    u32 => Integer i64::from,
    f64 => Float |it| it,
    String => Text |it| it,
    &String => Text |it: &String| it.clone(),
    &str => Text str::to_owned,
    Vec<u8> => Bytes |it| it,
    serde_json::Value => Json |it| it,
    kit::Time => Integer kit::Time::micros,
    kit::TenantId => Integer |it: kit::TenantId| it.0,
    kit::Environment => Text |it: kit::Environment| it.as_str().to_owned(),
    kit::Currency => Text |it: kit::Currency| it.code().to_owned(),
}

/// Anything both engines can decode; `#[derive(store::FromRow)]` is enough (with sqlx as a dependency).
pub trait Row: for<'r> sqlx::FromRow<'r, SqliteRow> + for<'r> sqlx::FromRow<'r, PgRow> + Send + Unpin {}
impl<T> Row for T where T: for<'r> sqlx::FromRow<'r, SqliteRow> + for<'r> sqlx::FromRow<'r, PgRow> + Send + Unpin {}

/// A statement and the values bound so far. Made by [`q`].
#[must_use = "a query does nothing until it is run"]
pub struct Query {
    sql: Sql,
    values: Vec<Value>,
}

/// Begins a query: `q(sql!("…")).bind(tenant).all::<T>(tx).await`.
pub fn q(sql: Sql) -> Query {
    Query { sql, values: Vec::new() }
}

/// Rows for one bulk statement, as the text of one JSON array.
///
/// Both engines unfold it with one prepared statement at any size: `jsonb_each($1)` on SQLite,
/// `json_to_recordset($1::json)` on PostgreSQL.
pub fn json_rows<T: Serialize>(rows: &[T]) -> Result<String> {
    serde_json::to_string(rows).map_err(StoreError::encoding)
}

macro_rules! bound {
    ($query:expr, $values:expr) => {{
        let mut query = $query;
        for value in $values {
            query = match value {
                Value::Bool(it) => query.bind(it),
                Value::Integer(it) => query.bind(it),
                Value::Float(it) => query.bind(it),
                Value::Text(it) => query.bind(it),
                Value::Bytes(it) => query.bind(it),
                Value::Json(it) => query.bind(it.map(sqlx::types::Json)),
            };
        }
        query
    }};
}

impl Query {
    /// Binds the next placeholder.
    pub fn bind(mut self, value: impl Into<Value>) -> Query {
        self.values.push(value.into());
        self
    }

    pub(crate) fn of(sql: Sql, values: Vec<Value>) -> Query {
        Query { sql, values }
    }

    /// Runs another text than the statement's own on SQLite. It must be made of the statement's and of nothing else.
    pub(crate) async fn execute_sqlite(self, tx: &mut Tx, text: &str) -> Result<u64> {
        let at = self.sql.at;
        match tx.connection() {
            Connection::Sqlite(connection) => {
                let query = sqlx::query(AssertSqlSafe(text.to_owned()));
                bound!(query, self.values).execute(&mut **connection).await.map(|done| done.rows_affected())
            }
            Connection::Postgres(_) => return Err(StoreError::no_row_statement(at)),
        }
        .map_err(|error| StoreError::from_sqlx(error, at))
    }

    /// Runs a statement that returns no rows; answers how many rows it changed.
    pub async fn execute(self, tx: &mut Tx) -> Result<u64> {
        let at = self.sql.at;
        match tx.connection() {
            Connection::Sqlite(connection) => bound!(sqlx::query(self.sql.sqlite), self.values)
                .execute(&mut **connection)
                .await
                .map(|done| done.rows_affected()),
            Connection::Postgres(connection) => bound!(sqlx::query(self.sql.postgres), self.values)
                .execute(&mut **connection)
                .await
                .map(|done| done.rows_affected()),
        }
        .map_err(|error| StoreError::from_sqlx(error, at))
    }

    /// Runs a statement that returns at most one row.
    pub async fn optional<T: Row>(self, tx: &mut Tx) -> Result<Option<T>> {
        let at = self.sql.at;
        match tx.connection() {
            Connection::Sqlite(connection) => {
                bound!(sqlx::query_as(self.sql.sqlite), self.values).fetch_optional(&mut **connection).await
            }
            Connection::Postgres(connection) => {
                bound!(sqlx::query_as(self.sql.postgres), self.values).fetch_optional(&mut **connection).await
            }
        }
        .map_err(|error| StoreError::from_sqlx(error, at))
    }

    /// Runs a statement that returns exactly one row; none is an error naming the statement.
    pub async fn one<T: Row>(self, tx: &mut Tx) -> Result<T> {
        let at = self.sql.at;
        self.optional(tx).await?.ok_or_else(|| StoreError::missing_row(at))
    }

    /// Runs a statement and collects its rows. The statement bounds them.
    pub async fn all<T: Row>(self, tx: &mut Tx) -> Result<Vec<T>> {
        let at = self.sql.at;
        match tx.connection() {
            Connection::Sqlite(connection) => {
                bound!(sqlx::query_as(self.sql.sqlite), self.values).fetch_all(&mut **connection).await
            }
            Connection::Postgres(connection) => {
                bound!(sqlx::query_as(self.sql.postgres), self.values).fetch_all(&mut **connection).await
            }
        }
        .map_err(|error| StoreError::from_sqlx(error, at))
    }

    /// Runs a statement whose rows have one column: `q(sql!("SELECT count(*) …")).scalar::<i64>(tx)`.
    pub async fn scalar<T>(self, tx: &mut Tx) -> Result<T>
    where
        (T,): Row,
    {
        self.one::<(T,)>(tx).await.map(|row| row.0)
    }

    /// Runs a statement that must change exactly one row; any other number is an error naming the statement.
    pub async fn change_one(self, tx: &mut Tx) -> Result<()> {
        let at = self.sql.at;
        match self.execute(tx).await? {
            1 => Ok(()),
            0 => Err(StoreError::missing_row(at)),
            changed => Err(StoreError::too_many_rows(at, changed)),
        }
    }
}
