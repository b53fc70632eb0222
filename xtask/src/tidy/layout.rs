//! Rules about what lies where: every crate explains itself, has one test binary, and links lead somewhere.

use super::{File, Finding, Repository};
use std::path::{Component, Path};

/// Text in quotes that begins so is meant as a path from the root.
const PATHS_BEGIN_WITH: [&str; 5] = ["crates/", "migrations/", "docs/", "xtask/", ".ci/"];

/// All findings about the repository's shape.
pub(super) fn check(repository: &Repository) -> Vec<Finding> {
    let mut findings = Vec::new();
    let manifests =
        repository.files.iter().filter(|file| file.path.ends_with("/Cargo.toml") && file.text.contains("[package]"));
    for manifest in manifests {
        let folder = manifest.path.trim_end_matches("/Cargo.toml");
        if !repository.paths.contains(&format!("{folder}/README.md")) {
            let message = "the crate has no README.md: one page with what its words mean, what it owns, what it leaves to others, what is always true";
            findings.push(Finding::new(folder, 0, message));
        }
        findings.extend(test_binaries(repository, manifest, folder));
    }
    for file in repository.files.iter().filter(|file| file.path.ends_with(".md")) {
        findings.extend(dead_links(repository, file));
    }
    findings
}

/// Each test binary is linked anew with everything below it; one for each crate saves minutes.
fn test_binaries(repository: &Repository, manifest: &File, folder: &str) -> Vec<Finding> {
    const MESSAGE: &str = "a second test binary: make it a module beside tests/it/main.rs";
    let inside = format!("{folder}/tests/");
    let is_binary = |path: &&String| match path.strip_prefix(&inside) {
        Some(rest) => {
            (rest.ends_with(".rs") && !rest.contains('/')) || (rest.ends_with("/main.rs") && rest != "it/main.rs")
        }
        None => false,
    };
    let files = repository.paths.iter().filter(is_binary).map(|path| Finding::new(path, 0, MESSAGE));
    let declared = manifest.text.lines().enumerate().filter(|(_, line)| line.trim() == "[[test]]");
    files.chain(declared.map(|(number, _)| Finding::new(&manifest.path, number + 1, MESSAGE))).collect()
}

/// Links and quoted paths of a page that lead to nothing.
fn dead_links(repository: &Repository, page: &File) -> Vec<Finding> {
    let mut findings = Vec::new();
    let mut in_code = false;
    for (number, line) in page.text.lines().enumerate() {
        if line.trim_start().starts_with("```") {
            in_code = !in_code;
        }
        if in_code {
            continue;
        }
        let folder = Path::new(&page.path).parent().unwrap_or(Path::new(""));
        let links = links_in(line).filter_map(|link| resolve(folder, link));
        let quoted = quoted_paths_in(line).filter_map(|path| resolve(Path::new(""), path));
        for target in links.chain(quoted).filter(|target| !exists(repository, target)) {
            findings.push(Finding::new(&page.path, number + 1, format!("`{target}` does not exist: mend the path")));
        }
    }
    findings
}

/// The targets of `[text](target)`, without what only a browser can follow.
fn links_in(line: &str) -> impl Iterator<Item = &str> {
    let targets = line.split("](").skip(1).filter_map(|rest| rest.split(')').next());
    let targets = targets.map(|target| target.split(['#', ' ']).next().unwrap_or(target));
    targets.filter(|target| !target.is_empty() && !target.contains(':'))
}

/// What stands between backticks and is meant as a path from the root, without a line number or an item's name.
fn quoted_paths_in(line: &str) -> impl Iterator<Item = &str> {
    let quoted = line.split('`').skip(1).step_by(2).map(|text| text.split(':').next().unwrap_or(text));
    quoted.filter(|text| {
        PATHS_BEGIN_WITH.iter().any(|start| text.starts_with(start))
            && text.chars().all(|it| it.is_ascii_alphanumeric() || matches!(it, '/' | '_' | '-' | '.'))
            && !text.contains("NNNN")
    })
}

/// A path from the root; nothing for one that leads out of the repository.
fn resolve(folder: &Path, target: &str) -> Option<String> {
    let mut parts: Vec<&str> = Vec::new();
    let joined = folder.join(target);
    for part in joined.components() {
        match part {
            Component::Normal(name) => parts.push(name.to_str()?),
            Component::ParentDir => drop(parts.pop()?),
            Component::CurDir => {}
            Component::RootDir | Component::Prefix(_) => return None,
        }
    }
    Some(parts.join("/"))
}

/// Whether there is such a file, or a folder with files in it.
fn exists(repository: &Repository, path: &str) -> bool {
    let inside = format!("{path}/");
    path.is_empty()
        || repository.paths.contains(path)
        || repository.paths.range(inside.clone()..).next().is_some_and(|next| next.starts_with(&inside))
}

#[cfg(test)]
mod tests {
    use crate::tidy::{assert_findings, repository_of};

    #[test]
    fn every_crate_has_a_readme_and_one_test_binary() {
        let package = "[package]\nname = \"a\"\n";
        let check =
            |files: &[(&str, &str)], expected: &[&str]| assert_findings(super::check(&repository_of(files)), expected);
        check(&[("Cargo.toml", "[workspace]"), ("crates/a/Cargo.toml", package), ("crates/a/README.md", "")], &[]);
        check(&[("crates/a/Cargo.toml", package)], &["crates/a:0: no README.md"]);
        let base = [
            ("crates/a/Cargo.toml", package),
            ("crates/a/README.md", ""),
            ("crates/a/tests/it/main.rs", ""),
            ("crates/a/tests/it/b.rs", ""),
        ];
        check(&base, &[]);
        let with = |path| base.into_iter().chain([(path, "")]).collect::<Vec<_>>();
        check(&with("crates/a/tests/b.rs"), &["crates/a/tests/b.rs:0: a second test binary"]);
        check(&with("crates/a/tests/b/main.rs"), &["crates/a/tests/b/main.rs:0: a second test binary"]);
        check(
            &[("crates/a/Cargo.toml", "[package]\n[[test]]\n"), ("crates/a/README.md", "")],
            &["crates/a/Cargo.toml:2: a second test binary"],
        );
    }

    #[test]
    fn links_and_quoted_paths_lead_somewhere() {
        let check = |text: &str, expected: &[&str]| {
            let files = [("docs/a.md", text), ("docs/b.md", ""), ("crates/c/src/lib.rs", ""), ("README.md", "")];
            assert_findings(super::check(&repository_of(&files)), expected);
        };
        check("[b](b.md) [b](./b.md#part) [top](../README.md) [c](../crates/c) [d](#part)", &[]);
        check("[far](https://example.com/x.md) [shared](../../shared/x.md) [mail](mailto:a@example.com)", &[]);
        check("one\n[b](c.md)", &["docs/a.md:2: `docs/c.md` does not exist"]);
        check("`crates/c/src/lib.rs`, `crates/c/src/lib.rs:12`, `crates/c`, `crates/*/src`, `crates/{x}`", &[]);
        check("see `crates/c/src/gone.rs`", &["docs/a.md:1: `crates/c/src/gone.rs` does not exist"]);
        check("```text\n[b](c.md) `crates/gone`\n```", &[]);
    }
}
