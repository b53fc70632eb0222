//! A Stripe that says what a test told it to, remembers idempotency keys, and counts effects.

use axum::{
    Router,
    body::Body,
    extract::{Request, State},
    http::{HeaderMap, StatusCode},
    response::{IntoResponse, Response},
};
use futures::stream;
use serde_json::{Value, json};
use std::{
    collections::{HashMap, VecDeque},
    sync::{Arc, Mutex},
    time::Duration,
};
use testkit::Served;

/// What comes of one call.
#[derive(Clone, Debug)]
pub(crate) enum Turn {
    /// The usual: an effect for a new key, a replay for a known one, a list for a read.
    Usual,
    /// This status and error, no effect.
    Refuse(u16, Value),
    /// As `Refuse`, with a header.
    RefuseWith(u16, Value, &'static str, &'static str),
    /// The effect, and then the connection breaks.
    EffectThenCut,
    /// A failure that the key remembers, without an effect.
    FailForKey,
    /// The usual, after a while.
    Late(Duration),
}

#[derive(Default)]
pub(crate) struct Seen {
    turns: VecDeque<Turn>,
    always: Option<Turn>,
    remembered: HashMap<String, (u16, String)>,
    /// Every call: method, path, key.
    pub(crate) calls: Vec<(String, String, Option<String>)>,
    /// Objects made.
    pub(crate) effects: usize,
    pub(crate) at_once: usize,
    pub(crate) most_at_once: usize,
    pub(crate) last_headers: HeaderMap,
}

#[derive(Clone, Default)]
pub(crate) struct Scripted {
    seen: Arc<Mutex<Seen>>,
}

impl Scripted {
    pub(crate) async fn serve(&self) -> Served {
        Served::start(Router::new().fallback(answer).with_state(self.clone())).await
    }

    /// What comes of the next calls, one each; then the usual again.
    pub(crate) fn next(&self, turns: impl IntoIterator<Item = Turn>) {
        self.with(|seen| seen.turns.extend(turns));
    }

    /// What comes of every call for which nothing else is said.
    pub(crate) fn always(&self, turn: Option<Turn>) {
        self.with(|seen| seen.always = turn);
    }

    pub(crate) fn with<T>(&self, look: impl FnOnce(&mut Seen) -> T) -> T {
        look(&mut self.seen.lock().unwrap())
    }

    pub(crate) fn calls(&self) -> usize {
        self.with(|seen| seen.calls.len())
    }

    pub(crate) fn effects(&self) -> usize {
        self.with(|seen| seen.effects)
    }
}

async fn answer(State(scripted): State<Scripted>, request: Request) -> Response {
    let key = request.headers().get("idempotency-key").map(|key| key.to_str().unwrap().to_owned());
    let is_read = request.method() == "GET";
    let turn = scripted.with(|seen| {
        seen.calls.push((request.method().to_string(), request.uri().path().to_owned(), key.clone()));
        seen.last_headers = request.headers().clone();
        seen.at_once += 1;
        seen.most_at_once = seen.most_at_once.max(seen.at_once);
        let always = seen.always.clone();
        seen.turns.pop_front().or(always).unwrap_or(Turn::Usual)
    });
    if let Turn::Late(by) = &turn {
        kit::clock::pause(*by).await;
    }
    scripted.with(|seen| {
        seen.at_once -= 1;
        match turn {
            Turn::Usual | Turn::Late(_) if is_read => {
                json_answer(200, &json!({"object": "list", "data": [], "has_more": false}).to_string())
            }
            Turn::Usual | Turn::Late(_) => seen.effect(key),
            Turn::Refuse(status, error) => json_answer(status, &json!({ "error": error }).to_string()),
            Turn::RefuseWith(status, error, name, value) => {
                let mut answer = json_answer(status, &json!({ "error": error }).to_string());
                answer.headers_mut().insert(name, value.parse().unwrap());
                answer
            }
            Turn::EffectThenCut => {
                seen.effect(key);
                cut()
            }
            Turn::FailForKey => {
                let body = json!({"error": {"type": "api_error", "message": "it broke"}}).to_string();
                let answer = json_answer(500, &body);
                seen.remembered.insert(key.unwrap(), (500, body));
                answer
            }
        }
    })
}

impl Seen {
    fn effect(&mut self, key: Option<String>) -> Response {
        if let Some((status, body)) = key.as_ref().and_then(|key| self.remembered.get(key)) {
            return json_answer(*status, body);
        }
        self.effects += 1;
        let body = json!({"id": format!("we_{}", self.effects), "object": "webhook_endpoint", "client_secret": "whsec_scripted"});
        let body = body.to_string();
        if let Some(key) = key {
            self.remembered.insert(key, (200, body.clone()));
        }
        json_answer(200, &body)
    }
}

fn json_answer(status: u16, body: &str) -> Response {
    let headers = [("content-type", "application/json"), ("request-id", "req_scripted")];
    (StatusCode::from_u16(status).unwrap(), headers, body.to_owned()).into_response()
}

/// An answer whose body breaks off.
fn cut() -> Response {
    let broken = stream::iter([Ok("{\"id\":"), Err(std::io::Error::other("cut"))]);
    Response::new(Body::from_stream(broken))
}

pub(crate) fn error(code: &str) -> Value {
    json!({"type": "invalid_request_error", "code": code, "message": format!("refused: {code}")})
}
