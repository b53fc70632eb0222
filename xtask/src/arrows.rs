//! Which crate may use which: `cargo metadata` held against the table in ARCHITECTURE.md.
//!
//! The table stands under the heading `## Allowed arrows`, a row for each crate by the name of its folder:
//!
//! ```text
//! | crate | may use |
//! |---|---|
//! | `kit` | nothing |
//! | `store` | `kit` |
//! ```
//!
//! What stands in a row may be used, and need not be. What tests stand on, a migrated database and the simulator, may be
//! a dev-dependency anywhere.

use crate::process;
use anyhow::{Context, Result, bail};
use serde_json::Value;
use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::Path,
};

/// The heading above the table.
const HEADING: &str = "## Allowed arrows";
/// May be used for tests by every crate.
const TEST_HELPERS: [&str; 3] = ["testkit", "simulator", "migrations"];
/// All that the helpers themselves may use: a helper that knew a slice could not be used to test what is below it, and
/// a simulator that shared code with the client could not find the client's mistakes.
const HELPERS_MAY_USE: [(&str, &[&str]); 2] =
    [("testkit", &["kit", "store", "migrations", "simulator"]), ("simulator", &["kit"])];

/// Which crates each crate may use, or uses.
type Arrows = BTreeMap<String, BTreeSet<String>>;

/// What the workspace's crates use of one another.
#[derive(Debug, Default, PartialEq)]
struct Uses {
    /// In the program: normal and build dependencies.
    program: Arrows,
    /// In tests alone.
    tests: Arrows,
}

/// Reads both and tells every arrow that should not be.
pub(crate) fn run(root: &Path) -> Result<()> {
    let path = root.join("ARCHITECTURE.md");
    let document = fs::read_to_string(&path).with_context(|| format!("reading {}", path.display()))?;
    let allowed = read_table(&document)?;
    let metadata = process::read(process::cargo(root).args(["metadata", "--format-version=1", "--no-deps"]))?;
    let uses = read_metadata(&serde_json::from_str(&metadata).context("reading what cargo says of the workspace")?)?;
    let findings = check(&allowed, &uses);
    for finding in &findings {
        println!("{finding}");
    }
    if !findings.is_empty() {
        bail!("{} places where the crates and the table in ARCHITECTURE.md differ", findings.len());
    }
    println!(
        "{} crates, {} arrows: all allowed",
        uses.program.len(),
        uses.program.values().map(BTreeSet::len).sum::<usize>()
    );
    Ok(())
}

fn read_table(document: &str) -> Result<Arrows> {
    let section = document.lines().skip_while(|line| line.trim() != HEADING).skip(1);
    let rows = section.take_while(|line| !line.starts_with("## ")).filter(|line| line.trim_start().starts_with('|'));
    let mut allowed = Arrows::new();
    // The first two rows are the table's head and the line under it.
    for row in rows.skip(2) {
        let cells: Vec<&str> = row.trim().trim_matches('|').split('|').map(str::trim).collect();
        let [name, uses, ..] = cells[..] else { bail!("a row of `{HEADING}` needs two cells: {row}") };
        let name = name.trim_matches('`').to_owned();
        let uses = uses
            .split(',')
            .map(|used| used.trim().trim_matches('`'))
            .filter(|used| !matches!(*used, "" | "nothing" | "—" | "-"));
        if allowed.insert(name.clone(), uses.map(String::from).collect()).is_some() {
            bail!("`{name}` has two rows in `{HEADING}`: join them");
        }
    }
    if allowed.is_empty() {
        bail!("ARCHITECTURE.md has no table `| crate | may use |` under `{HEADING}`");
    }
    Ok(allowed)
}

fn read_metadata(metadata: &Value) -> Result<Uses> {
    let packages = metadata["packages"].as_array().context("cargo lists no packages")?;
    let folder = |path: &str| Path::new(path).file_name().map(|name| name.to_string_lossy().into_owned());
    let mut uses = Uses::default();
    for package in packages {
        let manifest = package["manifest_path"].as_str().context("a package without a manifest")?;
        let name = Path::new(manifest).parent().and_then(|parent| folder(&parent.to_string_lossy()));
        let name = name.context("a package without a folder")?;
        let mut of_program = BTreeSet::new();
        let mut of_tests = BTreeSet::new();
        for dependency in package["dependencies"].as_array().into_iter().flatten() {
            // Only crates of this workspace have a path.
            let Some(used) = dependency["path"].as_str().and_then(folder) else { continue };
            match dependency["kind"].as_str() {
                Some("dev") => of_tests.insert(used),
                _ => of_program.insert(used),
            };
        }
        uses.program.insert(name.clone(), of_program);
        uses.tests.insert(name, of_tests);
    }
    Ok(uses)
}

/// Everything that is wrong with the table or with the crates, in a stable order.
fn check(allowed: &Arrows, uses: &Uses) -> Vec<String> {
    let mut findings = Vec::new();
    let none = BTreeSet::new();
    for (name, may_use) in allowed {
        if !uses.program.contains_key(name) {
            findings.push(format!("the table has a row for `{name}`, which is not a crate here: take the row out"));
        }
        for used in may_use.iter().filter(|used| !allowed.contains_key(*used)) {
            findings.push(format!("the row of `{name}` allows `{used}`, which has no row: add one or take it out"));
        }
        for helper in may_use.iter().filter(|used| *used == "testkit") {
            findings.push(format!("the row of `{name}` allows `{helper}`: it is for tests, where all may use it"));
        }
    }
    for (helper, may_use) in HELPERS_MAY_USE {
        let row = allowed.get(helper).unwrap_or(&none);
        for used in row.iter().filter(|used| !may_use.contains(&used.as_str())) {
            findings
                .push(format!("the row of `{helper}` allows `{used}`: it may use no more than {}", may_use.join(", ")));
        }
    }
    if let Some(circle) = circle(allowed) {
        findings.push(format!("the table allows a circle: {}; arrows point down only", circle.join(" -> ")));
    }
    for (name, used) in &uses.program {
        let Some(may_use) = allowed.get(name) else {
            findings.push(format!("`{name}` has no row in the table: add one that says what it may use"));
            continue;
        };
        for used in used.difference(may_use) {
            findings.push(format!(
                "`{name}` uses `{used}`, which the table does not allow: call downward or write a notice; a new arrow \
                 needs a decision in docs/decisions and a change of the table"
            ));
        }
        let in_tests = uses.tests.get(name).unwrap_or(&none);
        for used in in_tests.difference(may_use).filter(|used| !TEST_HELPERS.contains(&used.as_str())) {
            findings.push(format!(
                "the tests of `{name}` use `{used}`, which the table does not allow: test it from a crate above both"
            ));
        }
    }
    findings
}

/// A way from some crate back to itself, if the table has one.
fn circle(allowed: &Arrows) -> Option<Vec<String>> {
    fn walk(allowed: &Arrows, at: &str, way: &mut Vec<String>, finished: &mut BTreeSet<String>) -> Option<Vec<String>> {
        if let Some(start) = way.iter().position(|name| name == at) {
            let mut circle = way[start..].to_vec();
            circle.push(at.to_owned());
            return Some(circle);
        }
        if finished.contains(at) {
            return None;
        }
        way.push(at.to_owned());
        let found = allowed.get(at).into_iter().flatten().find_map(|next| walk(allowed, next, way, finished));
        way.pop();
        finished.insert(at.to_owned());
        found
    }
    let mut finished = BTreeSet::new();
    allowed.keys().find_map(|name| walk(allowed, name, &mut Vec::new(), &mut finished))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    /// `a: b c; b: ; c: b`
    fn arrows(text: &str) -> Arrows {
        let rows = text.split(';').filter_map(|row| row.split_once(':'));
        rows.map(|(name, uses)| (name.trim().into(), uses.split_whitespace().map(String::from).collect())).collect()
    }

    #[test]
    fn the_table_is_read_as_people_write_it() {
        let document = "# Map\n\n## Allowed arrows\nArrows point down.\n\n| crate | may use |\n|---|---|\n\
            | `kit` | nothing |\n| store | `kit` |\n|`testkit`| kit, `store` | for tests |\n\n## Absent\n| no | row |\n";
        assert_eq!(read_table(document).unwrap(), arrows("kit: ; store: kit; testkit: kit store"));
        for bad in ["", "## Allowed arrows\n", "| crate | may use |\n|---|---|\n| kit | |\n"] {
            assert!(read_table(bad).unwrap_err().to_string().contains("no table"), "{bad}");
        }
        let twice = "## Allowed arrows\n| crate | may use |\n|---|---|\n| kit | |\n| kit | |\n";
        assert!(read_table(twice).unwrap_err().to_string().contains("two rows"));
    }

    #[test]
    fn cargo_s_words_become_arrows_between_folders() {
        let metadata = json!({"packages": [
            {"manifest_path": "/x/crates/kit/Cargo.toml", "dependencies": [{"name": "serde", "kind": null}]},
            {"manifest_path": "/x/crates/store/Cargo.toml", "dependencies": [
                {"name": "bursar-kit", "path": "/x/crates/kit", "kind": null},
                {"name": "bursar-testkit", "path": "/x/crates/testkit", "kind": "dev"},
            ]},
        ]});
        let uses = read_metadata(&metadata).unwrap();
        assert_eq!(uses.program, arrows("kit: ; store: kit"));
        assert_eq!(uses.tests, arrows("kit: ; store: testkit"));
    }

    #[test]
    fn each_wrong_arrow_is_told_once_with_what_to_do() {
        let good = "kit: ; store: kit; inbox: kit store; simulator: kit; testkit: kit store simulator";
        let check = |allowed: &str, program: &str, tests: &str, expected: &[&str]| {
            let uses = Uses { program: arrows(program), tests: arrows(tests) };
            let findings = super::check(&arrows(allowed), &uses);
            assert_eq!(findings.len(), expected.len(), "{findings:#?}");
            for (finding, words) in findings.iter().zip(expected) {
                assert!(finding.contains(words), "{finding} should say {words}");
            }
        };
        check(good, good, "store: testkit; inbox: testkit simulator", &[]);
        let without = |name: &str| good.replace(name, "");
        check(&without("inbox: kit store;"), good, "", &["`inbox` has no row"]);
        check(good, &without("inbox: kit store;"), "", &["not a crate here"]);
        check(good, &good.replace("store: kit;", "store: kit inbox;"), "", &["`store` uses `inbox`"]);
        check(good, good, "kit: store", &["the tests of `kit` use `store`"]);
        check(good, &good.replace("inbox: kit", "inbox: kit testkit"), "", &["`inbox` uses `testkit`"]);
        check(&good.replace("store: kit;", "store: kit moon;"), good, "", &["allows `moon`, which has no row"]);
        check(&good.replace("kit: ;", "kit: inbox;"), good, "", &["a circle: "]);
        check(&good.replace("inbox: kit", "inbox: kit testkit"), good, "", &["`inbox` allows `testkit`"]);
        check(&good.replace("testkit: kit", "testkit: kit inbox"), good, "", &["`testkit` allows `inbox`"]);
        check(&good.replace("simulator: kit", "simulator: kit store"), good, "", &["`simulator` allows `store`"]);
    }
}
