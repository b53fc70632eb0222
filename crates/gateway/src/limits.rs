//! How fast one account may be called (GW-2). Pure: times are microseconds on the caller's own monotonic scale.
//!
//! Calls are spaced evenly instead of sent in bursts: however Stripe counts (a bucket, a sliding second), evenly
//! spaced calls just below the limit pass. Source: FACTS section 7.

use crate::LimitOptions;
use kit::Environment;
use std::time::Duration;
use stripe::{RateLimitReason, Request};

/// Microseconds on a monotonic scale.
pub type Micros = u64;

/// A turn that came late (timers are) may be made up for by this much, so that lateness does not add up.
const SLACK: Micros = 12_000;
/// A bucket that was told to slow down goes on at this part of its pace.
const SLOWER: f64 = 0.9;
/// The slowest pace: a limit shared with other programs leaves us little, never nothing.
const SLOWEST: f64 = 0.1;
/// How much of the full pace comes back each second.
const RECOVERY_PER_SECOND: f64 = 0.05;
/// Refusals that come together are one sign: those within this time slow down once.
const ONE_SIGN: Micros = 250_000;
/// After a refusal nothing goes for this long: Stripe's bucket has to fill again.
const BREATH: Micros = 100_000;

/// Evenly spaced turns, at a pace that yields to refusals and recovers.
#[derive(Clone, Debug)]
pub struct Pacer {
    interval: f64,
    next: Micros,
    pace: f64,
    paced_at: Micros,
    slowed_at: Option<Micros>,
}

impl Pacer {
    /// `per_second` turns, used to `used_percent`.
    pub fn new(per_second: u32, used_percent: u32) -> Pacer {
        let rate = f64::from(per_second.max(1)) * f64::from(used_percent.clamp(1, 100)) / 100.0;
        Pacer { interval: 1_000_000.0 / rate, next: 0, pace: 1.0, paced_at: 0, slowed_at: None }
    }

    /// When the next turn is.
    pub fn ready_at(&self) -> Micros {
        self.next
    }

    /// Takes the turn at `now`, which must not be before [`Pacer::ready_at`].
    pub fn take(&mut self, now: Micros) {
        let spacing = self.interval / self.pace_at(now);
        self.next = self.next.max(now.saturating_sub(SLACK)) + spacing as Micros;
    }

    /// Stripe refused a call for this bucket's sake.
    pub fn slow_down(&mut self, now: Micros) {
        self.next = self.next.max(now + BREATH);
        if self.slowed_at.is_some_and(|at| now < at + ONE_SIGN) {
            return;
        }
        self.pace = (self.pace_at(now) * SLOWER).max(SLOWEST);
        self.paced_at = now;
        self.slowed_at = Some(now);
    }

    /// Part of the full pace that is used at `now`: 1 unless refusals made it slower.
    pub fn pace_at(&self, now: Micros) -> f64 {
        let seconds = now.saturating_sub(self.paced_at) as f64 / 1_000_000.0;
        (self.pace + seconds * RECOVERY_PER_SECOND).min(1.0)
    }
}

/// The limit that a request counts under, beside its account's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EndpointLimit {
    /// Names the bucket: verb and path pattern, or one that several endpoints share.
    pub bucket: String,
    /// Calls a second.
    pub per_second: u32,
    /// Whether it counts under the account's limit too.
    pub counts_in_account: bool,
}

/// Which limit a request counts under.
pub fn endpoint_limit(
    options: &LimitOptions,
    environment: Environment,
    request: &Request,
    acts_for_account: bool,
) -> EndpointLimit {
    if request.is_search() {
        return EndpointLimit { bucket: "search".to_owned(), per_second: options.search, counts_in_account: true };
    }
    let bucket = request.endpoint_pattern();
    let is_live = environment.is_live();
    let (per_second, counts_in_account) = match bucket.as_str() {
        "POST /v1/payouts" => (options.endpoint.min(15), true),
        "POST /v1/accounts" if is_live => (options.endpoint.max(30), true),
        "POST /v1/accounts" => (options.endpoint.min(5), true),
        // Outside the account's limit in live mode, unless made for a connected account.
        "POST /v1/billing/meter_events" if is_live => (1_000, acts_for_account),
        _ => (options.endpoint, true),
    };
    EndpointLimit { bucket, per_second, counts_in_account }
}

/// All calls of an account, a second.
pub fn account_limit(options: &LimitOptions, environment: Environment) -> u32 {
    match environment {
        Environment::Live => options.account_live,
        Environment::Test => options.account_test,
    }
}

/// What a refusal asks to be slowed down.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SlowDown {
    /// The account's calls a second.
    pub account_rate: bool,
    /// The endpoint's calls a second.
    pub endpoint_rate: bool,
    /// The account's calls at once.
    pub account_at_once: bool,
    /// The endpoint's calls at once.
    pub endpoint_at_once: bool,
}

/// What a refusal with this reason asks to be slowed down.
pub fn slow_down_for(reason: Option<&RateLimitReason>) -> SlowDown {
    let none = SlowDown { account_rate: false, endpoint_rate: false, account_at_once: false, endpoint_at_once: false };
    match reason {
        Some(RateLimitReason::GlobalRate) => SlowDown { account_rate: true, ..none },
        Some(RateLimitReason::EndpointRate) => SlowDown { endpoint_rate: true, ..none },
        Some(RateLimitReason::GlobalConcurrency) => SlowDown { account_at_once: true, ..none },
        Some(RateLimitReason::EndpointConcurrency) => SlowDown { endpoint_at_once: true, ..none },
        // A limit of one object: only the call that met it waits.
        Some(RateLimitReason::ResourceSpecific) => none,
        // Not told which: both.
        Some(RateLimitReason::Other(_)) | None => SlowDown { account_rate: true, endpoint_rate: true, ..none },
    }
}

/// A time on the scale of [`Micros`].
pub fn micros(duration: Duration) -> Micros {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use stripe::request::Params;

    #[test]
    fn turns_are_even_and_lateness_does_not_add_up() {
        let mut pacer = Pacer::new(25, 100);
        let mut now = 0;
        for turn in 0..1_000_u64 {
            now = pacer.ready_at().max(now) + turn % 3 * 2_000;
            pacer.take(now);
        }
        let seconds = now as f64 / 1_000_000.0;
        assert!((39.9..40.2).contains(&seconds), "{seconds}");
    }

    #[test]
    fn no_second_holds_more_than_the_limit() {
        for limit in [5, 15, 20, 25, 100] {
            let mut pacer = Pacer::new(limit, 98);
            let mut sent = Vec::new();
            let mut now = 5_000_000;
            for turn in 0..500_u64 {
                now = pacer.ready_at().max(now) + turn * 7 % 11 * 1_000;
                pacer.take(now);
                sent.push(now);
            }
            for (at, first) in sent.iter().enumerate() {
                let within = sent[at..].iter().take_while(|time| **time < first + 1_000_000).count();
                assert!(within <= limit as usize, "{within} of {limit} in one second");
            }
        }
    }

    #[test]
    fn a_refusal_slows_down_once_and_the_pace_comes_back() {
        let mut pacer = Pacer::new(25, 98);
        pacer.slow_down(1_000_000);
        pacer.slow_down(1_100_000);
        assert_eq!(pacer.pace_at(1_100_000), 0.905);
        assert_eq!(pacer.ready_at(), 1_200_000, "a breath after the last refusal");
        for second in 2..60 {
            pacer.slow_down(second * 300_000);
        }
        assert!(pacer.pace_at(18_000_000) >= SLOWEST);
        assert_eq!(pacer.pace_at(60_000_000), 1.0);
    }

    #[test]
    fn each_call_counts_under_its_own_limit() {
        let options = LimitOptions::default();
        let check = |environment, request: Request, acts_for_account, expected: (&str, u32, bool)| {
            let limit = endpoint_limit(&options, environment, &request, acts_for_account);
            assert_eq!((limit.bucket.as_str(), limit.per_second, limit.counts_in_account), expected);
        };
        let get = |path: &str| Request::get(path, Params::none());
        let post = |path: &str| Request::post(path, Params::none());
        use Environment::{Live, Test};
        check(Live, get("/v1/charges"), false, ("GET /v1/charges", 25, true));
        check(Live, get("/v1/charges/ch_1"), false, ("GET /v1/charges/{id}", 25, true));
        check(Live, get("/v1/charges/search"), false, ("search", 20, true));
        check(Live, get("/v1/customers/search"), false, ("search", 20, true));
        check(Live, post("/v1/payouts"), false, ("POST /v1/payouts", 15, true));
        check(Live, post("/v1/accounts"), false, ("POST /v1/accounts", 30, true));
        check(Test, post("/v1/accounts"), false, ("POST /v1/accounts", 5, true));
        check(Live, post("/v1/billing/meter_events"), false, ("POST /v1/billing/meter_events", 1_000, false));
        check(Live, post("/v1/billing/meter_events"), true, ("POST /v1/billing/meter_events", 1_000, true));
        check(Test, post("/v1/billing/meter_events"), false, ("POST /v1/billing/meter_events", 25, true));
        assert_eq!((account_limit(&options, Live), account_limit(&options, Test)), (100, 25));
    }

    #[test]
    fn a_refusal_slows_down_what_it_names() {
        let check = |reason: Option<&str>, expected: [bool; 4]| {
            let reason = reason.map(|text| RateLimitReason::from(text.to_owned()));
            let slow = slow_down_for(reason.as_ref());
            let found = [slow.account_rate, slow.endpoint_rate, slow.account_at_once, slow.endpoint_at_once];
            assert_eq!(found, expected, "{reason:?}");
        };
        check(Some("global-rate"), [true, false, false, false]);
        check(Some("endpoint-rate"), [false, true, false, false]);
        check(Some("global-concurrency"), [false, false, true, false]);
        check(Some("endpoint-concurrency"), [false, false, false, true]);
        check(Some("resource-specific"), [false; 4]);
        check(Some("something-new"), [true, true, false, false]);
        check(None, [true, true, false, false]);
    }
}
