//! What can be done with secrets and connections. Whatever writes joins the caller's transaction.

use crate::{
    Connection, ConnectionId, ConnectionState, Keyring, NewConnection, Purpose, Result, SecretId, VaultError, WAKE,
    linked::Lookup,
    seal::{self, Binding},
    store,
};
use ::store::TenantTx;
use kit::{Secret, Time};
use platform::Base;
use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError, RwLock},
    time::Duration,
};

/// How often a good call is written down.
const GOOD_CALL_EVERY: Duration = Duration::from_secs(60);
/// Beyond so many connections the memory of good calls starts anew, which costs a few writes.
const MOST_NOTED: usize = 10_000;

/// Secrets and connections. Cheap to clone.
///
/// The randomness of its [`Base`] must be the system's wherever real secrets are sealed: nonces come from it, and a
/// nonce used twice under one key gives both secrets away.
#[derive(Clone)]
pub struct Vault {
    pub(crate) inner: Arc<Inner>,
}

pub(crate) struct Inner {
    pub(crate) base: Base,
    keyring: RwLock<Keyring>,
    pub(crate) lookup: Lookup,
    noted: Mutex<HashMap<ConnectionId, Time>>,
}

impl Vault {
    /// On a migrated database, with the keys that seal.
    pub fn open(base: Base, keyring: Keyring) -> Vault {
        let lookup = Lookup::new(&base);
        Vault { inner: Arc::new(Inner { base, keyring: RwLock::new(keyring), lookup, noted: Mutex::default() }) }
    }

    fn now(&self) -> Time {
        self.inner.base.now()
    }

    /// The keys that are loaded now.
    pub(crate) fn keyring(&self) -> Keyring {
        self.inner.keyring.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Takes up keys that were added to the key file since it was read. Does nothing for keys of the configuration.
    ///
    /// # Errors
    /// `vault_key_file`, `vault_keys_bad`; the keys that are loaded stay.
    pub(crate) fn take_up_keys(&self) -> Result<()> {
        if let Some(read) = self.keyring().read_again()? {
            *self.inner.keyring.write().unwrap_or_else(PoisonError::into_inner) = read;
        }
        Ok(())
    }

    /// Seals a secret for an owner with the newest key. Secrets of the same owner and purpose stay, until retired.
    ///
    /// # Errors
    /// `secret_too_large`.
    pub async fn seal(&self, tx: &mut TenantTx, purpose: Purpose, owner_id: &str, secret: &Secret) -> Result<SecretId> {
        let randomness = &*self.inner.base.randomness;
        let now = self.now();
        let id = SecretId::new(now, randomness);
        let binding = Binding { tenant: tx.tenant(), secret: &id, purpose: purpose.as_str(), owner: owner_id };
        let sealed = seal::seal(&self.keyring(), binding, secret, randomness)?;
        store::insert_secret(tx, binding, sealed, now).await?;
        tx.wake(WAKE);
        Ok(id)
    }

    /// Opens an owner's secrets, newest first, without the retired ones.
    ///
    /// # Errors
    /// `secret_key_unknown`, `secret_corrupt`.
    pub async fn unseal(&self, tx: &mut TenantTx, purpose: Purpose, owner_id: &str) -> Result<Vec<Secret>> {
        let rows = store::secrets_of(tx, purpose, owner_id, self.now()).await?;
        rows.iter()
            .map(|row| seal::open(&self.keyring(), row.binding(&row.secret_id()), &row.key_id, &row.sealed))
            .collect()
    }

    /// Lets an owner's secrets open until `at` and no longer: the present time, or later for a time of grace.
    /// Answers how many that changed.
    pub async fn retire(&self, tx: &mut TenantTx, purpose: Purpose, owner_id: &str, at: Time) -> Result<u64> {
        tx.wake(WAKE);
        store::retire(tx, purpose, owner_id, at).await
    }

    /// Links an account whose key was checked, and seals the key.
    ///
    /// # Errors
    /// `account_already_connected` with the id of the connection that has it; `secret_too_large`.
    pub async fn insert_connection(&self, tx: &mut TenantTx, new: NewConnection<'_>) -> Result<Connection> {
        let now = self.now();
        let id = ConnectionId::new(now, &*self.inner.base.randomness);
        if !store::insert_connection(tx, &id, &new, now).await? {
            let existing = store::connected_account(tx, new.provider, new.account_id).await?;
            return Err(VaultError::AccountAlreadyConnected { account_id: new.account_id.to_owned(), existing });
        }
        self.seal(tx, Purpose::ApiKey, id.as_str(), new.api_key).await?;
        store::connection(tx, &id).await?.ok_or(VaultError::NotFound(id))
    }

    /// Puts another key in the place of the old one, which ends at once, and sets the connection to work again.
    ///
    /// # Errors
    /// `not_found`, `connection_disconnected`, `secret_too_large`.
    pub async fn replace_key(
        &self,
        tx: &mut TenantTx,
        id: &ConnectionId,
        api_key: &Secret,
        key_hint: &str,
        key_kind: &str,
    ) -> Result<()> {
        let changed = store::set_key(tx, id, key_hint, key_kind, self.now()).await?;
        self.changed(tx, id, changed).await?;
        // Calls under way hold the old key in memory; whatever begins after the commit finds the new one.
        store::retire(tx, Purpose::ApiKey, id.as_str(), self.now()).await?;
        self.seal(tx, Purpose::ApiKey, id.as_str(), api_key).await?;
        Ok(())
    }

    /// Records whether the key works. An ended connection does not come back.
    ///
    /// # Errors
    /// `not_found`, `connection_disconnected`.
    pub async fn set_state(&self, tx: &mut TenantTx, id: &ConnectionId, state: ConnectionState) -> Result<()> {
        if state == ConnectionState::Disconnected {
            return self.disconnect(tx, id, false).await;
        }
        let changed = store::set_state(tx, id, &state, self.now()).await?;
        self.changed(tx, id, changed).await
    }

    /// Renames a connection.
    ///
    /// # Errors
    /// `not_found`, `connection_disconnected`.
    pub async fn set_display_name(&self, tx: &mut TenantTx, id: &ConnectionId, display_name: &str) -> Result<()> {
        let changed = store::set_display_name(tx, id, display_name, self.now()).await?;
        self.changed(tx, id, changed).await
    }

    /// Changes how far back charges and the like are read.
    ///
    /// # Errors
    /// `not_found`, `connection_disconnected`.
    pub async fn set_lookback_days(&self, tx: &mut TenantTx, id: &ConnectionId, days: Option<u32>) -> Result<()> {
        let changed = store::set_lookback_days(tx, id, days, self.now()).await?;
        self.changed(tx, id, changed).await
    }

    /// Adds a secret that checks webhooks; those that are there go on until retired.
    ///
    /// # Errors
    /// `not_found`, `connection_disconnected`, `secret_too_large`.
    pub async fn add_webhook_secret(&self, tx: &mut TenantTx, id: &ConnectionId, secret: &Secret) -> Result<SecretId> {
        let there = store::connection(tx, id).await?;
        let live = there.is_some_and(|connection| connection.state != ConnectionState::Disconnected);
        self.changed(tx, id, live).await?;
        self.seal(tx, Purpose::WebhookSecret, id.as_str(), secret).await
    }

    /// Records the webhook endpoint at the provider that Bursar made, or that it is gone.
    ///
    /// # Errors
    /// `not_found`, `connection_disconnected`.
    pub async fn set_webhook_endpoint(
        &self,
        tx: &mut TenantTx,
        id: &ConnectionId,
        endpoint_id: Option<&str>,
    ) -> Result<()> {
        let changed = store::set_webhook_endpoint(tx, id, endpoint_id, self.now()).await?;
        self.changed(tx, id, changed).await
    }

    /// Ends a connection and destroys its secrets. With `erase` its names go too; its ids stay, because others erase
    /// their rows by them. What needs the key, such as removing the webhook endpoint, comes before.
    ///
    /// # Errors
    /// `not_found`, `connection_disconnected`.
    pub async fn disconnect(&self, tx: &mut TenantTx, id: &ConnectionId, erase: bool) -> Result<()> {
        let changed = store::set_state(tx, id, &ConnectionState::Disconnected, self.now()).await?;
        self.changed(tx, id, changed).await?;
        store::delete_secrets_of(tx, id.as_str()).await?;
        if erase {
            store::blank(tx, id).await?;
        }
        Ok(())
    }

    /// Turns "no row changed" into its reason, and tells every node's memory of a change.
    async fn changed(&self, tx: &mut TenantTx, id: &ConnectionId, changed: bool) -> Result<()> {
        if changed {
            tx.wake(WAKE);
            return Ok(());
        }
        match store::connection(tx, id).await? {
            Some(_) => Err(VaultError::Disconnected(id.clone())),
            None => Err(VaultError::NotFound(id.clone())),
        }
    }

    /// One connection of the tenant, ended ones too.
    pub async fn connection(&self, tx: &mut TenantTx, id: &ConnectionId) -> Result<Option<Connection>> {
        store::connection(tx, id).await
    }

    /// Every connection of the tenant, oldest first, ended ones last; at most a thousand.
    pub async fn connections(&self, tx: &mut TenantTx) -> Result<Vec<Connection>> {
        store::connections(tx).await
    }

    /// The active connections of every tenant, for schedules.
    pub async fn all_connections(&self) -> Result<Vec<Connection>> {
        let mut tx = self.inner.base.store.read_system().await?;
        store::active_connections(&mut tx).await
    }

    /// Notes that a call succeeded; writes at most once a minute for each connection. Answers whether it wrote.
    ///
    /// Never inside a transaction: it begins its own.
    pub async fn note_good_call(&self, connection: &Connection) -> Result<bool> {
        let now = self.now();
        {
            let mut noted = self.inner.noted.lock().unwrap_or_else(PoisonError::into_inner);
            if noted.get(&connection.id).is_some_and(|at| now < *at + GOOD_CALL_EVERY) {
                return Ok(false);
            }
            if noted.len() >= MOST_NOTED {
                noted.clear();
            }
            noted.insert(connection.id.clone(), now);
        }
        let mut tx = self.inner.base.store.begin(connection.tenant).await?;
        store::note_good_call(&mut tx, &connection.id, now).await?;
        tx.commit().await?;
        Ok(true)
    }
}
