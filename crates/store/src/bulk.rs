//! Writing many rows with one statement.
//!
//! PostgreSQL unfolds them from one JSON parameter. SQLite could, and takes 7 µs a row more for it than for values that
//! are bound one by one; so there a statement for one row is repeated for many, in few sizes that stay prepared.

use crate::{Result, Sql, StoreError, Tx, Value, query::Query, tx::Connection};

/// Rows of one statement. Few sizes, so that SQLite parses each statement once.
const SIZES: [usize; 3] = [128, 16, 1];

/// Writes rows of `N` columns; answers how many were changed.
///
/// `sql` is two statements: PostgreSQL's takes the values of `whole`; SQLite's writes one row, whose only `VALUES (…)` holds
/// `N` times `?` and nothing else.
///
/// # Errors
/// `internal` where SQLite's statement is none such, and the database's.
pub async fn write_rows<const N: usize>(
    tx: &mut Tx,
    sql: Sql,
    whole: impl FnOnce() -> Result<Vec<Value>>,
    rows: impl ExactSizeIterator<Item = [Value; N]>,
) -> Result<u64> {
    if let Connection::Postgres(_) = tx.connection() {
        return Query::of(sql, whole()?).execute(tx).await;
    }
    let (head, tail) = split(sql.sqlite, N).ok_or_else(|| StoreError::no_row_statement(sql.at))?;
    let mut rows = rows;
    let mut changed = 0;
    for size in SIZES {
        if rows.len() < size {
            continue;
        }
        let text = repeated(head, tail, N, size);
        while rows.len() >= size {
            let values = rows.by_ref().take(size).flatten().collect();
            changed += Query::of(sql, values).execute_sqlite(tx, &text).await?;
        }
    }
    Ok(changed)
}

/// What stands before and behind the row of a statement for one row.
fn split(statement: &str, columns: usize) -> Option<(&str, &str)> {
    let row = one_row(columns);
    let at = statement.find(&format!("VALUES {row}"))? + "VALUES ".len();
    Some((&statement[..at], &statement[at + row.len()..]))
}

fn one_row(columns: usize) -> String {
    format!("({})", vec!["?"; columns].join(", "))
}

fn repeated(head: &str, tail: &str, columns: usize, times: usize) -> String {
    format!("{head}{}{tail}", vec![one_row(columns); times].join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_row_is_repeated_and_the_rest_is_not() {
        let statement = "INSERT INTO a (b, c) VALUES (?, ?) ON CONFLICT (b) DO UPDATE SET c = excluded.c";
        let (head, tail) = split(statement, 2).unwrap();
        assert_eq!(repeated(head, tail, 2, 1), statement);
        assert_eq!(
            repeated(head, tail, 2, 3),
            "INSERT INTO a (b, c) VALUES (?, ?), (?, ?), (?, ?) ON CONFLICT (b) DO UPDATE SET c = excluded.c"
        );
        assert!(split(statement, 3).is_none() && split("SELECT 1", 1).is_none());
    }
}
