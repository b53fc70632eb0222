//! Calls to a router without a network: a request as a client would write it, and the whole answer.

use axum::{Router, body::Body, extract::ConnectInfo};
use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, StatusCode, header};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::Value;
use std::net::SocketAddr;
use tower::ServiceExt;

/// An answer with more is a fault of what is tested.
const ANSWER_BOUND_BYTES: usize = 16 * 1024 * 1024;

/// A request in the making: `Call::post("/v1/connections").bearer(token).json(&body).send(&router).await`.
#[derive(Debug)]
#[must_use = "a call is not made until it is sent"]
pub struct Call {
    request: Request<Bytes>,
}

impl Call {
    /// A request of any method; `path` may carry a query.
    pub fn new(method: Method, path: &str) -> Call {
        let request = Request::builder().method(method).uri(path).body(Bytes::new());
        Call { request: request.unwrap_or_else(|error| panic!("`{path}` is not a path: {error}")) }
    }

    /// A GET.
    pub fn get(path: &str) -> Call {
        Call::new(Method::GET, path)
    }

    /// A POST.
    pub fn post(path: &str) -> Call {
        Call::new(Method::POST, path)
    }

    /// A PATCH.
    pub fn patch(path: &str) -> Call {
        Call::new(Method::PATCH, path)
    }

    /// A DELETE.
    pub fn delete(path: &str) -> Call {
        Call::new(Method::DELETE, path)
    }

    /// Adds a header.
    pub fn header(mut self, name: &str, value: &str) -> Call {
        let name: HeaderName = name.parse().unwrap_or_else(|_| panic!("`{name}` is not a header's name"));
        let value: HeaderValue = value.parse().unwrap_or_else(|_| panic!("the value of `{name}` cannot be a header's"));
        self.request.headers_mut().append(name, value);
        self
    }

    /// Adds `Authorization: Bearer …`.
    pub fn bearer(self, token: &str) -> Call {
        self.header("authorization", &format!("Bearer {token}"))
    }

    /// Adds a cookie.
    pub fn cookie(self, name: &str, value: &str) -> Call {
        self.header("cookie", &format!("{name}={value}"))
    }

    /// Pretends that the client has this address.
    pub fn from_address(mut self, address: SocketAddr) -> Call {
        self.request.extensions_mut().insert(ConnectInfo(address));
        self
    }

    /// Sends these bytes, as they are.
    pub fn body(mut self, bytes: impl Into<Bytes>) -> Call {
        *self.request.body_mut() = bytes.into();
        self
    }

    /// Sends JSON.
    pub fn json(self, value: &impl Serialize) -> Call {
        let body = serde_json::to_vec(value).expect("the test's value becomes JSON");
        self.header("content-type", "application/json").body(body)
    }

    /// Sends a form that is encoded already: `a=1&b=2`.
    pub fn form(self, encoded: &str) -> Call {
        self.header("content-type", "application/x-www-form-urlencoded").body(encoded.to_owned())
    }

    /// Makes the call and reads the whole answer.
    pub async fn send(self, router: &Router) -> Answer {
        let asked = format!("{} {}", self.request.method(), self.request.uri());
        let request = self.request.map(Body::from);
        let Ok(response) = router.clone().oneshot(request).await;
        let (parts, body) = response.into_parts();
        let body = axum::body::to_bytes(body, ANSWER_BOUND_BYTES)
            .await
            .unwrap_or_else(|error| panic!("the answer to {asked} cannot be read: {error}"));
        Answer { asked, status: parts.status, headers: parts.headers, body }
    }
}

/// An answer, read to its end.
#[derive(Clone, Debug)]
pub struct Answer {
    /// What was asked, for messages: `GET /v1/inbox`.
    pub asked: String,
    /// Its status.
    pub status: StatusCode,
    /// Its headers.
    pub headers: HeaderMap,
    /// Its body's bytes.
    pub body: Bytes,
}

impl Answer {
    /// Goes on with an answer of this status, and fails the test with the body of any other.
    #[track_caller]
    pub fn expect(self, status: u16) -> Answer {
        assert_eq!(self.status.as_u16(), status, "{} answered {}: {}", self.asked, self.status, self.text());
        self
    }

    /// Fails the test unless the answer is a problem document with this status and code (RFC 9457).
    #[track_caller]
    pub fn expect_problem(self, status: u16, code: &str) -> Answer {
        let answer = self.expect(status);
        let kind = answer.header("content-type").unwrap_or_default();
        assert!(kind.starts_with("application/problem+json"), "{} answered with {kind}", answer.asked);
        let problem: Value = answer.json();
        assert_eq!(problem["code"], code, "{} answered {problem}", answer.asked);
        answer
    }

    /// A header's value, if it is there and is text.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// Where the answer sends the client.
    pub fn location(&self) -> Option<&str> {
        self.header(header::LOCATION.as_str())
    }

    /// The value of a cookie that the answer sets.
    pub fn set_cookie(&self, name: &str) -> Option<&str> {
        let cookies = self.headers.get_all(header::SET_COOKIE).iter().filter_map(|cookie| cookie.to_str().ok());
        cookies
            .filter_map(|cookie| cookie.split(';').next()?.split_once('='))
            .find(|(key, _)| *key == name)
            .map(|it| it.1)
    }

    /// The body as text; bytes that are none are replaced.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// The body as JSON.
    #[track_caller]
    pub fn json<T: DeserializeOwned>(&self) -> T {
        serde_json::from_slice(&self.body)
            .unwrap_or_else(|error| panic!("{} answered what cannot be read ({error}): {}", self.asked, self.text()))
    }
}
