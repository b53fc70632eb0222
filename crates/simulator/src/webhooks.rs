//! Sending events to webhook endpoints: signed, several at once, tried again with growing pauses (FACTS section 9).

use crate::{
    faults::WebhookFault,
    json::plain_member,
    resources::{Kind, event},
    simulator::{Side, Simulator, lock},
    stats::WebhookStats,
    work::Delivery,
};
use aws_lc_rs::hmac;
use kit::{ExposeSecret, Secret, Stopwatch};
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
/// With nothing to wait for, the sender looks again this often.
const IDLE: Duration = Duration::from_secs(3_600);

#[derive(Clone)]
struct Job {
    side: Arc<Side>,
    event: Arc<str>,
    endpoint: Arc<str>,
    failures: u32,
    /// Whether faults have been applied to it already.
    judged: bool,
}

#[derive(Default)]
struct Waiting {
    ready: VecDeque<Job>,
    /// By the time since the start at which they are due.
    later: BTreeMap<(Duration, u64), Job>,
    number: u64,
}

/// The deliveries of a simulator.
pub(crate) struct Deliveries {
    started: Stopwatch,
    waiting: Mutex<Waiting>,
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
            started: Stopwatch::start(),
            waiting: Mutex::default(),
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

    fn put(&self, job: Job, after: Duration) {
        let mut waiting = lock(&self.waiting);
        if waiting.ready.len() + waiting.later.len() >= WAITING_MAX {
            self.given_up.fetch_add(1, Ordering::Relaxed);
            return;
        }
        if after.is_zero() {
            waiting.ready.push_back(job);
        } else {
            waiting.number += 1;
            let place = (self.started.elapsed() + after, waiting.number);
            waiting.later.insert(place, job);
        }
        drop(waiting);
        self.wake.notify_one();
    }

    /// The next job, or how long until there is one.
    fn next(&self) -> Result<Job, Duration> {
        let mut waiting = lock(&self.waiting);
        let elapsed = self.started.elapsed();
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

/// `t=…,v1=…`: HMAC-SHA256 over `t.body`, keyed with the whole secret.
pub(crate) fn signature(secret: &Secret, second: i64, body: &str) -> String {
    let key = hmac::Key::new(hmac::HMAC_SHA256, secret.expose_secret().as_bytes());
    let tag = hmac::sign(&key, format!("{second}.{body}").as_bytes());
    format!("t={second},v1={}", hex::encode(tag.as_ref()))
}

impl Simulator {
    /// Queues what endpoints are to be told.
    pub(crate) fn enqueue(&self, side: &Arc<Side>, deliveries: Vec<Delivery>) {
        let queue = &self.inner.deliveries;
        for delivery in deliveries {
            queue.deliveries.fetch_add(1, Ordering::Relaxed);
            let job = Job {
                side: side.clone(),
                event: delivery.event,
                endpoint: delivery.endpoint,
                failures: 0,
                judged: false,
            };
            queue.put(job, Duration::ZERO);
        }
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
        let queue = &self.inner.deliveries;
        while !stop.is_cancelled() {
            match queue.next() {
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
                    () = stop.cancelled() => return,
                },
            }
        }
    }

    async fn deliver(&self, client: &reqwest::Client, mut job: Job) {
        let queue = &self.inner.deliveries;
        let Some(message) = message(&job) else {
            queue.given_up.fetch_add(1, Ordering::Relaxed);
            return;
        };
        if !job.judged {
            job.judged = true;
            let fault = self.faults().for_webhook(&message.kind);
            match fault {
                Some(WebhookFault::Drop) => {
                    queue.given_up.fetch_add(1, Ordering::Relaxed);
                    return;
                }
                Some(WebhookFault::Delay { delay_ms }) => return queue.put(job, Duration::from_millis(delay_ms)),
                Some(WebhookFault::Shuffle { within_ms }) => {
                    let wait = self.inner.request_ids.below(within_ms.max(1));
                    return queue.put(job, Duration::from_millis(wait));
                }
                Some(WebhookFault::Duplicate) => queue.put(job.clone(), Duration::ZERO),
                None => {}
            }
        }
        // The receiver holds it against its own clock: the machine's, also while simulated time is ahead.
        let second = self.inner.options.clock.now().seconds();
        queue.attempts.fetch_add(1, Ordering::Relaxed);
        let sent = client
            .post(&message.url)
            .header("content-type", "application/json; charset=utf-8")
            .header("user-agent", "Stripe/1.0 (+https://stripe.com/docs/webhooks)")
            .header("stripe-signature", signature(&message.secret, second, &message.body))
            .body(message.body)
            .send()
            .await;
        if sent.is_ok_and(|answer| answer.status().is_success()) {
            queue.delivered.fetch_add(1, Ordering::Relaxed);
            event::delivered(&mut job.side.write(), &job.event);
            return;
        }
        queue.failures.fetch_add(1, Ordering::Relaxed);
        job.failures += 1;
        let plan = self.inner.options.webhook_retry;
        if job.failures < plan.tries {
            queue.put(job.clone(), plan.pause_after(job.failures));
        } else {
            queue.given_up.fetch_add(1, Ordering::Relaxed);
        }
    }
}

/// What is sent.
struct Message {
    url: String,
    secret: Secret,
    kind: String,
    body: String,
}

/// The message of a job; none if its endpoint has gone or been disabled, or its event is too old.
fn message(job: &Job) -> Option<Message> {
    let book = job.side.read();
    let endpoint = book.get(Kind::WebhookEndpoint, &job.endpoint)?;
    if plain_member(endpoint, "status")? != "enabled" {
        return None;
    }
    let event = book.get(Kind::Event, &job.event)?;
    Some(Message {
        url: plain_member(endpoint, "url")?.into_owned(),
        secret: book.secrets.get(job.endpoint.as_ref())?.clone(),
        kind: plain_member(event, "type")?.into_owned(),
        body: event::rendered(event, plain_member(endpoint, "api_version").as_deref()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_signature_is_stripes() {
        // Computed with an independent implementation: HMAC-SHA256("whsec_test_secret", "1700000000.{}").
        let signature = signature(&Secret::from("whsec_test_secret"), 1_700_000_000, "{}");
        let digest = signature.strip_prefix("t=1700000000,v1=").unwrap();
        assert_eq!(digest, "ceb8863f7208fa249a6cd8f951e993c7563412aca65866f6272283debe143ab3");
    }

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
