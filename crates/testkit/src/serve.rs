//! A router on a real port of the loopback address, for what only a network shows: webhooks that arrive, streams,
//! connections that break.

use axum::Router;
use std::net::{Ipv4Addr, SocketAddr};
use tokio::{net::TcpListener, task::JoinHandle};

/// A router that listens. It stops when this is dropped: connections are cut, as when a process is killed.
#[derive(Debug)]
pub struct Served {
    address: SocketAddr,
    task: JoinHandle<()>,
}

impl Served {
    /// Serves a router on a free port. Requests know the client's address (`ConnectInfo`).
    pub async fn start(router: Router) -> Served {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("the loopback address has a free port");
        Served::on(listener, router)
    }

    /// Serves a router where another stopped: clients that know the address find it again.
    pub async fn start_at(address: SocketAddr, router: Router) -> Served {
        let listener =
            TcpListener::bind(address).await.unwrap_or_else(|error| panic!("{address} is not free: {error}"));
        Served::on(listener, router)
    }

    fn on(listener: TcpListener, router: Router) -> Served {
        let address = listener.local_addr().expect("a bound listener has an address");
        let service = router.into_make_service_with_connect_info::<SocketAddr>();
        let task = tokio::spawn(async move {
            // Ends only with the task.
            let _ = axum::serve(listener, service).await;
        });
        Served { address, task }
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// An address under it: `served.url("/webhooks/stripe")`.
    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// Stops listening, and gives the address for another to take.
    pub async fn stop(mut self) -> SocketAddr {
        self.task.abort();
        let _ = (&mut self.task).await;
        self.address
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        self.task.abort();
    }
}
