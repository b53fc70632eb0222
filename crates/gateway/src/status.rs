//! How calls of an account go right now, for pages.

use crate::{Gateway, account::time_of, breaker::BreakerState};
use kit::Time;
use serde::{Serialize, Serializer};
use vault::ConnectionId;

/// How calls of a connection's account go right now, seen from this node.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct AccountStatus {
    /// Whether calls go.
    pub breaker: BreakerView,
    /// Calls that wait for their turn.
    pub waiting: usize,
    /// Calls under way.
    pub under_way: usize,
    /// Calls made in the last minute, each try counted.
    pub calls_last_minute: u32,
    /// Those that Stripe refused as too many.
    pub throttled_last_minute: u32,
    /// When Stripe last refused a call as one too many, since this node started.
    #[serde(serialize_with = "some_time_text")]
    pub last_throttled_at: Option<Time>,
    /// Part of the allowed pace that is used, in percent: below 100 after such refusals.
    pub pace_percent: u32,
}

/// Whether calls go.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "state", rename_all = "snake_case")]
pub enum BreakerView {
    /// They do.
    Closed,
    /// Too many failed: none go before `until`.
    Open {
        /// Since when.
        #[serde(serialize_with = "time_text")]
        since: Time,
        /// When the next probe may go.
        #[serde(serialize_with = "time_text")]
        until: Time,
    },
    /// One call finds out whether Stripe is back.
    HalfOpen {
        /// Since when calls do not go.
        #[serde(serialize_with = "time_text")]
        since: Time,
    },
}

/// A time as RFC 3339.
pub(crate) fn time_text<S: Serializer>(at: &Time, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(at)
}

/// A time as RFC 3339, or `null`.
pub(crate) fn some_time_text<S: Serializer>(at: &Option<Time>, serializer: S) -> Result<S::Ok, S::Error> {
    at.map(|at| at.to_string()).serialize(serializer)
}

impl Gateway {
    /// How calls of a connection's account go right now, seen from this node; none if it was not called yet.
    pub fn status(&self, connection: &ConnectionId) -> Option<AccountStatus> {
        let figures = self.account_of(connection)?.figures();
        let breaker = match figures.breaker {
            BreakerState::Closed => BreakerView::Closed,
            BreakerState::HalfOpen { since } => BreakerView::HalfOpen { since: time_of(since) },
            BreakerState::Open { since, until } => BreakerView::Open { since: time_of(since), until: time_of(until) },
        };
        Some(AccountStatus {
            breaker,
            waiting: figures.waiting,
            under_way: figures.under_way,
            calls_last_minute: figures.calls,
            throttled_last_minute: figures.throttled,
            last_throttled_at: figures.throttled_ago.map(|ago| self.inner.base.now() - ago),
            pace_percent: (figures.pace * 100.0).round() as u32,
        })
    }
}
