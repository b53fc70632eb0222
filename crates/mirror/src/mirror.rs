//! The mirror as others hold it.

use crate::{Absorbed, Absorber, MirrorError, Observation, Projection, Scope};
use platform::Base;
use std::sync::Arc;
use store::TenantTx;

/// The local copy of Stripe's objects. Cheap to clone.
#[derive(Clone)]
pub struct Mirror {
    absorber: Absorber,
}

impl Mirror {
    /// A mirror that tells these projections.
    pub fn new(base: Base, projections: Vec<Arc<dyn Projection>>) -> Mirror {
        Mirror { absorber: Absorber::new(base, projections) }
    }

    /// Absorbs a batch of observations of one account, in the caller's transaction.
    pub async fn absorb(
        &self,
        tx: &mut TenantTx,
        scope: &Scope,
        observations: &[Observation<'_>],
    ) -> Result<Absorbed, MirrorError> {
        self.absorber.absorb(tx, scope, observations).await
    }
}
