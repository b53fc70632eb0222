//! Addresses: other spellings, pages, lists by cursor, keys that make a request count once, health.

use crate::world::{TOKEN, World};
use kit::ExposeSecret;
use serde_json::{Value, json};
use server::aliases::ALIASES;
use std::collections::BTreeSet;
use testkit::{Answer, Stage, on_both_engines};

on_both_engines!(
    other_spellings_reach_the_same_handler,
    pages_open_for_whoever_is_signed_in,
    a_key_makes_a_request_count_once,
    lists_are_read_page_by_page,
    health_and_readiness_are_told,
);

async fn connected(stage: Stage) -> (World, String) {
    let world = World::start(stage).await;
    world.generate(10, 40);
    let connection = world.connect().await;
    world.synced(&connection).await;
    world.at_stripe("POST", "/v1/customers", "name=New").await;
    world.settled().await;
    (world, connection)
}

async fn other_spellings_reach_the_same_handler(stage: Stage) {
    let (mut world, connection) = connected(stage).await;
    for alias in ALIASES {
        let ask = async |path: &str| {
            let path = path.replace("{id}", &connection);
            let request = world.request(alias.method, &path).bearer_auth(TOKEN);
            world.send(request.header("content-type", "application/json").body("{}")).await
        };
        let (other, canonical) = (ask(alias.path).await, ask(alias.canonical).await);
        assert_eq!(other.status, canonical.status, "{} and {}", alias.path, alias.canonical);
        let shape = |answer: &Answer| -> (Value, BTreeSet<String>) {
            let body: Value = answer.json();
            let members = body.as_object().map(|members| members.keys().cloned().collect()).unwrap_or_default();
            (body["code"].clone(), members)
        };
        assert_eq!(shape(&other), shape(&canonical), "{} and {}", alias.path, alias.canonical);
        assert_ne!(shape(&other).0, "unknown_route", "{} leads nowhere", alias.path);
    }
    world.synced(&connection).await;
    world.stop_node().await;
}

/// Signs in as the address that a terminal prints does; answers the cookie.
async fn sign_in(world: &World) -> String {
    let code = world.node().parts.identity.sign_in_code().await.unwrap();
    let path = format!("/sign-in/{code}");
    let answer = world.send(world.request("GET", &path)).await.expect(303);
    let cookie = answer.header("set-cookie").unwrap();
    assert!(cookie.contains("HttpOnly") && cookie.contains("SameSite=Lax"), "the cookie is for this browser only");
    // It was for one visit.
    world.send(world.request("GET", &path)).await.expect(410);
    cookie.split(';').next().unwrap().to_owned()
}

async fn pages_open_for_whoever_is_signed_in(stage: Stage) {
    let (mut world, connection) = connected(stage).await;
    let inbox: Value = world.get("/v1/inbox?limit=1").await.expect(200).json();
    let event = inbox["data"][0]["id"].as_str().unwrap();
    let mut pages: BTreeSet<String> = world
        .node()
        .parts
        .slices()
        .iter()
        .flat_map(|slice| slice.nav.iter().map(|item| item.href.to_owned()))
        .collect();
    assert!(pages.contains("/") && pages.contains("/inbox") && pages.contains("/connections"), "{pages:?}");
    pages.extend([
        "/connections/new".to_owned(),
        format!("/connections/{connection}"),
        format!("/connections/{connection}/disconnect"),
        format!("/inbox/{event}"),
    ]);
    let cookie = sign_in(&world).await;
    for page in &pages {
        let html = |request: reqwest::RequestBuilder| request.header("accept", "text/html");
        let answer = world.send(html(world.request("GET", page))).await.expect(303);
        let location = answer.location().unwrap();
        assert!(location.starts_with("/sign-in?next="), "{page} sends to {location}");
        let answer = world.send(html(world.request("GET", page)).header("cookie", &cookie)).await.expect(200);
        assert!(answer.header("content-type").unwrap().starts_with("text/html"), "{page}");
        let text = answer.text();
        assert!(text.contains("<main") && text.contains("/sign-out"), "{page} stands in the frame");
        for (name, value) in [("x-frame-options", "DENY"), ("x-content-type-options", "nosniff")] {
            assert_eq!(answer.header(name), Some(value), "{page}");
        }
    }
    // A page that is not there is told in the frame, with the request's id to report it by.
    let request = world.request("GET", "/inbox/evt_nobody").header("accept", "text/html").header("cookie", &cookie);
    let answer = world.send(request).await.expect(404);
    let id = answer.header("request-id").unwrap();
    assert!(answer.text().contains(id), "the page shows the request's id {id}");
    // Nobody else's page can do anything in the person's name.
    let request = world.request("POST", &format!("/connections/{connection}/sync")).header("cookie", &cookie);
    let request = request.header("origin", "https://elsewhere.example").header("sec-fetch-site", "cross-site");
    world.send(request).await.expect(403);
    world.stop_node().await;
}

async fn a_key_makes_a_request_count_once(stage: Stage) {
    let mut world = World::start(stage).await;
    let body = json!({ "api_key": world.stripe.secret_key().expose_secret() });
    let connect = async |body: &Value| {
        let request = world.request("POST", "/v1/connections").bearer_auth(TOKEN).header("idempotency-key", "one");
        world.send(request.header("content-type", "application/json").body(body.to_string())).await
    };
    let first: Value = connect(&body).await.expect(201).json();
    let again = connect(&body).await.expect(201);
    assert_eq!(again.header("idempotent-replayed"), Some("true"));
    assert_eq!(again.json::<Value>()["id"], first["id"]);
    connect(&json!({ "api_key": "another" })).await.expect_problem(409, "idempotency_key_reused");
    let list: Value = world.get("/v1/connections").await.expect(200).json();
    assert_eq!(list["data"].as_array().unwrap().len(), 1);
    world.synced(first["id"].as_str().unwrap()).await;
    world.stop_node().await;
}

async fn lists_are_read_page_by_page(stage: Stage) {
    let (mut world, connection) = connected(stage).await;
    for _ in 0..2 {
        world.sync(&connection).await;
    }
    let syncs = format!("/v1/connections/{connection}/sync-jobs");
    for (list, id, limit) in
        [("/v1/inbox", "id", 1), ("/v1/objects/charge", "object", 7), (&*syncs, "id", 1), ("/v1/outbox", "id", 1)]
    {
        let whole: Value = world.get(&format!("{list}?limit=200")).await.expect(200).json();
        let whole: Vec<Value> = whole["data"].as_array().unwrap().iter().map(|row| row[id].clone()).collect();
        let (mut read, mut cursor) = (Vec::new(), None::<String>);
        loop {
            let behind = cursor.map(|cursor| format!("&cursor={cursor}")).unwrap_or_default();
            let page: Value = world.get(&format!("{list}?limit={limit}{behind}")).await.expect(200).json();
            let rows = page["data"].as_array().unwrap();
            assert!(rows.len() <= limit, "{list}: {} rows of {limit}", rows.len());
            read.extend(rows.iter().map(|row| row[id].clone()));
            cursor = page["next_cursor"].as_str().map(str::to_owned);
            assert_eq!(page["has_more"].as_bool(), Some(cursor.is_some()), "{list}");
            if cursor.is_none() {
                break;
            }
        }
        assert!(!whole.is_empty(), "{list} has something to list");
        assert_eq!(read, whole, "{list} page by page");
    }
    world.stop_node().await;
}

async fn health_and_readiness_are_told(stage: Stage) {
    let mut world = World::start(stage).await;
    let answer = world.send(world.request("GET", "/healthz")).await.expect(200);
    assert_eq!(answer.json::<Value>()["status"], "ok");
    let answer = world.send(world.request("GET", "/readyz")).await.expect(200);
    assert_eq!(answer.json::<Value>()["status"], "ready");
    world.stop_node().await;
}
