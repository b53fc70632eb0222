//! What a handler learns of whoever calls.

use crate::OrganizationId;
use axum::{
    extract::FromRequestParts,
    http::request::Parts,
    response::{IntoResponse, Response},
};
use kit::{Environment, TenantId};
use platform::Problem;

/// Who is calling, and whose data the call is about. Put into the request by [`crate::layer`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Caller {
    /// The organization.
    pub organization: OrganizationId,
    /// Which of its environments.
    pub environment: Environment,
    /// Both of the above as every table names them.
    pub tenant: TenantId,
    /// How the caller proved who it is.
    pub kind: CallerKind,
}

/// How a caller proved who it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CallerKind {
    /// By a token in `Authorization: Bearer …`: a program.
    Token,
    /// By the cookie of a console session: a person.
    Session,
}

impl<S: Send + Sync> FromRequestParts<S> for Caller {
    type Rejection = Response;
    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Caller, Response> {
        parts
            .extensions
            .get::<Caller>()
            .cloned()
            .ok_or_else(|| Problem::unauthorized("The call carries no valid token and no session.").into_response())
    }
}
