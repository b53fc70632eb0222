//! The one way to Stripe: [`Client::send`] makes one call, once.
//!
//! No retries, limits or breaker: those are the gateway's. The key is in one header that is marked sensitive, and is
//! cut out of whatever an answer might echo. Times of the call are taken by the caller, who has the clock.
//! Source: FACTS sections 2, 3 and 5.

mod answer;
mod fault;

pub use answer::{AnswerNotes, Response, read_api_error};

use crate::{
    error::{CallError, UnreadableReason, Unsendable},
    request::{Base, Credentials, Method, Request},
    version::PINNED_VERSION,
};
use bytes::BytesMut;
use fault::network_fault;
use http::{HeaderMap, HeaderValue, header};
use kit::ExposeSecret;
use reqwest::Url;
use serde::de::IgnoredAny;
use serde_json::Value;
use std::{borrow::Cow, time::Duration};

/// Connections kept ready for one host: as many calls as a sync has in flight.
const IDLE_CONNECTIONS: usize = 64;
/// An idle connection is given up before proxies in between usually do, so that few calls meet a dead one.
const IDLE_TIMEOUT: Duration = Duration::from_secs(50);

/// Room made at once for an answer that announces its length; a false announcement costs no more.
const FIRST_ALLOCATION_BYTES: usize = 1 << 20;

/// Where Stripe is and how patient to be.
#[derive(Clone, Debug)]
pub struct ClientOptions {
    /// Address of the API; the simulator's in demos and tests.
    pub api_base: String,
    /// Address for OAuth.
    pub connect_base: String,
    /// Address of the stream of meter events.
    pub meter_events_base: String,
    /// Time limit of one call, from connecting to the last byte of the answer (GW-1).
    pub timeout: Duration,
    /// Time limit for making a connection, within `timeout`.
    pub connect_timeout: Duration,
    /// Largest answer that is read, in bytes.
    pub max_body_bytes: usize,
    /// How we introduce ourselves.
    pub user_agent: String,
}

impl Default for ClientOptions {
    fn default() -> ClientOptions {
        ClientOptions {
            api_base: "https://api.stripe.com".to_owned(),
            connect_base: "https://connect.stripe.com".to_owned(),
            meter_events_base: "https://meter-events.stripe.com".to_owned(),
            timeout: Duration::from_secs(30),
            connect_timeout: Duration::from_secs(10),
            max_body_bytes: 64 << 20,
            user_agent: concat!("Bursar/", env!("CARGO_PKG_VERSION")).to_owned(),
        }
    }
}

impl ClientOptions {
    /// Everything at one address, as a simulator has it.
    pub fn all_at(address: &str) -> ClientOptions {
        ClientOptions {
            api_base: address.to_owned(),
            connect_base: address.to_owned(),
            meter_events_base: address.to_owned(),
            ..ClientOptions::default()
        }
    }
}

/// Why a client cannot be made.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// An address is not one.
    #[error(
        "`{address}` cannot be Stripe's address: an http or https address without user, query or fragment is expected"
    )]
    BadAddress {
        /// What was configured.
        address: String,
    },
    /// No TLS: most often the machine has no root certificates.
    #[error("no HTTPS client can be made; are the root certificates installed (package ca-certificates)?")]
    Setup(#[source] reqwest::Error),
}

impl ClientError {
    /// A stable code.
    pub fn code(&self) -> &'static str {
        match self {
            ClientError::BadAddress { .. } => "stripe_bad_address",
            ClientError::Setup(_) => "stripe_client_setup",
        }
    }
}

/// A client of Stripe. Cheap to clone; clones share their connections.
#[derive(Clone, Debug)]
pub struct Client {
    http: reqwest::Client,
    api_base: Url,
    connect_base: Url,
    meter_events_base: Url,
    max_body_bytes: usize,
}

impl Client {
    /// A client for the given addresses. Makes no connection yet.
    pub fn new(options: ClientOptions) -> Result<Client, ClientError> {
        let api_base = parse_base(&options.api_base)?;
        let connect_base = parse_base(&options.connect_base)?;
        let meter_events_base = parse_base(&options.meter_events_base)?;
        let mut builder = reqwest::Client::builder()
            .user_agent(options.user_agent)
            .timeout(options.timeout)
            .connect_timeout(options.connect_timeout)
            .pool_max_idle_per_host(IDLE_CONNECTIONS)
            .pool_idle_timeout(IDLE_TIMEOUT)
            .tcp_nodelay(true)
            // A redirect would carry the key somewhere else; Stripe's API has none.
            .redirect(reqwest::redirect::Policy::none())
            // Every try is the gateway's to count.
            .retry(reqwest::retry::never())
            .referer(false)
            .no_proxy();
        if [&api_base, &connect_base, &meter_events_base].iter().all(|base| base.scheme() == "http") {
            // Nothing will be encrypted, so root certificates are neither read (it takes a while) nor required.
            builder = builder.tls_certs_only([]);
        }
        let http = builder.build().map_err(ClientError::Setup)?;
        Ok(Client { http, api_base, connect_base, meter_events_base, max_body_bytes: options.max_body_bytes })
    }

    /// Makes one call and waits for its whole answer.
    ///
    /// Every status outside 200 to 299 is an error. Dropping the future closes the connection; Stripe may still
    /// carry the call out.
    pub async fn send(&self, credentials: &Credentials, request: &Request) -> Result<Response, CallError> {
        let outgoing = self.outgoing(credentials, request).map_err(CallError::Unsendable)?;
        let mut answer = outgoing.send().await.map_err(network_fault)?;
        let status = answer.status().as_u16();
        let notes = AnswerNotes::read(answer.headers());
        let unreadable = |reason| CallError::Unreadable { status, request_id: notes.request_id.clone(), reason };

        let announced = answer.content_length().and_then(|length| usize::try_from(length).ok()).unwrap_or(0);
        if announced > self.max_body_bytes {
            return Err(unreadable(UnreadableReason::TooLarge));
        }
        let mut body = BytesMut::with_capacity(announced.min(FIRST_ALLOCATION_BYTES));
        while let Some(part) = answer.chunk().await.map_err(network_fault)? {
            if body.len() + part.len() > self.max_body_bytes {
                return Err(unreadable(UnreadableReason::TooLarge));
            }
            body.extend_from_slice(&part);
        }

        let text = std::str::from_utf8(&body).map_err(|_| unreadable(UnreadableReason::NotUtf8))?;
        if !(200..300).contains(&status) {
            return Err(match read_api_error(status, &masked(text, credentials), &notes) {
                Ok(error) => CallError::Api(Box::new(error)),
                Err(reason) => unreadable(reason),
            });
        }
        serde_json::from_str::<IgnoredAny>(text).map_err(|_| unreadable(UnreadableReason::NotJson))?;
        Ok(Response { status, body: body.freeze(), notes })
    }

    fn outgoing(&self, credentials: &Credentials, request: &Request) -> Result<reqwest::RequestBuilder, Unsendable> {
        let has_body = request.method == Method::Post;
        let form = if has_body && request.is_v2() { String::new() } else { request.form() };
        let query = if has_body || form.is_empty() { None } else { Some(form.as_str()) };
        let url = self.url(request.base, &request.path, query)?;

        let mut headers = HeaderMap::new();
        let api_key = credentials.api_key.expose_secret();
        if api_key.is_empty() || !api_key.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(Unsendable::ApiKey);
        }
        let mut bearer = header_value(&format!("Bearer {api_key}")).ok_or(Unsendable::ApiKey)?;
        bearer.set_sensitive(true);
        headers.insert(header::AUTHORIZATION, bearer);
        headers.insert("stripe-version", HeaderValue::from_static(PINNED_VERSION));
        if let Some(account) = &credentials.account {
            let name = if request.is_v2() { "stripe-context" } else { "stripe-account" };
            headers.insert(name, header_value(account).ok_or(Unsendable::Account)?);
        }
        if let Some(key) = &request.idempotency_key
            && (has_body || (request.method == Method::Delete && request.is_v2()))
        {
            let value = header_value(key).filter(|value| value.len() <= 255);
            headers.insert("idempotency-key", value.ok_or(Unsendable::IdempotencyKey)?);
        }

        let method = match request.method {
            Method::Get => http::Method::GET,
            Method::Post => http::Method::POST,
            Method::Delete => http::Method::DELETE,
        };
        let outgoing = self.http.request(method, url);
        Ok(match (has_body, request.is_v2()) {
            (false, _) => outgoing.headers(headers),
            (true, true) => {
                headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
                outgoing.headers(headers).body(Value::Object(request.params.0.clone()).to_string())
            }
            (true, false) => {
                headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/x-www-form-urlencoded"));
                outgoing.headers(headers).body(form)
            }
        })
    }

    fn url(&self, base: Base, path: &str, query: Option<&str>) -> Result<Url, Unsendable> {
        let base_url = match base {
            Base::Api => &self.api_base,
            Base::Connect => &self.connect_base,
            Base::MeterEvents => &self.meter_events_base,
        };
        let is_path =
            path.starts_with('/') && !path.starts_with("//") && path.bytes().all(|byte| byte.is_ascii_graphic());
        let mut url = base_url.clone();
        let full_path = format!("{}{path}", base_url.path().trim_end_matches('/'));
        url.set_path(&full_path);
        // What a URL changes in its path (dots that climb, queries, backslashes) would reach another object.
        if !is_path || url.path() != full_path {
            return Err(Unsendable::Path);
        }
        url.set_query(query);
        Ok(url)
    }
}

fn parse_base(address: &str) -> Result<Url, ClientError> {
    let refused = || ClientError::BadAddress { address: address.chars().take(200).collect() };
    let url = Url::parse(address.trim()).map_err(|_| refused())?;
    let is_base = matches!(url.scheme(), "http" | "https")
        && url.has_host()
        && url.username().is_empty()
        && url.password().is_none()
        && url.query().is_none()
        && url.fragment().is_none();
    if is_base {
        return Ok(url);
    }
    // An address with a password in it must not be repeated.
    Err(if url.password().is_some() { ClientError::BadAddress { address: "…".to_owned() } } else { refused() })
}

/// The text of an error without the key. Stripe masks keys in its messages; what stands in for Stripe may not.
fn masked<'a>(text: &'a str, credentials: &Credentials) -> Cow<'a, str> {
    let api_key = credentials.api_key.expose_secret();
    // A key of a few letters is none of Stripe's, and could be part of any word.
    let is_echoed = api_key.len() >= 8 && text.contains(api_key);
    if is_echoed { Cow::Owned(text.replace(api_key, "[API key]")) } else { Cow::Borrowed(text) }
}

fn header_value(text: &str) -> Option<HeaderValue> {
    let is_printable = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_graphic() || byte == b' ');
    is_printable.then(|| HeaderValue::from_str(text).ok()).flatten()
}
