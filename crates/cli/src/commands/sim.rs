//! `bursar sim`: only the Stripe simulator.

use crate::{commands::serve::stop_requested, failure::Failure, output, settings::Settings};
use clap::Args;
use kit::ExposeSecret;
use serde_json::json;
use simulator::{Business, Limits, Options, Simulator, SimulatorError, TrafficPlan};
use std::{net::SocketAddr, time::Duration};

/// Runs a stateful stand-in for Stripe. Point Bursar, an official SDK or the official CLI at its address.
#[derive(Args)]
pub(crate) struct Sim {
    /// Address to answer on.
    #[arg(long, default_value = "127.0.0.1:12111", value_name = "ADDRESS")]
    listen: SocketAddr,
    /// The same seed makes the same business.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Customers of the business; 0 for an empty account.
    #[arg(long, default_value_t = 5_000)]
    customers: u32,
    /// Charges over two years.
    #[arg(long, default_value_t = 60_000)]
    charges: u32,
    /// Put the business into live mode instead of test mode.
    #[arg(long)]
    live: bool,
    /// Refuse calls beyond Stripe's rate limits.
    #[arg(long)]
    limits: bool,
    /// Milliseconds each answer takes at least.
    #[arg(long, default_value_t = 0, value_name = "MS")]
    latency_ms: u64,
    /// Things that happen each second from then on: sales, refunds, disputes, changes; each sends webhooks.
    #[arg(long, default_value_t = 0, value_name = "RATE")]
    traffic: u32,
    /// Print one line of JSON with address and keys.
    #[arg(long)]
    json: bool,
}

impl Sim {
    pub(crate) async fn run(self, settings: &Settings) -> Result<(), Failure> {
        let config = settings.config()?;
        settings.start_log(&config, "warn")?;
        let listener = tokio::net::TcpListener::bind(self.listen).await.map_err(|error| match error.kind() {
            std::io::ErrorKind::AddrInUse => server::StartError::PortInUse(self.listen),
            _ => server::StartError::Listen { address: self.listen, source: error },
        })?;
        let url = format!("http://{}", listener.local_addr()?);
        let simulator = Simulator::new(Options {
            seed: self.seed,
            limits: if self.limits { Limits::PUBLISHED } else { Limits::Off },
            latency: Duration::from_millis(self.latency_ms),
            ..Options::default()
        });
        let account = simulator.default_account();
        if self.customers > 0 {
            let business = Business {
                seed: self.seed,
                customers: self.customers,
                charges: self.charges,
                livemode: self.live,
                ..Business::default()
            };
            simulator.generate(&account.account_id, &business).map_err(simulator_failure)?;
        }
        if self.traffic > 0 {
            let plan = TrafficPlan { per_second: self.traffic };
            simulator.start_traffic(&account.account_id, self.live, &plan).map_err(simulator_failure)?;
        }
        let (test_key, live_key) = (account.secret_key_test.expose_secret(), account.secret_key_live.expose_secret());
        if self.json {
            output::say(
                json!({ "url": url, "account": account.account_id, "test_key": test_key, "live_key": live_key }),
            );
        } else {
            output::say(format!("Stripe's stand-in answers at {url}"));
            output::say(format!("  account    {}", account.account_id));
            output::say(format!("  test key   {test_key}"));
            output::say(format!("  live key   {live_key}"));
            output::say(format!("  faults     {url}/_sim"));
        }
        simulator.serve(listener, stop_requested()).await;
        Ok(())
    }
}

/// What the simulator refused.
pub(crate) fn simulator_failure(error: SimulatorError) -> Failure {
    Failure::new(2, "simulator_refused", error.to_string(), "Correct the arguments; see `bursar sim --help`.")
}
