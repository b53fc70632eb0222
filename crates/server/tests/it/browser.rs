//! What a person sees, in a real browser: signing in, the overview, connecting with progress as it goes, an event's body.

use crate::{
    chromium::Browser,
    world::{Plan, World},
};
use gateway::LimitOptions;
use kit::ExposeSecret;
use simulator::Options;
use std::time::Duration;
use testkit::{Engine, Stage, run};

#[test]
fn a_person_connects_an_account_and_watches() {
    run(Engine::Sqlite, "a_person_connects_an_account_and_watches", connect_and_watch);
}

async fn connect_and_watch(stage: Stage) {
    // Slow enough that progress can be seen.
    let limits = LimitOptions { account_test: 100, endpoint: 10, ..LimitOptions::default() };
    let stripe = Options { latency: Duration::from_millis(30), ..Options::default() };
    let mut world = World::start_with(stage, Plan { stripe, limits: Some(limits), ..Plan::default() }).await;
    world.generate(60, 2_000);
    let home = world.node().local_url().unwrap();
    let mut browser = Browser::start().await;

    // Whoever is not signed in meets the sign-in page; the address that the terminal prints signs in.
    browser.go(&home).await;
    browser.until("the sign-in page", "location.pathname === '/sign-in'").await;
    let code = world.node().parts.identity.sign_in_code().await.unwrap();
    browser.go(&format!("{home}/sign-in/{code}")).await;
    browser.until("the overview", "location.pathname === '/' && document.querySelector('main') !== null").await;

    // The form refuses a wrong key in place, and connects with the right one.
    browser.go(&format!("{home}/connections/new")).await;
    browser.fill("api_key", world.stripe.account.publishable_key_test.expose_secret()).await;
    browser.press("Connect account").await;
    browser.until("the refusal in the form", "document.querySelector('main').innerText.includes('publishable')").await;
    assert_eq!(browser.value("document.querySelector('[name=api_key]').value").await, "", "a key is never shown again");
    // The refusal itself is a page that the browser counts as an error.
    browser.complaints().await;
    browser.fill("api_key", world.stripe.secret_key().expose_secret()).await;
    browser.press("Connect account").await;
    browser.until("the connection's page", "/^\\/connections\\/con_/.test(location.pathname)").await;

    // Progress moves on this page, without loading it again.
    browser.until("the page to be there", "document.readyState === 'complete'").await;
    browser.value("window.sameOne = true").await;
    browser.until("progress", "document.querySelector('main [role=progressbar], main progress') !== null").await;
    browser.until("the sync to be seen as complete", "!document.querySelector('main [role=progressbar], main progress') && /kinds of objects in step/.test(document.querySelector('main').innerText)").await;
    assert_eq!(browser.value("window.sameOne === true").await, true, "the page was not loaded again");
    let connection = browser.value("location.pathname.split('/')[2]").await.as_str().unwrap().to_owned();
    world.synced(&connection).await;
    let charges = world.mirrored().await["charge"];
    let shown = browser.text().await.replace([',', '\u{202f}', '\u{a0}'], "");
    assert!(shown.contains(&charges.to_string()), "{charges} charges are not shown: {shown}");

    // The overview has figures, a chart and the state of everything.
    browser.go(&home).await;
    let overview = browser.text().await;
    assert_eq!(browser.value("document.querySelectorAll('main svg').length > 0").await, true, "a chart");
    assert!(overview.contains("USD") || overview.contains('$'), "{overview}");

    // An event's body can be read.
    let customer = world.at_stripe("POST", "/v1/customers", "name=Ada+Browser").await;
    world.settled().await;
    browser.go(&format!("{home}/inbox")).await;
    let open = "(() => { const link = [...document.querySelectorAll('main a')].find(it => it.href.includes('/inbox/evt_')); \
                if (!link) return false; link.click(); return true; })()";
    assert_eq!(browser.value(open).await, true, "an event is listed");
    browser
        .until("the event's page", "/^\\/inbox\\/evt_/.test(location.pathname) && document.readyState === 'complete'")
        .await;
    let payload = browser.value("document.querySelector('main').textContent").await;
    let payload = payload.as_str().unwrap();
    assert!(payload.contains(customer["id"].as_str().unwrap()) && payload.contains("Ada Browser"), "{payload}");
    assert_eq!(browser.complaints().await, Vec::<String>::new(), "the browser has nothing to complain of");
    drop(browser);
    world.stop_node().await;
}
