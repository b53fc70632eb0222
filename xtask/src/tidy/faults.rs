//! The table of faults: each line names a test, and each test that it names exists.

use super::{Finding, Repository};
use std::collections::BTreeSet;

const TABLE: &str = "docs/operating/faults.md";
/// The head of the column that names tests.
const HEAD: &str = "shown by";

/// Lines of the table without a test, and tests that are nowhere.
pub(super) fn check(repository: &Repository) -> Vec<Finding> {
    let Some(table) = repository.files.iter().find(|file| file.path == TABLE) else {
        return vec![Finding::new(TABLE, 0, "the table of faults is missing")];
    };
    let tests = tests(repository);
    let mut findings = Vec::new();
    let mut is_in_table = false;
    for (line, text) in (1..).zip(table.text.lines()) {
        let cells: Vec<&str> = text.trim().trim_matches('|').split('|').map(str::trim).collect();
        if !text.starts_with('|') {
            is_in_table = false;
        } else if cells.last() == Some(&HEAD) {
            is_in_table = true;
        } else if is_in_table && !text.starts_with("|---") {
            let named: Vec<&str> =
                cells.last().into_iter().flat_map(|cell| cell.split('`').skip(1).step_by(2)).collect();
            if named.is_empty() {
                findings.push(Finding::new(TABLE, line, "this fault names no test in its last column"));
            }
            let missing = named.iter().filter(|name| !tests.contains(**name));
            findings.extend(missing.map(|name| Finding::new(TABLE, line, format!("there is no test `{name}`"))));
        }
    }
    findings
}

/// The names of all functions in test modules: `fn name(` where a test binary's modules stand.
fn tests(repository: &Repository) -> BTreeSet<&str> {
    let files = repository.files.iter().filter(|file| file.path.contains("/tests/it/") && file.path.ends_with(".rs"));
    let functions = files.flat_map(|file| file.text.split("fn ").skip(1));
    functions.filter_map(|rest| rest.split(['(', '<']).next()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tidy::{assert_findings, repository_of};

    #[test]
    fn each_fault_names_a_test_that_exists() {
        let check = |table: &str, expected: &[&str]| {
            let code = ("crates/x/tests/it/y.rs", "async fn holds(stage: Stage) {}");
            assert_findings(super::check(&repository_of(&[(TABLE, table), code])), expected);
        };
        let head = "| fault | shown by |\n|---|---|\n";
        check(&format!("{head}| a | `holds` |\n\nText `x`.\n| b | c |\n"), &[]);
        check(&format!("{head}| a | `holds`, `gone` |\n"), &["docs/operating/faults.md:3: no test `gone`"]);
        check(&format!("{head}| a | - |\n"), &["docs/operating/faults.md:3: names no test"]);
        assert_findings(super::check(&repository_of(&[])), &["docs/operating/faults.md:0: is missing"]);
    }
}
