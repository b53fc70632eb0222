//! `cargo xtask fuzz`: libFuzzer on every target of the `fuzz` crate.
//!
//! Only our own crates are instrumented, by a wrapper around rustc that is this very program; what they stand on is the same as for the
//! tests and is not built again. No nightly compiler is needed: our code has no `unsafe`, so that coverage is enough and no sanitizer is.

use crate::process;
use anyhow::{Context, Result, bail};
use serde_json::Value;
use std::{
    ffi::{OsStr, OsString},
    fs,
    path::{Path, PathBuf},
    process::{Command, ExitCode, Stdio},
};

/// The targets, as `fuzz/src/lib.rs` lists them; a test holds the two together.
const TARGETS: [&str; 5] = ["signature", "form", "event", "problem", "sealed"];
/// Set where this program stands before rustc.
const WRAPPER: &str = "BURSAR_FUZZ_RUSTC_WRAPPER";
/// Longest input, in bytes: above what any seed needs, and short enough for many tries.
const INPUT_BYTES_MAX: u32 = 8_192;
/// An input that takes longer than this counts as a fault.
const INPUT_SECONDS_MAX: u32 = 10;
const MEMORY_MIB_MAX: u32 = 1_024;

/// What makes libFuzzer see which way the code went, with constants that a comparison wanted.
const INSTRUMENTED: [&str; 6] = [
    "-Cpasses=sancov-module",
    "-Cllvm-args=-sanitizer-coverage-level=4",
    "-Cllvm-args=-sanitizer-coverage-inline-8bit-counters",
    "-Cllvm-args=-sanitizer-coverage-pc-table",
    "-Cllvm-args=-sanitizer-coverage-trace-compares",
    // Several times as many tries for a little longer a build.
    "-Copt-level=1",
];

/// What is to be fuzzed.
#[derive(clap::Args)]
pub(crate) struct Asked {
    /// One target alone; without it all, one after the other.
    target: Option<String>,
    /// How long each target is tried; 0: until something breaks or Ctrl-C.
    #[arg(long, default_value_t = 60)]
    seconds: u32,
    /// Tries this file once, as after a fault, and nothing else.
    #[arg(long, requires = "target")]
    input: Option<PathBuf>,
}

/// Builds the targets and runs those asked for. What they find stays in the target folder and makes later runs better.
pub(crate) fn run(root: &Path, asked: &Asked) -> Result<()> {
    if let Some(target) = asked.target.as_deref().filter(|target| !TARGETS.contains(target)) {
        bail!("there is no target `{target}`; there are: {}", TARGETS.join(", "));
    }
    let (program, took) = process::timed(|| build(root));
    let program = program?;
    println!("built in {} s", took.as_secs());
    let folder = process::target_folder(root)?.join("fuzz");
    let chosen = TARGETS.into_iter().filter(|target| asked.target.as_deref().is_none_or(|asked| asked == *target));
    for target in chosen {
        let mut fuzzer = Command::new(&program);
        fuzzer.env("BURSAR_FUZZ_TARGET", target).stdin(Stdio::null()).current_dir(root);
        match &asked.input {
            Some(input) => fuzzer.arg(std::path::absolute(input)?),
            None => fuzzer.args(arguments(root, &folder, target, asked.seconds)?),
        };
        if let Err(error) = process::run(&mut fuzzer) {
            bail!(
                "target `{target}` broke ({error:#}). The input is named above; `cargo xtask fuzz {target} --input FILE` \
                 repeats it. Put it into fuzz/seeds/{target}, so that the tests keep it, and mend what it breaks"
            );
        }
    }
    Ok(())
}

fn arguments(root: &Path, folder: &Path, target: &str, seconds: u32) -> Result<Vec<OsString>> {
    let (corpus, faults) = (folder.join("corpus").join(target), folder.join("faults"));
    for folder in [&corpus, &faults] {
        fs::create_dir_all(folder).with_context(|| format!("making {}", folder.display()))?;
    }
    let mut prefix = OsString::from("-artifact_prefix=");
    prefix.push(faults.join(format!("{target}-")));
    Ok(vec![
        format!("-max_total_time={seconds}").into(),
        format!("-max_len={INPUT_BYTES_MAX}").into(),
        format!("-timeout={INPUT_SECONDS_MAX}").into(),
        format!("-rss_limit_mb={MEMORY_MIB_MAX}").into(),
        "-print_final_stats=1".into(),
        "-verbosity=0".into(),
        prefix,
        corpus.into(),
        root.join("fuzz/seeds").join(target).into(),
    ])
}

/// Builds the program. The whole workspace is named so that its crates' features, and with them all that they stand on, are those of the
/// tests; of it only the one program is built.
fn build(root: &Path) -> Result<PathBuf> {
    let own = std::env::current_exe().context("finding this program")?;
    let mut build = process::cargo(root);
    build.args(["build", "--workspace", "--bin=bursar-fuzz", "--features=bursar-fuzz/libfuzzer"]);
    build.arg("--message-format=json-render-diagnostics").env("RUSTC_WORKSPACE_WRAPPER", own).env(WRAPPER, "1");
    build.stderr(Stdio::inherit());
    let told = process::read(&mut build)?;
    let messages = told.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let mut programs = messages.filter_map(|message| message["executable"].as_str().map(PathBuf::from));
    programs.next_back().context("cargo built no program `bursar-fuzz`")
}

/// Stands before rustc while the targets are built, if this program was started for that.
pub(crate) fn instead_of_rustc() -> Option<ExitCode> {
    std::env::var_os(WRAPPER)?;
    let mut arguments = std::env::args_os().skip(1);
    let rustc = arguments.next()?;
    let arguments: Vec<OsString> = arguments.collect();
    let mut command = Command::new(rustc);
    command.args(&arguments);
    if is_part_of_the_program(&arguments) {
        // After what cargo says: of options given twice the last one counts.
        command.args(INSTRUMENTED);
    }
    let status = command.status().ok()?;
    Some(u8::try_from(status.code().unwrap_or(1)).map_or(ExitCode::FAILURE, ExitCode::from))
}

/// Build scripts and macros run in the compiler's world, where there is no libFuzzer to report to.
fn is_part_of_the_program(arguments: &[OsString]) -> bool {
    let after = |name: &str| {
        let at = arguments.iter().position(|argument| argument == name)?;
        arguments.get(at + 1).map(OsString::as_os_str)
    };
    let is_build_script = after("--crate-name").is_some_and(|name| name.to_string_lossy().starts_with("build_script_"));
    let is_macro = after("--crate-type").is_some_and(|kind| kind == OsStr::new("proc-macro"));
    after("--crate-name").is_some() && !is_build_script && !is_macro
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_targets_are_those_of_the_crate() {
        let listed = fs::read_to_string(crate::workspace_root().join("fuzz/src/lib.rs")).unwrap();
        let names = listed.split("Target { name: \"").skip(1).filter_map(|rest| rest.split('"').next());
        assert_eq!(names.collect::<Vec<_>>(), TARGETS);
    }

    #[test]
    fn only_what_ends_up_in_the_program_is_instrumented() {
        let check = |given: &str, expected: bool| {
            let given: Vec<OsString> = given.split_whitespace().map(OsString::from).collect();
            assert_eq!(is_part_of_the_program(&given), expected, "{given:?}");
        };
        check("--crate-name kit --crate-type lib", true);
        check("--crate-name bursar_fuzz src/main.rs --crate-type bin", true);
        check("--crate-name build_script_build --crate-type bin", false);
        check("--crate-name macros --crate-type proc-macro", false);
        check("-vV", false);
    }
}
