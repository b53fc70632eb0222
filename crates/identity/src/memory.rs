//! What was found out about tokens and sessions a moment ago, so that most requests ask no database.

use crate::{identity::Organization, store::Session};
use futures::FutureExt;
use kit::Stopwatch;
use platform::Base;
use std::{collections::HashMap, sync::Arc, time::Duration};
use store::Wake;

/// Topic of wakes: a token was replaced, a session ended or switched.
pub const WAKE: &str = "identity";
/// How long what was found is believed: a lost wake leaves an ended session alive for so long.
const BELIEVED_FOR: Duration = Duration::from_secs(5);
/// Most tokens and sessions kept; beyond it the memory starts anew.
const MOST_KEPT: usize = 10_000;

/// What a hash stands for.
#[derive(Clone)]
pub(crate) enum Holder {
    Token(Arc<Organization>),
    Session(Arc<Session>),
}

pub(crate) struct Memory {
    wake: Wake,
    /// Counts the changes seen: what was found before one is not believed after it.
    changes: u64,
    kept: HashMap<String, Kept>,
}

struct Kept {
    holder: Holder,
    since: Stopwatch,
    changes: u64,
}

impl Memory {
    pub(crate) fn new(base: &Base) -> Memory {
        Memory { wake: base.store.wakes().subscribe(WAKE), changes: 0, kept: HashMap::new() }
    }

    /// How many changes were seen so far; asked before the database is.
    pub(crate) fn changes(&mut self) -> u64 {
        // Unconstrained: a task that has used up its turn would otherwise be told that nothing changed.
        while tokio::task::unconstrained(self.wake.woken()).now_or_never().is_some() {
            self.changes += 1;
        }
        self.changes
    }

    /// What a hash stood for when it was last found, and whether that is still to be believed.
    pub(crate) fn recall(&mut self, hash: &str) -> (Option<Holder>, bool) {
        let changes = self.changes();
        match self.kept.get(hash) {
            Some(kept) => (Some(kept.holder.clone()), kept.changes == changes && kept.since.elapsed() < BELIEVED_FOR),
            None => (None, false),
        }
    }

    /// Keeps what was found when `changes` changes had been seen.
    pub(crate) fn keep(&mut self, hash: String, holder: Holder, changes: u64) {
        if self.kept.len() >= MOST_KEPT {
            self.kept.clear();
        }
        self.kept.insert(hash, Kept { holder, since: Stopwatch::start(), changes });
    }

    pub(crate) fn forget(&mut self, hash: &str) {
        self.kept.remove(hash);
    }
}
