//! `bursar inbox`: events received.

use crate::{failure::Failure, output, remote::Target, settings::Settings};
use clap::{Args, Subcommand};
use inbox::{ReplayFilter, State};
use kit::{Environment, Time};
use serde_json::json;

/// Events received.
#[derive(Subcommand)]
pub(crate) enum Inbox {
    /// Process events again: by id, by type, by time, or all that were given up.
    Replay(Replay),
}

/// Which events to process again. Replaying is safe: an event that changes nothing any more changes nothing.
#[derive(Args)]
pub(crate) struct Replay {
    /// Events by id.
    ids: Vec<String>,
    /// Events of a type, such as `charge.refunded`.
    #[arg(long = "type", value_name = "TYPE")]
    event_type: Option<String>,
    /// Events created at or after this time (unix seconds).
    #[arg(long, value_name = "SECONDS")]
    from: Option<i64>,
    /// Events created before this time (unix seconds).
    #[arg(long, value_name = "SECONDS")]
    to: Option<i64>,
    /// Events in a state, such as `dead`.
    #[arg(long)]
    state: Option<State>,
    /// Which environment.
    #[arg(long, default_value = "test")]
    environment: Environment,
    /// Print one JSON object.
    #[arg(long)]
    json: bool,
}

impl Inbox {
    pub(crate) async fn run(self, settings: &Settings) -> Result<(), Failure> {
        let Inbox::Replay(replay) = self;
        if replay.ids.is_empty()
            && replay.event_type.is_none()
            && replay.from.is_none()
            && replay.to.is_none()
            && replay.state.is_none()
        {
            let to_do =
                "Name ids, or use --type, --state, --from, --to; all dead ones: `bursar inbox replay --state dead`.";
            return Err(Failure::new(2, "nothing_named", "it was not said which events to replay", to_do));
        }
        let (from, to) = (replay.from.map(Time::from_seconds), replay.to.map(Time::from_seconds));
        let replayed = match Target::find(settings).await? {
            Target::Node(node) => {
                let written = |at: Option<Time>| at.map(|at| at.to_string());
                let filter = json!({
                    "ids": replay.ids, "type": replay.event_type, "state": replay.state.map(State::as_str),
                    "from": written(from), "to": written(to),
                });
                let answer =
                    node.send(reqwest::Method::POST, "/v1/inbox/replay", replay.environment, Some(filter)).await?;
                answer["replayed"].as_u64().unwrap_or(0)
            }
            Target::Here(parts) => {
                let filter =
                    ReplayFilter { ids: replay.ids, event_type: replay.event_type, state: replay.state, from, to };
                let tenant = super::tenant_of(&parts, replay.environment);
                parts.inbox.replay(tenant, filter).await.map_err(platform::Problem::from)?
            }
        };
        if replay.json {
            output::say_json(&json!({ "replayed": replayed }))?;
        } else {
            output::say(format!("{} events will be processed again.", output::count(replayed)));
        }
        Ok(())
    }
}
