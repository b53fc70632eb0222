//! Two engines behind one query type.
//!
//! SQL is written as SQL, once, with [`sql!`](macro@sql); where the dialects differ the difference is spelled inside the
//! statement. Every query runs in a transaction that knows whose rows it may see: a [`TenantTx`] sees one tenant's,
//! a [`SystemTx`] only the queues that serve all tenants. PostgreSQL's row-level security checks both again.
//!
//! Read in this order: [`sql`](mod@sql), [`query`], [`bulk`], [`tx`], [`engine`], [`migrate`], [`grouped`], [`journal`], [`wake`],
//! [`error`].

pub mod bulk;
pub mod engine;
pub mod error;
pub mod grouped;
pub mod journal;
pub mod migrate;
pub mod query;
pub mod sql;
pub mod throwaway;
pub mod tx;
pub mod wake;

pub use bulk::write_rows;
pub use engine::{Engine, Store, StoreOptions};
pub use error::{ErrorKind, StoreError};
pub use grouped::{Grouped, GroupedWrite};
pub use journal::{Journal, JournalRecord};
pub use migrate::{Migration, MigrationReport};
pub use query::{Row, Value, json_rows, q};
pub use sql::Sql;
pub use sqlx::{FromRow, types::Json};
pub use tx::{SystemTx, TenantTx, Tx};
pub use wake::{Wake, Wakes};

#[doc(hidden)]
pub use inventory;

/// What every call of the store answers.
pub type Result<T, E = StoreError> = std::result::Result<T, E>;
