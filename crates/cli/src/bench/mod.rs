//! `bursar bench`: measures this machine. Real processes, real sockets, a real database, the simulator beside.

mod child;
mod faults;
mod ground;
mod load;
mod start;
mod sync;
mod webhooks;

use crate::{failure::Failure, output, settings::Settings};
use clap::{Args, Subcommand};
use serde_json::Value;

/// Measure this machine. Nothing else should run on it meanwhile.
#[derive(Subcommand)]
pub(crate) enum Bench {
    /// Signed webhooks: time to the acknowledgement, time to the effect, capacity.
    Webhooks(webhooks::Webhooks),
    /// Full sync against the simulator: without limits, and at Stripe's.
    Sync(sync::Sync),
    /// Disorder, loss, idleness and an outage: what they leave behind, and what they cost.
    Faults(faults::Faults),
    /// Time from start to ready with an existing database, and memory when idle.
    Start(start::Start),
}

/// What every benchmark may be told.
#[derive(Args, Clone, Debug)]
pub(crate) struct Common {
    /// Print one JSON object.
    #[arg(long)]
    json: bool,
}

impl Bench {
    pub(crate) async fn run(self, settings: &Settings) -> Result<(), Failure> {
        let config = settings.config()?;
        settings.start_log(&config, "error")?;
        match self {
            Bench::Webhooks(bench) => bench.run(&config).await,
            Bench::Sync(bench) => bench.run(&config).await,
            Bench::Faults(bench) => bench.run(&config).await,
            Bench::Start(bench) => bench.run(&config).await,
        }
    }
}

/// Prints figures as one JSON object, or a line each.
fn print_figures(figures: &Value, json: bool) -> Result<(), Failure> {
    if json {
        return Ok(output::say_json(figures)?);
    }
    print_level(figures, 0);
    Ok(())
}

fn print_level(figures: &Value, depth: usize) {
    let Value::Object(members) = figures else { return };
    for (name, value) in members {
        let label = format!("{:indent$}{}", "", name.replace('_', " "), indent = depth * 2);
        if value.is_object() {
            output::say(label);
            print_level(value, depth + 1);
        } else {
            let text = match value {
                Value::String(text) => text.clone(),
                other => other.to_string(),
            };
            output::say(format!("{label:<44}{text}"));
        }
    }
}

/// The value below which `percent` of the sorted `values` lie; zero for none.
fn percentile(sorted: &[u64], percent: f64) -> u64 {
    let last = sorted.len().saturating_sub(1);
    let position = (percent / 100.0 * last as f64).round() as usize;
    sorted.get(position.min(last)).copied().unwrap_or(0)
}

/// Microseconds as milliseconds with two decimals.
fn milliseconds(micros: u64) -> f64 {
    (micros as f64 / 10.0).round() / 100.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_read_off_sorted_values() {
        let values: Vec<u64> = (0..=1_000).collect();
        assert_eq!(percentile(&values, 50.0), 500);
        assert_eq!(percentile(&values, 99.0), 990);
        assert_eq!(percentile(&values, 100.0), 1_000);
        assert_eq!(percentile(&[], 99.0), 0);
    }
}
