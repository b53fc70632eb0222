//! What the console's pages stand in, and problems shown in it.

use crate::Caller;
use axum::{
    extract::{FromRequestParts, Request},
    http::request::Parts,
    middleware::Next,
    response::Response,
};

/// The frame of a page: `async fn page(Frame(frame): Frame) -> Markup { ui::Page::new("Inbox", &frame)… .render() }`.
pub struct Frame(pub ui::Frame);

impl<S: Send + Sync> FromRequestParts<S> for Frame {
    type Rejection = Response;
    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Frame, Response> {
        let caller = Caller::from_request_parts(parts, state).await?;
        let _ = caller;
        todo!()
    }
}

/// Shows problems as pages to those who read pages. Inside [`crate::layer`], outside the routes.
pub async fn pages_layer(request: Request, next: Next) -> Response {
    next.run(request).await
}
