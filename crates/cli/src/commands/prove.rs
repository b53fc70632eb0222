//! `bursar prove`: random workloads over the whole program, held against a small independent model.

use crate::{failure::Failure, output, settings::Settings};
use clap::Args;
use kit::ExposeSecret;
use prove::{Figures, KillOptions, Options, Outcome, ProveError, shrink};
use serde_json::json;
use std::time::Duration;

/// Prove that nothing is lost and nothing done twice: plays a random business with every fault against Bursar and a
/// simulated Stripe, and compares everything with a model. The same seed plays the same steps.
#[derive(Args)]
pub(crate) struct Prove {
    /// The first seed.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// How many seeds, one after another.
    #[arg(long, default_value_t = 1)]
    seeds: u64,
    /// Steps of each seed.
    #[arg(long, default_value_t = 10_000)]
    steps: u32,
    /// Compare everything after so many steps.
    #[arg(long, default_value_t = 2_500)]
    checkpoint_every: u32,
    /// Nodes on that database.
    #[arg(long, default_value_t = 1)]
    nodes: usize,
    /// Kill nodes in processes of their own at random points instead, during syncs, webhooks, writes, rotations and
    /// migrations.
    #[arg(long)]
    kill: bool,
    /// How many kills.
    #[arg(long, default_value_t = 10)]
    kills: u32,
    /// With --kill: also hold a node for longer than its jobs' lease (half a minute).
    #[arg(long)]
    hold: bool,
    /// Only these steps of the seed, such as 0-2,17,40-52.
    #[arg(long)]
    only: Option<String>,
    /// How long to look for a shorter failing run.
    #[arg(long, default_value_t = 120)]
    shrink_seconds: u64,
    /// Print one JSON object.
    #[arg(long)]
    json: bool,
}

impl Prove {
    pub(crate) async fn run(self, settings: &Settings) -> Result<(), Failure> {
        let config = settings.config()?;
        settings.start_log(&config, "off")?;
        let server = config.database_url.as_ref().map(|url| url.expose_secret().to_owned());
        if self.nodes > 1 && server.is_none() {
            return Err(wrong(
                "Several nodes need a PostgreSQL server: SQLite serves one.",
                "Add --database postgres://…",
            ));
        }
        let only = match &self.only {
            Some(text) => Some(
                shrink::read_numbers(text)
                    .ok_or_else(|| wrong("--only is not a list of step numbers.", "Write it as 0-2,17,40-52."))?,
            ),
            None => None,
        };
        let mut all = Vec::new();
        let mut failed = None;
        for seed in self.seed..self.seed.saturating_add(self.seeds.max(1)) {
            let options = Options {
                seed,
                steps: self.steps,
                checkpoint_every: self.checkpoint_every,
                server: server.clone(),
                nodes: self.nodes,
                only: only.clone(),
                shrink_for: (self.shrink_seconds > 0).then(|| Duration::from_secs(self.shrink_seconds)),
                lie: None,
            };
            let outcome = if self.kill { self.kill_one(&options).await? } else { one(&options, self.json).await? };
            all.push(json!({ "seed": seed, "figures": outcome.figures, "steps_per_second": outcome.figures.steps_per_second().round(), "differences": outcome.failure.as_ref().map(|it| &it.differences) }));
            if outcome.failure.is_some() {
                failed = Some((options, outcome));
                break;
            }
        }
        if self.json {
            output::say_json(&json!({ "runs": all, "failed": failed.is_some() }))?;
        }
        match failed {
            None => Ok(()),
            Some((options, outcome)) => Err(self.told(&options, &outcome)),
        }
    }

    /// Kills nodes; the bar counts kills.
    async fn kill_one(&self, options: &Options) -> Result<Outcome, Failure> {
        let bar = output::bar(u64::from(self.kills), "kills");
        if self.json {
            bar.set_draw_target(indicatif::ProgressDrawTarget::hidden());
        }
        let kill = KillOptions {
            seed: options.seed,
            kills: self.kills,
            server: options.server.clone(),
            nodes: options.nodes,
            hold: self.hold,
            program: std::env::current_exe()?,
        };
        let watching = bar.clone();
        let outcome = prove::kill(&kill, &mut move |figures: &Figures| watching.set_position(figures.kills)).await;
        bar.finish_and_clear();
        let outcome = outcome.map_err(failed)?;
        if !self.json {
            output::say(line(options.seed, &outcome.figures));
        }
        Ok(outcome)
    }

    /// The failure with the command that plays it again.
    fn told(&self, options: &Options, outcome: &Outcome) -> Failure {
        let Some(failure) = &outcome.failure else { return wrong("nothing failed", "") };
        if self.kill {
            let text = format!("seed {}: {:#?}", options.seed, failure.differences);
            let again = format!("play it again: bursar prove --kill --kills {} --seed {}", self.kills, options.seed);
            return Failure::new(1, "prove_differs", text, again);
        }
        let mut text = format!("seed {}: {} differences to the model\n", options.seed, failure.difference_count);
        for difference in &failure.differences {
            text += &format!("  {difference}\n");
        }
        text += &format!("the shortest failing run that was found has {} steps:\n", failure.steps.len());
        for step in failure.steps.iter().take(60) {
            text += &format!("  {:>6}  +{:>4} ms  {:?}\n", step.number, step.after_ms, step.action);
        }
        text += "and differs in\n";
        for difference in &failure.shortest_differences {
            text += &format!("  {difference}\n");
        }
        let mut again = format!(
            "bursar prove --seed {} --steps {} --checkpoint-every {}",
            options.seed, options.steps, options.checkpoint_every
        );
        if options.server.is_some() {
            again += &format!(" --nodes {} --database …", self.nodes);
        }
        Failure::new(
            1,
            "prove_differs",
            text,
            format!("play it again: {again} --only {}", shrink::numbers(&failure.steps)),
        )
    }
}

async fn one(options: &Options, quiet: bool) -> Result<Outcome, Failure> {
    let bar = output::bar(u64::from(options.steps), "steps");
    if quiet {
        bar.set_draw_target(indicatif::ProgressDrawTarget::hidden());
    }
    bar.set_message(format!("seed {}", options.seed));
    let (watching, seed) = (bar.clone(), options.seed);
    let mut told = move |figures: &Figures| {
        watching.set_position(figures.steps);
        watching.set_message(format!(
            "seed {}, {} compared, {} kills",
            seed,
            output::count(figures.comparisons),
            figures.kills
        ));
    };
    let outcome = prove::prove(options, &mut told).await;
    bar.finish_and_clear();
    let outcome = outcome.map_err(failed)?;
    if !quiet {
        output::say(line(options.seed, &outcome.figures));
    }
    Ok(outcome)
}

fn failed(error: ProveError) -> Failure {
    Failure::new(1, error.code(), platform::problem::Chain(&error).to_string(), "")
}

fn line(seed: u64, figures: &Figures) -> String {
    format!(
        "seed {seed}: {} steps, {} deliveries, {} calls, {} faults, {} kills; {} things compared at {} checkpoints, {} differences; {:.1} s, {:.0} steps/s",
        output::count(figures.steps),
        output::count(figures.deliveries),
        output::count(figures.calls),
        output::count(figures.faults.values().sum()),
        figures.kills,
        output::count(figures.comparisons),
        figures.checkpoints,
        figures.differences,
        figures.seconds,
        figures.steps_per_second(),
    )
}

fn wrong(what: &str, what_to_do: &str) -> Failure {
    Failure::new(2, "wrong_use", what, what_to_do)
}
