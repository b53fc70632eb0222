//! What stands before several nodes: hands each connection to one of those that run, as a load balancer does.

use crate::ProveError;
use std::{
    net::{Ipv4Addr, SocketAddr},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
};
use tokio::{
    net::{TcpListener, TcpStream},
    task::JoinHandle,
};

/// A balancer; it stops when it is dropped.
#[derive(Debug)]
pub(crate) struct Balancer {
    pub(crate) address: SocketAddr,
    behind: Arc<Mutex<Vec<SocketAddr>>>,
    task: JoinHandle<()>,
}

impl Balancer {
    /// Listens on a free port of this machine.
    pub(crate) async fn start() -> Result<Balancer, ProveError> {
        let listening = ProveError::io("listening before the nodes");
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.map_err(listening)?;
        let address = listener.local_addr().map_err(ProveError::io("listening before the nodes"))?;
        let behind: Arc<Mutex<Vec<SocketAddr>>> = Arc::default();
        let (turn, nodes) = (AtomicUsize::new(0), behind.clone());
        let task = tokio::spawn(async move {
            while let Ok((mut client, _)) = listener.accept().await {
                let node = {
                    let nodes = nodes.lock().unwrap_or_else(PoisonError::into_inner);
                    let turn = turn.fetch_add(1, Ordering::Relaxed);
                    (!nodes.is_empty()).then(|| nodes[turn % nodes.len()])
                };
                let Some(node) = node else { continue };
                tokio::spawn(async move {
                    let Ok(mut server) = TcpStream::connect(node).await else { return };
                    let (_, _) = (client.set_nodelay(true), server.set_nodelay(true));
                    // A node that ends cuts the client off, as it would without a balancer.
                    let _ = tokio::io::copy_bidirectional(&mut client, &mut server).await;
                });
            }
        });
        Ok(Balancer { address, behind, task })
    }

    /// The nodes that run now.
    pub(crate) fn set(&self, nodes: Vec<SocketAddr>) {
        *self.behind.lock().unwrap_or_else(PoisonError::into_inner) = nodes;
    }
}

impl Drop for Balancer {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// A port that was free a moment ago.
pub(crate) fn free_address() -> Result<SocketAddr, ProveError> {
    let looked = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).and_then(|listener| listener.local_addr());
    looked.map_err(ProveError::io("looking for a free port"))
}
