//! Regular work: each due row is claimed by one node, which enqueues its job in the same transaction.

use crate::{Base, CancellationToken, NewJob, job};
use kit::Time;
use std::time::Duration;
use store::{SystemTx, q, sql};

/// How often something runs.
#[derive(Clone, Copy, Debug)]
pub enum Cadence {
    /// Every so often, counted on the clock face: every 15 minutes means at :00, :15, :30 and :45.
    Every(Duration),
    /// By a cron pattern in UTC, five fields.
    Cron(&'static str),
}

impl Cadence {
    /// The first time after `now`; `None` for a pattern that never comes.
    pub fn next(&self, now: Time) -> Option<Time> {
        match self {
            Cadence::Every(period) => {
                let period = i64::try_from(period.as_micros()).ok()?.max(1);
                Some(Time::from_micros((now.micros().div_euclid(period) + 1) * period))
            }
            Cadence::Cron(pattern) => {
                let cron: croner::Cron = pattern.parse().ok()?;
                let zoned = jiff::Timestamp::from_microsecond(now.micros()).ok()?.to_zoned(jiff::tz::TimeZone::UTC);
                let next = cron.find_next_occurrence(&zoned, false).ok()?;
                Some(Time::from_micros(next.timestamp().as_microsecond()))
            }
        }
    }
}

/// Work to be enqueued regularly.
#[derive(Clone, Debug)]
pub struct Schedule {
    /// Names its row and its job's dedupe key.
    pub name: &'static str,
    /// How often.
    pub cadence: Cadence,
    /// The kind of the job, which runs over all tenants with an empty payload.
    pub kind: &'static str,
}

/// A schedule's row with its last job's outcome, for the console.
#[derive(Clone, Debug, serde::Serialize, sqlx::FromRow)]
pub struct ScheduleRow {
    /// Its name.
    pub name: String,
    /// When it runs next, in microseconds since 1970.
    pub next_run_at: i64,
    /// When it ran last.
    pub last_run_at: Option<i64>,
    /// State of the last run's job.
    pub last_state: Option<String>,
    /// What went wrong in the last run.
    pub last_error: Option<String>,
}

/// All schedules with their last outcome.
pub async fn list(tx: &mut SystemTx) -> store::Result<Vec<ScheduleRow>> {
    q(sql!(
        "SELECT s.name, s.next_run_at, s.last_run_at, j.state AS last_state, j.last_error AS last_error
         FROM schedules s LEFT JOIN jobs j ON j.id = s.last_job_id ORDER BY s.name LIMIT 200"
    ))
    .all(tx)
    .await
}

/// Starts due work until `stopping` is cancelled. Any number of nodes may run this.
pub async fn run(base: Base, schedules: Vec<Schedule>, stopping: CancellationToken) {
    while !stopping.is_cancelled() {
        let wait_until = match start_due(&base, &schedules).await {
            Ok(next) => next,
            Err(error) => {
                tracing::warn!(?error, "starting scheduled work failed; trying again shortly");
                None
            }
        };
        tokio::select! {
            () = stopping.cancelled() => {}
            () = async { match wait_until { Some(at) => base.clock.sleep_until(at).await, None => std::future::pending().await } } => {}
            // Another node may have died between two of its runs: look again now and then.
            () = kit::clock::pause(Duration::from_secs(15)) => {}
        }
    }
}

/// Enqueues what is due and answers when to look again.
pub async fn start_due(base: &Base, schedules: &[Schedule]) -> store::Result<Option<Time>> {
    let now = base.now();
    let mut soonest: Option<Time> = None;
    let mut read = base.store.read_system().await?;
    let rows: Vec<(String, i64)> = q(sql!("SELECT name, next_run_at FROM schedules")).all(&mut read).await?;
    drop(read);
    for schedule in schedules {
        let known = rows.iter().find(|(name, _)| name == schedule.name).map(|(_, at)| Time::from_micros(*at));
        let Some(next) = schedule.cadence.next(now) else { continue };
        if let Some(at) = known.filter(|at| *at > now) {
            soonest = Some(soonest.map_or(at, |soonest| soonest.min(at)));
            continue;
        }
        let mut tx = base.store.begin_system().await?;
        if claim(&mut tx, schedule, known, next, now).await? && known.is_some() {
            let new = NewJob::new(schedule.kind, None, &serde_json::json!({}), now).dedupe(schedule.name);
            if let Some(id) = job::enqueue(&mut tx, base, new).await? {
                q(sql!("UPDATE schedules SET last_job_id = $2 WHERE name = $1"))
                    .bind(schedule.name)
                    .bind(id.as_str())
                    .change_one(&mut tx)
                    .await?;
            }
        }
        tx.commit().await?;
        soonest = Some(soonest.map_or(next, |soonest| soonest.min(next)));
    }
    Ok(soonest)
}

/// Moves the row on, if no other node did so first. A new schedule's row only sets its first time.
async fn claim(
    tx: &mut SystemTx,
    schedule: &Schedule,
    known: Option<Time>,
    next: Time,
    now: Time,
) -> store::Result<bool> {
    let changed = match known {
        None => {
            q(sql!("INSERT INTO schedules (name, next_run_at) VALUES ($1, $2) ON CONFLICT (name) DO NOTHING"))
                .bind(schedule.name)
                .bind(next)
                .execute(tx)
                .await?
        }
        Some(seen) => {
            q(sql!("UPDATE schedules SET next_run_at = $2, last_run_at = $3 WHERE name = $1 AND next_run_at = $4"))
                .bind(schedule.name)
                .bind(next)
                .bind(now)
                .bind(seen)
                .execute(tx)
                .await?
        }
    };
    Ok(changed == 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cadences_follow_the_clock_face() {
        let check = |cadence: Cadence, now, next: &str| {
            assert_eq!(cadence.next(Time::from_seconds(now)).unwrap().to_string(), next);
        };
        let quarter = Cadence::Every(Duration::from_secs(900));
        check(quarter, 1_700_000_000, "2023-11-14T22:15:00Z");
        check(quarter, 1_700_000_100, "2023-11-14T22:30:00Z");
        check(Cadence::Cron("30 2 * * *"), 1_700_000_000, "2023-11-15T02:30:00Z");
        assert!(Cadence::Cron("nonsense").next(Time::from_seconds(0)).is_none());
    }
}
