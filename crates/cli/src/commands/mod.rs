//! A file per command.

pub(crate) mod config;
pub(crate) mod demo;
pub(crate) mod inbox;
pub(crate) mod key;
pub(crate) mod migrate;
pub(crate) mod prove;
pub(crate) mod serve;
pub(crate) mod sim;
pub(crate) mod sync;
pub(crate) mod vault;

/// The one organization's tenant of an environment.
pub(crate) fn tenant_of(parts: &server::Parts, environment: kit::Environment) -> kit::TenantId {
    let [(first, test), (_, live)] = parts.bootstrap.tenants;
    if first == environment { test } else { live }
}
