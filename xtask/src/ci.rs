//! Every check in one row, quick ones first. All run even if one fails, so that one round shows everything.

use crate::{arrows, packages, process, test, tidy};
use anyhow::{Result, bail};
use std::{path::Path, process::Command, time::Duration};

/// One check by its name.
struct Step {
    name: &'static str,
    check: fn(&Path) -> Result<()>,
}

const STEPS: &[Step] = &[
    Step { name: "format", check: format },
    Step { name: "arrows", check: arrows::run },
    Step { name: "packages", check: packages::run },
    Step { name: "tidy", check: tidy::run },
    Step { name: "lints", check: lints },
    Step { name: "docs", check: docs },
];

const TESTS: Step = Step { name: "tests", check: |root| test::run(root, &[]) };

/// Runs all checks, with the tests at the end if asked for, and tells what failed.
pub(crate) fn run(root: &Path, with_tests: bool) -> Result<()> {
    let mut outcomes = Vec::new();
    for step in STEPS.iter().chain(with_tests.then_some(&TESTS)) {
        println!("\n== {} ==", step.name);
        let (result, took) = process::timed(|| (step.check)(root));
        if let Err(error) = &result {
            eprintln!("{}: {error:#}", step.name);
        }
        outcomes.push((step.name, result.is_ok(), took));
    }
    println!("\n{}", summary(&outcomes));
    let failed: Vec<_> = outcomes.iter().filter(|(_, passed, _)| !passed).map(|(name, ..)| *name).collect();
    if !failed.is_empty() {
        bail!("failed: {}", failed.join(", "));
    }
    Ok(())
}

fn summary(outcomes: &[(&str, bool, Duration)]) -> String {
    let line = |(name, passed, took): &(&str, bool, Duration)| {
        format!("{name:<8} {:<6} {:>5} s", if *passed { "passed" } else { "FAILED" }, took.as_secs())
    };
    outcomes.iter().map(line).collect::<Vec<_>>().join("\n")
}

fn format(root: &Path) -> Result<()> {
    process::run(process::cargo(root).args(["fmt", "--all", "--check"]))
}

fn lints(root: &Path) -> Result<()> {
    process::run(process::cargo(root).args(["clippy", "--workspace", "--all-targets", "--", "-D", "warnings"]))
}

fn docs(root: &Path) -> Result<()> {
    let mut command: Command = process::cargo(root);
    // Private items too: a link that leads nowhere misleads whoever reads the source.
    command.args(["doc", "--workspace", "--no-deps", "--document-private-items"]);
    process::run(command.env("RUSTDOCFLAGS", "-D warnings -A rustdoc::private_intra_doc_links"))
}
