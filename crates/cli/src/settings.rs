//! Flags over environment over file over defaults, made into one `platform::config::Config`.

use crate::failure::Failure;
use clap::{Args, ValueEnum};
use kit::Secret;
use platform::{Roles, config::Config, telemetry::LogFormat};
use serde::Deserialize;
use std::{net::SocketAddr, path::PathBuf};

/// What every command may be told. Secrets come by environment or file only: flags are seen by every user of a machine.
#[derive(Args, Clone, Debug)]
pub(crate) struct Settings {
    /// Configuration file (TOML) with the same names as the flags, underscores for dashes.
    #[arg(long, env = "BURSAR_CONFIG", global = true, value_name = "FILE", help_heading = "Settings")]
    pub(crate) config: Option<PathBuf>,
    /// Where SQLite's file, generated keys and the administrator's token live [default: ./bursar-data].
    #[arg(long, env = "BURSAR_DATA_DIR", global = true, value_name = "DIR", help_heading = "Settings")]
    pub(crate) data_dir: Option<PathBuf>,
    /// PostgreSQL's address, `postgres://user:password@host/database`; without it SQLite in the data folder is used.
    #[arg(
        long,
        env = "DATABASE_URL",
        global = true,
        hide_env_values = true,
        value_name = "URL",
        help_heading = "Settings"
    )]
    pub(crate) database: Option<String>,
    /// Log filter, such as `info` or `warn,inbox=debug`.
    #[arg(long, env = "BURSAR_LOG", global = true, help_heading = "Settings")]
    pub(crate) log: Option<String>,
    /// How log lines look.
    #[arg(long, env = "BURSAR_LOG_FORMAT", global = true, help_heading = "Settings")]
    pub(crate) log_format: Option<LogLines>,
}

/// Flags of commands that answer HTTP.
#[derive(Args, Clone, Debug, Default)]
pub(crate) struct NodeSettings {
    /// Address to answer on [default: 127.0.0.1:8080].
    #[arg(long, env = "BURSAR_LISTEN", value_name = "ADDRESS")]
    pub(crate) listen: Option<SocketAddr>,
    /// How browsers and Stripe reach this server, such as `https://bursar.example.com`.
    #[arg(long, env = "BURSAR_PUBLIC_URL", value_name = "URL")]
    pub(crate) public_url: Option<String>,
    /// What this node does: api, worker, scheduler or all, separated by commas [default: all].
    #[arg(long, env = "BURSAR_ROLES")]
    pub(crate) roles: Option<String>,
    /// Where Stripe's API is; a simulator's address for a trial [default: Stripe].
    #[arg(long, env = "BURSAR_STRIPE_API_BASE", value_name = "URL")]
    pub(crate) stripe_api_base: Option<String>,
    /// Source addresses that webhooks are taken from, separated by commas; any if left out, the signature decides.
    #[arg(long, env = "BURSAR_WEBHOOK_ALLOWLIST", value_delimiter = ',', value_name = "ADDRESSES")]
    pub(crate) webhook_allowlist: Vec<String>,
    /// How many proxies in front of this server may tell a caller's address.
    #[arg(long, env = "BURSAR_TRUSTED_PROXIES", value_name = "NUMBER")]
    pub(crate) trusted_proxies: Option<usize>,
}

#[derive(Clone, Copy, Debug, ValueEnum, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum LogLines {
    Text,
    Json,
}

/// The configuration file. An unknown name is an error, since it would otherwise be a setting that silently does nothing.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct FileSettings {
    data_dir: Option<PathBuf>,
    database_url: Option<String>,
    listen: Option<SocketAddr>,
    public_url: Option<String>,
    roles: Option<String>,
    stripe_api_base: Option<String>,
    webhook_allowlist: Vec<String>,
    trusted_proxies: Option<usize>,
    log: Option<String>,
    log_format: Option<LogLines>,
    admin_token: Option<String>,
    vault_keys: Option<String>,
    webhook_secret: Option<String>,
}

impl Settings {
    /// The whole configuration, for a command that answers HTTP with `node`.
    pub(crate) fn config_with(&self, node: &NodeSettings) -> Result<Config, Failure> {
        let file = self.read_file()?;
        let data_dir = self.data_dir.clone().or(file.data_dir).unwrap_or_else(|| PathBuf::from("bursar-data"));
        let mut config = Config::embedded(data_dir);
        let secret = |name: &str, from_file: Option<String>| {
            std::env::var(name).ok().or(from_file).filter(|text| !text.trim().is_empty()).map(Secret::from)
        };
        config.database_url =
            self.database.clone().or(file.database_url).filter(|url| !url.trim().is_empty()).map(Secret::from);
        config.listen = node.listen.or(file.listen).unwrap_or(config.listen);
        config.public_url = node.public_url.clone().or(file.public_url).map(|url| url.trim_end_matches('/').to_owned());
        if let Some(roles) = node.roles.clone().or(file.roles) {
            config.roles = Roles::parse(&roles).map_err(|what| {
                Failure::new(3, "bad_configuration", what, "Correct --roles, BURSAR_ROLES or `roles` in the file.")
            })?;
        }
        if let Some(base) = node.stripe_api_base.clone().or(file.stripe_api_base) {
            config.stripe_api_base = base.trim_end_matches('/').to_owned();
        }
        config.webhook_allowlist =
            if node.webhook_allowlist.is_empty() { file.webhook_allowlist } else { node.webhook_allowlist.clone() };
        config.trusted_proxies = node.trusted_proxies.or(file.trusted_proxies).unwrap_or(0);
        config.log = self.log.clone().or(file.log).unwrap_or(config.log);
        config.log_format = match self.log_format.or(file.log_format) {
            Some(LogLines::Json) => LogFormat::Json,
            _ => LogFormat::Text,
        };
        config.admin_token = secret("BURSAR_ADMIN_TOKEN", file.admin_token);
        config.vault_keys = secret("BURSAR_VAULT_KEYS", file.vault_keys);
        config.global_webhook_secret = secret("BURSAR_WEBHOOK_SECRET", file.webhook_secret);
        Ok(config)
    }

    /// The configuration of a command that answers no HTTP.
    pub(crate) fn config(&self) -> Result<Config, Failure> {
        self.config_with(&NodeSettings::default())
    }

    /// Starts logging as configured; `default` where nothing is configured.
    pub(crate) fn start_log(&self, config: &Config, default: &str) -> Result<(), Failure> {
        let filter = if self.log.is_some() || config.log != "info" { config.log.as_str() } else { default };
        platform::telemetry::start(filter, config.log_format).map_err(|what| {
            Failure::new(3, "bad_configuration", what, "Use a filter such as `info` or `warn,inbox=debug`.")
        })
    }

    fn read_file(&self) -> Result<FileSettings, Failure> {
        let Some(path) = &self.config else { return Ok(FileSettings::default()) };
        let refused = |why: String| {
            let what = format!("the configuration file {} cannot be used: {why}", path.display());
            Failure::new(3, "bad_configuration", what, "Correct the file, or name another with --config.")
        };
        let text = std::fs::read_to_string(path).map_err(|error| refused(error.to_string()))?;
        // The parser's message may quote the line; a line with a secret must not be shown.
        toml::from_str(&text).map_err(|error| refused(error.message().to_owned()))
    }
}
