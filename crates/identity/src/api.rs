//! `GET /v1/me`: who the server takes the caller for.

use crate::{Caller, CallerKind, layer::SignedIn};
use axum::{Extension, Json};
use kit::{Environment, TenantId};
use serde::Serialize;

/// The answer of `GET /v1/me`.
#[derive(Serialize)]
pub(crate) struct Me {
    organization: OrganizationView,
    environment: Environment,
    tenant: TenantId,
    kind: CallerKind,
}

#[derive(Serialize)]
struct OrganizationView {
    id: String,
    name: String,
}

pub(crate) async fn me(caller: Caller, Extension(signed_in): Extension<SignedIn>) -> Json<Me> {
    let organization =
        OrganizationView { id: caller.organization.to_string(), name: signed_in.organization.name.clone() };
    Json(Me { organization, environment: caller.environment, tenant: caller.tenant, kind: caller.kind })
}
