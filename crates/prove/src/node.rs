//! A node in this process with a runtime of its own, so that it can be ended between any two steps as by `kill -9`.

use crate::ProveError;
use platform::config::Config;
use server::{Parts, PartsOptions, Running};
use std::{sync::Arc, time::Duration};
use tokio::runtime::{Builder, Runtime};

/// Starting again has to wait until the database's last connection has gone; longer than this means that it never goes.
const START_TRIES: u32 = 600;

/// Closing what a killed node left open takes milliseconds.
const CLOSING: Duration = Duration::from_secs(5);

/// A node that runs.
pub(crate) struct Node {
    /// Its slices.
    pub(crate) parts: Arc<Parts>,
    running: Option<Running>,
    /// Taken out only when the node ends.
    runtime: Option<Runtime>,
}

impl Node {
    /// Starts a node; where one ended a moment ago, as soon as its folder and port are free.
    pub(crate) async fn start(config: &Config, options: impl Fn() -> PartsOptions) -> Result<Node, ProveError> {
        let runtime = Builder::new_multi_thread()
            .worker_threads(2)
            .thread_name("prove-node")
            .enable_all()
            .build()
            .map_err(ProveError::io("starting a node's runtime"))?;
        let mut tries = 0;
        loop {
            let (config, options) = (config.clone(), options());
            let started = runtime.spawn(async move { server::start(&config, options).await }).await;
            let error = match started {
                Ok(Ok(running)) => {
                    let parts = running.parts.clone();
                    return Ok(Node { parts, running: Some(running), runtime: Some(runtime) });
                }
                Ok(Err(error)) => ProveError::Start(error),
                Err(ended) => ProveError::Look { what: "a start", reason: ended.to_string() },
            };
            tries += 1;
            let is_busy =
                matches!(&error, ProveError::Start(error) if matches!(error.code(), "folder_in_use" | "port_in_use"));
            if !is_busy || tries >= START_TRIES {
                runtime.shutdown_background();
                return Err(error);
            }
            kit::clock::pause(Duration::from_millis(10)).await;
        }
    }

    /// Runs something on the node's own threads: it ends with the node. None if the node ended first.
    pub(crate) async fn run<T: Send + 'static>(&self, work: impl Future<Output = T> + Send + 'static) -> Option<T> {
        let runtime = self.runtime.as_ref()?;
        runtime.spawn(work).await.ok()
    }

    /// As [`Node::run`], without waiting for it.
    pub(crate) fn begin<T: Send + 'static>(
        &self,
        work: impl Future<Output = T> + Send + 'static,
    ) -> Option<tokio::task::JoinHandle<T>> {
        Some(self.runtime.as_ref()?.spawn(work))
    }

    /// Ends the node as `kill -9` does: every task ends where it waits, sockets close, nothing is finished.
    pub(crate) async fn kill(mut self) {
        let store = self.parts.base.store.clone();
        if let Some(runtime) = self.runtime.take() {
            drop(self.running.take());
            runtime.shutdown_background();
        }
        // What the system does for a process that has died: its files and sockets are closed.
        let _ = tokio::time::timeout(CLOSING, store.close()).await;
    }

    /// Ends the node as an operator does.
    pub(crate) async fn stop(mut self) {
        if let (Some(runtime), Some(running)) = (self.runtime.take(), self.running.take()) {
            // Ends when everything under way has; an error would be a panic in it, which the log shows.
            let _ = runtime.spawn(running.stop()).await;
            runtime.shutdown_background();
        }
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        // A runtime must not be dropped where tasks run; it ends by itself.
        if let Some(runtime) = self.runtime.take() {
            drop(self.running.take());
            runtime.shutdown_background();
        }
    }
}
