//! `bursar bench faults`: what everything going wrong leaves behind, and what it costs. The drills of `crates/drill`, each on
//! an empty database of its own, with a clock that is moved by hand: a month takes a minute.

use super::{Common, ground::Ground, milliseconds, percentile, print_figures};
use crate::{failure::Failure, output};
use clap::Args;
use drill::{
    DrillError, Place,
    idle::{Idle, LostWeek, Meanwhile, idle, lost_week},
    order::{self, History, Manner},
    outage::{self, Outage},
};
use platform::{config::Config, problem::Chain};
use serde_json::{Map, Value, json};
use std::time::Duration;

/// Puts a node through disorder, loss, idleness and an outage, and prints what differed and what it cost.
#[derive(Args)]
pub(crate) struct Faults {
    #[command(flatten)]
    common: Common,
    /// Disorders of the same history that are tried.
    #[arg(long, default_value_t = 3, value_name = "NUMBER")]
    seeds: u64,
    /// Events of the history.
    #[arg(long, default_value_t = 10_000)]
    events: usize,
    /// Simulated days in which nothing happens.
    #[arg(long, default_value_t = 30)]
    idle_days: u32,
    /// A short run: one disorder of 2,000 events, and three idle days.
    #[arg(long)]
    quick: bool,
}

/// Of the history, of the business and of the node: the same each time, so that figures can be compared.
const SEED: u64 = 2_026;
/// An interactive call must fail sooner while Stripe is away.
const FAIL_FAST: Duration = Duration::from_millis(50);

impl Faults {
    pub(crate) async fn run(mut self, config: &Config) -> Result<(), Failure> {
        if self.quick {
            (self.seeds, self.events, self.idle_days) = (1, 2_000, 3);
        }
        let watch = kit::Stopwatch::start();
        let engine = if config.database_url.is_some() { "postgres" } else { "sqlite" };
        let bar = if self.common.json { indicatif::ProgressBar::hidden() } else { output::spinner("order") };
        let order = self.order(config, &bar).await?;
        bar.set_message("idle");
        let idle = on_a_database(config, async |place| idle(place, self.idle_days).await).await?;
        bar.set_message("lost week");
        let mut weeks = Map::new();
        for (name, meanwhile) in [("node_running", Meanwhile::Running), ("node_stopped", Meanwhile::Stopped)] {
            let week = on_a_database(config, async |place| lost_week(place, meanwhile, SEED).await).await?;
            weeks.insert(name.to_owned(), week_figures(&week));
        }
        bar.set_message("outage");
        let outage = on_a_database(config, async |place| outage::play(place, SEED).await).await?;
        bar.finish_and_clear();
        let figures = json!({
            "benchmark": "faults",
            "engine": engine,
            "order": order,
            "idle": idle_figures(&idle),
            "lost_week": weeks,
            "outage": outage_figures(&outage),
            "seconds": seconds(watch.elapsed()),
        });
        print_figures(&figures, self.common.json)
    }

    /// The orderly stream, then each disorder of it.
    async fn order(&self, config: &Config, bar: &indicatif::ProgressBar) -> Result<Value, Failure> {
        let history = History { seed: SEED, events: self.events };
        let play = async |manner| on_a_database(config, async |place| order::play(place, history, manner).await).await;
        let orderly = play(Manner::Orderly).await?;
        let (mut seeds, mut differences) = (Map::new(), orderly.differences.count);
        for seed in 1..=self.seeds {
            bar.set_message(format!("order, seed {seed}"));
            let ended = play(Manner::Disorderly(seed)).await?;
            let to_orderly = orderly.state.differences(&ended.state);
            differences += ended.differences.count + to_orderly.count;
            let told: Vec<&String> = ended.differences.told.iter().chain(&to_orderly.told).collect();
            seeds.insert(
                seed.to_string(),
                json!({
                    "deliveries": ended.delivered, "doubled": ended.doubled, "told_under_two_ids": ended.twins,
                    "lost": ended.lost, "found_in_the_list": ended.found,
                    "differences_to_stripe": ended.differences.count, "differences_to_orderly": to_orderly.count,
                    "told": told, "seconds": seconds(ended.took),
                }),
            );
        }
        Ok(json!({
            "history_seed": SEED, "events": orderly.events, "objects": orderly.state.objects.len(),
            "revenue_rows": orderly.state.rows.len(), "differences": differences,
            "orderly": {
                "differences_to_stripe": orderly.differences.count, "told": orderly.differences.told,
                "seconds": seconds(orderly.took),
            },
            "shuffled_from_end_to_end": seeds,
        }))
    }
}

/// Plays a drill on an empty database, which is removed whatever becomes of it.
async fn on_a_database<T>(
    config: &Config,
    drill: impl AsyncFnOnce(Place) -> Result<T, DrillError>,
) -> Result<T, Failure> {
    let ground = Ground::new(config, "").await?;
    let outcome = drill(Place { config: ground.config.clone(), seed: SEED }).await;
    ground.remove().await?;
    outcome.map_err(|error| Failure::new(1, error.code(), Chain(&error).to_string(), "Please report this."))
}

fn idle_figures(idle: &Idle) -> Value {
    json!({
        "simulated_days": idle.days, "reads": idle.reads, "reads_by_call": idle.reads_by_call,
        "counted_by_bursar": idle.counted, "seconds": seconds(idle.took),
    })
}

fn week_figures(week: &LostWeek) -> Value {
    json!({
        "events": week.events, "webhooks_delivered": week.delivered, "found_in_the_list": week.found, "reads": week.reads,
        "differences": week.differences.count, "told": week.differences.told, "seconds": seconds(week.took),
    })
}

fn outage_figures(outage: &Outage) -> Value {
    let mut sorted = outage.interactive_us.clone();
    sorted.sort_unstable();
    let slower = sorted.iter().filter(|took| u128::from(**took) > FAIL_FAST.as_micros()).count();
    let latency = |percent| milliseconds(percentile(&sorted, percent));
    json!({
        "simulated_seconds": outage.seconds,
        "interactive": {
            "calls": sorted.len(), "failed_ms": { "p50": latency(50.0), "p99": latency(99.0), "max": latency(100.0) },
            "slower_than_50_ms": slower,
        },
        "calls_that_left": outage.calls_that_left,
        "writes_asked_for": outage.writes, "writes_not_done_once": outage.writes_not_once,
        "all_work_done_after_simulated_s": seconds(outage.caught_up_after),
        "differences": outage.differences.count, "told": outage.differences.told, "seconds": seconds(outage.took),
    })
}

fn seconds(duration: Duration) -> f64 {
    (duration.as_secs_f64() * 10.0).round() / 10.0
}
