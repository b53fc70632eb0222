//! Notices: what other parts want to know, written in the transaction that makes it true and delivered at least once.

use crate::{Base, JobError, JobKind, JobRun, NewJob, job};
use futures::future::BoxFuture;
use kit::TenantId;
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use store::{TenantTx, q, sql};

/// Topic that wakes live pages.
pub const WAKE: &str = "notices";
/// The job that hands a notice to its subscribers.
const DELIVER: &str = "platform.deliver_notice";

kit::define_id!(
    /// A notice.
    NoticeId,
    "ntc"
);

/// Something that became true.
#[derive(Clone, Debug)]
pub struct Notice {
    /// Whose news it is.
    pub tenant: TenantId,
    /// What kind of news, such as `connection.synced`.
    pub topic: String,
    /// The id it is about.
    pub subject: String,
    /// Details, as JSON.
    pub payload: serde_json::Value,
}

/// Told of a notice at least once; must be safe to be told twice.
pub type Tell = Arc<dyn Fn(Base, Notice) -> BoxFuture<'static, Result<(), JobError>> + Send + Sync>;

/// Somebody inside who wants to hear of a topic.
#[derive(Clone)]
pub struct Subscriber {
    /// For logs.
    pub name: &'static str,
    /// The topic it wants.
    pub topic: &'static str,
    /// Told at least once; safe to be told twice.
    pub tell: Tell,
}

#[derive(Serialize, Deserialize)]
struct Deliver {
    notice: String,
}

#[derive(sqlx::FromRow)]
struct NoticeRow {
    topic: String,
    subject: String,
    payload: store::Json<serde_json::Value>,
}

/// Writes a notice into the caller's transaction.
pub async fn publish(
    tx: &mut TenantTx,
    base: &Base,
    topic: &str,
    subject: &str,
    payload: serde_json::Value,
) -> store::Result<NoticeId> {
    let now = base.now();
    let id = NoticeId::new(now, &*base.randomness);
    let tenant = tx.tenant();
    q(sql!("INSERT INTO notices (tenant_id, id, topic, subject, payload, created_at) VALUES ($1, $2, $3, $4, $5, $6)"))
        .bind(tenant)
        .bind(id.as_str())
        .bind(topic)
        .bind(subject)
        .bind(payload)
        .bind(now)
        .execute(tx)
        .await?;
    job::enqueue(tx, base, NewJob::new(DELIVER, Some(tenant), &Deliver { notice: id.to_string() }, now)).await?;
    tx.wake(WAKE);
    Ok(id)
}

/// What a tenant's notices of a topic are about, the oldest first; at most ten thousand.
pub async fn subjects(tx: &mut TenantTx, topic: &str) -> store::Result<Vec<String>> {
    let rows: Vec<(String,)> =
        q(sql!("SELECT subject FROM notices WHERE tenant_id = $1 AND topic = $2 ORDER BY id LIMIT 10000"))
            .bind(tx.tenant())
            .bind(topic)
            .all(tx)
            .await?;
    Ok(rows.into_iter().map(|(subject,)| subject).collect())
}

/// The kind of job that hands notices to `subscribers`.
pub fn delivery(subscribers: Vec<Subscriber>) -> JobKind {
    let subscribers = Arc::new(subscribers);
    JobKind::new(DELIVER, move |run: JobRun| {
        let subscribers = Arc::clone(&subscribers);
        async move {
            let Deliver { notice } = run.payload()?;
            let tenant = run.tenant()?;
            let mut tx = run.base.store.read(tenant).await?;
            let row: Option<NoticeRow> =
                q(sql!("SELECT topic, subject, payload FROM notices WHERE tenant_id = $1 AND id = $2"))
                    .bind(tenant)
                    .bind(notice.as_str())
                    .optional(&mut tx)
                    .await?;
            drop(tx);
            // Retention may have taken an old notice; there is nobody left to tell.
            let Some(row) = row else { return Ok(()) };
            let notice = Notice { tenant, topic: row.topic, subject: row.subject, payload: row.payload.0 };
            for subscriber in subscribers.iter().filter(|subscriber| subscriber.topic == notice.topic) {
                (subscriber.tell)(run.base.clone(), notice.clone()).await?;
            }
            Ok(())
        }
    })
}
