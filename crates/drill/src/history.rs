//! A history of some days: what a business does, and what changes again and again within one second.

use crate::{DrillError, Scene};
use kit::{Randomness, SeededRandomness};
use serde_json::Value;
use std::time::Duration;

/// Things that a business does in each step, all in the same second.
const ACTIONS: u32 = 30;
/// Steps between two counts of what happened.
const LOOK_EVERY: u64 = 8;
/// Longest pause between two steps. Even the longest history must end before Stripe forgets its beginning, after 30 days.
const LONGEST_PAUSE_SECONDS: u64 = 10 * 3_600;

/// Lets the account live until it has made so many events more; answers them as Stripe's list has them, the oldest first.
///
/// The same simulator under the same clock and the same seed makes the same history, id by id.
///
/// # Errors
/// The simulator's.
pub async fn live(scene: &Scene, events: usize, seed: u64) -> Result<Vec<String>, DrillError> {
    let randomness = SeededRandomness::new(seed);
    let account = scene.account.account_id.as_str();
    let before = scene.now().seconds();
    let mut step = 0;
    while step % LOOK_EVERY != 0 || step == 0 || told_since(scene, before)?.len() < events {
        // At least a second, so that nothing shares one with what was read at first.
        scene.pass(Duration::from_secs(1 + randomness.below(LONGEST_PAUSE_SECONDS)))?;
        scene.simulator.live(account, false, ACTIONS)?;
        changes_within_a_second(scene, step, &randomness).await?;
        step += 1;
    }
    // What is read from now on is certainly newer than all of it.
    scene.pass(Duration::from_secs(5))?;
    told_since(scene, before)
}

/// The events in Stripe's list that happened after this second.
pub(crate) fn told_since(scene: &Scene, second: i64) -> Result<Vec<String>, DrillError> {
    let mut events = scene.simulator.objects(&scene.account.account_id, false, "event")?;
    let created =
        |event: &String| serde_json::from_str::<Value>(event).ok().and_then(|event| event["created"].as_i64());
    events.retain(|event| created(event).is_some_and(|created| created > second));
    Ok(events)
}

/// One object after another is changed several times while the clock stands still: only a look at Stripe can tell which
/// version is the last.
async fn changes_within_a_second(scene: &Scene, step: u64, randomness: &SeededRandomness) -> Result<(), DrillError> {
    let customer = scene.at_stripe("POST", "/v1/customers", &format!("name=Step+{step}&metadata[turn]=0")).await?;
    let customer = id(&customer);
    for turn in 1..=3 {
        let form = format!("metadata[turn]={turn}&balance={}", randomness.below(900));
        scene.at_stripe("POST", &format!("/v1/customers/{customer}"), &form).await?;
    }
    let form = format!(
        "amount=9000&currency=usd&payment_method=pm_card_visa&confirm=true&customer={customer}&metadata[plan]=step_{}",
        step % 4
    );
    let charge = scene.at_stripe("POST", "/v1/payment_intents", &form).await?;
    let charge = charge["latest_charge"].as_str().unwrap_or_default().to_owned();
    for part in [1_000, 2_000 + randomness.below(500)] {
        scene.at_stripe("POST", "/v1/refunds", &format!("charge={charge}&amount={part}")).await?;
    }
    scene.at_stripe("POST", &format!("/v1/charges/{charge}"), &format!("metadata[step]={step}")).await?;
    if let Some(subscription) = newest(scene, "subscription")?.filter(|it| it["status"] == "active") {
        let path = format!("/v1/subscriptions/{}", id(&subscription));
        for turn in 0..2 {
            scene.at_stripe("POST", &path, &format!("metadata[turn]={step}_{turn}")).await?;
        }
        if step % 7 == 3 {
            scene.at_stripe("DELETE", &path, "").await?;
        }
    }
    if step % 5 == 2 {
        scene.at_stripe("DELETE", &format!("/v1/customers/{customer}"), "").await?;
    }
    Ok(())
}

fn newest(scene: &Scene, kind: &str) -> Result<Option<Value>, DrillError> {
    let objects = scene.simulator.objects(&scene.account.account_id, false, kind)?;
    Ok(objects.last().and_then(|text| serde_json::from_str(text).ok()))
}

fn id(object: &Value) -> String {
    object["id"].as_str().unwrap_or_default().to_owned()
}
