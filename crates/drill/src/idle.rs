//! What an account costs where nothing happens, and what a week without webhooks leaves behind.

use crate::{
    Differences, DrillError, EndState, Place, Plan, Scene, Webhooks,
    history::told_since,
    state::{found, money_differences},
};
use kit::Stopwatch;
use simulator::{Business, Fault, WebhookFault};
use std::{collections::BTreeMap, time::Duration};

/// As often as the schedule runs.
const QUARTER: Duration = Duration::from_secs(900);
const QUARTERS_A_DAY: u32 = 96;

/// What an account cost where nothing happened.
#[derive(Clone, Debug)]
pub struct Idle {
    /// Simulated days.
    pub days: u32,
    /// Reads that Stripe saw, by call.
    pub reads_by_call: BTreeMap<String, u64>,
    /// Their sum.
    pub reads: u64,
    /// Reads that the node counted itself.
    pub counted: i64,
    /// How long it took, in real time.
    pub took: Duration,
}

/// Lets days pass, a quarter of an hour at a time, in which nothing happens at Stripe.
///
/// # Errors
/// Whatever keeps it from being played to its end.
pub async fn idle(place: Place, days: u32) -> Result<Idle, DrillError> {
    let plan = Plan {
        stripe_seed: 7,
        business: Business { customers: 40, charges: 300, months: 6, ..Business::default() },
        webhooks: Webhooks::Stripe,
        scheduler: true,
        limits: None,
    };
    let mut scene = Scene::set(place, plan).await?;
    let watch = Stopwatch::start();
    let (before, counted_before) = (reads(&scene), counted(&scene).await?);
    for _ in 0..days * QUARTERS_A_DAY {
        scene.pass_idle(QUARTER);
        scene.quiet().await?;
    }
    let reads_by_call: BTreeMap<String, u64> = reads(&scene)
        .into_iter()
        .map(|(call, count)| (call.clone(), count - before.get(&call).copied().unwrap_or(0)))
        .filter(|(_, count)| *count > 0)
        .collect();
    let idle = Idle {
        days,
        reads: reads_by_call.values().sum(),
        reads_by_call,
        counted: counted(&scene).await? - counted_before,
        took: watch.elapsed(),
    };
    scene.stop_node().await;
    Ok(idle)
}

/// Reads that Stripe has seen so far.
fn reads(scene: &Scene) -> BTreeMap<String, u64> {
    let calls = scene.simulator.stats().calls;
    calls.into_iter().filter(|(call, _)| call.starts_with("GET ")).collect()
}

/// Reads that the node has counted in the last 30 days.
async fn counted(scene: &Scene) -> Result<i64, DrillError> {
    let parts = scene.parts()?;
    parts.gateway.flush_counts().await?;
    let mut tx = parts.base.store.read(scene.tenant).await?;
    Ok(parts.gateway.call_figures(&mut tx, &scene.connection.id).await?.reads_30_days)
}

/// What the node did while no webhook came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Meanwhile {
    /// It ran, and swept the event list each quarter of an hour.
    Running,
    /// It was stopped, and started when the week was over.
    Stopped,
}

/// How a week without webhooks ended.
#[derive(Clone, Debug)]
pub struct LostWeek {
    /// Events that happened in the week.
    pub events: usize,
    /// Webhooks that were delivered all the same: none.
    pub delivered: u64,
    /// Events that the sweep of the list found.
    pub found: i64,
    /// Reads that it took.
    pub reads: u64,
    /// Objects and figures that are otherwise than Stripe's in the end.
    pub differences: Differences,
    /// How long it took, in real time.
    pub took: Duration,
}

/// Lets a business go on for a week whose webhooks are all lost.
///
/// # Errors
/// Whatever keeps it from being played to its end.
pub async fn lost_week(place: Place, meanwhile: Meanwhile, seed: u64) -> Result<LostWeek, DrillError> {
    let plan = Plan {
        stripe_seed: seed,
        business: Business { seed, customers: 60, charges: 400, months: 6, ..Business::default() },
        webhooks: Webhooks::Stripe,
        scheduler: true,
        limits: None,
    };
    let mut scene = Scene::set(place, plan).await?;
    let watch = Stopwatch::start();
    let account = scene.account.account_id.clone();
    let began = scene.now().seconds();
    let before = (scene.simulator.stats().webhooks.delivered, found(&scene).await?);
    let reads_before: u64 = reads(&scene).values().sum();
    scene.fail(Fault::webhooks("*", WebhookFault::Drop).until_cleared())?;
    if meanwhile == Meanwhile::Stopped {
        scene.stop_node().await;
    }
    for _ in 0..7 * QUARTERS_A_DAY {
        scene.pass(QUARTER)?;
        scene.simulator.live(&account, false, 2)?;
        if meanwhile == Meanwhile::Running {
            scene.quiet().await?;
        }
    }
    let delivered = scene.simulator.stats().webhooks.delivered - before.0;
    if meanwhile == Meanwhile::Stopped {
        scene.start_node().await?;
    }
    // Two more sweeps: one for what happened last, and one for the movements of the balance that follow it.
    for _ in 0..2 {
        scene.pass_idle(QUARTER);
        scene.quiet().await?;
    }
    scene.settle(Duration::from_secs(10), Duration::from_secs(3_600)).await?;
    let state = EndState::of(&scene).await?;
    let week = LostWeek {
        events: told_since(&scene, began)?.len(),
        delivered,
        found: found(&scene).await? - before.1,
        reads: reads(&scene).values().sum::<u64>() - reads_before,
        differences: state.differences_to_stripe(&scene)?.and(money_differences(&scene).await?),
        took: watch.elapsed(),
    };
    scene.stop_node().await;
    Ok(week)
}
