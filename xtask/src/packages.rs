//! Packages that must not come in, not even behind another: a second crypto provider, a second TLS stack.
//!
//! `deny.toml` says the same to `cargo deny`; this needs nothing installed and so runs on every change.

use crate::process;
use anyhow::{Result, bail};
use std::path::Path;

/// A package that is built nowhere in the workspace, and why.
const BANNED: [(&str, &str); 3] = [
    (
        "ring",
        "a second crypto provider beside aws-lc-rs makes rustls panic at first use: choose the feature for aws-lc-rs",
    ),
    ("openssl-sys", "one TLS stack, rustls: choose the feature for rustls"),
    ("native-tls", "one TLS stack, rustls: choose the feature for rustls"),
];

/// Lists what the program is built from and tells what should not be among it.
pub(crate) fn run(root: &Path) -> Result<()> {
    let arguments = ["tree", "--workspace", "--edges=normal,build", "--prefix=none", "--format={p}", "--locked"];
    let listed = process::read(process::cargo(root).args(arguments))?;
    let findings = check(&listed);
    for finding in &findings {
        println!("{finding}");
    }
    if !findings.is_empty() {
        bail!("{} packages should not be here", findings.len());
    }
    println!("no package that should not be here");
    Ok(())
}

fn check(listed: &str) -> Vec<String> {
    let is_built = |name: &str| listed.lines().any(|line| line.split(' ').next() == Some(name));
    let found = BANNED.iter().filter(|(name, _)| is_built(name));
    found
        .map(|(name, why)| format!("`{name}` is built: {why} (`cargo tree --workspace -i {name}` shows who wants it)"))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_banned_package_is_told_with_the_reason() {
        assert!(check("bursar v0.1.0\nring-buffer v1.0.0\nstring v0.1.0\n").is_empty());
        let findings = check("bursar v0.1.0\nring v0.17.0 (*)\n");
        assert_eq!(findings.len(), 1);
        assert!(findings[0].contains("`ring` is built: a second crypto provider"));
    }
}
