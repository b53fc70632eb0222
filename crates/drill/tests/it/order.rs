//! Any order, doubling and loss of ten thousand events ends in the state of the orderly stream.

use crate::{alone, place};
use drill::{
    EndState,
    order::{History, Manner, Outcome, play},
};
use std::sync::{Arc, Mutex};
use testkit::{Engine, run};

/// How many disorders are tried on each engine; the long run sets more.
const SEEDS: &str = "BURSAR_ORDER_SEEDS";
const HISTORY: History = History { seed: 2_026, events: 10_000 };

#[test]
fn any_order_doubling_and_loss_ends_in_the_orderly_state_sqlite() {
    any_order(Engine::Sqlite);
}

#[test]
fn any_order_doubling_and_loss_ends_in_the_orderly_state_postgres() {
    any_order(Engine::Postgres);
}

fn any_order(engine: Engine) {
    let seeds: u64 = std::env::var(SEEDS).map_or(1, |given| given.parse().unwrap());
    let orderly = state_after(engine, Manner::Orderly);
    for seed in 1..=seeds {
        let disorderly = state_after(engine, Manner::Disorderly(seed));
        let differences = orderly.differences(&disorderly);
        assert_eq!(differences.count, 0, "{engine:?}, seed {seed}: {differences:#?}");
    }
}

/// Plays the history on a database of its own, and fails the test where it does not end in what Stripe holds.
fn state_after(engine: Engine, manner: Manner) -> EndState {
    let ended = Arc::new(Mutex::new(None));
    let told = ended.clone();
    alone(|| {
        run(engine, "any_order_doubling_and_loss", async move |stage| {
            let (place, _folder) = place(stage).await;
            *told.lock().unwrap() = Some(play(place, HISTORY, manner).await.unwrap());
        });
    });
    let outcome: Outcome = ended.lock().unwrap().take().unwrap();
    eprintln!(
        "{engine:?} {manner:?}: {} events, {} deliveries, {} doubled, {} twins, {} lost, {} found, {:.1} s",
        outcome.events,
        outcome.delivered,
        outcome.doubled,
        outcome.twins,
        outcome.lost,
        outcome.found,
        outcome.took.as_secs_f64()
    );
    assert_eq!(outcome.differences.count, 0, "{engine:?} {manner:?}: {:#?}", outcome.differences);
    assert!(outcome.events >= HISTORY.events);
    assert!(outcome.state.rows.len() > 1_000 && outcome.state.objects.len() > 4_000);
    match manner {
        Manner::Orderly => assert_eq!(outcome.found, 0, "nothing was lost"),
        Manner::Disorderly(_) => {
            assert!(outcome.lost > 1_500 && outcome.doubled > 1_500 && outcome.twins > 300);
            // What was lost can only have come from the list, beside what it told of before the webhook came.
            assert!(outcome.found >= outcome.lost as i64, "{} of {} found", outcome.found, outcome.lost);
        }
    }
    outcome.state
}
