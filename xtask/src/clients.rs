//! Stripe's official clients, which the simulator's tests run against it: installed beside what cargo builds.
//!
//! What is installed is pinned in `crates/simulator/tests/clients`, with hashes, so that it is the same from every registry and
//! mirror. A copy of the pins is left beside what was installed: a second run sees that nothing has changed.

use crate::process;
use anyhow::{Context, Result, bail};
use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

/// The programs that installing and running them takes.
pub(crate) const PROGRAMS: [&str; 3] = ["node", "npm", "python3"];
/// Node's oldest version that the Node client supports.
const NODE_MAJOR_MIN: u32 = 20;
/// The copy of the pins.
const MARK: &str = "installed";

/// One language's clients.
struct Language {
    name: &'static str,
    /// The files that pin what is installed, in the language's folder.
    pins: &'static [&'static str],
    /// The command that installs what the pins beside it say into the folder it is run in.
    install: fn(&Path) -> Command,
}

const LANGUAGES: [Language; 2] = [
    Language { name: "node", pins: &["package.json", "package-lock.json"], install: npm },
    Language { name: "python", pins: &["requirements.txt"], install: pip },
];

/// Installs what is missing and tells where it is.
pub(crate) fn run(root: &Path) -> Result<()> {
    println!("Stripe's official clients are in {}", install(root)?.display());
    Ok(())
}

/// Installs what is missing, after naming it; answers the folder that holds a folder for each language.
pub(crate) fn install(root: &Path) -> Result<PathBuf> {
    let folder = process::target_folder(root)?.join("clients");
    for language in &LANGUAGES {
        let pinned = root.join("crates/simulator/tests/clients").join(language.name);
        language.install(&pinned, &folder.join(language.name))?;
    }
    Ok(folder)
}

impl Language {
    fn install(&self, pinned: &Path, into: &Path) -> Result<()> {
        let pins = self.read_pins(pinned)?;
        let mark = into.join(MARK);
        if fs::read_to_string(&mark).is_ok_and(|installed| installed == pins) {
            return Ok(());
        }
        println!(
            "missing, and now installed from the {} registry into {}: {}",
            self.name,
            into.display(),
            packages(&pins).join(", ")
        );
        if self.name == "node" {
            check_node()?;
        }
        // A folder left behind by a run that was stopped, or by other pins, is begun anew.
        if into.exists() {
            fs::remove_dir_all(into).with_context(|| format!("clearing {}", into.display()))?;
        }
        fs::create_dir_all(into).with_context(|| format!("making {}", into.display()))?;
        for pin in self.pins {
            fs::copy(pinned.join(pin), into.join(pin)).with_context(|| format!("copying {pin}"))?;
        }
        process::run((self.install)(into).current_dir(into).stdin(std::process::Stdio::null()))?;
        // What was downloaded is not asked for again: the mark says that it is there.
        let _ = fs::remove_dir_all(into.join("cache"));
        fs::write(&mark, pins).with_context(|| format!("writing {}", mark.display()))
    }

    fn read_pins(&self, folder: &Path) -> Result<String> {
        let read = |pin: &&str| {
            let path = folder.join(pin);
            fs::read_to_string(&path).with_context(|| format!("reading {}", path.display()))
        };
        self.pins.iter().map(read).collect()
    }
}

/// No scripts of packages are run, and the cache is not the one in the home folder.
fn npm(into: &Path) -> Command {
    let mut npm = Command::new("npm");
    npm.args([
        "ci",
        "--ignore-scripts",
        "--no-audit",
        "--no-fund",
        "--no-update-notifier",
        "--loglevel=error",
        "--cache",
    ]);
    npm.arg(into.join("cache"));
    npm
}

fn pip(into: &Path) -> Command {
    let mut pip = Command::new("python3");
    pip.args([
        "-m",
        "pip",
        "install",
        "--quiet",
        "--no-cache-dir",
        "--disable-pip-version-check",
        "--root-user-action=ignore",
    ]);
    pip.args(["--only-binary=:all:", "--no-deps", "--require-hashes", "--requirement", "requirements.txt", "--target"])
        .arg(into);
    pip
}

fn check_node() -> Result<()> {
    let version = process::read(Command::new("node").arg("--version"))?;
    let major: u32 =
        version.trim().trim_start_matches('v').split('.').next().and_then(|it| it.parse().ok()).unwrap_or(0);
    if major < NODE_MAJOR_MIN {
        bail!("Node {} is too old for Stripe's client: version {NODE_MAJOR_MIN} or later is needed", version.trim());
    }
    Ok(())
}

/// What the pins name, as a person would say it.
fn packages(pins: &str) -> Vec<String> {
    let lines = pins.lines().map(str::trim).filter(|line| !line.starts_with('#'));
    let python =
        lines.clone().filter_map(|line| line.split_once(" --hash").map(|(package, _)| package.replace("==", " ")));
    // In the lock file of npm a package's version stands in the line after its name.
    let node = lines.clone().zip(lines.skip(1)).filter_map(|(name, version)| {
        let name = name.strip_prefix("\"node_modules/")?.split('"').next()?;
        Some(format!("{name} {}", version.strip_prefix("\"version\": \"")?.split('"').next()?))
    });
    python.chain(node).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_installed_is_named_with_its_version() {
        let python = "# stripe\nstripe==16.1.0 --hash=sha256:00\nidna==3.20 --hash=sha256:01\n";
        assert_eq!(packages(python), ["stripe 16.1.0", "idna 3.20"]);
        let node = "{\n  \"packages\": {\n    \"node_modules/@stripe/cli\": {\n      \"version\": \"1.52.0\",\n";
        assert_eq!(packages(node), ["@stripe/cli 1.52.0"]);
    }

    #[test]
    fn the_pins_of_the_repository_are_all_found() {
        let root = crate::workspace_root();
        for language in &LANGUAGES {
            let pins = language.read_pins(&root.join("crates/simulator/tests/clients").join(language.name)).unwrap();
            let named = packages(&pins);
            assert!(named.iter().any(|package| package.starts_with("stripe ")), "{}: {named:?}", language.name);
        }
    }
}
