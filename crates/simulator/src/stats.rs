//! What has been asked of the simulator so far.

use crate::{cli_session::CliStats, routes};
use serde::Serialize;
use std::{
    collections::BTreeMap,
    sync::atomic::{AtomicU64, Ordering},
};

/// Webhook deliveries so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct WebhookStats {
    /// Deliveries (event and endpoint) that were to be made.
    pub deliveries: u64,
    /// Requests that were sent.
    pub attempts: u64,
    /// Deliveries that an endpoint has taken.
    pub delivered: u64,
    /// Requests that failed.
    pub failures: u64,
    /// Deliveries given up: after the last try, by a fault, or because too many waited.
    pub given_up: u64,
    /// Deliveries that wait or are under way.
    pub waiting: u64,
}

/// What became of one try to deliver an event.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct DeliveryTold {
    /// The simulated second.
    pub at: i64,
    /// The event's id.
    pub event: String,
    /// The event's type; empty where it was not looked at.
    #[serde(rename = "type")]
    pub kind: String,
    /// Which try it was, from 1.
    pub attempt: u32,
    /// The status that was answered, or why there is none.
    pub outcome: String,
}

/// What has been asked of the simulator so far.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Stats {
    /// Calls executed or refused after authentication, by name such as `GET /v1/charges/{id}`.
    pub calls: BTreeMap<String, u64>,
    /// Calls answered 429 by the limits, by name.
    pub limited: BTreeMap<String, u64>,
    /// All requests to `/v1`, also those that were not understood.
    pub requests: u64,
    /// Answers by status.
    pub statuses: BTreeMap<u16, u64>,
    /// Webhook deliveries.
    pub webhooks: WebhookStats,
    /// Listening CLIs.
    pub cli: CliStats,
    /// Objects of all accounts and modes, by type.
    pub objects: BTreeMap<String, usize>,
    /// Scripted faults that are still to happen.
    pub faults_waiting: usize,
}

/// Counts without locks.
pub(crate) struct Counters {
    calls: Vec<AtomicU64>,
    limited: Vec<AtomicU64>,
    requests: AtomicU64,
    statuses: Vec<AtomicU64>,
}

impl Counters {
    pub(crate) fn new(routes: usize) -> Counters {
        let zeros = |count: usize| (0..count).map(|_| AtomicU64::new(0)).collect();
        Counters { calls: zeros(routes), limited: zeros(routes), requests: AtomicU64::new(0), statuses: zeros(600) }
    }

    pub(crate) fn call(&self, route: usize) {
        self.calls[route].fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn limit(&self, route: usize) {
        self.limited[route].fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn answer(&self, status: u16) {
        self.requests.fetch_add(1, Ordering::Relaxed);
        if let Some(count) = self.statuses.get(usize::from(status)) {
            count.fetch_add(1, Ordering::Relaxed);
        }
    }

    pub(crate) fn read(&self) -> Stats {
        let named = |counts: &[AtomicU64]| {
            let counts = routes::all()
                .iter()
                .zip(counts)
                .map(|(route, count)| (route.name.clone(), count.load(Ordering::Relaxed)));
            counts.filter(|(_, count)| *count > 0).collect()
        };
        let statuses = self.statuses.iter().zip(0_u16..).map(|(count, status)| (status, count.load(Ordering::Relaxed)));
        Stats {
            calls: named(&self.calls),
            limited: named(&self.limited),
            requests: self.requests.load(Ordering::Relaxed),
            statuses: statuses.filter(|(_, count)| *count > 0).collect(),
            ..Stats::default()
        }
    }
}
