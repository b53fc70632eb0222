//! Who is calling, through HTTP and on both engines: tokens, sessions, sign-in links, pages and problems.

#![expect(clippy::unwrap_used, reason = "a test that meets what it does not expect has failed")]

mod pages;
mod sessions;
mod start;
mod tokens;

use axum::{Extension, Json, Router, middleware::from_fn_with_state, routing::get};
use identity::{Caller, Frame, Identity, IdentityOptions};
use kit::{ExposeSecret, TenantId};
use platform::{Base, NavItem, Problem};
use serde_json::{Value, json};
use std::sync::Arc;
use testkit::{Answer, Call, Stage};

const COOKIE: &str = "bursar_session";

fn base(stage: &Stage) -> Base {
    Base { store: stage.store.clone(), clock: stage.clock.shared(), randomness: stage.randomness.clone() }
}

/// A server in small: identity's routes, one JSON route and one page that need a caller, and one for everybody.
struct World {
    identity: Identity,
    token: String,
    router: Router,
}

impl World {
    async fn new(stage: &Stage) -> World {
        World::with(stage, IdentityOptions::default()).await
    }

    async fn with(stage: &Stage, options: IdentityOptions) -> World {
        let identity = Identity::open_with(base(stage), options);
        let token = identity.bootstrap(None).await.unwrap().admin_token.unwrap().expose_secret().to_owned();
        World { router: router(&identity), identity, token }
    }

    async fn send(&self, call: Call) -> Answer {
        call.send(&self.router).await
    }

    /// Signs in by the form; answers the cookie's value.
    async fn sign_in(&self) -> String {
        let answer = self.send(from_own_page(Call::post("/sign-in")).form(&format!("token={}", self.token))).await;
        answer.expect(303).set_cookie(COOKIE).unwrap().to_owned()
    }
}

fn router(identity: &Identity) -> Router {
    let navigation = Arc::new(vec![
        NavItem { label: "Inbox", href: "/inbox", icon: "inbox", order: 20 },
        NavItem { label: "Overview", href: "/", icon: "overview", order: 10 },
    ]);
    Router::new()
        .route("/open", get(async || "open"))
        .route(
            "/v1/whose",
            get(async |caller: Caller, Extension(tenant): Extension<TenantId>| {
                assert_eq!(tenant, caller.tenant);
                whose(&caller)
            })
            .post(async |caller: Caller| whose(&caller)),
        )
        .route(
            "/inbox",
            get(async |Frame(frame): Frame| {
                ui::Page::new("Inbox", &frame).active("/inbox").body("all is well").render()
            }),
        )
        .route("/gone", get(async || Problem::not_found("event", "evt_1")))
        .merge(identity::slice(identity).routes)
        .layer(axum::middleware::from_fn(identity::pages_layer))
        .layer(from_fn_with_state(identity.clone(), identity::layer))
        .layer(Extension(navigation))
}

fn whose(caller: &Caller) -> Json<Value> {
    Json(json!({ "tenant": caller.tenant, "environment": caller.environment, "kind": caller.kind }))
}

/// As a browser sends what one of our own pages asks for.
fn from_own_page(call: Call) -> Call {
    call.header("sec-fetch-site", "same-origin").header("accept", "text/html,application/xhtml+xml")
}

fn by_browser(call: Call) -> Call {
    call.header("accept", "text/html,application/xhtml+xml")
}
