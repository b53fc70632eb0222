//! How far projections are that are being made anew.

use kit::TenantId;
use store::{Tx, q, sql};

/// A projection that is being made anew, and the last object that it was told of.
#[derive(Clone, Debug, PartialEq, Eq, sqlx::FromRow)]
pub(crate) struct Rebuild {
    pub(crate) projection: String,
    pub(crate) object_type: String,
    pub(crate) id: String,
}

impl Rebuild {
    /// Whether the rebuild has passed this object, so that its changes are to be told. Others are told in their turn.
    pub(crate) fn has_passed(&self, object_type: &str, id: &str) -> bool {
        (object_type, id) <= (self.object_type.as_str(), self.id.as_str())
    }
}

/// Projections of an account that are being made anew; mostly none.
pub(crate) async fn running(tx: &mut Tx, tenant: TenantId, account: &str) -> store::Result<Vec<Rebuild>> {
    q(sql!(
        "SELECT projection, object_type, id FROM mirror_rebuilds WHERE tenant_id = $1 AND account_id = $2 LIMIT 100"
    ))
    .bind(tenant)
    .bind(account)
    .all(tx)
    .await
}

pub(crate) async fn save(tx: &mut Tx, tenant: TenantId, account: &str, rebuild: &Rebuild) -> store::Result<()> {
    q(sql!(
        "INSERT INTO mirror_rebuilds (tenant_id, account_id, projection, object_type, id) VALUES ($1, $2, $3, $4, $5)
         ON CONFLICT (tenant_id, account_id, projection) DO UPDATE SET object_type = excluded.object_type, id = excluded.id"
    ))
    .bind(tenant)
    .bind(account)
    .bind(&rebuild.projection)
    .bind(&rebuild.object_type)
    .bind(&rebuild.id)
    .execute(tx)
    .await?;
    Ok(())
}

pub(crate) async fn end(tx: &mut Tx, tenant: TenantId, account: &str, projection: &str) -> store::Result<()> {
    q(sql!("DELETE FROM mirror_rebuilds WHERE tenant_id = $1 AND account_id = $2 AND projection = $3"))
        .bind(tenant)
        .bind(account)
        .bind(projection)
        .execute(tx)
        .await?;
    Ok(())
}
