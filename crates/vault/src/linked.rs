//! The hot path: connections with their secrets opened, kept in memory for a few seconds.
//!
//! Every webhook asks here. A hit costs no database. Misses that come while one look is under way wait and share the
//! next, so that any number of made-up ids costs one small query at a time. Every change tells [`crate::WAKE`], which
//! empties the memory at once; a wake that is lost leaves it stale for [`FOUND_FOR`].

use crate::{Connection, ConnectionId, Purpose, Result, Vault, VaultError, WAKE, seal, store, store::SecretRow};
use ::store::Wake;
use futures::FutureExt;
use kit::{Environment, Secret, Stopwatch};
use platform::Base;
use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};
use tokio::sync::{Mutex as Turn, oneshot};

/// How long what was found is believed without looking again.
pub const FOUND_FOR: Duration = Duration::from_secs(5);
/// How long nothing, or an error, is believed.
pub const MISSED_FOR: Duration = Duration::from_secs(1);
/// Most names kept in memory; beyond it the memory starts anew.
const MOST_KEPT: usize = 20_000;
/// Most callers that wait for one look.
const MOST_WAITING: usize = 4_096;

/// A connection with its secrets opened. Its `Debug` shows none.
#[derive(Debug)]
pub struct Linked {
    /// What is known of it.
    pub connection: Connection,
    /// Which of the account's environments.
    pub environment: Environment,
    /// Calls the provider.
    pub api_key: Secret,
    /// Check the provider's webhooks, newest first.
    pub webhook_secrets: Vec<Secret>,
}

/// What a name stands for: no connection, one, or several organizations' connections of one account.
type Found = Result<Arc<[Arc<Linked>]>>;

/// What is looked up by.
#[derive(Clone, PartialEq, Eq, Hash)]
enum Name {
    Connection(String),
    Account(String),
}

pub(crate) struct Lookup {
    memory: Mutex<Memory>,
    waiting: Mutex<Vec<Waiting>>,
    /// Whoever holds it looks for all who wait.
    turn: Turn<()>,
}

struct Waiting {
    name: Name,
    answer: oneshot::Sender<Found>,
}

struct Memory {
    wake: Wake,
    /// Counts the changes seen: what was read before one is not kept after it.
    changes: u64,
    by_connection: HashMap<String, Kept>,
    by_account: HashMap<String, Kept>,
}

struct Kept {
    since: Stopwatch,
    found: Found,
}

impl Kept {
    fn is_fresh(&self) -> bool {
        let believed_for = match &self.found {
            Ok(found) if !found.is_empty() => FOUND_FOR,
            _ => MISSED_FOR,
        };
        self.since.elapsed() < believed_for
    }
}

impl Memory {
    /// Forgets everything if something changed since the last look.
    fn notice_changes(&mut self) {
        // Unconstrained: a task that has used up its turn would otherwise be told that nothing changed.
        while tokio::task::unconstrained(self.wake.woken()).now_or_never().is_some() {
            self.changes += 1;
            self.by_connection.clear();
            self.by_account.clear();
        }
    }

    fn keep(&mut self, name: Name, found: Found) {
        let kept = Kept { since: Stopwatch::start(), found };
        if self.by_connection.len() + self.by_account.len() >= MOST_KEPT {
            self.by_connection.clear();
            self.by_account.clear();
        }
        match name {
            Name::Connection(id) => self.by_connection.insert(id, kept),
            Name::Account(id) => self.by_account.insert(id, kept),
        };
    }
}

impl Lookup {
    pub(crate) fn new(base: &Base) -> Lookup {
        let memory = Memory {
            wake: base.store.wakes().subscribe(WAKE),
            changes: 0,
            by_connection: HashMap::new(),
            by_account: HashMap::new(),
        };
        Lookup { memory: Mutex::new(memory), waiting: Mutex::default(), turn: Turn::default() }
    }

    fn remembered(&self, look: impl FnOnce(&Memory) -> Option<&Kept>) -> Option<Found> {
        let mut memory = self.memory.lock().unwrap_or_else(PoisonError::into_inner);
        memory.notice_changes();
        look(&memory).filter(|kept| kept.is_fresh()).map(|kept| kept.found.clone())
    }
}

impl Vault {
    /// A connection that did not end, with its secrets. No database on a hit.
    ///
    /// # Errors
    /// `secret_key_unknown`, `secret_corrupt`, `secret_missing`, `vault_busy`, and the database's.
    pub async fn linked(&self, id: &ConnectionId) -> Result<Option<Arc<Linked>>> {
        let remembered = self.inner.lookup.remembered(|memory| memory.by_connection.get(id.as_str()));
        let found = match remembered {
            Some(found) => found?,
            None => self.look(Name::Connection(id.as_str().to_owned())).await?,
        };
        Ok(found.first().cloned())
    }

    /// Every organization's connection of one account in one environment. No database on a hit.
    ///
    /// # Errors
    /// As [`Vault::linked`].
    pub async fn linked_by_account(&self, account_id: &str, environment: Environment) -> Result<Vec<Arc<Linked>>> {
        let remembered = self.inner.lookup.remembered(|memory| memory.by_account.get(account_id));
        let found = match remembered {
            Some(found) => found?,
            None => self.look(Name::Account(account_id.to_owned())).await?,
        };
        Ok(found.iter().filter(|linked| linked.environment == environment).cloned().collect())
    }

    /// Waits for the answer of whoever looks, or looks for all who wait.
    async fn look(&self, name: Name) -> Found {
        let lookup = &self.inner.lookup;
        loop {
            let (answer, mut answered) = oneshot::channel();
            {
                let mut waiting = lookup.waiting.lock().unwrap_or_else(PoisonError::into_inner);
                if waiting.len() >= MOST_WAITING {
                    return Err(VaultError::Busy);
                }
                waiting.push(Waiting { name: name.clone(), answer });
            }
            let answer = tokio::select! {
                biased;
                answer = &mut answered => answer,
                _turn = lookup.turn.lock() => {
                    self.look_for_all().await;
                    answered.await
                }
            };
            // No answer: whoever looked went away in the middle, as a caller that hangs up does. Look again.
            if let Ok(found) = answer {
                return found;
            }
        }
    }

    async fn look_for_all(&self) {
        let lookup = &self.inner.lookup;
        let waiting = std::mem::take(&mut *lookup.waiting.lock().unwrap_or_else(PoisonError::into_inner));
        if waiting.is_empty() {
            return;
        }
        let changes = {
            let mut memory = lookup.memory.lock().unwrap_or_else(PoisonError::into_inner);
            memory.notice_changes();
            memory.changes
        };
        let read = self.read(&waiting).await;
        let mut memory = lookup.memory.lock().unwrap_or_else(PoisonError::into_inner);
        memory.notice_changes();
        for Waiting { name, answer } in waiting {
            let found = match &read {
                Ok(all) => pick(&name, all),
                Err(error) => Err(error.clone()),
            };
            // What a change may have overtaken is answered, since it was true when asked, but not kept.
            if read.is_ok() && memory.changes == changes {
                memory.keep(name, found.clone());
            }
            // Whoever asked may have gone away.
            let _ = answer.send(found);
        }
    }

    /// Reads all that is asked for: two queries, whatever the number of names.
    async fn read(&self, waiting: &[Waiting]) -> Result<Vec<(Connection, Result<Arc<Linked>>)>> {
        let (mut ids, mut account_ids) = (Vec::new(), Vec::new());
        for Waiting { name, .. } in waiting {
            match name {
                Name::Connection(id) => ids.push(id.as_str()),
                Name::Account(id) => account_ids.push(id.as_str()),
            }
        }
        let mut tx = self.inner.base.store.read_system().await?;
        let connections = store::connections_named(&mut tx, &ids, &account_ids).await?;
        if connections.is_empty() {
            return Ok(Vec::new());
        }
        let owners: Vec<&str> = connections.iter().map(|connection| connection.id.as_str()).collect();
        let secrets = store::secrets_of_owners(&mut tx, &owners, self.inner.base.now()).await?;
        drop(tx);
        let mut by_owner: HashMap<(i64, &str), Vec<&SecretRow>> = HashMap::new();
        for row in &secrets {
            by_owner.entry((row.tenant_id, row.owner_id.as_str())).or_default().push(row);
        }
        let linked = connections.into_iter().map(|connection| {
            let rows = by_owner.get(&(connection.tenant.0, connection.id.as_str())).map_or(&[][..], Vec::as_slice);
            let linked = self.link(&connection, rows).map(Arc::new);
            (connection, linked)
        });
        Ok(linked.collect())
    }

    fn link(&self, connection: &Connection, rows: &[&SecretRow]) -> Result<Linked> {
        let keyring = self.keyring();
        let opened = |purpose: Purpose| {
            rows.iter()
                .filter(move |row| row.purpose == purpose.as_str())
                .map(|row| seal::open(&keyring, row.binding(&row.secret_id()), &row.key_id, &row.sealed))
        };
        let missing = || VaultError::Missing { owner: connection.id.to_string(), purpose: Purpose::ApiKey };
        let linked = Linked {
            environment: connection.environment,
            api_key: opened(Purpose::ApiKey).next().ok_or_else(missing)??,
            webhook_secrets: opened(Purpose::WebhookSecret).collect::<Result<_>>()?,
            connection: connection.clone(),
        };
        Ok(linked)
    }
}

/// What one name stands for among all that was read. One connection that does not open hides no other name's.
fn pick(name: &Name, all: &[(Connection, Result<Arc<Linked>>)]) -> Found {
    let meant = |connection: &Connection| match name {
        Name::Connection(id) => connection.id.as_str() == id,
        Name::Account(id) => connection.account_id == *id,
    };
    all.iter().filter(|(connection, _)| meant(connection)).map(|(_, linked)| linked.clone()).collect()
}
