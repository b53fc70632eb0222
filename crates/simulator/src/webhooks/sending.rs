//! One delivery: signed, sent, and spoiled on demand.

use super::Job;
use crate::{
    faults::{Occasion, WebhookFault, mixed},
    json::{json_text, plain_member},
    resources::{
        Kind,
        event::{self, NewEvent, Sent},
        webhook_endpoint,
    },
    simulator::{Side, Simulator, SimulatorError},
    stats::DeliveryTold,
    work::parse,
};
use aws_lc_rs::hmac;
use bytes::Bytes;
use kit::{ExposeSecret, Secret};
use std::{
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

/// The type that nobody knows.
const UNKNOWN_TYPE: &str = "novelty.introduced";
/// What a cut delivery waits before it breaks off, so that its first half has left.
const CUT_AFTER: Duration = Duration::from_millis(20);

/// `t=…,v1=…`: HMAC-SHA256 over `t.body`, keyed with the whole secret.
pub(crate) fn signature(secret: &Secret, second: i64, body: &str) -> String {
    let key = hmac::Key::new(hmac::HMAC_SHA256, secret.expose_secret().as_bytes());
    let tag = hmac::sign(&key, format!("{second}.{body}").as_bytes());
    format!("t={second},v1={}", hex::encode(tag.as_ref()))
}

/// The sender breaks the connection off.
#[derive(Debug, thiserror::Error)]
#[error("the delivery is cut, as the fault demands")]
struct CutOff;

impl Simulator {
    /// Disables or enables all webhook endpoints of an account in one mode; answers how many there are. What occurs while
    /// they are disabled is never sent to them (FACTS section 9).
    ///
    /// # Errors
    /// [`SimulatorError::NoAccount`].
    pub fn set_endpoints_enabled(&self, account: &str, livemode: bool, enabled: bool) -> Result<usize, SimulatorError> {
        let side = self.side(account, livemode)?;
        Ok(set_status(&side, None, enabled))
    }

    /// How many endpoints of all accounts are disabled.
    pub(crate) fn disabled_endpoints(&self) -> usize {
        let disabled = |side: &Arc<Side>| {
            let book = side.read();
            let endpoints = book.table(Kind::WebhookEndpoint).all();
            endpoints.filter(|text| plain_member(text, "status").as_deref() == Some("disabled")).count()
        };
        self.sides().iter().map(disabled).sum()
    }

    pub(super) async fn deliver(&self, client: &reqwest::Client, mut job: Job) {
        let queue = &self.inner.deliveries;
        let give_up = |kind: &str, outcome: &str| {
            queue.given_up.fetch_add(1, Ordering::Relaxed);
            queue.tell(self.told(&job, kind, outcome));
        };
        let Some(message) = message(&job) else {
            return give_up("", "never sent: the endpoint is disabled or gone, or the event too old");
        };
        let mut fault = None;
        if !job.judged {
            let occasion = Occasion { name: &message.kind, id: &job.event, now: self.now() };
            fault = self.fault_book().for_webhook(&occasion);
        }
        match fault {
            Some(WebhookFault::Drop) => return give_up(&message.kind, "lost"),
            Some(WebhookFault::DisableEndpoint) => {
                set_status(&job.side, Some(&job.endpoint), false);
                return give_up(&message.kind, "never sent: the endpoint was disabled");
            }
            _ => {}
        }
        job.judged = true;
        match fault {
            Some(WebhookFault::Delay { delay_ms }) => {
                return self.queue_after(job, Duration::from_millis(delay_ms));
            }
            Some(WebhookFault::Shuffle { within_ms }) => {
                let wait = mixed(self.inner.options.seed, &job.event, 0) % within_ms.max(1);
                return self.queue_after(job, Duration::from_millis(wait));
            }
            Some(WebhookFault::Duplicate) => self.queue(job.clone()),
            Some(WebhookFault::Twin) => self.queue_beside(&job, |id, text| {
                let own = plain_member(text, "id").unwrap_or_default();
                text.replacen(own.as_ref(), id, 1)
            }),
            Some(WebhookFault::UnknownType) => self.queue_beside(&job, |id, _| self.unknown(&job, id)),
            _ => {}
        }
        queue.attempts.fetch_add(1, Ordering::Relaxed);
        let sent = self.request(client, &message, fault).send().await;
        let outcome = match &sent {
            Ok(answer) => answer.status().as_u16().to_string(),
            Err(error) if error.is_timeout() => "no answer in time".to_owned(),
            Err(error) if error.is_connect() => "nobody listens".to_owned(),
            Err(_) => "broke off".to_owned(),
        };
        queue.tell(self.told(&job, &message.kind, &outcome));
        if sent.is_ok_and(|answer| answer.status().is_success()) {
            queue.delivered.fetch_add(1, Ordering::Relaxed);
            event::delivered(&mut job.side.write(), &job.event);
            return;
        }
        queue.failures.fetch_add(1, Ordering::Relaxed);
        job.failures += 1;
        let plan = self.inner.options.webhook_retry;
        if job.failures < plan.tries {
            self.queue_after(job.clone(), plan.pause_after(job.failures));
        } else {
            queue.given_up.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn told(&self, job: &Job, kind: &str, outcome: &str) -> DeliveryTold {
        DeliveryTold {
            at: self.now(),
            event: job.event.to_string(),
            kind: kind.to_owned(),
            attempt: job.failures + 1,
            outcome: outcome.to_owned(),
        }
    }

    fn request(
        &self,
        client: &reqwest::Client,
        message: &Sent,
        fault: Option<WebhookFault>,
    ) -> reqwest::RequestBuilder {
        // The receiver holds it against its own clock: the machine's, also while simulated time is ahead.
        let mut second = self.inner.options.clock.now().seconds();
        if let Some(WebhookFault::OldTimestamp { seconds }) = fault {
            second -= i64::from(seconds);
        }
        let signature = match fault {
            Some(WebhookFault::WrongSignature) => {
                signature(&Secret::from("whsec_of_another_endpoint"), second, &message.body)
            }
            _ => signature(&message.secret, second, &message.body),
        };
        let request = client
            .post(&message.url)
            .header("content-type", "application/json; charset=utf-8")
            .header("user-agent", "Stripe/1.0 (+https://stripe.com/docs/webhooks)")
            .header("stripe-signature", signature);
        if fault != Some(WebhookFault::Cut) {
            return request.body(message.body.clone());
        }
        let half = Bytes::from(message.body.clone()).slice(..message.body.len() / 2);
        let end = futures::stream::once(async {
            kit::clock::pause(CUT_AFTER).await;
            Err(CutOff)
        });
        let pieces = futures::StreamExt::chain(futures::stream::iter([Ok(half)]), end);
        request.header("content-length", message.body.len()).body(reqwest::Body::wrap_stream(pieces))
    }

    /// Records another event and tells the same endpoint of it; nothing goes wrong with that one.
    fn queue_beside(&self, job: &Job, text: impl FnOnce(&str, &str) -> String) {
        // Not from the ids of objects: what goes wrong must not change what is created afterwards.
        let id = self.inner.request_ids.new_id("evt_");
        let mut book = job.side.write();
        let Some(first) = book.get(Kind::Event, &job.event).cloned() else { return };
        let text = text(&id, &first);
        book.put(Kind::Event, text, self.now());
        book.table_mut(Kind::Event).mark(&id, "delivery_success", Some("false"));
        drop(book);
        self.queue(Job { event: id.into(), failures: 0, judged: true, ..job.clone() });
    }

    /// An event of a type that came after every client was written.
    fn unknown(&self, job: &Job, id: &str) -> String {
        let now = self.now();
        let object = json_text!({
            "id": format!("nov_{}", id.trim_start_matches("evt_")),
            "object": "novelty",
            "created": now,
            "livemode": job.side.livemode,
        });
        event::text(&NewEvent {
            id,
            livemode: job.side.livemode,
            created: now,
            kind: UNKNOWN_TYPE,
            object: &object,
            previous: None,
            pending_webhooks: 1,
            cause: None,
        })
    }
}

/// Sets the status of one endpoint, or of all; answers of how many.
pub(crate) fn set_status(side: &Arc<Side>, only: Option<&str>, enabled: bool) -> usize {
    let mut book = side.write();
    let endpoints: Vec<_> = book.table(Kind::WebhookEndpoint).all().map(|text| parse(text)).collect();
    let mut count = 0;
    for mut endpoint in endpoints {
        if only.is_some_and(|only| endpoint["id"] != only) {
            continue;
        }
        endpoint["status"] = if enabled { "enabled" } else { "disabled" }.into();
        book.put(Kind::WebhookEndpoint, endpoint.to_string(), 0);
        count += 1;
    }
    webhook_endpoint::refresh(&mut book);
    count
}

/// The message of a job; none if its endpoint has gone or been disabled, or its event is too old.
fn message(job: &Job) -> Option<Sent> {
    event::sent(&job.side.read(), &job.endpoint, &job.event)
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
}
