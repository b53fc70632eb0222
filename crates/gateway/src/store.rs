//! The gateway's SQL: intents here, counts of calls in `counts`, what was found out about keys and endpoints in `found`.

mod counts;
mod found;

pub(crate) use counts::{add_calls, call_days};
pub use found::{Denial, EndpointState, SeenEndpoint};
pub(crate) use found::{add_denials, denials, endpoint, forget_denials, key_report, save_endpoint, save_key_report};

use crate::{Intent, IntentId, IntentState, Lane, Refusal, StoredAnswer, intent::idempotency_key};
use kit::{TenantId, Time};
use serde::Serialize;
use store::{Json, Result, StoreError, TenantTx, Tx, q, sql};
use stripe::Request;
use vault::ConnectionId;

/// An intent's row.
#[derive(sqlx::FromRow)]
struct IntentRow {
    id: String,
    connection_id: String,
    purpose: String,
    subject: String,
    lane: String,
    request: String,
    key_generation: i64,
    on_account: Option<String>,
    state: String,
    tries: i64,
    created_at: i64,
    updated_at: i64,
    sent_since: Option<i64>,
    sent_last: Option<i64>,
    failed_at_stripe: bool,
    answer: Option<Json<StoredAnswer>>,
    refusal: Option<Json<Refusal>>,
    last_error: Option<String>,
}

/// An intent with what only its row knows.
#[derive(Clone, Debug)]
pub(crate) struct Kept {
    pub(crate) intent: Intent,
    pub(crate) updated_at: Time,
    pub(crate) last_error: Option<String>,
}

impl IntentRow {
    /// The one place that turns a row into an intent; a row that fits no state is named.
    fn into_kept(self, tenant: TenantId) -> Result<Kept> {
        let id = IntentId::from_text(&self.id);
        let unreadable = |why: String| StoreError::unreadable_row("gateway_intents", &id, why);
        let updated_at = Time::from_micros(self.updated_at);
        let state = match (self.state.as_str(), self.sent_since, self.sent_last, self.answer, self.refusal) {
            ("pending", _, _, None, None) => IntentState::Pending,
            ("sent", Some(since), Some(last), None, None) => IntentState::Sent {
                since: Time::from_micros(since),
                last: Time::from_micros(last),
                failed_at_stripe: self.failed_at_stripe,
            },
            ("done", _, _, Some(Json(answer)), None) => IntentState::Done { at: updated_at, answer },
            ("refused", _, _, None, Some(Json(refusal))) => IntentState::Refused { at: updated_at, refusal },
            ("in_doubt", _, _, None, None) => {
                IntentState::InDoubt { at: updated_at, why: self.last_error.clone().unwrap_or_default() }
            }
            (state, ..) => return Err(unreadable(format!("its columns do not fit the state `{state}`"))),
        };
        let lane = match self.lane.as_str() {
            "interactive" => Lane::Interactive,
            "background" => Lane::Background,
            other => return Err(unreadable(format!("`{other}` is no lane"))),
        };
        let key_generation = u32::try_from(self.key_generation).map_err(|error| unreadable(error.to_string()))?;
        let request: Request = serde_json::from_str(&self.request).map_err(|error| unreadable(error.to_string()))?;
        let intent = Intent {
            tenant,
            connection: ConnectionId::from_text(self.connection_id),
            purpose: self.purpose,
            subject: self.subject,
            lane,
            request: request.with_idempotency_key(idempotency_key(&id, key_generation)),
            on_account: self.on_account,
            state,
            tries: u32::try_from(self.tries).unwrap_or(u32::MAX),
            created_at: Time::from_micros(self.created_at),
            id,
        };
        Ok(Kept { intent, updated_at, last_error: self.last_error })
    }
}

/// Writes a new intent, pending.
pub(crate) async fn insert_intent(tx: &mut TenantTx, intent: &Intent) -> Result<()> {
    let bare = Request { idempotency_key: None, ..intent.request.clone() };
    q(sql!(
        "INSERT INTO gateway_intents
             (tenant_id, id, connection_id, purpose, subject, lane, request, on_account, state, created_at, updated_at)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, 'pending', $9, $9)"
    ))
    .bind(tx.tenant())
    .bind(intent.id.as_str())
    .bind(intent.connection.as_str())
    .bind(&intent.purpose)
    .bind(&intent.subject)
    .bind(intent.lane.as_str())
    .bind(serde_json::to_string(&bare).map_err(StoreError::encoding)?)
    .bind(intent.on_account.clone())
    .bind(intent.created_at)
    .execute(tx)
    .await
    .map(drop)
}

/// Reads an intent; another transaction that wants to change it waits for this one.
pub(crate) async fn lock_intent(tx: &mut TenantTx, id: &IntentId) -> Result<Option<Kept>> {
    let tenant = tx.tenant();
    let row: Option<IntentRow> = q(sql!(
        "SELECT id, connection_id, purpose, subject, lane, request, key_generation, on_account, state, tries, created_at,
                updated_at, sent_since, sent_last, failed_at_stripe, answer, refusal, last_error
         FROM gateway_intents WHERE tenant_id = $1 AND id = $2" pg " FOR UPDATE"
    ))
    .bind(tenant)
    .bind(id.as_str())
    .optional(tx)
    .await?;
    row.map(|row| row.into_kept(tenant)).transpose()
}

/// Reads an intent.
pub(crate) async fn find_intent(tx: &mut TenantTx, id: &IntentId) -> Result<Option<Kept>> {
    let tenant = tx.tenant();
    let row: Option<IntentRow> = q(sql!(
        "SELECT id, connection_id, purpose, subject, lane, request, key_generation, on_account, state, tries, created_at,
                updated_at, sent_since, sent_last, failed_at_stripe, answer, refusal, last_error
         FROM gateway_intents WHERE tenant_id = $1 AND id = $2"
    ))
    .bind(tenant)
    .bind(id.as_str())
    .optional(tx)
    .await?;
    row.map(|row| row.into_kept(tenant)).transpose()
}

/// Which intents a list shows.
#[derive(Clone, Debug, Default)]
pub(crate) struct IntentFilter {
    pub(crate) state: Option<String>,
    pub(crate) connection: Option<String>,
    pub(crate) purpose: Option<String>,
}

/// Intents, newest first, at most `limit`, after the one with id `before`.
pub(crate) async fn list_intents(
    tx: &mut TenantTx,
    filter: &IntentFilter,
    before: Option<String>,
    limit: u32,
) -> Result<Vec<Kept>> {
    let tenant = tx.tenant();
    let rows: Vec<IntentRow> = q(sql!(
        "SELECT id, connection_id, purpose, subject, lane, request, key_generation, on_account, state, tries, created_at,
                updated_at, sent_since, sent_last, failed_at_stripe, answer, refusal, last_error
         FROM gateway_intents
         WHERE tenant_id = $1 AND (CAST($2 AS TEXT) IS NULL OR id < $2) AND (CAST($3 AS TEXT) IS NULL OR state = $3)
           AND (CAST($4 AS TEXT) IS NULL OR connection_id = $4) AND (CAST($5 AS TEXT) IS NULL OR purpose = $5)
         ORDER BY id DESC LIMIT $6"
    ))
    .bind(tenant)
    .bind(before)
    .bind(filter.state.clone())
    .bind(filter.connection.clone())
    .bind(filter.purpose.clone())
    .bind(limit)
    .all(tx)
    .await?;
    rows.into_iter().map(|row| row.into_kept(tenant)).collect()
}

/// How many intents stand in each state.
pub(crate) async fn count_intents(tx: &mut TenantTx) -> Result<Vec<(String, i64)>> {
    q(sql!("SELECT state, count(*) FROM gateway_intents WHERE tenant_id = $1 GROUP BY state"))
        .bind(tx.tenant())
        .all(tx)
        .await
}

/// Notes that an intent is about to be sent.
pub(crate) async fn mark_sent(tx: &mut TenantTx, id: &IntentId, since: Time, now: Time) -> Result<()> {
    q(sql!(
        "UPDATE gateway_intents
         SET state = 'sent', sent_since = $3, sent_last = $4, updated_at = $4, tries = tries + 1, failed_at_stripe = FALSE
         WHERE tenant_id = $1 AND id = $2 AND state IN ('pending', 'sent')"
    ))
    .bind(tx.tenant())
    .bind(id.as_str())
    .bind(since)
    .bind(now)
    .change_one(tx)
    .await
}

/// Notes a failure that does not end the intent.
pub(crate) struct Setback<'a> {
    /// It certainly had no effect: as if it had not been sent.
    pub(crate) back_to_pending: bool,
    /// Stripe failed while carrying it out.
    pub(crate) failed_at_stripe: bool,
    /// What went wrong.
    pub(crate) error: &'a str,
}

/// Notes a failure that does not end the intent. Nothing changes if it has ended meanwhile.
pub(crate) async fn mark_setback(tx: &mut TenantTx, id: &IntentId, setback: &Setback<'_>, now: Time) -> Result<()> {
    q(sql!(
        "UPDATE gateway_intents
         SET state = CASE WHEN $3 THEN 'pending' ELSE state END, failed_at_stripe = $4, last_error = $5, updated_at = $6
         WHERE tenant_id = $1 AND id = $2 AND state IN ('pending', 'sent')"
    ))
    .bind(tx.tenant())
    .bind(id.as_str())
    .bind(setback.back_to_pending)
    .bind(setback.failed_at_stripe)
    .bind(setback.error.chars().take(2_000).collect::<String>())
    .bind(now)
    .execute(tx)
    .await
    .map(drop)
}

/// Makes an intent ready to be sent under a new key, since its earlier ones had no effect.
pub(crate) async fn mark_fresh(tx: &mut TenantTx, id: &IntentId, now: Time) -> Result<()> {
    q(sql!(
        "UPDATE gateway_intents
         SET state = 'pending', key_generation = key_generation + 1, sent_since = NULL, sent_last = NULL,
             failed_at_stripe = FALSE, updated_at = $3
         WHERE tenant_id = $1 AND id = $2 AND state IN ('pending', 'sent', 'in_doubt')"
    ))
    .bind(tx.tenant())
    .bind(id.as_str())
    .bind(now)
    .change_one(tx)
    .await
}

/// Ends an intent.
pub(crate) async fn mark_ended(tx: &mut TenantTx, id: &IntentId, end: &IntentState, now: Time) -> Result<()> {
    let (answer, refusal, why) = match end {
        IntentState::Done { answer, .. } => (Some(json(answer)?), None, None),
        IntentState::Refused { refusal, .. } => (None, Some(json(refusal)?), Some(refusal.message.clone())),
        IntentState::InDoubt { why, .. } => (None, None, Some(why.clone())),
        IntentState::Pending | IntentState::Sent { .. } => {
            return Err(StoreError::unreadable_row("gateway_intents", id, "an open state does not end an intent"));
        }
    };
    q(sql!(
        "UPDATE gateway_intents SET state = $3, answer = $4, refusal = $5, last_error = $6, updated_at = $7
         WHERE tenant_id = $1 AND id = $2 AND state IN ('pending', 'sent', 'in_doubt')"
    ))
    .bind(tx.tenant())
    .bind(id.as_str())
    .bind(end.name())
    .bind(answer)
    .bind(refusal)
    .bind(why)
    .bind(now)
    .change_one(tx)
    .await
}

/// Open intents of one connection, oldest first: to be nudged when its key works again.
pub(crate) async fn open_of_connection(tx: &mut TenantTx, connection: &ConnectionId) -> Result<Vec<(String,)>> {
    q(sql!(
        "SELECT id FROM gateway_intents WHERE tenant_id = $1 AND connection_id = $2 AND state IN ('pending', 'sent')
         ORDER BY id LIMIT 1000"
    ))
    .bind(tx.tenant())
    .bind(connection.as_str())
    .all(tx)
    .await
}

/// Open intents of all tenants that nothing happened to since `before`, oldest first.
pub(crate) async fn left_behind(tx: &mut Tx, before: Time) -> Result<Vec<(i64, String)>> {
    q(sql!(
        "SELECT tenant_id, id FROM gateway_intents WHERE state IN ('pending', 'sent') AND updated_at < $1
         ORDER BY updated_at LIMIT 500"
    ))
    .bind(before)
    .all(tx)
    .await
}

fn json(value: &impl Serialize) -> Result<serde_json::Value> {
    serde_json::to_value(value).map_err(StoreError::encoding)
}
