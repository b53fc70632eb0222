//! What a benchmark stands on: a database of its own, keys, a token, and what a node is started with.

use super::child::{self, Process};
use crate::failure::Failure;
use anyhow::Context;
use kit::{Clock, ExposeSecret, Secret, SystemClock, SystemRandomness};
use platform::config::Config;
use serde_json::Value;
use server::{Parts, PartsOptions};
use std::time::Duration;

/// A throwaway database with what it takes to start nodes on it.
pub(super) struct Ground {
    folder: tempfile::TempDir,
    /// For slices in this process.
    pub(super) config: Config,
    /// The administrator's token.
    pub(super) token: String,
    vault_keys: Secret,
    server_url: Option<(String, String)>,
    http: reqwest::Client,
}

impl Ground {
    /// SQLite in a folder of its own, or a new database beside the PostgreSQL database that is configured.
    pub(super) async fn new(configured: &Config, stripe_api_base: &str) -> Result<Ground, Failure> {
        let folder = tempfile::tempdir()?;
        let mut config = Config::embedded(folder.path().to_owned());
        let now = SystemClock.now();
        let server_url = match &configured.database_url {
            Some(url) => {
                let name = kit::Id::new("bursar_bench", now, &SystemRandomness).to_string();
                config.database_url = Some(Secret::from(store::throwaway::create(url.expose_secret(), &name).await?));
                Some((url.expose_secret().to_owned(), name))
            }
            None => None,
        };
        let vault_keys = vault::Keyring::generate_entry(now, &SystemRandomness);
        let token = kit::Id::new("bsr_admin", now, &SystemRandomness).to_string() + "_for_one_benchmark_only";
        config.vault_keys = Some(vault_keys.clone());
        config.admin_token = Some(Secret::from(token.clone()));
        config.stripe_api_base = stripe_api_base.to_owned();
        Ok(Ground { folder, config, token, vault_keys, server_url, http: reqwest::Client::new() })
    }

    /// `sqlite` or `postgres`.
    pub(super) fn engine(&self) -> &'static str {
        if self.config.database_url.is_some() { "postgres" } else { "sqlite" }
    }

    /// The slices in this process; close their store before a node is started on SQLite.
    pub(super) async fn parts(&self) -> Result<Parts, Failure> {
        Ok(Parts::open(&self.config, PartsOptions::default()).await?)
    }

    /// A node of its own process on this database; answers how long it took to be ready.
    pub(super) async fn node(&self, more: &[&str]) -> Result<(Process, Duration), Failure> {
        let port = child::free_port()?;
        let mut arguments: Vec<String> = ["serve", "--log", "error", "--listen"].map(str::to_owned).to_vec();
        arguments.push(format!("127.0.0.1:{port}"));
        arguments.extend(["--stripe-api-base".to_owned(), self.config.stripe_api_base.clone()]);
        arguments.extend(["--data-dir".to_owned(), self.folder.path().display().to_string()]);
        arguments.extend(more.iter().map(|it| (*it).to_owned()));
        let mut environment = vec![
            ("BURSAR_ADMIN_TOKEN".to_owned(), self.token.clone()),
            ("BURSAR_VAULT_KEYS".to_owned(), self.vault_keys.expose_secret().to_owned()),
        ];
        if let Some(url) = &self.config.database_url {
            environment.push(("DATABASE_URL".to_owned(), url.expose_secret().to_owned()));
        }
        Process::node(port, &arguments, &environment).await
    }

    /// A call of the node's API.
    pub(super) async fn call(
        &self,
        node: &Process,
        method: reqwest::Method,
        path: &str,
        environment: &str,
        body: Option<Value>,
    ) -> Result<Value, Failure> {
        let mut request = self
            .http
            .request(method, format!("{}{path}", node.url))
            .bearer_auth(&self.token)
            .header("bursar-environment", environment);
        if let Some(body) = body {
            request = request.header("content-type", "application/json").body(body.to_string());
        }
        let response = request.send().await.context("calling the node")?;
        let (status, bytes) = (response.status(), response.bytes().await.context("reading the node's answer")?);
        if !status.is_success() {
            return Err(anyhow::anyhow!("{path} answered {status}: {}", String::from_utf8_lossy(&bytes)).into());
        }
        Ok(serde_json::from_slice(&bytes)?)
    }

    /// Removes the database.
    pub(super) async fn remove(self) -> Result<(), Failure> {
        if let Some((url, name)) = &self.server_url {
            store::throwaway::remove(url, name).await?;
        }
        Ok(self.folder.close()?)
    }
}
