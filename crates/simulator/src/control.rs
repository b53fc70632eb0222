//! `/_sim/*`: steering the simulator from outside. JSON both ways, no key, callers on this machine only.

mod door;
mod faulty;
mod money;

pub(crate) use door::{is_for, refuses};

use crate::{generate::Business, json::json_text, resources::dispute, simulator::Simulator, traffic::TrafficPlan};
use http::{Method, StatusCode};
use kit::{ExposeSecret, Secret};
use serde::Deserialize;
use serde_json::json;
use std::time::Duration;

/// The routes, for the README and for whoever asks for one that is not there.
pub(crate) const ROUTES: [&str; 20] = [
    "GET /_sim (a page for people)",
    "GET /_sim/stats",
    "GET /_sim/deliveries",
    "GET /_sim/totals",
    "POST /_sim/time {advance_seconds}",
    "POST /_sim/generate {seed, customers, charges, months, …}",
    "POST /_sim/traffic {per_second} or {per_second: 0} to stop",
    "POST /_sim/keys {permissions: […]}, {revoke: \"sk_…\"} or {restore: \"sk_…\"}; \"all\" for all of the account",
    "POST /_sim/endpoints {status: \"disabled\" or \"enabled\"}",
    "DELETE /_sim/idempotency-keys",
    "POST /_sim/accounts {name}",
    "GET /_sim/faults",
    "POST /_sim/faults {call | webhooks, fault, …, times, every, for_seconds}",
    "POST /_sim/plan {seed, everything_per_10_000 | chances: [{per_10_000, call | webhooks, fault, …}]}",
    "DELETE /_sim/plan",
    "DELETE /_sim/faults or /_sim/faults/{id}",
    "POST /_sim/heal (ends every fault, restores keys, enables endpoints)",
    "POST /_sim/disputes {charge, reason} or {dispute, won}",
    "POST /_sim/money {fee | adjustment, currency} or {fail_payout, code}",
    "POST /_sim/fixtures (Stripe's fixtures file)",
];

#[derive(Default, Deserialize)]
#[serde(default)]
struct Place {
    account: Option<String>,
    livemode: bool,
}

#[derive(Deserialize)]
struct TimeAsked {
    advance_seconds: u64,
}

#[derive(Deserialize)]
struct KeysAsked {
    #[serde(flatten)]
    place: Place,
    #[serde(default)]
    permissions: Vec<String>,
    revoke: Option<String>,
    restore: Option<String>,
}

#[derive(Deserialize)]
struct AccountAsked {
    name: String,
}

#[derive(Deserialize)]
struct DisputeAsked {
    #[serde(flatten)]
    place: Place,
    charge: Option<String>,
    #[serde(default)]
    reason: Option<String>,
    dispute: Option<String>,
    #[serde(default)]
    won: bool,
}

#[derive(Deserialize)]
struct Of<T> {
    #[serde(flatten)]
    place: Place,
    #[serde(flatten)]
    what: T,
}

type Outcome = Result<String, (StatusCode, String)>;

/// Answers a call to `/_sim/*`.
pub(crate) async fn answer(simulator: &Simulator, method: &Method, path: &str, body: &[u8]) -> (StatusCode, String) {
    let outcome = match (method.as_str(), path) {
        ("GET", "/_sim/stats") => written(&simulator.stats()),
        ("GET", "/_sim/deliveries") => written(&simulator.deliveries()),
        ("GET", "/_sim/totals") => {
            let account = simulator.default_account().account_id;
            simulator.totals(&account, false).map_err(|error| refused(&error)).and_then(|totals| written(&totals))
        }
        ("POST", "/_sim/time") => read::<TimeAsked>(body)
            .and_then(|asked| {
                simulator.advance(Duration::from_secs(asked.advance_seconds)).map_err(|error| refused(&error))
            })
            .map(|now| json_text!({ "now": now })),
        ("POST", "/_sim/generate") => generate(simulator, body).await,
        ("POST", "/_sim/traffic") => read::<Of<TrafficPlan>>(body).and_then(|asked| {
            let account = account(simulator, &asked.place);
            if asked.what.per_second == 0 {
                simulator.stop_traffic();
                return Ok(json_text!({ "traffic": "stopped" }));
            }
            simulator.start_traffic(&account, asked.place.livemode, &asked.what).map_err(|error| refused(&error))?;
            Ok(json_text!({ "traffic": "started", "per_second": i64::from(asked.what.per_second) }))
        }),
        ("POST", "/_sim/keys") => read::<KeysAsked>(body).and_then(|asked| keys(simulator, &asked)),
        ("POST", "/_sim/accounts") => read::<AccountAsked>(body).map(|asked| {
            let keys = simulator.account_with_keys(&asked.name);
            json!({
                "account": keys.account_id,
                "secret_key_test": keys.secret_key_test.expose_secret(),
                "secret_key_live": keys.secret_key_live.expose_secret(),
                "publishable_key_test": keys.publishable_key_test.expose_secret(),
                "publishable_key_live": keys.publishable_key_live.expose_secret(),
            })
            .to_string()
        }),
        ("POST", "/_sim/disputes") => read::<DisputeAsked>(body).and_then(|asked| disputes(simulator, &asked)),
        ("POST", "/_sim/money") => money::answer(simulator, body),
        ("POST", "/_sim/fixtures") => std::str::from_utf8(body)
            .map_err(|_| (StatusCode::BAD_REQUEST, "the fixtures are not UTF-8".to_owned()))
            .and_then(|text| {
                simulator.load_fixtures(&simulator.default_account().account_id, text).map_err(|error| refused(&error))
            })
            .and_then(|loaded| written(&loaded)),
        _ => faulty::answer(simulator, method, path, body).unwrap_or_else(|| {
            Err((StatusCode::NOT_FOUND, format!("there is no {method} {path}; there are: {}", ROUTES.join("; "))))
        }),
    };
    match outcome {
        Ok(text) => (StatusCode::OK, text),
        Err((status, message)) => (status, json_text!({ "error": message })),
    }
}

fn read<T: serde::de::DeserializeOwned>(body: &[u8]) -> Result<T, (StatusCode, String)> {
    let body = if body.is_empty() { b"{}" } else { body };
    serde_json::from_slice(body)
        .map_err(|error| (StatusCode::BAD_REQUEST, format!("the body is not what is expected: {error}")))
}

fn written(value: &impl serde::Serialize) -> Outcome {
    serde_json::to_string(value).map_err(|error| (StatusCode::INTERNAL_SERVER_ERROR, error.to_string()))
}

fn refused(error: &dyn std::error::Error) -> (StatusCode, String) {
    (StatusCode::BAD_REQUEST, error.to_string())
}

fn account(simulator: &Simulator, place: &Place) -> String {
    place.account.clone().unwrap_or_else(|| simulator.default_account().account_id)
}

/// Generating takes seconds for a large business: it has a thread of its own.
async fn generate(simulator: &Simulator, body: &[u8]) -> Outcome {
    let asked = read::<Of<Business>>(body)?;
    let business = Business { livemode: asked.place.livemode, ..asked.what };
    let (simulator, account) = (simulator.clone(), account(simulator, &asked.place));
    let made = tokio::task::spawn_blocking(move || simulator.generate(&account, &business)).await;
    match made {
        Ok(Ok(summary)) => written(&summary),
        Ok(Err(error)) => Err(refused(&error)),
        Err(error) => Err((StatusCode::INTERNAL_SERVER_ERROR, error.to_string())),
    }
}

fn keys(simulator: &Simulator, asked: &KeysAsked) -> Outcome {
    for (named, word, revoked) in [(&asked.revoke, "revoked", true), (&asked.restore, "restored", false)] {
        let Some(key) = named else { continue };
        let done = match key.as_str() {
            "all" => simulator.set_keys_revoked(&account(simulator, &asked.place), asked.place.livemode, revoked) > 0,
            one if revoked => simulator.revoke_key(&Secret::from(one)),
            one => simulator.restore_key(&Secret::from(one)),
        };
        return Ok(json!({ word: done }).to_string());
    }
    let permissions: Vec<&str> = asked.permissions.iter().map(String::as_str).collect();
    let key = simulator
        .restricted_key(&account(simulator, &asked.place), asked.place.livemode, &permissions)
        .map_err(|error| refused(&error))?;
    Ok(json_text!({ "key": key.expose_secret() }))
}

fn disputes(simulator: &Simulator, asked: &DisputeAsked) -> Outcome {
    let side =
        simulator.side(&account(simulator, &asked.place), asked.place.livemode).map_err(|error| refused(&error))?;
    let outcome = simulator.work(&side, None, |work| match (&asked.charge, &asked.dispute) {
        (Some(charge), None) => dispute::open(work, charge, asked.reason.as_deref().unwrap_or("fraudulent"), false),
        (None, Some(dispute)) => dispute::decide(work, dispute, asked.won),
        _ => Err(crate::problem::Refusal::bad("name either a charge or a dispute")),
    });
    outcome.map(|text| text.to_string()).map_err(|error| refused(&error))
}
