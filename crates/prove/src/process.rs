//! Nodes in processes of their own: the program itself, started, stopped in their tracks, killed and started again.

use crate::{
    ProveError,
    world::{ADMIN_TOKEN, World},
};
use kit::{ExposeSecret, Stopwatch};
use platform::config::Config;
use std::{path::PathBuf, process::Stdio, time::Duration};
use tokio::process::{Child, Command};

/// A node is ready well within a second; the machine may be busy.
const READY_WITHIN: Duration = Duration::from_secs(60);
/// How often a node that ends at once is started again.
const START_TRIES: u32 = 20;
/// A call of a node's own API.
const CALL_WITHIN: Duration = Duration::from_secs(30);

/// The nodes of a run as processes. They end with it.
pub(crate) struct Processes {
    program: PathBuf,
    running: Vec<Option<Child>>,
    http: reqwest::Client,
}

impl Processes {
    pub(crate) fn new(program: PathBuf, count: usize) -> Result<Processes, ProveError> {
        let http = reqwest::Client::builder().no_proxy().timeout(CALL_WITHIN).build();
        let http = http.map_err(ProveError::look("an HTTP client"))?;
        Ok(Processes { program, running: (0..count).map(|_| None).collect(), http })
    }

    /// The program with the run's configuration, and nothing of this process's own.
    pub(crate) fn command(&self, config: &Config, arguments: &[&str]) -> Command {
        let mut command = Command::new(&self.program);
        for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("BURSAR_") || name == "DATABASE_URL") {
            command.env_remove(name);
        }
        command.args(arguments).env("BURSAR_ADMIN_TOKEN", ADMIN_TOKEN).env("BURSAR_DATA_DIR", &config.data_dir);
        if let Some(url) = &config.database_url {
            command.env("DATABASE_URL", url.expose_secret());
        }
        if let Some(keys) = &config.vault_keys {
            command.env("BURSAR_VAULT_KEYS", keys.expose_secret());
        }
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).kill_on_drop(true);
        command
    }

    /// Starts every node that does not run, and waits until all are ready.
    pub(crate) async fn start_all(&mut self, world: &World) -> Result<(), ProveError> {
        for place in 0..self.running.len() {
            if self.running[place].is_none() {
                self.running[place] = Some(self.spawn(world, place)?);
            }
        }
        for place in 0..self.running.len() {
            self.ready(world, place).await?;
        }
        self.tell_balancer(world);
        Ok(())
    }

    fn spawn(&self, world: &World, place: usize) -> Result<Child, ProveError> {
        let config = world.config(place);
        let listen = config.listen.to_string();
        let public = config.public_url.clone().unwrap_or_default();
        let arguments = [
            "serve",
            "--log",
            "off",
            "--without-limits",
            "--listen",
            &listen,
            "--public-url",
            &public,
            "--stripe-api-base",
            &config.stripe_api_base,
        ];
        self.command(&config, &arguments).spawn().map_err(ProveError::io("starting a node"))
    }

    async fn ready(&mut self, world: &World, place: usize) -> Result<(), ProveError> {
        let url = format!("http://{}/readyz", world.config(place).listen);
        let (watch, mut tries) = (Stopwatch::start(), 0);
        loop {
            if self.http.get(&url).send().await.is_ok_and(|answer| answer.status().is_success()) {
                return Ok(());
            }
            let ended = match &mut self.running[place] {
                Some(child) => child.try_wait().map_err(ProveError::io("looking at a node"))?,
                None => None,
            };
            if let Some(status) = ended {
                // Its port may be somebody's outgoing connection for a moment.
                tries += 1;
                if tries > START_TRIES {
                    let reason = format!("it ended with {status} before it was ready");
                    return Err(ProveError::Look { what: "a node that starts", reason });
                }
                kit::clock::pause(Duration::from_millis(100)).await;
                self.running[place] = Some(self.spawn(world, place)?);
            }
            if watch.elapsed() > READY_WITHIN {
                return Err(ProveError::Look {
                    what: "a node that starts",
                    reason: "it was not ready in time".to_owned(),
                });
            }
            kit::clock::pause(Duration::from_millis(3)).await;
        }
    }

    fn tell_balancer(&self, world: &World) {
        let running = (0..self.running.len()).filter(|place| self.running[*place].is_some());
        world.balance_to(running.map(|place| world.config(place).listen).collect());
    }

    /// Ends one as `kill -9` does.
    pub(crate) async fn kill(&mut self, world: &World, place: usize) -> Result<(), ProveError> {
        let place = place % self.running.len().max(1);
        if let Some(mut child) = self.running[place].take() {
            self.tell_balancer(world);
            child.kill().await.map_err(ProveError::io("killing a node"))?;
        }
        Ok(())
    }

    /// Ends all as `kill -9` does.
    pub(crate) async fn kill_all(&mut self, world: &World) -> Result<(), ProveError> {
        for place in 0..self.running.len() {
            self.kill(world, place).await?;
        }
        Ok(())
    }

    /// Stops a node where it stands for so long, then lets it go on as if nothing had been.
    pub(crate) async fn hold(&self, place: usize, long: Duration) -> Result<(), ProveError> {
        let Some(id) = self.running.get(place).and_then(Option::as_ref).and_then(Child::id) else { return Ok(()) };
        for signal in ["-STOP", "-CONT"] {
            let sent = Command::new("kill").arg(signal).arg(id.to_string()).status().await;
            sent.map_err(ProveError::io("holding a node"))?;
            if signal == "-STOP" {
                kit::clock::pause(long).await;
            }
        }
        Ok(())
    }

    /// Asks a node's own API for something; what it answers is part of the play.
    pub(crate) fn ask(&self, world: &World, place: usize, path: &str, livemode: bool, body: &str) {
        let listen = world.config(place % self.running.len().max(1)).listen;
        let request = self
            .http
            .post(format!("http://{listen}{path}"))
            .bearer_auth(ADMIN_TOKEN)
            .header("bursar-environment", if livemode { "live" } else { "test" })
            .header("content-type", "application/json")
            .body(body.to_owned());
        // The node may be killed while it answers.
        tokio::spawn(async move { drop(request.send().await) });
    }
}
