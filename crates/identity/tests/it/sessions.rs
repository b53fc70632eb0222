//! People: sign in by the form or by the link of the terminal, switch, sign out.

use crate::{COOKIE, World, by_browser, from_own_page};
use identity::IdentityOptions;
use serde_json::Value;
use std::time::Duration;
use store::{q, sql};
use testkit::{Call, Stage, wait_for};

testkit::on_both_engines!(
    a_person_signs_in_by_the_form_and_out_again,
    a_link_signs_in_once_and_not_by_a_look_ahead,
    a_link_ends_after_ten_minutes,
    the_switch_changes_the_session_and_comes_back,
    a_session_ends_by_itself_and_is_deleted,
    another_sites_page_changes_nothing,
    after_signing_in_one_is_where_one_wanted_to_be,
    over_tls_the_cookie_is_for_tls_only,
);

async fn whose(world: &World, session: &str) -> u16 {
    world.send(Call::get("/v1/whose").cookie(COOKIE, session)).await.status.as_u16()
}

async fn a_person_signs_in_by_the_form_and_out_again(stage: Stage) {
    let world = World::new(&stage).await;
    let page = world.send(by_browser(Call::get("/sign-in"))).await.expect(200);
    assert!(page.text().contains("type=\"password\""));
    assert_eq!(page.header("cache-control"), Some("no-store"));
    let refused = world.send(from_own_page(Call::post("/sign-in")).form("token=wrong&next=%2Finbox")).await.expect(401);
    assert!(refused.text().contains("token_refused") && refused.text().contains("value=\"/inbox\""));
    assert!(refused.set_cookie(COOKIE).is_none());

    let form = from_own_page(Call::post("/sign-in")).form(&format!("token=+{}+", world.token));
    let answer = world.send(form).await.expect(303);
    assert_eq!(answer.location(), Some("/"));
    let cookie = answer.header("set-cookie").unwrap();
    for part in ["Path=/", "HttpOnly", "SameSite=Lax", "Max-Age=604800"] {
        assert!(cookie.contains(part), "{part} is missing");
    }
    assert!(!cookie.contains("Secure") && !cookie.contains("Domain"));
    let session = answer.set_cookie(COOKIE).unwrap();
    let seen = world.send(Call::get("/v1/whose").cookie(COOKIE, session)).await.expect(200);
    assert_eq!(seen.json::<Value>()["kind"], "session");
    assert_eq!(seen.header("cache-control"), Some("no-store"));
    let again = world.send(by_browser(Call::get("/sign-in?next=/inbox")).cookie(COOKIE, session)).await.expect(303);
    assert_eq!(again.location(), Some("/inbox"), "who is signed in need not sign in");

    let out = world.send(from_own_page(Call::post("/sign-out")).cookie(COOKIE, session)).await.expect(303);
    assert_eq!((out.location(), out.set_cookie(COOKIE)), (Some("/sign-in"), Some("")));
    assert_eq!(whose(&world, session).await, 401);
    let out = world.send(from_own_page(Call::post("/sign-out")).cookie(COOKIE, session)).await.expect(303);
    assert_eq!(out.location(), Some("/sign-in?next=%2F"), "twice is no fault");
}

async fn a_link_signs_in_once_and_not_by_a_look_ahead(stage: Stage) {
    let world = World::new(&stage).await;
    let path = format!("/sign-in/{}", world.identity.sign_in_code().await.unwrap());
    let ahead = world.send(Call::get(&path).header("sec-purpose", "prefetch")).await.expect(200);
    assert!(ahead.set_cookie(COOKIE).is_none());
    world.send(Call::new(http::Method::HEAD, &path)).await.expect(200);
    let answer = world.send(by_browser(Call::get(&path))).await.expect(303);
    assert_eq!((answer.location(), answer.header("referrer-policy")), (Some("/"), Some("no-referrer")));
    assert_eq!(whose(&world, answer.set_cookie(COOKIE).unwrap()).await, 200);
    let second = world.send(by_browser(Call::get(&path))).await.expect(410);
    assert!(second.text().contains("sign_in_code_used") && second.text().contains("type=\"password\""));
    world.send(by_browser(Call::get("/sign-in/never-was"))).await.expect(410);
    // Of two who follow it at once, one gets in.
    let path = format!("/sign-in/{}", world.identity.sign_in_code().await.unwrap());
    let (first, second) = tokio::join!(world.send(Call::get(&path)), world.send(Call::get(&path)));
    let mut both = [first.status.as_u16(), second.status.as_u16()];
    both.sort();
    assert_eq!(both, [303, 410]);
}

async fn a_link_ends_after_ten_minutes(stage: Stage) {
    let world = World::new(&stage).await;
    let path = format!("/sign-in/{}", world.identity.sign_in_code().await.unwrap());
    stage.clock.advance(Duration::from_secs(600));
    world.send(by_browser(Call::get(&path))).await.expect(410);
}

async fn the_switch_changes_the_session_and_comes_back(stage: Stage) {
    let world = World::new(&stage).await;
    let session = world.sign_in().await;
    let environment = async || {
        let answer = world.send(Call::get("/v1/whose").cookie(COOKIE, &session)).await.expect(200);
        answer.json::<Value>()["environment"].as_str().unwrap().to_owned()
    };
    assert_eq!(environment().await, "test");
    let switch = |form: &str| from_own_page(Call::post("/environment")).cookie(COOKIE, &session).form(form);
    let answer = world.send(switch("environment=live&return_to=%2Finbox%3Fstate%3Dfailed")).await.expect(303);
    assert_eq!((answer.location(), environment().await.as_str()), (Some("/inbox?state=failed"), "live"));
    let answer = world.send(switch("environment=test&return_to=https%3A%2F%2Fevil.org")).await.expect(303);
    assert_eq!((answer.location(), environment().await.as_str()), (Some("/"), "test"));
    assert!(world.send(switch("environment=staging")).await.status.is_client_error());
    // A session that says the environment by a header does not get it: only the switch does.
    let by_header = Call::get("/v1/whose").cookie(COOKIE, &session).header("Bursar-Environment", "live");
    assert_eq!(world.send(by_header).await.expect(200).json::<Value>()["environment"], "test");
}

async fn a_session_ends_by_itself_and_is_deleted(stage: Stage) {
    let world = World::new(&stage).await;
    let session = world.sign_in().await;
    world.identity.sign_in_code().await.unwrap();
    stage.clock.advance(Duration::from_secs(7 * 24 * 3600 - 1));
    assert_eq!(whose(&world, &session).await, 200);
    stage.clock.advance(Duration::from_secs(1));
    assert_eq!(whose(&world, &session).await, 401);

    let base = crate::base(&stage);
    let stopping = platform::CancellationToken::new();
    let slice = identity::slice(&world.identity);
    let scheduler = tokio::spawn(platform::schedule::run(base.clone(), slice.schedules, stopping.clone()));
    let worker = tokio::spawn(platform::worker::run(base, slice.jobs, stopping.clone()));
    wait_for("the end of the rows", async || {
        stage.clock.advance(Duration::from_secs(1800));
        let mut tx = stage.store.read_system().await.unwrap();
        let left: i64 = q(sql!("SELECT (SELECT count(*) FROM sessions) + (SELECT count(*) FROM sign_in_codes)"))
            .scalar(&mut tx)
            .await
            .unwrap();
        (left == 0).then_some(())
    })
    .await;
    stopping.cancel();
    scheduler.await.unwrap();
    worker.await.unwrap();
}

async fn another_sites_page_changes_nothing(stage: Stage) {
    let world = World::new(&stage).await;
    let session = world.sign_in().await;
    let change = |headers: &[(&str, &str)]| {
        headers
            .iter()
            .fold(Call::post("/v1/whose").cookie(COOKIE, &session), |call, (name, value)| call.header(name, value))
    };
    world.send(change(&[("sec-fetch-site", "cross-site")])).await.expect_problem(403, "foreign_page");
    world.send(change(&[("sec-fetch-site", "same-site")])).await.expect_problem(403, "foreign_page");
    world
        .send(change(&[("origin", "https://evil.org"), ("host", "localhost")]))
        .await
        .expect_problem(403, "foreign_page");
    world.send(change(&[])).await.expect_problem(403, "foreign_page");
    world.send(change(&[("sec-fetch-site", "same-origin")])).await.expect(200);
    world.send(change(&[("origin", "http://localhost"), ("host", "localhost")])).await.expect(200);
    // Looking is not changing: a link from another site works.
    let look = Call::get("/v1/whose").cookie(COOKIE, &session).header("sec-fetch-site", "cross-site");
    world.send(look).await.expect(200);
    // Nor may another site sign a person in, as somebody else.
    let form = Call::post("/sign-in").header("sec-fetch-site", "cross-site").form(&format!("token={}", world.token));
    assert!(world.send(form).await.expect(403).set_cookie(COOKIE).is_none());
    let out = Call::post("/sign-out").header("sec-fetch-site", "cross-site").cookie(COOKIE, &session);
    world.send(out).await.expect_problem(403, "foreign_page");
    assert_eq!(whose(&world, &session).await, 200);
}

async fn after_signing_in_one_is_where_one_wanted_to_be(stage: Stage) {
    let world = World::new(&stage).await;
    let sent = world.send(by_browser(Call::get("/inbox?state=failed&page=2"))).await.expect(303);
    assert_eq!(sent.location(), Some("/sign-in?next=%2Finbox%3Fstate%3Dfailed%26page%3D2"));
    let page = world.send(by_browser(Call::get(sent.location().unwrap()))).await.expect(200);
    assert!(page.text().contains("value=\"/inbox?state=failed&amp;page=2\""));
    let form = format!("token={}&next=%2Finbox%3Fstate%3Dfailed%26page%3D2", world.token);
    let answer = world.send(from_own_page(Call::post("/sign-in")).form(&form)).await.expect(303);
    assert_eq!(answer.location(), Some("/inbox?state=failed&page=2"));
    let form = format!("token={}&next=%2F%2Fevil.org", world.token);
    let answer = world.send(from_own_page(Call::post("/sign-in")).form(&form)).await.expect(303);
    assert_eq!(answer.location(), Some("/"));
}

async fn over_tls_the_cookie_is_for_tls_only(stage: Stage) {
    let public_url = Some("https://bursar.example.com".to_owned());
    let world = World::with(&stage, IdentityOptions { public_url, ..IdentityOptions::default() }).await;
    let form = from_own_page(Call::post("/sign-in")).form(&format!("token={}", world.token));
    let answer = world.send(form).await.expect(303);
    assert!(answer.header("set-cookie").unwrap().ends_with("; Secure"));
    let session = answer.set_cookie("__Host-bursar_session").unwrap();
    world.send(Call::get("/v1/whose").cookie("__Host-bursar_session", session)).await.expect(200);
    assert_eq!(whose(&world, session).await, 401, "the plain name counts for nothing there");
}

/// On PostgreSQL only: SQLite's folder belongs to one process.
#[test]
fn another_node_sees_the_end_of_a_session() {
    testkit::run(testkit::Engine::Postgres, "another_node_sees_the_end_of_a_session", ends_on_another_node);
}

async fn ends_on_another_node(stage: Stage) {
    let world = World::new(&stage).await;
    let session = world.sign_in().await;
    let other_store = store::Store::open(&stage.options()).await.unwrap();
    let mut other_stage = stage.clone();
    other_stage.store = other_store.clone();
    let other = identity::Identity::open(crate::base(&other_stage));
    let other = World { router: crate::router(&other), identity: other, token: world.token.clone() };
    assert_eq!(whose(&other, &session).await, 200);
    world.send(from_own_page(Call::post("/sign-out")).cookie(COOKIE, &session)).await.expect(303);
    // Nobody passes wakes on to the other node here; its memory forgets by itself.
    wait_for("the end of the session", async || (whose(&other, &session).await == 401).then_some(())).await;
    drop(other);
    other_store.close().await;
}
