//! What Stripe and strangers meet at the door.

use crate::world::{GLOBAL, LIVE, SECRET, TEST, World, connect, event, event_of, signed, world, world_with};
use inbox::{EventFilter, InboxOptions, Source, State, source::Allowlist};
use kit::{Environment, PageRequest, Secret, TenantId};
use std::{net::SocketAddr, time::Duration};
use testkit::{Call, Logs, Stage};

testkit::on_both_engines!(
    a_delivery_is_acknowledged_and_kept_byte_for_byte,
    what_opens_a_payment_is_not_kept,
    the_same_event_twice_is_kept_once_however_it_comes,
    many_deliveries_at_once_are_all_kept,
    what_is_acknowledged_survives_a_restart,
    what_proves_nothing_is_refused_by_name,
    what_is_no_event_is_refused_by_name,
    bodies_have_a_bound,
    either_secret_serves_while_one_is_rolled,
    the_global_endpoint_finds_the_connection_by_account,
    an_event_without_account_is_the_platform_s_own,
    test_and_live_do_not_mix,
    only_listed_senders_may_deliver,
    without_a_database_stripe_is_asked_to_come_again,
    refusals_are_counted_and_nothing_sent_is_logged,
);

async fn events(world: &World, tenant: TenantId) -> Vec<inbox::EventSummary> {
    world.inbox.list(tenant, &EventFilter::default(), &PageRequest::default()).await.unwrap().data
}

async fn a_delivery_is_acknowledged_and_kept_byte_for_byte(stage: Stage) {
    let world = world(stage).await;
    let body = event("evt_1");
    let answer = world.deliver(&body).await.expect(200);
    assert_eq!(answer.text(), r#"{"received":true}"#);
    assert_eq!(answer.header("content-type"), Some("application/json"));

    let detail = world.inbox.event(TEST, "evt_1").await.unwrap();
    assert_eq!(detail.body.unwrap().get(), body);
    let summary = detail.summary;
    assert_eq!((summary.state, summary.source, summary.retry_count), (State::Ready, Source::Webhook, 0));
    assert_eq!((summary.event_type.as_str(), summary.account_id.as_str()), ("charge.updated", "acct_1"));
    assert_eq!(
        (summary.object_type.as_deref(), summary.object_id.as_deref()),
        (Some("charge"), Some("charge_of_evt_1"))
    );
    assert_eq!(summary.api_version.as_deref(), Some("2026-10-28.endive"));
    assert_eq!((summary.created, summary.received_at), (testkit::START - Duration::from_secs(2), testkit::START));
    assert!(!summary.thin);
}

async fn what_opens_a_payment_is_not_kept(stage: Stage) {
    let world = world(stage).await;
    let with_secret =
        |id: &str| event(id).replacen(r#""object": {"#, r#""object": { "client_secret": "pi_1_secret_2","#, 1);
    assert!(with_secret("evt_1").contains("pi_1_secret_2"), "{}", with_secret("evt_1"));
    // Two in one commit: what is stored of the second begins where the shortened first ends.
    let path = format!("/webhooks/stripe/{}", world.connection.id);
    let (first, second) = (with_secret("evt_1"), event("evt_2"));
    let send = |body: &str| signed(&path, body, &[SECRET], world.stage.now());
    let router = world.router();
    let (one, other) = futures::join!(send(&first).send(&router), send(&second).send(&router));
    one.expect(200);
    other.expect(200);
    let swept = with_secret("evt_3");
    let mut tx = world.stage.store.begin(TEST).await.unwrap();
    world.inbox.accept(&mut tx, &world.connection, Source::Sweep, &[&swept, &event("evt_4")]).await.unwrap();
    tx.commit().await.unwrap();
    for (id, sent) in [("evt_1", first), ("evt_2", second), ("evt_3", swept), ("evt_4", event("evt_4"))] {
        let kept = world.inbox.event(TEST, id).await.unwrap().body.unwrap();
        assert_eq!(kept.get(), sent.replace("pi_1_secret_2", "[redacted]"), "{id}");
    }
    world.process().await;
    assert_eq!(world.effects(TEST).await, 4);
}

async fn the_same_event_twice_is_kept_once_however_it_comes(stage: Stage) {
    let world = world(stage).await;
    world.deliver(&event("evt_1")).await.expect(200);
    world.deliver(&event("evt_1")).await.expect(200);
    world.inbox.settle().await.unwrap();
    let mut tx = world.stage.store.begin(TEST).await.unwrap();
    let (known, new) = (event("evt_1"), event("evt_2"));
    let accepted = world.inbox.accept(&mut tx, &world.connection, Source::Sweep, &[&known, &new, &new]).await.unwrap();
    tx.commit().await.unwrap();
    assert_eq!((accepted.new, accepted.known), (1, 2));
    world.deliver(&event("evt_2")).await.expect(200);
    assert_eq!(events(&world, TEST).await.len(), 2);
    world.process().await;
    assert_eq!(world.effects(TEST).await, 2);
    world.deliver(&event("evt_2")).await.expect(200);
    world.process().await;
    assert_eq!(world.effects(TEST).await, 2);
}

async fn many_deliveries_at_once_are_all_kept(stage: Stage) {
    let world = world(stage).await;
    let path = format!("/webhooks/stripe/{}", world.connection.id);
    let router = world.router();
    let deliveries = (0..600).map(|number| {
        // Every tenth is sent twice at the same time.
        let id = format!("evt_{:04}", if number % 10 == 9 { number - 1 } else { number });
        let call = signed(&path, &event(&id), &[SECRET], world.stage.now());
        let router = router.clone();
        async move { call.send(&router).await.expect(200) }
    });
    futures::future::join_all(deliveries).await;
    // SQLite's deliveries are counted as they came until they are brought into the tables.
    let ready = world.inbox.counts(TEST).await.unwrap().ready;
    assert!((540..=600).contains(&ready), "{ready}");
    world.process().await;
    assert_eq!(world.effects(TEST).await, 540);
}

async fn what_is_acknowledged_survives_a_restart(stage: Stage) {
    let world = world(stage).await;
    world.deliver(&event("evt_1")).await.expect(200);
    let World { stage, vault, inbox, sink, .. } = world;
    drop((vault, inbox));
    let stage = stage.reopen().await;
    let reborn = crate::world::reopened(stage, sink).await;
    reborn.process().await;
    assert_eq!(reborn.effects(TEST).await, 1);
}

async fn what_proves_nothing_is_refused_by_name(stage: Stage) {
    let world = world(stage).await;
    let path = format!("/webhooks/stripe/{}", world.connection.id);
    let (router, now, body) = (world.router(), world.stage.now(), event("evt_1"));
    let minutes = |count: u64| Duration::from_secs(60 * count);
    let cases: [(Call, u16, &str); 9] = [
        (Call::post(&path).body(body.clone()), 401, "signature_missing"),
        (Call::post(&path).header("stripe-signature", "nonsense").body(body.clone()), 401, "signature_malformed"),
        (signed(&path, &body, &["whsec_other"], now), 401, "signature_mismatch"),
        (signed(&path, &body, &[GLOBAL], now), 401, "signature_mismatch"),
        (signed(&path, &body, &[SECRET], now - minutes(6)), 401, "signature_too_old"),
        (signed(&path, &body, &[SECRET], now + minutes(6)), 401, "signature_in_future"),
        (signed(&path, &body, &[SECRET], now).body(body.replace("charge", "refund")), 401, "signature_mismatch"),
        (signed("/webhooks/stripe/con_unknown", &body, &[SECRET], now), 404, "connection_unknown"),
        (signed(&format!("/webhooks/stripe/{}", "x".repeat(3_000)), &body, &[SECRET], now), 404, "connection_unknown"),
    ];
    for (call, status, code) in cases {
        call.send(&router).await.expect_problem(status, code);
    }
    let bare = connect(&world.vault, &world.stage, TEST, Environment::Test, "acct_bare", None).await;
    let path = format!("/webhooks/stripe/{}", bare.id);
    signed(&path, &body, &[SECRET], now).send(&router).await.expect_problem(401, "signing_secret_empty");
    assert!(events(&world, TEST).await.is_empty());
}

async fn what_is_no_event_is_refused_by_name(stage: Stage) {
    let world = world(stage).await;
    let path = format!("/webhooks/stripe/{}", world.connection.id);
    let check = async |body: Vec<u8>, code: &str| {
        let header = stripe::signature::sign(&body, &[Secret::from(SECRET)], world.stage.now());
        let call = Call::post(&path).header("stripe-signature", &header).body(body);
        call.send(&world.router()).await.expect_problem(400, code);
    };
    check(b"\xff\xfe\xfd".to_vec(), "body_not_utf8").await;
    check(b"hello".to_vec(), "body_not_json").await;
    check(b"{}".to_vec(), "body_not_an_event").await;
    check("[".repeat(10_000).into_bytes(), "body_too_deep").await;
    check(event("evt_1").replace("evt_1", &"e".repeat(300)).into_bytes(), "body_not_an_event").await;
    Call::post(&path)
        .header("stripe-signature", "t=1,v1=00")
        .send(&world.router())
        .await
        .expect_problem(401, "body_empty");
    assert!(events(&world, TEST).await.is_empty());
}

async fn bodies_have_a_bound(stage: Stage) {
    let world = world(stage).await;
    let large = event_of("evt_1", "charge.updated", &format!(r#","pad":"{}""#, "x".repeat(1 << 20)));
    world.deliver(&large).await.expect_problem(413, "body_too_large");
    let fits = event_of("evt_2", "charge.updated", &format!(r#","pad":"{}""#, "x".repeat((1 << 20) - 1_000)));
    world.deliver(&fits).await.expect(200);
    assert_eq!(world.inbox.event(TEST, "evt_2").await.unwrap().body.unwrap().get(), fits);
    let path = format!("/webhooks/stripe/{}", world.connection.id);
    let announced = Call::post(&path).header("content-length", "99999999").body("x");
    announced.send(&world.router()).await.expect_problem(413, "body_too_large");
}

async fn either_secret_serves_while_one_is_rolled(stage: Stage) {
    let world = world(stage).await;
    let path = format!("/webhooks/stripe/{}", world.connection.id);
    let mut tx = world.stage.store.begin(TEST).await.unwrap();
    world.vault.add_webhook_secret(&mut tx, &world.connection.id, &Secret::from("whsec_new")).await.unwrap();
    tx.commit().await.unwrap();
    world.deliver_to(&path, &event("evt_1"), &[SECRET]).await.expect(200);
    world.deliver_to(&path, &event("evt_2"), &["whsec_new"]).await.expect(200);
    world.deliver_to(&path, &event("evt_3"), &["whsec_other", "whsec_new"]).await.expect(200);
    assert_eq!(events(&world, TEST).await.len(), 3);

    let rolling = InboxOptions { global_secret: Some(Secret::from("whsec_a, whsec_b")), ..InboxOptions::default() };
    let inbox = inbox::Inbox::new(crate::world::base(&world.stage), world.vault.clone(), rolling);
    let router = inbox::slice(&inbox, world.sink.clone()).open_routes;
    for secret in ["whsec_a", "whsec_b"] {
        signed("/webhooks/stripe", &event(secret), &[secret], world.stage.now()).send(&router).await.expect(200);
    }
}

async fn the_global_endpoint_finds_the_connection_by_account(stage: Stage) {
    let world = world(stage).await;
    let second = connect(&world.vault, &world.stage, TEST, Environment::Test, "acct_2", None).await;
    // The same account in another organization: both get the event.
    let other = connect(&world.vault, &world.stage, TenantId(7), Environment::Test, "acct_2", None).await;
    for path in ["/webhooks/stripe", "/webhooks/stripe-connect"] {
        let id = format!("evt{}", path.replace('/', "_"));
        let body = event_of(&id, "charge.updated", r#","account":"acct_2""#);
        world.deliver_to(path, &body, &[GLOBAL]).await.expect(200);
        world.deliver_to(path, &body, &[SECRET]).await.expect_problem(401, "signature_mismatch");
        for (tenant, connection) in [(TEST, &second), (TenantId(7), &other)] {
            let found = world.inbox.event(tenant, &id).await.unwrap().summary;
            assert_eq!((&found.connection_id, found.account_id.as_str()), (&connection.id, "acct_2"));
        }
    }
    // An account that nobody connected, with more than one connection to choose from: not guessed.
    let body = event_of("evt_3", "charge.updated", r#","account":"acct_9""#);
    world.deliver_to("/webhooks/stripe", &body, &[GLOBAL]).await.expect_problem(404, "connection_unknown");
    world.deliver_to("/webhooks/stripe", &event("evt_4"), &[GLOBAL]).await.expect_problem(404, "connection_unknown");
    // On a connection's own address an account means the platform's Connect endpoint.
    let body = event_of("evt_5", "account.updated", r#","account":"acct_9""#);
    world.deliver(&body).await.expect(200);
    let found = world.inbox.event(TEST, "evt_5").await.unwrap().summary;
    assert_eq!((found.connection_id, found.account_id.as_str()), (world.connection.id.clone(), "acct_9"));
}

async fn an_event_without_account_is_the_platform_s_own(stage: Stage) {
    let alone = world(stage.clone()).await;
    alone.deliver_to("/webhooks/stripe", &event("evt_1"), &[GLOBAL]).await.expect(200);
    let body = event_of("evt_2", "account.updated", r#","account":"acct_9""#);
    alone.deliver_to("/webhooks/stripe-connect", &body, &[GLOBAL]).await.expect(200);
    assert_eq!(alone.inbox.event(TEST, "evt_2").await.unwrap().summary.account_id, "acct_9");

    let second = connect(&alone.vault, &stage, TEST, Environment::Test, "acct_2", None).await;
    let options = InboxOptions {
        global_secret: Some(Secret::from(GLOBAL)),
        platform_account: Some("acct_2".to_owned()),
        ..InboxOptions::default()
    };
    let inbox = inbox::Inbox::new(crate::world::base(&stage), alone.vault.clone(), options);
    let router = inbox::slice(&inbox, alone.sink.clone()).open_routes;
    signed("/webhooks/stripe", &event("evt_3"), &[GLOBAL], stage.now()).send(&router).await.expect(200);
    assert_eq!(alone.inbox.event(TEST, "evt_3").await.unwrap().summary.connection_id, second.id);

    let none = inbox::Inbox::new(crate::world::base(&stage), alone.vault.clone(), InboxOptions::default());
    let router = inbox::slice(&none, alone.sink.clone()).open_routes;
    let answer = signed("/webhooks/stripe", &event("evt_4"), &[GLOBAL], stage.now()).send(&router).await;
    answer.expect_problem(404, "webhook_secret_missing");
}

async fn test_and_live_do_not_mix(stage: Stage) {
    let world = world(stage).await;
    let live = event("evt_1").replace(r#""livemode": false"#, r#""livemode": true"#);
    world.deliver(&live).await.expect_problem(400, "environment_mismatch");
    world.deliver_to("/webhooks/stripe", &live, &[GLOBAL]).await.expect_problem(404, "connection_unknown");
    let mut tx = world.stage.store.begin(TEST).await.unwrap();
    let refused = world.inbox.accept(&mut tx, &world.connection, Source::Manual, &[&live]).await.unwrap_err();
    assert_eq!((refused.code(), refused.can_retry()), ("environment_mismatch", false));
    drop(tx);
    connect(&world.vault, &world.stage, LIVE, Environment::Live, "acct_1", Some("whsec_live")).await;
    let body = live.replace(r#""type""#, r#""account": "acct_1", "type""#);
    world.deliver_to("/webhooks/stripe", &body, &[GLOBAL]).await.expect(200);
    assert!(events(&world, TEST).await.is_empty());
    assert_eq!(events(&world, LIVE).await.len(), 1);
}

async fn only_listed_senders_may_deliver(stage: Stage) {
    let allowlist = Allowlist::parse(["3.18.12.63", "203.0.113.0/24"]).unwrap();
    let options = InboxOptions { allowlist, trusted_proxies: 1, ..InboxOptions::default() };
    let world = world_with(stage, options).await;
    let path = format!("/webhooks/stripe/{}", world.connection.id);
    let proxy: SocketAddr = "10.0.0.1:4000".parse().unwrap();
    let deliver = async |forwarded: Option<&str>| {
        let call = signed(&path, &event("evt_1"), &[SECRET], world.stage.now()).from_address(proxy);
        let call = match forwarded {
            Some(list) => call.header("x-forwarded-for", list),
            None => call,
        };
        call.send(&world.router()).await
    };
    deliver(None).await.expect_problem(403, "source_not_allowed");
    deliver(Some("3.18.12.63, 198.51.100.1")).await.expect_problem(403, "source_not_allowed");
    deliver(Some("198.51.100.1, 3.18.12.63")).await.expect(200);
    deliver(Some("203.0.113.77")).await.expect(200);
}

async fn without_a_database_stripe_is_asked_to_come_again(stage: Stage) {
    let world = world(stage).await;
    world.deliver(&event("evt_1")).await.expect(200);
    world.stage.store.close().await;
    world.deliver(&event("evt_2")).await.expect_problem(503, "database_unavailable");
    world.deliver_to("/webhooks/stripe/con_unknown", &event("evt_3"), &[SECRET]).await.expect(503);
}

async fn refusals_are_counted_and_nothing_sent_is_logged(stage: Stage) {
    let logs = Logs::catch();
    let world = world(stage).await;
    let path = format!("/webhooks/stripe/{}", world.connection.id);
    let body = event("evt_private_word");
    for _ in 0..3 {
        world.deliver_to(&path, &body, &["whsec_wrong_one"]).await.expect(401);
    }
    let refusals = world.inbox.refusals(&world.connection.id);
    assert_eq!(
        (refusals[0].code, refusals[0].count, refusals[0].last_at),
        ("signature_mismatch", 3, world.stage.now())
    );
    world.deliver(&body).await.expect(200);
    world.process().await;
    let text = logs.text();
    assert!(text.contains("webhook deliveries were refused") && text.contains(world.connection.id.as_str()));
    for secret in [SECRET, "whsec_wrong_one", "evt_private_word\",", "Zürich"] {
        logs.assert_absent(secret);
    }
}
