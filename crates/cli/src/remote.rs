//! Where a command does its work: at a running node, or here if none uses the data folder.
//!
//! SQLite serves one process. While a node runs, commands speak to it; it leaves its address in the data folder.

use crate::{failure::Failure, settings::Settings};
use kit::{ExposeSecret, Secret};
use platform::config::Config;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use server::{Parts, PartsOptions};
use std::path::{Path, PathBuf};

/// A node at work, as it tells others on its machine.
#[derive(Serialize, Deserialize)]
pub(crate) struct RunFile {
    /// Where it answers.
    pub(crate) url: String,
    /// Its process.
    pub(crate) process_id: u32,
}

/// The file in which a node leaves its address; removed when it stops.
pub(crate) fn run_file(data_dir: &Path) -> PathBuf {
    data_dir.join("bursar.run.json")
}

/// The file that holds a generated administrator's token, readable by its owner only.
pub(crate) fn token_file(data_dir: &Path) -> PathBuf {
    data_dir.join("admin-token")
}

/// A running node, or the slices in this process.
pub(crate) enum Target {
    /// Speak to the node.
    Node(Node),
    /// Nobody uses the database, or it is PostgreSQL, which serves many.
    Here(Box<Parts>),
}

impl Target {
    /// Finds out which, opening the database if no node has it.
    pub(crate) async fn find(settings: &Settings) -> Result<Target, Failure> {
        let config = settings.config()?;
        settings.start_log(&config, "warn")?;
        match Parts::open(&config, PartsOptions::default()).await {
            Ok(parts) => Ok(Target::Here(Box::new(parts))),
            Err(error) if error.code() == "folder_in_use" => Ok(Target::Node(Node::of(&config)?)),
            Err(error) => Err(error.into()),
        }
    }
}

/// A running node and the token to speak to it.
pub(crate) struct Node {
    url: String,
    token: Secret,
    http: reqwest::Client,
}

impl Node {
    fn of(config: &Config) -> Result<Node, Failure> {
        let unknown = |what: &str| {
            Failure::new(
                3,
                "node_unknown",
                what.to_owned(),
                "Set BURSAR_ADMIN_TOKEN, and check that the node on this data folder is running.",
            )
        };
        let text = std::fs::read_to_string(run_file(&config.data_dir))
            .map_err(|_| unknown("a program uses the data folder, but has left no address there"))?;
        let run: RunFile =
            serde_json::from_str(&text).map_err(|_| unknown("the address left in the data folder cannot be read"))?;
        let token = match &config.admin_token {
            Some(token) => token.clone(),
            None => std::fs::read_to_string(token_file(&config.data_dir))
                .map(|text| Secret::from(text.trim().to_owned()))
                .map_err(|_| unknown("the administrator's token of the running node is not known here"))?,
        };
        Ok(Node { url: run.url, token, http: reqwest::Client::new() })
    }

    /// Sends a request to the node and reads its JSON answer; its problems become failures.
    pub(crate) async fn send(
        &self,
        method: reqwest::Method,
        path: &str,
        environment: kit::Environment,
        body: Option<Value>,
    ) -> Result<Value, Failure> {
        let mut request = self
            .http
            .request(method, format!("{}{path}", self.url))
            .bearer_auth(self.token.expose_secret())
            .header("bursar-environment", environment.as_str())
            .header("accept", "application/json");
        if let Some(body) = body {
            request = request.header("content-type", "application/json").body(body.to_string());
        }
        let unreachable = |error: reqwest::Error| {
            let what = format!("the node at {} does not answer: {}", self.url, error.without_url());
            Failure::new(3, "node_unreachable", what, "Check that it is running; if it has died, try again.")
        };
        let response = request.send().await.map_err(unreachable)?;
        let status = response.status();
        let bytes = response.bytes().await.map_err(unreachable)?;
        let answer: Value = serde_json::from_slice(&bytes).unwrap_or(Value::Null);
        if status.is_success() {
            return Ok(answer);
        }
        let text = |name: &str| answer[name].as_str().unwrap_or_default().to_owned();
        let exit = if status.is_server_error() { 1 } else { 4 };
        Err(Failure::new(exit, &text("code"), text("detail"), text("what_to_do")))
    }
}
