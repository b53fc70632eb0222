//! Seeds whose runs agree with the model, and a model that was told wrongly.

use prove::{Lie, Options, Outcome};
use std::time::Duration;

fn run(options: Options) -> Outcome {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let outcome = runtime.block_on(prove::prove(&options, &mut |_| {})).unwrap();
    runtime.shutdown_timeout(Duration::from_secs(5));
    outcome
}

fn agrees(options: Options) {
    let outcome = run(options.clone());
    if let Some(failure) = &outcome.failure {
        panic!(
            "seed {} differs: {:#?}\nthe shortest failing run: {:#?}\nwhich differs in {:#?}",
            options.seed, failure.differences, failure.steps, failure.shortest_differences
        );
    }
    assert_eq!(outcome.figures.steps, u64::from(options.steps));
    assert!(outcome.figures.comparisons > u64::from(options.steps), "{:?}", outcome.figures);
}

#[test]
fn a_seed_agrees_on_sqlite() {
    agrees(Options { seed: 1, steps: 1_500, checkpoint_every: 500, ..Options::default() });
}

#[test]
fn a_seed_agrees_with_two_nodes_on_postgres() {
    let server = std::env::var(testkit::POSTGRES_URL).unwrap_or_else(|_| {
        panic!("{} is not set: run this with `cargo xtask test -- -p bursar-prove`", testkit::POSTGRES_URL)
    });
    agrees(Options {
        seed: 2,
        steps: 1_000,
        checkpoint_every: 500,
        server: Some(server),
        nodes: 2,
        ..Options::default()
    });
}

#[test]
fn a_lie_is_found_and_shrunk() {
    let options = Options {
        seed: 5,
        steps: 200,
        checkpoint_every: 100,
        shrink_for: Some(Duration::from_secs(60)),
        lie: Some(Lie::HalfRefunds),
        ..Options::default()
    };
    let outcome = run(options);
    let failure = outcome.failure.unwrap();
    assert!(failure.difference_count > 0 && !failure.differences.is_empty());
    // A payment and its refund, and at most a card's or a customer's step beside them.
    assert!((2..=6).contains(&failure.steps.len()), "{:#?}", failure.steps);
}
