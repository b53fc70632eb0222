//! Processes beside the benchmark: this same binary as a node or as the simulator.

use crate::failure::Failure;
use anyhow::Context;
use serde_json::Value;
use std::{process::Stdio, time::Duration};
use tokio::{
    io::{AsyncBufReadExt, BufReader},
    process::{Child, Command},
};

/// A child of this process; killed when dropped.
pub(super) struct Process {
    child: Child,
    /// Where it answers.
    pub(super) url: String,
    /// What it said of itself, for the simulator.
    pub(super) about: Value,
}

/// Memory of a process, in bytes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Memory {
    /// Now.
    pub(super) resident: u64,
    /// The most it ever was.
    pub(super) peak: u64,
}

impl Process {
    /// Starts `bursar` with `arguments`, and waits for the JSON line by which the simulator tells its address.
    pub(super) async fn simulator(arguments: &[String]) -> Result<Process, Failure> {
        let mut child = command(arguments, &[])?.stdout(Stdio::piped()).spawn().context("starting the simulator")?;
        let stdout = child.stdout.take().context("the simulator's output")?;
        let mut lines = BufReader::new(stdout).lines();
        let line = lines.next_line().await?.context("the simulator ended before it told its address")?;
        let about: Value = serde_json::from_str(&line)?;
        let url = about["url"].as_str().context("the simulator's address")?.to_owned();
        // The pipe must be read on, or the child would block once it is full.
        tokio::spawn(async move { while let Ok(Some(_)) = lines.next_line().await {} });
        Ok(Process { child, url, about })
    }

    /// Starts a node on `port` and waits until it is ready; answers how long that took.
    pub(super) async fn node(
        port: u16,
        arguments: &[String],
        environment: &[(String, String)],
    ) -> Result<(Process, Duration), Failure> {
        let watch = kit::Stopwatch::start();
        let child = command(arguments, environment)?.stdout(Stdio::null()).spawn().context("starting a node")?;
        let mut process = Process { child, url: format!("http://127.0.0.1:{port}"), about: Value::Null };
        loop {
            if super::load::status_of(port, "/readyz").await == Some(200) {
                return Ok((process, watch.elapsed()));
            }
            if let Some(status) = process.child.try_wait()? {
                return Err(anyhow::anyhow!("the node ended with {status} before it was ready").into());
            }
            if watch.elapsed() > Duration::from_secs(60) {
                return Err(anyhow::anyhow!("the node was not ready within a minute").into());
            }
            kit::clock::pause(Duration::from_millis(1)).await;
        }
    }

    /// How much memory it holds.
    pub(super) fn memory(&self) -> Result<Memory, Failure> {
        let id = self.child.id().context("the process has ended")?;
        let status = std::fs::read_to_string(format!("/proc/{id}/status"))?;
        let kilobytes = |name: &str| -> u64 {
            let line = status.lines().find(|line| line.starts_with(name));
            line.and_then(|line| line.split_whitespace().nth(1)).and_then(|number| number.parse().ok()).unwrap_or(0)
        };
        Ok(Memory { resident: kilobytes("VmRSS:") * 1024, peak: kilobytes("VmHWM:") * 1024 })
    }

    /// Asks it to stop, and waits until it has.
    pub(super) async fn stop(mut self) -> Result<(), Failure> {
        if let Some(id) = self.child.id() {
            Command::new("kill").arg("-TERM").arg(id.to_string()).status().await?;
        }
        self.child.wait().await?;
        Ok(())
    }
}

fn command(arguments: &[String], environment: &[(String, String)]) -> Result<Command, Failure> {
    let mut command = Command::new(std::env::current_exe()?);
    // The benchmark's own settings must not leak into its children.
    for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("BURSAR_") || name == "DATABASE_URL") {
        command.env_remove(name);
    }
    command.args(arguments).envs(environment.iter().cloned()).kill_on_drop(true);
    Ok(command)
}

/// A port that was free a moment ago.
pub(super) fn free_port() -> Result<u16, Failure> {
    Ok(std::net::TcpListener::bind(("127.0.0.1", 0))?.local_addr()?.port())
}
