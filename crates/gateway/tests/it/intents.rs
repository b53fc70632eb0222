//! Intents: done once, whatever breaks between two lines.

use crate::{
    OTHER_TENANT, TENANT, World, quick,
    scripted::{Scripted, Turn, error},
};
use async_trait::async_trait;
use gateway::{
    Answer, Found, Gateway, GatewayError, Intent, IntentId, IntentOutcome, IntentState, Lane, NewIntent,
    ObservedReplies, Reply, ReplyHandler, Resolution, RetryLater,
};
use std::{
    sync::{Arc, Mutex},
    time::Duration,
};
use store::TenantTx;
use stripe::{Request, request::Params};
use testkit::{Call, Served, Stage, on_both_engines, wait_for};
use vault::{Connection, ConnectionId, Linked};

on_both_engines!(
    an_intent_is_done_once_and_its_answer_taken_with_the_mark,
    a_lost_answer_is_fetched_under_the_same_key,
    a_refusal_is_told_and_kept_in_stripes_words,
    a_failure_that_the_key_remembers_is_looked_up_and_sent_under_another,
    after_a_day_it_is_looked_up_or_left_to_a_person,
    what_certainly_had_no_effect_is_pending_again,
    an_answer_that_cannot_be_taken_is_offered_again,
    an_intent_of_an_ended_connection_ends,
    an_intent_waits_for_a_key_that_works,
    jobs_carry_intents_out_and_the_sweep_finds_the_rest,
    nobody_sees_another_tenants_outbox,
);

const PURPOSE: &str = "test.write";

#[derive(Default)]
struct Told {
    done: Vec<String>,
    refused: Vec<String>,
    observed: usize,
    fail_next: usize,
    found: Option<Found>,
    looked: usize,
}

#[derive(Clone, Default)]
struct Handler(Arc<Mutex<Told>>);

impl Handler {
    fn told(&self) -> std::sync::MutexGuard<'_, Told> {
        self.0.lock().unwrap()
    }
}

#[async_trait]
impl ReplyHandler for Handler {
    fn purpose(&self) -> &'static str {
        PURPOSE
    }
    async fn replied(
        &self,
        _: &Gateway,
        _: &mut TenantTx,
        intent: &Intent,
        reply: Reply<'_>,
    ) -> Result<(), GatewayError> {
        let mut told = self.told();
        if told.fail_next > 0 {
            told.fail_next -= 1;
            let (purpose, intent) = (intent.purpose.clone(), intent.id.to_string());
            return Err(GatewayError::AnswerNotTaken {
                purpose,
                intent,
                detail: "not now".to_owned(),
                can_retry: true,
            });
        }
        match reply {
            Reply::Done(answer) => told.done.push(answer.response.text().to_owned()),
            Reply::Refused(refusal) => told.refused.push(refusal.code.clone()),
        }
        Ok(())
    }
    async fn find(&self, _: &Gateway, _: &Arc<Linked>, _: &Intent) -> Result<Found, GatewayError> {
        let mut told = self.told();
        told.looked += 1;
        Ok(told.found.clone().unwrap_or(Found::CannotTell))
    }
}

#[async_trait]
impl ObservedReplies for Handler {
    async fn observed(&self, _: &mut TenantTx, _: &Connection, _: &Answer) -> Result<(), GatewayError> {
        self.told().observed += 1;
        Ok(())
    }
}

struct Play {
    world: World,
    stripe: Scripted,
    handler: Handler,
    connection: ConnectionId,
    _served: Served,
}

async fn play(stage: &Stage) -> Play {
    let stripe = Scripted::default();
    let served = stripe.serve().await;
    let world = World::new(stage, quick(&served.url("")));
    let handler = Handler::default();
    world.gateway.handle_replies(Arc::new(handler.clone()));
    world.gateway.observe_with(Arc::new(handler.clone()));
    let connection = world.connected("sk_test_scripted").await;
    Play { world, stripe, handler, connection, _served: served }
}

impl Play {
    async fn intend(&self, lane: Lane) -> IntentId {
        let request = Request::post("/v1/webhook_endpoints", Params::none().with("url", "https://a.example"));
        let new = NewIntent {
            connection: self.connection.clone(),
            request,
            on_account: None,
            lane,
            purpose: PURPOSE,
            subject: "subject_1".to_owned(),
        };
        let mut tx = self.world.stage.store.begin(TENANT).await.unwrap();
        let id = self.world.gateway.intend(&mut tx, new).await.unwrap();
        tx.commit().await.unwrap();
        id
    }

    async fn carry_out(&self, id: &IntentId) -> Result<IntentOutcome, GatewayError> {
        self.world.gateway.carry_out(TENANT, id).await
    }

    async fn intent(&self, id: &IntentId) -> Intent {
        let mut tx = self.world.stage.store.read(TENANT).await.unwrap();
        self.world.gateway.intent(&mut tx, id).await.unwrap().expect("the intent is there")
    }

    async fn state(&self, id: &IntentId) -> &'static str {
        self.intent(id).await.state.name()
    }

    fn keys(&self) -> Vec<String> {
        self.stripe.with(|seen| seen.calls.iter().filter_map(|call| call.2.clone()).collect())
    }
}

async fn an_intent_is_done_once_and_its_answer_taken_with_the_mark(stage: Stage) {
    let play = play(&stage).await;
    let id = play.intend(Lane::Interactive).await;
    assert_eq!((play.state(&id).await, play.stripe.calls()), ("pending", 0), "recorded before it is done");
    let outcome = play.carry_out(&id).await.unwrap();
    let IntentOutcome::Done(answer) = &outcome else { panic!("{outcome:?}") };
    assert_eq!(answer.request_id.as_deref(), Some("req_scripted"));
    let body = answer.body.as_deref().unwrap();
    assert!(body.contains("we_1") && !body.contains("whsec"), "{body}");
    assert!(play.handler.told().done[0].contains("whsec_scripted"), "the handler gets the whole answer");
    assert_eq!(play.carry_out(&id).await.unwrap(), outcome, "a second run finds the first one's outcome");
    assert_eq!(play.stripe.effects(), 1);
    assert_eq!(play.keys(), [format!("bursar-{id}")]);
    let told = play.handler.told();
    assert_eq!((told.done.len(), told.observed), (1, 1));
}

async fn a_lost_answer_is_fetched_under_the_same_key(stage: Stage) {
    let play = play(&stage).await;
    let id = play.intend(Lane::Background).await;
    play.stripe.next(vec![Turn::EffectThenCut; 4]);
    let error = play.carry_out(&id).await.unwrap_err();
    assert_eq!((error.code(), error.retry_advice()), ("stripe_unreachable", RetryLater::Soon));
    assert_eq!(play.state(&id).await, "sent", "it may have had its effect");
    stage.clock.advance(Duration::from_secs(3_600));
    assert!(matches!(play.carry_out(&id).await.unwrap(), IntentOutcome::Done(_)));
    assert_eq!(play.stripe.effects(), 1, "five tries, one effect");
    assert_eq!(play.intent(&id).await.tries, 2);
    let mut keys = play.keys();
    keys.dedup();
    assert_eq!(keys, [format!("bursar-{id}")]);
}

async fn a_refusal_is_told_and_kept_in_stripes_words(stage: Stage) {
    let play = play(&stage).await;
    let id = play.intend(Lane::Interactive).await;
    let declined = serde_json::json!({"type": "card_error", "code": "card_declined", "decline_code": "insufficient_funds", "param": "x", "message": "No funds."});
    play.stripe.next([Turn::Refuse(402, declined)]);
    let outcome = play.carry_out(&id).await.unwrap();
    let IntentOutcome::Refused(refusal) = outcome else { panic!("{outcome:?}") };
    assert_eq!((refusal.code.as_str(), refusal.status), ("stripe_declined", Some(402)));
    assert_eq!(refusal.decline_code.as_deref(), Some("insufficient_funds"));
    assert_eq!(refusal.request_id.as_deref(), Some("req_scripted"));
    assert_eq!(play.handler.told().refused, ["stripe_declined"]);
    let shown = Call::get(&format!("/v1/outbox/{id}")).send(&play.world.router()).await.expect(200);
    let shown: serde_json::Value = shown.json();
    assert_eq!((&shown["state"], &shown["refusal"]["stripe_code"]), (&"refused".into(), &"card_declined".into()));
}

async fn a_failure_that_the_key_remembers_is_looked_up_and_sent_under_another(stage: Stage) {
    let play = play(&stage).await;
    let id = play.intend(Lane::Background).await;
    play.stripe.next([Turn::FailForKey]);
    let error = play.carry_out(&id).await.unwrap_err();
    assert_eq!(error.code(), "stripe_failed");
    let error = play.carry_out(&id).await.unwrap_err();
    assert!(matches!(error, GatewayError::Unsettled { .. }), "Stripe is given time to come to rest: {error:?}");
    stage.clock.advance(Duration::from_secs(61));
    let error = play.carry_out(&id).await.unwrap_err();
    assert_eq!(
        (error.code(), play.handler.told().looked),
        ("stripe_failed", 1),
        "it cannot tell: the key still protects"
    );
    stage.clock.advance(Duration::from_secs(61));
    play.handler.told().found = Some(Found::NoEffect);
    assert!(matches!(play.carry_out(&id).await.unwrap(), IntentOutcome::Done(_)));
    assert_eq!(play.stripe.effects(), 1);
    assert_eq!(play.keys().last().unwrap(), &format!("bursar-{id}-1"));
}

async fn after_a_day_it_is_looked_up_or_left_to_a_person(stage: Stage) {
    let play = play(&stage).await;
    let id = play.intend(Lane::Background).await;
    play.stripe.next(vec![Turn::EffectThenCut; 4]);
    play.carry_out(&id).await.unwrap_err();
    stage.clock.advance(Duration::from_secs(24 * 3_600));
    let calls = play.stripe.calls();
    let outcome = play.carry_out(&id).await.unwrap();
    assert!(matches!(outcome, IntentOutcome::InDoubt(_)), "{outcome:?}");
    assert_eq!(play.stripe.calls(), calls, "a forgotten key would run again: nothing is sent");
    // A person found no effect at Stripe.
    let router = play.world.router();
    let path = format!("/v1/outbox/{id}/resolve");
    Call::post(&path)
        .json(&serde_json::json!({"resolution": "nonsense"}))
        .send(&router)
        .await
        .expect_problem(400, "bad_field");
    let again = serde_json::json!({"resolution": "send_again"});
    Call::post(&path).json(&again).send(&router).await.expect(200);
    assert!(matches!(play.carry_out(&id).await.unwrap(), IntentOutcome::Done(_)));
    Call::post(&path).json(&again).send(&router).await.expect_problem(409, "intent_not_in_doubt");
    // Another one is found at Stripe.
    let id = play.intend(Lane::Background).await;
    play.stripe.next(vec![Turn::EffectThenCut; 4]);
    play.carry_out(&id).await.unwrap_err();
    stage.clock.advance(Duration::from_secs(24 * 3_600));
    let linked = play.world.linked(&play.connection).await;
    let seen = play.world.gateway.call(&linked, stripe::api::balance(), Lane::Background).await.unwrap();
    play.handler.told().found = Some(Found::Effect(seen));
    let effects = play.stripe.effects();
    assert!(matches!(play.carry_out(&id).await.unwrap(), IntentOutcome::Done(_)));
    assert_eq!(play.stripe.effects(), effects);
    // And one is given up by a person.
    play.handler.told().found = None;
    let id = play.intend(Lane::Background).await;
    play.stripe.next(vec![Turn::EffectThenCut; 4]);
    play.carry_out(&id).await.unwrap_err();
    stage.clock.advance(Duration::from_secs(24 * 3_600));
    play.carry_out(&id).await.unwrap();
    play.world.gateway.resolve(TENANT, &id, Resolution::Abandon).await.unwrap().unwrap();
    assert_eq!(
        (play.state(&id).await, play.handler.told().refused.as_slice()),
        ("refused", &["abandoned".to_owned()][..])
    );
}

async fn what_certainly_had_no_effect_is_pending_again(stage: Stage) {
    let play = play(&stage).await;
    let id = play.intend(Lane::Background).await;
    play.stripe.next(vec![Turn::Refuse(429, error("rate_limit")); 6]);
    assert_eq!(play.carry_out(&id).await.unwrap_err().code(), "stripe_rate_limited");
    assert_eq!(play.state(&id).await, "pending");
    // One try that may have had an effect is enough, even if the last one had none.
    let mut turns = vec![Turn::EffectThenCut];
    turns.extend(vec![Turn::Refuse(429, error("rate_limit")); 6]);
    play.stripe.next(turns);
    assert_eq!(play.carry_out(&id).await.unwrap_err().code(), "stripe_rate_limited");
    assert_eq!(play.state(&id).await, "sent");
    play.carry_out(&id).await.unwrap();
    assert_eq!(play.stripe.effects(), 1);
    // One that never got there is given up after a week.
    let id = play.intend(Lane::Background).await;
    stage.clock.advance(Duration::from_secs(8 * 24 * 3_600));
    let outcome = play.carry_out(&id).await.unwrap();
    assert!(matches!(&outcome, IntentOutcome::Refused(refusal) if refusal.code == "intent_expired"), "{outcome:?}");
}

async fn an_answer_that_cannot_be_taken_is_offered_again(stage: Stage) {
    let play = play(&stage).await;
    let id = play.intend(Lane::Interactive).await;
    play.handler.told().fail_next = 1;
    let error = play.carry_out(&id).await.unwrap_err();
    assert_eq!((error.code(), error.retry_advice()), ("answer_not_taken", RetryLater::Soon));
    assert_eq!(play.state(&id).await, "sent", "the mark is rolled back with the effect");
    assert!(matches!(play.carry_out(&id).await.unwrap(), IntentOutcome::Done(_)));
    assert_eq!((play.stripe.effects(), play.handler.told().done.len()), (1, 1));
}

async fn an_intent_of_an_ended_connection_ends(stage: Stage) {
    let play = play(&stage).await;
    let pending = play.intend(Lane::Background).await;
    let sent = play.intend(Lane::Background).await;
    play.stripe.next(vec![Turn::EffectThenCut; 4]);
    play.carry_out(&sent).await.unwrap_err();
    play.world.gateway.disconnect(TENANT, &play.connection, false).await.unwrap();
    let outcome = play.carry_out(&pending).await.unwrap();
    assert!(matches!(&outcome, IntentOutcome::Refused(refusal) if refusal.code == "connection_not_usable"));
    assert!(matches!(play.carry_out(&sent).await.unwrap(), IntentOutcome::InDoubt(_)));
}

async fn an_intent_waits_for_a_key_that_works(stage: Stage) {
    let play = play(&stage).await;
    let id = play.intend(Lane::Background).await;
    play.stripe.next([Turn::Refuse(401, error("api_key_expired"))]);
    assert_eq!(play.carry_out(&id).await.unwrap_err().code(), "stripe_key_refused");
    assert_eq!(play.carry_out(&id).await.unwrap_err().code(), "stripe_key_refused");
    assert_eq!((play.state(&id).await, play.stripe.calls()), ("pending", 1));
    let mut tx = stage.store.begin(TENANT).await.unwrap();
    let key = kit::Secret::from("sk_test_another");
    play.world.gateway.vault().replace_key(&mut tx, &play.connection, &key, "sk_test_…", "secret").await.unwrap();
    tx.commit().await.unwrap();
    assert!(matches!(play.carry_out(&id).await.unwrap(), IntentOutcome::Done(_)));
}

async fn jobs_carry_intents_out_and_the_sweep_finds_the_rest(stage: Stage) {
    let play = play(&stage).await;
    let base = &play.world.base;
    // An intent whose job ended as dead.
    let lost = play.intend(Lane::Background).await;
    let deadly = platform::JobKind::new("gateway.carry_out", |_| async {
        Err(platform::JobError::GiveUp("it cannot be done".to_owned()))
    });
    let stopping = platform::CancellationToken::new();
    let killing = tokio::spawn(platform::worker::run(base.clone(), vec![deadly], stopping.clone()));
    let counts_are = async |expected: platform::job::JobCounts| {
        let mut tx = stage.store.read_system().await.unwrap();
        (platform::job::counts(&mut tx).await.unwrap() == expected).then_some(())
    };
    let one_dead = platform::job::JobCounts { dead: 1, ..Default::default() };
    wait_for("the job to be dead", || counts_are(one_dead)).await;
    stopping.cancel();
    killing.await.unwrap();
    assert_eq!(play.state(&lost).await, "pending");

    let background = play.intend(Lane::Background).await;
    let interactive = play.intend(Lane::Interactive).await;
    let _working = play.world.working();
    let done = async |id: &IntentId| matches!(play.intent(id).await.state, IntentState::Done { .. }).then_some(());
    wait_for("the background intent's job", || done(&background)).await;
    assert_eq!(play.state(&interactive).await, "pending", "whoever waits has a head start");
    stage.clock.advance(Duration::from_secs(31));
    wait_for("the interactive intent's safety net", || done(&interactive)).await;

    stage.clock.advance(Duration::from_secs(16 * 60));
    let mut tx = stage.store.begin_system().await.unwrap();
    let sweep = platform::NewJob::new("gateway.sweep_outbox", None, &serde_json::json!({}), stage.now());
    platform::job::enqueue(&mut tx, base, sweep).await.unwrap();
    tx.commit().await.unwrap();
    wait_for("the sweep to bring the lost one back", || done(&lost)).await;
    assert_eq!(play.stripe.effects(), 3);
    wait_for("no job to be left", || counts_are(one_dead)).await;
}

async fn nobody_sees_another_tenants_outbox(stage: Stage) {
    let play = play(&stage).await;
    let first = play.intend(Lane::Background).await;
    stage.clock.advance(Duration::from_secs(1));
    let second = play.intend(Lane::Background).await;
    play.carry_out(&first).await.unwrap();
    let mine = play.world.router();
    let page: serde_json::Value = Call::get("/v1/outbox?limit=1").send(&mine).await.expect(200).json();
    assert_eq!((&page["data"][0]["id"], &page["has_more"]), (&second.as_str().into(), &true.into()), "newest first");
    let next = page["next_cursor"].as_str().unwrap();
    let page: serde_json::Value =
        Call::get(&format!("/v1/outbox?limit=1&cursor={next}")).send(&mine).await.expect(200).json();
    assert_eq!((&page["data"][0]["id"], &page["has_more"]), (&first.as_str().into(), &false.into()));
    let page: serde_json::Value = Call::get("/v1/outbox?state=done").send(&mine).await.expect(200).json();
    assert_eq!(page["data"].as_array().unwrap().len(), 1);
    let text = Call::get(&format!("/v1/outbox/{first}")).send(&mine).await.expect(200).text();
    assert!(!text.contains("whsec"), "{text}");
    Call::get("/v1/outbox?cursor=nonsense!").send(&mine).await.expect_problem(400, "bad_field");
    let theirs = play.world.router_for(OTHER_TENANT, kit::Environment::Test);
    let page: serde_json::Value = Call::get("/v1/outbox").send(&theirs).await.expect(200).json();
    assert_eq!(page["data"], serde_json::json!([]));
    Call::get(&format!("/v1/outbox/{first}")).send(&theirs).await.expect_problem(404, "not_found");
    let error = play.world.gateway.carry_out(OTHER_TENANT, &first).await.unwrap_err();
    assert!(matches!(error, GatewayError::NoSuchIntent(_)));
    let mut tx = stage.store.read(TENANT).await.unwrap();
    let counts = play.world.gateway.outbox_counts(&mut tx).await.unwrap();
    assert_eq!((counts.done, counts.pending), (1, 1));
}
