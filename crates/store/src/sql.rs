//! One statement, spelled for both engines at compile time.

/// A statement's text for each engine, and where it stands.
#[derive(Clone, Copy, Debug)]
pub struct Sql {
    /// As PostgreSQL reads it.
    pub postgres: &'static str,
    /// As SQLite reads it.
    pub sqlite: &'static str,
    /// File and line, for errors and for the test that prepares every statement.
    pub at: &'static str,
}

inventory::collect!(Sql);

impl Sql {
    /// Every statement of the program, from all crates that are linked in.
    pub fn all() -> impl Iterator<Item = &'static Sql> {
        inventory::iter::<Sql>.into_iter()
    }
}

/// Spells a statement. Plain literals go to both engines, `pg "…"` to PostgreSQL only, `lite "…"` to SQLite only.
///
/// Placeholders are `$1`, `$2`, … on both engines. Each use registers itself, so that one test can prepare all
/// statements on both engines.
#[macro_export]
macro_rules! sql {
    (@pg [$($done:literal)*]) => { concat!($($done),*) };
    (@pg [$($done:literal)*] pg $text:literal $($rest:tt)*) => { $crate::sql!(@pg [$($done)* $text] $($rest)*) };
    (@pg [$($done:literal)*] lite $text:literal $($rest:tt)*) => { $crate::sql!(@pg [$($done)*] $($rest)*) };
    (@pg [$($done:literal)*] $text:literal $($rest:tt)*) => { $crate::sql!(@pg [$($done)* $text] $($rest)*) };
    (@lite [$($done:literal)*]) => { concat!($($done),*) };
    (@lite [$($done:literal)*] pg $text:literal $($rest:tt)*) => { $crate::sql!(@lite [$($done)*] $($rest)*) };
    (@lite [$($done:literal)*] lite $text:literal $($rest:tt)*) => { $crate::sql!(@lite [$($done)* $text] $($rest)*) };
    (@lite [$($done:literal)*] $text:literal $($rest:tt)*) => { $crate::sql!(@lite [$($done)* $text] $($rest)*) };
    ($($part:tt)+) => {{
        const STATEMENT: $crate::Sql = $crate::Sql {
            postgres: $crate::sql!(@pg [] $($part)+),
            sqlite: $crate::sql!(@lite [] $($part)+),
            at: concat!(file!(), ":", line!()),
        };
        $crate::inventory::submit!(STATEMENT);
        STATEMENT
    }};
}

#[cfg(test)]
mod tests {
    #[test]
    fn each_engine_reads_its_own_spelling() {
        let statement = sql!("SELECT id FROM jobs " pg "FOR UPDATE SKIP LOCKED" lite "LIMIT 1" " -- end");
        assert_eq!(statement.postgres, "SELECT id FROM jobs FOR UPDATE SKIP LOCKED -- end");
        assert_eq!(statement.sqlite, "SELECT id FROM jobs LIMIT 1 -- end");
        assert!(statement.at.contains("sql.rs:"));
        assert!(crate::Sql::all().any(|registered| registered.at == statement.at));
    }
}
