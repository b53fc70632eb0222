//! Objects that are read again by their id: contested ones, those that came in a shape we do not understand, and those
//! that an event only named.

use crate::{
    Mirror, MirrorError, Observation, Scope, Source,
    observation::Interval,
    store::rereads::{self, Failure, Waiting},
};
use futures::{StreamExt, stream};
use gateway::{Answer, GatewayError, Lane, ReadFor};
use kit::Time;
use platform::{JobError, JobRun};
use std::{collections::BTreeMap, sync::Arc, time::Duration};
use stripe::{ErrorClass, Head, ObjectKind, Params, Request};
use vault::{ConnectionId, ConnectionState, Linked};

/// How long objects wait after the key was refused; by then that is known of the connection.
const KEY_WAIT: Duration = Duration::from_secs(30);
/// Objects taken from the queue at once.
const BATCH: u32 = 50;
/// Of these, read at once.
const AT_ONCE: usize = 4;
/// An object that cannot be read is tried so often.
const MOST_TRIES: i64 = 6;

/// Kinds beyond the listed ones that can be read by their id, with their collection. None of them carries a secret that
/// must not be stored.
const FURTHER_PATHS: [(&str, &str); 16] = [
    ("account", "/v1/accounts"),
    ("application_fee", "/v1/application_fees"),
    ("checkout.session", "/v1/checkout/sessions"),
    ("coupon", "/v1/coupons"),
    ("credit_note", "/v1/credit_notes"),
    ("invoiceitem", "/v1/invoiceitems"),
    ("payment_intent", "/v1/payment_intents"),
    ("payment_method", "/v1/payment_methods"),
    ("plan", "/v1/plans"),
    ("promotion_code", "/v1/promotion_codes"),
    ("quote", "/v1/quotes"),
    ("review", "/v1/reviews"),
    ("setup_intent", "/v1/setup_intents"),
    ("subscription_schedule", "/v1/subscription_schedules"),
    ("tax_rate", "/v1/tax_rates"),
    ("transfer", "/v1/transfers"),
];

/// Whether an object of this kind can be read by its id.
pub(crate) fn can_read(object_type: &str, id: &str) -> bool {
    request_for(object_type, id).is_some()
}

fn request_for(object_type: &str, id: &str) -> Option<Request> {
    if let Some(kind) = ObjectKind::from_object_name(object_type) {
        return Some(stripe::api::retrieve(kind, id));
    }
    let (_, path) = FURTHER_PATHS.iter().find(|(name, _)| *name == object_type)?;
    // Ids that a user chose may hold anything; those would have to be encoded, and are not worth it here.
    let is_plain =
        !id.is_empty() && id.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-');
    is_plain.then(|| Request::get(format!("{path}/{id}"), Params::none()))
}

/// Reads what is due, again and again, and leaves a job for what is due later.
pub(crate) async fn run(mirror: Mirror, job: JobRun, connection: ConnectionId) -> Result<(), JobError> {
    let tenant = job.tenant()?;
    let base = mirror.base().clone();
    loop {
        let now = base.now();
        let mut tx = base.store.read(tenant).await?;
        let due = rereads::due(&mut tx, tenant, &connection, now, BATCH).await?;
        let next = rereads::next_due(&mut tx, tenant, &connection).await?;
        drop(tx);
        if due.is_empty() {
            return match next {
                None => Ok(()),
                Some(at) => Err(JobError::Later { reason: "the next object is to be read later".to_owned(), at }),
            };
        }
        if job.stopping.is_cancelled() {
            return Err(JobError::Later { reason: "the program is stopping".to_owned(), at: now });
        }
        let linked = mirror.vault().linked(&connection).await.map_err(|error| JobError::Retry(error.to_string()))?;
        let usable = linked.filter(|linked| linked.connection.state == ConnectionState::Active);
        let Some(linked) = usable else {
            // What waits stays: the schedule asks again once a connection of the account works.
            return Err(JobError::GiveUp(format!("the connection {connection} is not usable")));
        };
        read_batch(&mirror, &job, &linked, due).await?;
    }
}

async fn read_batch(mirror: &Mirror, job: &JobRun, linked: &Arc<Linked>, due: Vec<Waiting>) -> Result<(), JobError> {
    let calls = due.into_iter().map(|waiting| async move {
        let began = mirror.base().now();
        let outcome = match request_for(&waiting.object_type, &waiting.id) {
            Some(request) => {
                let own = waiting.account_id == linked.connection.account_id;
                let account = (!own).then_some(waiting.account_id.as_str());
                Some(
                    mirror
                        .gateway()
                        .reading_for(ReadFor::Reread)
                        .call_as(linked, account, request, Lane::Background)
                        .await,
                )
            }
            None => None,
        };
        (waiting, began, outcome)
    });
    let read: Vec<_> = stream::iter(calls).buffer_unordered(AT_ONCE).collect().await;
    let tenant = linked.connection.tenant;
    let base = mirror.base();
    let mut paused = None;
    let mut tx = base.store.begin(tenant).await?;
    job.hold(&mut tx).await?;
    let mut learned = Vec::with_capacity(read.len());
    for (waiting, began, outcome) in read {
        match outcome {
            Some(Ok(answer)) => learned.push(Learned::told(waiting, began, &answer)),
            Some(Err(error)) if error.class() == Some(ErrorClass::NotFound) => {
                learned.push(Learned::gone(waiting, began, base.now()));
            }
            Some(Err(GatewayError::Paused { until })) => paused = Some(until),
            // The key's fault, not the object's: it is read with the next key.
            Some(Err(error)) if is_of_key(&error) => paused = Some(base.now() + KEY_WAIT),
            Some(Err(error)) => {
                let advice = error.retry_advice();
                let give_up = advice == gateway::RetryLater::Never || waiting.tries + 1 >= MOST_TRIES;
                let wait = Duration::from_secs(30 << waiting.tries.clamp(0, 8));
                let text: String = error.to_string().chars().take(500).collect();
                let failure = Failure { error: &text, due: base.now() + wait, give_up };
                rereads::fail(&mut tx, tenant, &waiting, failure).await?;
            }
            None => {
                let failure = Failure { error: "objects of this kind cannot be read", due: base.now(), give_up: true };
                rereads::fail(&mut tx, tenant, &waiting, failure).await?;
            }
        }
    }
    absorb(mirror, &mut tx, &linked.connection.id, &learned).await?;
    tx.wake(crate::WAKE);
    tx.commit().await?;
    match paused {
        Some(at) => Err(JobError::Later { reason: "calls to Stripe are paused".to_owned(), at }),
        None => Ok(()),
    }
}

/// Whether it was the key that Stripe did not accept.
fn is_of_key(error: &GatewayError) -> bool {
    matches!(error, GatewayError::KeyRefused(_)) || error.class() == Some(ErrorClass::Authentication)
}

/// What a read told of one object.
struct Learned {
    waiting: Waiting,
    began: Time,
    body: String,
    seen: Interval,
    gone: bool,
}

impl Learned {
    fn told(waiting: Waiting, began: Time, answer: &Answer) -> Learned {
        let body = stripe::redact::without_client_secrets(answer.response.text()).into_owned();
        Learned { waiting, began, body, seen: Interval::of_fetch(answer.began, answer.ended), gone: false }
    }

    /// Stripe does not know the object any more: it is marked as gone, and keeps what it was.
    fn gone(waiting: Waiting, began: Time, now: Time) -> Learned {
        let body = serde_json::json!({ "id": waiting.id, "object": waiting.object_type, "deleted": true }).to_string();
        Learned { waiting, began, body, seen: Interval::of_fetch(began, now), gone: true }
    }

    fn observation<'a>(&'a self, head: Option<&'a Head<'_>>) -> Option<Observation<'a>> {
        if !self.gone {
            return Observation::of_body(head?, &self.body, Source::Get, self.seen);
        }
        Some(Observation {
            object_type: &self.waiting.object_type,
            id: &self.waiting.id,
            body: &self.body,
            created: None,
            source: Source::Get,
            seen: self.seen,
            deleted: true,
            stub: true,
        })
    }
}

/// Absorbs what was read, an account's objects together: one by one each would cost as many statements as all.
async fn absorb(
    mirror: &Mirror,
    tx: &mut store::TenantTx,
    connection: &ConnectionId,
    learned: &[Learned],
) -> Result<(), MirrorError> {
    let Some(earliest) = learned.iter().map(|it| it.began).min() else { return Ok(()) };
    let tenant = tx.tenant();
    let heads: Vec<Option<Head<'_>>> = learned.iter().map(|it| Head::read(&it.body).ok()).collect();
    let mut by_account: BTreeMap<&str, Vec<Observation<'_>>> = BTreeMap::new();
    for (it, head) in learned.iter().zip(&heads) {
        match it.observation(head.as_ref()) {
            Some(observation) => by_account.entry(&it.waiting.account_id).or_default().push(observation),
            None => {
                let (kind, id) = (&it.waiting.object_type, &it.waiting.id);
                tracing::warn!(kind, id, "an object read by its id has none in its answer");
            }
        }
    }
    for (account, observations) in by_account {
        let scope = Scope { tenant, connection_id: connection.clone(), account_id: account.to_owned() };
        mirror.absorb(tx, &scope, &observations).await?;
    }
    let read: Vec<&Waiting> = learned.iter().map(|it| &it.waiting).collect();
    Ok(rereads::remove(tx, tenant, &read, earliest).await?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_can_be_read_has_an_address() {
        let check = |kind: &str, id: &str, path: Option<&str>| {
            assert_eq!(request_for(kind, id).map(|request| request.path).as_deref(), path, "{kind} {id}");
        };
        check("charge", "ch_1", Some("/v1/charges/ch_1"));
        check("product", "gold/1", Some("/v1/products/gold%2F1"));
        check("payment_intent", "pi_1", Some("/v1/payment_intents/pi_1"));
        check("checkout.session", "cs_test_a1", Some("/v1/checkout/sessions/cs_test_a1"));
        check("coupon", "../x", None);
        check("webhook_endpoint", "we_1", None);
        check("balance", "", None);
    }
}
