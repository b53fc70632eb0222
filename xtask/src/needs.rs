//! What the tests need beside a Rust compiler: PostgreSQL, a browser, Node and Python. Named before anything is installed.

use crate::{clients, process};
use anyhow::{Result, bail};
use std::{
    path::{Path, PathBuf},
    process::Command,
};

/// What was found, or installed.
pub(crate) struct Needs {
    /// The folder that holds `initdb`, `pg_ctl` and `postgres`; none if a server was given.
    pub(crate) postgres_folder: Option<PathBuf>,
    /// The browser; none if it could not be had.
    pub(crate) chromium: Option<PathBuf>,
}

/// The programs that a throwaway server is made of.
const POSTGRES_PROGRAMS: [&str; 3] = ["initdb", "pg_ctl", "postgres"];
const CHROMIUM_PROGRAMS: [&str; 3] = ["chromium", "chromium-browser", "google-chrome"];

/// Finds what the tests need and installs what is missing where that is allowed.
///
/// Without PostgreSQL this is an error. Without a browser, or Node and Python for Stripe's official clients, it is a
/// warning: the tests that need them fail by themselves, and all the others still tell something.
pub(crate) fn meet(postgres_wanted: bool, clients_wanted: bool) -> Result<Needs> {
    let mut packages = Vec::new();
    if postgres_wanted && postgres_folder().is_none() {
        packages.push("postgresql");
    }
    if chromium().is_none() {
        packages.push("chromium");
    }
    let found = |name: &str| search_path().any(|folder| folder.join(name).is_file());
    if clients_wanted && !clients::PROGRAMS.iter().all(|name| found(name)) {
        packages.extend(["nodejs", "npm", "python3", "python3-pip"]);
    }
    if !packages.is_empty() {
        if may_install() {
            install(&packages)?;
        } else {
            println!("missing: {} (installed by themselves only for root on Debian and its kin)", packages.join(", "));
        }
    }
    let needs = Needs { postgres_folder: postgres_folder().filter(|_| postgres_wanted), chromium: chromium() };
    if postgres_wanted && needs.postgres_folder.is_none() {
        bail!(
            "no PostgreSQL was found, and every test of the store runs on both engines. Install it with the system's \
             package manager (Debian: `apt-get install postgresql`; macOS: `brew install postgresql`), or set {} to \
             the address of a server on which databases may be created",
            crate::test::POSTGRES_URL
        );
    }
    if needs.chromium.is_none() {
        println!("warning: no Chromium was found; tests of pages in a browser will fail");
    }
    Ok(needs)
}

/// The newest PostgreSQL on this machine.
pub(crate) fn postgres_folder() -> Option<PathBuf> {
    let versioned = ["/usr/lib/postgresql", "/usr/local/lib/postgresql"].into_iter().flat_map(|parent| {
        let mut versions: Vec<(u32, PathBuf)> = std::fs::read_dir(parent)
            .into_iter()
            .flatten()
            .flatten()
            .filter_map(|entry| Some((entry.file_name().to_str()?.parse().ok()?, entry.path().join("bin"))))
            .collect();
        versions.sort_by_key(|(version, _)| std::cmp::Reverse(*version));
        versions.into_iter().map(|(_, folder)| folder)
    });
    versioned.chain(search_path()).find(|folder| POSTGRES_PROGRAMS.iter().all(|name| folder.join(name).is_file()))
}

fn chromium() -> Option<PathBuf> {
    search_path().flat_map(|folder| CHROMIUM_PROGRAMS.map(|name| folder.join(name))).find(|program| program.is_file())
}

fn search_path() -> impl Iterator<Item = PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).collect::<Vec<_>>().into_iter()
}

/// Installing is for root where apt is: a container or a machine set up for this, not somebody's desk.
fn may_install() -> bool {
    Path::new("/usr/bin/apt-get").is_file() && own_user_id().is_some_and(|id| id == 0)
}

fn install(packages: &[&str]) -> Result<()> {
    println!("missing, and now installed with apt-get: {}", packages.join(", "));
    let apt = || {
        let mut command = Command::new("apt-get");
        command.env("DEBIAN_FRONTEND", "noninteractive").stdin(std::process::Stdio::null());
        command
    };
    let installed = process::run(apt().args(["install", "--yes", "--no-install-recommends"]).args(packages));
    if installed.is_err() {
        // The list of packages may be old or absent, as in fresh containers.
        process::run(apt().args(["update", "--quiet"]))?;
        process::run(apt().args(["install", "--yes", "--no-install-recommends"]).args(packages))?;
    }
    Ok(())
}

/// The user this process runs as.
pub(crate) fn own_user_id() -> Option<u32> {
    process::read(Command::new("id").arg("-u")).ok()?.trim().parse().ok()
}
