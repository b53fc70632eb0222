//! Random workloads over the whole of Bursar, held against a small independent model.
//!
//! Read in this order: [`step`] what a run does, as data; `play` how a step is played; `model` what must then be true;
//! `settle` how a world comes to rest; `compare` what is held against the model; [`shrink`] the shortest failing run;
//! [`kill`](kill()) the same with nodes in processes of their own, which are killed.

mod balance;
mod compare;
mod database;
pub mod error;
mod faults;
mod figures;
mod kill;
mod model;
mod node;
mod play;
mod process;
mod run;
mod settle;
mod shop;
pub mod shrink;
pub mod step;
mod world;
mod writes;

pub use compare::Lie;
pub use error::ProveError;
pub use figures::Figures;
pub use kill::{KillOptions, kill};

use run::{Played, play_all};
use std::time::Duration;
use step::Step;
use world::Setting;

/// What to run.
#[derive(Clone, Debug)]
pub struct Options {
    /// The same seed gives the same steps.
    pub seed: u64,
    /// How many steps.
    pub steps: u32,
    /// A comparison stands every so many steps, and at the end.
    pub checkpoint_every: u32,
    /// A PostgreSQL server whose user may create databases; none for SQLite in a temporary folder.
    pub server: Option<String>,
    /// How many nodes share the database; more than one needs a server.
    pub nodes: usize,
    /// Only these steps, by their numbers (first and last).
    pub only: Option<Vec<(u32, u32)>>,
    /// How long a shorter failing run is looked for; none not to look.
    pub shrink_for: Option<Duration>,
    /// What the model is told wrongly, for tests of the prover itself.
    pub lie: Option<Lie>,
}

impl Default for Options {
    fn default() -> Options {
        Options {
            seed: 1,
            steps: 2_000,
            checkpoint_every: 1_000,
            server: None,
            nodes: 1,
            only: None,
            shrink_for: Some(Duration::from_secs(120)),
            lie: None,
        }
    }
}

/// A run that found something.
#[derive(Clone, Debug)]
pub struct Failure {
    /// What differed, object by object; at most some dozens are named.
    pub differences: Vec<String>,
    /// How many differed in all.
    pub difference_count: u64,
    /// The shortest failing run that was found.
    pub steps: Vec<Step>,
    /// What differed in that one.
    pub shortest_differences: Vec<String>,
}

/// What a run came to.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// In numbers.
    pub figures: Figures,
    /// None if the model agrees with everything.
    pub failure: Option<Failure>,
}

/// Makes one run in this process. `told` hears of progress now and then.
///
/// # Errors
/// Whatever keeps the run from being made.
pub async fn prove(options: &Options, told: &mut (dyn FnMut(&Figures) + Send)) -> Result<Outcome, ProveError> {
    let setting =
        Setting { seed: options.seed, server: options.server.clone(), nodes: options.nodes, machine_time: false };
    let mut steps = step::generate(options.seed, options.steps, options.checkpoint_every);
    if let Some(only) = &options.only {
        steps.retain(|step| only.iter().any(|(first, last)| (*first..=*last).contains(&step.number)));
    }
    let mut figures = Figures::default();
    let played = play_all(&setting, &steps, options.lie, &mut figures, told).await?;
    if !played.failed() {
        return Ok(Outcome { figures, failure: None });
    }
    steps.truncate(played.played);
    let Played { differences, difference_count, .. } = played;
    let mut shortest_differences = differences.clone();
    if let Some(patience) = options.shrink_for {
        let (setting, lie) = (&setting, options.lie);
        let found = &mut shortest_differences;
        steps = shrink::shrink(steps, patience, async |steps: &[Step]| {
            let mut unheard = Figures::default();
            match play_all(setting, steps, lie, &mut unheard, &mut |_| {}).await {
                Ok(played) if played.failed() => {
                    *found = played.differences;
                    true
                }
                // A run that cannot be made says nothing about the steps.
                Ok(_) | Err(_) => false,
            }
        })
        .await;
    }
    Ok(Outcome { figures, failure: Some(Failure { differences, difference_count, steps, shortest_differences }) })
}
