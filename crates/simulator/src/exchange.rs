//! From an HTTP request to an answer: authentication, limits, parameters, idempotency, the call itself, expansion.

mod list;

use crate::{
    API_VERSION, expand,
    faults::{CallFault, Occasion, PROXY_PAGE},
    form,
    idempotency::Begin,
    keys::Key,
    problem::Refusal,
    resources::{Call, Kind, Method, Verb, test_clock},
    routes::{self, Found, Route},
    search,
    simulator::{Side, Simulator},
    work::{Cause, parse},
};
use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
pub(crate) use list::range;
use list::{add_filters, list_query, list_text};
use serde_json::Value;
use std::{sync::Arc, time::Duration};

/// An answer that is ready to be sent.
#[derive(Clone, Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) body: Bytes,
    pub(crate) request_id: String,
    pub(crate) version: String,
    /// The account that the call named to act on.
    pub(crate) account: Option<String>,
    pub(crate) idempotency_key: Option<String>,
    /// Request id of the first execution, when this is a replay.
    pub(crate) original_request: Option<String>,
    pub(crate) limited_by: Option<&'static str>,
    pub(crate) should_retry: Option<bool>,
    /// A proxy's page in place of Stripe's answer, without any of Stripe's headers.
    pub(crate) is_garbage: bool,
    pub(crate) manner: Manner,
}

/// How an answer is sent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Manner {
    /// As it should be.
    #[default]
    Whole,
    /// Not at all: the connection is closed.
    Dropped,
    /// Not at all: the connection is closed after this time, or when the client leaves.
    Held(Duration),
    /// Half of its body, then the connection is closed.
    Cut,
    /// In small pieces, over this time.
    Dribbled(Duration),
}

/// A request as it came in.
pub(crate) struct Asked<'a> {
    pub(crate) method: &'a http::Method,
    pub(crate) path: &'a str,
    pub(crate) query: &'a str,
    pub(crate) headers: &'a HeaderMap,
    pub(crate) body: &'a [u8],
}

/// A version is a date and perhaps a name; older ones than `2025-03-31.basil` have other shapes than the simulator's.
pub(crate) fn check_version(version: &str) -> Result<(), Refusal> {
    let date = version.split('.').next().unwrap_or_default();
    let shaped = date.len() == 10
        && date
            .bytes()
            .enumerate()
            .all(|(at, byte)| if at == 4 || at == 7 { byte == b'-' } else { byte.is_ascii_digit() });
    if !shaped {
        return Err(Refusal::bad(format!("Invalid Stripe API version: {version}")));
    }
    if date < "2025-03-31" {
        return Err(Refusal::bad(format!(
            "The simulator answers in the shape of {API_VERSION}; version {version} is too old for it."
        )));
    }
    Ok(())
}

fn text_header<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name).and_then(|value| value.to_str().ok())
}

/// What stays the same through one request.
struct Exchange<'a> {
    simulator: &'a Simulator,
    asked: &'a Asked<'a>,
    request_id: String,
    version: String,
}

/// Answers a request to `/v1` or `/v2`.
pub(crate) async fn answer(simulator: &Simulator, asked: &Asked<'_>) -> Answer {
    let exchange = Exchange {
        simulator,
        asked,
        request_id: simulator.inner.request_ids.new_id("req_"),
        version: text_header(asked.headers, "stripe-version")
            .unwrap_or(simulator.inner.options.default_version)
            .to_owned(),
    };
    let answer = match exchange.run().await {
        Ok(answer) => answer,
        Err(refusal) => exchange.refuse(&refusal),
    };
    simulator.inner.counters.answer(answer.status);
    answer
}

impl Exchange<'_> {
    async fn run(&self) -> Result<Answer, Refusal> {
        let authorization = text_header(self.asked.headers, "authorization");
        let (key, shown) = self.simulator.keys().authenticate(authorization)?;
        check_version(&self.version)?;
        let (route, id) = self.route()?;
        let own = self
            .simulator
            .side(&key.account, key.livemode)
            .map_err(|_| Refusal::new(401, format!("Invalid API Key provided: {shown}")))?;
        // The limits are those of the key's account, whosever books it works on.
        let taken = own.limiter().take(route.number, matches!(route.endpoint.verb, Verb::Search(_)));
        if let Err(refusal) = taken {
            self.simulator.inner.counters.limit(route.number);
            self.wait(Duration::ZERO).await;
            return Err(refusal);
        }
        self.simulator.inner.counters.call(route.number);
        let side = self.acted_on(&key, &shown, own)?;
        let writes = route.endpoint.method != Method::Get;
        if let Err(refusal) = key.permit(&shown, route.endpoint.permission, writes) {
            self.wait(Duration::ZERO).await;
            return Err(refusal);
        }
        let occasion = Occasion { name: &route.name, id: &self.request_id, now: self.simulator.now() };
        let fault = self.simulator.fault_book().for_call(route.endpoint.method, &occasion);
        if let Some(fault) = fault.as_ref().filter(|fault| fault.is_before_effect()) {
            // Whatever stands in Stripe's way stands in the way of a replay too.
            self.wait(Duration::ZERO).await;
            return Ok(self.spoiled(self.ready(200, Bytes::new()), fault));
        }
        let answer = match route.endpoint.method {
            // Of v2, deletions are idempotent too.
            Method::Delete if self.is_v2() => self.post(&key, &side, route, id, fault.as_ref()).await,
            Method::Post => self.post(&key, &side, route, id, fault.as_ref()).await,
            _ => self.execute(&side, route, id, None, fault.as_ref()).await,
        };
        Ok(match fault {
            Some(fault) => self.spoiled(answer?, &fault),
            None => answer?,
        })
    }

    /// The account that the call names to act on, if it names one: in v1 by `Stripe-Account`, in v2 by `Stripe-Context`,
    /// which v1 takes too (FACTS section 2).
    fn named_account(&self) -> Result<Option<&str>, Refusal> {
        let named = ["stripe-account", "stripe-context"].map(|name| text_header(self.asked.headers, name));
        match named {
            [Some(_), Some(_)] => {
                Err(Refusal::bad("Only one of the headers Stripe-Account and Stripe-Context can be given."))
            }
            [account, context] => Ok(account.or(context)),
        }
    }

    /// Whose books the call works on: the one place where two accounts meet. Everything after it (idempotency keys, verbs,
    /// events, money) has one account only.
    fn acted_on(&self, key: &Key, shown: &str, own: Arc<Side>) -> Result<Arc<Side>, Refusal> {
        let Some(account) = self.named_account()? else { return Ok(own) };
        let side = match self.simulator.may_act(&key.account, account) {
            true => self.simulator.side(account, key.livemode).ok(),
            false => None,
        };
        side.ok_or_else(|| {
            Refusal::new(403, format!("The provided key '{shown}' does not have access to account '{account}' (or that account does not exist). Application access may have been revoked."))
                .code("account_invalid")
        })
    }

    /// The answer as the fault leaves it.
    fn spoiled(&self, answer: Answer, fault: &CallFault) -> Answer {
        if let Some(refusal) = fault.refusal() {
            return Answer { idempotency_key: answer.idempotency_key, ..self.refuse(&refusal) };
        }
        let manner = match fault {
            CallFault::Timeout { hold_ms, .. } => Manner::Held(Duration::from_millis(*hold_ms)),
            CallFault::Drop { .. } => Manner::Dropped,
            CallFault::CutBody => Manner::Cut,
            CallFault::Dribble { over_ms } => Manner::Dribbled(Duration::from_millis(*over_ms)),
            CallFault::Garbage { status, .. } => {
                return Answer { status: *status, body: PROXY_PAGE.into(), is_garbage: true, ..answer };
            }
            _ => Manner::Whole,
        };
        Answer { manner, ..answer }
    }

    fn route(&self) -> Result<(&'static Route, String), Refusal> {
        let unknown = || {
            Refusal::new(
                404,
                format!(
                    "Unrecognized request URL ({}: {}). Please see https://stripe.com/docs or we can help at https://support.stripe.com/.",
                    self.asked.method, self.asked.path
                ),
            )
        };
        let method = routes::method(self.asked.method).ok_or_else(unknown)?;
        match routes::find(method, self.asked.path) {
            Found::Call(route, id) => Ok((route, id)),
            Found::Unsimulated(name) => Err(Refusal::new(
                404,
                format!("The simulator does not do {name}. Stripe has this call; see the simulator's README for those that are done."),
            )
            .code("simulator_does_not_do_this")),
            Found::Nothing => Err(unknown()),
        }
    }

    /// A POST, once per idempotency key.
    async fn post(
        &self,
        key: &Key,
        side: &Arc<Side>,
        route: &'static Route,
        id: String,
        fault: Option<&CallFault>,
    ) -> Result<Answer, Refusal> {
        let Some(name) = text_header(self.asked.headers, "idempotency-key") else {
            return self.execute(side, route, id, None, fault).await;
        };
        if name.is_empty() || name.len() > 255 {
            return Err(Refusal::bad("Idempotency keys have 1 to 255 characters."));
        }
        let asked = format!("{} {} {}", self.asked.path, String::from_utf8_lossy(self.asked.body), key.account);
        let begin = side.remembered().begin(name, &asked, self.simulator.now());
        match begin {
            Begin::Run => {}
            Begin::Replay(answer) => {
                self.wait(fault.map(CallFault::delay).unwrap_or_default()).await;
                let original = Some(answer.request_id.clone());
                return Ok(Answer { request_id: self.request_id.clone(), original_request: original, ..*answer });
            }
            Begin::Differs => {
                let mut refusal = Refusal::bad(format!(
                    "Keys for idempotent requests can only be used with the same parameters they were first used with. Try using a key other than '{name}' if you meant to execute a different request."
                ));
                refusal.kind = "idempotency_error";
                return Err(refusal);
            }
            Begin::Running => {
                let mut refusal = Refusal::new(409, format!("There is currently another in-progress request using this Stripe-Idempotent-Key (that probably means you submitted twice, and the other request is still going through): {name}. Please try again later."))
                    .code("idempotency_key_in_use");
                refusal.kind = "idempotency_error";
                return Err(refusal);
            }
        }
        let guard = KeyGuard { side, name, kept: false };
        let outcome = self.execute(side, route, id, Some(name.to_owned()), fault).await;
        guard.finish(outcome)
    }

    /// Runs the call. Its answer is what the idempotency key remembers; a refusal before that frees the key.
    async fn execute(
        &self,
        side: &Arc<Side>,
        route: &'static Route,
        id: String,
        key: Option<String>,
        fault: Option<&CallFault>,
    ) -> Result<Answer, Refusal> {
        self.wait(fault.map(CallFault::delay).unwrap_or_default()).await;
        let sent = self.sent(route.endpoint.method)?;
        let mut parameters = route.accepts.check(sent)?;
        let paths = parameters.take("expand").unwrap_or_default();
        let expands: Vec<&str> = paths.as_array().into_iter().flatten().filter_map(Value::as_str).collect();
        let (path, query) = (self.asked.path.to_owned(), self.asked.query.to_owned());
        let call = Call { path, query, now: self.simulator.now(), id, parameters };
        let host = text_header(self.asked.headers, "host").unwrap_or_default().to_owned();
        let cause = Cause { request_id: self.request_id.clone(), idempotency_key: key.clone(), host };
        let body = self.call(side, route, call, cause, &expands);
        let mut answer = match body {
            Ok(body) => self.ready(200, body.into()),
            Err(refusal) => self.refuse(&refusal),
        };
        answer.idempotency_key = key;
        if let Some(refusal) = fault.and_then(CallFault::refusal) {
            // As with Stripe, a failure after the effect is what the key remembers.
            answer = Answer { idempotency_key: answer.idempotency_key, ..self.refuse(&refusal) };
        }
        Ok(answer)
    }

    fn sent(&self, method: Method) -> Result<serde_json::Map<String, Value>, Refusal> {
        let mut tree = form::decode(self.asked.query)?;
        if method != Method::Get && !self.asked.body.is_empty() && self.is_v2() {
            tree.extend(form::from_json(self.asked.body)?);
        } else if method != Method::Get && !self.asked.body.is_empty() {
            let kind = text_header(self.asked.headers, "content-type").unwrap_or("application/x-www-form-urlencoded");
            if !kind.starts_with("application/x-www-form-urlencoded") {
                return Err(Refusal::bad(format!(
                    "Invalid request (check that your POST content type is application/x-www-form-urlencoded; it was {kind})."
                )));
            }
            let text = std::str::from_utf8(self.asked.body)
                .map_err(|_| Refusal::bad("Invalid request: the body is not UTF-8."))?;
            tree.extend(form::decode(text)?);
        }
        self.take_methods(&mut tree)?;
        Ok(tree)
    }

    /// Before 2026-09-30.endive the intents took `payment_method_types`; the official CLI still sends them (FACTS section 1).
    fn take_methods(&self, tree: &mut serde_json::Map<String, Value>) -> Result<(), Refusal> {
        const TOOK_THEM: [&str; 2] = ["/v1/payment_intents", "/v1/setup_intents"];
        let path = self.asked.path;
        if self.version.as_str() >= "2026-09-30" || !TOOK_THEM.iter().any(|start| path.starts_with(start)) {
            return Ok(());
        }
        let given = tree.shift_remove("payment_method_types");
        let given = given.as_ref().and_then(Value::as_object).into_iter().flat_map(|types| types.values());
        match given.filter_map(Value::as_str).find(|kind| *kind != "card") {
            Some(kind) => Err(Refusal::bad(format!("The simulator takes cards only, not {kind}."))
                .code("simulator_does_not_do_this")
                .param("payment_method_types")),
            None => Ok(()),
        }
    }

    fn call(
        &self,
        side: &Arc<Side>,
        route: &Route,
        mut call: Call,
        cause: Cause,
        expands: &[&str],
    ) -> Result<String, Refusal> {
        match &route.endpoint.verb {
            Verb::Retrieve(kind) => {
                let book = side.read();
                let text = book.get(*kind, &call.id).cloned().ok_or_else(|| self.missing(side, *kind, &call.id))?;
                if expands.is_empty() {
                    return Ok(text.to_string());
                }
                let mut object = parse(&text);
                expand::expand(&book, &mut object, expands)?;
                Ok(object.to_string())
            }
            Verb::List(kind, prepare) => {
                let book = side.read();
                let mut query = list_query(&book, *kind, &mut call)?;
                prepare(&book, &mut call, &mut query)?;
                add_filters(&book, *kind, &call.parameters, &mut query)?;
                let page = book.table(*kind).page(&query);
                if expands.is_empty() {
                    // The texts are shared: the book is free while the page is put together.
                    drop(book);
                    return Ok(list_text(&call.path, &page));
                }
                let mut list = parse(&list_text(&call.path, &page));
                expand::check_list(expands)?;
                expand::expand(&book, &mut list, expands)?;
                Ok(list.to_string())
            }
            Verb::Search(kind) => search::answer(&side.read(), *kind, &call, self.simulator.now(), expands),
            Verb::Compute(compute) => compute(&side.read(), &call, self.simulator.now()),
            Verb::Write(verb) => self.simulator.work(side, Some(cause), |work| {
                work.at_clock(test_clock::of(work.book, &call));
                let text = verb(work, &call)?;
                if expands.is_empty() {
                    return Ok(text.to_string());
                }
                let mut object = parse(&text);
                expand::expand(work.book, &mut object, expands)?;
                Ok(object.to_string())
            }),
        }
    }

    /// An unknown id; if the other mode has it, the message says so, as Stripe's does.
    fn missing(&self, side: &Side, kind: Kind, id: &str) -> Refusal {
        let other = self.simulator.side(&side.account, !side.livemode);
        let elsewhere = other.is_ok_and(|other| other.try_has(kind, id));
        let mut refusal = Refusal::no_such(kind.object(), id, None);
        if elsewhere {
            let (has, used) = if side.livemode { ("test", "live") } else { ("live", "test") };
            refusal.message = format!(
                "No such {}: '{id}'; a similar object exists in {has} mode, but a {used} mode key was used to make this request.",
                kind.object()
            );
        }
        refusal
    }

    async fn wait(&self, more: Duration) {
        let wait = self.simulator.inner.options.latency + more;
        if !wait.is_zero() {
            kit::clock::pause(wait).await;
        }
    }

    fn ready(&self, status: u16, body: Bytes) -> Answer {
        Answer {
            status,
            body,
            request_id: self.request_id.clone(),
            version: self.version.clone(),
            account: self.named_account().ok().flatten().map(str::to_owned),
            idempotency_key: None,
            original_request: None,
            limited_by: None,
            should_retry: None,
            is_garbage: false,
            manner: Manner::Whole,
        }
    }

    /// Calls of v2 have JSON in both directions and errors of their own shape.
    fn is_v2(&self) -> bool {
        self.asked.path.starts_with("/v2/")
    }

    fn refuse(&self, refusal: &Refusal) -> Answer {
        let body = match self.is_v2() {
            true => refusal.body_v2(&self.request_id).to_string(),
            false => refusal.body(&self.request_id).to_string(),
        };
        let mut answer = self.ready(refusal.status, body.into());
        if refusal.code == Some("lock_timeout") {
            // The one refusal without a request id (FACTS section 2).
            answer.request_id.clear();
        }
        Answer { limited_by: refusal.limited_by, should_retry: refusal.should_retry, ..answer }
    }
}

/// Frees the key if the request ends without an answer to keep, also when its connection is cut while it waits.
struct KeyGuard<'a> {
    side: &'a Side,
    name: &'a str,
    kept: bool,
}

impl KeyGuard<'_> {
    /// Keeps an answer whose execution began; a refusal before that frees the key.
    fn finish(mut self, outcome: Result<Answer, Refusal>) -> Result<Answer, Refusal> {
        let answer = outcome?;
        self.kept = true;
        self.side.remembered().finish(self.name, Some(answer.clone()));
        Ok(answer)
    }
}

impl Drop for KeyGuard<'_> {
    fn drop(&mut self) {
        if !self.kept {
            self.side.remembered().finish(self.name, None);
        }
    }
}

impl Side {
    /// Whether an object is there; false when somebody is writing, since the answer only serves a hint.
    fn try_has(&self, kind: Kind, id: &str) -> bool {
        self.try_read().is_some_and(|book| book.get(kind, id).is_some())
    }
}

impl Answer {
    /// The answer's status and headers.
    pub(crate) fn head(&self) -> (StatusCode, HeaderMap) {
        let mut headers = HeaderMap::with_capacity(8);
        let status = StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        if self.is_garbage {
            headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/html"));
            return (status, headers);
        }
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        let mut put = |name: &'static str, value: &str| {
            if let Ok(value) = HeaderValue::from_str(value) {
                headers.insert(HeaderName::from_static(name), value);
            }
        };
        if !self.request_id.is_empty() {
            put("request-id", &self.request_id);
        }
        put("stripe-version", &self.version);
        if let Some(account) = &self.account {
            put("stripe-account", account);
        }
        if let Some(key) = &self.idempotency_key {
            put("idempotency-key", key);
        }
        if let Some(original) = &self.original_request {
            put("original-request", original);
            put("idempotent-replayed", "true");
        }
        if let Some(reason) = self.limited_by {
            put("stripe-rate-limited-reason", reason);
        }
        if let Some(retry) = self.should_retry {
            put("stripe-should-retry", if retry { "true" } else { "false" });
        }
        (status, headers)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_dates_not_older_than_the_shapes() {
        for good in [API_VERSION, "2025-03-31.basil", "2026-08-26"] {
            assert!(check_version(good).is_ok(), "{good}");
        }
        for bad in ["", "latest", "2024-09-30.acacia", "2026-8-26"] {
            assert!(check_version(bad).is_err(), "{bad}");
        }
    }
}
