//! What can go wrong when figures are asked for.

use axum::response::{IntoResponse, Response};
use platform::Problem;
use store::StoreError;

/// Why a figure could not be given.
#[derive(Debug, thiserror::Error)]
pub enum RevenueError {
    /// A parameter of the question cannot be understood.
    #[error("{detail}")]
    BadParameter {
        /// Which one.
        name: &'static str,
        /// What is wrong with it and what is expected.
        detail: String,
    },
    /// The database did not serve.
    #[error("reading revenue failed")]
    Store(#[from] StoreError),
}

impl RevenueError {
    /// A stable code.
    pub fn code(&self) -> &'static str {
        match self {
            RevenueError::BadParameter { .. } => "bad_field",
            RevenueError::Store(error) => error.code(),
        }
    }

    /// Whether asking again may help.
    pub fn can_retry(&self) -> bool {
        match self {
            RevenueError::BadParameter { .. } => false,
            RevenueError::Store(error) => error.can_retry(),
        }
    }
}

impl From<RevenueError> for Problem {
    fn from(error: RevenueError) -> Problem {
        match error {
            RevenueError::BadParameter { name, detail } => Problem::bad_field(name, detail),
            RevenueError::Store(error) => Problem::from(error),
        }
    }
}

impl IntoResponse for RevenueError {
    fn into_response(self) -> Response {
        Problem::from(self).into_response()
    }
}
