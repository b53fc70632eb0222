//! The control routes that make things go wrong, and right again.

use super::{Of, Outcome, account, read, refused, written};
use crate::{
    faults::{Fault, FaultPlan},
    json::json_text,
    simulator::Simulator,
};
use http::{Method, StatusCode};
use serde::Deserialize;
use serde_json::Value;

#[derive(Deserialize)]
struct EndpointsAsked {
    status: Status,
}

#[derive(Deserialize)]
#[serde(rename_all = "snake_case")]
enum Status {
    Enabled,
    Disabled,
}

/// The outcome of a call, if it is one of these.
pub(super) fn answer(simulator: &Simulator, method: &Method, path: &str, body: &[u8]) -> Option<Outcome> {
    let faults = simulator.faults();
    let outcome = match (method.as_str(), path) {
        ("GET", "/_sim/faults") => written(&faults.report()),
        ("POST", "/_sim/faults") => read::<Value>(body)
            .and_then(|value| Fault::from_json(value).map_err(wrong))
            .and_then(|fault| faults.set(fault).map_err(|error| refused(&error)))
            .map(|id| json_text!({ "id": i64::try_from(id).unwrap_or(i64::MAX) })),
        ("DELETE", "/_sim/faults") => {
            faults.clear_all();
            Ok(json_text!({ "cleared": true }))
        }
        ("POST", "/_sim/plan") => read::<Value>(body)
            .and_then(|value| FaultPlan::from_json(value).map_err(wrong))
            .and_then(|plan| faults.follow(plan).map_err(|error| refused(&error)))
            .map(|()| json_text!({ "following": true })),
        ("DELETE", "/_sim/plan") => {
            faults.stop_plan();
            Ok(json_text!({ "cleared": true }))
        }
        ("POST", "/_sim/endpoints") => read::<Of<EndpointsAsked>>(body).and_then(|asked| {
            let enabled = matches!(asked.what.status, Status::Enabled);
            simulator
                .set_endpoints_enabled(&account(simulator, &asked.place), asked.place.livemode, enabled)
                .map(|count| json_text!({ "endpoints": count as i64 }))
                .map_err(|error| refused(&error))
        }),
        ("DELETE", "/_sim/idempotency-keys") => read::<Of<Nothing>>(body).and_then(|asked| {
            simulator
                .forget_idempotency_keys(&account(simulator, &asked.place), asked.place.livemode)
                .map(|count| json_text!({ "forgotten": count as i64 }))
                .map_err(|error| refused(&error))
        }),
        ("POST", "/_sim/heal") => {
            simulator.heal();
            Ok(json_text!({ "healed": true }))
        }
        ("DELETE", _) => {
            let id: u64 = path.strip_prefix("/_sim/faults/")?.parse().ok()?;
            if faults.clear(id) {
                Ok(json_text!({ "cleared": true }))
            } else {
                Err((StatusCode::NOT_FOUND, format!("fault {id} is not set, or not any more")))
            }
        }
        _ => return None,
    };
    Some(outcome)
}

#[derive(Deserialize)]
struct Nothing {}

fn wrong(message: String) -> (StatusCode, String) {
    (StatusCode::BAD_REQUEST, message)
}
