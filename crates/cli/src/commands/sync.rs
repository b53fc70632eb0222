//! `bursar sync`: syncs a connection now and shows its progress.

use crate::{
    failure::Failure,
    output,
    remote::{Node, Target},
    settings::{NodeSettings, Settings},
};
use clap::Args;
use kit::{Environment, clock::pause};
use mirror::SyncKind;
use platform::Roles;
use serde_json::{Value, json};
use server::{PartsOptions, Running};
use std::time::Duration;
use vault::ConnectionId;

/// Syncs a connection now and watches it. While a node runs the node does the work; otherwise this process does.
#[derive(Args)]
pub(crate) struct Sync {
    /// The connection's id, `con_…`.
    connection: String,
    /// Read everything again, and not only what changed.
    #[arg(long)]
    full: bool,
    /// Which environment.
    #[arg(long, default_value = "test")]
    environment: Environment,
    /// Print the sync as one JSON object when it has ended.
    #[arg(long)]
    json: bool,
}

/// Where the sync runs.
enum Runner {
    Node(Node),
    Here(Box<Running>),
}

impl Sync {
    pub(crate) async fn run(self, settings: &Settings) -> Result<(), Failure> {
        let kind = if self.full { SyncKind::Full } else { SyncKind::Incremental };
        let runner = self.request(settings, kind).await?;
        let bar = output::bar(0, "objects");
        let outcome = loop {
            let status = self.status(&runner).await?;
            show(&bar, &status);
            if let Some(outcome) = ended(&status) {
                break outcome;
            }
            pause(Duration::from_millis(200)).await;
        };
        bar.finish_and_clear();
        if let Runner::Here(running) = runner {
            running.stop().await;
        }
        let sync = outcome.map_err(|why| {
            Failure::new(4, "sync_failed", why, "See the connection's page; `bursar sync` carries on where it stopped.")
        })?;
        if self.json {
            output::say_json(&sync)?;
        } else {
            let number = |name: &str| output::count(sync[name].as_u64().unwrap_or(0));
            output::say(format!(
                "In step: {} calls to Stripe, {} events found that no webhook brought.",
                number("calls"),
                number("events_found")
            ));
        }
        Ok(())
    }

    async fn request(&self, settings: &Settings, kind: SyncKind) -> Result<Runner, Failure> {
        match Target::find(settings).await? {
            Target::Node(node) => {
                let path = format!("/v1/connections/{}/sync", self.connection);
                let body = json!({ "kind": kind });
                node.send(reqwest::Method::POST, &path, self.environment, Some(body)).await?;
                Ok(Runner::Node(node))
            }
            Target::Here(parts) => {
                let tenant = super::tenant_of(&parts, self.environment);
                let id = ConnectionId::from_text(self.connection.as_str());
                let mut tx = parts.base.store.begin(tenant).await?;
                if parts.vault.connection(&mut tx, &id).await.map_err(platform::Problem::from)?.is_none() {
                    return Err(platform::Problem::not_found("connection", &self.connection).into());
                }
                parts.mirror.request_sync(&mut tx, &id, kind, "person").await.map_err(platform::Problem::from)?;
                tx.commit().await?;
                parts.base.store.close().await;
                drop(parts);
                let mut config = settings.config_with(&NodeSettings::default())?;
                config.roles = Roles::WORKER;
                Ok(Runner::Here(Box::new(server::start(&config, PartsOptions::default()).await?)))
            }
        }
    }

    async fn status(&self, runner: &Runner) -> Result<Value, Failure> {
        match runner {
            Runner::Node(node) => {
                let path = format!("/v1/connections/{}/sync-status", self.connection);
                node.send(reqwest::Method::GET, &path, self.environment, None).await
            }
            Runner::Here(running) => {
                let tenant = super::tenant_of(&running.parts, self.environment);
                let id = ConnectionId::from_text(self.connection.as_str());
                let status = running.parts.mirror.sync_status(tenant, &id).await.map_err(platform::Problem::from)?;
                Ok(serde_json::to_value(status)?)
            }
        }
    }
}

/// Moves a bar to where a sync stands.
pub(crate) fn show(bar: &indicatif::ProgressBar, status: &Value) {
    let parts = status["parts"].as_array().map(Vec::as_slice).unwrap_or_default();
    let sum = |name: &str| parts.iter().filter_map(|part| part[name].as_u64()).sum::<u64>();
    let (read, left) = (sum("objects"), sum("remaining"));
    if read > 0 {
        bar.set_length(read + left);
        bar.set_position(read);
        let running: Vec<&str> = parts
            .iter()
            .filter(|part| part["state"] == "running")
            .filter_map(|part| part["object_type"].as_str())
            .collect();
        bar.set_message(running.join(", ").replace('_', " "));
    }
}

/// The sync that ended, or why it failed; nothing while one runs or waits.
pub(crate) fn ended(status: &Value) -> Option<Result<Value, String>> {
    if !status["current"].is_null() {
        return None;
    }
    let last = |name: &str| Some(&status[name]).filter(|sync| !sync.is_null());
    let (completed, failed) = (last("last_completed"), last("last_failed"));
    let finished = |sync: Option<&Value>| sync.and_then(|sync| sync["finished_at"].as_i64()).unwrap_or(0);
    match (completed, failed) {
        (None, None) => None,
        _ if finished(failed) > finished(completed) => {
            Some(Err(failed.and_then(|sync| sync["error"].as_str()).unwrap_or("without a reason").to_owned()))
        }
        (completed, _) => completed.cloned().map(Ok),
    }
}
