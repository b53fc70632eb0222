//! Organizations, their tenants, tokens and sessions.

use crate::IdentityError;
use kit::{Environment, Secret, TenantId};
use platform::Base;
use std::sync::Arc;

kit::define_id!(
    /// An organization: the business whose data this is.
    OrganizationId,
    "org"
);

/// An organization in one of its environments.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tenant {
    /// As every table names it.
    pub id: TenantId,
    /// The organization.
    pub organization: OrganizationId,
    /// What people call the organization.
    pub organization_name: String,
    /// Which of its environments.
    pub environment: Environment,
}

/// What is there after the start.
#[derive(Debug)]
pub struct Bootstrap {
    /// What people call the one organization.
    pub organization: String,
    /// Its tenants, test first.
    pub tenants: [(Environment, TenantId); 2],
    /// The administrator's token, when one was just made: shown once, only its hash is kept.
    pub admin_token: Option<Secret>,
}

/// Finds out who is calling. Cheap to clone.
#[derive(Clone)]
pub struct Identity {
    inner: Arc<Inner>,
}

struct Inner {
    base: Base,
}

impl Identity {
    /// On a migrated database; [`Identity::bootstrap`] comes next.
    pub fn open(base: Base) -> Identity {
        Identity { inner: Arc::new(Inner { base }) }
    }

    /// Makes the one organization, its two tenants and its token, where they are not there yet.
    pub async fn bootstrap(&self, admin_token: Option<Secret>) -> Result<Bootstrap, IdentityError> {
        let _ = (&self.inner.base, admin_token);
        todo!()
    }

    /// Every tenant, by its number.
    pub async fn tenants(&self) -> store::Result<Vec<Tenant>> {
        todo!()
    }

    /// One tenant.
    pub async fn tenant(&self, id: TenantId) -> store::Result<Option<Tenant>> {
        let _ = id;
        todo!()
    }

    /// A one-use code that signs in within ten minutes, for an address that `serve` prints: `{base}/sign-in/{code}`.
    pub async fn sign_in_code(&self) -> Result<String, IdentityError> {
        todo!()
    }
}
