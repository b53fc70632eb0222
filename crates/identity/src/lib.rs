//! Who is calling: the organization, its environments, the administrator's token and console sessions.
//!
//! Read in this order: [`caller`] what a handler learns of whoever calls, [`identity`] how that is found out,
//! [`mod@layer`] where it happens for every request, [`frame`] what pages stand in, [`address`] whose address it is.

pub mod address;
mod api;
pub mod caller;
mod cookie;
pub mod error;
pub mod frame;
pub mod identity;
mod jobs;
pub mod layer;
mod memory;
mod origin;
mod pages;
mod store;
mod token;

pub use caller::{Caller, CallerKind};
pub use error::IdentityError;
pub use frame::{Frame, pages_layer};
pub use identity::{Bootstrap, Identity, IdentityOptions, OrganizationId, Tenant};
pub use layer::layer;
pub use memory::WAKE;

pub(crate) use caller::Refusal;

use axum::{
    Router,
    routing::{get, post},
};

/// What this feature gives the server: sign-in and sign-out, the switch between environments, `GET /v1/me`.
pub fn slice(identity: &Identity) -> platform::Slice {
    let routes = Router::new()
        .route("/sign-in", get(pages::sign_in_page).post(pages::sign_in))
        .route("/sign-in/{code}", get(pages::sign_in_by_code))
        .route("/sign-out", post(pages::sign_out))
        .route("/environment", post(pages::switch))
        .route("/v1/me", get(api::me))
        .with_state(identity.clone());
    platform::Slice {
        name: "identity",
        routes,
        jobs: jobs::kinds(identity),
        schedules: jobs::schedules(),
        ..platform::Slice::default()
    }
}
