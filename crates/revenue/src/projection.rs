//! What the mirror tells revenue of.

use mirror::{Change, Scope};
use platform::Base;
use store::TenantTx;

/// Turns changed objects into facts and totals.
pub(crate) struct RevenueProjection {
    base: Base,
}

impl RevenueProjection {
    pub(crate) fn new(base: Base) -> RevenueProjection {
        RevenueProjection { base }
    }
}

#[async_trait::async_trait]
impl mirror::Projection for RevenueProjection {
    fn name(&self) -> &'static str {
        "revenue"
    }

    fn objects(&self) -> &'static [&'static str] {
        &["charge", "refund", "dispute", "balance_transaction", "payout", "invoice", "invoice_payment", "product"]
    }

    async fn apply(&self, tx: &mut TenantTx, scope: &Scope, changes: &[Change<'_>]) -> store::Result<()> {
        let _ = (tx, scope, changes, &self.base);
        Ok(())
    }

    async fn clear(&self, tx: &mut TenantTx, scope: &Scope) -> store::Result<()> {
        let _ = (tx, scope);
        Ok(())
    }
}
