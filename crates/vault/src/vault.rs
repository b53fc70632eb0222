//! What can be done with secrets and connections. Everything joins the caller's transaction.

use crate::{
    Connection, ConnectionId, ConnectionState, Keyring, Linked, NewConnection, Purpose, Result, RotateProgress,
    RotateReport, SecretId,
};
use kit::{Environment, Secret, Time};
use platform::Base;
use std::sync::Arc;
use store::TenantTx;

/// Secrets and connections. Cheap to clone.
#[derive(Clone)]
pub struct Vault {
    inner: Arc<Inner>,
}

struct Inner {
    base: Base,
    keyring: Keyring,
}

#[expect(missing_docs, unused_variables, reason = "filled in within the hour")]
impl Vault {
    pub fn open(base: Base, keyring: Keyring) -> Vault {
        Vault { inner: Arc::new(Inner { base, keyring }) }
    }
    pub async fn seal(&self, tx: &mut TenantTx, purpose: Purpose, owner_id: &str, secret: &Secret) -> Result<SecretId> {
        let _ = (&self.inner.base, &self.inner.keyring);
        todo!()
    }
    pub async fn unseal(&self, tx: &mut TenantTx, purpose: Purpose, owner_id: &str) -> Result<Vec<Secret>> {
        todo!()
    }
    pub async fn retire(&self, tx: &mut TenantTx, purpose: Purpose, owner_id: &str, at: Time) -> Result<u64> {
        todo!()
    }
    pub async fn insert_connection(&self, tx: &mut TenantTx, new: NewConnection<'_>) -> Result<Connection> {
        todo!()
    }
    pub async fn replace_key(
        &self,
        tx: &mut TenantTx,
        id: &ConnectionId,
        api_key: &Secret,
        key_hint: &str,
        key_kind: &str,
    ) -> Result<()> {
        todo!()
    }
    pub async fn set_state(&self, tx: &mut TenantTx, id: &ConnectionId, state: ConnectionState) -> Result<()> {
        todo!()
    }
    pub async fn set_display_name(&self, tx: &mut TenantTx, id: &ConnectionId, display_name: &str) -> Result<()> {
        todo!()
    }
    pub async fn set_lookback_days(&self, tx: &mut TenantTx, id: &ConnectionId, days: Option<u32>) -> Result<()> {
        todo!()
    }
    pub async fn note_good_call(&self, connection: &Connection) -> Result<()> {
        todo!()
    }
    pub async fn add_webhook_secret(&self, tx: &mut TenantTx, id: &ConnectionId, secret: &Secret) -> Result<SecretId> {
        todo!()
    }
    pub async fn set_webhook_endpoint(
        &self,
        tx: &mut TenantTx,
        id: &ConnectionId,
        endpoint: Option<&str>,
    ) -> Result<()> {
        todo!()
    }
    pub async fn disconnect(&self, tx: &mut TenantTx, id: &ConnectionId, erase: bool) -> Result<()> {
        todo!()
    }
    pub async fn connection(&self, tx: &mut TenantTx, id: &ConnectionId) -> Result<Option<Connection>> {
        todo!()
    }
    pub async fn connections(&self, tx: &mut TenantTx) -> Result<Vec<Connection>> {
        todo!()
    }
    pub async fn all_connections(&self) -> Result<Vec<Connection>> {
        todo!()
    }
    pub async fn linked(&self, id: &ConnectionId) -> Result<Option<Arc<Linked>>> {
        todo!()
    }
    pub async fn linked_by_account(&self, account_id: &str, environment: Environment) -> Result<Vec<Arc<Linked>>> {
        todo!()
    }
    pub async fn rotate(&self, progress: impl FnMut(RotateProgress) + Send) -> Result<RotateReport> {
        todo!()
    }
}
