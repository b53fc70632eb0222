//! `bursar vault`: keys that seal secrets.

use crate::{failure::Failure, output, remote::Target, settings::Settings};
use clap::{Args, Subcommand};
use kit::{Clock, Environment, ExposeSecret, SystemClock, SystemRandomness};

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
        let report = match Target::find(settings).await? {
            Target::Node(node) => node.send(reqwest::Method::POST, "/v1/vault/rotate", Environment::Test, None).await?,
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
                serde_json::to_value(report)?
            }
        };
        let key_id = report["key_id"].as_str().unwrap_or_default();
        let number = |name: &str| report[name].as_u64().unwrap_or(0);
        if self.json {
            output::say_json(&report)?;
        } else {
            output::say(format!("{} secrets were sealed again under key {key_id}.", output::count(number("resealed"))));
            for refusal in report["refusals"].as_array().into_iter().flatten() {
                let text = |name: &str| refusal[name].as_str().unwrap_or_default();
                output::say(format!("  not opened: {} of {} ({})", text("secret"), text("owner"), text("code")));
            }
        }
        match number("refused") {
            0 => Ok(()),
            refused => {
                let what = format!("{} secrets could not be opened and stay as they were", output::count(refused));
                let to_do =
                    "Put the key back that the code names as unknown; connect again with the key of what is corrupt.";
                Err(Failure::new(1, "secrets_refused", what, to_do))
            }
        }
    }
}

fn vault_failure(error: vault::VaultError) -> Failure {
    Failure::new(3, error.code(), platform::problem::Chain(&error).to_string(), error.what_to_do())
}
