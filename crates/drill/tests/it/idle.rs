//! Reads are scarce, and webhooks may be lost for as long as Stripe keeps its events.

use crate::{one_after_another, place};
use drill::idle::{Meanwhile, idle, lost_week};
use testkit::Stage;

one_after_another!(
    an_idle_connection_costs_under_three_thousand_reads_in_thirty_days,
    a_week_without_webhooks_leaves_nothing_behind,
    a_week_without_the_node_leaves_nothing_behind,
);

async fn an_idle_connection_costs_under_three_thousand_reads_in_thirty_days(stage: Stage) {
    // What costs reads is the same on both engines, and a month of jobs takes minutes here: three weeks and
    // one stand for it; `bursar bench faults` plays the month.
    let days = if stage.store.engine() == store::Engine::Sqlite { 20 } else { 7 };
    let (place, _folder) = place(stage).await;
    let idle = idle(place, days).await.unwrap();
    eprintln!("{idle:?}");
    assert!(idle.reads * 30 < 3_000 * u64::from(days), "{idle:?}");
    // It was looked: each quarter of an hour, and more seldom for what no event tells.
    assert!(idle.reads_by_call["GET /v1/events"] >= u64::from(days) * 96, "{idle:?}");
    assert!(idle.reads_by_call.len() > 1, "{idle:?}");
}

async fn a_week_without_webhooks_leaves_nothing_behind(stage: Stage) {
    lost(stage, Meanwhile::Running).await;
}

async fn a_week_without_the_node_leaves_nothing_behind(stage: Stage) {
    lost(stage, Meanwhile::Stopped).await;
}

async fn lost(stage: Stage, meanwhile: Meanwhile) {
    let seed = stage.seed;
    let (place, _folder) = place(stage).await;
    let week = lost_week(place, meanwhile, seed).await.unwrap();
    eprintln!("{week:?}");
    assert_eq!(week.delivered, 0, "no webhook came");
    assert!(week.events > 2_000, "the business went on: {week:?}");
    assert_eq!(week.found, week.events as i64, "each was found");
    assert_eq!(week.differences.count, 0, "seed {seed}: {:#?}", week.differences);
}
