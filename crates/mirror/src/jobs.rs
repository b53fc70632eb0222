//! Background work: syncs, objects read again, erasing.

use crate::{Mirror, reread, store, sync, sync::SyncKind};
use ::store::TenantTx;
use futures::FutureExt;
use kit::Time;
use platform::{Base, Cadence, JobError, JobKind, JobRun, NewJob, Notice, RetryPlan, Schedule, Subscriber, job};
use serde::{Deserialize, Serialize};
use std::{sync::Arc, time::Duration};
use vault::{ConnectionId, ConnectionState};

const SYNC: &str = "mirror.sync";
const SYNC_ALL: &str = "mirror.sync_all";
const REREAD: &str = "mirror.reread";
const WEBHOOKS: &str = "mirror.look_after_webhooks";
const BALANCE_DUE: &str = "mirror.balance_due";
/// How long after an event of money the balance is read: what comes in meanwhile is read with the same two calls. Stripe
/// allows 500 reads for each payment (FACTS section 7), so this may follow payments closely.
const BALANCE_AFTER: Duration = Duration::from_secs(60);
/// Rows removed in one transaction, so that erasing does not stand in the way of acknowledgements.
const ERASE_STEP: u32 = 500;

#[derive(Serialize, Deserialize)]
struct OfConnection {
    connection: ConnectionId,
}

/// Has a worker run the syncs of a connection. One at a time: the key keeps a second one waiting.
pub(crate) async fn enqueue_sync(tx: &mut TenantTx, base: &Base, connection: &ConnectionId) -> ::store::Result<()> {
    let payload = OfConnection { connection: connection.clone() };
    let new = NewJob::new(SYNC, Some(tx.tenant()), &payload, base.now()).dedupe(format!("sync:{connection}"));
    // Tries end by our own count, which ends the sync as failed; the job itself must outlive that.
    job::enqueue(tx, base, NewJob { max_attempts: sync::MOST_TRIES + 4, ..new }).await?;
    tx.wake(crate::WAKE);
    Ok(())
}

/// Has a worker read objects of a connection again.
pub(crate) async fn enqueue_reread(
    tx: &mut TenantTx,
    base: &Base,
    connection: &ConnectionId,
    at: Time,
) -> ::store::Result<()> {
    let payload = OfConnection { connection: connection.clone() };
    let new = NewJob::new(REREAD, Some(tx.tenant()), &payload, base.now()).at(at);
    job::enqueue(tx, base, new.dedupe(format!("reread:{connection}"))).await?;
    Ok(())
}

/// Has the balance of a connection read soon: events tell of payments, none tells of their balance transactions.
pub(crate) async fn enqueue_balance_read(
    tx: &mut TenantTx,
    base: &Base,
    connection: &ConnectionId,
) -> ::store::Result<()> {
    let payload = OfConnection { connection: connection.clone() };
    let new = NewJob::new(BALANCE_DUE, Some(tx.tenant()), &payload, base.now()).at(base.now() + BALANCE_AFTER);
    job::enqueue(tx, base, new.dedupe(format!("balance:{connection}"))).await?;
    Ok(())
}

pub(crate) fn kinds(mirror: &Mirror) -> Vec<JobKind> {
    let (syncing, rereading, scheduling, reading) = (mirror.clone(), mirror.clone(), mirror.clone(), mirror.clone());
    let listening = mirror.clone();
    vec![
        JobKind::new(SYNC, move |run: JobRun| {
            let mirror = syncing.clone();
            async move {
                let OfConnection { connection } = run.payload()?;
                sync::run(mirror, run, connection).await
            }
        })
        .retry(RetryPlan { first: Duration::from_secs(2), most: Duration::from_secs(120) }),
        JobKind::new(REREAD, move |run: JobRun| {
            let mirror = rereading.clone();
            async move {
                let OfConnection { connection } = run.payload()?;
                reread::run(mirror, run, connection).await
            }
        }),
        JobKind::new(BALANCE_DUE, move |run: JobRun| {
            let mirror = reading.clone();
            async move {
                let OfConnection { connection } = run.payload()?;
                let mut tx = mirror.base().store.begin(run.tenant()?).await?;
                sync::request(&mut tx, mirror.base(), &connection, SyncKind::Incremental, "payments").await?;
                run.finish(&mut tx).await?;
                tx.commit().await?;
                Ok(())
            }
        }),
        JobKind::new(SYNC_ALL, move |_| request_all(scheduling.clone())).concurrency(1),
        JobKind::new(WEBHOOKS, move |_| {
            let mirror = listening.clone();
            async move { mirror.look_after_all_webhooks().await }
        })
        .concurrency(1),
    ]
}

pub(crate) fn schedules() -> Vec<Schedule> {
    vec![
        Schedule { name: "sync", cadence: Cadence::Every(Duration::from_secs(900)), kind: SYNC_ALL },
        Schedule { name: "webhooks", cadence: Cadence::Every(Duration::from_secs(300)), kind: WEBHOOKS },
    ]
}

async fn request_all(mirror: Mirror) -> Result<(), JobError> {
    let connections = mirror.vault().all_connections().await.map_err(|error| JobError::Retry(error.to_string()))?;
    for connection in connections.into_iter().filter(|it| it.state == ConnectionState::Active) {
        let mut tx = mirror.base().store.begin(connection.tenant).await?;
        sync::request(&mut tx, mirror.base(), &connection.id, SyncKind::Incremental, "schedule").await?;
        // A job that found no usable connection gave up; what it was to read still waits.
        store::rereads::adopt(&mut tx, connection.tenant, &connection.account_id, &connection.id).await?;
        if let Some(due) = store::rereads::next_due(&mut tx, connection.tenant, &connection.id).await? {
            enqueue_reread(&mut tx, mirror.base(), &connection.id, due).await?;
        }
        tx.commit().await?;
    }
    Ok(())
}

pub(crate) fn subscribers(mirror: &Mirror) -> Vec<Subscriber> {
    let (created, gone) = (mirror.clone(), mirror.clone());
    vec![
        Subscriber {
            name: "mirror.first_sync",
            topic: "connection.created",
            tell: Arc::new(move |_, notice| first_sync(created.clone(), notice).boxed()),
        },
        Subscriber {
            name: "mirror.eraser",
            topic: "connection.disconnected",
            tell: Arc::new(move |_, notice| erase(gone.clone(), notice).boxed()),
        },
    ]
}

async fn first_sync(mirror: Mirror, notice: Notice) -> Result<(), JobError> {
    let connection = ConnectionId::from_text(notice.subject);
    let mut tx = mirror.base().store.begin(notice.tenant).await?;
    sync::request(&mut tx, mirror.base(), &connection, SyncKind::Full, "connected").await?;
    tx.commit().await?;
    Ok(())
}

/// Erases what was mirrored through a connection when a person disconnected it and asked for that.
async fn erase(mirror: Mirror, notice: Notice) -> Result<(), JobError> {
    if notice.payload.get("erase").and_then(|erase| erase.as_bool()) != Some(true) {
        return Ok(());
    }
    let tenant = notice.tenant;
    let connection = ConnectionId::from_text(notice.subject);
    let mut tx = mirror.base().store.read(tenant).await?;
    let found =
        mirror.vault().connection(&mut tx, &connection).await.map_err(|error| JobError::Retry(error.to_string()))?;
    drop(tx);
    let told = notice.payload.get("account_id").and_then(|account| account.as_str()).map(str::to_owned);
    let Some(account_id) = found.map(|connection| connection.account_id).or(told) else { return Ok(()) };
    // The same account may have been connected anew meanwhile; its data is then in use.
    let mut tx = mirror.base().store.read(tenant).await?;
    let others = mirror.vault().connections(&mut tx).await.map_err(|error| JobError::Retry(error.to_string()))?;
    drop(tx);
    if others
        .iter()
        .any(|it| it.id != connection && it.account_id == account_id && it.state != ConnectionState::Disconnected)
    {
        return Ok(());
    }
    let scope = crate::Scope { tenant, connection_id: connection.clone(), account_id };
    mirror.erase(&scope, ERASE_STEP).await?;
    let mut tx = mirror.base().store.begin(tenant).await?;
    store::streams::forget(&mut tx, tenant, &connection).await?;
    tx.commit().await?;
    Ok(())
}
