//! One run in the build at hand, for whoever mends what a run has found:
//! `cargo run -p bursar-prove --example seed -- SEED STEPS EVERY [SHRINK_SECONDS] [ONLY]`, with `NODES` and `DATABASE`.
#![expect(clippy::unwrap_used, clippy::print_stdout, reason = "an example for developers")]

use prove::{Options, prove, shrink};
use std::time::Duration;

#[tokio::main]
async fn main() {
    let given: Vec<String> = std::env::args().skip(1).collect();
    let number = |place: usize, usual: u32| given.get(place).map_or(usual, |text| text.parse().unwrap());
    let options = Options {
        seed: number(0, 1).into(),
        steps: number(1, 2_000),
        checkpoint_every: number(2, 500),
        shrink_for: Some(u64::from(number(3, 0))).filter(|seconds| *seconds > 0).map(Duration::from_secs),
        only: given.get(4).map(|text| shrink::read_numbers(text).unwrap()),
        server: std::env::var("DATABASE").ok(),
        nodes: std::env::var("NODES").map_or(1, |text| text.parse().unwrap()),
        ..Options::default()
    };
    let outcome = prove(&options, &mut |_| {}).await.unwrap();
    println!("{:?}", outcome.figures);
    if let Some(failure) = outcome.failure {
        println!("{} differences: {:#?}", failure.difference_count, failure.differences);
        for step in failure.steps.iter().take(if options.shrink_for.is_some() { 80 } else { 0 }) {
            println!("{:>6} +{:>4} ms {:?}", step.number, step.after_ms, step.action);
        }
        println!("shortest: {:#?}\n--only {}", failure.shortest_differences, shrink::numbers(&failure.steps));
        std::process::exit(1);
    }
}
