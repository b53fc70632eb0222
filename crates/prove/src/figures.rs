//! What runs came to, in numbers.

use crate::{step::Action, world::World};
use serde::Serialize;
use std::collections::BTreeMap;

/// Numbers of one run or of several together.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Figures {
    /// Steps played.
    pub steps: u64,
    /// Events that the simulator told webhook endpoints of.
    pub deliveries: u64,
    /// Requests that carried them.
    pub delivery_attempts: u64,
    /// Calls that the simulator answered.
    pub calls: u64,
    /// Calls that were answered by a failure, by status.
    pub failed_calls: BTreeMap<u16, u64>,
    /// What went wrong, by kind.
    pub faults: BTreeMap<String, u64>,
    /// Nodes that were killed.
    pub kills: u64,
    /// Times everything was brought to rest and compared.
    pub checkpoints: u64,
    /// Objects, days, events, intents and secrets held against the model.
    pub comparisons: u64,
    /// What differed.
    pub differences: u64,
    /// How long it took.
    pub seconds: f64,
    /// Of that, bringing everything to rest.
    pub settling_seconds: f64,
    /// Of that, comparing.
    pub comparing_seconds: f64,
}

impl Figures {
    /// Steps a second, all work included.
    pub fn steps_per_second(&self) -> f64 {
        if self.seconds > 0.0 { self.steps as f64 / self.seconds } else { 0.0 }
    }

    /// Counts what a step brings.
    pub(crate) fn count(&mut self, action: &Action) {
        let mut fault = |name: &str, times: u64| *self.faults.entry(name.to_owned()).or_default() += times;
        match action {
            Action::Endpoint { enabled: false, .. } => fault("endpoint_disabled", 1),
            Action::Revoke { .. } => fault("key_revoked", 1),
            Action::Jump { rough: true, .. } => fault("leases_lost", 1),
            Action::Jump { seconds, .. } if *seconds > 24 * 3_600 => fault("idempotency_keys_forgotten", 1),
            Action::Kill { .. } => {
                fault("node_killed", 1);
                self.kills += 1;
            }
            _ => {}
        }
    }

    /// Adds what the simulator counted in a world.
    pub(crate) fn take_counts(&mut self, world: &World) {
        for (name, times) in world.simulator.faults().report().fired {
            *self.faults.entry(name).or_default() += times;
        }
        let stats = world.simulator.stats();
        self.deliveries += stats.webhooks.deliveries;
        self.delivery_attempts += stats.webhooks.attempts;
        self.calls += stats.requests;
        for (status, count) in stats.statuses {
            if status >= 400 {
                *self.failed_calls.entry(status).or_default() += count;
            }
        }
    }
}
