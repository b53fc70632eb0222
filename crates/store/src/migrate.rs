//! One list of migrations for both engines, run by sqlx's migrator (checksums, locking, history table).

use crate::{Engine, ErrorKind, Result, Store, StoreError};
use sqlx::{
    AssertSqlSafe, SqlSafeStr,
    migrate::{MigrateError, Migration as SqlxMigration, MigrationType, Migrator},
};

/// One step of the schema, its text holding both engines' spellings.
///
/// Lines between `-- [postgres]` and `-- [end]` are read by PostgreSQL only, between `-- [sqlite]` and `-- [end]` by
/// SQLite only, all others by both.
#[derive(Clone, Debug)]
pub struct Migration {
    /// Its place in the order.
    pub version: i64,
    /// `owner_what`, as in the file's name.
    pub name: String,
    /// The file's text.
    pub text: String,
}

/// What a run of the migrations did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MigrationReport {
    /// Version before; zero for an empty database.
    pub before: i64,
    /// Version after.
    pub after: i64,
}

impl Migration {
    /// Reads `0007_credits_ledger.sql` and its text; `None` if the name does not begin with a number.
    pub fn from_file(file_name: &str, text: &str) -> Option<Migration> {
        let (number, name) = file_name.strip_suffix(".sql")?.split_once('_')?;
        Some(Migration { version: number.parse().ok()?, name: name.to_owned(), text: text.to_owned() })
    }

    fn spelled(&self, postgres: bool) -> String {
        let mut taken = String::with_capacity(self.text.len());
        let mut take = true;
        for line in self.text.lines() {
            match line.trim() {
                "-- [postgres]" => take = postgres,
                "-- [sqlite]" => take = !postgres,
                "-- [end]" => take = true,
                _ if take => {
                    taken.push_str(line);
                    taken.push('\n');
                }
                _ => {}
            }
        }
        taken
    }
}

/// The role the program works under on PostgreSQL. It owns no table, so row-level security binds it.
pub(crate) const PROGRAM_ROLE: &str = "bursar_program";

/// Runs before the first migration: the role, and what it may do with tables made later. Migrations may take back.
const PREPARE_POSTGRES: &str = "
    DO $$ BEGIN
        IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'bursar_program') THEN
            CREATE ROLE bursar_program NOLOGIN;
        END IF;
    EXCEPTION WHEN duplicate_object OR unique_violation THEN NULL; -- another node was faster
    END $$;
    DO $$ BEGIN
        IF NOT pg_has_role(current_user, 'bursar_program', 'MEMBER') THEN
            EXECUTE format('GRANT bursar_program TO %I', current_user);
        END IF;
    EXCEPTION WHEN unique_violation THEN NULL;
    END $$;
    GRANT USAGE ON SCHEMA public TO bursar_program;
    ALTER DEFAULT PRIVILEGES IN SCHEMA public GRANT SELECT, INSERT, UPDATE, DELETE ON TABLES TO bursar_program;
    ALTER DEFAULT PRIVILEGES IN SCHEMA public GRANT USAGE ON SEQUENCES TO bursar_program;";

impl Store {
    /// Brings the database to the newest version this program knows.
    ///
    /// # Errors
    /// `database_newer` if a newer program was here before, `migration_changed` if an old step reads differently.
    pub async fn migrate(&self, migrations: &[Migration]) -> Result<MigrationReport> {
        let program = migrations.iter().map(|migration| migration.version).max().unwrap_or(0);
        let postgres = self.engine() == Engine::Postgres;
        let migrator = Migrator::with_migrations(
            migrations
                .iter()
                .map(|migration| {
                    // The text is compiled into the program; nothing of it comes from outside.
                    let text = AssertSqlSafe(migration.spelled(postgres)).into_sql_str();
                    let kind = MigrationType::Simple;
                    SqlxMigration::new(migration.version, migration.name.clone().into(), kind, text, false)
                })
                .collect(),
        );
        let before = self.schema_version().await?;
        if before > program {
            return Err(StoreError::new(ErrorKind::NewerSchema { database: before, program }, "migrating"));
        }
        let ran = match self.pools() {
            crate::engine::Pools::Sqlite { write, .. } => migrator.run(write).await,
            crate::engine::Pools::Postgres { owner, .. } => {
                if before < program {
                    sqlx::raw_sql(PREPARE_POSTGRES)
                        .execute(owner)
                        .await
                        .map_err(|error| StoreError::from_sqlx(error, "preparing the program's role"))?;
                }
                migrator.run(owner).await
            }
        };
        ran.map_err(|error| migrate_error(error, before, program))?;
        Ok(MigrationReport { before, after: program })
    }

    /// The newest migration the database has; zero for an empty one.
    pub async fn schema_version(&self) -> Result<i64> {
        const AT: &str = "reading the schema's version";
        let read = match self.pools() {
            crate::engine::Pools::Sqlite { write, .. } => {
                let exists: i64 =
                    sqlx::query_scalar("SELECT count(*) FROM sqlite_master WHERE name = '_sqlx_migrations'")
                        .fetch_one(write)
                        .await
                        .map_err(|error| StoreError::from_sqlx(error, AT))?;
                if exists == 0 {
                    return Ok(0);
                }
                sqlx::query_scalar("SELECT coalesce(max(version), 0) FROM _sqlx_migrations").fetch_one(write).await
            }
            crate::engine::Pools::Postgres { owner, .. } => {
                let exists: bool = sqlx::query_scalar("SELECT to_regclass('_sqlx_migrations') IS NOT NULL")
                    .fetch_one(owner)
                    .await
                    .map_err(|error| StoreError::from_sqlx(error, AT))?;
                if !exists {
                    return Ok(0);
                }
                sqlx::query_scalar("SELECT coalesce(max(version), 0) FROM _sqlx_migrations").fetch_one(owner).await
            }
        };
        read.map_err(|error| StoreError::from_sqlx(error, AT))
    }
}

fn migrate_error(error: MigrateError, database: i64, program: i64) -> StoreError {
    match error {
        MigrateError::VersionMissing(version) => {
            StoreError::new(ErrorKind::NewerSchema { database: database.max(version), program }, "migrating")
        }
        MigrateError::VersionMismatch(version) => StoreError::new(ErrorKind::ChangedMigration(version), "migrating"),
        MigrateError::Execute(error) => StoreError::from_sqlx(error, "migrating"),
        MigrateError::ExecuteMigration(error, version) => StoreError::from_sqlx(error, &format!("migration {version}")),
        other => StoreError::with_source(ErrorKind::Internal, "migrating", other),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn engine_only_lines_are_told_apart() {
        let text = "CREATE TABLE a (b BIGINT);\n-- [postgres]\nALTER TABLE a ENABLE ROW LEVEL SECURITY;\n-- [end]\n-- [sqlite]\nSELECT 1;\n-- [end]\nSELECT 2;\n";
        let migration = Migration::from_file("0007_credits_ledger.sql", text).unwrap();
        assert_eq!((migration.version, migration.name.as_str()), (7, "credits_ledger"));
        assert_eq!(
            migration.spelled(true),
            "CREATE TABLE a (b BIGINT);\nALTER TABLE a ENABLE ROW LEVEL SECURITY;\nSELECT 2;\n"
        );
        assert_eq!(migration.spelled(false), "CREATE TABLE a (b BIGINT);\nSELECT 1;\nSELECT 2;\n");
        assert!(Migration::from_file("readme.md", "").is_none());
    }
}
