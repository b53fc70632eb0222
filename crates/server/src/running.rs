//! A node's life: start in well under a second, run its roles, stop without losing anything.

use crate::{Parts, PartsOptions, StartError, router};
use axum::{Router, serve::ListenerExt};
use platform::{
    CancellationToken, JobKind, Roles, Schedule, Slice, Subscriber, config::Config, notice, schedule, worker,
};
use std::{net::SocketAddr, sync::Arc, time::Duration};
use tokio::{net::TcpListener, task::JoinSet};

/// How long answers under way may take when the node stops.
const GRACE: Duration = Duration::from_secs(10);

/// A node at work.
pub struct Running {
    /// Where it answers, if it has the role `api`.
    pub address: Option<SocketAddr>,
    /// Its slices.
    pub parts: Arc<Parts>,
    stopping: CancellationToken,
    tasks: JoinSet<()>,
}

/// Starts a node.
///
/// # Errors
/// Whatever keeps it from starting; nothing is left running then.
pub async fn start(config: &Config, options: PartsOptions) -> Result<Running, StartError> {
    // The port first: a second server is told so at once, before it touches the database.
    let listener = if config.roles.api { Some(listen(config.listen).await?) } else { None };
    let address = listener.as_ref().and_then(|listener| listener.local_addr().ok());
    let parts = Arc::new(Parts::open(config, options).await?);
    let stopping = CancellationToken::new();
    let mut slices = parts.slices();
    let mut tasks = JoinSet::new();
    if let Some(listener) = listener {
        let router = router::router(&parts.base, &parts.identity, &mut slices, stopping.clone());
        tasks.spawn(answer(listener, router, stopping.clone()));
    }
    run_roles(&parts, config.roles, slices, &stopping, &mut tasks);
    Ok(Running { address, parts, stopping, tasks })
}

async fn listen(address: SocketAddr) -> Result<TcpListener, StartError> {
    TcpListener::bind(address).await.map_err(|source| match source.kind() {
        std::io::ErrorKind::AddrInUse => StartError::PortInUse(address),
        _ => StartError::Listen { address, source },
    })
}

fn run_roles(parts: &Parts, roles: Roles, slices: Vec<Slice>, stopping: &CancellationToken, tasks: &mut JoinSet<()>) {
    let base = &parts.base;
    let mut kinds: Vec<JobKind> = Vec::new();
    let mut schedules: Vec<Schedule> = Vec::new();
    let mut subscribers: Vec<Subscriber> = Vec::new();
    for slice in slices {
        kinds.extend(slice.jobs);
        schedules.extend(slice.schedules);
        subscribers.extend(slice.subscribers);
        for background in slice.background {
            if roles.serves(background.role) {
                tasks.spawn((background.run)(stopping.clone()));
            }
        }
    }
    kinds.push(notice::delivery(subscribers));
    if roles.worker {
        tasks.spawn(worker::run(base.clone(), kinds, stopping.clone()));
    }
    if roles.scheduler {
        tasks.spawn(schedule::run(base.clone(), schedules, stopping.clone()));
    }
    let (store, stopping) = (base.store.clone(), stopping.clone());
    tasks.spawn(async move {
        tokio::select! {
            () = store.listen() => {}
            () = stopping.cancelled() => {}
        }
    });
}

async fn answer(listener: TcpListener, router: Router, stopping: CancellationToken) {
    // Small answers must not wait for more to fill a packet.
    let listener = listener.tap_io(|stream| drop(stream.set_nodelay(true)));
    let service = router.into_make_service_with_connect_info::<SocketAddr>();
    let graceful = axum::serve(listener, service).with_graceful_shutdown(stopping.clone().cancelled_owned());
    tokio::select! {
        served = graceful => if let Err(error) = served {
            tracing::error!(%error, "answering requests ended");
        },
        () = async { stopping.cancelled().await; kit::clock::pause(GRACE).await } => {
            tracing::info!("open connections were closed when the grace ended");
        }
    }
}

impl Running {
    /// `http://127.0.0.1:8080`, for people on this machine.
    pub fn local_url(&self) -> Option<String> {
        self.address.map(|address| match address.ip().is_unspecified() {
            true => format!("http://127.0.0.1:{}", address.port()),
            false => format!("http://{address}"),
        })
    }

    /// Stops: takes no new work, finishes steps under way, then closes the database.
    pub async fn stop(mut self) {
        self.stopping.cancel();
        while self.tasks.join_next().await.is_some() {}
        self.parts.base.store.close().await;
    }
}
