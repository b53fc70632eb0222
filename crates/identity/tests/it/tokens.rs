//! Programs: a token in a header, an environment in another.

use crate::{World, by_browser};
use identity::IdentityOptions;
use serde_json::{Value, json};
use std::time::Duration;
use testkit::{Call, Logs, Stage};

testkit::on_both_engines!(
    a_token_says_who_and_a_header_says_which_environment,
    nobody_gets_in_without_a_token_and_is_told_why,
    an_address_that_fails_too_often_is_refused_for_a_minute,
    a_token_that_was_good_stays_good_beside_a_bad_neighbour,
    proxies_tell_addresses_apart,
    a_database_that_is_down_is_no_refusal,
    no_token_is_logged,
);

async fn a_token_says_who_and_a_header_says_which_environment(stage: Stage) {
    let world = World::new(&stage).await;
    let whose = async |call: Call| world.send(call).await.expect(200).json::<Value>();
    let call = || Call::get("/v1/whose").bearer(&world.token);
    assert_eq!(whose(call()).await, json!({ "tenant": 1, "environment": "test", "kind": "token" }));
    let live = whose(call().header("Bursar-Environment", "live")).await;
    assert_eq!(live, json!({ "tenant": 2, "environment": "live", "kind": "token" }));
    let by_key = whose(Call::get("/v1/whose").header("x-api-key", &world.token)).await;
    assert_eq!(by_key["tenant"], 1);
    let changed = world.send(Call::post("/v1/whose").bearer(&world.token)).await.expect(200);
    assert_eq!(changed.json::<Value>()["kind"], "token", "a program needs no page to come from");
    let me: Value = world.send(Call::get("/v1/me").bearer(&world.token)).await.expect(200).json();
    assert_eq!(
        (me["organization"]["name"].as_str(), me["environment"].as_str()),
        (Some("Your business"), Some("test"))
    );
    assert!(me["organization"]["id"].as_str().unwrap().starts_with("org_"));
}

async fn nobody_gets_in_without_a_token_and_is_told_why(stage: Stage) {
    let world = World::new(&stage).await;
    world.send(Call::get("/open")).await.expect(200);
    let refused = world.send(Call::get("/v1/whose")).await.expect_problem(401, "unauthorized");
    assert_eq!(refused.header("www-authenticate"), Some("Bearer"));
    let wrong = Call::get("/v1/whose").bearer("bursar_admin_wrong");
    world.send(wrong).await.expect_problem(401, "token_refused");
    world.send(Call::get("/v1/whose").bearer("")).await.expect_problem(401, "token_refused");
    let staging = Call::get("/v1/whose").bearer(&world.token).header("Bursar-Environment", "staging");
    let answer: Value = world.send(staging).await.expect_problem(400, "bad_field").json();
    assert_eq!(answer["field"], "Bursar-Environment");
    // What needs nobody to be known works with a wrong token too.
    world.send(Call::get("/open").bearer("wrong")).await.expect(200);
}

async fn an_address_that_fails_too_often_is_refused_for_a_minute(stage: Stage) {
    let world = World::new(&stage).await;
    let address = "192.0.2.1:1000".parse().unwrap();
    let wrong = async |number: u32| {
        let call = Call::get("/v1/whose").bearer(&format!("wrong-{number}")).from_address(address);
        world.send(call).await
    };
    for number in 0..20 {
        wrong(number).await.expect_problem(401, "token_refused");
    }
    let refused = wrong(20).await.expect_problem(429, "too_many_failures");
    assert!(refused.header("retry-after").is_some());
    // Not even the right one is looked up, by a header or by the form.
    let right = Call::get("/v1/whose").bearer(&world.token).from_address(address);
    world.send(right).await.expect_problem(429, "too_many_failures");
    let form =
        crate::from_own_page(Call::post("/sign-in")).form(&format!("token={}", world.token)).from_address(address);
    assert!(world.send(form).await.expect(429).text().contains("Wait a minute"));
    let code = world.identity.sign_in_code().await.unwrap();
    let link = Call::get(&format!("/sign-in/{code}")).from_address(address);
    world.send(link).await.expect(429);
    let elsewhere = Call::get("/v1/whose").bearer(&world.token).from_address("192.0.2.2:1000".parse().unwrap());
    world.send(elsewhere).await.expect(200);
    stage.clock.advance(Duration::from_secs(60));
    wrong(21).await.expect_problem(401, "token_refused");
}

async fn a_token_that_was_good_stays_good_beside_a_bad_neighbour(stage: Stage) {
    let world = World::new(&stage).await;
    let address = "192.0.2.1:1000".parse().unwrap();
    let right = async || world.send(Call::get("/v1/whose").bearer(&world.token).from_address(address)).await;
    right().await.expect(200);
    for number in 0..30 {
        world.send(Call::get("/v1/whose").bearer(&format!("wrong-{number}")).from_address(address)).await;
    }
    right().await.expect(200);
}

async fn proxies_tell_addresses_apart(stage: Stage) {
    let world = World::with(&stage, IdentityOptions { trusted_proxies: 1, ..IdentityOptions::default() }).await;
    let wrong = async |client: &str| {
        let call = Call::get("/v1/whose").bearer("wrong").header("x-forwarded-for", client);
        world.send(call.from_address("10.0.0.1:1000".parse().unwrap())).await.status.as_u16()
    };
    for _ in 0..20 {
        // What a client writes before the proxy's own word changes nothing.
        assert_eq!(wrong("6.6.6.6, 192.0.2.1").await, 401);
    }
    assert_eq!(wrong("7.7.7.7, 192.0.2.1").await, 429);
    assert_eq!(wrong("192.0.2.2").await, 401);
}

async fn a_database_that_is_down_is_no_refusal(stage: Stage) {
    let world = World::new(&stage).await;
    stage.store.close().await;
    let unknown = Call::get("/v1/whose").bearer("whoever-this-is");
    world.send(unknown).await.expect_problem(503, "database_unavailable");
    world.send(Call::get("/open").bearer("whoever-this-is")).await.expect(200);
    let page = world.send(by_browser(Call::get("/inbox")).cookie(crate::COOKIE, "whoever-this-is")).await.expect(503);
    assert!(page.text().contains("<html"), "a person sees a page and is not sent to sign in");
}

async fn no_token_is_logged(stage: Stage) {
    let logs = Logs::catch();
    let world = World::new(&stage).await;
    let session = world.sign_in().await;
    let code = world.identity.sign_in_code().await.unwrap();
    let wrong = "bursar_admin_wrong_and_yet_private";
    world.send(Call::get("/v1/whose").bearer(wrong)).await.expect(401);
    let form = crate::from_own_page(Call::post("/sign-in")).form(&format!("token={wrong}"));
    let refused = world.send(form).await.expect(401);
    assert!(!refused.text().contains(wrong), "what was typed does not come back");
    let link = world.send(Call::get(&format!("/sign-in/{code}"))).await.expect(303);
    world.send(Call::get("/v1/whose").cookie(crate::COOKIE, &session)).await.expect(200);
    for secret in [&world.token, &session, &code, link.set_cookie(crate::COOKIE).unwrap(), wrong] {
        logs.assert_absent(secret);
    }
    assert!(logs.text().contains("a sign-in was refused"), "that it failed is logged");
}
