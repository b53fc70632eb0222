//! `bursar config`: what is configured, and whether it can work.

use crate::{
    failure::Failure,
    output,
    settings::{NodeSettings, Settings},
};
use clap::{Args, Subcommand};
use kit::ExposeSecret;
use serde_json::json;

/// The configuration, from flags over environment over file over defaults.
#[derive(Subcommand)]
pub(crate) enum Config {
    /// Check that a node could start with it: settings, database, vault keys.
    Check(Check),
}

/// Checks the configuration without changing anything.
#[derive(Args)]
pub(crate) struct Check {
    #[command(flatten)]
    node: NodeSettings,
    /// Print one JSON object.
    #[arg(long)]
    json: bool,
}

impl Config {
    pub(crate) async fn run(self, settings: &Settings) -> Result<(), Failure> {
        let Config::Check(check) = self;
        let config = settings.config_with(&check.node)?;
        let mut findings = config.findings();
        if let Some(keys) = &config.vault_keys
            && let Err(error) = vault::Keyring::parse(keys)
        {
            let text = format!("{error}. {}", error.what_to_do());
            findings.push(platform::config::Finding { field: "vault_keys", text, fatal: true });
        }
        let database = match &config.database_url {
            Some(_) => "PostgreSQL".to_owned(),
            None => format!("SQLite in {}", config.data_dir.display()),
        };
        // A file that is not there yet is made by the first start; only an existing database is opened.
        if config.database_url.is_some() || config.data_dir.join("bursar.sqlite").exists() {
            match server::parts::open_store(&config).await {
                Ok(store) => store.close().await,
                Err(error) if error.code() == "folder_in_use" => {}
                Err(error) => {
                    let text = format!("{}. {}", platform::problem::Chain(&error), error.what_to_do());
                    findings.push(platform::config::Finding { field: "database_url", text, fatal: true });
                }
            }
        }
        let fatal = findings.iter().any(|finding| finding.fatal);
        let given = |secret: &Option<kit::Secret>| secret.as_ref().is_some_and(|it| !it.expose_secret().is_empty());
        if check.json {
            output::say_json(&json!({
                "database": database, "listen": config.listen, "public_url": config.public_url,
                "stripe_api_base": config.stripe_api_base, "admin_token_given": given(&config.admin_token),
                "vault_keys_given": given(&config.vault_keys), "webhook_secret_given": given(&config.global_webhook_secret),
                "trusted_proxies": config.trusted_proxies, "findings": findings, "ok": !fatal,
            }))?;
        } else {
            let or_generated =
                |secret| if given(secret) { "given" } else { "made at the first start, in the data folder" };
            output::say(format!("database         {database}"));
            output::say(format!("listen           {}", config.listen));
            output::say(format!("public address   {}", config.public_url.as_deref().unwrap_or("none")));
            output::say(format!("Stripe           {}", config.stripe_api_base));
            output::say(format!("admin token      {}", or_generated(&config.admin_token)));
            output::say(format!("vault keys       {}", or_generated(&config.vault_keys)));
            for finding in &findings {
                output::say(format!(
                    "{} {}: {}",
                    if finding.fatal { "WRONG" } else { "note " },
                    finding.field,
                    finding.text
                ));
            }
        }
        match fatal {
            true => Err(Failure::new(
                3,
                "bad_configuration",
                "a node cannot start with this configuration",
                "Mend what is marked WRONG.",
            )),
            false => Ok(()),
        }
    }
}
