//! Stripe fails for an hour.

use crate::{one_after_another, place};
use drill::outage::play;
use testkit::Stage;

one_after_another!(an_outage_of_an_hour_costs_a_handful_of_calls_and_nothing_else);

async fn an_outage_of_an_hour_costs_a_handful_of_calls_and_nothing_else(stage: Stage) {
    let seed = stage.seed;
    let (place, _folder) = place(stage).await;
    let outage = play(place, seed).await.unwrap();
    eprintln!("{outage:?}");
    // The two whose tries show that Stripe is away, and then none that leaves but the probes.
    let left = outage.interactive_codes.iter().filter(|code| **code != "stripe_paused").count();
    assert!(left <= 2 + 14 && outage.interactive_codes.len() == 720, "{left}: {:?}", outage.interactive_codes);
    assert!(outage.calls_that_left <= 25, "{} calls left", outage.calls_that_left);
    assert_eq!((outage.writes, outage.writes_not_once), (60, 0), "each write had its effect once");
    assert_eq!(outage.differences.count, 0, "seed {seed}: {:#?}", outage.differences);
}
