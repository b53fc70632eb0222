//! Transactions that know whose rows they may see.

use crate::{Result, StoreError, Wakes};
use kit::TenantId;
use sqlx::{Postgres, Sqlite, Transaction};
use std::ops::{Deref, DerefMut};

/// A transaction on either engine. It is rolled back unless it is committed.
///
/// Functions that serve both kinds take `&mut Tx`; both kinds turn into it by themselves.
pub struct Tx {
    connection: Connection,
    wakes: Wakes,
    pending_wakes: Vec<&'static str>,
    tenant: Option<TenantId>,
}

/// The engine's own transaction.
pub(crate) enum Connection {
    Sqlite(Transaction<'static, Sqlite>),
    Postgres(Transaction<'static, Postgres>),
}

impl Tx {
    pub(crate) fn new(connection: Connection, wakes: Wakes, tenant: Option<TenantId>) -> Tx {
        Tx { connection, wakes, pending_wakes: Vec::new(), tenant }
    }

    pub(crate) fn connection(&mut self) -> &mut Connection {
        &mut self.connection
    }

    /// The tenant whose rows this transaction sees; `None` for a system transaction.
    pub fn scope(&self) -> Option<TenantId> {
        self.tenant
    }

    /// Wakes whoever waits for `topic`, on every node, once this transaction has committed.
    pub fn wake(&mut self, topic: &'static str) {
        if !self.pending_wakes.contains(&topic) {
            self.pending_wakes.push(topic);
        }
    }

    async fn commit(self) -> Result<()> {
        const AT: &str = "COMMIT";
        match self.connection {
            Connection::Sqlite(transaction) => {
                transaction.commit().await.map_err(|error| StoreError::from_sqlx(error, AT))?;
            }
            Connection::Postgres(mut transaction) => {
                if !self.pending_wakes.is_empty() {
                    // Delivered by PostgreSQL with the commit or not at all.
                    sqlx::query("SELECT pg_notify($1, topic) FROM unnest($2::text[]) AS topic")
                        .bind(crate::wake::CHANNEL)
                        .bind(&self.pending_wakes[..])
                        .execute(&mut *transaction)
                        .await
                        .map_err(|error| StoreError::from_sqlx(error, AT))?;
                }
                transaction.commit().await.map_err(|error| StoreError::from_sqlx(error, AT))?;
            }
        }
        for topic in self.pending_wakes {
            self.wakes.wake(topic);
        }
        Ok(())
    }

    async fn rollback(self) -> Result<()> {
        match self.connection {
            Connection::Sqlite(transaction) => transaction.rollback().await,
            Connection::Postgres(transaction) => transaction.rollback().await,
        }
        .map_err(|error| StoreError::from_sqlx(error, "ROLLBACK"))
    }
}

/// A transaction of one tenant: on PostgreSQL row-level security hides every other tenant's rows.
pub struct TenantTx {
    tx: Tx,
    tenant: TenantId,
}

impl TenantTx {
    pub(crate) fn new(tx: Tx, tenant: TenantId) -> TenantTx {
        TenantTx { tx, tenant }
    }

    /// Whose rows this transaction sees; bind it in every query.
    pub fn tenant(&self) -> TenantId {
        self.tenant
    }

    /// Makes everything written so far durable, then wakes those who wait for it.
    pub async fn commit(self) -> Result<()> {
        self.tx.commit().await
    }

    /// Undoes everything. Dropping does the same, a moment later.
    pub async fn rollback(self) -> Result<()> {
        self.tx.rollback().await
    }
}

/// A transaction over the queues that serve all tenants (jobs, schedule, inbox, outbox). Tenants' own tables stay
/// hidden from it on PostgreSQL.
pub struct SystemTx {
    tx: Tx,
}

impl SystemTx {
    pub(crate) fn new(tx: Tx) -> SystemTx {
        SystemTx { tx }
    }

    /// Makes everything written so far durable, then wakes those who wait for it.
    pub async fn commit(self) -> Result<()> {
        self.tx.commit().await
    }

    /// Undoes everything. Dropping does the same, a moment later.
    pub async fn rollback(self) -> Result<()> {
        self.tx.rollback().await
    }
}

macro_rules! derefs_to_tx {
    ($($kind:ty),*) => { $(
        impl Deref for $kind {
            type Target = Tx;
            fn deref(&self) -> &Tx { &self.tx }
        }
        impl DerefMut for $kind {
            fn deref_mut(&mut self) -> &mut Tx { &mut self.tx }
        }
    )* };
}
derefs_to_tx!(TenantTx, SystemTx);
