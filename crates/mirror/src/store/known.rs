//! What stands behind the coverage of a connection: listings that did not end, objects to be read again, payments.

use crate::coverage::Listing;
use kit::{TenantId, Time};
use store::{Tx, q, sql};
use vault::ConnectionId;

/// Spans of one kind that are open at once are fewer.
const MOST_SPANS: i64 = 200;
/// More payments than these in 30 days make no difference to what is read.
const MOST_PAYMENTS: i64 = 1_000_000;

/// The last listing of a kind, with what was not read of it; none if the kind was never listed.
pub(crate) async fn last_listing(
    tx: &mut Tx,
    tenant: TenantId,
    connection: &ConnectionId,
    kind: &str,
) -> store::Result<Option<Listing>> {
    let part: Option<(String, Option<i64>, i64)> = q(sql!(
        "SELECT p.job_id, p.from_second, p.to_second
         FROM mirror_sync_parts p JOIN mirror_sync_jobs j ON j.tenant_id = p.tenant_id AND j.id = p.job_id
         WHERE p.tenant_id = $1 AND j.connection_id = $2 AND p.object_type = $3 ORDER BY j.id DESC LIMIT 1"
    ))
    .bind(tenant)
    .bind(connection.as_str())
    .bind(kind)
    .optional(tx)
    .await?;
    let Some((job, from, to)) = part else { return Ok(None) };
    let unread = q(sql!(
        "SELECT from_second, to_second FROM mirror_sync_ranges
         WHERE tenant_id = $1 AND job_id = $2 AND object_type = $3 AND done = FALSE ORDER BY to_second LIMIT $4"
    ))
    .bind(tenant)
    .bind(job)
    .bind(kind)
    .bind(MOST_SPANS)
    .all(tx)
    .await?;
    Ok(Some(Listing { from, to, unread }))
}

/// Objects of a connection that could not be read again, by kind.
pub(crate) async fn refused_rereads(
    tx: &mut Tx,
    tenant: TenantId,
    connection: &ConnectionId,
) -> store::Result<Vec<(String, i64)>> {
    q(sql!(
        "SELECT object_type, count(*) FROM mirror_rereads
         WHERE tenant_id = $1 AND connection_id = $2 AND state = 'refused' GROUP BY object_type ORDER BY object_type LIMIT 200"
    ))
    .bind(tenant)
    .bind(connection.as_str())
    .all(tx)
    .await
}

/// Payments of an account since a time, up to a bound. Reads the account's charges: not for every page.
pub(crate) async fn payments_since(tx: &mut Tx, tenant: TenantId, account: &str, since: Time) -> store::Result<i64> {
    q(sql!(
        "SELECT count(*) FROM (SELECT 1 AS one FROM mirror_objects
             WHERE tenant_id = $1 AND account_id = $2 AND object_type = 'charge' AND created_at >= $3 LIMIT $4) AS payments"
    ))
    .bind(tenant)
    .bind(account)
    .bind(since)
    .bind(MOST_PAYMENTS)
    .scalar(tx)
    .await
}
