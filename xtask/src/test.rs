//! `cargo xtask test`: what the tests need, then the tests.

use crate::{clients, needs, postgres::Postgres, process};
use anyhow::{Context, Result};
use std::{ffi::OsString, path::Path};

/// Where the tests find a PostgreSQL in which they may create and drop databases.
pub(crate) const POSTGRES_URL: &str = "BURSAR_TEST_POSTGRES_URL";
/// Where the tests find a browser.
const CHROMIUM: &str = "BURSAR_TEST_CHROMIUM";

/// Installs what is missing after naming it, starts a PostgreSQL unless one was given, and runs `cargo test`.
pub(crate) fn run(root: &Path, rest: &[OsString]) -> Result<()> {
    let given_url = std::env::var(POSTGRES_URL).ok().filter(|url| !url.trim().is_empty());
    let arguments = cargo_arguments(rest);
    let with_clients = tests_the_simulator(&arguments);
    let needs = needs::meet(given_url.is_none(), with_clients)?;
    if with_clients && let Err(error) = clients::install(root) {
        // As with the browser: the tests that need them fail by themselves, and all the others still tell something.
        println!(
            "warning: Stripe's official clients could not be installed, and the tests with them will fail: {error:#}"
        );
    }

    // Lives until this function returns, however it returns; if this process is killed its keeper stops it.
    let own_server = match (&given_url, &needs.postgres_folder) {
        (None, Some(folder)) => Some(Postgres::start(folder, false).context("starting a PostgreSQL for the tests")?),
        _ => None,
    };
    let url = match (&own_server, given_url) {
        (Some(server), _) => server.url().to_owned(),
        (None, given) => given.unwrap_or_default(),
    };
    match &own_server {
        Some(server) => println!("testing on {}, and on SQLite", server.describe()),
        None => println!("testing on the PostgreSQL of {POSTGRES_URL}, and on SQLite"),
    }

    let mut tests = process::cargo(root);
    tests.args(arguments).env(POSTGRES_URL, url);
    if let Some(chromium) = &needs.chromium {
        tests.env(CHROMIUM, chromium);
    }
    let (result, took) = process::timed(|| process::run(&mut tests));
    result?;
    println!("\nall tests passed in {} s", took.as_secs());
    Ok(())
}

/// `cargo test` for the whole workspace, unless the caller chose packages.
fn cargo_arguments(rest: &[OsString]) -> Vec<OsString> {
    // A `--` right at the start only divides our arguments from those of cargo.
    let rest = rest.strip_prefix(&[OsString::from("--")]).unwrap_or(rest);
    let for_cargo: Vec<&str> =
        rest.iter().filter_map(|argument| argument.to_str()).take_while(|it| *it != "--").collect();
    let names_packages = for_cargo.iter().any(|argument| {
        *argument == "--workspace"
            || argument.starts_with("--package")
            || (argument.starts_with("-p") && !argument.starts_with("--"))
    });
    let mut arguments: Vec<OsString> = vec!["test".into()];
    if !names_packages {
        arguments.push("--workspace".into());
        if !for_cargo.contains(&"--no-fail-fast") {
            // One run shows every failure, not only those of the first crate that has one.
            arguments.push("--no-fail-fast".into());
        }
    }
    arguments.extend(rest.iter().cloned());
    arguments
}

/// Whether the simulator's tests are among those that `cargo test` is asked for; they run Stripe's official clients.
fn tests_the_simulator(arguments: &[OsString]) -> bool {
    arguments.iter().any(|argument| {
        argument.to_str().is_some_and(|argument| argument == "--workspace" || argument.ends_with("bursar-simulator"))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_whole_workspace_is_tested_unless_packages_are_named() {
        let check = |given: &str, expected: &str| {
            let given: Vec<OsString> = given.split_whitespace().map(OsString::from).collect();
            let made: Vec<String> =
                cargo_arguments(&given).into_iter().map(|argument| argument.to_string_lossy().into_owned()).collect();
            assert_eq!(made.join(" "), expected);
        };
        check("", "test --workspace --no-fail-fast");
        check("duplicates", "test --workspace --no-fail-fast duplicates");
        check("--no-fail-fast", "test --workspace --no-fail-fast");
        check("-p bursar-inbox", "test -p bursar-inbox");
        check("-- -p bursar-inbox", "test -p bursar-inbox");
        check("-pbursar-inbox duplicates", "test -pbursar-inbox duplicates");
        check("--package=bursar-inbox", "test --package=bursar-inbox");
        check("duplicates -- -p --nocapture", "test --workspace --no-fail-fast duplicates -- -p --nocapture");
    }

    #[test]
    fn the_clients_are_wanted_where_the_simulator_is_tested() {
        let check = |given: &str, expected: bool| {
            let given: Vec<OsString> = given.split_whitespace().map(OsString::from).collect();
            assert_eq!(tests_the_simulator(&cargo_arguments(&given)), expected, "{given:?}");
        };
        check("", true);
        check("duplicates", true);
        check("-p bursar-simulator", true);
        check("-pbursar-simulator node", true);
        check("-p bursar-inbox", false);
    }
}
