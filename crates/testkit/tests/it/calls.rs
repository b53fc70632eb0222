//! Calls reach a router as a client's would, and answers say what was wrong.

use axum::{
    Json, Router,
    extract::ConnectInfo,
    response::{AppendHeaders, IntoResponse},
    routing::{get, post},
};
use http::{HeaderMap, StatusCode};
use serde_json::{Value, json};
use std::net::SocketAddr;
use testkit::{Call, Served};

fn router() -> Router {
    Router::new()
        .route("/echo", post(|headers: HeaderMap, body: String| async move {
            let seen = |name: &str| headers.get(name).and_then(|value| value.to_str().ok()).map(String::from);
            Json(json!({ "body": body, "type": seen("content-type"), "who": seen("authorization"), "cookie": seen("cookie") }))
        }))
        .route("/where", get(|ConnectInfo(from): ConnectInfo<SocketAddr>| async move { from.ip().to_string() }))
        .route("/moved", get(|| async {
            (StatusCode::SEE_OTHER, AppendHeaders([("location", "/there"), ("set-cookie", "session=abc; HttpOnly"), ("set-cookie", "other=d")]))
        }))
        .route("/refused", get(|| async {
            let problem = json!({ "status": 409, "code": "in_use", "title": "In use" });
            (StatusCode::CONFLICT, [("content-type", "application/problem+json")], problem.to_string()).into_response()
        }))
}

#[tokio::test]
async fn a_call_carries_what_it_was_given() {
    let call = Call::post("/echo").bearer("token").cookie("session", "abc").json(&json!({ "amount_minor": 5 }));
    let answer: Value = call.send(&router()).await.expect(200).json();
    let expected = json!({ "body": r#"{"amount_minor":5}"#, "type": "application/json", "who": "Bearer token", "cookie": "session=abc" });
    assert_eq!(answer, expected);

    let form: Value = Call::post("/echo").form("a=1&b=2").send(&router()).await.expect(200).json();
    assert_eq!(
        (form["body"].as_str(), form["type"].as_str()),
        (Some("a=1&b=2"), Some("application/x-www-form-urlencoded"))
    );

    let from = Call::get("/where").from_address("192.0.2.7:4242".parse().unwrap());
    assert_eq!(from.send(&router()).await.expect(200).text(), "192.0.2.7");
}

#[tokio::test]
async fn an_answer_tells_where_to_go_and_what_to_keep() {
    let moved = Call::get("/moved").send(&router()).await.expect(303);
    assert_eq!(moved.location(), Some("/there"));
    assert_eq!(
        (moved.set_cookie("session"), moved.set_cookie("other"), moved.set_cookie("no")),
        (Some("abc"), Some("d"), None)
    );
}

#[tokio::test]
async fn a_problem_is_known_by_its_code() {
    Call::get("/refused").send(&router()).await.expect_problem(409, "in_use");
}

#[tokio::test]
#[should_panic(expected = "GET /refused answered 409 Conflict")]
async fn another_status_than_expected_shows_the_answer() {
    Call::get("/refused").send(&router()).await.expect(200);
}

#[tokio::test]
async fn a_served_router_answers_on_its_port_until_it_is_stopped() {
    let ask = |address| crate::get(address, "/where", "");
    let served = Served::start(router()).await;
    assert!(ask(served.address()).await.unwrap().ends_with("127.0.0.1"));
    assert_eq!(served.url("/where"), format!("http://{}/where", served.address()));
    let address = served.stop().await;
    ask(address).await.unwrap_err();
    let _again = Served::start_at(address, router()).await;
    assert!(ask(address).await.unwrap().contains("200 OK"));
}
