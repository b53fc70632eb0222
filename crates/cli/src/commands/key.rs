//! `bursar key`: what an API key of Stripe's may do, and which to ask for.

use crate::{
    failure::Failure,
    output,
    remote::{Node, Target},
    settings::Settings,
};
use clap::{Args, Subcommand};
use gateway::doctor;
use kit::{Environment, Secret};
use platform::Problem;
use serde_json::{Value, json};
use std::io::{BufRead, IsTerminal};
use vault::ConnectionId;

/// API keys of Stripe's.
#[derive(Subcommand)]
pub(crate) enum Key {
    /// Find out what a key may do and what it lacks, and print the least to ask for.
    Check(Check),
}

/// Checks the key of a connection, or one that is given on standard input and belongs to none yet. A key is never taken
/// as an argument: others on the machine could see it.
#[derive(Args)]
pub(crate) struct Check {
    /// The connection whose key is tried; without it the key is read from standard input.
    connection: Option<String>,
    /// Which environment.
    #[arg(long, default_value = "test")]
    environment: Environment,
    /// Print one JSON object.
    #[arg(long)]
    json: bool,
    /// Only print the least that a key needs, and where it is made. Asks nobody.
    #[arg(long)]
    least: bool,
}

impl Key {
    pub(crate) async fn run(self, settings: &Settings) -> Result<(), Failure> {
        let Key::Check(check) = self;
        if check.least {
            let least = serde_json::to_value(doctor::least())?;
            if check.json {
                return Ok(output::say_json(&least)?);
            }
            print_least(&least);
            return Ok(());
        }
        let found = check.ask(settings).await?;
        if check.json {
            output::say_json(&found)?;
        } else {
            print(&found);
        }
        match found["ok"].as_bool() {
            Some(true) => Ok(()),
            _ => Err(Failure::new(
                4,
                "key_permissions_missing",
                "the key may not read everything that is synced",
                "Give it the permissions that are missing, in the Stripe dashboard.",
            )),
        }
    }
}

impl Check {
    /// The answer of `POST /v1/connections/test` and `/v1/connections/{id}/test`, wherever the work is done.
    async fn ask(&self, settings: &Settings) -> Result<Value, Failure> {
        match (Target::find(settings).await?, &self.connection) {
            (Target::Node(node), Some(id)) => self.send(&node, &format!("/v1/connections/{id}/test"), None).await,
            (Target::Node(node), None) => {
                let key = read_key()?;
                let body = json!({ "api_key": kit::ExposeSecret::expose_secret(&key) });
                self.send(&node, "/v1/connections/test", Some(body)).await
            }
            (Target::Here(parts), connection) => {
                let gateway = &parts.gateway;
                let report = match connection {
                    Some(id) => {
                        let tenant = super::tenant_of(&parts, self.environment);
                        gateway.test_connection(tenant, &ConnectionId::from_text(id.clone())).await
                    }
                    None => gateway.check_key(self.environment, &read_key()?).await,
                };
                let tested = doctor::Tested::new(report.map_err(Problem::from)?, parts.base.now());
                Ok(serde_json::to_value(tested)?)
            }
        }
    }

    async fn send(&self, node: &Node, path: &str, body: Option<Value>) -> Result<Value, Failure> {
        node.send(reqwest::Method::POST, path, self.environment, body).await
    }
}

fn read_key() -> Result<Secret, Failure> {
    if std::io::stdin().is_terminal() {
        output::say("Paste the key, then Enter:");
    }
    let mut line = String::new();
    std::io::stdin().lock().read_line(&mut line)?;
    Ok(Secret::from(line.trim().to_owned()))
}

fn print(found: &Value) {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    output::say(format!(
        "{} key {} of {} ({}, {} mode)",
        text(&found["key_kind"]),
        text(&found["key_hint"]),
        text(&found["account_name"]),
        text(&found["account_id"]),
        text(&found["environment"]),
    ));
    let mut table = comfy_table::Table::new();
    table.load_style(comfy_table::presets::UTF8_HORIZONTAL_ONLY);
    table.set_header(["permission", "token", "state", "needed for"]);
    for row in found["findings"].as_array().map(Vec::as_slice).unwrap_or_default() {
        let words = |name: &str| text(&row[name]).replace('_', " ");
        table.add_row([words("name"), text(&row["permission"]), words("access"), words("needed_for")]);
    }
    output::say(table);
    for warning in found["warnings"].as_array().map(Vec::as_slice).unwrap_or_default() {
        output::say(format!("\n{}\n  {}", text(&warning["text"]), text(&warning["what_to_do"])));
    }
    output::say("");
    print_least(&found["least_key"]);
}

fn print_least(least: &Value) {
    output::say("The least that a key needs:");
    for permission in least["permissions"].as_array().map(Vec::as_slice).unwrap_or_default() {
        let text = |name: &str| permission[name].as_str().unwrap_or_default();
        output::say(format!("  {:<36} {}", text("name"), text("permission")));
    }
    output::say(format!(
        "Make one with these ticked (the address is not documented by Stripe; hold the list against it):\n  {}",
        least["create_at"].as_str().unwrap_or_default()
    ));
}
