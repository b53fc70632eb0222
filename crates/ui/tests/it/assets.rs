//! The files as a browser gets them.

use axum::{Router, body::Body};
use http::{Request, StatusCode};
use http_body_util::BodyExt;
use tower::ServiceExt;

async fn get(path: &str) -> (StatusCode, http::HeaderMap, String) {
    let router: Router = ui::assets_router();
    let answer = router.oneshot(Request::get(path).body(Body::empty()).unwrap()).await.unwrap();
    let (parts, body) = answer.into_parts();
    let bytes = body.collect().await.unwrap().to_bytes();
    (parts.status, parts.headers, String::from_utf8(bytes.to_vec()).unwrap())
}

#[tokio::test]
async fn files_are_kept_for_a_year_under_names_that_change_with_them() {
    for (path, kind) in [
        (ui::assets::style_path(), "text/css; charset=utf-8"),
        (ui::assets::script_path(), "text/javascript; charset=utf-8"),
        (ui::assets::mark_path(), "image/svg+xml"),
    ] {
        let (status, headers, body) = get(path).await;
        assert_eq!(status, StatusCode::OK, "{path}");
        assert_eq!(headers["content-type"], kind);
        assert_eq!(headers["cache-control"], "public, max-age=31536000, immutable");
        assert!(body.len() < 60_000, "{path} has grown to {} bytes", body.len());
        assert!(!body.is_empty());
    }
}

#[tokio::test]
async fn a_file_of_another_release_is_not_remembered_as_missing() {
    for path in ["/assets/app-0000000000000000.css", "/assets/tokens.css", "/assets/..%2fCargo.toml"] {
        let (status, headers, _) = get(path).await;
        assert_eq!(status, StatusCode::NOT_FOUND, "{path}");
        assert_eq!(headers["cache-control"], "no-store");
    }
}
