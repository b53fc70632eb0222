//! One table, one owner: the migration that makes a table names its crate, and nobody else's SQL names the table.

use super::{File, Finding, Repository, rust::is_test, source::Source};
use std::collections::{BTreeMap, BTreeSet};

const FOLDER: &str = "migrations/";

/// The one crate that has SQL and no tables: its tests use those of others.
const TESTED_ON_OTHERS: &str = "store";

/// After one of these, SQL names a table. House style writes SQL's own words in capitals.
const BEFORE_A_TABLE: [&str; 7] = ["FROM", "JOIN", "INTO", "UPDATE", "TABLE", "USING", "TRUNCATE"];
/// Stand between those and the name.
const IN_BETWEEN: [&str; 4] = ["IF", "NOT", "EXISTS", "ONLY"];

/// The column that says whose row it is.
const TENANT: &str = "tenant_id";
/// Has that column and needs no protection by it: the list of tenants itself.
const UNPROTECTED: [&str; 1] = ["tenants"];

/// A migration's file by the parts of its name: `0007_credits_ledger.sql`.
struct Step<'a> {
    file: &'a File,
    number: usize,
    owner: &'a str,
}

/// All findings about tables and migrations.
pub(super) fn check(repository: &Repository) -> Vec<Finding> {
    let mut findings = Vec::new();
    let steps = steps(repository, &mut findings);
    findings.extend(wrong_numbers(&steps));
    let owners = owners(&steps, &mut findings);
    for step in &steps {
        findings.extend(unprotected(step.file));
        for (line, table) in tables_in(&without_comments(&step.file.text), 1, true) {
            findings.extend(foreign(&owners, &step.file.path, step.owner, line, &table));
        }
    }
    for file in repository.files.iter().filter(|file| file.path.ends_with(".rs")) {
        let Some(name) = file.path.strip_prefix("crates/").and_then(|rest| rest.split('/').next()) else { continue };
        let source = Source::read(&file.text);
        let tests_may = name == TESTED_ON_OTHERS;
        for (line, text) in &source.texts {
            if tests_may && (is_test(&file.path) || source.is_of_tests(*line)) {
                continue;
            }
            for (line, table) in tables_in(text, *line, false) {
                findings.extend(foreign(&owners, &file.path, name, line, &table));
            }
        }
    }
    findings
}

fn steps<'a>(repository: &'a Repository, findings: &mut Vec<Finding>) -> Vec<Step<'a>> {
    let crates: BTreeSet<&str> = repository
        .paths
        .iter()
        .filter_map(|path| path.strip_prefix("crates/")?.strip_suffix("/Cargo.toml"))
        .filter(|name| !name.contains('/'))
        .collect();
    let mut steps = Vec::new();
    for file in repository.files.iter().filter(|file| file.path.starts_with(FOLDER) && file.path.ends_with(".sql")) {
        let name = file.path[FOLDER.len()..].trim_end_matches(".sql");
        let parts = name.split_once('_').and_then(|(number, rest)| Some((number, rest.split_once('_')?.0)));
        match parts {
            Some((number, owner)) if number.len() == 4 && number.bytes().all(|it| it.is_ascii_digit()) => {
                if !crates.contains(owner) {
                    let message = format!(
                        "no crate is called `{owner}`: the second part of the name is the crate that owns the tables"
                    );
                    findings.push(Finding::new(&file.path, 0, message));
                }
                steps.push(Step { file, number: number.parse().unwrap_or(0), owner });
            }
            _ => findings.push(Finding::new(&file.path, 0, "a migration is called NNNN_owner_what.sql: rename it")),
        }
    }
    steps
}

/// Numbers run from 1 without gaps; a gap is where somebody else's migration would slip in unseen.
fn wrong_numbers(steps: &[Step<'_>]) -> Vec<Finding> {
    let mut findings = Vec::new();
    let mut last = 0;
    for step in steps {
        if step.number == last {
            findings.push(Finding::new(
                &step.file.path,
                0,
                format!("there are two migrations {last:04}: give this one the next free number"),
            ));
        } else if step.number != last + 1 {
            findings.push(Finding::new(
                &step.file.path,
                0,
                format!("number {:04} is missing before this one: numbers have no gaps", last + 1),
            ));
        }
        last = step.number;
    }
    findings
}

/// Tables with a tenant's rows that PostgreSQL would show to every tenant.
fn unprotected(file: &File) -> Vec<Finding> {
    let sql = without_comments(&file.text);
    let is_protected = |table: &str| sql.contains(&format!("bursar_protect('{table}'"));
    let bare = made_in(&sql)
        .into_iter()
        .filter(|made| made.columns.contains(&TENANT) && !UNPROTECTED.contains(&made.name) && !is_protected(made.name));
    let message = |table: &str| {
        format!(
            "table `{table}` has `{TENANT}` and no row-level security: add `SELECT bursar_protect('{table}', false);` for PostgreSQL"
        )
    };
    bare.map(|made| Finding::new(&file.path, made.line, message(made.name))).collect()
}

/// Each table's owner.
fn owners<'a>(steps: &[Step<'a>], findings: &mut Vec<Finding>) -> BTreeMap<String, &'a str> {
    let mut owners: BTreeMap<String, &str> = BTreeMap::new();
    for step in steps {
        for Made { line, name, .. } in made_in(&without_comments(&step.file.text)) {
            match owners.get(name) {
                Some(owner) if *owner != step.owner => {
                    let message = format!("table `{name}` belongs to `{owner}` already: choose another name");
                    findings.push(Finding::new(&step.file.path, line, message));
                }
                _ => {
                    owners.insert(name.to_owned(), step.owner);
                }
            }
        }
    }
    owners
}

fn foreign(owners: &BTreeMap<String, &str>, path: &str, user: &str, line: usize, table: &str) -> Option<Finding> {
    let owner = owners.get(table).filter(|owner| **owner != user)?;
    let message =
        format!("SQL names `{table}`, which belongs to `{owner}`: call a function of `{owner}` with your transaction");
    Some(Finding::new(path, line, message))
}

/// A word of SQL, and the line it stands on.
type Word<'a> = (usize, &'a str);

/// Words and commas.
fn words(sql: &str, first_line: usize) -> Vec<Word<'_>> {
    let mut words = Vec::new();
    for (number, line) in sql.split('\n').enumerate() {
        let mut rest = line;
        while let Some(start) = rest.find(|it: char| it.is_alphanumeric() || matches!(it, '_' | ',' | '(' | ')')) {
            rest = &rest[start..];
            let end = rest.find(|it: char| !(it.is_alphanumeric() || it == '_')).unwrap_or(rest.len()).max(1);
            words.push((first_line + number, &rest[..end]));
            rest = &rest[end..];
        }
    }
    words
}

/// The tables that SQL reads, writes or changes. References of foreign keys do not count: they read nothing.
fn tables_in(sql: &str, first_line: usize, is_migration: bool) -> Vec<(usize, String)> {
    let words = words(sql, first_line);
    let mut tables = Vec::new();
    for (at, (_, word)) in words.iter().enumerate() {
        let names_a_table = BEFORE_A_TABLE.contains(word) || (is_migration && *word == "ON");
        if !names_a_table {
            continue;
        }
        let mut next = words[at + 1..].iter().skip_while(|(_, word)| IN_BETWEEN.contains(word)).peekable();
        // `FROM a AS b, c d` names more than one.
        while let Some((line, name)) = next.next() {
            if is_name(name) {
                tables.push((*line, (*name).to_owned()));
            }
            if *word != "FROM" {
                break;
            }
            while next.peek().is_some_and(|(_, word)| *word == "AS" || is_name(word)) {
                next.next();
            }
            if next.next_if(|(_, word)| *word == ",").is_none() {
                break;
            }
        }
    }
    tables
}

/// A table that a migration makes.
struct Made<'a> {
    line: usize,
    name: &'a str,
    /// The words between its brackets.
    columns: Vec<&'a str>,
}

fn made_in(sql: &str) -> Vec<Made<'_>> {
    let words = words(sql, 1);
    let mut made = Vec::new();
    for (at, (_, word)) in words.iter().enumerate() {
        if *word != "TABLE" || !words[at.saturating_sub(2)..at].iter().any(|(_, word)| *word == "CREATE") {
            continue;
        }
        let mut rest = words[at + 1..].iter().skip_while(|(_, word)| IN_BETWEEN.contains(word));
        let Some((line, name)) = rest.next().filter(|(_, word)| is_name(word)) else { continue };
        let mut depth = 0_usize;
        let inside = rest.map(|(_, word)| *word).take_while(|word| {
            match *word {
                "(" => depth += 1,
                ")" => depth = depth.saturating_sub(1),
                _ => {}
            }
            depth > 0
        });
        made.push(Made { line: *line, name, columns: inside.collect() });
    }
    made
}

fn is_name(word: &str) -> bool {
    word.starts_with(|it: char| it.is_ascii_lowercase() || it == '_')
}

fn without_comments(sql: &str) -> String {
    sql.split('\n').map(|line| line.split_once("--").map_or(line, |(code, _)| code)).collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use crate::tidy::{assert_findings, repository_of};

    const PLATFORM: (&str, &str) =
        ("migrations/0001_platform_base.sql", "CREATE TABLE jobs (id TEXT);\nCREATE INDEX jobs_ready ON jobs (id);\n");
    const INBOX: (&str, &str) = (
        "migrations/0002_inbox_events.sql",
        "-- UPDATE jobs\nCREATE UNLOGGED TABLE IF NOT EXISTS inbox_events (job TEXT REFERENCES jobs (id));\n",
    );
    const CRATES: [(&str, &str); 2] = [("crates/platform/Cargo.toml", ""), ("crates/inbox/Cargo.toml", "")];

    fn check(files: &[(&str, &str)], expected: &[&str]) {
        let all: Vec<(&str, &str)> = CRATES.iter().chain(files).copied().collect();
        assert_findings(super::check(&repository_of(&all)), expected);
    }

    #[test]
    fn migrations_are_numbered_without_gaps_and_named_after_their_owner() {
        check(&[PLATFORM, INBOX], &[]);
        check(&[PLATFORM, ("migrations/0003_inbox_a.sql", "")], &["migrations/0003_inbox_a.sql:0: 0002 is missing"]);
        check(
            &[PLATFORM, ("migrations/0001_platform_z.sql", "")],
            &["migrations/0001_platform_z.sql:0: two migrations 0001"],
        );
        check(
            &[PLATFORM, ("migrations/0002_moon_a.sql", "")],
            &["migrations/0002_moon_a.sql:0: no crate is called `moon`"],
        );
        for bad in ["migrations/2_inbox_a.sql", "migrations/0002-inbox-a.sql", "migrations/0002_inbox.sql"] {
            check(&[PLATFORM, (bad, "")], &[&format!("{bad}:0: NNNN_owner_what.sql")]);
        }
        check(
            &[PLATFORM, ("migrations/0002_inbox_a.sql", "\nCREATE TABLE jobs ()")],
            &[
                "migrations/0002_inbox_a.sql:2: SQL names `jobs`",
                "migrations/0002_inbox_a.sql:2: belongs to `platform` already",
            ],
        );
        check(
            &[PLATFORM, ("migrations/0002_inbox_a.sql", "ALTER TABLE jobs ADD a TEXT;\nCREATE INDEX a ON jobs (a)")],
            &[
                "migrations/0002_inbox_a.sql:1: call a function of `platform`",
                "migrations/0002_inbox_a.sql:2: call a function of `platform`",
            ],
        );
    }

    #[test]
    fn a_tenant_s_rows_are_protected() {
        let check = |sql: &str, expected: &[&str]| check(&[("migrations/0001_platform_base.sql", sql)], expected);
        let table = "CREATE TABLE notices (\n  tenant_id BIGINT NOT NULL,\n  id TEXT CHECK (id IN ('a'))\n);\n";
        check(&format!("{table}SELECT bursar_protect('notices', false);\n"), &[]);
        check(
            &format!("{table}SELECT bursar_protect('others', false);\n"),
            &["migrations/0001_platform_base.sql:1: no row-level security"],
        );
        check("CREATE TABLE tenants (tenant_id BIGINT);", &[]);
        check("CREATE TABLE schedules (name TEXT);\nCREATE INDEX a ON schedules (name); -- tenant_id", &[]);
    }

    #[test]
    fn nobody_else_s_sql_names_a_table() {
        let check = |path: &str, text: &str, expected: &[&str]| {
            let expected: Vec<String> = expected.iter().map(|it| format!("{path}:{it}")).collect();
            let expected: Vec<&str> = expected.iter().map(String::as_str).collect();
            self::check(&[PLATFORM, INBOX, (path, text)], &expected);
        };
        let named = "SQL names `jobs`, which belongs to `platform`";
        check("crates/platform/src/jobs.rs", r#"sql!("SELECT a FROM jobs")"#, &[]);
        check("crates/inbox/src/store.rs", r#"sql!("SELECT a FROM inbox_events")"#, &[]);
        for sql in [
            "SELECT a FROM jobs",
            "SELECT a FROM inbox_events i, jobs j",
            "SELECT a FROM inbox_events AS i, jobs",
            "DELETE FROM ONLY jobs",
            "UPDATE jobs SET a = 1",
            "INSERT INTO jobs (a)",
            "SELECT a FROM inbox_events i JOIN jobs j ON i.a = j.a",
            "DELETE FROM inbox_events USING jobs WHERE a",
        ] {
            check("crates/inbox/src/store.rs", &format!("\nsql!(\"{sql}\")"), &[&format!("2: {named}")]);
        }
        check("crates/inbox/src/store.rs", "sql!(\"SELECT a\n FROM b\n JOIN jobs\")", &[&format!("3: {named}")]);
        check("crates/inbox/tests/it/main.rs", r#"sql!("SELECT a FROM jobs")"#, &[&format!("1: {named}")]);
        check("crates/store/tests/it/main.rs", r#"sql!("SELECT a FROM jobs")"#, &[]);
        check("crates/store/src/sql.rs", "#[cfg(test)]\nmod tests {\n sql!(\"SELECT a FROM jobs\");\n}\n", &[]);
        check("crates/store/src/sql.rs", r#"sql!("SELECT a FROM jobs")"#, &[&format!("1: {named}")]);
        for fine in [
            "log(\"waiting for jobs\")",
            "// FROM jobs",
            "sql!(\"ON CONFLICT DO UPDATE SET jobs = 1\")",
            "sql!(\"SELECT jobs FROM inbox_events\")",
            "sql!(\"SELECT a FROM json_each($1), jobs_b\")",
        ] {
            check("crates/inbox/src/store.rs", fine, &[]);
        }
    }
}
