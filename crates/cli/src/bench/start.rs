//! `bursar bench start`: from the process's start to ready, and memory when idle.

use super::{Common, child::Process, ground::Ground, milliseconds, percentile, print_figures};
use crate::failure::Failure;
use clap::Args;
use kit::clock::pause;
use platform::config::Config;
use serde_json::json;
use std::time::Duration;

/// Starts a node several times on an existing database, and looks at the last one's memory when idle.
#[derive(Args)]
pub(crate) struct Start {
    #[command(flatten)]
    common: Common,
    /// How often it is started.
    #[arg(long, default_value_t = 7)]
    runs: u32,
    /// Seconds to be idle before memory is read.
    #[arg(long, default_value_t = 5)]
    idle_seconds: u64,
}

impl Start {
    pub(crate) async fn run(self, config: &Config) -> Result<(), Failure> {
        let simulator = Process::simulator(
            &["sim", "--json", "--listen", "127.0.0.1:0", "--customers", "1", "--charges", "1"].map(str::to_owned),
        )
        .await?;
        let ground = Ground::new(config, &simulator.url).await?;
        ground.parts().await?.base.store.close().await;
        let mut ready_us = Vec::new();
        let mut last: Option<Process> = None;
        for _ in 0..self.runs.max(1) {
            if let Some(node) = last.take() {
                node.stop().await?;
            }
            let (node, took) = ground.node(&[]).await?;
            ready_us.push(u64::try_from(took.as_micros()).unwrap_or(u64::MAX));
            last = Some(node);
        }
        pause(Duration::from_secs(self.idle_seconds)).await;
        ready_us.sort_unstable();
        let mut idle_mb = 0.0;
        if let Some(node) = last {
            idle_mb = node.memory()?.resident as f64 / 1_000_000.0;
            node.stop().await?;
        }
        let figures = json!({
            "benchmark": "start",
            "engine": ground.engine(),
            "runs": ready_us.len(),
            "ready_ms": { "median": milliseconds(percentile(&ready_us, 50.0)), "max": milliseconds(percentile(&ready_us, 100.0)) },
            "idle_memory_mb": (idle_mb * 10.0).round() / 10.0,
        });
        simulator.stop().await?;
        ground.remove().await?;
        print_figures(&figures, self.common.json)
    }
}
