//! Sending events to webhook endpoints: signed, several at once, tried again with growing pauses (FACTS section 9).

mod passing;
mod sending;

pub(crate) use sending::signature;

use crate::{
    simulator::{Side, Simulator, lock},
    stats::{DeliveryTold, WebhookStats},
    work::Delivery,
};
use passing::Passing;
pub(crate) use sending::set_status;
use std::{
    collections::{BTreeMap, VecDeque},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};
use tokio::sync::{Notify, Semaphore};
use tokio_util::sync::CancellationToken;

/// When a failed delivery is tried again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RetryPlan {
    /// Pause after the first failure.
    pub first: Duration,
    /// How many times longer each pause is than the one before.
    pub factor: u32,
    /// The longest pause.
    pub longest: Duration,
    /// How often a delivery is sent in all.
    pub tries: u32,
    /// How long an endpoint may take to answer.
    pub timeout: Duration,
}

impl Default for RetryPlan {
    /// Sandbox: three more tries, spread out.
    fn default() -> RetryPlan {
        RetryPlan {
            first: Duration::from_secs(60),
            factor: 10,
            longest: Duration::from_secs(6_000),
            tries: 4,
            timeout: Duration::from_secs(10),
        }
    }
}

impl RetryPlan {
    /// Short pauses, for tests.
    pub fn quick() -> RetryPlan {
        RetryPlan {
            first: Duration::from_millis(20),
            factor: 2,
            longest: Duration::from_millis(200),
            tries: 6,
            timeout: Duration::from_secs(5),
        }
    }

    fn pause_after(&self, failures: u32) -> Duration {
        let factor = self.factor.saturating_pow(failures.saturating_sub(1));
        self.first.saturating_mul(factor).min(self.longest)
    }
}

/// At most this many deliveries wait; more are given up and counted.
const WAITING_MAX: usize = 500_000;
/// At most this many requests are under way.
const CONCURRENT_MAX: usize = 64;
/// Of what was sent, this much is told one by one.
const TOLD_MAX: usize = 100;
/// With nothing to wait for, the sender looks again this often.
const IDLE: Duration = Duration::from_secs(3_600);

#[derive(Clone)]
struct Job {
    side: Arc<Side>,
    event: Arc<str>,
    endpoint: Arc<str>,
    failures: u32,
    /// Whether it was decided already what goes wrong with it.
    judged: bool,
}

#[derive(Default)]
struct Waiting {
    ready: VecDeque<Job>,
    /// By the time since the start at which they are due, as [`Passing`] counts it.
    later: BTreeMap<(Duration, u64), Job>,
    number: u64,
}

/// The deliveries of a simulator.
pub(crate) struct Deliveries {
    passing: Mutex<Passing>,
    waiting: Mutex<Waiting>,
    /// The last ones that were sent, newest first.
    told: Mutex<VecDeque<DeliveryTold>>,
    wake: Notify,
    running: AtomicBool,
    under_way: AtomicU64,
    deliveries: AtomicU64,
    attempts: AtomicU64,
    delivered: AtomicU64,
    failures: AtomicU64,
    given_up: AtomicU64,
}

impl Default for Deliveries {
    fn default() -> Deliveries {
        let zero = AtomicU64::default;
        Deliveries {
            passing: Mutex::default(),
            waiting: Mutex::default(),
            told: Mutex::default(),
            wake: Notify::new(),
            running: AtomicBool::new(false),
            under_way: zero(),
            deliveries: zero(),
            attempts: zero(),
            delivered: zero(),
            failures: zero(),
            given_up: zero(),
        }
    }
}

impl Deliveries {
    pub(crate) fn counts(&self) -> WebhookStats {
        let waiting = lock(&self.waiting);
        let waiting = u64::try_from(waiting.ready.len() + waiting.later.len()).unwrap_or(u64::MAX);
        let read = |count: &AtomicU64| count.load(Ordering::Relaxed);
        WebhookStats {
            deliveries: read(&self.deliveries),
            attempts: read(&self.attempts),
            delivered: read(&self.delivered),
            failures: read(&self.failures),
            given_up: read(&self.given_up),
            waiting: waiting + read(&self.under_way),
        }
    }

    /// What became of the last deliveries, newest first.
    pub(crate) fn told(&self) -> Vec<DeliveryTold> {
        lock(&self.told).iter().cloned().collect()
    }

    fn tell(&self, told: DeliveryTold) {
        let mut last = lock(&self.told);
        last.truncate(TOLD_MAX - 1);
        last.push_front(told);
    }

    fn put(&self, job: Job, due: Option<Duration>) {
        let mut waiting = lock(&self.waiting);
        if waiting.ready.len() + waiting.later.len() >= WAITING_MAX {
            self.given_up.fetch_add(1, Ordering::Relaxed);
            return;
        }
        match due {
            None => waiting.ready.push_back(job),
            Some(due) => {
                waiting.number += 1;
                let place = (due, waiting.number);
                waiting.later.insert(place, job);
            }
        }
        drop(waiting);
        self.wake.notify_one();
    }

    /// The next job, or how long until there is one.
    fn next(&self, elapsed: Duration) -> Result<Job, Duration> {
        let mut waiting = lock(&self.waiting);
        while let Some((due, _)) = waiting.later.keys().next().copied() {
            if due > elapsed {
                break;
            }
            if let Some((_, job)) = waiting.later.pop_first() {
                waiting.ready.push_back(job);
            }
        }
        match waiting.ready.pop_front() {
            Some(job) => {
                self.under_way.fetch_add(1, Ordering::Relaxed);
                Ok(job)
            }
            None => Err(waiting
                .later
                .keys()
                .next()
                .map_or(IDLE, |(due, _)| due.saturating_sub(elapsed).max(Duration::from_millis(1)))),
        }
    }
}

impl Simulator {
    /// Queues what endpoints are to be told.
    pub(crate) fn enqueue(&self, side: &Arc<Side>, deliveries: Vec<Delivery>) {
        for delivery in deliveries {
            self.queue(Job {
                side: side.clone(),
                event: delivery.event,
                endpoint: delivery.endpoint,
                failures: 0,
                judged: false,
            });
        }
    }

    fn queue(&self, job: Job) {
        self.inner.deliveries.deliveries.fetch_add(1, Ordering::Relaxed);
        self.inner.deliveries.put(job, None);
    }

    fn queue_after(&self, job: Job, after: Duration) {
        let due = self.passed() + after;
        self.inner.deliveries.put(job, (!after.is_zero()).then_some(due));
    }

    /// Time since the start, by the machine or by simulated time, whichever went further.
    fn passed(&self) -> Duration {
        let simulated = self.simulated_micros();
        lock(&self.inner.deliveries.passing).look(simulated)
    }

    /// Simulated time was moved: what was to be sent later may be due.
    pub(crate) fn wake_sender(&self) {
        self.inner.deliveries.wake.notify_one();
    }

    /// Sends what is queued until `stop`; a second sender beside the first returns at once.
    pub(crate) async fn send_webhooks(self, stop: CancellationToken) {
        if self.inner.deliveries.running.swap(true, Ordering::SeqCst) {
            return;
        }
        let client = reqwest::Client::builder()
            .redirect(reqwest::redirect::Policy::none())
            .timeout(self.inner.options.webhook_retry.timeout)
            .no_proxy()
            .build();
        match client {
            Ok(client) => self.send_until(client, &stop).await,
            Err(error) => tracing::error!(error = %error, "webhooks cannot be sent: no HTTP client"),
        }
        self.inner.deliveries.running.store(false, Ordering::SeqCst);
    }

    async fn send_until(&self, client: reqwest::Client, stop: &CancellationToken) {
        let slots = Arc::new(Semaphore::new(CONCURRENT_MAX));
        let (queue, clock) = (&self.inner.deliveries, &self.inner.options.clock);
        while !stop.is_cancelled() {
            match queue.next(self.passed()) {
                Ok(job) => {
                    let Ok(slot) = slots.clone().acquire_owned().await else { return };
                    let (simulator, client) = (self.clone(), client.clone());
                    tokio::spawn(async move {
                        simulator.deliver(&client, job).await;
                        simulator.inner.deliveries.under_way.fetch_sub(1, Ordering::Relaxed);
                        drop(slot);
                    });
                }
                Err(wait) => tokio::select! {
                    () = queue.wake.notified() => {}
                    () = kit::clock::pause(wait) => {}
                    // A clock that is moved by hand may get there first.
                    () = clock.sleep_until(clock.now() + wait) => {}
                    () = stop.cancelled() => return,
                },
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_up_to_the_longest() {
        let plan = RetryPlan {
            first: Duration::from_secs(1),
            factor: 3,
            longest: Duration::from_secs(20),
            tries: 9,
            timeout: Duration::from_secs(1),
        };
        let pauses: Vec<u64> = (1..6).map(|failures| plan.pause_after(failures).as_secs()).collect();
        assert_eq!(pauses, [1, 3, 9, 20, 20]);
    }
}
