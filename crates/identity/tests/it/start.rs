//! What is there after the start, however often and on however many nodes it happens.

use crate::{World, base, router};
use identity::Identity;
use kit::{Environment, ExposeSecret, Secret, TenantId};
use testkit::{Call, Stage};

testkit::on_both_engines!(
    every_statement_is_understood,
    the_first_start_makes_an_organization_and_tells_a_token_once,
    many_nodes_may_start_at_once,
    a_configured_token_replaces_the_other_and_ends_its_sessions,
    a_token_that_could_be_guessed_is_refused,
    tenants_are_found_by_their_number,
);

async fn every_statement_is_understood(stage: Stage) {
    assert!(stage.store.prepare_all().await.unwrap() > 20);
}

async fn the_first_start_makes_an_organization_and_tells_a_token_once(stage: Stage) {
    let identity = Identity::open(base(&stage));
    let first = identity.bootstrap(None).await.unwrap();
    assert_eq!(first.organization, "Your business");
    assert_eq!(first.tenants, [(Environment::Test, TenantId(1)), (Environment::Live, TenantId(2))]);
    let token = first.admin_token.unwrap();
    assert!(token.expose_secret().starts_with("bursar_admin_"));
    assert_eq!(token.expose_secret().len(), "bursar_admin_".len() + 64, "256 random bits");
    let second = identity.bootstrap(None).await.unwrap();
    assert_eq!(second.tenants, first.tenants);
    assert!(second.admin_token.is_none(), "it is told once");
    Call::get("/v1/whose").bearer(token.expose_secret()).send(&router(&identity)).await.expect(200);
}

async fn many_nodes_may_start_at_once(stage: Stage) {
    let nodes: Vec<_> = (0..6)
        .map(|_| {
            let identity = Identity::open(base(&stage));
            tokio::spawn(async move { identity.bootstrap(None).await.unwrap() })
        })
        .collect();
    let mut tokens = 0;
    for node in nodes {
        let made = node.await.unwrap();
        assert_eq!(made.tenants, [(Environment::Test, TenantId(1)), (Environment::Live, TenantId(2))]);
        tokens += usize::from(made.admin_token.is_some());
    }
    assert_eq!(tokens, 1);
    assert_eq!(Identity::open(base(&stage)).tenants().await.unwrap().len(), 2);
}

async fn a_configured_token_replaces_the_other_and_ends_its_sessions(stage: Stage) {
    let world = World::new(&stage).await;
    let session = world.sign_in().await;
    let given = "a-token-of-the-configuration";
    let whose = async |token: &str| world.send(Call::get("/v1/whose").bearer(token)).await.status.as_u16();
    assert_eq!((whose(&world.token).await, whose(given).await), (200, 401));
    for _ in 0..2 {
        let told = world.identity.bootstrap(Some(Secret::from(given))).await.unwrap();
        assert!(told.admin_token.is_none());
    }
    assert_eq!((whose(&world.token).await, whose(given).await), (401, 200));
    let old = Call::get("/v1/whose").cookie(crate::COOKIE, &session);
    world.send(old).await.expect_problem(401, "unauthorized");

    // The same token at the next start changes nothing: its sessions go on.
    let signed_in = crate::from_own_page(Call::post("/sign-in")).form(&format!("token={given}"));
    let session = world.send(signed_in).await.expect(303).set_cookie(crate::COOKIE).unwrap().to_owned();
    world.identity.bootstrap(Some(Secret::from(given))).await.unwrap();
    world.send(Call::get("/v1/whose").cookie(crate::COOKIE, &session)).await.expect(200);
    world.identity.bootstrap(None).await.unwrap();
    assert_eq!(whose(given).await, 200, "a start without one keeps it");
}

async fn a_token_that_could_be_guessed_is_refused(stage: Stage) {
    let identity = Identity::open(base(&stage));
    for weak in ["", "admin", "with a space in the middle of it"] {
        let refused = identity.bootstrap(Some(Secret::from(weak))).await.unwrap_err();
        assert_eq!(refused.code(), "admin_token_weak");
    }
    assert!(identity.tenants().await.unwrap().is_empty(), "nothing was half done");
    assert_eq!(identity.sign_in_code().await.unwrap_err().code(), "not_bootstrapped");
}

async fn tenants_are_found_by_their_number(stage: Stage) {
    let world = World::new(&stage).await;
    let all = world.identity.tenants().await.unwrap();
    assert_eq!(all.iter().map(|it| it.environment).collect::<Vec<_>>(), Environment::ALL);
    assert_eq!(world.identity.tenant(TenantId(2)).await.unwrap().as_ref(), Some(&all[1]));
    assert_eq!(world.identity.tenant(TenantId(3)).await.unwrap(), None);
}
