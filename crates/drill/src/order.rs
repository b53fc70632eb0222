//! Whatever becomes of the order, of doubles and of losses: the end is that of the orderly stream.

use crate::{
    Differences, DrillError, EndState, Place, Plan, Scene, Webhooks, history,
    state::{found, money_differences},
};
use futures::{StreamExt, TryStreamExt, stream};
use inbox::Source;
use kit::{Randomness, SeededRandomness, Stopwatch};
use serde_json::Value;
use simulator::Business;
use std::time::Duration;

/// Deliveries under way at once.
const AT_ONCE: usize = 16;
/// Events handed over at once where the order is kept.
const IN_ORDER: usize = 100;
/// Of a hundred events: delivered again under the same id, told once more under another id, never delivered.
const DOUBLED_PERCENT: u64 = 25;
const TWINS_PERCENT: u64 = 5;
const LOST_PERCENT: u64 = 20;

/// Which history.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct History {
    /// The same seed makes the same history.
    pub seed: u64,
    /// How many events at least.
    pub events: usize,
}

/// How the history is delivered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Manner {
    /// Each once, in the order in which it happened.
    Orderly,
    /// As this seed has it: shuffled from end to end, doubled, told under two ids, lost.
    Disorderly(u64),
}

/// How it went.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// Events of the history.
    pub events: usize,
    /// Deliveries in all.
    pub delivered: usize,
    /// Of these, a second time under the same id.
    pub doubled: usize,
    /// Of these, a second time under another id.
    pub twins: usize,
    /// Events that were never delivered.
    pub lost: usize,
    /// Events that were found by reading the list.
    pub found: i64,
    /// Objects and figures that are otherwise than Stripe's.
    pub differences: Differences,
    /// What was held in the end.
    pub state: EndState,
    /// How long it took from the first delivery on, in real time.
    pub took: Duration,
}

/// Plays the history in the given manner on an empty database.
///
/// # Errors
/// Whatever keeps it from being played to its end.
pub async fn play(place: Place, history: History, manner: Manner) -> Result<Outcome, DrillError> {
    let plan = Plan {
        stripe_seed: history.seed,
        business: Business { seed: history.seed, customers: 30, charges: 150, months: 6, ..Business::default() },
        webhooks: Webhooks::Drill,
        scheduler: false,
        limits: None,
    };
    let mut scene = Scene::set(place, plan).await?;
    let events = history::live(&scene, history.events, history.seed).await?;
    let watch = Stopwatch::start();
    let found_before = found(&scene).await?;
    let mail = Mail::sort(&events, manner);
    match manner {
        Manner::Orderly => hand_over(&scene, &mail.deliveries).await?,
        Manner::Disorderly(_) => {
            let (first, second) = mail.deliveries.split_at(mail.deliveries.len() / 2);
            deliver(&scene, first).await?;
            // Some of what is still to come is found before its webhook arrives.
            scene.ask_for_sync().await?;
            deliver(&scene, second).await?;
        }
    }
    scene.quiet().await?;
    // Movements of the balance are read a minute after money moved; a sync finds what was lost, and reads what that asks for.
    for _ in 0..2 {
        scene.pass(Duration::from_secs(61))?;
        scene.ask_for_sync().await?;
        scene.quiet().await?;
    }
    scene.settle(Duration::from_secs(10), Duration::from_secs(3_600)).await?;
    let state = EndState::of(&scene).await?;
    let differences = state.differences_to_stripe(&scene)?.and(money_differences(&scene).await?);
    let outcome = Outcome {
        events: events.len(),
        delivered: mail.deliveries.len(),
        doubled: mail.doubled,
        twins: mail.twins,
        lost: mail.lost,
        found: found(&scene).await? - found_before,
        differences,
        state,
        took: watch.elapsed(),
    };
    scene.stop_node().await;
    Ok(outcome)
}

/// What is delivered, in its order.
struct Mail {
    deliveries: Vec<String>,
    doubled: usize,
    twins: usize,
    lost: usize,
}

impl Mail {
    fn sort(events: &[String], manner: Manner) -> Mail {
        let mut mail = Mail { deliveries: Vec::with_capacity(events.len() * 2), doubled: 0, twins: 0, lost: 0 };
        let Manner::Disorderly(seed) = manner else {
            mail.deliveries = events.to_vec();
            return mail;
        };
        let randomness = SeededRandomness::new(seed);
        let chance = |percent| randomness.below(100) < percent;
        for event in events {
            if chance(LOST_PERCENT) {
                mail.lost += 1;
                continue;
            }
            mail.deliveries.push(event.clone());
            if chance(DOUBLED_PERCENT) {
                mail.doubled += 1;
                mail.deliveries.push(event.clone());
            }
            if chance(TWINS_PERCENT) {
                mail.twins += 1;
                mail.deliveries.push(twin(event));
            }
        }
        for place in (1..mail.deliveries.len()).rev() {
            let other = usize::try_from(randomness.below(place as u64 + 1)).unwrap_or(0);
            mail.deliveries.swap(place, other);
        }
        mail
    }
}

/// The same change, told once more under another id.
fn twin(event: &str) -> String {
    let id = serde_json::from_str::<Value>(event).ok().and_then(|event| Some(event["id"].as_str()?.to_owned()));
    // The first place that names it is the event's own id: it stands before the object.
    id.map_or_else(|| event.to_owned(), |id| event.replacen(&id, &format!("{id}twin"), 1))
}

async fn deliver(scene: &Scene, bodies: &[String]) -> Result<(), DrillError> {
    stream::iter(bodies).map(|body| scene.deliver(body)).buffer_unordered(AT_ONCE).try_collect::<Vec<()>>().await?;
    Ok(())
}

/// Hands events to the inbox in their order, as its door does once a signature is verified.
async fn hand_over(scene: &Scene, bodies: &[String]) -> Result<(), DrillError> {
    let parts = scene.parts()?;
    for bodies in bodies.chunks(IN_ORDER) {
        let bodies: Vec<&str> = bodies.iter().map(String::as_str).collect();
        let mut tx = parts.base.store.begin(scene.tenant).await?;
        let accepted = parts.inbox.accept(&mut tx, &scene.connection, Source::Webhook, &bodies).await;
        accepted.map_err(|error| DrillError::refused("the inbox", error))?;
        tx.wake(inbox::WAKE);
        tx.commit().await?;
        scene.quiet().await?;
    }
    Ok(())
}
