//! The console's pages of connections, as people see them.

use crate::world::{TENANT, World, base, world};
use axum::{Extension, Router};
use identity::{Caller, CallerKind, Identity, OrganizationId};
use kit::Environment;
use mirror::SyncKind;
use simulator::Business;
use testkit::{Answer, Call, Stage};

testkit::on_both_engines!(a_connection_is_shown_with_its_sync, refusals_stand_where_they_arose);

fn pages(world: &World) -> Router {
    let organization = OrganizationId::from_text("org_1");
    let caller = Caller { organization, environment: Environment::Test, tenant: TENANT, kind: CallerKind::Session };
    mirror::slice(&world.mirror).routes.layer(Extension(caller)).layer(Extension(Identity::open(base(&world.stage))))
}

async fn get(world: &World, path: &str) -> Answer {
    Call::get(path).header("accept", "text/html").send(&pages(world)).await
}

#[track_caller]
fn holds(page: &str, words: &[&str]) {
    assert!(page.len() < 60_000, "the page has {} bytes", page.len());
    let text = page.replace("<wbr>", "");
    for word in words {
        assert!(text.contains(word), "`{word}` is not on the page: {text}");
    }
}

async fn a_connection_is_shown_with_its_sync(stage: Stage) {
    let world = world(stage).await;
    let id = world.connection.id.clone();
    let page = get(&world, "/connections").await.expect(200).text();
    holds(&page, &["Acme", "Works", "Not synced yet", "Connect Stripe"]);
    let page = get(&world, &format!("/connections/{id}")).await.expect(200).text();
    holds(&page, &["Nothing is mirrored yet", "Sync now", "Test connection", "Replace key", "Disconnect"]);
    holds(
        &page,
        &["Not set up", "Reads in 30 days", "Permissions of the key", "Repair webhook endpoint", "Save signing secret"],
    );
    let page = get(&world, &format!("/connections/{id}/coverage")).await.expect(200).text();
    holds(&page, &["Not everything was read yet", "not read yet", "the first sync begins by itself"]);

    world.stripe.generate(&Business { customers: 30, charges: 150, ..Business::default() });
    let _working = world.working();
    let asked = Call::post(&format!("/connections/{id}/sync")).send(&pages(&world)).await.expect(303);
    assert_eq!(asked.location(), Some(format!("/connections/{id}?done=sync").as_str()));
    world.synced().await;
    assert_eq!(world.sync(SyncKind::Full).await.state, "completed");
    let page = get(&world, &format!("/connections/{id}")).await.expect(200).text();
    holds(&page, &["All 11 kinds of objects in step", "Charges", "Balance transactions", "completed", "data-live="]);

    let page = get(&world, &format!("/connections/{id}/coverage")).await.expect(200).text();
    holds(&page, &["All 11 kinds of objects are complete as of", "listed to the end", "As a table"]);
    let secret = async |secret: &str| {
        let path = format!("/connections/{id}/webhook-secret");
        Call::post(&path).form(&format!("secret={secret}")).send(&pages(&world)).await
    };
    let page = secret("sk_test_0123456789").await.expect(400).text();
    holds(&page, &["not a webhook signing secret"]);
    assert!(!page.contains("sk_test_0123456789"), "a secret is never shown again");
    let kept = secret("+whsec_0123456789").await.expect(303);
    assert_eq!(kept.location(), Some(format!("/connections/{id}?done=secret").as_str()));
    let page = get(&world, &format!("/connections/{id}?done=secret")).await.expect(200).text();
    holds(&page, &["serves for another 24 hours"]);
    let repair = Call::post(&format!("/connections/{id}/repair-webhooks")).send(&pages(&world)).await;
    holds(&repair.expect(409).text(), &["no public address is configured"]);

    let page = get(&world, &format!("/connections/{id}/disconnect")).await.expect(200).text();
    holds(&page, &["keep its data?", "erase its data?", "The key is destroyed"]);
    let bad = Call::post(&format!("/connections/{id}/disconnect")).form("data=burn").send(&pages(&world)).await;
    bad.expect_problem(400, "bad_field");
    Call::post(&format!("/connections/{id}/disconnect")).form("data=keep").send(&pages(&world)).await.expect(303);
    let page = get(&world, &format!("/connections/{id}")).await.expect(200).text();
    holds(&page, &["Charges"]);
    assert!(!page.contains("Sync now"));
    get(&world, "/connections/con_none").await.expect_problem(404, "not_found");
}

async fn refusals_stand_where_they_arose(stage: Stage) {
    let world = world(stage).await;
    let page = get(&world, "/connections/new").await.expect(200).text();
    holds(&page, &["Stripe API key", "rk_test_", "Connect account"]);
    let form = "api_key=pk_test_0123456789abcdef&display_name=Acme+two&lookback_days=30";
    let page = Call::post("/connections").form(form).send(&pages(&world)).await.expect(422).text();
    holds(&page, &["Acme two", "30", "publishable"]);
    assert!(!page.contains("pk_test_0123456789abcdef"), "a key is never shown again");
    let page =
        Call::post("/connections").form("api_key=x&lookback_days=many").send(&pages(&world)).await.expect(400).text();
    holds(&page, &["whole number"]);
    let path = format!("/connections/{}/key", world.connection.id);
    let page = Call::post(&path).form("api_key=nonsense").send(&pages(&world)).await.expect(422).text();
    holds(&page, &["Acme"]);
}
