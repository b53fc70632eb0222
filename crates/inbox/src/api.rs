//! To come within the hour.

use crate::Inbox;
use axum::Router;

pub(crate) fn routes(inbox: Inbox) -> Router {
    let _ = inbox;
    Router::new()
}
