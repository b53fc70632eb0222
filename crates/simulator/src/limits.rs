//! Rate limits as token buckets with a burst of one second's worth (FACTS section 7). They run on the machine's
//! monotonic clock: a limit is about real load, also while simulated time stands still or leaps.

use crate::problem::Refusal;
use kit::Stopwatch;
use std::{collections::HashMap, time::Duration};

/// What limits the simulator applies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Limits {
    /// None.
    Off,
    /// Those of an account and of each of its endpoints.
    Stripe {
        /// Calls a second of an account in live mode.
        live_per_second: u32,
        /// Calls a second of an account in test mode.
        sandbox_per_second: u32,
        /// Calls a second of one endpoint (verb and path pattern).
        endpoint_per_second: u32,
    },
}

impl Limits {
    /// The published limits: 100/s live, 25/s sandbox, 25/s an endpoint.
    pub const PUBLISHED: Limits =
        Limits::Stripe { live_per_second: 100, sandbox_per_second: 25, endpoint_per_second: 25 };
    /// The account limit of live mode for both modes: what a full sync is measured against.
    pub const PUBLISHED_LIVE: Limits =
        Limits::Stripe { live_per_second: 100, sandbox_per_second: 100, endpoint_per_second: 25 };
}

/// What all searches of an account may ask in a second together, in test mode and in live mode.
const SEARCHES_PER_SECOND: u32 = 20;
const TOKEN: u64 = 1_000_000;

/// A bucket that holds millionths of a call.
#[derive(Clone, Copy, Debug)]
struct Bucket {
    per_second: u32,
    level: u64,
    at: Duration,
}

impl Bucket {
    fn full(per_second: u32, at: Duration) -> Bucket {
        Bucket { per_second, level: u64::from(per_second) * TOKEN, at }
    }

    /// Fills the bucket for the time that passed and says whether a call is in it.
    fn ready(&mut self, at: Duration) -> bool {
        let passed = at.saturating_sub(self.at).as_micros();
        let added = u64::try_from(passed.min(1_000_000)).unwrap_or(TOKEN) * u64::from(self.per_second);
        self.level = (self.level + added).min(u64::from(self.per_second) * TOKEN);
        self.at = at;
        self.level >= TOKEN
    }
}

/// The buckets of one account in one mode.
#[derive(Debug)]
pub(crate) struct Limiter {
    started: Stopwatch,
    account: Option<Bucket>,
    endpoint_per_second: u32,
    endpoints: HashMap<usize, Bucket>,
    searches: Bucket,
}

impl Limiter {
    pub(crate) fn new(limits: Limits, livemode: bool) -> Limiter {
        let started = Stopwatch::start();
        let (account, endpoint_per_second) = match limits {
            Limits::Off => (None, 0),
            Limits::Stripe { live_per_second, sandbox_per_second, endpoint_per_second } => {
                let per_second = if livemode { live_per_second } else { sandbox_per_second };
                (Some(Bucket::full(per_second, Duration::ZERO)), endpoint_per_second)
            }
        };
        Limiter {
            started,
            account,
            endpoint_per_second,
            endpoints: HashMap::new(),
            searches: Bucket::full(SEARCHES_PER_SECOND, Duration::ZERO),
        }
    }

    /// Takes a call from its buckets, or refuses it and takes nothing. Searches share one besides their own.
    pub(crate) fn take(&mut self, endpoint: usize, searches: bool) -> Result<(), Refusal> {
        let at = self.started.elapsed();
        self.take_at(endpoint, searches, at)
    }

    fn take_at(&mut self, endpoint: usize, searches: bool, at: Duration) -> Result<(), Refusal> {
        let Some(account) = &mut self.account else { return Ok(()) };
        let own = self.endpoints.entry(endpoint).or_insert_with(|| Bucket::full(self.endpoint_per_second, at));
        if !account.ready(at) {
            return Err(Refusal::limited("global-rate"));
        }
        if !own.ready(at) {
            return Err(Refusal::limited("endpoint-rate"));
        }
        if searches {
            if !self.searches.ready(at) {
                return Err(Refusal::limited("endpoint-rate"));
            }
            self.searches.level -= TOKEN;
        }
        account.level -= TOKEN;
        own.level -= TOKEN;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_limits_hold_and_name_themselves() {
        let limits = Limits::Stripe { live_per_second: 4, sandbox_per_second: 3, endpoint_per_second: 2 };
        let mut limiter = Limiter::new(limits, false);
        let mut check = |endpoint: usize, at_ms: u64, expected: Option<&str>| {
            let answer = limiter.take_at(endpoint, false, Duration::from_millis(at_ms));
            assert_eq!(
                answer.err().and_then(|refusal| refusal.limited_by),
                expected,
                "endpoint {endpoint} at {at_ms} ms"
            );
        };
        check(1, 0, None);
        check(1, 0, None);
        check(1, 0, Some("endpoint-rate"));
        check(2, 0, None);
        check(2, 0, Some("global-rate"));
        check(2, 334, None);
        check(1, 500, Some("global-rate"));
        check(1, 1_000, None);
        check(1, 60_000, None);
        check(1, 60_000, None);
        check(1, 60_000, Some("endpoint-rate"));
    }

    #[test]
    fn searches_share_a_bucket_whatever_they_search() {
        let limits = Limits::Stripe { live_per_second: 100, sandbox_per_second: 100, endpoint_per_second: 25 };
        let mut limiter = Limiter::new(limits, false);
        let at = Duration::ZERO;
        let refused = |answer: Result<(), Refusal>| answer.err().and_then(|refusal| refusal.limited_by);
        for number in 0..20 {
            assert_eq!(refused(limiter.take_at(number % 7, true, at)), None, "search {number}");
        }
        assert_eq!(refused(limiter.take_at(3, true, at)), Some("endpoint-rate"));
        assert_eq!(refused(limiter.take_at(9, false, at)), None, "a list is not a search");
        assert_eq!(refused(limiter.take_at(3, true, Duration::from_millis(51))), None, "twenty a second");
    }
}
