//! The run's own database: a folder with SQLite, or a throwaway database of a PostgreSQL server.

use crate::ProveError;
use kit::{Randomness, SystemRandomness};
use std::path::PathBuf;

/// A database that lives as long as the run.
#[derive(Debug)]
pub(crate) struct Database {
    folder: tempfile::TempDir,
    /// The server and the database's name.
    server: Option<(String, String)>,
    /// Of the database, on PostgreSQL.
    pub(crate) url: Option<String>,
}

impl Database {
    /// Makes one: beside `server`'s databases, or in a folder of its own.
    pub(crate) async fn create(server: Option<&str>) -> Result<Database, ProveError> {
        let folder = tempfile::Builder::new().prefix("bursar-prove-").tempdir();
        let folder = folder.map_err(ProveError::io("making a folder for the run"))?;
        let Some(server) = server else { return Ok(Database { folder, server: None, url: None }) };
        // Several runs may share a server, also those of other processes.
        let name = format!("bursar_prove_{}_{:08x}", std::process::id(), SystemRandomness.below(1 << 32));
        let url = store::throwaway::create(server, &name).await?;
        Ok(Database { folder, server: Some((server.to_owned(), name)), url: Some(url) })
    }

    /// Where a node keeps its files.
    pub(crate) fn folder(&self) -> PathBuf {
        self.folder.path().to_owned()
    }

    /// Removes it, whoever still uses it.
    pub(crate) async fn remove(self) -> Result<(), ProveError> {
        if let Some((server, name)) = &self.server {
            store::throwaway::remove(server, name).await?;
        }
        self.folder.close().map_err(ProveError::io("removing the run's folder"))
    }
}
