//! Stripe fails for an hour while people and background work go on.

use crate::{Differences, DrillError, EndState, Place, Plan, Scene, Webhooks, state::money_differences};
use gateway::{Lane, LimitOptions, NewIntent};
use kit::Stopwatch;
use simulator::{Business, CallFault, Fault};
use std::{collections::BTreeMap, time::Duration};
use stripe::{Params, Request};

/// How long Stripe fails.
const OUTAGE_SECONDS: u64 = 3_600;
/// How far the clock is moved at once; somebody tries each time.
const STEP_SECONDS: usize = 5;
/// Something is to be written in the background so often.
const WRITE_EVERY_SECONDS: u64 = 60;
/// The business goes on so often: what it does is told by webhooks, which arrive all the same.
const BUSINESS_EVERY_SECONDS: u64 = 120;
/// How long background work gets between two moves of the clock.
const BRIEF: Duration = Duration::from_millis(10);
/// After the outage everything must be done within this.
const CATCH_UP_MOST: Duration = Duration::from_secs(6 * 3_600);

/// How an outage went.
#[derive(Clone, Debug)]
pub struct Outage {
    /// Simulated seconds for which Stripe failed.
    pub seconds: u64,
    /// How long each interactive call took to fail, in real microseconds, in the order in which they were made.
    pub interactive_us: Vec<u64>,
    /// What they failed with.
    pub interactive_codes: Vec<&'static str>,
    /// Requests that reached Stripe in that time, of people and of background work together.
    pub calls_that_left: u64,
    /// Writes that were asked for in the background during the outage.
    pub writes: usize,
    /// Of these, how many Stripe has more or less than once in the end.
    pub writes_not_once: usize,
    /// Simulated seconds from the end of the outage until nothing was left to do.
    pub caught_up_after: Duration,
    /// Objects and figures that are otherwise than Stripe's in the end.
    pub differences: Differences,
    /// How long it took, in real time.
    pub took: Duration,
}

/// Plays the outage: the first half of it every call is answered 503, the second half connections are dropped.
///
/// # Errors
/// Whatever keeps it from being played to its end; that an interactive call succeeds is such a thing.
pub async fn play(place: Place, seed: u64) -> Result<Outage, DrillError> {
    let plan = Plan {
        stripe_seed: seed,
        business: Business { seed, customers: 40, charges: 200, months: 6, ..Business::default() },
        webhooks: Webhooks::Stripe,
        scheduler: true,
        limits: Some(LimitOptions::default()),
    };
    let mut scene = Scene::set(place, plan).await?;
    let watch = Stopwatch::start();
    let before = scene.simulator.stats().requests;
    let (mut interactive_us, mut interactive_codes, mut writes) = (Vec::new(), Vec::new(), 0);
    scene.fail(Fault::call("*", CallFault::failing(503)).for_seconds(OUTAGE_SECONDS / 2))?;
    for second in (0..OUTAGE_SECONDS).step_by(STEP_SECONDS) {
        if second == OUTAGE_SECONDS / 2 {
            scene.fail(Fault::call("*", CallFault::Drop { after_effect: false }).for_seconds(OUTAGE_SECONDS / 2))?;
        }
        if second % WRITE_EVERY_SECONDS == 0 {
            write(&scene, writes).await?;
            writes += 1;
        }
        if second % BUSINESS_EVERY_SECONDS == 0 {
            scene.simulator.live(&scene.account.account_id, false, 2)?;
        }
        let (code, took) = person(&scene).await?;
        interactive_codes.push(code);
        interactive_us.push(u64::try_from(took.as_micros()).unwrap_or(u64::MAX));
        scene.quiet_within(BRIEF).await?;
        scene.pass(Duration::from_secs(STEP_SECONDS as u64))?;
    }
    let calls_that_left = scene.simulator.stats().requests - before;
    let caught_up_after = scene.settle(Duration::from_secs(1), CATCH_UP_MOST).await?;
    // Movements of the balance are listed a minute after the last payment that is told of.
    scene.pass(Duration::from_secs(61))?;
    scene.settle(Duration::from_secs(10), CATCH_UP_MOST).await?;
    let state = EndState::of(&scene).await?;
    let outage = Outage {
        seconds: OUTAGE_SECONDS,
        interactive_us,
        interactive_codes,
        calls_that_left,
        writes,
        writes_not_once: not_once(&scene, writes)?,
        caught_up_after,
        differences: state.differences_to_stripe(&scene)?.and(money_differences(&scene).await?),
        took: watch.elapsed(),
    };
    scene.stop_node().await;
    Ok(outage)
}

/// Somebody waits for a call; answers what it failed with, and how soon.
async fn person(scene: &Scene) -> Result<(&'static str, Duration), DrillError> {
    let parts = scene.parts()?;
    let linked = parts.vault.linked(&scene.connection.id).await;
    let linked = linked.map_err(|error| DrillError::refused("the key", error))?;
    let linked = linked.ok_or_else(|| DrillError::refused("the key", "the connection is gone"))?;
    let watch = Stopwatch::start();
    match parts.gateway.call(&linked, stripe::api::balance(), Lane::Interactive).await {
        Ok(_) => Err(DrillError::refused("failing", "Stripe answered in the middle of its outage")),
        Err(error) => Ok((error.code(), watch.elapsed())),
    }
}

/// Something is to be done at Stripe that nobody waits for.
async fn write(scene: &Scene, number: usize) -> Result<(), DrillError> {
    let parts = scene.parts()?;
    let params = Params::none().with("name", name(number));
    let new = NewIntent {
        connection: scene.connection.id.clone(),
        request: Request::post("/v1/customers", params),
        on_account: None,
        lane: Lane::Background,
        purpose: "drill.outage",
        subject: name(number),
    };
    let mut tx = parts.base.store.begin(scene.tenant).await?;
    parts.gateway.intend(&mut tx, new).await?;
    tx.commit().await?;
    Ok(())
}

fn name(number: usize) -> String {
    format!("Asked for in the outage, {number}")
}

/// How many of the writes Stripe has more or less than once.
fn not_once(scene: &Scene, writes: usize) -> Result<usize, DrillError> {
    let mut times: BTreeMap<String, usize> = (0..writes).map(|number| (name(number), 0)).collect();
    for text in scene.simulator.objects(&scene.account.account_id, false, "customer")? {
        let customer: serde_json::Value = serde_json::from_str(&text).unwrap_or_default();
        if let Some(count) = customer["name"].as_str().and_then(|name| times.get_mut(name)) {
            *count += 1;
        }
    }
    Ok(times.values().filter(|count| **count != 1).count())
}
