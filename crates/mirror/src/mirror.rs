//! The mirror as others hold it.

use crate::{
    Absorbed, Absorber, Change, MirrorError, Observation, Projection, Scope,
    store::{
        objects::{self, KindCount, ObjectRow},
        rebuilds::{self, Rebuild},
        rereads,
        streams::{self, Coverage, Stream},
        syncs::{self, SyncJob, SyncPart},
    },
    sync::{self, SyncKind},
};
use gateway::Gateway;
use inbox::Inbox;
use kit::{Page, PageRequest, TenantId, Time};
use platform::Base;
use std::{
    collections::HashMap,
    sync::{Arc, Mutex},
};
use store::TenantTx;
use vault::{Connection, ConnectionId, Vault};

/// Objects of one step of a rebuild.
const REBUILD_STEP: u32 = 500;
/// The greatest character there is: no id begins with it.
const AFTER_EVERY_ID: &str = "\u{10ffff}";

/// The local copy of Stripe's objects. Cheap to clone.
#[derive(Clone)]
pub struct Mirror {
    inner: Arc<Inner>,
}

struct Inner {
    absorber: Absorber,
    vault: Vault,
    gateway: Gateway,
    inbox: Inbox,
    /// Payments of the last 30 days by connection, and when they were counted.
    payments: Mutex<HashMap<ConnectionId, (i64, Time)>>,
}

/// How a sync stands, for pages and the API.
#[derive(Clone, Debug, serde::Serialize)]
pub struct SyncStatus {
    /// The sync that runs or waits.
    pub current: Option<SyncJob>,
    /// Its kinds, while it runs.
    pub parts: Vec<SyncPart>,
    /// The last one that completed.
    pub last_completed: Option<SyncJob>,
    /// What is known to be complete.
    pub coverage: Vec<Coverage>,
    /// How far the event list was read; none before the first sync.
    pub stream: Option<Stream>,
}

/// What the overview shows of the mirror.
#[derive(Clone, Debug, serde::Serialize)]
pub struct Summary {
    /// How many objects there are of each kind.
    pub kinds: Vec<KindCount>,
    /// Objects that wait to be read again.
    pub rereads_waiting: i64,
    /// Objects that could not be read again.
    pub rereads_refused: i64,
    /// Each connection and how its sync stands.
    pub connections: Vec<(ConnectionId, SyncStatus)>,
}

impl Mirror {
    /// A mirror that tells these projections.
    pub fn new(
        base: Base,
        vault: Vault,
        gateway: Gateway,
        inbox: Inbox,
        projections: Vec<Arc<dyn Projection>>,
    ) -> Mirror {
        let absorber = Absorber::new(base, projections);
        Mirror { inner: Arc::new(Inner { absorber, vault, gateway, inbox, payments: Mutex::default() }) }
    }

    pub(crate) fn base(&self) -> &Base {
        self.inner.absorber.base()
    }

    pub(crate) fn absorber(&self) -> &Absorber {
        &self.inner.absorber
    }

    pub(crate) fn vault(&self) -> &Vault {
        &self.inner.vault
    }

    pub(crate) fn gateway(&self) -> &Gateway {
        &self.inner.gateway
    }

    pub(crate) fn payments(&self) -> &Mutex<HashMap<ConnectionId, (i64, Time)>> {
        &self.inner.payments
    }

    pub(crate) fn inbox(&self) -> &Inbox {
        &self.inner.inbox
    }

    /// The scope of a connection's own account.
    pub fn scope_of(&self, connection: &Connection) -> Scope {
        Scope {
            tenant: connection.tenant,
            connection_id: connection.id.clone(),
            account_id: connection.account_id.clone(),
        }
    }

    /// Absorbs a batch of observations of one account, in the caller's transaction.
    ///
    /// # Errors
    /// The store's. The caller then has to roll back.
    pub async fn absorb(
        &self,
        tx: &mut TenantTx,
        scope: &Scope,
        observations: &[Observation<'_>],
    ) -> Result<Absorbed, MirrorError> {
        self.inner.absorber.absorb(tx, scope, observations).await
    }

    /// Asks for a sync of a connection, in the caller's transaction. One that waits already is enough; one that runs
    /// goes on, and the new one follows it.
    ///
    /// # Errors
    /// The store's.
    pub async fn request_sync(
        &self,
        tx: &mut TenantTx,
        connection: &ConnectionId,
        kind: SyncKind,
        requested_by: &str,
    ) -> Result<(), MirrorError> {
        sync::request(tx, self.base(), connection, kind, requested_by).await
    }

    /// How a connection's sync stands.
    ///
    /// # Errors
    /// The store's.
    pub async fn sync_status(&self, tenant: TenantId, connection: &ConnectionId) -> Result<SyncStatus, MirrorError> {
        let mut tx = self.base().store.read(tenant).await?;
        status(&mut tx, connection).await
    }

    /// Syncs of a connection, the newest first.
    ///
    /// # Errors
    /// `bad_cursor`, and the store's.
    pub async fn sync_jobs(
        &self,
        tenant: TenantId,
        connection: &ConnectionId,
        page: &PageRequest,
    ) -> Result<Page<SyncJob>, MirrorError> {
        let before: Option<String> = page.after().map_err(MirrorError::BadCursor)?;
        let limit = page.limit();
        let mut tx = self.base().store.read(tenant).await?;
        let rows = syncs::list(&mut tx, tenant, connection, before.as_deref(), limit + 1).await?;
        Ok(Page::cut(rows, limit, |row| row.id.clone()))
    }

    /// One mirrored object of the tenant.
    ///
    /// # Errors
    /// The store's.
    pub async fn object(&self, tenant: TenantId, kind: &str, id: &str) -> Result<Option<ObjectRow>, MirrorError> {
        let mut tx = self.base().store.read(tenant).await?;
        Ok(objects::one(&mut tx, tenant, kind, id).await?)
    }

    /// Mirrored objects of one kind, by account and id.
    ///
    /// # Errors
    /// `bad_cursor`, and the store's.
    pub async fn objects(
        &self,
        tenant: TenantId,
        kind: &str,
        page: &PageRequest,
    ) -> Result<Page<ObjectRow>, MirrorError> {
        let after: Option<(String, String)> = page.after().map_err(MirrorError::BadCursor)?;
        let limit = page.limit();
        let mut tx = self.base().store.read(tenant).await?;
        let mut accounts: Vec<String> = objects::counts(&mut tx, tenant)
            .await?
            .into_iter()
            .filter(|count| count.object_type == kind)
            .map(|count| count.account_id)
            .collect();
        accounts.dedup();
        let mut rows: Vec<ObjectRow> = Vec::new();
        for account in accounts {
            let from = match &after {
                Some((behind, _)) if account < *behind => continue,
                Some((behind, id)) if account == *behind => id.as_str(),
                _ => "",
            };
            let wanted = limit + 1 - rows.len() as u32;
            rows.extend(objects::list(&mut tx, tenant, &account, kind, from, wanted).await?);
            if rows.len() > limit as usize {
                break;
            }
        }
        Ok(Page::cut(rows, limit, |row| (row.account_id.clone(), row.id.clone())))
    }

    /// What the overview shows: counts, and how each connection's sync stands.
    ///
    /// # Errors
    /// The store's and the vault's.
    pub async fn summary(&self, tenant: TenantId) -> Result<Summary, MirrorError> {
        let mut tx = self.base().store.read(tenant).await?;
        let kinds = objects::counts(&mut tx, tenant).await?;
        let (rereads_waiting, rereads_refused) = rereads::counts(&mut tx, tenant).await?;
        let mut connections = Vec::new();
        for connection in self.vault().connections(&mut tx).await? {
            let status = status(&mut tx, &connection.id).await?;
            connections.push((connection.id, status));
        }
        Ok(Summary { kinds, rereads_waiting, rereads_refused, connections })
    }

    /// Makes one projection's rows of an account anew from the mirrored objects, in steps of a transaction each; answers
    /// how many objects it was told of. Meanwhile objects go on changing: a change is told to the projection if the
    /// rebuild has passed its object, and otherwise with it.
    ///
    /// # Errors
    /// `not_found` for an unknown projection, and the store's. After an error the projection lacks what was not reached;
    /// running the rebuild again begins anew.
    pub async fn rebuild(&self, scope: &Scope, name: &str) -> Result<u64, MirrorError> {
        let projection = self.absorber().projections().iter().find(|projection| projection.name() == name).cloned();
        let projection = projection.ok_or_else(|| MirrorError::NoSuchProjection(name.to_owned()))?;
        let (tenant, account, store) = (scope.tenant, scope.account_id.as_str(), &self.base().store);
        let mut kinds = projection.objects().to_vec();
        kinds.sort_unstable();
        let mut place = Rebuild { projection: name.to_owned(), object_type: String::new(), id: String::new() };
        let mut rebuilt = 0;

        let mut tx = store.begin(tenant).await?;
        objects::lock_account(&mut tx, store.engine(), tenant, account).await?;
        projection.clear(&mut tx, scope).await?;
        rebuilds::save(&mut tx, tenant, account, &place).await?;
        tx.commit().await?;
        for kind in kinds {
            let mut after = String::new();
            loop {
                let mut tx = store.begin(tenant).await?;
                objects::lock_account(&mut tx, store.engine(), tenant, account).await?;
                let rows = objects::list(&mut tx, tenant, account, kind, &after, REBUILD_STEP).await?;
                let is_last = rows.is_empty();
                // Behind the last object of a kind, whatever comes is told by itself.
                after = rows.last().map_or_else(|| AFTER_EVERY_ID.to_owned(), |last| last.id.clone());
                (place.object_type, place.id) = (kind.to_owned(), after.clone());
                let changes: Vec<Change<'_>> = rows.iter().map(change_of).collect();
                if !is_last {
                    projection.apply(&mut tx, scope, &changes).await?;
                }
                rebuilds::save(&mut tx, tenant, account, &place).await?;
                tx.commit().await?;
                rebuilt += rows.len() as u64;
                if is_last {
                    break;
                }
            }
        }
        let mut tx = store.begin(tenant).await?;
        rebuilds::end(&mut tx, tenant, account, name).await?;
        tx.commit().await?;
        Ok(rebuilt)
    }

    /// Removes everything mirrored of an account, and what the projections made of it.
    pub(crate) async fn erase(&self, scope: &Scope, step: u32) -> Result<(), MirrorError> {
        let (tenant, store) = (scope.tenant, &self.base().store);
        for projection in self.absorber().projections() {
            let mut tx = store.begin(tenant).await?;
            projection.clear(&mut tx, scope).await?;
            tx.commit().await?;
        }
        loop {
            let mut tx = store.begin(tenant).await?;
            let removed = objects::erase(&mut tx, tenant, &scope.account_id, step).await?;
            if removed == 0 {
                objects::forget_account(&mut tx, tenant, &scope.account_id).await?;
            }
            tx.commit().await?;
            if removed == 0 {
                return Ok(());
            }
        }
    }
}

fn change_of(row: &ObjectRow) -> Change<'_> {
    Change {
        account_id: &row.account_id,
        object_type: &row.object_type,
        id: &row.id,
        before: None,
        after: &row.body,
        deleted_before: false,
        deleted_after: row.deleted,
    }
}

async fn status(tx: &mut TenantTx, connection: &ConnectionId) -> Result<SyncStatus, MirrorError> {
    let tenant = tx.tenant();
    let current = syncs::current(tx, tenant, connection).await?;
    let parts = match &current {
        Some(job) => syncs::parts(tx, tenant, &job.id).await?,
        None => Vec::new(),
    };
    Ok(SyncStatus {
        parts,
        last_completed: syncs::last_completed(tx, tenant, connection).await?,
        coverage: streams::coverage(tx, tenant, connection).await?,
        stream: streams::find(tx, tenant, connection).await?,
        current,
    })
}
