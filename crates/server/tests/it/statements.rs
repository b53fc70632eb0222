//! Every statement of the program, held against both engines and against the tables' tenants.

use std::collections::BTreeSet;
use store::Sql;
use testkit::{Stage, on_both_engines};

on_both_engines!(every_statement_prepares);

async fn every_statement_prepares(stage: Stage) {
    link_every_slice();
    match stage.store.prepare_all().await {
        Ok(prepared) => assert!(prepared > 150, "only {prepared} statements are linked; is a slice missing?"),
        Err(failures) => panic!("{} statements do not prepare:\n{}", failures.len(), failures.join("\n")),
    }
}

/// Statements register themselves where their crate is linked, and a crate is linked where something of it is named.
fn link_every_slice() {
    let _: fn(&server::Parts) -> Vec<platform::Slice> = server::Parts::slices;
}

/// Statements over all tenants' rows of a table that system transactions see: why that must be.
///
/// Statements are named by their table and by a text that they have; an empty text means all of the table.
const SYSTEM_STATEMENTS: &[(&str, &str, &str)] = &[
    ("jobs", "", "one queue serves all tenants, and a job is named by its id"),
    ("tenants", "", "this is where tenants are looked up"),
    ("connections", "WHERE state = 'active'", "schedules go over the connections of all tenants"),
    ("connections", "WHERE state <> 'disconnected'", "a delivery says its connection or account, and is checked after"),
    ("vault_secrets", "key_id", "keys are replaced for all tenants at once"),
    ("vault_secrets", "retired_at < $1", "what was retired is destroyed for all tenants at once"),
    ("gateway_intents", "state IN ('pending', 'sent')", "what a dead node left open is found for all tenants at once"),
    ("inbox_events", "min(next_try_at)", "one processor serves all tenants: when is something due"),
    ("inbox_events", "min(tenant_id)", "one processor serves all tenants: whose events are due"),
];

/// Tables with a tenant, by the migrations.
fn tenant_tables() -> BTreeSet<String> {
    let mut tables = BTreeSet::new();
    for migration in migrations::all() {
        for (at, _) in migration.text.match_indices("CREATE TABLE ") {
            let rest = &migration.text[at + "CREATE TABLE ".len()..];
            let (name, columns) = rest.split_once('(').unwrap();
            let columns = columns.split(";\n").next().unwrap();
            if columns.contains("tenant_id BIGINT") {
                tables.insert(name.trim().to_owned());
            }
        }
    }
    tables
}

/// Words of a statement: names and keywords.
fn words(sql: &str) -> Vec<&str> {
    sql.split(|letter: char| !(letter.is_ascii_alphanumeric() || letter == '_'))
        .filter(|word| !word.is_empty())
        .collect()
}

/// Whether a statement says whose rows it means: by a bound value, or by one that a bound value is compared with.
fn names_its_tenant(sql: &str) -> bool {
    let squeezed: String = sql.split_whitespace().collect::<Vec<_>>().join(" ");
    let bound = ["tenant_id = $", "tenant_id=$"].iter().any(|spelling| squeezed.contains(spelling));
    // An insert lists the column; its value is bound, or comes out of the rows that are.
    let inserted = squeezed.contains("INSERT INTO") && squeezed.contains("tenant_id,");
    bound || inserted
}

#[test]
fn every_statement_names_its_tenant() {
    link_every_slice();
    let tables = tenant_tables();
    assert!(tables.contains("mirror_objects") && tables.contains("jobs") && tables.len() > 15, "{tables:?}");
    let mut faults = Vec::new();
    let mut used = BTreeSet::new();
    for statement in Sql::all() {
        for sql in [statement.postgres, statement.sqlite] {
            // Both spellings are held against the rule, since either may forget it.
            let Some(table) = words(sql).into_iter().find(|word| tables.contains(*word)) else { continue };
            if names_its_tenant(sql) {
                continue;
            }
            let reason = SYSTEM_STATEMENTS.iter().find(|(of, text, _)| *of == table && sql.contains(text));
            match reason {
                Some(entry) => drop(used.insert((entry.0, entry.1))),
                None => faults.push(format!(
                    "{} ({table}): {}",
                    statement.at,
                    sql.split_whitespace().collect::<Vec<_>>().join(" ")
                )),
            }
        }
    }
    assert!(faults.is_empty(), "{} statements do not say whose rows they mean:\n{}", faults.len(), faults.join("\n"));
    let stale: Vec<_> = SYSTEM_STATEMENTS.iter().filter(|entry| !used.contains(&(entry.0, entry.1))).collect();
    assert!(stale.is_empty(), "these reasons have no statement any more: {stale:?}");
}
