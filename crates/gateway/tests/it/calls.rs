//! Single calls: retries, the breaker, one write at a time to one object, the count of reads.

use crate::{
    TENANT, World, quick,
    scripted::{Scripted, Turn, error},
};
use gateway::{BreakerOptions, BreakerView, GatewayError, GatewayOptions, Lane, Patience};
use std::{sync::Arc, time::Duration};
use stripe::{ErrorClass, Request, api, request::Params};
use testkit::{Stage, on_both_engines};
use vault::{ConnectionState, Linked};

on_both_engines!(
    what_can_help_is_tried_again_and_nothing_else,
    a_refused_key_stops_its_connection_until_it_is_replaced,
    reads_are_counted_and_shown,
    a_write_needs_an_intent,
    the_breaker_stops_calls_and_lets_them_go_again,
    writes_to_one_object_go_one_after_another,
    an_account_is_acted_for,
);

async fn stage_it(
    stage: &Stage,
    options: impl FnOnce(&str) -> GatewayOptions,
) -> (World, Scripted, Arc<Linked>, testkit::Served) {
    let stripe = Scripted::default();
    let served = stripe.serve().await;
    let world = World::new(stage, options(&served.url("")));
    let id = world.connected("sk_test_scripted").await;
    let linked = world.linked(&id).await;
    (world, stripe, linked, served)
}

async fn what_can_help_is_tried_again_and_nothing_else(stage: Stage) {
    let (world, stripe, linked, _served) = stage_it(&stage, quick).await;
    let refuse = |status, code: &str| Turn::Refuse(status, error(code));
    let check = async |turns: Vec<Turn>, expected_calls: usize, expected: Option<&str>| {
        let before = stripe.calls();
        let said = format!("{turns:?}");
        stripe.next(turns);
        let outcome = world.gateway.call(&linked, api::balance(), Lane::Background).await;
        assert_eq!(outcome.err().map(|error| error.code()), expected, "{said}");
        assert_eq!(stripe.calls() - before, expected_calls, "{said}");
        stripe.with(|seen| assert_eq!(seen.last_headers["stripe-version"], stripe::PINNED_VERSION));
    };
    check(vec![], 1, None).await;
    check(vec![refuse(429, "rate_limit"); 5], 6, None).await;
    check(vec![refuse(429, "rate_limit"); 6], 6, Some("stripe_rate_limited")).await;
    check(vec![refuse(429, "lock_timeout"); 2], 3, None).await;
    check(vec![refuse(500, "x"); 3], 4, None).await;
    check(vec![refuse(500, "x"); 4], 4, Some("stripe_failed")).await;
    check(vec![Turn::EffectThenCut; 3], 4, None).await;
    check(vec![refuse(400, "parameter_unknown")], 1, Some("stripe_invalid_request")).await;
    check(vec![refuse(404, "resource_missing")], 1, Some("stripe_not_found")).await;
    check(vec![refuse(403, "x")], 1, Some("stripe_permission_missing")).await;
    let should = |word| Turn::RefuseWith(500, error("x"), "stripe-should-retry", word);
    check(vec![should("false")], 1, Some("stripe_failed")).await;
    let told = Turn::RefuseWith(400, error("x"), "stripe-should-retry", "true");
    check(vec![told], 2, None).await;
    let status = world.gateway.status(&linked.connection.id).unwrap();
    assert_eq!(status.breaker, BreakerView::Closed);
    assert!(status.throttled_last_minute >= 11 && status.calls_last_minute > 20, "{status:?}");
    assert!(status.pace_percent < 100, "{status:?}");
}

async fn a_refused_key_stops_its_connection_until_it_is_replaced(stage: Stage) {
    let (world, stripe, linked, _served) = stage_it(&stage, quick).await;
    stripe.next([Turn::Refuse(401, error("api_key_expired"))]);
    let refused = world.gateway.call(&linked, api::account(), Lane::Background).await.unwrap_err();
    assert_eq!(refused.class(), Some(ErrorClass::Authentication));
    let id = linked.connection.id.clone();
    let linked = world.linked(&id).await;
    assert!(
        matches!(&linked.connection.state, ConnectionState::KeyRefused { reason } if reason.contains("api_key_expired"))
    );
    let calls = stripe.calls();
    let refused = world.gateway.call(&linked, api::account(), Lane::Background).await.unwrap_err();
    assert!(matches!(refused, GatewayError::KeyRefused(_)), "{refused:?}");
    assert_eq!(stripe.calls(), calls, "nothing is sent with a refused key");
    let mut tx = stage.store.begin(TENANT).await.unwrap();
    let key = kit::Secret::from("sk_test_another");
    world.gateway.vault().replace_key(&mut tx, &id, &key, "sk_test_…", "secret").await.unwrap();
    tx.commit().await.unwrap();
    world.gateway.call(&world.linked(&id).await, api::account(), Lane::Background).await.unwrap();
}

async fn reads_are_counted_and_shown(stage: Stage) {
    let (world, stripe, linked, _served) = stage_it(&stage, quick).await;
    stripe.next([Turn::Usual, Turn::Refuse(429, error("rate_limit"))]);
    for _ in 0..3 {
        world.gateway.call(&linked, api::balance(), Lane::Interactive).await.unwrap();
    }
    world.gateway.flush_counts().await.unwrap();
    stage.clock.advance(Duration::from_secs(86_400));
    world.gateway.call(&linked, api::balance(), Lane::Interactive).await.unwrap();
    world.gateway.flush_counts().await.unwrap();
    world.gateway.flush_counts().await.unwrap();
    let mut tx = stage.store.read(TENANT).await.unwrap();
    let figures = world.gateway.call_figures(&mut tx, &linked.connection.id).await.unwrap();
    assert_eq!((figures.reads_30_days, figures.reads_today, figures.throttled_30_days), (5, 1, 1));
    drop(tx);
    stage.clock.advance(Duration::from_secs(30 * 86_400));
    let mut tx = stage.store.read(TENANT).await.unwrap();
    let figures = world.gateway.call_figures(&mut tx, &linked.connection.id).await.unwrap();
    assert_eq!(figures.reads_30_days, 0);
    let connection = world.gateway.vault().connection(&mut tx, &linked.connection.id).await.unwrap().unwrap();
    assert!(connection.last_good_call_at.is_some());
}

async fn a_write_needs_an_intent(stage: Stage) {
    let (world, stripe, linked, _served) = stage_it(&stage, quick).await;
    let write = Request::post("/v1/refunds", Params::none());
    let refused = world.gateway.call(&linked, write.clone(), Lane::Interactive).await.unwrap_err();
    assert!(matches!(refused, GatewayError::UnkeyedWrite(_)));
    assert_eq!(stripe.calls(), 0);
    world.gateway.call(&linked, write.with_idempotency_key("k"), Lane::Interactive).await.unwrap();
    world.gateway.call(&linked, Request::delete("/v1/products/p"), Lane::Interactive).await.unwrap();
}

async fn the_breaker_stops_calls_and_lets_them_go_again(stage: Stage) {
    let breaker = BreakerOptions::default();
    let patience = Patience { background: Duration::from_secs(6), ..Patience::default() };
    let (world, stripe, linked, _served) =
        stage_it(&stage, |at| GatewayOptions { breaker, patience, ..quick(at) }).await;
    stripe.always(Some(Turn::Refuse(500, error("x"))));
    let call = async |lane| world.gateway.call(&linked, api::balance(), lane).await;
    let opens_at = |seconds| stage.now() + Duration::from_secs(seconds);
    let since = stage.now();
    // Four tries of one call, and the first of the next, which does not wait for a further one.
    for _ in 0..2 {
        assert_eq!(call(Lane::Interactive).await.unwrap_err().code(), "stripe_failed");
    }
    for _ in 0..10 {
        let paused = call(Lane::Interactive).await.unwrap_err();
        assert_eq!(paused.code(), "stripe_paused");
        assert!(matches!(paused, GatewayError::Paused { until } if until == opens_at(5)), "{paused:?}");
    }
    assert_eq!(stripe.calls(), 5);
    let status = || world.gateway.status(&linked.connection.id).unwrap().breaker;
    assert_eq!(status(), BreakerView::Open { since, until: opens_at(5) });
    // A probe, which fails; the next one is too far away for background work to wait.
    stage.clock.advance(Duration::from_secs(5));
    assert_eq!(call(Lane::Interactive).await.unwrap_err().code(), "stripe_failed");
    assert_eq!(call(Lane::Background).await.unwrap_err().code(), "stripe_paused");
    assert_eq!((stripe.calls(), status()), (6, BreakerView::Open { since, until: opens_at(10) }));
    // Soon enough it waits, and goes when the time has come.
    stage.clock.advance(Duration::from_secs(5));
    stripe.always(None);
    let waiting = {
        let (gateway, linked) = (world.gateway.clone(), linked.clone());
        tokio::spawn(async move { gateway.call(&linked, api::balance(), Lane::Background).await })
    };
    tokio::task::yield_now().await;
    assert!(!waiting.is_finished());
    stage.clock.advance(Duration::from_secs(5));
    waiting.await.unwrap().expect("background work waits for Stripe");
    assert_eq!(stripe.calls(), 7);
    assert_eq!(world.gateway.status(&linked.connection.id).unwrap().breaker, BreakerView::Closed);
}

async fn writes_to_one_object_go_one_after_another(stage: Stage) {
    let (world, stripe, linked, _served) = stage_it(&stage, quick).await;
    stripe.always(Some(Turn::Late(Duration::from_millis(5))));
    let write = |path: &str, at: usize| {
        let (world, linked) = (world.gateway.clone(), linked.clone());
        let request = Request::post(path, Params::none()).with_idempotency_key(format!("{path} {at}"));
        async move { world.call(&linked, request, Lane::Background).await.unwrap() }
    };
    futures::future::join_all((0..6).map(|at| write("/v1/subscriptions/sub_1/resume", at))).await;
    assert_eq!(stripe.with(|seen| seen.most_at_once), 1);
    // Two other objects wait for each other at Stripe: they must get there together.
    stripe.always(Some(Turn::Late(Duration::from_millis(300))));
    futures::future::join(write("/v1/subscriptions/sub_1", 7), write("/v1/subscriptions/sub_2", 8)).await;
    assert_eq!(stripe.with(|seen| seen.most_at_once), 2);
}

async fn an_account_is_acted_for(stage: Stage) {
    let (world, stripe, linked, _served) = stage_it(&stage, quick).await;
    world.gateway.call_as(&linked, Some("acct_other"), api::balance(), Lane::Background).await.unwrap();
    stripe.with(|seen| assert_eq!(seen.last_headers["stripe-account"], "acct_other"));
    // A connected account that withdrew its consent says nothing about the key.
    stripe.next([Turn::Refuse(401, error("x"))]);
    world.gateway.call_as(&linked, Some("acct_other"), api::balance(), Lane::Background).await.unwrap_err();
    assert_eq!(world.linked(&linked.connection.id).await.connection.state, ConnectionState::Active);
}
