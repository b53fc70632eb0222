//! `bursar serve`: runs a node.

use crate::{
    failure::Failure,
    output, remote,
    settings::{NodeSettings, Settings},
};
use clap::Args;
use kit::{ExposeSecret, Secret};
use platform::config::Config;
use server::{PartsOptions, Running};
use std::path::Path;

/// Runs a node: answers HTTP, works through jobs, starts scheduled work. Ctrl-C stops it without losing anything.
#[derive(Args)]
pub(crate) struct Serve {
    #[command(flatten)]
    node: NodeSettings,
    /// Towards the simulator only: send as many calls as it takes, without Stripe's limits.
    #[arg(long, hide = true)]
    without_limits: bool,
}

impl Serve {
    pub(crate) async fn run(self, settings: &Settings) -> Result<(), Failure> {
        let config = settings.config_with(&self.node)?;
        settings.start_log(&config, "info")?;
        let mut options = PartsOptions::default();
        if self.without_limits && config.stripe_api_base.starts_with("http://127.0.0.1") {
            options.limits = None;
        }
        let running = server::start(&config, options).await?;
        announce(&config, &running).await?;
        stop_requested().await;
        output::say("Stopping: finishing what is under way …");
        drop(std::fs::remove_file(remote::run_file(&config.data_dir)));
        running.stop().await;
        Ok(())
    }
}

/// Prints where to look, and leaves address and token where later commands find them.
async fn announce(config: &Config, running: &Running) -> Result<(), Failure> {
    let Some(url) = running.local_url() else {
        output::say(format!("Bursar {} works in the background; it answers no HTTP.", env!("CARGO_PKG_VERSION")));
        return Ok(());
    };
    std::fs::create_dir_all(&config.data_dir)?;
    let run = remote::RunFile { url: url.clone(), process_id: std::process::id() };
    std::fs::write(remote::run_file(&config.data_dir), serde_json::to_vec(&run)?)?;
    if let Some(token) = &running.parts.bootstrap.admin_token {
        keep_token(&config.data_dir, token)?;
    }
    let code = running.parts.identity.sign_in_code().await.map_err(server::StartError::from)?;
    output::say(format!("Bursar {} answers at {url}", env!("CARGO_PKG_VERSION")));
    output::say(format!("  sign in   {url}/sign-in/{code}   (once, within ten minutes)"));
    match (&running.parts.bootstrap.admin_token, remote::token_file(&config.data_dir)) {
        (Some(token), file) => {
            output::say(format!("  token     {}   (shown once; kept in {})", token.expose_secret(), file.display()));
        }
        (None, file) if file.exists() && config.admin_token.is_none() => {
            output::say(format!("  token     in {}", file.display()));
        }
        (None, _) => output::say("  token     the one you set"),
    }
    for finding in config.findings() {
        output::say(format!("  note      {}", finding.text));
    }
    Ok(())
}

/// Keeps a generated token where its owner, and nobody else, can read it.
pub(crate) fn keep_token(data_dir: &Path, token: &Secret) -> std::io::Result<()> {
    use std::{io::Write, os::unix::fs::OpenOptionsExt};
    let path = remote::token_file(data_dir);
    let mut file = std::fs::File::options().write(true).create(true).truncate(true).mode(0o600).open(path)?;
    writeln!(file, "{}", token.expose_secret())
}

/// Resolves at Ctrl-C or when the service manager asks to stop.
pub(crate) async fn stop_requested() {
    let terminated = async {
        match tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate()) {
            Ok(mut signal) => drop(signal.recv().await),
            Err(_) => std::future::pending().await,
        }
    };
    tokio::select! {
        _ = tokio::signal::ctrl_c() => {}
        () = terminated => {}
    }
}
