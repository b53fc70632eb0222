//! From a stored event to its effect: one loop on each node with the role `worker`.
//!
//! Events are taken in batches of one tenant; effect and mark commit together. A batch that fails is halved down to the
//! events that are at fault, so that their neighbours go on.

use crate::{
    EVENT_DEAD, EventSink, Inbox, SinkError, StoredEvent, WAKE,
    pace::{LONGEST_YIELD, PRESSURE, Pace},
    retry::{AfterFailure, after_failure},
    sink::Advice,
    store::{self, Due},
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
    let mut processor = Processor::new(inbox.clone(), sink);
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
    let mut processor = Processor::new(inbox.clone(), sink);
    while processor.round(&CancellationToken::new()).await?.worked {}
    Ok(())
}

struct Processor {
    inbox: Inbox,
    sink: Arc<dyn EventSink>,
    pace: Pace,
    deliveries_seen: u64,
    /// How long the oldest untried event of the last batch had waited.
    lag: Duration,
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
    /// Since when the transaction keeps others from writing.
    held: Stopwatch,
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
        let pace = Pace::new(inbox.inner.base.store.engine());
        Processor { inbox, sink, pace, deliveries_seen: 0, lag: Duration::ZERO }
    }

    /// One batch of each tenant that has something due.
    async fn round(&mut self, stopping: &CancellationToken) -> ::store::Result<Round> {
        let base = self.inbox.inner.base.clone();
        let mut tx = base.store.read_system().await?;
        let tenants = store::due_tenants(&mut tx, base.now()).await?;
        if tenants.is_empty() {
            let next_due = store::next_due(&mut tx, base.now()).await?;
            return Ok(Round { worked: false, next_due });
        }
        drop(tx);
        let mut worked = false;
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
    async fn batch(&mut self, tenant: TenantId) -> ::store::Result<usize> {
        let base = self.inbox.inner.base.clone();
        let deliveries = self.inbox.inner.pressure.total();
        let limit = self.pace.batch(deliveries != self.deliveries_seen, self.lag);
        self.deliveries_seen = deliveries;

        let Some(Taken { mut tx, batch, held }) = self.take(tenant, base.now(), limit).await? else { return Ok(0) };
        // Events that failed before go one by one: in a batch they would fail their neighbours again each time.
        let (fresh, tried): (Vec<Due>, Vec<Due>) = batch.into_iter().partition(|due| due.retry_count == 0);
        let taken = fresh.len() + tried.len();
        self.lag = fresh.first().map_or(Duration::ZERO, |due| base.now().since(due.due_at));
        let mut parts: Vec<Vec<Due>> = tried.into_iter().map(|due| vec![due]).collect();
        if fresh.is_empty() {
            tx.rollback().await?;
        } else {
            let outcome = self.absorb(&mut tx, &fresh).await;
            match finish(tx, outcome).await {
                Ok(()) => self.pace.learn(u32::try_from(fresh.len()).unwrap_or(u32::MAX), held.elapsed()),
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
                Taken { tx, batch, held: Stopwatch::start() }
            }
            Engine::Postgres => {
                let mut tx = database.begin(tenant).await?;
                let held = Stopwatch::start();
                let batch = store::take_due(&mut tx, now, limit).await?;
                Taken { tx, batch, held }
            }
        };
        Ok((!taken.batch.is_empty()).then_some(taken))
    }

    /// Effect and mark, in the given transaction.
    async fn absorb(&self, tx: &mut TenantTx, batch: &[Due]) -> Result<(), Failure> {
        let events: Vec<StoredEvent> = batch.iter().map(|due| due.event.clone()).collect();
        let absorbed = AssertUnwindSafe(self.sink.absorb(tx, &events)).catch_unwind().await;
        match absorbed {
            Ok(Ok(())) => {}
            Ok(Err(error)) => return Err(failure_of(error)),
            Err(panic) => {
                let error = format!("absorbing panicked: {}", panic_text(&*panic));
                return Err(Failure::Refused { give_up: false, error });
            }
        }
        store::mark_processed(tx, batch, self.inbox.inner.base.now()).await?;
        Ok(())
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
