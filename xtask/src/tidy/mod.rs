//! House rules that the compiler does not know. Each finding names its place and what to do about it.

mod faults;
mod layout;
mod rust;
mod source;
mod sql;
mod text;

use crate::process;
use anyhow::{Context, Result, bail};
use std::{collections::BTreeSet, fs, path::Path, process::Command};

/// A file of the repository, as text.
#[derive(Debug)]
pub(crate) struct File {
    /// Its path from the root, with `/` between folders.
    pub(crate) path: String,
    /// Its content.
    pub(crate) text: String,
}

/// Everything that is looked at.
#[derive(Debug, Default)]
pub(crate) struct Repository {
    /// All paths, also those of files that are not text.
    pub(crate) paths: BTreeSet<String>,
    /// The files that are text.
    pub(crate) files: Vec<File>,
}

/// A rule that is not kept, and where.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Finding {
    /// The file's path from the root.
    pub(crate) path: String,
    /// The line, counted from 1; 0 where it is about the whole file.
    pub(crate) line: usize,
    /// What is wrong and what to do.
    pub(crate) message: String,
}

impl Finding {
    fn new(path: impl Into<String>, line: usize, message: impl Into<String>) -> Finding {
        Finding { path: path.into(), line, message: message.into() }
    }
}

/// Looks at every file that is tracked or about to be, and tells all findings.
pub(crate) fn run(root: &Path) -> Result<()> {
    let repository = read(root)?;
    let findings = check(&repository);
    for Finding { path, line, message } in &findings {
        match line {
            0 => println!("{path}: {message}"),
            _ => println!("{path}:{line}: {message}"),
        }
    }
    if !findings.is_empty() {
        bail!("{} findings in {} files", findings.len(), repository.files.len());
    }
    println!("{} files: nothing to tidy", repository.files.len());
    Ok(())
}

fn check(repository: &Repository) -> Vec<Finding> {
    let mut findings = Vec::new();
    findings.extend(repository.files.iter().flat_map(text::check));
    findings.extend(repository.files.iter().filter(|file| file.path.ends_with(".rs")).flat_map(rust::check));
    findings.extend(sql::check(repository));
    findings.extend(layout::check(repository));
    findings.extend(faults::check(repository));
    findings.sort();
    findings
}

fn read(root: &Path) -> Result<Repository> {
    let listed = ["ls-files", "-z", "--cached", "--others", "--exclude-standard"];
    let listed =
        process::read(Command::new("git").current_dir(root).args(listed)).context("listing the repository's files")?;
    let mut repository = Repository::default();
    for path in listed.split('\0').filter(|path| !path.is_empty()) {
        let on_disk = root.join(path);
        // Deleted and not yet committed, or a link to somewhere else.
        if !fs::symlink_metadata(&on_disk).is_ok_and(|found| found.is_file()) {
            continue;
        }
        repository.paths.insert(path.to_owned());
        let bytes = fs::read(&on_disk).with_context(|| format!("reading {path}"))?;
        if let (false, Ok(text)) = (bytes.contains(&0), String::from_utf8(bytes)) {
            repository.files.push(File { path: path.to_owned(), text });
        }
    }
    // Git lists what is not yet tracked first; rules about order need one order.
    repository.files.sort_by(|one, other| one.path.cmp(&other.path));
    Ok(repository)
}

/// A repository of these files, for the rules' tests: path and content.
#[cfg(test)]
pub(crate) fn repository_of(files: &[(&str, &str)]) -> Repository {
    Repository {
        paths: files.iter().map(|(path, _)| (*path).to_owned()).collect(),
        files: files.iter().map(|(path, text)| File { path: (*path).to_owned(), text: (*text).to_owned() }).collect(),
    }
}

/// Holds findings against `path:line: words` in the same order.
#[cfg(test)]
#[track_caller]
pub(crate) fn assert_findings(mut found: Vec<Finding>, expected: &[&str]) {
    found.sort();
    let shown: Vec<String> = found.iter().map(|it| format!("{}:{}: {}", it.path, it.line, it.message)).collect();
    assert_eq!(shown.len(), expected.len(), "{shown:#?}");
    for (shown, expected) in shown.iter().zip(expected) {
        let (place, words) = expected.split_once(": ").unwrap_or((expected, ""));
        assert!(shown.starts_with(&format!("{place}: ")) && shown.contains(words), "`{shown}` should be `{expected}`");
    }
}
