//! What commands say: progress bars on long work, figures people understand, one JSON object for scripts.

use indicatif::{ProgressBar, ProgressStyle};
use serde::Serialize;
use std::time::Duration;

/// Writes a line to standard output.
#[expect(clippy::print_stdout, reason = "this is where commands speak")]
pub(crate) fn say(line: impl std::fmt::Display) {
    println!("{line}");
}

/// Writes one JSON object to standard output.
pub(crate) fn say_json(value: &impl Serialize) -> Result<(), serde_json::Error> {
    say(serde_json::to_string_pretty(value)?);
    Ok(())
}

/// A spinner for work without a known end; hidden where standard error is no terminal.
pub(crate) fn spinner(text: &str) -> ProgressBar {
    let bar = ProgressBar::new_spinner().with_message(text.to_owned());
    bar.enable_steady_tick(Duration::from_millis(120));
    bar
}

/// A bar for work with a known end.
pub(crate) fn bar(total: u64, unit: &str) -> ProgressBar {
    let style = ProgressStyle::with_template(&format!(
        "  {{bar:36.cyan/black}} {{percent:>3}} %  {{human_pos}} {unit}  {{msg}}"
    ));
    ProgressBar::new(total).with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()))
}

/// `60,214`
pub(crate) fn count(number: u64) -> String {
    kit::money::group_thousands(number)
}
