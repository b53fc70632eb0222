//! Why a drill could not be played to its end. What it finds is no error: it is its figures.

/// Why a drill could not be played to its end.
#[derive(Debug, thiserror::Error)]
pub enum DrillError {
    /// The node did not start.
    #[error("the node did not start")]
    Start(#[from] server::StartError),
    /// The simulator did not do what it was told.
    #[error(transparent)]
    Simulator(#[from] simulator::SimulatorError),
    /// The database did not serve.
    #[error("the database did not serve")]
    Store(#[from] store::StoreError),
    /// No port, no connection, no answer.
    #[error("a request was not answered")]
    Request(#[from] reqwest::Error),
    /// No port could be listened on.
    #[error("no port could be listened on")]
    Port(#[from] std::io::Error),
    /// Something was refused that has to succeed for the drill to mean anything.
    #[error("{what} was refused: {why}")]
    Refused {
        /// What was to be done.
        what: String,
        /// In the words of who refused it.
        why: String,
    },
    /// Work went on for longer than anything needs.
    #[error("things did not become quiet: {waiting}")]
    NeverQuiet {
        /// What was still to be done.
        waiting: String,
    },
}

impl DrillError {
    /// A refusal by whoever gives this error.
    pub fn refused(what: impl Into<String>, why: impl std::fmt::Display) -> DrillError {
        DrillError::Refused { what: what.into(), why: why.to_string() }
    }

    /// A stable code.
    pub fn code(&self) -> &'static str {
        match self {
            DrillError::Start(error) => error.code(),
            DrillError::Simulator(_) => "simulator_refused",
            DrillError::Store(error) => error.code(),
            DrillError::Request(_) => "no_answer",
            DrillError::Port(_) => "port_unavailable",
            DrillError::Refused { .. } => "drill_refused",
            DrillError::NeverQuiet { .. } => "never_quiet",
        }
    }
}
