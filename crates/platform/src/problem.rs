//! Errors as users and programs meet them: RFC 9457 problem documents with a stable code and what to do.

use axum::{
    Json,
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use serde::Serialize;
use store::{ErrorKind, StoreError};

/// A refusal or failure, ready to be answered.
#[derive(Clone, Debug, Serialize)]
pub struct Problem {
    /// RFC 9457 `type`: a name of ours for the kind of problem.
    #[serde(rename = "type")]
    pub kind: String,
    /// HTTP status.
    pub status: u16,
    /// Stable code for programs.
    pub code: &'static str,
    /// Short, the same for every occurrence.
    pub title: &'static str,
    /// What happened, to what.
    pub detail: String,
    /// What to do about it.
    pub what_to_do: String,
    /// The offending field of the request, if one is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub field: Option<String>,
    /// Further members, such as the tier that unlocks a call.
    #[serde(flatten)]
    pub more: serde_json::Map<String, serde_json::Value>,
}

impl Problem {
    /// A problem of `status` with a stable `code`.
    pub fn new(status: StatusCode, code: &'static str, title: &'static str, detail: impl Into<String>) -> Problem {
        Problem {
            kind: format!("urn:bursar:problem:{code}"),
            status: status.as_u16(),
            code,
            title,
            detail: detail.into(),
            what_to_do: String::new(),
            field: None,
            more: serde_json::Map::new(),
        }
    }

    /// What the reader should do.
    pub fn what_to_do(mut self, text: impl Into<String>) -> Problem {
        self.what_to_do = text.into();
        self
    }

    /// The offending field.
    pub fn field(mut self, field: impl Into<String>) -> Problem {
        self.field = Some(field.into());
        self
    }

    /// A further member.
    pub fn with(mut self, name: &str, value: impl Into<serde_json::Value>) -> Problem {
        self.more.insert(name.to_owned(), value.into());
        self
    }

    /// 400: a field that cannot be understood.
    pub fn bad_field(field: impl Into<String>, detail: impl Into<String>) -> Problem {
        Problem::new(StatusCode::BAD_REQUEST, "bad_field", "A field is not as it must be", detail)
            .field(field)
            .what_to_do("Correct the field and send the request again.")
    }

    /// 401: nobody is known to be calling.
    pub fn unauthorized(detail: impl Into<String>) -> Problem {
        Problem::new(StatusCode::UNAUTHORIZED, "unauthorized", "Not signed in", detail)
            .what_to_do("Send the token as `Authorization: Bearer …`, or sign in to the console.")
    }

    /// 404: `what` with `id` does not exist for this caller.
    pub fn not_found(what: &str, id: &str) -> Problem {
        Problem::new(StatusCode::NOT_FOUND, "not_found", "Not found", format!("There is no {what} `{id}`."))
            .what_to_do("Check the id, and that you are in the right organization and environment.")
    }

    /// 409.
    pub fn conflict(code: &'static str, detail: impl Into<String>) -> Problem {
        Problem::new(StatusCode::CONFLICT, code, "In conflict with what is there", detail)
    }

    /// 500: a fault of ours. The cause goes to the log and not to the caller.
    pub fn internal(error: &(dyn std::error::Error + 'static)) -> Problem {
        tracing::error!(error = %Chain(error), "a request failed by a fault of ours");
        Problem::new(
            StatusCode::INTERNAL_SERVER_ERROR,
            "internal",
            "A fault of Bursar",
            "The request failed by a fault of ours; nothing was half done.",
        )
        .what_to_do("Try again; if it stays, report it with the request id.")
    }

    /// The HTTP status.
    pub fn status_code(&self) -> StatusCode {
        StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
    }
}

/// An error with its sources, in one line, for the log.
pub struct Chain<'a>(pub &'a (dyn std::error::Error + 'static));

impl std::fmt::Display for Chain<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}", self.0)?;
        let mut source = self.0.source();
        while let Some(error) = source {
            write!(f, ": {error}")?;
            source = error.source();
        }
        Ok(())
    }
}

impl From<StoreError> for Problem {
    fn from(error: StoreError) -> Problem {
        let status = match error.kind() {
            ErrorKind::Unavailable | ErrorKind::Busy => StatusCode::SERVICE_UNAVAILABLE,
            ErrorKind::Full => StatusCode::INSUFFICIENT_STORAGE,
            _ => return Problem::internal(&error),
        };
        tracing::warn!(error = %Chain(&error), code = error.code(), "the database did not serve a request");
        let title = "The database does not serve right now";
        Problem::new(status, error.code(), title, error.to_string()).what_to_do(error.what_to_do())
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let status = self.status_code();
        let mut response = (status, Json(&self)).into_response();
        response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        if status == StatusCode::SERVICE_UNAVAILABLE || status == StatusCode::TOO_MANY_REQUESTS {
            response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from_static("2"));
        }
        // Pages show the same problem in the console's frame; see identity::pages.
        response.extensions_mut().insert(self);
        response
    }
}
