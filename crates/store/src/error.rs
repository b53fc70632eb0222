//! What can go wrong between us and the database, sorted by what a caller can do about it.

use std::{fmt, sync::Arc};

/// An error of the store. Cheap to clone, because one failed commit answers many callers.
#[derive(Clone)]
pub struct StoreError(Arc<Inner>);

struct Inner {
    kind: ErrorKind,
    at: String,
    source: Option<Box<dyn std::error::Error + Send + Sync>>,
}

/// What kind of error it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ErrorKind {
    /// The database cannot be reached or ended the connection.
    Unavailable,
    /// The disk or the database is full.
    Full,
    /// Another transaction stood in the way; the same work may succeed when run again.
    Busy,
    /// A unique constraint refused the row.
    Conflict {
        /// The constraint's name, or the columns' on SQLite.
        constraint: String,
    },
    /// A check, not-null or foreign-key constraint refused the row.
    Refused {
        /// The constraint's name where the engine tells it.
        constraint: String,
    },
    /// A row that had to be there was not.
    MissingRow,
    /// More rows changed than were meant to.
    TooManyRows(u64),
    /// The database was migrated by a newer program than this one.
    NewerSchema {
        /// The newest migration the database has.
        database: i64,
        /// The newest migration this program knows.
        program: i64,
    },
    /// A migration that already ran reads differently now.
    ChangedMigration(i64),
    /// Another process uses this data folder.
    FolderInUse,
    /// The address of the database cannot be understood.
    BadUrl,
    /// The database's file or contents cannot be read.
    Corrupt,
    /// Anything else: a fault of the program.
    Internal,
}

impl StoreError {
    pub(crate) fn new(kind: ErrorKind, at: impl Into<String>) -> StoreError {
        StoreError(Arc::new(Inner { kind, at: at.into(), source: None }))
    }

    pub(crate) fn with_source(
        kind: ErrorKind,
        at: impl Into<String>,
        source: impl Into<Box<dyn std::error::Error + Send + Sync>>,
    ) -> StoreError {
        StoreError(Arc::new(Inner { kind, at: at.into(), source: Some(source.into()) }))
    }

    /// A value that could not be turned into what the database keeps.
    pub fn encoding(error: serde_json::Error) -> StoreError {
        StoreError::with_source(ErrorKind::Internal, "encoding rows", error)
    }

    /// A row that does not fit any state the program knows: names table and row.
    pub fn unreadable_row(table: &str, row: impl fmt::Display, why: impl fmt::Display) -> StoreError {
        StoreError::new(ErrorKind::Corrupt, format!("row {row} of table {table}: {why}"))
    }

    /// A row that had to be there, at a place in the program.
    pub fn missing_row(at: &str) -> StoreError {
        StoreError::new(ErrorKind::MissingRow, at)
    }

    pub(crate) fn no_row_statement(at: &str) -> StoreError {
        StoreError::new(ErrorKind::Internal, format!("{at}: no statement for one row of that many columns"))
    }

    pub(crate) fn too_many_rows(at: &str, changed: u64) -> StoreError {
        StoreError::new(ErrorKind::TooManyRows(changed), at)
    }

    /// Sorts an error of the driver. `at` is the statement's place.
    pub(crate) fn from_sqlx(error: sqlx::Error, at: &str) -> StoreError {
        let kind = kind_of(&error);
        StoreError::with_source(kind, at, error)
    }

    /// What kind of error it is.
    pub fn kind(&self) -> &ErrorKind {
        &self.0.kind
    }

    /// Whether running the same work again may succeed.
    pub fn can_retry(&self) -> bool {
        match self.0.kind {
            ErrorKind::Unavailable | ErrorKind::Busy | ErrorKind::Full => true,
            ErrorKind::Conflict { .. }
            | ErrorKind::Refused { .. }
            | ErrorKind::MissingRow
            | ErrorKind::TooManyRows(_)
            | ErrorKind::NewerSchema { .. }
            | ErrorKind::ChangedMigration(_)
            | ErrorKind::FolderInUse
            | ErrorKind::BadUrl
            | ErrorKind::Corrupt
            | ErrorKind::Internal => false,
        }
    }

    /// Whether a unique constraint refused the row.
    pub fn is_conflict(&self) -> bool {
        matches!(self.0.kind, ErrorKind::Conflict { .. })
    }

    /// Stable code for programs.
    pub fn code(&self) -> &'static str {
        match self.0.kind {
            ErrorKind::Unavailable => "database_unavailable",
            ErrorKind::Full => "database_full",
            ErrorKind::Busy => "database_busy",
            ErrorKind::Conflict { .. } => "database_conflict",
            ErrorKind::Refused { .. } => "database_refused",
            ErrorKind::MissingRow | ErrorKind::TooManyRows(_) | ErrorKind::Internal => "internal",
            ErrorKind::NewerSchema { .. } => "database_newer",
            ErrorKind::ChangedMigration(_) => "migration_changed",
            ErrorKind::FolderInUse => "folder_in_use",
            ErrorKind::BadUrl => "bad_database_url",
            ErrorKind::Corrupt => "database_corrupt",
        }
    }

    /// What a person should do about it.
    pub fn what_to_do(&self) -> &'static str {
        match self.0.kind {
            ErrorKind::Unavailable => {
                "Check that the database runs and that DATABASE_URL is right; work goes on by itself once it answers."
            }
            ErrorKind::Full => {
                "Free space on the database's disk; nothing that was acknowledged is lost, and senders will try again."
            }
            ErrorKind::Busy => "Try again in a moment.",
            ErrorKind::NewerSchema { .. } => {
                "Run the newer release of Bursar that migrated this database, or restore a backup from before."
            }
            ErrorKind::ChangedMigration(_) => {
                "Use an unmodified release of Bursar; migrations must read as they did when they ran."
            }
            ErrorKind::FolderInUse => {
                "Stop the other Bursar that uses this folder, or give this one its own with --data-dir."
            }
            ErrorKind::BadUrl => {
                "Set DATABASE_URL to postgres://user:password@host/database, or to sqlite:path, or leave it out."
            }
            ErrorKind::Corrupt => "Restore the database from a backup, and keep the damaged one for analysis.",
            ErrorKind::Conflict { .. }
            | ErrorKind::Refused { .. }
            | ErrorKind::MissingRow
            | ErrorKind::TooManyRows(_)
            | ErrorKind::Internal => "This is a fault of Bursar; please report it with the lines of the log around it.",
        }
    }
}

fn kind_of(error: &sqlx::Error) -> ErrorKind {
    match error {
        sqlx::Error::Io(_)
        | sqlx::Error::Tls(_)
        | sqlx::Error::PoolTimedOut
        | sqlx::Error::PoolClosed
        | sqlx::Error::WorkerCrashed
        | sqlx::Error::BeginFailed => ErrorKind::Unavailable,
        sqlx::Error::Configuration(_) => ErrorKind::BadUrl,
        sqlx::Error::Database(database) => {
            let code = database.code().unwrap_or_default();
            let constraint = || database.constraint().map_or_else(|| database.message().to_owned(), str::to_owned);
            if database.is_unique_violation() {
                return ErrorKind::Conflict { constraint: constraint() };
            }
            // PostgreSQL's five-letter SQLSTATE (appendix A of its manual) or SQLite's extended result code, whose low
            // byte is the primary one (sqlite.org/rescode.html).
            match code.parse::<u32>() {
                Ok(number) if code.len() < 5 => match number & 0xff {
                    5 | 6 => ErrorKind::Busy,
                    10 | 14 => ErrorKind::Unavailable,
                    11 | 26 => ErrorKind::Corrupt,
                    13 => ErrorKind::Full,
                    19 => ErrorKind::Refused { constraint: constraint() },
                    _ => ErrorKind::Internal,
                },
                _ => match code.as_ref() {
                    "53100" | "53200" => ErrorKind::Full,
                    "40001" | "40P01" | "55P03" => ErrorKind::Busy,
                    "3D000" | "28P01" | "28000" => ErrorKind::Unavailable,
                    code if code.starts_with("08") || code.starts_with("57P") || code.starts_with("53") => {
                        ErrorKind::Unavailable
                    }
                    code if code.starts_with("23") => ErrorKind::Refused { constraint: constraint() },
                    code if code.starts_with("XX") => ErrorKind::Corrupt,
                    _ => ErrorKind::Internal,
                },
            }
        }
        _ => ErrorKind::Internal,
    }
}

impl fmt::Display for StoreError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let at = &self.0.at;
        match &self.0.kind {
            ErrorKind::Unavailable => write!(f, "the database cannot be reached ({at})"),
            ErrorKind::Full => write!(f, "the database is full ({at})"),
            ErrorKind::Busy => write!(f, "the database is busy ({at})"),
            ErrorKind::Conflict { constraint } => write!(f, "the row is there already: {constraint} ({at})"),
            ErrorKind::Refused { constraint } => write!(f, "the database refused the row: {constraint} ({at})"),
            ErrorKind::MissingRow => write!(f, "a row that had to be there was not ({at})"),
            ErrorKind::TooManyRows(changed) => write!(f, "{changed} rows changed where one was meant to ({at})"),
            ErrorKind::NewerSchema { database, program } => {
                write!(f, "the database is at migration {database}, this program knows only {program}")
            }
            ErrorKind::ChangedMigration(version) => write!(f, "migration {version} reads differently than when it ran"),
            ErrorKind::FolderInUse => write!(f, "another Bursar uses the data folder {at}"),
            ErrorKind::BadUrl => write!(f, "the database's address cannot be understood"),
            ErrorKind::Corrupt => write!(f, "the database's contents cannot be read ({at})"),
            ErrorKind::Internal => write!(f, "the database refused a statement ({at})"),
        }
    }
}

impl fmt::Debug for StoreError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")?;
        match &self.0.source {
            Some(source) => write!(f, ": {source}"),
            None => Ok(()),
        }
    }
}

impl std::error::Error for StoreError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.0.source.as_deref().map(|source| source as &(dyn std::error::Error + 'static))
    }
}
