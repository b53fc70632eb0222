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
use std::{sync::Arc, time::Duration};
use stripe::{ErrorClass, Head, ObjectKind, Params, Request};
use vault::{ConnectionId, ConnectionState, Linked};

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
            // What is missed meanwhile is found by the full listing that follows a new key.
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
    for (waiting, began, outcome) in read {
        let scope =
            Scope { tenant, connection_id: linked.connection.id.clone(), account_id: waiting.account_id.clone() };
        match outcome {
            Some(Ok(answer)) => {
                absorb(mirror, &mut tx, &scope, &waiting, &answer).await?;
                rereads::remove(&mut tx, tenant, &waiting.account_id, &waiting.object_type, &waiting.id, began).await?;
            }
            Some(Err(error)) if error.class() == Some(ErrorClass::NotFound) => {
                gone(mirror, &mut tx, &scope, &waiting, began).await?;
                rereads::remove(&mut tx, tenant, &waiting.account_id, &waiting.object_type, &waiting.id, began).await?;
            }
            Some(Err(GatewayError::Paused { until })) => paused = Some(until),
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
    tx.wake(crate::WAKE);
    tx.commit().await?;
    match paused {
        Some(at) => Err(JobError::Later { reason: "calls to Stripe are paused".to_owned(), at }),
        None => Ok(()),
    }
}

async fn absorb(
    mirror: &Mirror,
    tx: &mut store::TenantTx,
    scope: &Scope,
    waiting: &Waiting,
    answer: &Answer,
) -> Result<(), MirrorError> {
    let seen = Interval::of_fetch(answer.began, answer.ended);
    let text = stripe::redact::without_client_secrets(answer.response.text());
    let head = Head::read(&text).ok();
    let observation = head.as_ref().and_then(|head| Observation::of_body(head, &text, Source::Get, seen));
    match observation {
        Some(observation) => mirror.absorb(tx, scope, &[observation]).await.map(drop),
        None => {
            tracing::warn!(
                kind = waiting.object_type,
                id = waiting.id,
                "an object read by its id has none in its answer"
            );
            Ok(())
        }
    }
}

/// Stripe does not know the object any more: it is marked as gone, and keeps what it was.
async fn gone(
    mirror: &Mirror,
    tx: &mut store::TenantTx,
    scope: &Scope,
    waiting: &Waiting,
    began: Time,
) -> Result<(), MirrorError> {
    let body = serde_json::json!({ "id": waiting.id, "object": waiting.object_type, "deleted": true }).to_string();
    let observation = Observation {
        object_type: &waiting.object_type,
        id: &waiting.id,
        body: &body,
        created: None,
        source: Source::Get,
        seen: Interval::of_fetch(began, mirror.base().now()),
        deleted: true,
        stub: true,
    };
    mirror.absorb(tx, scope, &[observation]).await.map(drop)
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
