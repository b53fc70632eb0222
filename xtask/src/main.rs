//! The project's own commands. `cargo xtask ci` is what the machine runs and what you run.

#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a command line tool talks to the terminal")]

mod arrows;
mod ci;
mod clients;
mod fuzz;
mod needs;
mod packages;
mod postgres;
mod process;
mod test;
mod tidy;

use anyhow::Result;
use clap::{Parser, Subcommand};
use std::{ffi::OsString, path::PathBuf, process::ExitCode};

/// Bursar's own commands: everything the machine checks, you can check here.
#[derive(Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask", disable_help_subcommand = true)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Everything the machine checks: format, arrows, packages, tidy, lints, docs, tests.
    Ci {
        /// Leave the tests out, for who has just run them.
        #[arg(long)]
        without_tests: bool,
    },
    /// Runs the tests against a PostgreSQL started for them alone.
    ///
    /// Says first what it installs where something is missing. With BURSAR_TEST_POSTGRES_URL set it uses that
    /// server instead of its own. What follows goes to `cargo test`: `cargo xtask test -- -p bursar-inbox`.
    Test {
        /// Passed on to `cargo test`; without `-p` the whole workspace is tested.
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        rest: Vec<OsString>,
    },
    /// Installs Stripe's official clients for the simulator's tests, into the target folder; names first what it installs.
    Clients,
    /// Looks for bytes that break what must hold for any bytes: libFuzzer on the targets of `fuzz`.
    Fuzz(fuzz::Asked),
    /// Holds the crates' dependencies against the table of allowed arrows in ARCHITECTURE.md.
    Arrows,
    /// Packages that must not come in, not even behind another.
    Packages,
    /// House rules that the compiler does not know, each told with what to do about it.
    Tidy,
    /// Starts a throwaway PostgreSQL, prints its address and stops it on Ctrl-C or end of input.
    Postgres {
        /// Commit to the disk as a server in production does: for measurements, not for tests.
        #[arg(long)]
        durable: bool,
    },
    /// Keeps one throwaway PostgreSQL until standard input ends. Started by the other commands.
    #[command(hide = true)]
    PostgresKeeper,
}

fn main() -> ExitCode {
    if let Some(ended) = fuzz::instead_of_rustc() {
        return ended;
    }
    match run(Arguments::parse().command) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("\nerror: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(command: Command) -> Result<()> {
    let root = workspace_root();
    match command {
        Command::Ci { without_tests } => ci::run(&root, !without_tests),
        Command::Test { rest } => test::run(&root, &rest),
        Command::Clients => clients::run(&root),
        Command::Fuzz(asked) => fuzz::run(&root, &asked),
        Command::Arrows => arrows::run(&root),
        Command::Packages => packages::run(&root),
        Command::Tidy => tidy::run(&root),
        Command::Postgres { durable } => postgres::hold(durable),
        Command::PostgresKeeper => postgres::keep(),
    }
}

/// The folder of the workspace: the parent of this crate's own.
fn workspace_root() -> PathBuf {
    let own = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    own.parent().map_or(own.clone(), PathBuf::from)
}
