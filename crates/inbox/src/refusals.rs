//! Counting what is refused at the door, and logging it without letting a flood fill the log.

use kit::Time;
use serde::Serialize;
use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
    time::Duration,
};
use vault::ConnectionId;

/// At most one line in the log for each kind of refusal in this time; the line carries the count.
const LOGGED_EVERY: Duration = Duration::from_secs(10);
/// Kinds of refusals kept: connections times codes. Unknown connections share one.
const MAX_KINDS: usize = 4_096;

/// Refused deliveries since the process started. Kept in memory: they are no events, and a flood of them must not write.
#[derive(Debug, Default)]
pub struct Refusals {
    counts: Mutex<HashMap<(Option<ConnectionId>, &'static str), Counted>>,
}

#[derive(Clone, Copy, Debug)]
struct Counted {
    count: u64,
    last_at: Time,
    logged_at: Time,
    logged_count: u64,
}

/// How often one kind of refusal happened.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct RefusalCount {
    /// Its stable code.
    pub code: &'static str,
    /// How often since the process started.
    pub count: u64,
    /// When last.
    pub last_at: Time,
}

impl Refusals {
    /// Counts one, and logs its type and time (INB-2): nothing of what was sent.
    pub fn note(&self, connection: Option<&ConnectionId>, code: &'static str, now: Time) {
        metrics::counter!("bursar_inbox_refused_total", "code" => code).increment(1);
        let mut counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        let key = (connection.cloned(), code);
        if counts.len() >= MAX_KINDS && !counts.contains_key(&key) {
            return;
        }
        let first = Counted { count: 0, last_at: now, logged_at: now - LOGGED_EVERY, logged_count: 0 };
        let counted = counts.entry(key).or_insert(first);
        counted.count += 1;
        counted.last_at = now;
        if now.since(counted.logged_at) >= LOGGED_EVERY {
            let since_last_line = counted.count - counted.logged_count;
            (counted.logged_at, counted.logged_count) = (now, counted.count);
            let connection = connection.map_or("-", ConnectionId::as_str);
            tracing::warn!(
                connection.id = connection,
                code,
                count = since_last_line,
                "webhook deliveries were refused"
            );
        }
    }

    /// The counts of one connection, or of deliveries that name none that is known; the most frequent first.
    pub fn of(&self, connection: Option<&ConnectionId>) -> Vec<RefusalCount> {
        let counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        let mut found: Vec<RefusalCount> = counts
            .iter()
            .filter(|((of, _), _)| of.as_ref() == connection)
            .map(|((_, code), counted)| RefusalCount { code, count: counted.count, last_at: counted.last_at })
            .collect();
        found.sort_by(|a, b| b.count.cmp(&a.count).then(a.code.cmp(b.code)));
        found
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refusals_are_counted_by_connection_and_code() {
        let refusals = Refusals::default();
        let connection = ConnectionId::from_text("con_1");
        let at = |seconds: i64| Time::from_seconds(1_000 + seconds);
        refusals.note(Some(&connection), "signature_mismatch", at(0));
        refusals.note(Some(&connection), "signature_too_old", at(1));
        refusals.note(Some(&connection), "signature_mismatch", at(2));
        refusals.note(None, "connection_unknown", at(3));
        let found = refusals.of(Some(&connection));
        assert_eq!(found[0], RefusalCount { code: "signature_mismatch", count: 2, last_at: at(2) });
        assert_eq!(found[1], RefusalCount { code: "signature_too_old", count: 1, last_at: at(1) });
        assert_eq!(refusals.of(None).len(), 1);
        assert!(refusals.of(Some(&ConnectionId::from_text("con_2"))).is_empty());
    }
}
