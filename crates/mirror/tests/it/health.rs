//! What a connection tells of itself: what is complete, whether webhooks arrive, what its reads were for.

use crate::world::{TENANT, World, world, world_with};
use inbox::Source;
use kit::Secret;
use mirror::{CoverageVerdict, SyncKind};
use serde_json::{Value, json};
use simulator::Business;
use stripe::{ObjectKind, Params, Request, api};
use testkit::{Call, SimulatedStripe, Stage};

testkit::on_both_engines!(
    what_is_complete_is_told_kind_by_kind,
    what_the_key_may_not_read_is_a_gap,
    more_history_is_not_claimed_before_it_is_read,
    a_silence_of_webhooks_is_noticed_and_its_end,
    reads_are_told_by_what_they_were_for,
    the_balance_is_read_without_the_event_list,
);

const ALL_READ: [&str; 11] = [
    "rak_charge_read",
    "rak_dispute_read",
    "rak_balance_transaction_source_read",
    "rak_customer_read",
    "rak_product_read",
    "rak_plan_read",
    "rak_subscription_read",
    "rak_invoice_read",
    "rak_payout_read",
    "rak_event_read",
    "rak_refund_read",
];

/// A world whose key lacks one permission.
async fn world_without(stage: Stage, lacking: &str) -> World {
    let stripe = SimulatedStripe::start(&stage).await;
    stripe.generate(&Business { customers: 20, charges: 80, ..Business::default() });
    let permissions: Vec<&str> = ALL_READ.iter().copied().filter(|name| *name != lacking).collect();
    let key: Secret = stripe.simulator.restricted_key(&stripe.account.account_id, false, &permissions).unwrap();
    world_with(stage, stripe, key, Some(400)).await
}

async fn coverage(world: &World) -> Value {
    let path = format!("/v1/connections/{}/coverage", world.connection.id);
    Call::get(&path).send(&world.router()).await.expect(200).json()
}

fn kind<'a>(coverage: &'a Value, name: &str) -> &'a Value {
    coverage["kinds"].as_array().unwrap().iter().find(|kind| kind["object_type"] == name).unwrap()
}

/// `complete/listed complete/events …`
fn spans(kind: &Value) -> String {
    let spans = kind["spans"].as_array().unwrap().iter();
    let word = |span: &Value, name: &str| span[name].as_str().unwrap().to_owned();
    spans.map(|span| format!("{}/{}", word(span, "known"), word(span, "why"))).collect::<Vec<_>>().join(" ")
}

async fn what_is_complete_is_told_kind_by_kind(stage: Stage) {
    let world = world(stage).await;
    let never = coverage(&world).await;
    assert_eq!((&never["complete"], spans(kind(&never, "charge")).as_str()), (&json!(0), "gap/not_begun"));
    world.stripe.generate(&Business { customers: 20, charges: 80, ..Business::default() });
    let _working = world.working();
    assert_eq!(world.sync(SyncKind::Full).await.state, "completed");
    world.pass(900);
    assert_eq!(world.sync(SyncKind::Incremental).await.state, "completed");
    world.process().await;
    world.pass(60);
    let known = coverage(&world).await;
    assert_eq!(known["complete"], 11, "{known}");
    let by_events = "complete/listed complete/events unproven/next_reading";
    assert_eq!(spans(kind(&known, "charge")), by_events);
    let through = kind(&known, "charge")["as_of"].as_str().unwrap().to_owned();
    assert_eq!(through, (world.stage.now() - std::time::Duration::from_secs(360)).to_string());
    assert_eq!(
        spans(kind(&known, "balance_transaction")),
        "complete/listed complete/listed_regularly unproven/next_reading"
    );

    // An event that waits takes back what it may have changed.
    world.at_stripe(Request::post("/v1/customers", Params::none().with("name", "Late"))).await;
    world.pass(900);
    world.sync(SyncKind::Incremental).await;
    let waits = coverage(&world).await;
    assert!(spans(kind(&waits, "customer")).contains("unproven/events_waiting"), "{waits}");
    assert_eq!(spans(kind(&waits, "charge")), by_events);
    world.process().await;
    assert_eq!(spans(kind(&coverage(&world).await, "customer")), by_events);

    // Nobody read for longer than Stripe keeps events.
    world.pass(40 * 86_400);
    let away = coverage(&world).await;
    assert_eq!(
        (&away["complete"], spans(kind(&away, "charge")).as_str()),
        (&json!(0), "complete/listed complete/events gap/downtime")
    );
    assert!(kind(&away, "charge")["what_to_do"].as_str().unwrap().contains("full sync"));
    world.sync(SyncKind::Incremental).await;
    world.process().await;
    assert_eq!(coverage(&world).await["complete"], 11, "everything was listed again");
}

async fn what_the_key_may_not_read_is_a_gap(stage: Stage) {
    let world = world_without(stage, "rak_payout_read").await;
    let _working = world.working();
    world.sync(SyncKind::Full).await;
    world.process().await;
    let known = coverage(&world).await;
    assert_eq!((&known["complete"], &known["lookback_days"]), (&json!(10), &json!(400)));
    let payouts = kind(&known, "payout");
    assert_eq!(
        (&payouts["verdict"], spans(payouts).as_str()),
        (&json!("incomplete"), "not_asked/lookback gap/forbidden")
    );
    assert!(payouts["reason"].as_str().unwrap().contains("rak_payout_read"), "{payouts}");
    assert!(spans(kind(&known, "charge")).starts_with("not_asked/lookback complete/listed"), "{known}");
    assert!(
        spans(kind(&known, "customer")).starts_with("complete/listed"),
        "whom it happens to is asked for from the beginning"
    );
    let connection = world.connection.clone();
    let found = world.mirror.coverage(&connection).await.unwrap();
    assert_eq!(found.kinds.iter().filter(|kind| kind.verdict == CoverageVerdict::Incomplete).count(), 1);
}

async fn more_history_is_not_claimed_before_it_is_read(stage: Stage) {
    let world = world_without(stage, "rak_payout_read").await;
    let _working = world.working();
    world.sync(SyncKind::Full).await;
    let (account, id) = (&world.stripe.account.account_id, &world.connection.id);
    let key = world.stripe.simulator.restricted_key(account, false, &ALL_READ).unwrap();
    let mut tx = world.stage.store.begin(TENANT).await.unwrap();
    world.vault.set_lookback_days(&mut tx, id, None).await.unwrap();
    world.vault.replace_key(&mut tx, id, &key, "rk_test_…", "restricted").await.unwrap();
    tx.commit().await.unwrap();
    world.pass(900);
    // What was left of 400 days is read now; nobody has read what is older.
    world.sync(SyncKind::Incremental).await;
    let known = coverage(&world).await;
    assert!(spans(kind(&known, "payout")).starts_with("not_asked/lookback complete/listed"), "{known}");
    world.sync(SyncKind::Full).await;
    let known = coverage(&world).await;
    assert!(spans(kind(&known, "payout")).starts_with("complete/listed"), "{known}");
}

/// Lets the mirror look after webhooks once, as its schedule does.
async fn look_after(world: &World) {
    world.mirror.look_after_webhooks(&world.connection).await.unwrap();
}

async fn notices(world: &World, topic: &str) -> usize {
    let mut tx = world.stage.store.read(TENANT).await.unwrap();
    platform::notice::subjects(&mut tx, topic).await.unwrap().len()
}

async fn a_silence_of_webhooks_is_noticed_and_its_end(stage: Stage) {
    let world = world(stage).await;
    let liveness = async || {
        let path = format!("/v1/connections/{}/liveness", world.connection.id);
        let found: Value = Call::get(&path).send(&world.router()).await.expect(200).json();
        found["state"].as_str().unwrap().to_owned()
    };
    assert_eq!(liveness().await, "not_set_up");
    let mut tx = world.stage.store.begin(TENANT).await.unwrap();
    world.vault.add_webhook_secret(&mut tx, &world.connection.id, &Secret::from("whsec_0123456789")).await.unwrap();
    tx.commit().await.unwrap();
    assert_eq!(liveness().await, "unproven");
    let _working = world.working();
    world.sync(SyncKind::Full).await;
    assert_eq!(liveness().await, "nothing_to_hear");
    look_after(&world).await;

    // An event of which no webhook tells.
    world.at_stripe(Request::post("/v1/customers", Params::none().with("name", "Unheard"))).await;
    world.pass(900);
    world.sync(SyncKind::Incremental).await;
    world.process().await;
    assert_eq!(liveness().await, "silent");
    for _ in 0..2 {
        look_after(&world).await;
    }
    assert_eq!((notices(&world, inbox::SILENT).await, notices(&world, inbox::HEARD_AGAIN).await), (1, 0), "told once");

    world.pass(60);
    world.at_stripe(Request::post("/v1/customers", Params::none().with("name", "Heard"))).await;
    let list = world.at_stripe(api::events(&api::EventListParams::default())).await;
    let body = list["data"][0].to_string();
    let mut tx = world.stage.store.begin(TENANT).await.unwrap();
    world.inbox.accept(&mut tx, &world.connection, Source::Webhook, &[&body]).await.unwrap();
    tx.commit().await.unwrap();
    world.process().await;
    assert_eq!(liveness().await, "alive");
    look_after(&world).await;
    assert_eq!((notices(&world, inbox::SILENT).await, notices(&world, inbox::HEARD_AGAIN).await), (1, 1));
}

async fn reads_are_told_by_what_they_were_for(stage: Stage) {
    let world = world(stage).await;
    world.stripe.generate(&Business { customers: 20, charges: 80, ..Business::default() });
    let _working = world.working();
    let job = world.sync(SyncKind::Full).await;
    world.pass(86_400);
    world.sync(SyncKind::Incremental).await;
    world.gateway.flush_counts().await.unwrap();
    let path = format!("/v1/connections/{}/reads", world.connection.id);
    let reads: Value = Call::get(&path).send(&world.router()).await.expect(200).json();
    let purposes = &reads["reads_for"];
    assert!(purposes["sync"].as_i64().unwrap() >= 11 && job.calls >= 12, "{reads}");
    assert!(purposes["sweep"].as_i64().unwrap() >= 2 && purposes["other"] == 0, "{reads}");
    assert_eq!((&reads["allocation"]["state"], &reads["allocation"]["allowed"]), (&json!("calm"), &json!(10_000)));
    assert_eq!(reads["allocation"]["transactions"], json!(null), "payments are counted once it matters");
    let idle = reads["idle_30_days"].as_i64().unwrap();
    assert!(idle < 3_000 && reads["projected_30_days"].as_i64().unwrap() < 3_000, "{reads}");
}

async fn the_balance_is_read_without_the_event_list(stage: Stage) {
    let world = world_without(stage, "rak_event_read").await;
    let _working = world.working();
    world.sync(SyncKind::Full).await;
    let before = world.mirrored("balance_transaction").await.len();
    let payment = Params::none().with("amount", 500).with("currency", "usd").with("confirm", true);
    let payment = payment.with("payment_method", "pm_card_visa");
    world.at_stripe(Request::post("/v1/payment_intents", payment)).await;
    world.pass(900);
    world.sync(SyncKind::Incremental).await;
    assert!(world.mirrored("balance_transaction").await.len() > before, "the payment has moved the balance");
    let known = coverage(&world).await;
    assert!(spans(kind(&known, "charge")).ends_with("gap/events_forbidden"), "{known}");
    assert_eq!(kind(&known, "balance_transaction")["verdict"], "complete");
    assert_eq!(ObjectKind::ALL.len(), known["kinds"].as_array().unwrap().len());
}
