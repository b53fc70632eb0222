//! The simulator at hand: a stand-in for Stripe on a loopback port, with the keys of an account.

use crate::Stage;
use kit::Secret;
use simulator::{AccountKeys, Business, Options, Simulator, Summary};
use std::net::{Ipv4Addr, SocketAddr};
use tokio::{net::TcpListener, sync::oneshot, task::JoinHandle};

/// A simulated Stripe that answers on the network. It stops when this is dropped.
#[derive(Debug)]
pub struct SimulatedStripe {
    /// The simulator itself, to look into and to give faults.
    pub simulator: Simulator,
    /// The account that is there from the start.
    pub account: AccountKeys,
    address: SocketAddr,
    running: Option<Running>,
}

#[derive(Debug)]
struct Running {
    stop: oneshot::Sender<()>,
    task: JoinHandle<()>,
}

impl SimulatedStripe {
    /// Starts one with the stage's clock and seed, without limits or latency.
    pub async fn start(stage: &Stage) -> SimulatedStripe {
        SimulatedStripe::start_with(SimulatedStripe::options(stage)).await
    }

    /// What [`SimulatedStripe::start`] uses, to be changed: `Options { latency, ..SimulatedStripe::options(&stage) }`.
    pub fn options(stage: &Stage) -> Options {
        Options { clock: stage.clock.shared(), seed: stage.seed, ..Options::default() }
    }

    /// Starts one that behaves as the options say.
    pub async fn start_with(options: Options) -> SimulatedStripe {
        let simulator = Simulator::new(options);
        let account = simulator.default_account();
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("the loopback address has a free port");
        let address = listener.local_addr().expect("a bound listener has an address");
        let running = Some(serve(&simulator, listener));
        SimulatedStripe { simulator, account, address, running }
    }

    /// Where its API is: `http://127.0.0.1:…`, without a slash at the end.
    pub fn base_url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// The account's secret key for test data.
    pub fn secret_key(&self) -> Secret {
        self.account.secret_key_test.clone()
    }

    /// Makes a believable business in the account.
    pub fn generate(&self, business: &Business) -> Summary {
        self.simulator.generate(&self.account.account_id, business).expect("the account is there")
    }

    /// Stripe cannot be reached: nothing listens until [`SimulatedStripe::come_back`]. What it knows is kept.
    pub async fn go_away(&mut self) {
        if let Some(Running { stop, task }) = self.running.take() {
            let _ = stop.send(());
            let _ = task.await;
        }
    }

    /// Stripe can be reached again, at the same address.
    pub async fn come_back(&mut self) {
        if self.running.is_none() {
            let address = self.address;
            let listener = TcpListener::bind(address)
                .await
                .unwrap_or_else(|error| panic!("{address} was taken meanwhile: {error}"));
            self.running = Some(serve(&self.simulator, listener));
        }
    }
}

fn serve(simulator: &Simulator, listener: TcpListener) -> Running {
    let (stop, stopped) = oneshot::channel();
    let task = tokio::spawn(simulator.clone().serve(listener, async {
        // An error means that the handle is gone, and then it is time to stop as well.
        let _ = stopped.await;
    }));
    Running { stop, task }
}
