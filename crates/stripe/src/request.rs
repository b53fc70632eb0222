//! One call to Stripe as a value: it can be built, compared, stored and sent later.

use crate::form;
use kit::Secret;
use percent_encoding::utf8_percent_encode;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// The verb of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum Method {
    /// Reads.
    Get,
    /// Creates, updates, acts.
    Post,
    /// Deletes.
    Delete,
}

impl Method {
    /// The verb as it is written on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            Method::Get => "GET",
            Method::Post => "POST",
            Method::Delete => "DELETE",
        }
    }
}

/// Which of Stripe's hosts a call goes to. Source: FACTS section 2.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Base {
    /// `api.stripe.com`: nearly everything.
    #[default]
    Api,
    /// `connect.stripe.com`: OAuth.
    Connect,
    /// `meter-events.stripe.com`: the stream of meter events.
    MeterEvents,
}

/// Parameters as nested JSON. For v1 they become a form ([`crate::form`]), for v2 a JSON body.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Params(pub Map<String, Value>);

impl Params {
    /// No parameters.
    pub fn none() -> Params {
        Params::default()
    }

    /// These, and `name` set to `value`. A value of `None` or an empty list adds nothing to what is sent.
    pub fn with(mut self, name: &str, value: impl Serialize) -> Params {
        // Only maps with keys that are no text fail to become JSON; our parameters have none, and a missing
        // parameter is refused by Stripe by its name.
        if let Ok(value) = serde_json::to_value(value) {
            self.0.insert(name.to_owned(), value);
        }
        self
    }

    /// The fields of a serializable struct.
    pub fn from_fields(fields: &impl Serialize) -> Result<Params, serde_json::Error> {
        serde_json::from_value(serde_json::to_value(fields)?)
    }
}

/// One call: what is asked for, without who asks ([`Credentials`]).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Request {
    /// The verb.
    pub method: Method,
    /// The host.
    #[serde(default)]
    pub base: Base,
    /// Path from the root, such as `/v1/charges/ch_1`; ids in it are percent-encoded.
    pub path: String,
    /// Parameters: query for GET and DELETE, body for POST.
    #[serde(default)]
    pub params: Params,
    /// Sent with POST, and with DELETE in v2; 255 characters at most. Every write should carry one (GW-5).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub idempotency_key: Option<String>,
}

impl Request {
    /// Reads `path`.
    pub fn get(path: impl Into<String>, params: Params) -> Request {
        Request::new(Method::Get, path.into(), params)
    }

    /// Writes to `path`.
    pub fn post(path: impl Into<String>, params: Params) -> Request {
        Request::new(Method::Post, path.into(), params)
    }

    /// Deletes `path`.
    pub fn delete(path: impl Into<String>) -> Request {
        Request::new(Method::Delete, path.into(), Params::none())
    }

    fn new(method: Method, path: String, params: Params) -> Request {
        Request { method, base: Base::Api, path, params, idempotency_key: None }
    }

    /// The same call under an idempotency key.
    pub fn with_idempotency_key(self, key: impl Into<String>) -> Request {
        Request { idempotency_key: Some(key.into()), ..self }
    }

    /// Whether the call only reads; reads count against the read allocation (FACTS section 7).
    pub fn is_read(&self) -> bool {
        self.method == Method::Get
    }

    /// Whether this is one of Stripe's search calls, which have a limit of their own.
    pub fn is_search(&self) -> bool {
        self.is_read() && self.path.ends_with("/search")
    }

    /// Verb and path with every id replaced, as in `GET /v1/invoices/{id}/lines`. Stripe limits each of these
    /// separately, and not each object (FACTS section 7).
    pub fn endpoint_pattern(&self) -> String {
        format!("{} {}", self.method.as_str(), path_pattern(&self.path))
    }

    pub(crate) fn is_v2(&self) -> bool {
        self.path.starts_with("/v2/")
    }

    pub(crate) fn form(&self) -> String {
        form::encode(&self.params.0)
    }
}

/// Who asks: a key and, with Connect, the account it acts for.
#[derive(Clone, Debug)]
pub struct Credentials {
    /// A secret or restricted key, or an OAuth access token.
    pub api_key: Secret,
    /// The connected account (`acct_…`) that the key acts for; none for the key's own account.
    pub account: Option<String>,
}

impl Credentials {
    /// A key for its own account.
    pub fn own(api_key: Secret) -> Credentials {
        Credentials { api_key, account: None }
    }
}

/// An id as one segment of a path: ids of coupons and products are chosen by users and may hold anything.
pub(crate) fn segment(id: &str) -> String {
    utf8_percent_encode(id, form::UNRESERVED).to_string()
}

/// First parts of paths that group collections and are no collection themselves.
const NAMESPACES: [&str; 25] = [
    "apps",
    "billing",
    "billing_portal",
    "checkout",
    "climate",
    "core",
    "crypto",
    "data",
    "entitlements",
    "financial_connections",
    "forwarding",
    "identity",
    "issuing",
    "money_management",
    "payments",
    "radar",
    "reporting",
    "sigma",
    "simulations",
    "stripecli",
    "tax",
    "terminal",
    "test_helpers",
    "treasury",
    "vault",
];
/// Words that stand where an id would.
const ACTIONS_ON_COLLECTIONS: [&str; 5] = ["search", "create_preview", "preview", "upcoming", "financing_summary"];

/// A path is a version, namespaces, and then a collection and an id in turn; an action on an object stands where a
/// collection would. Ids cannot be told by their look, since users choose some of them.
fn path_pattern(path: &str) -> String {
    let mut pattern = String::with_capacity(path.len());
    let (mut in_namespaces, mut id_is_next) = (true, false);
    for (position, part) in path.trim_matches('/').split('/').enumerate() {
        pattern.push('/');
        let is_version_or_namespace = position == 0 || (in_namespaces && NAMESPACES.contains(&part));
        if is_version_or_namespace {
            pattern.push_str(part);
            continue;
        }
        in_namespaces = false;
        let is_id = id_is_next && !ACTIONS_ON_COLLECTIONS.contains(&part);
        pattern.push_str(if is_id { "{id}" } else { part });
        id_is_next = !id_is_next;
    }
    pattern
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn endpoints_are_told_apart_by_pattern_and_not_by_id() {
        let check = |path: &str, pattern: &str| assert_eq!(path_pattern(path), pattern);
        check("/v1/charges", "/v1/charges");
        check("/v1/charges/ch_1", "/v1/charges/{id}");
        check("/v1/products/gold", "/v1/products/{id}");
        check("/v1/coupons/charges", "/v1/coupons/{id}");
        check("/v1/charges/search", "/v1/charges/search");
        check("/v1/invoices/in_1/lines", "/v1/invoices/{id}/lines");
        check("/v1/invoices/in_1/lines/il_1", "/v1/invoices/{id}/lines/{id}");
        check("/v1/credit_notes/preview/lines", "/v1/credit_notes/preview/lines");
        check("/v1/test_helpers/test_clocks/clock_1/advance", "/v1/test_helpers/test_clocks/{id}/advance");
        check("/v2/core/events/evt_1", "/v2/core/events/{id}");
        check("/oauth/token", "/oauth/token");
        check("/v1/account", "/v1/account");
    }

    #[test]
    fn requests_are_stored_and_read_back() {
        let request = Request::post("/v1/refunds", Params::none().with("charge", "ch_1").with("amount", 5))
            .with_idempotency_key("intent_1");
        let stored = json!({"method": "POST", "base": "api", "path": "/v1/refunds", "params": {"charge": "ch_1", "amount": 5}, "idempotency_key": "intent_1"});
        assert_eq!(serde_json::to_value(&request).unwrap(), stored);
        assert_eq!(serde_json::from_value::<Request>(stored).unwrap(), request);
        let shortest = json!({"method": "GET", "path": "/v1/account"});
        assert_eq!(serde_json::from_value::<Request>(shortest).unwrap(), Request::get("/v1/account", Params::none()));
    }

    #[test]
    fn ids_cannot_leave_their_segment() {
        assert_eq!(segment("ch_1"), "ch_1");
        assert_eq!(segment("../account?x=#"), "..%2Faccount%3Fx%3D%23");
    }

    #[test]
    fn credentials_do_not_print_their_key() {
        let credentials = Credentials::own(Secret::from("sk_test_visible"));
        assert!(!format!("{credentials:?}").contains("visible"));
    }
}
