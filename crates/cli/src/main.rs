//! `bursar`: the one binary. Each command is a file; what they share stands beside them.

mod bench;
mod commands;
mod failure;
mod output;
mod remote;
mod settings;

use clap::{Parser, Subcommand};
use failure::Failure;
use std::process::ExitCode;

/// Bursar stands between a software business and Stripe.
///
/// It connects Stripe accounts, takes in their webhooks and history, mirrors them, and proves its figures to the cent.
/// Try it with `bursar demo`: a simulated business on SQLite, nothing else needed.
#[derive(Parser)]
#[command(name = "bursar", version, max_term_width = 110, after_help = EXIT_CODES)]
struct Arguments {
    #[command(flatten)]
    settings: settings::Settings,
    #[command(subcommand)]
    command: Command,
}

const EXIT_CODES: &str = "Exit codes: 0 done · 1 failed · 2 wrong use · 3 configuration, database or port cannot be used · 4 refused by Stripe";

#[derive(Subcommand)]
enum Command {
    /// Show everything at work: a simulated business, connected, back-filled, kept in step.
    Demo(commands::demo::Demo),
    /// Run a node.
    Serve(commands::serve::Serve),
    /// Run only the Stripe simulator.
    Sim(commands::sim::Sim),
    /// Bring the database up to date, or tell its version.
    Migrate(commands::migrate::Migrate),
    /// Sync a connection now and watch it.
    Sync(commands::sync::Sync),
    /// Keys that seal secrets: make one, re-seal everything under the newest.
    #[command(subcommand)]
    Vault(commands::vault::Vault),
    /// Events received: replay them.
    #[command(subcommand)]
    Inbox(commands::inbox::Inbox),
    /// API keys of Stripe's: what one may do, and which to ask for.
    #[command(subcommand)]
    Key(commands::key::Key),
    /// The configuration: show it, check it.
    #[command(subcommand)]
    Config(commands::config::Config),
    /// Prove that nothing is lost and nothing done twice, by random workloads with every fault.
    Prove(commands::prove::Prove),
    /// Measure this machine.
    #[command(subcommand)]
    Bench(bench::Bench),
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            Failure::failed(anyhow::Error::new(error).context("starting the runtime")).print();
            return ExitCode::FAILURE;
        }
    };
    match runtime.block_on(run(arguments)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            failure.print();
            failure.exit_code()
        }
    }
}

async fn run(arguments: Arguments) -> Result<(), Failure> {
    let settings = arguments.settings;
    match arguments.command {
        Command::Demo(command) => command.run(&settings).await,
        Command::Serve(command) => command.run(&settings).await,
        Command::Sim(command) => command.run(&settings).await,
        Command::Migrate(command) => command.run(&settings).await,
        Command::Sync(command) => command.run(&settings).await,
        Command::Vault(command) => command.run(&settings).await,
        Command::Inbox(command) => command.run(&settings).await,
        Command::Key(command) => command.run(&settings).await,
        Command::Config(command) => command.run(&settings).await,
        Command::Prove(command) => command.run(&settings).await,
        Command::Bench(command) => command.run(&settings).await,
    }
}
