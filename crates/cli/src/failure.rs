//! How a command fails: what happened, what to do, a stable code, an exit code.

use std::process::ExitCode;

/// A command's failure, as a person reads it.
#[derive(Debug)]
pub(crate) struct Failure {
    what: String,
    what_to_do: String,
    code: String,
    exit: u8,
}

impl Failure {
    /// Something went wrong that has no code of its own.
    pub(crate) fn failed(error: anyhow::Error) -> Failure {
        Failure { what: format!("{error:#}"), what_to_do: String::new(), code: "failed".to_owned(), exit: 1 }
    }

    /// A failure with a code and what to do.
    pub(crate) fn new(exit: u8, code: &str, what: impl Into<String>, what_to_do: impl Into<String>) -> Failure {
        Failure { what: what.into(), what_to_do: what_to_do.into(), code: code.to_owned(), exit }
    }

    /// Writes it to standard error.
    #[expect(clippy::print_stderr, reason = "this is where a command speaks to a person")]
    pub(crate) fn print(&self) {
        eprintln!("error: {}", self.what);
        if !self.what_to_do.is_empty() {
            eprintln!("  do:  {}", self.what_to_do);
        }
        eprintln!("  code: {}", self.code);
    }

    /// What the shell gets.
    pub(crate) fn exit_code(&self) -> ExitCode {
        ExitCode::from(self.exit)
    }
}

impl From<anyhow::Error> for Failure {
    fn from(error: anyhow::Error) -> Failure {
        Failure::failed(error)
    }
}

impl From<server::StartError> for Failure {
    fn from(error: server::StartError) -> Failure {
        let chain = platform::problem::Chain(&error).to_string();
        Failure::new(3, error.code(), chain, error.what_to_do())
    }
}

impl From<store::StoreError> for Failure {
    fn from(error: store::StoreError) -> Failure {
        Failure::new(3, error.code(), platform::problem::Chain(&error).to_string(), error.what_to_do())
    }
}

impl From<platform::Problem> for Failure {
    fn from(problem: platform::Problem) -> Failure {
        Failure::new(if problem.status >= 500 { 1 } else { 4 }, problem.code, problem.detail, problem.what_to_do)
    }
}

impl From<std::io::Error> for Failure {
    fn from(error: std::io::Error) -> Failure {
        Failure::failed(error.into())
    }
}

impl From<serde_json::Error> for Failure {
    fn from(error: serde_json::Error) -> Failure {
        Failure::failed(error.into())
    }
}
