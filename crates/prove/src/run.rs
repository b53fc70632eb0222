//! One run: steps played in a fresh world, compared at checkpoints and at the end.

use crate::{
    Figures, ProveError,
    compare::{self, Lie},
    play,
    settle::settle,
    step::{Action, Step},
    world::{Setting, World},
};
use kit::Stopwatch;
use std::time::Duration;

/// Deliveries that wait at the simulator before the steps wait for them.
const DELIVERIES_MOST: u64 = 1_500;
/// Events that wait in the inbox before the steps wait for them.
const INBOX_MOST: i64 = 4_000;
/// How often that is looked at, in steps.
const LOOK_EVERY: u32 = 16;
/// Longest that steps wait for Bursar: a node that does not keep up at all is found at the next checkpoint.
const KEEP_UP_MS: u64 = 20_000;

/// What one run came to.
#[derive(Clone, Debug, Default)]
pub(crate) struct Played {
    /// What differed at the first checkpoint that found anything.
    pub(crate) differences: Vec<String>,
    pub(crate) difference_count: u64,
    /// Steps that were played until then.
    pub(crate) played: usize,
}

impl Played {
    pub(crate) fn failed(&self) -> bool {
        self.difference_count > 0
    }
}

/// Plays steps in a world of their own. `told` hears of progress now and then.
pub(crate) async fn play_all(
    setting: &Setting,
    steps: &[Step],
    lie: Option<Lie>,
    figures: &mut Figures,
    told: &mut (dyn FnMut(&Figures) + Send),
) -> Result<Played, ProveError> {
    let watch = Stopwatch::start();
    let mut world = World::open(setting.clone()).await?;
    let outcome = play_in(&mut world, steps, lie, figures, told).await;
    figures.take_counts(&world);
    let closed = world.close().await;
    figures.seconds += watch.elapsed().as_secs_f64();
    let played = outcome?;
    closed?;
    Ok(played)
}

async fn play_in(
    world: &mut World,
    steps: &[Step],
    lie: Option<Lie>,
    figures: &mut Figures,
    told: &mut (dyn FnMut(&Figures) + Send),
) -> Result<Played, ProveError> {
    let mut played = Played::default();
    for (place, step) in steps.iter().enumerate() {
        played.played = place + 1;
        figures.steps += 1;
        if step.action == Action::Checkpoint {
            if check(world, lie, figures, &mut played).await? {
                return Ok(played);
            }
            told(figures);
            continue;
        }
        figures.count(&step.action);
        if let Err(error) = play::play(world, step).await {
            played.difference_count += 1;
            played.differences.push(format!("step {} broke off: {}", step.number, chain(&error)));
            return Ok(played);
        }
        if figures.steps.is_multiple_of(u64::from(LOOK_EVERY)) {
            keep_up(world).await?;
            told(figures);
        }
    }
    check(world, lie, figures, &mut played).await?;
    told(figures);
    Ok(played)
}

/// Brings the world to rest and compares it; true if anything differs.
async fn check(
    world: &mut World,
    lie: Option<Lie>,
    figures: &mut Figures,
    played: &mut Played,
) -> Result<bool, ProveError> {
    let watch = Stopwatch::start();
    let settled = settle(world).await;
    figures.settling_seconds += watch.elapsed().as_secs_f64();
    let watch = Stopwatch::start();
    match settled {
        Ok(Ok(())) => {
            let findings = compare::compare(world, lie).await?;
            figures.comparisons += findings.compared;
            figures.checkpoints += 1;
            played.difference_count += findings.count;
            played.differences.extend(findings.named);
        }
        Ok(Err(motion)) => {
            played.difference_count += 1;
            played.differences.push(format!("Bursar did not come to rest: {motion:?}"));
        }
        Err(error) => {
            played.difference_count += 1;
            played.differences.push(format!("bringing Bursar to rest broke off: {}", chain(&error)));
        }
    }
    figures.comparing_seconds += watch.elapsed().as_secs_f64();
    figures.differences += played.difference_count;
    Ok(played.failed())
}

/// Waits while Bursar is far behind, so that memory stays bounded.
async fn keep_up(world: &World) -> Result<(), ProveError> {
    let watch = Stopwatch::start();
    while watch.elapsed_ms() < KEEP_UP_MS {
        let waiting = world.simulator.stats().webhooks.waiting;
        let mut behind = 0;
        if waiting > DELIVERIES_MOST / 4 {
            for tenant in world.tenants() {
                // A node that has just been killed does not answer; it is looked at again.
                behind += world.parts()?.inbox.counts(tenant).await.map_or(0, |counts| counts.ready);
            }
        }
        if waiting < DELIVERIES_MOST && behind < INBOX_MOST {
            return Ok(());
        }
        kit::clock::pause(Duration::from_millis(2)).await;
    }
    Ok(())
}

pub(crate) fn chain(error: &(dyn std::error::Error + 'static)) -> String {
    platform::problem::Chain(error).to_string()
}
