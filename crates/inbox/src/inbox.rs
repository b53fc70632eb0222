//! What other crates call: hand events in, look them up, replay them, count them.

use crate::{
    InboxError, Source, State,
    arrivals::Arrivals,
    door::EventWrite,
    event::Facts,
    liveness::Liveness,
    pace::Pressure,
    pages::Live,
    refusals::{RefusalCount, Refusals},
    source::Allowlist,
    store,
};
use ::store::{Grouped, TenantTx};
use futures::FutureExt;
use kit::{ExposeSecret, Page, PageRequest, Secret, TenantId, Time};
use platform::{Base, JobError, Notice, Subscriber, notice};
use serde::Serialize;
use serde_json::value::RawValue;
use std::{sync::Arc, time::Duration};
use tokio::sync::Semaphore;
use vault::{Connection, ConnectionId, Vault, VaultError};

/// Most deliveries that share one commit.
const MAX_GROUP: usize = 512;
/// Most deliveries that wait for their commit; others are asked to come again.
const MAX_WAITING: usize = 16_384;
/// Most bytes of bodies that wait for their commit.
const MAX_WAITING_BYTES: usize = 64 << 20;
/// Rows a replay or an erasure changes in one transaction: the writer is free for acknowledgements in between.
const STEP_ROWS: u32 = 500;
/// An event that the sweep finds this long after it happened was not delivered: a webhook takes seconds.
pub(crate) const MISSED_AFTER: Duration = Duration::from_secs(300);

/// How the inbox is set up.
#[derive(Clone, Default)]
pub struct InboxOptions {
    /// Secret of the endpoint that serves all connections; two, with a comma between them, while one is rolled.
    pub global_secret: Option<Secret>,
    /// The account that the global endpoint itself belongs to: where its events happen that name no account. Not needed
    /// while there is one connection in an environment.
    pub platform_account: Option<String>,
    /// Networks that may deliver; empty means any, and the signature decides.
    pub allowlist: Allowlist,
    /// How many proxies in front of us are trusted to tell the sender's address.
    pub trusted_proxies: usize,
}

/// The inbox. Cheap to clone.
#[derive(Clone)]
pub struct Inbox {
    pub(crate) inner: Arc<Inner>,
}

pub(crate) struct Inner {
    pub(crate) base: Base,
    pub(crate) vault: Vault,
    pub(crate) global_secrets: Vec<Secret>,
    pub(crate) options: InboxOptions,
    pub(crate) writer: Grouped<EventWrite>,
    pub(crate) arrivals: Option<Arc<Arrivals>>,
    pub(crate) pressure: Arc<Pressure>,
    pub(crate) waiting_bytes: Arc<Semaphore>,
    pub(crate) refusals: Refusals,
    pub(crate) live: Live,
}

/// What became of events that were handed in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Accepted {
    /// Stored now, to be processed.
    pub new: u64,
    /// Known already, however they came.
    pub known: u64,
}

/// Which events to process again. All given conditions must hold; one at least is needed.
#[derive(Clone, Debug, Default)]
pub struct ReplayFilter {
    /// These events; any if empty.
    pub ids: Vec<String>,
    /// Events of this type; `charge.*` for all that begin so.
    pub event_type: Option<String>,
    /// Events in this state.
    pub state: Option<State>,
    /// Received at this time or later.
    pub from: Option<Time>,
    /// Received before this time.
    pub to: Option<Time>,
}

/// Which events to list.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EventFilter {
    /// In this state.
    pub state: Option<State>,
    /// Of this type; `charge.*` for all that begin so.
    pub event_type: Option<String>,
    /// That came through this connection.
    pub connection_id: Option<String>,
    /// About this object.
    pub object_id: Option<String>,
}

/// An event in a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EventSummary {
    /// `evt_…`.
    pub event_id: String,
    /// Through which connection it came.
    pub connection_id: ConnectionId,
    /// Where it happened.
    pub account_id: String,
    /// Such as `charge.refunded`.
    pub event_type: String,
    /// The version that shaped its object.
    pub api_version: Option<String>,
    /// When it happened, in whole seconds.
    pub created: Time,
    /// When we stored it.
    pub received_at: Time,
    /// Kind of its object.
    pub object_type: Option<String>,
    /// Id of its object.
    pub object_id: Option<String>,
    /// It only names its object.
    pub thin: bool,
    /// How it came.
    pub source: Source,
    /// How far it is.
    pub state: State,
    /// Failed tries so far.
    pub retry_count: u32,
    /// When it is tried next.
    pub next_try_at: Option<Time>,
    /// What went wrong last.
    pub last_error: Option<String>,
    /// When its effect was committed.
    pub processed_at: Option<Time>,
}

/// An event with its body.
#[derive(Clone, Debug)]
pub struct EventDetail {
    /// What a list shows.
    pub summary: EventSummary,
    /// The whole event as received; none once retention has taken it.
    pub body: Option<Box<RawValue>>,
}

/// Events of one connection and one kind of object that have no effect yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unfinished {
    /// Kind of their object; none for events without one.
    pub object_type: Option<String>,
    /// To be processed, or to be tried again.
    pub waiting: i64,
    /// When the first of these happened.
    pub waiting_since: Option<Time>,
    /// Given up.
    pub dead: i64,
    /// When the first of these happened.
    pub dead_since: Option<Time>,
}

/// How the inbox of one tenant stands.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Stored, not tried yet.
    pub ready: i64,
    /// To be tried again.
    pub failed: i64,
    /// Given up.
    pub dead: i64,
    /// Processed in the last 24 hours, whole hours.
    pub processed_24h: i64,
    /// How long the oldest untried event has waited.
    pub oldest_ready_age: Option<Duration>,
    /// Each connection that events came through.
    pub connections: Vec<ConnectionCounts>,
}

/// How the events of one connection come in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConnectionCounts {
    /// Which connection.
    pub connection_id: ConnectionId,
    /// Processed in the last 24 hours, whole hours.
    pub processed_24h: i64,
    /// Of these, delivered by webhook.
    pub by_webhook_24h: i64,
    /// Of these, found by the sweep more than five minutes after they happened: webhooks that never came.
    pub missed_24h: i64,
    /// When the last event came in, however it did.
    pub last_event_at: Option<Time>,
    /// When the last webhook came in.
    pub last_webhook_at: Option<Time>,
    /// When the last event happened that no webhook told of.
    pub last_missed_at: Option<Time>,
}

/// Whether a connection's webhook endpoint is alive (INB-7).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Delivery {
    /// Webhooks come in: the last one after anything that was missed.
    Alive {
        /// When the last one came.
        last_at: Time,
    },
    /// Events happened that no webhook told of, and none came since.
    Silent {
        /// When the first proof of it happened that is known: the last missed event.
        since: Time,
    },
    /// Nothing happened that a webhook could have told of.
    Unproven,
}

impl ConnectionCounts {
    /// Whether webhooks arrive, as far as events prove it.
    pub fn delivery(&self) -> Delivery {
        match (self.last_webhook_at, self.last_missed_at) {
            (Some(last_at), None) => Delivery::Alive { last_at },
            (Some(last_at), Some(missed_at)) if last_at > missed_at => Delivery::Alive { last_at },
            (_, Some(since)) => Delivery::Silent { since },
            (None, None) => Delivery::Unproven,
        }
    }
}

impl Inbox {
    /// An inbox over `base`'s database. Must be called inside the runtime, since it starts the writer that groups
    /// acknowledgements into commits; the writer ends with the last clone.
    pub fn new(base: Base, vault: Vault, options: InboxOptions) -> Inbox {
        let arrivals = Arrivals::of(&base.store).map(Arc::new);
        let write = EventWrite { store: base.store.clone(), arrivals: arrivals.clone() };
        let writer = Grouped::start(write, MAX_GROUP, MAX_WAITING);
        let global_secrets = match &options.global_secret {
            Some(secrets) => {
                let secrets = secrets.expose_secret().split(',').map(str::trim).filter(|secret| !secret.is_empty());
                secrets.map(Secret::from).collect()
            }
            None => Vec::new(),
        };
        Inbox {
            inner: Arc::new(Inner {
                base,
                vault,
                global_secrets,
                options,
                writer,
                arrivals,
                pressure: Arc::default(),
                waiting_bytes: Arc::new(Semaphore::new(MAX_WAITING_BYTES)),
                refusals: Refusals::default(),
                live: Live::default(),
            }),
        }
    }

    /// Stores events that did not come by webhook: the same path, the same effect, once per event id.
    ///
    /// `events` are whole events as JSON, as Stripe's event list gives them. They are processed after the caller's
    /// transaction has committed.
    ///
    /// # Errors
    /// The codes of [`stripe::EventError`] naming the event's place, `environment_mismatch`, and the store's. Nothing is
    /// stored then.
    pub async fn accept(
        &self,
        tx: &mut TenantTx,
        connection: &Connection,
        source: Source,
        events: &[&str],
    ) -> Result<Accepted, InboxError> {
        if events.is_empty() {
            return Ok(Accepted::default());
        }
        let received_at = self.inner.base.now();
        let mut rows = Vec::with_capacity(events.len());
        for (position, body) in events.iter().enumerate() {
            let facts = Facts::read(body.as_bytes()).map_err(|source| InboxError::BadEvent { position, source })?;
            if facts.livemode != connection.environment.is_live() {
                let environment = connection.environment;
                return Err(InboxError::WrongEnvironment { event_id: facts.event_id, environment });
            }
            rows.push((facts, body.as_bytes()));
        }
        let rows: Vec<store::NewRow<'_>> = rows
            .iter()
            .map(|(facts, body)| store::NewRow::through(connection, facts, source, received_at, body))
            .collect();
        let new = store::insert(tx, &rows).await?;
        Ok(Accepted { new, known: (events.len() as u64).saturating_sub(new) })
    }

    /// Lets events be processed again, whatever became of them; answers how many. Events that wait already are left
    /// alone unless they wait for another try, which then comes at once.
    ///
    /// # Errors
    /// `replay_without_filter`, and the store's.
    pub async fn replay(&self, tenant: TenantId, filter: ReplayFilter) -> Result<u64, InboxError> {
        let ReplayFilter { ids, event_type, state, from, to } = &filter;
        if ids.is_empty() && event_type.is_none() && state.is_none() && from.is_none() && to.is_none() {
            return Err(InboxError::EmptyReplay);
        }
        self.settle().await?;
        let base = &self.inner.base;
        let now = base.now();
        let mut replayed = 0;
        let mut after = None;
        // What is received from now on is no part of this replay, or it might never end.
        loop {
            let mut read = base.store.read(tenant).await?;
            let keys = store::replayable(&mut read, &filter, now, after.as_ref(), STEP_ROWS).await?;
            drop(read);
            let Some(last) = keys.last() else { return Ok(replayed) };
            after = Some(last.clone());
            let mut tx = base.store.begin(tenant).await?;
            replayed += store::make_ready(&mut tx, &keys, base.now()).await?;
            tx.commit().await?;
            if keys.len() < STEP_ROWS as usize {
                return Ok(replayed);
            }
        }
    }

    /// How the inbox stands.
    pub async fn counts(&self, tenant: TenantId) -> Result<Counts, InboxError> {
        let now = self.inner.base.now();
        let mut tx = self.inner.base.store.read(tenant).await?;
        let mut counts = store::counts(&mut tx, now).await?;
        if let Some(arrivals) = &self.inner.arrivals {
            let waiting = arrivals.waiting(tenant);
            if waiting > 0 {
                counts.ready += waiting;
                let age = arrivals.oldest(tenant).await?.map(|oldest| now.since(oldest));
                counts.oldest_ready_age = counts.oldest_ready_age.max(age);
            }
        }
        Ok(counts)
    }

    /// Waits until every delivery that was acknowledged before is in the tables, where [`Inbox::accept`] knows it again.
    pub async fn settle(&self) -> ::store::Result<()> {
        match &self.inner.arrivals {
            Some(arrivals) => arrivals.settle().await,
            None => Ok(()),
        }
    }

    /// Events of a connection that have no effect yet, by the kind of their object.
    ///
    /// # Errors
    /// The store's.
    pub async fn unfinished(
        &self,
        tx: &mut TenantTx,
        connection: &ConnectionId,
    ) -> Result<Vec<Unfinished>, InboxError> {
        Ok(store::unfinished(tx, connection).await?)
    }

    /// Whether there is a secret that a webhook for this connection could be signed with.
    ///
    /// # Errors
    /// The vault's.
    pub async fn can_hear(&self, connection: &ConnectionId) -> Result<bool, VaultError> {
        if !self.inner.global_secrets.is_empty() {
            return Ok(true);
        }
        let linked = self.inner.vault.linked(connection).await?;
        Ok(linked.is_some_and(|linked| !linked.webhook_secrets.is_empty()))
    }

    /// Keeps whether a connection's webhooks arrive, and tells of a silence once, and once of its end; answers whether
    /// anything is new. What is not proved ends no silence.
    ///
    /// # Errors
    /// The store's.
    pub async fn tell_liveness(
        &self,
        tx: &mut TenantTx,
        connection: &ConnectionId,
        found: &Liveness,
    ) -> Result<bool, InboxError> {
        let before = store::told(tx, connection).await?;
        let noticed = before.as_ref().is_some_and(|before| before.noticed);
        let topic = match found {
            found if found.is_trouble() && !noticed => Some(crate::SILENT),
            found if found.is_well() && noticed => Some(crate::HEARD_AGAIN),
            _ => None,
        };
        let told = store::Told { state: found.name().to_owned(), noticed: noticed != topic.is_some() };
        if before.as_ref() == Some(&told) {
            return Ok(false);
        }
        store::tell(tx, connection, &told, self.inner.base.now()).await?;
        if let Some(topic) = topic {
            let payload = serde_json::json!({ "liveness": found, "meaning": found.meaning() });
            notice::publish(tx, &self.inner.base, topic, connection.as_str(), payload).await?;
            tracing::info!(connection.id = %connection, state = found.name(), "{}", found.meaning());
        }
        tx.wake(crate::WAKE);
        Ok(true)
    }

    /// Events, the last received first.
    ///
    /// # Errors
    /// A cursor that is none is answered as the store's `bad_cursor`.
    pub async fn list(
        &self,
        tenant: TenantId,
        filter: &EventFilter,
        page: &PageRequest,
    ) -> Result<Page<EventSummary>, InboxError> {
        let after = page.after().map_err(InboxError::BadCursor)?;
        let limit = page.limit();
        self.settle().await?;
        let mut tx = self.inner.base.store.read(tenant).await?;
        let rows = store::list(&mut tx, filter, after.as_ref(), limit + 1).await?;
        Ok(Page::cut(rows, limit, |row| store::Key {
            received_at: row.received_at.micros(),
            connection_id: row.connection_id.to_string(),
            event_id: row.event_id.clone(),
        }))
    }

    /// One event with its body.
    ///
    /// # Errors
    /// `not_found`, and the store's.
    pub async fn event(&self, tenant: TenantId, event_id: &str) -> Result<EventDetail, InboxError> {
        self.settle().await?;
        let mut tx = self.inner.base.store.read(tenant).await?;
        store::find(&mut tx, event_id).await?.ok_or_else(|| InboxError::UnknownEvent(event_id.to_owned()))
    }

    /// Deliveries refused since this process started, for one connection: what a person needs who sets up an endpoint.
    pub fn refusals(&self, connection: &ConnectionId) -> Vec<RefusalCount> {
        self.inner.refusals.of(Some(connection))
    }
}

/// Erases a connection's events when a person disconnected it and asked for that.
pub(crate) fn eraser(inbox: &Inbox) -> Subscriber {
    let inbox = inbox.clone();
    Subscriber {
        name: "inbox.eraser",
        topic: "connection.disconnected",
        tell: Arc::new(move |_, notice| erase(inbox.clone(), notice).boxed()),
    }
}

async fn erase(inbox: Inbox, notice: Notice) -> Result<(), JobError> {
    if notice.payload.get("erase").and_then(|erase| erase.as_bool()) != Some(true) {
        return Ok(());
    }
    inbox.settle().await?;
    let mut after = Some(String::new());
    while let Some(done) = after {
        let mut tx = inbox.inner.base.store.begin(notice.tenant).await?;
        after = store::erase(&mut tx, &notice.subject, &done, STEP_ROWS).await?;
        tx.commit().await?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn silence_is_proved_by_what_was_missed() {
        let check = |webhook: Option<i64>, missed: Option<i64>, expected: Delivery| {
            let counts = ConnectionCounts {
                connection_id: ConnectionId::from_text("con_1"),
                processed_24h: 0,
                by_webhook_24h: 0,
                missed_24h: 0,
                last_event_at: None,
                last_webhook_at: webhook.map(Time::from_seconds),
                last_missed_at: missed.map(Time::from_seconds),
            };
            assert_eq!(counts.delivery(), expected, "{webhook:?} {missed:?}");
        };
        check(None, None, Delivery::Unproven);
        check(Some(5), None, Delivery::Alive { last_at: Time::from_seconds(5) });
        check(Some(5), Some(4), Delivery::Alive { last_at: Time::from_seconds(5) });
        check(Some(5), Some(5), Delivery::Silent { since: Time::from_seconds(5) });
        check(Some(5), Some(9), Delivery::Silent { since: Time::from_seconds(9) });
        check(None, Some(9), Delivery::Silent { since: Time::from_seconds(9) });
    }
}
