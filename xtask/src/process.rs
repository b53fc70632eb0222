//! Running other programs, and saying which one failed.

use anyhow::{Context, Result, bail};
use serde_json::Value;
use std::{
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

/// Runs a program to its end with our own input and output; an error names what failed.
pub(crate) fn run(command: &mut Command) -> Result<()> {
    let shown = shown(command);
    let status = command.status().with_context(|| format!("starting `{shown}`"))?;
    if !status.success() {
        bail!("`{shown}` failed ({status})");
    }
    Ok(())
}

/// Runs a program to its end and gives what it wrote to standard output; an error carries what it wrote to standard error.
pub(crate) fn read(command: &mut Command) -> Result<String> {
    let shown = shown(command);
    let output = command.output().with_context(|| format!("starting `{shown}`"))?;
    if !output.status.success() {
        bail!("`{shown}` failed ({}): {}", output.status, String::from_utf8_lossy(&output.stderr).trim());
    }
    String::from_utf8(output.stdout).with_context(|| format!("`{shown}` wrote something that is not text"))
}

/// Cargo in the workspace, as a person would start it there.
///
/// `cargo xtask` is itself run by cargo, which leaves variables about *this* crate behind; build scripts that watch
/// them would run again, and everything above would be built twice.
pub(crate) fn cargo(root: &Path) -> Command {
    let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo.current_dir(root);
    for (name, _) in std::env::vars_os() {
        let left_behind = name.to_str().is_some_and(|name| {
            name.starts_with("CARGO_PKG_") || name.starts_with("CARGO_MANIFEST_") || name == "CARGO_BIN_NAME"
        });
        if left_behind {
            cargo.env_remove(name);
        }
    }
    cargo
}

/// Where cargo builds, wherever that is.
pub(crate) fn target_folder(root: &Path) -> Result<PathBuf> {
    let metadata = read(cargo(root).args(["metadata", "--format-version=1", "--no-deps"]))?;
    let metadata: Value = serde_json::from_str(&metadata).context("reading what cargo says of the workspace")?;
    let folder = metadata["target_directory"].as_str().context("cargo tells no target folder")?;
    Ok(PathBuf::from(folder))
}

/// The command as it would be typed.
fn shown(command: &Command) -> String {
    let program = Path::new(command.get_program());
    let mut text = program.file_name().unwrap_or(program.as_os_str()).to_string_lossy().into_owned();
    for argument in command.get_args() {
        text.push(' ');
        text.push_str(&argument.to_string_lossy());
    }
    text
}

/// Does something and tells how long it took.
pub(crate) fn timed<T>(work: impl FnOnce() -> T) -> (T, Duration) {
    #[expect(clippy::disallowed_methods, reason = "xtask stands outside the program and does not build kit first")]
    let started = std::time::Instant::now();
    let result = work();
    (result, started.elapsed())
}
