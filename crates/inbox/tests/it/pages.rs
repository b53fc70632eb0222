//! The inbox as people see it.

use crate::world::{LIVE, TEST, World, base, event, event_of, world};
use axum::{Extension, Router};
use identity::{Caller, CallerKind, Identity, OrganizationId};
use inbox::{SinkError, Source};
use kit::{Environment, TenantId};
use std::time::Duration;
use testkit::{Answer, Call, Stage};

testkit::on_both_engines!(
    the_list_says_how_things_stand,
    an_event_s_page_shows_its_body_and_history,
    a_replay_is_asked_for_and_told_of,
    an_empty_inbox_says_what_to_do,
    silence_and_refusals_are_shown,
    a_live_page_tells_what_changed,
);

fn pages(world: &World, tenant: TenantId) -> Router {
    let environment = if tenant == LIVE { Environment::Live } else { Environment::Test };
    let organization = OrganizationId::from_text("org_1");
    world
        .router()
        .layer(Extension(Caller { organization, environment, tenant, kind: CallerKind::Session }))
        .layer(Extension(Identity::open(base(&world.stage))))
}

async fn get(world: &World, path: &str) -> Answer {
    Call::get(path).header("accept", "text/html").send(&pages(world, TEST)).await
}

#[track_caller]
fn holds(page: &str, words: &[&str]) {
    assert!(page.len() < 60_000, "the page has {} bytes", page.len());
    // Long words may be broken anywhere where they have a sign.
    let text = page.replace("<wbr>", "");
    for word in words {
        assert!(text.contains(word), "`{word}` is not on the page");
    }
}

async fn the_list_says_how_things_stand(stage: Stage) {
    let world = world(stage).await;
    for number in 0..60 {
        world
            .deliver(&event_of(
                &format!("evt_{number:02}"),
                if number % 2 == 0 { "charge.updated" } else { "invoice.paid" },
                "",
            ))
            .await
            .expect(200);
    }
    world.process().await;
    let page = get(&world, "/inbox").await.expect(200).text();
    holds(
        &page,
        &[
            "Every event is processed",
            "/inbox/evt_59",
            "charge.updated",
            "50 events, newest first",
            "cursor=",
            "/inbox/live",
        ],
    );
    let next = page.split("href=\"/inbox?cursor=").nth(1).unwrap().split('"').next().unwrap();
    let page = get(&world, &format!("/inbox?cursor={next}")).await.expect(200).text();
    holds(&page, &["10 events, newest first", "/inbox/evt_00", "Back to the start"]);
    let page = get(&world, "/inbox?type=invoice.*&state=processed").await.expect(200).text();
    holds(&page, &["30 events, newest first", "value=\"invoice.*\"", "state=processed"]);
    assert!(!page.contains("/inbox/evt_00"));

    world.sink.fail_with(|_| Some(SinkError::Retry("bad luck".to_owned())));
    world.deliver(&event("evt_60")).await.expect(200);
    world.process().await;
    holds(&get(&world, "/inbox").await.text(), &["will be tried again", "Trying again", "/inbox/replay?state=failed"]);
    get(&world, "/inbox?state=gone").await.expect_problem(400, "bad_field");
    Call::get("/inbox").send(&world.router()).await.expect(401);
}

async fn an_event_s_page_shows_its_body_and_history(stage: Stage) {
    let world = world(stage).await;
    world.deliver(&event("evt_1")).await.expect(200);
    world.sink.fail_with(|_| Some(SinkError::Poison("no <shape> like that".to_owned())));
    world.process().await;
    let page = get(&world, "/inbox/evt_1").await.expect(200).text();
    holds(
        &page,
        &[
            "Given up after one try",
            "no &lt;shape&gt; like that",
            "As received",
            "Zürich",
            "acct_1",
            "2026-10-28.endive",
        ],
    );
    holds(&page, &["action=\"/inbox/evt_1/replay\"", "/inbox?object=charge_of_evt_1", "Stored and acknowledged"]);
    world.sink.succeed();
    let answer = Call::post("/inbox/evt_1/replay").form("csrf=x").send(&pages(&world, TEST)).await.expect(303);
    assert_eq!(answer.location(), Some("/inbox/evt_1?replayed=1"));
    world.process().await;
    holds(
        &get(&world, "/inbox/evt_1?replayed=1").await.text(),
        &["being processed again", "Processed", "At the first try"],
    );
    get(&world, "/inbox/evt_9").await.expect_problem(404, "not_found");
    Call::get("/inbox/evt_1").send(&pages(&world, LIVE)).await.expect_problem(404, "not_found");
}

async fn a_replay_is_asked_for_and_told_of(stage: Stage) {
    let world = world(stage).await;
    for id in ["evt_1", "evt_2"] {
        world.deliver(&event(id)).await.expect(200);
    }
    world.sink.fail_with(|_| Some(SinkError::Poison("no".to_owned())));
    world.process().await;
    world.sink.succeed();
    let page = get(&world, "/inbox").await.text();
    holds(&page, &["given up", "/inbox/replay?state=dead"]);
    let question = get(&world, "/inbox/replay?state=dead").await.expect(200).text();
    holds(&question, &["Process these events again?", "Nothing is sent to Stripe", "name=\"state\" value=\"dead\""]);
    let answer = Call::post("/inbox/replay").form("csrf=x&state=dead").send(&pages(&world, TEST)).await.expect(303);
    assert_eq!(answer.location(), Some("/inbox?replayed=2"));
    holds(&get(&world, "/inbox?replayed=2").await.text(), &["being processed again"]);
    world.process().await;
    assert_eq!(world.effects(TEST).await, 2);
    let answer = Call::post("/inbox/replay").form("csrf=x").send(&pages(&world, TEST)).await;
    answer.expect_problem(400, "replay_without_filter");
}

async fn an_empty_inbox_says_what_to_do(stage: Stage) {
    let world = world(stage).await;
    holds(
        &get(&world, "/inbox").await.expect(200).text(),
        &["No event has come in yet", "No events yet", "/connections"],
    );
    holds(&get(&world, "/inbox?state=dead").await.text(), &["Nothing is given up"]);
    holds(&get(&world, "/inbox?type=x").await.text(), &["No event is like that"]);
}

async fn silence_and_refusals_are_shown(stage: Stage) {
    let world = world(stage).await;
    let late = event("evt_1");
    world.stage.clock.advance(Duration::from_secs(3_600));
    let mut tx = world.stage.store.begin(TEST).await.unwrap();
    world.inbox.accept(&mut tx, &world.connection, Source::Sweep, &[&late]).await.unwrap();
    tx.commit().await.unwrap();
    world.process().await;
    let path = format!("/webhooks/stripe/{}", world.connection.id);
    world.deliver_to(&path, &event("evt_2"), &["whsec_wrong"]).await.expect(401);
    let page = get(&world, "/inbox").await.text();
    holds(&page, &["How events come in", "Do not arrive", "signed with another secret"]);
    holds(&get(&world, "/inbox/evt_1").await.text(), &["no webhook had told of it"]);
}

async fn a_live_page_tells_what_changed(stage: Stage) {
    let world = world(stage).await;
    let stopping = platform::CancellationToken::new();
    let loops = inbox::slice(&world.inbox, world.sink.clone()).background;
    for background in loops {
        tokio::spawn((background.run)(stopping.clone()));
    }
    let router = pages(&world, TEST);
    let open = tokio::spawn(async move { Call::get("/inbox/live").send(&router).await });
    // Deliveries go on until the page has noticed and the program stops; the whole stream is then read.
    for number in 0..30 {
        world.deliver(&event(&format!("evt_{number}"))).await.expect(200);
        kit::clock::pause(Duration::from_millis(100)).await;
    }
    stopping.cancel();
    let stream = open.await.unwrap().expect(200).text();
    assert!(stream.contains(r#""id":"events""#) && stream.contains("/inbox/evt_"), "{stream}");
}
