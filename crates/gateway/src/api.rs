//! JSON: connections and the outbox.

mod connections;
mod outbox;

use crate::Gateway;
use axum::{Json, Router, extract::rejection::JsonRejection, http::StatusCode};
use platform::Problem;

/// All routes of this feature.
pub(crate) fn routes(gateway: Gateway) -> Router {
    connections::routes().merge(outbox::routes()).with_state(gateway)
}

type Answered<T> = Result<T, Problem>;

/// Reads a JSON body. What was sent is not repeated in the refusal: it may hold a key.
fn body<T>(read: Result<Json<T>, JsonRejection>) -> Answered<T> {
    let rejection = match read {
        Ok(Json(body)) => return Ok(body),
        Err(rejection) => rejection,
    };
    let (code, what) = match rejection {
        JsonRejection::JsonDataError(_) => ("bad_field", "A field is missing, unknown or of the wrong type"),
        JsonRejection::JsonSyntaxError(_) => ("bad_json", "The body is not JSON"),
        JsonRejection::MissingJsonContentType(_) => ("bad_content_type", "The body must be application/json"),
        other if other.status() == StatusCode::PAYLOAD_TOO_LARGE => ("body_too_large", "The body is too large"),
        _ => ("bad_body", "The body cannot be read"),
    };
    let status = if code == "body_too_large" { StatusCode::PAYLOAD_TOO_LARGE } else { StatusCode::BAD_REQUEST };
    Err(Problem::new(status, code, "The body is not as it must be", format!("{what}."))
        .what_to_do("Correct the body and send the request again."))
}

fn bad_cursor(error: kit::paging::BadCursor) -> Problem {
    Problem::bad_field("cursor", format!("{error}."))
}
