//! What the mirror tells revenue of: changed objects become rows and differences, in the transaction that stores them.

use crate::{
    effects::Effects,
    jobs,
    store::{daily, rows},
};
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
        let (tenant, account) = (tx.tenant(), scope.account_id.as_str());
        let mut effects = Effects::of(changes);
        for (id, error) in &effects.unreadable {
            // It must not hold up the others; the tie-out names what is missing.
            tracing::warn!(object.id = id, %error, "an object brings no revenue, because it cannot be read");
        }
        rows::remove_facts(tx, tenant, account, &effects.facts_gone).await?;
        rows::write_facts(tx, tenant, account, &effects.facts).await?;
        rows::remove_movements(tx, tenant, account, &effects.movements_gone).await?;
        rows::write_movements(tx, tenant, account, &effects.movements).await?;
        rows::remove_sales(tx, tenant, account, &effects.sales_gone).await?;
        rows::write_sales(tx, tenant, account, &effects.sales).await?;
        rows::remove_links(tx, tenant, account, &effects.links_gone).await?;
        rows::write_links(tx, tenant, account, &effects.links).await?;
        rows::write_products(tx, tenant, account, &effects.products).await?;

        let (payments, invoices) = (&effects.payments_touched, &effects.invoices_touched);
        for day in daily::days_touched(tx, tenant, account, payments, invoices).await? {
            effects.daily.entry(day).or_default().stale = true;
        }
        daily::add(tx, tenant, account, &effects.daily, self.base.now()).await?;
        if effects.daily.values().any(|delta| delta.stale) {
            jobs::enqueue_refresh(tx, &self.base).await?;
        }
        Ok(())
    }

    async fn clear(&self, tx: &mut TenantTx, scope: &Scope) -> store::Result<()> {
        let tenant = tx.tenant();
        rows::clear(tx, tenant, &scope.account_id).await
    }
}
