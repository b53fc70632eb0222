//! Configuration: flags over environment over file over defaults, checked as a whole.

use crate::{Roles, telemetry::LogFormat};
use kit::Secret;
use std::{net::SocketAddr, path::PathBuf};

/// Everything a node can be told. The command line fills it; `bursar config check` shows it.
#[derive(Clone, Debug)]
pub struct Config {
    /// Where SQLite's file, generated keys and tokens live.
    pub data_dir: PathBuf,
    /// `postgres://…`; absent for SQLite in the data folder.
    pub database_url: Option<Secret>,
    /// Address to answer on.
    pub listen: SocketAddr,
    /// How browsers and Stripe reach this server, as in `https://bursar.example.com`; absent on a private machine.
    pub public_url: Option<String>,
    /// What this node does.
    pub roles: Roles,
    /// The administrator's token; generated into the data folder if absent.
    pub admin_token: Option<Secret>,
    /// Vault keys `id:base64,…`, newest first; generated into the data folder if absent.
    pub vault_keys: Option<Secret>,
    /// Secret of the webhook endpoint that serves all connections.
    pub global_webhook_secret: Option<Secret>,
    /// Where Stripe's API is; the simulator's address in a trial.
    pub stripe_api_base: String,
    /// Source addresses webhooks are taken from; empty means any, and the signature decides.
    pub webhook_allowlist: Vec<String>,
    /// How many proxies in front of us are trusted to tell the caller's address.
    pub trusted_proxies: usize,
    /// Log filter.
    pub log: String,
    /// How log lines look.
    pub log_format: LogFormat,
}

/// Stripe's own address.
pub const STRIPE_API_BASE: &str = "https://api.stripe.com";

impl Config {
    /// The embedded default in a data folder: SQLite, loopback, all roles.
    pub fn embedded(data_dir: PathBuf) -> Config {
        Config {
            data_dir,
            database_url: None,
            listen: SocketAddr::from(([127, 0, 0, 1], 8080)),
            public_url: None,
            roles: Roles::ALL,
            admin_token: None,
            vault_keys: None,
            global_webhook_secret: None,
            stripe_api_base: STRIPE_API_BASE.to_owned(),
            webhook_allowlist: Vec::new(),
            trusted_proxies: 0,
            log: "info".to_owned(),
            log_format: LogFormat::Text,
        }
    }

    /// What is wrong or risky, one sentence each; empty when all is well.
    pub fn findings(&self) -> Vec<Finding> {
        let mut findings = Vec::new();
        let mut error = |field, text: &str| findings.push(Finding { field, text: text.to_owned(), fatal: true });
        if let Some(url) = &self.public_url
            && !(url.starts_with("http://") || url.starts_with("https://"))
        {
            error("public_url", "The public address must begin with https:// (or http:// on a private machine).");
        }
        if !(self.stripe_api_base.starts_with("http://") || self.stripe_api_base.starts_with("https://")) {
            error("stripe_api_base", "Stripe's address must begin with https:// (http:// for the simulator).");
        }
        if self.roles == (Roles { api: false, worker: false, scheduler: false }) {
            error("roles", "A node needs at least one role: api, worker or scheduler.");
        }
        if self.database_url.is_some() && self.vault_keys.is_none() {
            error(
                "vault_keys",
                "With a shared database every node needs the same vault keys: set BURSAR_VAULT_KEYS (make one with `bursar vault new-key`).",
            );
        }
        if self.public_url.is_none() {
            findings.push(Finding {
                field: "public_url",
                text: "Without a public address Stripe cannot send webhooks here; events are then found by reading Stripe's event list.".to_owned(),
                fatal: false,
            });
        }
        findings
    }
}

/// One thing about the configuration that a person should know.
#[derive(Clone, Debug, serde::Serialize)]
pub struct Finding {
    /// Which setting.
    pub field: &'static str,
    /// What is the matter and what to do.
    pub text: String,
    /// Whether the server refuses to start with it.
    pub fatal: bool,
}
