//! How a connection stands, put together from all who know a part of it: coverage, webhooks, reads.

use crate::{
    Mirror, MirrorError, PartState, SyncKind,
    coverage::{self, Following, KindCoverage, KindFacts, Link, Verdict},
    incremental::EVENTS,
    store::{known, streams},
};
use gateway::{Allocation, CallFigures, EndpointState, SeenEndpoint, allocation, doctor};
use inbox::{ConnectionCounts, Heard, Listed, Liveness, Off, SeenOff};
use kit::Time;
use platform::JobError;
use serde::Serialize;
use std::{sync::PoisonError, time::Duration};
use store::TenantTx;
use stripe::ObjectKind;
use vault::{Connection, ConnectionState};

/// Reads of a connection on which nothing happens, in 30 days: the event list each quarter of an hour, and once a week
/// the balance, a sample, and a look at the webhook endpoint.
pub const IDLE_READS_30_DAYS: i64 = 30 * 96 + 5 * 3;
/// Payments are counted anew so often.
const PAYMENTS_FOR: Duration = Duration::from_secs(3_600);
/// Accounts whose payments are remembered; beyond it the memory starts anew.
const MOST_REMEMBERED: usize = 10_000;
/// How old a look at an endpoint may be while nothing is wrong, and while something is.
const LOOK_EVERY: Duration = Duration::from_secs(7 * 86_400);
const LOOK_IN_TROUBLE: Duration = Duration::from_secs(6 * 3_600);
/// So many webhooks a day are often, so that a pause between them says something.
const OFTEN: i64 = 100;
/// No shorter pause says anything.
const SILENT_AFTER: Duration = Duration::from_secs(300);

/// What is known to be complete of a connection (REV-5b).
#[derive(Clone, Debug, Serialize)]
pub struct CoverageReport {
    /// Each kind.
    pub kinds: Vec<KindCoverage>,
    /// Kinds of which all that was asked for is known.
    pub complete: usize,
    /// All complete kinds are so as of this moment.
    #[serde(serialize_with = "coverage::time_text")]
    pub as_of: Option<Time>,
    /// When the event list was last read to its end.
    #[serde(serialize_with = "coverage::time_text")]
    pub events_read_at: Option<Time>,
    /// The oldest time that was asked for; none for everything.
    pub lookback_days: Option<u32>,
}

/// How many reads a connection makes, for what, and how many are allowed (GW-2).
#[derive(Clone, Debug, Serialize)]
pub struct ReadsReport {
    /// What was called.
    #[serde(flatten)]
    pub calls: CallFigures,
    /// How much of Stripe's allocation that is.
    pub allocation: Allocation,
    /// In 30 days, if it goes on as in the last week, full syncs apart; none before a whole day.
    pub projected_30_days: Option<i64>,
    /// In 30 days, if nothing happened on the account.
    pub idle_30_days: i64,
}

impl Mirror {
    /// What is known to be complete of a connection.
    ///
    /// # Errors
    /// The store's.
    pub async fn coverage(&self, connection: &Connection) -> Result<CoverageReport, MirrorError> {
        let (tenant, id) = (connection.tenant, &connection.id);
        let liveness = self.liveness(connection).await?;
        let mut tx = self.base().store.read(tenant).await?;
        let rows = streams::coverage(&mut tx, tenant, id).await?;
        let stream = streams::find(&mut tx, tenant, id).await?;
        let unfinished = self.inbox().unfinished(&mut tx, id).await?;
        let unreadable = known::refused_rereads(&mut tx, tenant, id).await?;
        let state_of = |kind: &str| rows.iter().find(|row| row.object_type == kind);
        let last_sweep_at = stream.as_ref().and_then(|stream| stream.last_sweep_at).map(Time::from_micros);
        let following = Following {
            now: self.base().now(),
            link: match connection.state {
                ConnectionState::Active => Link::Works,
                ConnectionState::KeyRefused { .. } => Link::KeyRefused,
                ConnectionState::Disconnected => Link::Ended,
            },
            events: state_of(EVENTS).and_then(|row| PartState::of_name(&row.state)),
            last_sweep_at,
            balance_through_at: stream.as_ref().map(|stream| Time::from_micros(stream.balance_through_at)),
            hears_webhooks: liveness.is_well(),
        };
        let mut kinds = Vec::with_capacity(ObjectKind::ALL.len());
        for kind in ObjectKind::ALL {
            let name = kind.object_name();
            let row = state_of(name);
            let state = row.and_then(|row| PartState::of_name(&row.state));
            let listing = match state {
                None | Some(PartState::Complete) => None,
                Some(_) => known::last_listing(&mut tx, tenant, id, name).await?,
            };
            let events = unfinished.iter().find(|it| it.object_type.as_deref() == Some(name));
            let facts = KindFacts {
                kind,
                state,
                reason: row.and_then(|row| row.reason.clone()),
                covered_from: row.and_then(|row| row.covered_from).map(Time::from_micros),
                covered_until: row.and_then(|row| row.covered_until).map(Time::from_micros),
                listing,
                waiting_since: events.and_then(|it| it.waiting_since),
                given_up: events.and_then(|it| Some((it.dead, it.dead_since?))),
                unreadable: unreadable.iter().find(|it| it.0 == name).map_or(0, |it| it.1),
            };
            kinds.push(coverage::coverage(&facts, &following));
        }
        let complete = || kinds.iter().filter(|kind| kind.verdict == Verdict::Complete);
        Ok(CoverageReport {
            complete: complete().count(),
            as_of: complete().filter_map(|kind| kind.as_of).min(),
            events_read_at: last_sweep_at,
            lookback_days: connection.lookback_days,
            kinds,
        })
    }

    /// Whether a connection's webhooks arrive (INB-7).
    ///
    /// # Errors
    /// The store's, the inbox's and the vault's.
    pub async fn liveness(&self, connection: &Connection) -> Result<Liveness, MirrorError> {
        let counts = self.inbox().counts(connection.tenant).await?;
        let mut tx = self.base().store.read(connection.tenant).await?;
        let stream = streams::find(&mut tx, connection.tenant, &connection.id).await?;
        self.liveness_by(&mut tx, connection, &counts, stream.as_ref()).await
    }

    /// The same from figures that were read already, for pages of many connections.
    ///
    /// # Errors
    /// The store's and the vault's.
    pub async fn liveness_by(
        &self,
        tx: &mut TenantTx,
        connection: &Connection,
        counts: &inbox::Counts,
        stream: Option<&crate::Stream>,
    ) -> Result<Liveness, MirrorError> {
        let figures = counts.connections.iter().find(|figures| figures.connection_id == connection.id);
        let listed = stream.and_then(|stream| {
            let newest_event_at = stream.newest_event_at.map(Time::from_micros);
            Some(Listed { newest_event_at, read_at: Time::from_micros(stream.last_sweep_at?) })
        });
        // A secret that does not open is told elsewhere; with it nothing can be heard.
        let can_hear = match self.inbox().can_hear(&connection.id).await {
            Ok(can_hear) => can_hear,
            Err(error) if error.can_retry() => return Err(error.into()),
            Err(_) => false,
        };
        let heard = Heard {
            can_hear,
            connected_at: connection.created_at,
            last_webhook_at: figures.and_then(|it| it.last_webhook_at),
            last_missed_at: figures.and_then(|it| it.last_missed_at),
            listed,
            endpoint: self.gateway().seen_endpoint(tx, connection).await?.and_then(seen_off),
        };
        Ok(inbox::liveness(&heard, self.base().now()))
    }

    /// How many reads a connection makes, and how many are allowed.
    ///
    /// # Errors
    /// The store's.
    pub async fn reads(&self, connection: &Connection) -> Result<ReadsReport, MirrorError> {
        let mut tx = self.base().store.read(connection.tenant).await?;
        let calls = self.gateway().call_figures(&mut tx, &connection.id).await?;
        let today = self.base().now().utc_day();
        let at_least = allocation::allocation(calls.reads_30_days, None);
        // Payments only raise what is allowed: they are counted once it matters.
        let transactions = match at_least.state {
            gateway::AllocationState::Calm => None,
            gateway::AllocationState::Near | gateway::AllocationState::Over => {
                Some(self.payments_30_days(&mut tx, connection).await?)
            }
        };
        Ok(ReadsReport {
            allocation: allocation::allocation(calls.reads_30_days, transactions),
            projected_30_days: allocation::projected(&calls.days, today),
            idle_30_days: IDLE_READS_30_DAYS,
            calls,
        })
    }

    async fn payments_30_days(&self, tx: &mut TenantTx, connection: &Connection) -> Result<i64, MirrorError> {
        let now = self.base().now();
        let known = self.payments().lock().unwrap_or_else(PoisonError::into_inner).get(&connection.id).copied();
        if let Some((payments, _)) = known.filter(|known| now.since(known.1) < PAYMENTS_FOR) {
            return Ok(payments);
        }
        let since = now - Duration::from_secs(30 * 86_400);
        let payments = known::payments_since(tx, connection.tenant, &connection.account_id, since).await?;
        let mut remembered = self.payments().lock().unwrap_or_else(PoisonError::into_inner);
        if remembered.len() >= MOST_REMEMBERED {
            remembered.clear();
        }
        remembered.insert(connection.id.clone(), (payments, now));
        Ok(payments)
    }

    /// Looks after one connection's webhooks: whether they arrive, how the endpoint stands at Stripe if that is worth a
    /// read, and whether somebody has to be told. A schedule does it every five minutes.
    ///
    /// # Errors
    /// The store's, the inbox's and the vault's; a look at Stripe that fails is left for the next time.
    pub async fn look_after_webhooks(&self, connection: &Connection) -> Result<(), MirrorError> {
        let mut found = self.liveness(connection).await?;
        let mut tx = self.base().store.read(connection.tenant).await?;
        let seen = self.gateway().seen_endpoint(&mut tx, connection).await?;
        let stream = streams::find(&mut tx, connection.tenant, &connection.id).await?;
        drop(tx);
        let read_at = stream.and_then(|stream| stream.last_sweep_at).map(Time::from_micros);
        let now = self.base().now();
        let counts = self.inbox().counts(connection.tenant).await?;
        let figures = counts.connections.iter().find(|it| it.connection_id == connection.id);
        let fell_silent = figures.and_then(|figures| fell_silent(figures, now));
        // One reading of the event list, and one look, for each time that webhooks stop all at once.
        let is_sudden = fell_silent.is_some_and(|since| read_at.is_none_or(|at| at <= since));
        if is_sudden {
            let mut tx = self.base().store.begin(connection.tenant).await?;
            self.request_sync(&mut tx, &connection.id, SyncKind::Incremental, "silence").await?;
            tx.commit().await?;
        }
        let is_due = |seen: &SeenEndpoint| {
            let every = if found.is_trouble() { LOOK_IN_TROUBLE } else { LOOK_EVERY };
            // The first look after a silence began is worth a read, whenever the last one was.
            let is_new = matches!(found, Liveness::Silent { missed_at, .. } if seen.seen_at < missed_at);
            is_new || is_sudden || now.since(seen.seen_at) >= every
        };
        let is_due = connection.webhook_endpoint_id.is_some() && seen.as_ref().is_none_or(is_due);
        if is_due && self.look_at_endpoint(connection).await? {
            found = self.liveness(connection).await?;
        }
        let mut tx = self.base().store.begin(connection.tenant).await?;
        let is_news = self.inbox().tell_liveness(&mut tx, &connection.id, &found).await?;
        if is_news {
            tx.wake(crate::WAKE);
        }
        tx.commit().await?;
        Ok(())
    }

    /// Looks at Stripe how a connection's endpoint stands; answers whether that was possible. A key that may not look is
    /// not asked again and again.
    async fn look_at_endpoint(&self, connection: &Connection) -> Result<bool, MirrorError> {
        let known = self.gateway().known_diagnosis(connection.tenant, &connection.id).await;
        let lacks = |it: &doctor::Finding| {
            it.permission.needed_for == doctor::Need::WebhookEndpoint && it.access == doctor::Access::Missing
        };
        if known.is_ok_and(|known| known.permissions.iter().any(lacks)) {
            return Ok(false);
        }
        let Some(linked) = self.vault().linked(&connection.id).await? else { return Ok(false) };
        let looked = self.gateway().look_at_endpoint(&linked).await;
        if let Err(error) = &looked {
            tracing::debug!(connection.id = %connection.id, %error, "the webhook endpoint could not be looked at");
        }
        Ok(looked.is_ok())
    }

    /// Looks after the webhooks of every active connection.
    pub(crate) async fn look_after_all_webhooks(&self) -> Result<(), JobError> {
        let connections = self.vault().all_connections().await.map_err(|error| JobError::Retry(error.to_string()))?;
        for connection in connections.into_iter().filter(|it| it.state == ConnectionState::Active) {
            if let Err(error) = self.look_after_webhooks(&connection).await {
                tracing::warn!(connection.id = %connection.id, %error, "webhooks could not be looked after");
            }
        }
        Ok(())
    }
}

/// Since when webhooks stopped, if they came often and stopped all at once: ten times as long as usual between two, and
/// five minutes at the least.
fn fell_silent(figures: &ConnectionCounts, now: Time) -> Option<Time> {
    let last = figures.last_webhook_at?;
    let usual = Duration::from_secs(86_400) / u32::try_from(figures.by_webhook_24h).ok()?.max(1);
    let is_often = figures.by_webhook_24h >= OFTEN;
    (is_often && now.since(last) >= SILENT_AFTER.max(usual * 10)).then_some(last)
}

fn seen_off(seen: SeenEndpoint) -> Option<SeenOff> {
    let why = match seen.state {
        EndpointState::Enabled => return None,
        EndpointState::Disabled => Off::Disabled,
        EndpointState::Gone => Off::Gone,
        EndpointState::OtherAddress => Off::OtherAddress,
    };
    Some(SeenOff { why, seen_at: seen.seen_at })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_came_often_can_fall_silent() {
        let now = Time::from_seconds(1_790_000_000);
        let check = |by_webhook_24h: i64, minutes: Option<u64>, expected: bool| {
            let figures = ConnectionCounts {
                connection_id: vault::ConnectionId::from_text("con_1"),
                processed_24h: by_webhook_24h,
                by_webhook_24h,
                missed_24h: 0,
                last_event_at: None,
                last_webhook_at: minutes.map(|minutes| now - Duration::from_secs(minutes * 60)),
                last_missed_at: None,
            };
            assert_eq!(fell_silent(&figures, now).is_some(), expected, "{by_webhook_24h} {minutes:?}");
        };
        check(0, None, false);
        check(5_000, None, false);
        check(5_000, Some(4), false);
        check(5_000, Some(5), true);
        check(99, Some(600), false);
        check(100, Some(140), false);
        check(100, Some(145), true);
    }

    #[test]
    fn an_idle_connection_stays_below_what_was_promised() {
        const { assert!(IDLE_READS_30_DAYS < 3_000) };
    }
}
