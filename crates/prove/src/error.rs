//! What keeps a run from being made at all; what a run finds is no error but a difference.

/// Why a run could not be made.
#[derive(Debug, thiserror::Error)]
pub enum ProveError {
    /// A node did not start.
    #[error("a node did not start")]
    Start(#[from] server::StartError),
    /// The database for the run could not be made, looked into or removed.
    #[error("the database of the run")]
    Store(#[from] store::StoreError),
    /// A file, a port or a process.
    #[error("{what}")]
    Io {
        /// What was being done.
        what: &'static str,
        /// What the system said.
        source: std::io::Error,
    },
    /// Bursar could not be asked what it holds.
    #[error("Bursar could not be asked for {what}: {reason}")]
    Look {
        /// What was asked for.
        what: &'static str,
        /// Why not.
        reason: String,
    },
    /// The simulator answered what the prover does not understand.
    #[error("the simulator answered {status} to {asked}: {body}")]
    Simulator {
        /// What was asked.
        asked: String,
        /// The status.
        status: u16,
        /// The beginning of the answer.
        body: String,
    },
}

impl ProveError {
    /// For `map_err` on what files and sockets answer.
    pub(crate) fn io(what: &'static str) -> impl FnOnce(std::io::Error) -> ProveError {
        move |source| ProveError::Io { what, source }
    }

    /// For `map_err` on what Bursar's slices answer.
    pub(crate) fn look<E: std::fmt::Debug>(what: &'static str) -> impl FnOnce(E) -> ProveError {
        move |error| ProveError::Look { what, reason: format!("{error:?}") }
    }

    /// A stable code.
    pub fn code(&self) -> &'static str {
        match self {
            ProveError::Start(_) => "prove_start",
            ProveError::Store(_) => "prove_database",
            ProveError::Io { .. } => "prove_io",
            ProveError::Look { .. } => "prove_look",
            ProveError::Simulator { .. } => "prove_simulator",
        }
    }
}
