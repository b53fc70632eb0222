//! The outbox: intents recorded in their asker's transaction and carried out now or by a job (GW-5).
//!
//! A crash between any two lines is repaired by carrying the intent out again: it is marked `sent` before the call,
//! the call goes under a key that follows from the intent, and the mark `done` commits together with what the answer
//! changes.

use crate::{
    Answer, Found, Gateway, GatewayError, Intent, IntentId, IntentOutcome, IntentState, NewIntent, Refusal, Reply,
    StoredAnswer,
    intent::{self, Failure, Step, failure_of, idempotency_key, next_step},
    jobs, redact,
    store::{self as rows, Kept, Setback},
};
use kit::{TenantId, Time};
use std::{sync::Arc, time::Duration};
use store::TenantTx;
use stripe::CallError;
use vault::{Connection, ConnectionState, Linked};

/// Steps of one run: send, look, send again. More means that the rule does not come to rest.
const MOST_STEPS: usize = 4;
/// A job leaves an intent alone for this long while somebody waits for it.
const HEAD_START: Duration = Duration::from_secs(30);

impl Gateway {
    /// Records what is to be done at Stripe in the caller's transaction, with a job that does it.
    ///
    /// When somebody waits, call [`Gateway::carry_out`] after the commit; the job is the safety net then.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn intend(&self, tx: &mut TenantTx, new: NewIntent) -> store::Result<IntentId> {
        let base = &self.inner.base;
        let now = base.now();
        let id = IntentId::new(now, &*base.randomness);
        let run_at = match new.lane {
            crate::Lane::Interactive => now + HEAD_START,
            crate::Lane::Background => now,
        };
        let intent = Intent {
            tenant: tx.tenant(),
            connection: new.connection,
            purpose: new.purpose.to_owned(),
            subject: new.subject,
            lane: new.lane,
            request: new.request.with_idempotency_key(idempotency_key(&id, 0)),
            on_account: new.on_account,
            state: IntentState::Pending,
            tries: 0,
            created_at: now,
            id: id.clone(),
        };
        rows::insert_intent(tx, &intent).await?;
        jobs::enqueue(tx, base, &id, run_at).await?;
        Ok(id)
    }

    /// Finds an intent.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn intent(&self, tx: &mut TenantTx, id: &IntentId) -> store::Result<Option<Intent>> {
        Ok(rows::find_intent(tx, id).await?.map(|kept| kept.intent))
    }

    /// How many intents stand in each state, for pages.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn outbox_counts(&self, tx: &mut TenantTx) -> store::Result<OutboxCounts> {
        let mut counts = OutboxCounts::default();
        for (state, count) in rows::count_intents(tx).await? {
            match state.as_str() {
                "pending" => counts.pending = count,
                "sent" => counts.sent = count,
                "done" => counts.done = count,
                "refused" => counts.refused = count,
                _ => counts.in_doubt = count,
            }
        }
        Ok(counts)
    }

    /// Carries an intent out, or finds that it has been. Safe to call any number of times, from anywhere; must not be
    /// called while a transaction is open.
    ///
    /// # Errors
    /// When it is not settled yet; [`GatewayError::retry_advice`] says whether another run can help. The job runs on
    /// in any case.
    pub async fn carry_out(&self, tenant: TenantId, id: &IntentId) -> Result<IntentOutcome, GatewayError> {
        // Only one at a time in this process; another node's run meets Stripe's idempotency.
        let _alone = self.inner.locks.hold(format!("intent/{tenant}/{id}")).await;
        for _ in 0..MOST_STEPS {
            let (kept, step) = self.next(tenant, id).await?;
            let intent = &kept.intent;
            match step {
                Step::Ended => return outcome_of(intent),
                Step::Wait(until) => return Err(GatewayError::Unsettled { intent: id.clone(), until }),
                Step::GiveUp => {
                    let refusal = Refusal::ours("intent_expired", "It could not be sent for a week, and was given up.");
                    return self.settle(intent, End::Refused(refusal)).await;
                }
                Step::Send | Step::LookUp => {}
            }
            let linked = match self.linked_for(intent).await? {
                Ok(linked) => linked,
                Err(end) => return self.settle(intent, end).await,
            };
            if step == Step::LookUp {
                match self.look_up(&linked, intent).await? {
                    LookedUp::Ended(outcome) => return Ok(outcome),
                    LookedUp::SendAgain => {}
                    LookedUp::Fresh => continue,
                }
            }
            return self.send(&linked, &kept).await;
        }
        Err(GatewayError::Unsettled { intent: id.clone(), until: self.inner.base.now() + intent::SETTLING_TIME })
    }

    async fn next(&self, tenant: TenantId, id: &IntentId) -> Result<(Kept, Step), GatewayError> {
        let mut tx = self.inner.base.store.read(tenant).await?;
        let kept = rows::find_intent(&mut tx, id).await?;
        drop(tx);
        let kept = kept.ok_or_else(|| GatewayError::NoSuchIntent(id.to_string()))?;
        let intent = &kept.intent;
        let step = next_step(&intent.state, intent.request.method, intent.created_at, self.inner.base.now());
        Ok((kept, step))
    }

    /// The key to use; or how the intent ends, since there will be none.
    async fn linked_for(&self, intent: &Intent) -> Result<Result<Arc<Linked>, End>, GatewayError> {
        let linked = self.inner.vault.linked(&intent.connection).await?;
        if let Some(linked) = linked.filter(|linked| linked.connection.tenant == intent.tenant)
            && linked.connection.state == ConnectionState::Active
        {
            return Ok(Ok(linked));
        }
        let mut tx = self.inner.base.store.read(intent.tenant).await?;
        let connection = self.inner.vault.connection(&mut tx, &intent.connection).await?;
        drop(tx);
        match connection.map(|connection| connection.state) {
            Some(ConnectionState::KeyRefused { .. }) => Err(GatewayError::KeyRefused(intent.connection.clone())),
            // It was set to work a moment ago, and this node's memory does not know yet.
            Some(ConnectionState::Active) => Err(GatewayError::Busy),
            Some(ConnectionState::Disconnected) | None => Ok(Err(match intent.state {
                IntentState::Sent { .. } => {
                    End::InDoubt("It was sent, and its connection was ended before Stripe's answer came.".to_owned())
                }
                _ => {
                    End::Refused(Refusal::ours("connection_not_usable", "Its connection was ended before it was sent."))
                }
            })),
        }
    }

    async fn look_up(&self, linked: &Arc<Linked>, intent: &Intent) -> Result<LookedUp, GatewayError> {
        let found = match self.handler(&intent.purpose) {
            Some(handler) => handler.find(self, linked, intent).await?,
            None => Found::CannotTell,
        };
        let now = self.inner.base.now();
        match found {
            Found::Effect(answer) => {
                self.settle(intent, End::Done(Box::new((linked.connection.clone(), answer)))).await.map(LookedUp::Ended)
            }
            Found::NoEffect => {
                let mut tx = self.inner.base.store.begin(intent.tenant).await?;
                rows::mark_fresh(&mut tx, &intent.id, now).await?;
                tx.commit().await?;
                Ok(LookedUp::Fresh)
            }
            Found::CannotTell => match intent.state {
                // Its key still protects it: Stripe replays what it knows, or carries it out.
                IntentState::Sent { since, .. } if now.since(since) <= intent::KEY_SAFE_FOR => Ok(LookedUp::SendAgain),
                _ => {
                    let why = "It was sent, its answer was lost, and Stripe may have forgotten its idempotency key. Look at Stripe whether it had its effect.";
                    self.settle(intent, End::InDoubt(why.to_owned())).await.map(LookedUp::Ended)
                }
            },
        }
    }

    async fn send(&self, linked: &Arc<Linked>, kept: &Kept) -> Result<IntentOutcome, GatewayError> {
        let intent = &kept.intent;
        let now = self.inner.base.now();
        let (since, was_pending) = match intent.state {
            IntentState::Sent { since, .. } => (since, false),
            _ => (now, true),
        };
        let mut tx = self.inner.base.store.begin(intent.tenant).await?;
        rows::mark_sent(&mut tx, &intent.id, since, now).await?;
        tx.commit().await?;

        let request = intent.request.clone();
        let (outcome, maybe_effect) =
            self.call_noting_effect(linked, intent.on_account.as_deref(), request, intent.lane).await;
        let failure = match &outcome {
            Ok(_) => None,
            Err(GatewayError::Stripe(error)) => Some(failure_of(error)),
            Err(_) => Some(Failure::NoEffect),
        };
        let certainly_nothing = was_pending && !maybe_effect;
        match (outcome, failure) {
            (Ok(answer), _) => self.settle(intent, End::Done(Box::new((linked.connection.clone(), answer)))).await,
            (Err(GatewayError::Stripe(error)), Some(Failure::Refused)) => {
                self.settle(intent, End::Refused(Refusal::from_call_error(&error))).await
            }
            (Err(GatewayError::Stripe(error)), Some(Failure::Contradicted)) => {
                self.settle(intent, End::InDoubt(error.to_string())).await
            }
            (Err(error), failure) => {
                let setback = Setback {
                    back_to_pending: certainly_nothing,
                    failed_at_stripe: failure == Some(Failure::FailedAtStripe),
                    error: &error.to_string(),
                };
                let mut tx = self.inner.base.store.begin(intent.tenant).await?;
                rows::mark_setback(&mut tx, &intent.id, &setback, self.inner.base.now()).await?;
                tx.commit().await?;
                Err(error)
            }
        }
    }

    /// Ends an intent: what its answer changes and the mark are one transaction.
    async fn settle(&self, intent: &Intent, end: End) -> Result<IntentOutcome, GatewayError> {
        let now = self.inner.base.now();
        let mut tx = self.inner.base.store.begin(intent.tenant).await?;
        let kept = rows::lock_intent(&mut tx, &intent.id).await?;
        let kept = kept.ok_or_else(|| GatewayError::NoSuchIntent(intent.id.to_string()))?;
        if next_step(&kept.intent.state, intent.request.method, intent.created_at, now) == Step::Ended
            && !matches!(kept.intent.state, IntentState::InDoubt { .. })
        {
            // Another node was faster; its answer stands.
            return outcome_of(&kept.intent);
        }
        let handler = self.handler(&intent.purpose);
        let state = match &end {
            End::Done(done) => {
                let (connection, answer) = &**done;
                if let Some(observer) = self.observer()
                    && !redact::carries_secret(answer.response.text())
                {
                    observer.observed(&mut tx, connection, answer).await?;
                }
                if let Some(handler) = &handler {
                    handler.replied(self, &mut tx, &kept.intent, Reply::Done(answer)).await?;
                }
                IntentState::Done { at: now, answer: stored(answer) }
            }
            End::Refused(refusal) => {
                if let Some(handler) = &handler {
                    handler.replied(self, &mut tx, &kept.intent, Reply::Refused(refusal)).await?;
                }
                IntentState::Refused { at: now, refusal: refusal.clone() }
            }
            End::InDoubt(why) => {
                let payload = serde_json::json!({ "purpose": intent.purpose, "subject": intent.subject, "why": why });
                let id = intent.id.as_str();
                platform::notice::publish(&mut tx, &self.inner.base, "intent.in_doubt", id, payload).await?;
                IntentState::InDoubt { at: now, why: why.clone() }
            }
        };
        rows::mark_ended(&mut tx, &intent.id, &state, now).await?;
        tx.wake(WAKE);
        tx.commit().await?;
        tracing::info!(
            intent.id = %intent.id, intent.purpose = intent.purpose, intent.state = state.name(), "an intent ended"
        );
        outcome_of(&Intent { state, ..kept.intent })
    }

    /// A person says what becomes of an intent in doubt.
    ///
    /// # Errors
    /// [`GatewayError::NoSuchIntent`], and `Ok(None)` if it is not in doubt.
    pub async fn resolve(
        &self,
        tenant: TenantId,
        id: &IntentId,
        resolution: Resolution,
    ) -> Result<Option<()>, GatewayError> {
        let now = self.inner.base.now();
        let mut tx = self.inner.base.store.begin(tenant).await?;
        let kept = rows::lock_intent(&mut tx, id).await?;
        let kept = kept.ok_or_else(|| GatewayError::NoSuchIntent(id.to_string()))?;
        if !matches!(kept.intent.state, IntentState::InDoubt { .. }) {
            return Ok(None);
        }
        match resolution {
            Resolution::SendAgain => {
                rows::mark_fresh(&mut tx, id, now).await?;
                jobs::enqueue(&mut tx, &self.inner.base, id, now).await?;
            }
            Resolution::Abandon => {
                let refusal = Refusal::ours("abandoned", "A person looked at it and gave it up.");
                if let Some(handler) = self.handler(&kept.intent.purpose) {
                    handler.replied(self, &mut tx, &kept.intent, Reply::Refused(&refusal)).await?;
                }
                rows::mark_ended(&mut tx, id, &IntentState::Refused { at: now, refusal }, now).await?;
            }
        }
        tx.wake(WAKE);
        tx.commit().await?;
        Ok(Some(()))
    }
}

/// Topic of wakes: the outbox changed.
pub const WAKE: &str = "outbox";

/// What a person decides about an intent in doubt.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Resolution {
    /// It had no effect: send it again, under a new key.
    SendAgain,
    /// Leave it; whoever asked is told that it was refused.
    Abandon,
}

/// How many intents stand in each state.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct OutboxCounts {
    /// Not sent yet.
    pub pending: i64,
    /// Sent, without an answer that settles them.
    pub sent: i64,
    /// Done.
    pub done: i64,
    /// Refused by Stripe.
    pub refused: i64,
    /// Waiting for a person.
    pub in_doubt: i64,
}

/// How an intent is to end.
enum End {
    Done(Box<(Connection, Answer)>),
    Refused(Refusal),
    InDoubt(String),
}

enum LookedUp {
    Ended(IntentOutcome),
    /// Under the same key.
    SendAgain,
    /// Under a new key, after reading it again.
    Fresh,
}

fn stored(answer: &Answer) -> StoredAnswer {
    StoredAnswer {
        status: answer.response.status,
        request_id: answer.response.notes.request_id.clone(),
        body: redact::redacted_text(answer.response.text()),
    }
}

fn outcome_of(intent: &Intent) -> Result<IntentOutcome, GatewayError> {
    match &intent.state {
        IntentState::Done { answer, .. } => Ok(IntentOutcome::Done(answer.clone())),
        IntentState::Refused { refusal, .. } => Ok(IntentOutcome::Refused(refusal.clone())),
        IntentState::InDoubt { why, .. } => Ok(IntentOutcome::InDoubt(why.clone())),
        IntentState::Pending | IntentState::Sent { .. } => {
            Err(GatewayError::Unsettled { intent: intent.id.clone(), until: Time::default() })
        }
    }
}

/// Whether a try of a write may have had an effect although it gave no usable answer.
pub(crate) fn may_have_had_effect(error: &CallError) -> bool {
    error.may_have_had_effect() || failure_of(error) == Failure::Unknown
}
