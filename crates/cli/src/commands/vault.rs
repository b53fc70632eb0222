//! `bursar vault`: keys that seal secrets.

use crate::{failure::Failure, output, remote::Target, settings::Settings};
use clap::{Args, Subcommand};
use kit::{Clock, Environment, ExposeSecret, SystemClock, SystemRandomness};
use serde_json::json;

/// Keys that seal secrets.
#[derive(Subcommand)]
pub(crate) enum Vault {
    /// Make a new key. With generated keys it is put first in the data folder's key file; otherwise it is printed.
    NewKey(NewKey),
    /// Seal everything again under the newest key, while nodes run.
    Rotate(Rotate),
}

#[derive(Args)]
pub(crate) struct NewKey {
    /// Only print it, whatever the data folder holds.
    #[arg(long)]
    print: bool,
}

#[derive(Args)]
pub(crate) struct Rotate {
    /// Print one JSON object.
    #[arg(long)]
    json: bool,
}

impl Vault {
    pub(crate) async fn run(self, settings: &Settings) -> Result<(), Failure> {
        match self {
            Vault::NewKey(command) => command.run(settings),
            Vault::Rotate(command) => command.run(settings).await,
        }
    }
}

impl NewKey {
    fn run(self, settings: &Settings) -> Result<(), Failure> {
        let config = settings.config()?;
        let now = SystemClock.now();
        if self.print || config.vault_keys.is_some() || config.database_url.is_some() {
            let entry = vault::Keyring::generate_entry(now, &SystemRandomness);
            output::say(entry.expose_secret());
            output::say(
                "Put it first in BURSAR_VAULT_KEYS, a comma behind it, on every node; restart them; then run `bursar vault rotate`.",
            );
            return Ok(());
        }
        let id = vault::Keyring::add_to_folder(&config.data_dir, now, &SystemRandomness).map_err(vault_failure)?;
        output::say(format!("Key {id} is the newest in {}. Now run `bursar vault rotate`.", config.data_dir.display()));
        Ok(())
    }
}

impl Rotate {
    async fn run(self, settings: &Settings) -> Result<(), Failure> {
        let (resealed, key_id) = match Target::find(settings).await? {
            Target::Node(node) => {
                let answer = node.send(reqwest::Method::POST, "/v1/vault/rotate", Environment::Test, None).await?;
                (answer["resealed"].as_u64().unwrap_or(0), answer["key_id"].as_str().unwrap_or_default().to_owned())
            }
            Target::Here(parts) => {
                let bar = output::bar(0, "secrets");
                let report = parts
                    .vault
                    .rotate(|progress| {
                        bar.set_length(progress.total);
                        bar.set_position(progress.done);
                    })
                    .await
                    .map_err(vault_failure)?;
                bar.finish_and_clear();
                (report.resealed, report.key_id)
            }
        };
        if self.json {
            output::say_json(&json!({ "resealed": resealed, "key_id": key_id }))?;
        } else {
            output::say(format!("{resealed} secrets were sealed again; all are under key {key_id} now."));
        }
        Ok(())
    }
}

fn vault_failure(error: vault::VaultError) -> Failure {
    Failure::new(3, error.code(), platform::problem::Chain(&error).to_string(), error.what_to_do())
}
