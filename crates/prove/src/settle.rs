//! Brings a world to rest: nothing breaks any more, time goes on, and everything that waits comes to its end.

use crate::{ProveError, play, world::World};
use kit::Stopwatch;
use mirror::SyncKind;
use std::time::Duration;

/// A world that is not at rest after this long never is. Real time: it is only reached when something is wrong.
const LONGEST: Duration = Duration::from_secs(600);
/// A world in which nothing has moved for this long, however much time was let pass, never comes to rest.
const STUCK: Duration = Duration::from_secs(20);
/// What was asked for beside the steps ends within the patience of its calls; a killed node takes its own with it.
const ASKED_ENDS: Duration = Duration::from_secs(30);
/// Longest step of time while it settles; the schedules' longest period is below it.
const LONGEST_STEP: Duration = Duration::from_secs(901);
/// Looks without any change before time is moved.
const SAME_LOOKS: u32 = 12;

/// What still goes on.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Motion {
    pub(crate) deliveries: u64,
    pub(crate) inbox_ready: i64,
    pub(crate) inbox_failed: i64,
    pub(crate) inbox_dead: i64,
    pub(crate) jobs_ready: i64,
    pub(crate) jobs_running: i64,
    pub(crate) outbox_open: i64,
    pub(crate) rereads: i64,
    pub(crate) syncs: usize,
    /// Connections whose last sync began before the settling did.
    pub(crate) not_swept: usize,
    /// Kinds of objects that are not known to be complete.
    pub(crate) not_covered: usize,
}

impl Motion {
    /// Whether something moves by itself.
    fn is_moving(&self) -> bool {
        self.deliveries > 0 || self.inbox_ready > 0 || self.jobs_running > 0
    }

    /// Whether something waits for time to pass.
    fn is_waiting(&self) -> bool {
        self.inbox_failed + self.jobs_ready + self.outbox_open + self.rereads > 0 || self.syncs > 0
    }
}

/// Brings everything to rest. `Err(Motion)` inside says what never came to rest.
pub(crate) async fn settle(world: &mut World) -> Result<Result<(), Motion>, ProveError> {
    let watch = Stopwatch::start();
    world.simulator.faults().clear_all();
    // What was asked for beside the steps ends first, so that nothing breaks again what is mended.
    while world.accounts.iter().any(|account| account.link().busy) && watch.elapsed() < ASKED_ENDS {
        // A node that was killed takes its operations with it; their marks go with them.
        kit::clock::pause(Duration::from_millis(5)).await;
    }
    world.look_up_links().await?;
    play::mend(world).await?;
    // Beyond what was jumped over: keys that were refused are tried again, lost webhooks are swept.
    world.pass(Duration::from_secs(2))?;
    let began = world.now();
    let mut step = Duration::from_secs(1);
    let (mut last, mut same) = (Motion::default(), 0);
    let mut since_change = Stopwatch::start();
    loop {
        let motion = look(world, began.micros()).await?;
        same = if motion == last { same + 1 } else { 0 };
        if same == 0 {
            since_change = Stopwatch::start();
        }
        if watch.elapsed() > LONGEST || since_change.elapsed() > STUCK {
            return Ok(Err(motion));
        }
        let is_stalled = same >= SAME_LOOKS;
        if motion.is_moving() && !is_stalled {
            kit::clock::pause(Duration::from_millis(4)).await;
        } else if motion.is_moving() || motion.is_waiting() {
            if !motion.is_moving() && same == 0 {
                // What has just been committed is about to be taken up: that is not waiting for time.
                kit::clock::pause(Duration::from_millis(2)).await;
            } else {
                world.pass(step)?;
                step = (step * 2).min(LONGEST_STEP);
                same = 1;
                kit::clock::pause(Duration::from_millis(3)).await;
            }
        } else if motion.not_swept > 0 {
            // Events become final in the list five minutes after they happened.
            world.pass(LONGEST_STEP)?;
            kit::clock::pause(Duration::from_millis(3)).await;
        } else if motion.not_covered > 0 {
            ask_for_syncs(world).await?;
            world.pass(Duration::from_secs(60))?;
        } else {
            return Ok(Ok(()));
        }
        last = motion;
    }
}

async fn ask_for_syncs(world: &World) -> Result<(), ProveError> {
    let parts = world.parts()?;
    for account in &world.accounts {
        let Some(connection) = account.link().connection.clone() else { continue };
        let mut tx = parts.base.store.begin(account.tenant).await?;
        let asked = parts.mirror.request_sync(&mut tx, &connection, SyncKind::Incremental, "prove").await;
        asked.map_err(ProveError::look("a sync"))?;
        tx.commit().await?;
    }
    Ok(())
}

/// Looks at everything that can go on. `began_micros`: syncs that began before do not count.
pub(crate) async fn look(world: &World, began_micros: i64) -> Result<Motion, ProveError> {
    let parts = world.parts()?;
    let mut motion = Motion { deliveries: world.simulator.stats().webhooks.waiting, ..Motion::default() };
    let mut tx = parts.base.store.read_system().await?;
    let jobs = platform::job::counts(&mut tx).await?;
    drop(tx);
    (motion.jobs_ready, motion.jobs_running) = (jobs.ready, jobs.running);
    for tenant in world.tenants() {
        let counts = parts.inbox.counts(tenant).await.map_err(ProveError::look("the inbox"))?;
        motion.inbox_ready += counts.ready;
        motion.inbox_failed += counts.failed;
        motion.inbox_dead += counts.dead;
        let mut tx = parts.base.store.read(tenant).await?;
        let outbox = parts.gateway.outbox_counts(&mut tx).await?;
        drop(tx);
        motion.outbox_open += outbox.pending + outbox.sent;
        let summary = parts.mirror.summary(tenant).await.map_err(ProveError::look("the mirror"))?;
        motion.rereads += summary.rereads_waiting;
    }
    for account in &world.accounts {
        let Some(connection) = account.link().connection.clone() else { continue };
        let status = parts.mirror.sync_status(account.tenant, &connection).await;
        let status = status.map_err(ProveError::look("a sync"))?;
        motion.syncs += usize::from(status.current.is_some());
        let swept = status.stream.as_ref().and_then(|stream| stream.last_sweep_at);
        motion.not_swept += usize::from(swept.is_none_or(|at| at < began_micros + 310 * 1_000_000));
        motion.not_covered += status.coverage.iter().filter(|it| it.state != "complete").count();
    }
    Ok(motion)
}
