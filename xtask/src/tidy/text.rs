//! Rules about every text file.

use super::{File, Finding};

/// Written in two parts, so that this file keeps its own rules.
const UNFINISHED: [&str; 2] = [concat!("FIX", "ME"), concat!("XX", "X")];
/// Folders that exist on somebody's machine.
const MACHINE_PATHS: [&str; 5] =
    [concat!("/wo", "rk/"), concat!("/ho", "me/"), concat!("/ro", "ot/"), concat!("/Use", "rs/"), concat!("/tm", "p/")];
/// Where packages come from; which mirror a machine uses is its own affair.
const REGISTRIES: [&str; 6] = [
    concat!("crates", ".io"),
    concat!("npmjs", "."),
    concat!("pypi", ".org"),
    concat!("pythonhosted", ".org"),
    concat!("proxy.golang", ".org"),
    concat!("rubygems", ".org"),
];
/// The one source that the lock file may name.
const LOCKED_SOURCE: &str = concat!("registry+https://github.com/rust-lang/crates", ".io-index");

/// All findings in one file.
pub(super) fn check(file: &File) -> Vec<Finding> {
    if file.path.ends_with("Cargo.lock") {
        return locked_elsewhere(file);
    }
    let mut findings = Vec::new();
    for (number, line) in file.text.split('\n').enumerate() {
        let mut find = |message: String| findings.push(Finding::new(&file.path, number + 1, message));
        for word in UNFINISHED.into_iter().filter(|word| has_word(line, word)) {
            find(format!("`{word}`: finish it, or open an issue and say here what is true now"));
        }
        for path in MACHINE_PATHS.into_iter().filter(|path| begins_a_path(line, path)) {
            find(format!(
                "`{path}`: a path of one machine; write it relative to the repository, or ask the system for it"
            ));
        }
        for host in REGISTRIES.into_iter().filter(|host| line.contains(host)) {
            find(format!("`{host}`: the host of a package registry; name the package alone"));
        }
        if line.starts_with("<<<<<<< ") || line.starts_with(">>>>>>> ") {
            find("a merge left this line: decide, and take it out".into());
        }
        if !keeps_its_bytes(&file.path) && line.ends_with([' ', '\t']) {
            find("blanks at the end of the line: take them out".into());
        }
        if line.contains('\r') && !keeps_its_bytes(&file.path) {
            find("a carriage return: lines end with a line feed alone".into());
        }
    }
    if !file.text.is_empty() && !file.text.ends_with('\n') && !keeps_its_bytes(&file.path) {
        findings.push(Finding::new(
            &file.path,
            file.text.lines().count(),
            "the last line does not end: add a line feed",
        ));
    }
    findings
}

/// Files whose every byte is somebody else's: what Stripe sent, what was once stored, what once broke something.
fn keeps_its_bytes(path: &str) -> bool {
    path.contains("/golden/")
        || path.contains("/fixtures/")
        || path.starts_with("fuzz/seeds/")
        || path.ends_with(".svg")
}

fn has_word(line: &str, word: &str) -> bool {
    let part_of_a_word = |it: char| it.is_alphanumeric() || it == '_';
    line.match_indices(word).any(|(at, _)| {
        let before = line[..at].chars().next_back();
        let after = line[at + word.len()..].chars().next();
        !before.is_some_and(part_of_a_word) && !after.is_some_and(part_of_a_word)
    })
}

/// Whether an absolute path begins so: `a/b/c` does not begin with `/b/`, and neither does an address.
fn begins_a_path(line: &str, path: &str) -> bool {
    line.match_indices(path).any(|(at, _)| {
        let before = line[..at].chars().next_back();
        !before.is_some_and(|it| it.is_alphanumeric() || matches!(it, '_' | '-' | '.' | '}' | ')' | '*'))
    })
}

fn locked_elsewhere(file: &File) -> Vec<Finding> {
    let sources = file.text.lines().enumerate().filter(|(_, line)| line.starts_with("source = "));
    let elsewhere = sources.filter(|(_, line)| !line.contains(LOCKED_SOURCE));
    let message = "a package from elsewhere than the public registry: builds on other machines will not find it";
    elsewhere.map(|(number, _)| Finding::new(&file.path, number + 1, message)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tidy::assert_findings;

    fn check(path: &str, text: &str, expected: &[&str]) {
        let expected: Vec<String> = expected.iter().map(|it| format!("{path}:{it}")).collect();
        let expected: Vec<&str> = expected.iter().map(String::as_str).collect();
        assert_findings(super::check(&File { path: path.into(), text: text.into() }), &expected);
    }

    #[test]
    fn each_rule_names_its_line() {
        let [unfinished, marked] = UNFINISHED;
        check("a.md", "fine\n", &[]);
        check("a.md", "", &[]);
        check(
            "a.rs",
            &format!("// {unfinished}: later\n// {marked}\n// A{marked}B\n"),
            &["1: finish it", "2: finish it"],
        );
        check(
            "a.md",
            &format!("see {}me/notes\nsee a{}b and ../work\n", MACHINE_PATHS[1], MACHINE_PATHS[0]),
            &["1: one machine"],
        );
        check("a.toml", &format!("index = \"https://{}\"\n", REGISTRIES[0]), &["1: package registry"]);
        check("a.sql", "SELECT 1; \nSELECT 2;\t\nSELECT 3", &["1: blanks", "2: blanks", "3: does not end"]);
        check("a.txt", "one\r\ntwo\n", &["1: carriage return"]);
        check("crates/a/golden/b.json", "{} ", &[]);
        check("fuzz/seeds/a/b", "a\r", &[]);
        check(
            "a.md",
            &format!("{} mine\n=======\n{} theirs\n", "<".repeat(7), ">".repeat(7)),
            &["1: a merge", "3: a merge"],
        );
    }

    #[test]
    fn the_lock_file_names_the_public_registry_alone() {
        check("Cargo.lock", &format!("source = \"{LOCKED_SOURCE}\"\n"), &[]);
        check("Cargo.lock", "name = \"a\"\nsource = \"git+https://example.com/a\"\n", &["2: from elsewhere"]);
    }
}
