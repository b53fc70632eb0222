//! `bursar migrate`: brings the database up to date.

use crate::{failure::Failure, output, settings::Settings};
use clap::Args;

/// Brings the database to the newest version this program knows; a node does the same when it starts.
#[derive(Args)]
pub(crate) struct Migrate {
    /// Only tell the database's version and this program's.
    #[arg(long)]
    check: bool,
}

impl Migrate {
    pub(crate) async fn run(self, settings: &Settings) -> Result<(), Failure> {
        let config = settings.config()?;
        settings.start_log(&config, "warn")?;
        let store = server::parts::open_store(&config).await?;
        let newest = migrations::all().last().map_or(0, |migration| migration.version);
        if self.check {
            let version = store.schema_version().await?;
            output::say(format!("The database is at version {version}; this program knows version {newest}."));
            return Ok(());
        }
        let report = store.migrate(&migrations::all()).await?;
        if report.before == report.after {
            output::say(format!("The database is at version {}; nothing to do.", report.after));
        } else {
            output::say(format!("The database went from version {} to {}.", report.before, report.after));
        }
        store.close().await;
        Ok(())
    }
}
