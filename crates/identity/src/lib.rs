//! Who is calling: the organization, its environments, the administrator's token and console sessions.
//!
//! Read in this order: [`caller`] what a handler learns of whoever calls, [`identity`] how that is found out,
//! [`layer`] where it happens for every request, [`frame`] what pages stand in.

pub mod caller;
pub mod error;
pub mod frame;
pub mod identity;
pub mod layer;

pub use caller::{Caller, CallerKind};
pub use error::IdentityError;
pub use frame::{Frame, pages_layer};
pub use identity::{Bootstrap, Identity, OrganizationId, Tenant};
pub use layer::layer;

/// What this feature gives the server: sign-in and sign-out, the switch between environments, `GET /v1/me`.
pub fn slice(identity: &Identity) -> platform::Slice {
    let _ = identity;
    platform::Slice { name: "identity", ..platform::Slice::default() }
}
