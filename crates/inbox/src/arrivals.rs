//! Deliveries on SQLite between their acknowledgement and the inbox's tables.
//!
//! SQLite has one writer, and a batch of events that is absorbed holds it for many milliseconds. So a delivery is made
//! durable in the store's journal, which nobody else writes, and acknowledged; from there it is brought into the inbox's
//! tables, mostly together with its effect. A crash in between brings it in again, which changes nothing: the event's id
//! is known then. On PostgreSQL deliveries go to the tables at once.

use crate::{
    Source, StoredEvent, WAKE,
    event::Facts,
    store::{Due, NewRow},
};
use ::store::{Journal, JournalRecord, Result, Store};
use kit::{TenantId, Time};
use serde::{Deserialize, Serialize};
use std::{
    collections::{BTreeMap, HashMap},
    sync::{Mutex, PoisonError},
    time::Duration,
};
use tokio::sync::{MutexGuard, watch};
use vault::ConnectionId;

/// Most bytes of bodies that are brought in at once.
const MOST_BYTES: usize = 8 << 20;
/// How long a reader waits for deliveries to be brought in together with their effect, before it brings them in itself.
const PATIENCE: Duration = Duration::from_millis(100);
/// Most deliveries that a reader brings in.
const MOST_FOR_A_READER: u32 = 500;

/// Who sent a delivery and when, as it stands in the journal before the body.
#[derive(Serialize, Deserialize)]
struct Head {
    tenant: i64,
    connection: String,
    account: String,
    received_at: i64,
}

/// A delivery that is durable and not in the tables yet.
#[derive(Debug)]
pub(crate) struct Arrival {
    sequence: i64,
    pub(crate) tenant: TenantId,
    pub(crate) connection_id: String,
    pub(crate) account_id: String,
    pub(crate) received_at: Time,
    pub(crate) facts: Facts,
    pub(crate) body: Vec<u8>,
}

impl Arrival {
    /// As the tables take it.
    pub(crate) fn row(&self) -> NewRow<'_> {
        NewRow {
            tenant: self.tenant,
            connection_id: &self.connection_id,
            account_id: &self.account_id,
            facts: &self.facts,
            source: Source::Webhook,
            received_at: self.received_at,
            body: &self.body,
        }
    }

    /// As its effect takes it: never tried before.
    pub(crate) fn to_due(&self) -> Due {
        let facts = &self.facts;
        Due {
            source: Source::Webhook,
            retry_count: 0,
            event: StoredEvent {
                event_id: facts.event_id.clone(),
                connection_id: ConnectionId::from_text(self.connection_id.clone()),
                account_id: self.account_id.clone(),
                event_type: facts.event_type.clone(),
                api_version: facts.api_version.clone(),
                created: facts.created,
                received_at: self.received_at,
                object_type: facts.object_type.clone(),
                object_id: facts.object_id.clone(),
                // Checked to be UTF-8 when its facts were read.
                body: String::from_utf8_lossy(&self.body).into_owned(),
                thin: facts.thin,
            },
        }
    }
}

/// The journal as the inbox uses it.
pub(crate) struct Arrivals {
    journal: Journal,
    store: Store,
    /// The last delivery that is in the tables. Whoever holds the lock brings in; nobody else does meanwhile.
    brought_in: tokio::sync::Mutex<i64>,
    progress: watch::Sender<i64>,
    waiting: Mutex<HashMap<TenantId, i64>>,
    /// Deliveries up to this one are from before this process started, and are not counted.
    inherited: i64,
}

/// Deliveries to be brought in, and the right to do it.
pub(crate) struct Batch<'a> {
    arrivals: &'a Arrivals,
    brought_in: MutexGuard<'a, i64>,
    last: i64,
    /// Runs of records that may be forgotten.
    runs: Vec<(i64, i64)>,
    pub(crate) tenants: BTreeMap<TenantId, Vec<Arrival>>,
}

impl Arrivals {
    /// The deliveries of this store; none on PostgreSQL.
    pub(crate) fn of(store: &Store) -> Option<Arrivals> {
        let journal = store.journal()?.clone();
        let inherited = journal.last();
        Some(Arrivals {
            journal,
            store: store.clone(),
            brought_in: tokio::sync::Mutex::new(0),
            progress: watch::Sender::new(0),
            waiting: Mutex::default(),
            inherited,
        })
    }

    /// Makes deliveries durable and wakes a processor.
    pub(crate) async fn append(&self, rows: &[NewRow<'_>]) -> Result<()> {
        let mut records = Vec::with_capacity(rows.len());
        for row in rows {
            let head = Head {
                tenant: row.tenant.0,
                connection: row.connection_id.to_owned(),
                account: row.account_id.to_owned(),
                received_at: row.received_at.micros(),
            };
            let body = row.kept_body();
            let mut record = Vec::with_capacity(body.len() + 160);
            serde_json::to_writer(&mut record, &head).map_err(::store::StoreError::encoding)?;
            // JSON on one line has no line break, so the first one ends it.
            record.push(b'\n');
            record.extend_from_slice(&body);
            records.push(record);
        }
        {
            // Counted before they can be brought in, or the count would be short for ever.
            let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
            rows.iter().for_each(|row| *waiting.entry(row.tenant).or_default() += 1);
        }
        let appended = self.journal.append(&records).await;
        if appended.is_err() {
            rows.iter().for_each(|row| self.uncount(row.tenant));
        }
        appended?;
        self.store.wakes().wake(WAKE);
        Ok(())
    }

    /// How many deliveries of a tenant wait to be brought in.
    pub(crate) fn waiting(&self, tenant: TenantId) -> i64 {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner).get(&tenant).copied().unwrap_or(0)
    }

    /// When the oldest waiting delivery came, if it is this tenant's.
    pub(crate) async fn oldest(&self, tenant: TenantId) -> Result<Option<Time>> {
        let after = *self.progress.borrow();
        let first = self.journal.read(after, 1, 0).await?.pop();
        let head = first.and_then(|record| Some(read_record(record).ok()?.1));
        Ok(head.filter(|arrival| arrival.tenant == tenant).map(|arrival| arrival.received_at))
    }

    fn uncount(&self, tenant: TenantId) {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = waiting.get_mut(&tenant) {
            *count -= 1;
            if *count <= 0 {
                waiting.remove(&tenant);
            }
        }
    }

    /// The deliveries that have waited longest; waits until nobody else brings in. None if there are none.
    pub(crate) async fn take(&self, most: u32) -> Result<Option<Batch<'_>>> {
        let brought_in = self.brought_in.lock().await;
        let records = self.journal.read(*brought_in, most, MOST_BYTES).await?;
        let Some(last) = records.last().map(|record| record.sequence) else { return Ok(None) };
        let mut tenants: BTreeMap<TenantId, Vec<Arrival>> = BTreeMap::new();
        let mut runs: Vec<(i64, i64)> = Vec::new();
        for record in records {
            match read_record(record) {
                Ok((sequence, arrival)) => {
                    match runs.last_mut() {
                        Some(run) if run.1 == sequence - 1 => run.1 = sequence,
                        _ => runs.push((sequence, sequence)),
                    }
                    tenants.entry(arrival.tenant).or_default().push(arrival);
                }
                // It was read once, or it would not have been acknowledged. Kept for whoever looks into it.
                Err((sequence, why)) => {
                    tracing::error!(
                        sequence,
                        why,
                        "an acknowledged delivery cannot be read from the journal; it stays there"
                    );
                }
            }
        }
        Ok(Some(Batch { arrivals: self, brought_in, last, runs, tenants }))
    }

    /// Waits until what was acknowledged before this call is in the tables, or brings it in itself, to be processed: so
    /// that whoever was answered 200 finds the event. With thousands waiting only the oldest are.
    pub(crate) async fn settle(&self) -> Result<()> {
        let goal = self.journal.last();
        let mut progress = self.progress.subscribe();
        tokio::select! {
            biased;
            _ = progress.wait_for(|brought_in| *brought_in >= goal) => return Ok(()),
            () = kit::clock::pause(PATIENCE) => {}
        }
        let Some(batch) = self.take(MOST_FOR_A_READER).await? else { return Ok(()) };
        let mut tx = self.store.begin_system().await?;
        let rows: Vec<NewRow<'_>> = batch.tenants.values().flatten().map(Arrival::row).collect();
        crate::store::insert(&mut tx, &rows).await?;
        drop(rows);
        tx.commit().await?;
        batch.done().await
    }
}

impl Batch<'_> {
    /// Forgets the batch: it is in the tables, and that has been committed.
    pub(crate) async fn done(mut self) -> Result<()> {
        for (first, last) in &self.runs {
            self.arrivals.journal.forget(*first, *last).await?;
        }
        for arrival in self.tenants.values().flatten().filter(|it| it.sequence > self.arrivals.inherited) {
            self.arrivals.uncount(arrival.tenant);
        }
        *self.brought_in = self.last;
        self.arrivals.progress.send_replace(self.last);
        Ok(())
    }
}

fn read_record(record: JournalRecord) -> Result<(i64, Arrival), (i64, String)> {
    let JournalRecord { sequence, mut bytes } = record;
    let read = || -> Result<(Head, usize, Facts), String> {
        let end = bytes.iter().position(|byte| *byte == b'\n').ok_or("it has no head")?;
        let head = serde_json::from_slice(&bytes[..end]).map_err(|error| error.to_string())?;
        let facts = Facts::read(&bytes[end + 1..]).map_err(|error| error.to_string())?;
        Ok((head, end, facts))
    };
    let (head, end, facts) = read().map_err(|why| (sequence, why))?;
    bytes.drain(..=end);
    let arrival = Arrival {
        sequence,
        tenant: TenantId(head.tenant),
        connection_id: head.connection,
        account_id: head.account,
        received_at: Time::from_micros(head.received_at),
        facts,
        body: bytes,
    };
    Ok((sequence, arrival))
}
