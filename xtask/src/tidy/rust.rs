//! Rules about Rust files.

use super::{File, Finding, source::Source};

/// More lines than this, and a reader would rather have two files.
const MOST_LINES: usize = 600;
/// Files that were longer when the rule came, with the lines they had. The numbers only go down.
const LONGER_FILES: &[(&str, usize)] = &[];

/// A use of something that has a better place or a better way.
struct Banned {
    /// What is looked for in the code, outside comments and texts.
    name: &'static str,
    /// What to do instead.
    instead: &'static str,
    /// Whether tests may.
    tests_may: bool,
    /// Where it is at home: paths that begin so may.
    at_home: &'static [&'static str],
}

const BANNED: &[Banned] = &[
    Banned { name: "todo!", instead: "finish it, or leave it out and open an issue", tests_may: false, at_home: &[] },
    Banned {
        name: "unimplemented!",
        instead: "finish it, or answer an error that names what is missing",
        tests_may: false,
        at_home: &[],
    },
    Banned {
        name: "dbg!",
        instead: "take it out; what operators need is a `tracing` event with fields",
        tests_may: false,
        at_home: &[],
    },
    Banned {
        name: "#[ignore",
        instead: "a test that is switched off tests nothing: mend it or delete it",
        tests_may: false,
        at_home: &[],
    },
    Banned {
        name: "Instant::now",
        instead: "measure with `kit::Stopwatch`",
        tests_may: false,
        at_home: &["crates/kit/src/clock.rs", "xtask/"],
    },
    Banned {
        name: "SystemTime::now",
        instead: "take `now` as an argument, or ask a `kit::Clock` at the edge",
        tests_may: false,
        at_home: &["crates/kit/src/clock.rs", "xtask/"],
    },
    Banned {
        name: "anyhow::",
        instead: "give the crate's error a variant for what a caller can do about it; `anyhow` is for the command line, xtask and tests",
        tests_may: true,
        at_home: &["crates/cli/", "crates/testkit/", "crates/server/src/main.rs", "xtask/"],
    },
    Banned {
        name: "sqlx::",
        instead: "ask the store (`store::q`, `store::sql!`); only `derive(sqlx::FromRow)` is used outside it",
        tests_may: false,
        at_home: &["crates/store/", "crates/testkit/"],
    },
];

/// What begins with a banned name and is welcome.
const WELCOME: &[&str] = &["sqlx::FromRow"];

/// All findings in one file.
pub(super) fn check(file: &File) -> Vec<Finding> {
    let source = Source::read(&file.text);
    let mut findings = Vec::new();
    findings.extend(too_long(file, LONGER_FILES));
    for banned in BANNED.iter().filter(|banned| !banned.at_home.iter().any(|home| file.path.starts_with(home))) {
        let code = match (banned.tests_may, is_test(&file.path)) {
            (true, true) => continue,
            (true, false) => &source.program,
            (false, _) => &source.code,
        };
        for line in lines_with(code, banned.name) {
            findings.push(Finding::new(&file.path, line, format!("`{}`: {}", banned.name, banned.instead)));
        }
    }
    findings
}

/// Whether a whole file is for tests.
pub(super) fn is_test(path: &str) -> bool {
    path.contains("/tests/") || path.ends_with("/tests.rs") || path.contains("/benches/")
}

/// The lines on which a name stands, not as the end of a longer one and not as the beginning of a welcome one.
fn lines_with(code: &str, name: &str) -> Vec<usize> {
    let stands_alone = |(at, _): &(usize, &str)| {
        let before = code[..*at].chars().next_back();
        let longer =
            before.is_some_and(|it| it.is_alphanumeric() || it == '_') && name.starts_with(char::is_alphabetic);
        !longer && !WELCOME.iter().any(|welcome| code[*at..].starts_with(welcome))
    };
    let places = code.match_indices(name).filter(stands_alone);
    places.map(|(at, _)| code[..at].matches('\n').count() + 1).collect()
}

fn too_long(file: &File, longer_files: &[(&str, usize)]) -> Option<Finding> {
    let lines = file.text.lines().count();
    let listed = longer_files.iter().find(|(path, _)| *path == file.path).map(|(_, lines)| *lines);
    let message = match listed {
        Some(was) if lines <= MOST_LINES => format!("it is no longer long: take its {was} out of LONGER_FILES"),
        Some(was) if lines < was => format!("it became shorter: write {lines} instead of {was} in LONGER_FILES"),
        Some(was) if lines > was => format!("{lines} lines, and it had {was}: divide it rather than let it grow"),
        None if lines > MOST_LINES => {
            format!(
                "{lines} lines: divide it by its nouns; most files here have 100 to 300 lines, none over {MOST_LINES}"
            )
        }
        _ => return None,
    };
    Some(Finding::new(&file.path, 0, message))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tidy::assert_findings;

    fn file(path: &str, text: &str) -> File {
        File { path: path.into(), text: text.into() }
    }

    #[test]
    fn banned_names_are_found_in_code_only_and_have_homes() {
        let check = |path: &str, text: &str, expected: &[&str]| {
            let expected: Vec<String> = expected.iter().map(|it| format!("{path}:{it}")).collect();
            let expected: Vec<&str> = expected.iter().map(String::as_str).collect();
            assert_findings(super::check(&file(path, text)), &expected);
        };
        check("crates/a/src/lib.rs", "fn a() {\n todo!()\n}", &["2: finish it"]);
        check("crates/a/src/lib.rs", "dbg!(1); my_dbg!(2); // dbg!(3)\nlog(\"dbg!(4)\")", &["1: take it out"]);
        check("crates/a/src/lib.rs", "unimplemented!(\"b\")", &["1: finish it"]);
        check("crates/a/tests/it/b.rs", "#[ignore = \"slow\"]\nfn c() {}", &["1: tests nothing"]);
        check("crates/a/src/lib.rs", "std::time::Instant::now();\nSystemTime::now()", &["1: Stopwatch", "2: Clock"]);
        check("crates/kit/src/clock.rs", "Instant::now(); SystemTime::now()", &[]);
        check("crates/a/src/lib.rs", "use anyhow::Result;", &["1: the command line"]);
        check("crates/a/src/lib.rs", "#[cfg(test)]\nmod tests { use anyhow::Result; }", &[]);
        check("crates/a/tests/it/main.rs", "use anyhow::Result;", &[]);
        check("crates/cli/src/main.rs", "use anyhow::Result;", &[]);
        check(
            "crates/a/src/store.rs",
            "#[derive(sqlx::FromRow)]\nstruct A;\nfn b() -> sqlx::Error",
            &["3: ask the store"],
        );
        check("crates/store/src/tx.rs", "use sqlx::Sqlite;", &[]);
    }

    #[test]
    fn long_files_are_divided_and_the_list_only_shrinks() {
        let check = |lines: usize, listed: &[(&str, usize)], words: Option<&str>| {
            let found = too_long(&file("a.rs", &"\n".repeat(lines)), listed).map(|it| it.message);
            assert_eq!(found.is_some(), words.is_some(), "{found:?}");
            assert!(found.unwrap_or_default().contains(words.unwrap_or_default()));
        };
        check(600, &[], None);
        check(601, &[], Some("divide it by its nouns"));
        check(700, &[("a.rs", 700)], None);
        check(701, &[("a.rs", 700)], Some("rather than let it grow"));
        check(650, &[("a.rs", 700)], Some("write 650"));
        check(600, &[("a.rs", 700)], Some("take its 700 out"));
    }
}
