//! Nodes that are killed lose nothing and do nothing twice.

use prove::{KillOptions, Outcome};
use std::{path::PathBuf, time::Duration};

fn killed(options: KillOptions) -> Outcome {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let outcome = runtime.block_on(prove::kill(&options, &mut |_| {})).unwrap();
    runtime.shutdown_timeout(Duration::from_secs(5));
    assert!(outcome.failure.is_none(), "{:#?}", outcome.failure);
    assert_eq!(outcome.figures.kills, u64::from(options.kills));
    assert!(outcome.figures.comparisons > 200, "{:?}", outcome.figures);
    outcome
}

fn program() -> PathBuf {
    PathBuf::from(env!("CARGO_BIN_EXE_bursar"))
}

#[test]
fn ten_kills_on_sqlite() {
    killed(KillOptions { seed: 1, kills: 10, server: None, nodes: 1, hold: false, program: program() });
}

#[test]
fn ten_kills_of_three_nodes_on_postgres() {
    let server = std::env::var(testkit::POSTGRES_URL).unwrap_or_else(|_| {
        panic!("{} is not set: run this with `cargo xtask test -- -p bursar`", testkit::POSTGRES_URL)
    });
    killed(KillOptions { seed: 2, kills: 10, server: Some(server), nodes: 3, hold: false, program: program() });
}
