//! How the gateway is told to behave; the defaults are Stripe's own limits and GW-1 to GW-4.

use std::time::Duration;

/// Everything that can be told to a gateway.
#[derive(Clone, Debug)]
pub struct GatewayOptions {
    /// Where Stripe's API is; the simulator's address in a trial.
    pub api_base: String,
    /// How Stripe reaches us, for webhook endpoints that are made by us; none on a private machine.
    pub public_url: Option<String>,
    /// Client-side limits. `None` switches them off: for benchmarks against the simulator, never against Stripe.
    pub limits: Option<LimitOptions>,
    /// Time limits.
    pub patience: Patience,
    /// Waits between tries.
    pub retries: RetryOptions,
    /// When calls of an account stop for a while.
    pub breaker: BreakerOptions,
}

impl GatewayOptions {
    /// Stripe's limits, at an address.
    pub fn at(api_base: impl Into<String>) -> GatewayOptions {
        GatewayOptions {
            api_base: api_base.into(),
            public_url: None,
            limits: Some(LimitOptions::default()),
            patience: Patience::default(),
            retries: RetryOptions::default(),
            breaker: BreakerOptions::default(),
        }
    }
}

/// Calls a second, and calls at once, that one account may make. Source: FACTS section 7.
#[derive(Clone, Debug)]
pub struct LimitOptions {
    /// All calls of an account in live mode, a second.
    pub account_live: u32,
    /// All calls of an account in test mode or a sandbox, a second.
    pub account_test: u32,
    /// Calls of one verb and path pattern, a second.
    pub endpoint: u32,
    /// Search calls, a second.
    pub search: u32,
    /// Share of each limit that is used, in percent: what is left absorbs the network's jitter, so that evenly spaced
    /// calls do not meet at Stripe and be refused.
    pub used_percent: u32,
    /// Calls of an account at once.
    pub at_once: u32,
    /// Calls of one verb and path pattern at once.
    pub endpoint_at_once: u32,
    /// Calls that may wait for their turn; more are refused with `gateway_busy`.
    pub most_waiting: usize,
}

impl Default for LimitOptions {
    fn default() -> LimitOptions {
        LimitOptions {
            account_live: 100,
            account_test: 25,
            endpoint: 25,
            search: 20,
            used_percent: 98,
            at_once: 100,
            endpoint_at_once: 30,
            most_waiting: 10_000,
        }
    }
}

/// Time limits.
#[derive(Clone, Copy, Debug)]
pub struct Patience {
    /// One try, from connecting to the last byte (GW-1).
    pub one_try: Duration,
    /// Somebody is waiting: no further try begins after this long, and no turn is waited for longer.
    pub interactive: Duration,
    /// Background work waits this long inside a call while the account's breaker is open; if it stays open longer the
    /// call answers [`GatewayError::Paused`](crate::GatewayError::Paused) and the job is put off.
    pub background: Duration,
}

impl Default for Patience {
    fn default() -> Patience {
        Patience {
            one_try: Duration::from_secs(30),
            interactive: Duration::from_secs(20),
            background: Duration::from_secs(10),
        }
    }
}

/// Waits between tries of one call. How often is tried is told by the error (GW-3, `stripe::RetryAdvice`).
#[derive(Clone, Copy, Debug)]
pub struct RetryOptions {
    /// First wait of those that double, and each step of those that grow evenly.
    pub first: Duration,
    /// Longest wait.
    pub most: Duration,
}

impl Default for RetryOptions {
    fn default() -> RetryOptions {
        RetryOptions { first: Duration::from_millis(500), most: Duration::from_secs(16) }
    }
}

/// When an account's breaker opens, and for how long.
#[derive(Clone, Copy, Debug)]
pub struct BreakerOptions {
    /// Failures within `window` that it takes.
    pub failures: usize,
    /// Failures in a row that it takes, however far apart: calls that hang until their time is up fail too slowly to
    /// fill a window.
    pub failures_in_a_row: usize,
    /// Share of calls within `window` that must have failed, in percent; more than this opens it.
    pub failed_percent: usize,
    /// How far back is looked.
    pub window: Duration,
    /// How long it stays open the first time; doubles with each failed probe.
    pub open_first: Duration,
    /// Longest time it stays open: what a long outage costs in calls against what is lost after its end. A person who tests
    /// the connection need not wait for it: that goes by a breaker of its own, and closes this one.
    pub open_most: Duration,
}

impl Default for BreakerOptions {
    fn default() -> BreakerOptions {
        BreakerOptions {
            failures: 10,
            failures_in_a_row: 5,
            failed_percent: 50,
            window: Duration::from_secs(30),
            open_first: Duration::from_secs(5),
            open_most: Duration::from_secs(600),
        }
    }
}
