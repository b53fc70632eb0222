//! The two ways in that others hold the handle of: events from the inbox, and answers to our own writes.

use crate::{Interval, Mirror, MirrorError, Observation, Scope, Source, jobs, reread, store::rereads::NewReread};
use async_trait::async_trait;
use gateway::{Answer, GatewayError, ObservedReplies};
use inbox::{EventSink, SinkError, StoredEvent};
use std::collections::BTreeMap;
use store::TenantTx;
use stripe::{Envelope, Head, Snapshot};
use vault::Connection;

/// Kinds whose events are followed by balance transactions.
const MOVES_MONEY: [&str; 4] = ["charge", "refund", "dispute", "payout"];

#[async_trait]
impl EventSink for Mirror {
    async fn absorb(&self, tx: &mut TenantTx, events: &[StoredEvent]) -> Result<(), SinkError> {
        let mut by_scope: BTreeMap<(&str, &str), Vec<&StoredEvent>> = BTreeMap::new();
        for event in events {
            by_scope.entry((&event.account_id, event.connection_id.as_str())).or_default().push(event);
        }
        for events in by_scope.into_values() {
            self.absorb_events(tx, &events).await?;
        }
        Ok(())
    }
}

impl Mirror {
    /// Absorbs events of one account.
    async fn absorb_events(&self, tx: &mut TenantTx, events: &[&StoredEvent]) -> Result<(), SinkError> {
        let Some(first) = events.first() else { return Ok(()) };
        let scope = Scope {
            tenant: tx.tenant(),
            connection_id: first.connection_id.clone(),
            account_id: first.account_id.clone(),
        };
        let mut read = Vec::with_capacity(events.len());
        for event in events {
            let envelope = Envelope::read(event.body.as_bytes())
                .map_err(|error| SinkError::Poison(format!("{} is no event: {error}", event.event_id)))?;
            read.push(envelope);
        }
        let mut observations = Vec::with_capacity(read.len());
        let mut again: BTreeMap<(&str, &str), NewReread> = BTreeMap::new();
        let due = self.base().now().micros();
        let mut ask = |kind, id, reason| {
            let account = scope.account_id.clone();
            again.insert((kind, id), NewReread { account, kind: kind.to_owned(), id: id.to_owned(), reason, due });
        };
        for envelope in &read {
            match envelope {
                Envelope::Snapshot(event) => match understand(event) {
                    Understood::Object(observation) => observations.push(observation),
                    Understood::OtherShape { kind, id, gone } => {
                        observations.extend(gone);
                        ask(kind, id, "version");
                    }
                    Understood::NoObject => {}
                },
                Envelope::Thin(event) => {
                    let related = event.related_object.as_ref();
                    if let Some(object) = related.filter(|object| reread::can_read(&object.object_type, &object.id)) {
                        ask(&object.object_type, &object.id, "thin");
                    }
                }
            }
        }
        self.absorb(tx, &scope, &observations).await.map_err(sink_error)?;
        if observations.iter().any(|observation| MOVES_MONEY.contains(&observation.object_type)) {
            jobs::enqueue_balance_read(tx, self.base(), &scope.connection_id).await?;
        }
        let again: Vec<NewReread> = again.into_values().collect();
        self.absorber().read_again(tx, &scope, &again).await.map_err(sink_error)
    }
}

/// What an event tells of its object.
enum Understood<'a> {
    Object(Observation<'a>),
    /// Shaped by a version that we do not read: the object is fetched at ours. That it is gone can be told at once.
    OtherShape {
        kind: &'a str,
        id: &'a str,
        gone: Option<Observation<'a>>,
    },
    /// Such as `invoice.upcoming`: there is nothing at Stripe that it could be kept as.
    NoObject,
}

fn understand<'a>(event: &'a Snapshot<'a>) -> Understood<'a> {
    let seen = Interval::of_event(event.created);
    let Some(mut observation) = Observation::of_body(&event.head, event.object.get(), Source::Event, seen) else {
        return Understood::NoObject;
    };
    observation.deleted = event.object_is_deleted;
    let (kind, id) = (observation.object_type, observation.id);
    if stripe::version::understood(event.api_version.as_deref()) || !reread::can_read(kind, id) {
        return Understood::Object(observation);
    }
    let gone = observation.deleted.then_some(Observation { stub: true, ..observation });
    Understood::OtherShape { kind, id, gone }
}

fn sink_error(error: MirrorError) -> SinkError {
    match error {
        MirrorError::Store(error) => SinkError::Store(error),
        other => SinkError::Retry(other.to_string()),
    }
}

#[async_trait]
impl ObservedReplies for Mirror {
    async fn observed(&self, tx: &mut TenantTx, connection: &Connection, answer: &Answer) -> Result<(), GatewayError> {
        // As events are kept, without what opens a payment; otherwise the two would differ for ever.
        let text = stripe::redact::without_client_secrets(answer.response.text());
        let Ok(head) = Head::read(&text) else { return Ok(()) };
        let seen = Interval::of_fetch(answer.began, answer.ended);
        let Some(observation) = Observation::of_body(&head, &text, Source::Reply, seen) else { return Ok(()) };
        // Only what could be read again: other answers, a new webhook endpoint's for one, can hold secrets.
        if !reread::can_read(observation.object_type, observation.id) {
            return Ok(());
        }
        self.absorb(tx, &self.scope_of(connection), &[observation]).await.map_err(|error| match error {
            MirrorError::Store(error) => GatewayError::Store(error),
            other => GatewayError::AnswerNotTaken {
                purpose: "mirror".to_owned(),
                intent: observation.id.to_owned(),
                detail: other.to_string(),
                can_retry: true,
            },
        })?;
        Ok(())
    }
}
