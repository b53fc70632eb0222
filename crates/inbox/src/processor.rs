//! From a stored event to its effect: one loop on each node with the role `worker`.
//!
//! Events are taken in batches of one tenant; effect and mark commit together. A batch that fails is halved down to the
//! events that are at fault, so that their neighbours go on.

use crate::{
    EVENT_DEAD, EventSink, Inbox, SinkError, StoredEvent, WAKE,
    arrivals::Arrival,
    pace::{LONGEST_YIELD, MAX_BATCH, PRESSURE},
    retry::{AfterFailure, after_failure},
    sink::Advice,
    store::{self, Due, NewRow},
};
use ::store::{Engine, StoreError, TenantTx};
use futures::FutureExt;
use kit::{Stopwatch, TenantId, Time, clock::pause};
use platform::{CancellationToken, notice, problem::Chain};
use std::{collections::HashSet, panic::AssertUnwindSafe, sync::Arc, time::Duration};

/// A wake may be lost; this is how long that can go unnoticed.
const SAFETY_POLL: Duration = Duration::from_secs(5);
/// After the database did not serve.
const TROUBLE_PAUSE: Duration = Duration::from_millis(500);
/// How often a processor that steps back looks whether the pressure is over.
const YIELD_STEP: Duration = Duration::from_millis(2);

/// Processes events until `stopping` is cancelled.
pub async fn run(inbox: Inbox, sink: Arc<dyn EventSink>, stopping: CancellationToken) {
    let mut wake = inbox.inner.base.store.wakes().subscribe(WAKE);
    let processor = Processor::new(inbox.clone(), sink);
    while !stopping.is_cancelled() {
        let next = match processor.round(&stopping).await {
            Ok(Round { worked: true, .. }) => continue,
            Ok(Round { next_due, .. }) => next_due,
            Err(error) => {
                tracing::warn!(error = %Chain(&error), "processing events paused, the database does not serve");
                tokio::select! { () = stopping.cancelled() => {} () = pause(TROUBLE_PAUSE) => {} }
                continue;
            }
        };
        let base = &inbox.inner.base;
        tokio::select! {
            () = stopping.cancelled() => {}
            () = wake.woken_or(SAFETY_POLL) => {}
            () = async { match next { Some(at) => base.clock.sleep_until(at).await, None => std::future::pending().await } } => {}
        }
    }
}

/// Processes everything that is due now, then returns: for tools and tests.
///
/// # Errors
/// The store's, when it does not serve.
pub async fn drain(inbox: &Inbox, sink: Arc<dyn EventSink>) -> ::store::Result<()> {
    let processor = Processor::new(inbox.clone(), sink);
    while processor.round(&CancellationToken::new()).await?.worked {}
    Ok(())
}

struct Processor {
    inbox: Inbox,
    sink: Arc<dyn EventSink>,
}

/// What one look at the inbox did.
struct Round {
    worked: bool,
    /// When there will be something to do, if nothing comes in before.
    next_due: Option<Time>,
}

/// Events and the transaction that is to hold their effect.
struct Taken {
    tx: TenantTx,
    batch: Vec<Due>,
}

/// Why a part of a batch has no effect yet.
enum Failure {
    /// The database did not serve: all events wait.
    Store(StoreError),
    /// The sink refused.
    Refused { give_up: bool, error: String },
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Failure {
        Failure::Store(error)
    }
}

impl Processor {
    fn new(inbox: Inbox, sink: Arc<dyn EventSink>) -> Processor {
        Processor { inbox, sink }
    }

    /// What was delivered, then one batch of each tenant that has something due.
    async fn round(&self, stopping: &CancellationToken) -> ::store::Result<Round> {
        let base = self.inbox.inner.base.clone();
        let arrived = self.arrivals().await?;
        let mut tx = base.store.read_system().await?;
        let tenants = store::due_tenants(&mut tx, base.now()).await?;
        if tenants.is_empty() {
            let next_due = store::next_due(&mut tx, base.now()).await?;
            return Ok(Round { worked: arrived, next_due });
        }
        drop(tx);
        let mut worked = arrived;
        let mut trouble = None;
        for tenant in tenants {
            if stopping.is_cancelled() {
                break;
            }
            self.let_deliveries_pass().await;
            match self.batch(tenant).await {
                Ok(taken) => worked |= taken > 0,
                Err(error) if error.can_retry() => return Err(error),
                // A fault in one tenant's rows must not stop the others' events.
                Err(error) => {
                    tracing::error!(tenant = tenant.0, error = %Chain(&error), "a batch of events could not be taken or marked");
                    trouble = Some(error);
                }
            }
        }
        match trouble {
            Some(error) if !worked => Err(error),
            _ => Ok(Round { worked, next_due: None }),
        }
    }

    /// Steps back while many deliveries wait for their acknowledgement.
    async fn let_deliveries_pass(&self) {
        let waited = Stopwatch::start();
        while self.inbox.inner.pressure.waiting() > PRESSURE && waited.elapsed() < LONGEST_YIELD {
            pause(YIELD_STEP).await;
        }
    }

    /// Takes a batch of one tenant and gives it its effect; answers how many events were taken.
    async fn batch(&self, tenant: TenantId) -> ::store::Result<usize> {
        let base = self.inbox.inner.base.clone();
        let Some(Taken { mut tx, batch }) = self.take(tenant, base.now(), MAX_BATCH).await? else { return Ok(0) };
        // Events that failed before go one by one: in a batch they would fail their neighbours again each time.
        let (fresh, tried): (Vec<Due>, Vec<Due>) = batch.into_iter().partition(|due| due.retry_count == 0);
        let taken = fresh.len() + tried.len();
        let mut parts: Vec<Vec<Due>> = tried.into_iter().map(|due| vec![due]).collect();
        if fresh.is_empty() {
            tx.rollback().await?;
        } else {
            let outcome = self.absorb(&mut tx, &fresh).await;
            match finish(tx, outcome).await {
                Ok(()) => {}
                Err(Failure::Store(error)) => return Err(error),
                Err(Failure::Refused { give_up, error }) if fresh.len() == 1 => {
                    self.record(tenant, &fresh[0], give_up, &error).await?;
                }
                Err(Failure::Refused { .. }) => parts.extend(halves(fresh)),
            }
        }
        self.in_parts(tenant, parts).await?;
        Ok(taken)
    }

    /// Begins the writing transaction, with the events it is about; none if somebody else took them meanwhile.
    async fn take(&self, tenant: TenantId, now: Time, limit: u32) -> ::store::Result<Option<Taken>> {
        let database = &self.inbox.inner.base.store;
        let taken = match database.engine() {
            // Only this process writes, and only this loop processes: a reader looks, so that the writer is held shorter.
            Engine::Sqlite => {
                let mut read = database.read(tenant).await?;
                let batch = store::take_due(&mut read, now, limit).await?;
                drop(read);
                if batch.is_empty() {
                    return Ok(None);
                }
                let tx = database.begin(tenant).await?;
                Taken { tx, batch }
            }
            Engine::Postgres => {
                let mut tx = database.begin(tenant).await?;
                let batch = store::take_due(&mut tx, now, limit).await?;
                Taken { tx, batch }
            }
        };
        Ok((!taken.batch.is_empty()).then_some(taken))
    }

    /// Brings what was delivered on SQLite into the tables; answers whether there was anything.
    async fn arrivals(&self) -> ::store::Result<bool> {
        let Some(arrivals) = &self.inbox.inner.arrivals else { return Ok(false) };
        self.let_deliveries_pass().await;
        let Some(batch) = arrivals.take(MAX_BATCH).await? else { return Ok(false) };
        for (tenant, arrived) in &batch.tenants {
            match self.bring_in(*tenant, arrived).await {
                Ok(()) => {}
                Err(Failure::Store(error)) if error.can_retry() => return Err(error),
                // Somewhere in it is an event at fault: all are stored as they are, and the usual way finds which, so that
                // neither its neighbours nor other tenants wait for it.
                Err(Failure::Store(_) | Failure::Refused { .. }) => {
                    let rows: Vec<NewRow<'_>> = arrived.iter().map(Arrival::row).collect();
                    let mut tx = self.inbox.inner.base.store.begin(*tenant).await?;
                    store::insert(&mut tx, &rows).await?;
                    tx.commit().await?;
                }
            }
        }
        batch.done().await?;
        Ok(true)
    }

    /// Events, their effect and their mark in one transaction; those that are known already are left alone.
    async fn bring_in(&self, tenant: TenantId, arrived: &[Arrival]) -> Result<(), Failure> {
        let base = &self.inbox.inner.base;
        let rows: Vec<NewRow<'_>> = arrived.iter().map(Arrival::row).collect();
        let mut tx = base.store.begin(tenant).await?;
        let new = store::insert_processed(&mut tx, &rows, base.now()).await?;
        let mut new: HashSet<(&str, &str)> = new.iter().map(|(connection, event)| (&**connection, &**event)).collect();
        let fresh: Vec<Due> = arrived
            .iter()
            .filter(|it| new.remove(&(it.connection_id.as_str(), it.facts.event_id.as_str())))
            .map(Arrival::to_due)
            .collect();
        let outcome = async {
            self.give_to_sink(&mut tx, &fresh).await?;
            Ok(store::add_to_tallies(&mut tx, &fresh, base.now()).await?)
        }
        .await;
        finish(tx, outcome).await
    }

    /// Effect and mark, in the given transaction.
    async fn absorb(&self, tx: &mut TenantTx, batch: &[Due]) -> Result<(), Failure> {
        self.give_to_sink(tx, batch).await?;
        store::mark_processed(tx, batch, self.inbox.inner.base.now()).await?;
        Ok(())
    }

    async fn give_to_sink(&self, tx: &mut TenantTx, batch: &[Due]) -> Result<(), Failure> {
        if batch.is_empty() {
            return Ok(());
        }
        let events: Vec<StoredEvent> = batch.iter().map(|due| due.event.clone()).collect();
        let absorbed = AssertUnwindSafe(self.sink.absorb(tx, &events)).catch_unwind().await;
        match absorbed {
            Ok(absorbed) => absorbed.map_err(failure_of),
            Err(panic) => {
                let error = format!("absorbing panicked: {}", panic_text(&*panic));
                Err(Failure::Refused { give_up: false, error })
            }
        }
    }

    /// Processes parts of a failed batch, halving each that fails again, down to the events at fault.
    async fn in_parts(&self, tenant: TenantId, mut parts: Vec<Vec<Due>>) -> ::store::Result<()> {
        let base = &self.inbox.inner.base;
        while let Some(part) = parts.pop() {
            let mut tx = base.store.begin(tenant).await?;
            // The transaction that took these events has ended; another node may have them by now.
            let still_due = store::take_again(&mut tx, &part, base.now()).await?;
            let still_due: HashSet<(String, String)> = still_due.into_iter().collect();
            let part: Vec<Due> = part
                .into_iter()
                .filter(|due| still_due.contains(&(due.event.connection_id.to_string(), due.event.event_id.clone())))
                .collect();
            if part.is_empty() {
                tx.rollback().await?;
                continue;
            }
            let outcome = self.absorb(&mut tx, &part).await;
            match finish(tx, outcome).await {
                Ok(()) => {}
                Err(Failure::Store(error)) => return Err(error),
                Err(Failure::Refused { give_up, error }) if part.len() == 1 => {
                    self.record(tenant, &part[0], give_up, &error).await?;
                }
                Err(Failure::Refused { .. }) => parts.extend(halves(part)),
            }
        }
        Ok(())
    }

    /// Writes down that one event failed, and raises the alert when that was its last try.
    async fn record(&self, tenant: TenantId, due: &Due, give_up: bool, error: &str) -> ::store::Result<()> {
        let base = &self.inbox.inner.base;
        let event = &due.event;
        let failures = due.retry_count.saturating_add(1);
        let next_try_at = match after_failure(failures, base.now(), base.randomness.below(1_000)) {
            AfterFailure::TryAgain(at) if !give_up => Some(at),
            AfterFailure::TryAgain(_) | AfterFailure::GiveUp => None,
        };
        let mut tx = base.store.begin(tenant).await?;
        if !store::mark_failed(&mut tx, due, next_try_at, error).await? {
            return tx.rollback().await;
        }
        if next_try_at.is_none() {
            let payload = serde_json::json!({
                "event_type": event.event_type,
                "connection_id": event.connection_id,
                "tries": failures,
                "error": error.chars().take(500).collect::<String>(),
            });
            notice::publish(&mut tx, base, EVENT_DEAD, &event.event_id, payload).await?;
        }
        tx.commit().await?;
        metrics::counter!("bursar_inbox_failed_total").increment(1);
        tracing::warn!(
            event.id = event.event_id,
            event.kind = event.event_type,
            attempt = failures,
            dead = next_try_at.is_none(),
            error,
            "an event could not be processed"
        );
        Ok(())
    }
}

/// Commits what succeeded, undoes what did not.
async fn finish(tx: TenantTx, outcome: Result<(), Failure>) -> Result<(), Failure> {
    match outcome {
        Ok(()) => Ok(tx.commit().await?),
        Err(failure) => {
            // The connection may be gone already, which undoes it too; the first failure is the one that tells.
            let _ = tx.rollback().await;
            Err(failure)
        }
    }
}

fn failure_of(error: SinkError) -> Failure {
    match (error.advice(), error) {
        (Advice::Wait, SinkError::Store(error)) => Failure::Store(error),
        (advice, error) => Failure::Refused { give_up: advice == Advice::GiveUp, error: Chain(&error).to_string() },
    }
}

fn halves(mut batch: Vec<Due>) -> [Vec<Due>; 2] {
    let second = batch.split_off(batch.len() / 2);
    [batch, second]
}

fn panic_text(panic: &(dyn std::any::Any + Send)) -> &str {
    panic
        .downcast_ref::<&str>()
        .copied()
        .or_else(|| panic.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("without a message")
}
