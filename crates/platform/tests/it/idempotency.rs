//! The same key and body get the same answer; the work is done once.

use crate::base;
use axum::{Router, extract::Request, middleware, middleware::Next, routing::post};
use kit::TenantId;
use platform::idempotency;
use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};
use testkit::{Call, Stage};

testkit::on_both_engines!(a_key_answers_once_and_refuses_another_body);

async fn a_key_answers_once_and_refuses_another_body(stage: Stage) {
    let base = base(&stage);
    let runs = Arc::new(AtomicUsize::new(0));
    let counted = runs.clone();
    let router = Router::new()
        .route(
            "/count",
            post(move |body: String| async move { format!("{body} {}", counted.fetch_add(1, Ordering::SeqCst)) }),
        )
        .layer(middleware::from_fn_with_state(base.clone(), idempotency::layer))
        .layer(middleware::from_fn(|mut request: Request, next: Next| async move {
            request.extensions_mut().insert(TenantId(1));
            next.run(request).await
        }));
    let send = async |key: &str, body: &str| {
        Call::post("/count").header("idempotency-key", key).body(body.to_owned()).send(&router).await
    };
    assert_eq!(send("k1", "a").await.text(), "a 0");
    let again = send("k1", "a").await;
    assert_eq!((again.text(), again.header("idempotent-replayed")), ("a 0".to_owned(), Some("true")));
    assert_eq!(send("k1", "b").await.status, 409);
    assert_eq!(send("k2", "a").await.text(), "a 1");
    stage.clock.advance(idempotency::KEPT_FOR * 2);
    assert_eq!(send("k1", "b").await.text(), "b 2", "keys are forgotten after a day");
    assert_eq!(runs.load(Ordering::SeqCst), 3);
}
