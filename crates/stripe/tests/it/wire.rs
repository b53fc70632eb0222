//! The client against a listener that answers what each test scripts: right, wrong, cut, slow or not at all.

use kit::Secret;
use std::time::Duration;
use stripe::{
    ApiError, CallError, Client, ClientError, ClientOptions, Credentials, ErrorClass, NetworkFault, ObjectKind, Params,
    RateLimitReason, Request, Response, UnreadableReason,
    api::{self, ListParams},
    error::Unsendable,
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    sync::mpsc,
};

/// One scripted answer for each connection or, with keep-alive, for each request on it.
struct Listener {
    address: String,
    requests: mpsc::UnboundedReceiver<String>,
}

/// What the listener does once it has read a request.
#[derive(Clone)]
enum Answer {
    /// Sends these bytes and closes.
    Close(Vec<u8>),
    /// Sends these bytes and waits for the next request on the connection.
    Keep(Vec<u8>),
    /// Sends these bytes and then nothing more, without closing.
    Hang(Vec<u8>),
}

impl Listener {
    async fn start(answer: Answer) -> Listener {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        let (seen, requests) = mpsc::unbounded_channel();
        tokio::spawn(async move {
            let mut connections = 0;
            while let Ok((stream, _)) = listener.accept().await {
                connections += 1;
                tokio::spawn(serve(stream, connections, answer.clone(), seen.clone()));
            }
        });
        Listener { address, requests }
    }

    fn client(&self) -> Client {
        Client::new(ClientOptions::all_at(&self.address)).unwrap()
    }

    async fn request(&mut self) -> String {
        self.requests.recv().await.unwrap()
    }
}

async fn serve(mut stream: TcpStream, connection: usize, answer: Answer, seen: mpsc::UnboundedSender<String>) {
    while let Some(request) = read_request(&mut stream).await {
        let _ = seen.send(format!("connection {connection}\n{request}"));
        let (Answer::Close(bytes) | Answer::Keep(bytes) | Answer::Hang(bytes)) = &answer;
        stream.write_all(bytes).await.unwrap();
        stream.flush().await.unwrap();
        match answer {
            Answer::Close(_) => return,
            Answer::Keep(_) => {}
            Answer::Hang(_) => std::future::pending().await,
        }
    }
}

/// Head and body of the next request, as text; none when the connection ends.
async fn read_request(stream: &mut TcpStream) -> Option<String> {
    let mut bytes = Vec::new();
    loop {
        let text = String::from_utf8_lossy(&bytes).into_owned();
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let length =
                head.lines().find_map(|line| line.strip_prefix("content-length: ")).map_or(0, |n| n.parse().unwrap());
            if body.len() >= length {
                return Some(text);
            }
        }
        let mut part = [0; 4096];
        match stream.read(&mut part).await {
            Ok(0) | Err(_) => return None,
            Ok(count) => bytes.extend_from_slice(&part[..count]),
        }
    }
}

fn http(status: &str, headers: &str, body: &[u8]) -> Vec<u8> {
    let head = format!(
        "HTTP/1.1 {status}\r\nContent-Type: application/json\r\nContent-Length: {}\r\n{headers}\r\n",
        body.len()
    );
    [head.as_bytes(), body].concat()
}

const KEY: &str = "sk_test_never_to_be_seen_1234";

fn credentials() -> Credentials {
    Credentials::own(Secret::from(KEY))
}

async fn ask(answer: Answer) -> Result<Response, CallError> {
    let listener = Listener::start(answer).await;
    let outcome = listener.client().send(&credentials(), &api::account()).await;
    assert!(!format!("{outcome:?}").contains("never_to_be_seen"), "{outcome:?}");
    if let Err(error) = &outcome {
        assert!(!error.to_string().contains("never_to_be_seen"), "{error}");
    }
    outcome
}

async fn ask_for_error(status: &str, headers: &str, body: &str) -> ApiError {
    match ask(Answer::Close(http(status, headers, body.as_bytes()))).await {
        Err(CallError::Api(error)) => *error,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_read_goes_out_as_stripe_expects() {
    let mut listener = Listener::start(Answer::Close(http("200 OK", "", b"{}"))).await;
    let list = ListParams { starting_after: Some("ch_1".into()), ..ListParams::default() };
    let request = api::list(ObjectKind::Charge, &list).with_idempotency_key("not-for-reads");
    let acting = Credentials { account: Some("acct_7".into()), ..credentials() };
    listener.client().send(&acting, &request).await.unwrap();
    let seen = listener.request().await;
    assert!(seen.contains("GET /v1/charges?limit=100&starting_after=ch_1 HTTP/1.1\r\n"), "{seen}");
    assert!(seen.contains(&format!("authorization: Bearer {KEY}\r\n")), "{seen}");
    assert!(seen.contains("stripe-version: 2026-10-28.endive\r\n"), "{seen}");
    assert!(seen.contains("stripe-account: acct_7\r\n"), "{seen}");
    assert!(seen.contains("user-agent: Bursar/"), "{seen}");
    assert!(!seen.contains("idempotency-key"), "{seen}");
}

#[tokio::test]
async fn a_write_carries_its_form_and_key() {
    let mut listener = Listener::start(Answer::Close(http("200 OK", "", b"{}"))).await;
    let request = Request::post(
        "/v1/refunds",
        Params::none()
            .with("charge", "ch_1")
            .with("metadata", [("a b", "ü")].into_iter().collect::<std::collections::BTreeMap<_, _>>()),
    )
    .with_idempotency_key("intent_1");
    listener.client().send(&credentials(), &request).await.unwrap();
    let seen = listener.request().await;
    assert!(seen.contains("POST /v1/refunds HTTP/1.1\r\n"), "{seen}");
    assert!(seen.contains("content-type: application/x-www-form-urlencoded\r\n"), "{seen}");
    assert!(seen.contains("idempotency-key: intent_1\r\n"), "{seen}");
    assert!(seen.ends_with("\r\n\r\ncharge=ch_1&metadata[a%20b]=%C3%BC"), "{seen}");
}

#[tokio::test]
async fn the_second_generation_takes_json_and_a_context() {
    let mut listener = Listener::start(Answer::Close(http("200 OK", "", b"{}"))).await;
    let request = Request::post("/v2/billing/meter_events", Params::none().with("event_name", "calls"));
    let acting = Credentials { account: Some("acct_7".into()), ..credentials() };
    listener.client().send(&acting, &request).await.unwrap();
    let seen = listener.request().await;
    assert!(
        seen.contains("content-type: application/json\r\n") && seen.contains("stripe-context: acct_7\r\n"),
        "{seen}"
    );
    assert!(seen.ends_with("\r\n\r\n{\"event_name\":\"calls\"}"), "{seen}");
}

#[tokio::test]
async fn what_the_headers_say_is_kept() {
    let headers = "Request-Id: req_1\r\nIdempotent-Replayed: true\r\nStripe-Version: 2026-10-28.endive\r\nStripe-Notice: mind the key\r\n";
    let response = ask(Answer::Close(http("200 OK", headers, br#"{"id":"acct_1"}"#))).await.unwrap();
    assert_eq!((response.status, response.text()), (200, r#"{"id":"acct_1"}"#));
    assert_eq!(response.notes.request_id.as_deref(), Some("req_1"));
    assert!(response.notes.idempotent_replayed);
    assert_eq!(response.notes.version.as_deref(), Some("2026-10-28.endive"));
    assert_eq!(response.notes.notice.as_deref(), Some("mind the key"));
}

#[tokio::test]
async fn stripes_own_words_are_kept() {
    let body = r#"{"error":{"type":"card_error","code":"card_declined","decline_code":"insufficient_funds","param":"source",
        "message":"No money.","doc_url":"https://stripe.com/docs/error-codes/card-declined","charge":"ch_1"}}"#;
    let error =
        ask_for_error("402 Payment Required", "Request-Id: req_1\r\nStripe-Should-Retry: false\r\n", body).await;
    assert_eq!(error.class(), ErrorClass::Card);
    assert_eq!(
        error.to_string(),
        "Stripe answered 402, `card_declined`, decline code `insufficient_funds`, parameter `source`: No money. (req_1)"
    );
    assert_eq!((error.should_retry, error.error_type.as_deref()), (Some(false), Some("card_error")));
}

#[tokio::test]
async fn a_limit_says_which() {
    let error = ask_for_error(
        "429 Too Many Requests",
        "Stripe-Rate-Limited-Reason: endpoint-rate\r\n",
        r#"{"error":{"type":"invalid_request_error","code":"rate_limit","message":"slow down"}}"#,
    )
    .await;
    assert_eq!(error.class(), ErrorClass::RateLimited { reason: Some(RateLimitReason::EndpointRate) });
}

#[tokio::test]
async fn errors_of_oauth_have_their_own_shape() {
    let error =
        ask_for_error("400 Bad Request", "", r#"{"error":"invalid_grant","error_description":"code used"}"#).await;
    assert_eq!((error.code.as_deref(), error.message.as_str()), (Some("invalid_grant"), "code used"));
    assert_eq!(error.class(), ErrorClass::InvalidRequest);
}

#[tokio::test]
async fn an_echoed_key_is_cut_out() {
    let body = format!(r#"{{"error":{{"type":"invalid_request_error","message":"Invalid API Key provided: {KEY}"}}}}"#);
    let error = ask_for_error("401 Unauthorized", "", &body).await;
    assert_eq!(error.message, "Invalid API Key provided: [API key]");
    assert_eq!(error.class(), ErrorClass::Authentication);
}

async fn check_unreadable(answer: Vec<u8>, expected: (u16, UnreadableReason)) {
    match ask(Answer::Close(answer)).await {
        Err(CallError::Unreadable { status, reason, .. }) => assert_eq!((status, reason), expected),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn answers_that_are_not_stripes_are_told_apart() {
    check_unreadable(http("200 OK", "", b"<html>hello</html>"), (200, UnreadableReason::NotJson)).await;
    check_unreadable(http("200 OK", "", b""), (200, UnreadableReason::NotJson)).await;
    check_unreadable(http("200 OK", "", b"{\"id\":"), (200, UnreadableReason::NotJson)).await;
    check_unreadable(http("200 OK", "", b"{\"id\":\"\xff\"}"), (200, UnreadableReason::NotUtf8)).await;
    check_unreadable(http("502 Bad Gateway", "", b"<html>"), (502, UnreadableReason::NotJson)).await;
    check_unreadable(http("500 Internal Server Error", "", b"{}"), (500, UnreadableReason::Unexpected)).await;
    check_unreadable(http("302 Found", "Location: http://127.0.0.1:1/\r\n", b""), (302, UnreadableReason::NotJson))
        .await;
    let page = ask(Answer::Close(http("200 OK", "", b"{\"object\":\"charge\"}"))).await.unwrap();
    assert!(matches!(page.page(), Err(CallError::Unreadable { reason: UnreadableReason::Unexpected, .. })));
}

#[tokio::test]
async fn answers_have_a_bound() {
    let body = format!("[{}]", "1,".repeat(600) + "1");
    let chunked =
        format!("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n{:x}\r\n{body}\r\n0\r\n\r\n", body.len());
    for answer in [http("200 OK", "", body.as_bytes()), chunked.into_bytes()] {
        let listener = Listener::start(Answer::Close(answer)).await;
        let options = ClientOptions { max_body_bytes: 1_000, ..ClientOptions::all_at(&listener.address) };
        let outcome = Client::new(options).unwrap().send(&credentials(), &api::account()).await;
        assert!(
            matches!(outcome, Err(CallError::Unreadable { reason: UnreadableReason::TooLarge, .. })),
            "{outcome:?}"
        );
    }
}

async fn check_network(answer: Answer, expected: NetworkFault) {
    match ask(answer).await {
        Err(CallError::Network { fault, before_sent, .. }) => assert_eq!((fault, before_sent), (expected, false)),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn cut_answers_are_network_faults() {
    let whole = http("200 OK", "", br#"{"id":"acct_1","object":"account"}"#);
    check_network(Answer::Close(Vec::new()), NetworkFault::Cut).await;
    check_network(Answer::Close(b"HTTP/1.1 200".to_vec()), NetworkFault::Cut).await;
    check_network(Answer::Close(whole[..whole.len() - 5].to_vec()), NetworkFault::Cut).await;
    let chunked = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n40\r\n{\"id\":\"acct_1\"".to_vec();
    check_network(Answer::Close(chunked), NetworkFault::Cut).await;
    check_network(Answer::Close(b"SSH-2.0-OpenSSH_9.2\r\n".to_vec()), NetworkFault::Cut).await;
}

#[tokio::test]
async fn slow_answers_meet_the_time_limit() {
    for sent in [Vec::new(), b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{".to_vec()] {
        let listener = Listener::start(Answer::Hang(sent)).await;
        let options = ClientOptions { timeout: Duration::from_millis(100), ..ClientOptions::all_at(&listener.address) };
        let outcome = Client::new(options).unwrap().send(&credentials(), &api::account()).await;
        let Err(CallError::Network { fault: NetworkFault::Timeout, before_sent: false, detail }) = outcome else {
            panic!("{outcome:?}")
        };
        assert!(!detail.contains(&listener.address), "{detail}");
    }
}

#[tokio::test]
async fn nobody_listening_is_known_to_have_had_no_effect() {
    let free = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let client = Client::new(ClientOptions::all_at(&format!("http://{free}"))).unwrap();
    let outcome = client.send(&credentials(), &api::account()).await;
    let Err(error @ CallError::Network { fault: NetworkFault::Connect, before_sent: true, .. }) = outcome else {
        panic!("{outcome:?}")
    };
    assert!(!error.may_have_had_effect() && error.is_outage());
    let client = Client::new(ClientOptions::all_at("http://no-such-host.invalid")).unwrap();
    let outcome = client.send(&credentials(), &api::account()).await;
    assert!(
        matches!(outcome, Err(CallError::Network { fault: NetworkFault::Name, before_sent: true, .. })),
        "{outcome:?}"
    );
}

#[tokio::test]
async fn a_listener_without_encryption_fails_as_such() {
    // It answers a handshake as if it were a bad request, as plain web servers do.
    let plain = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("https://{}", plain.local_addr().unwrap());
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = plain.accept().await {
            let _ = stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").await;
        }
    });
    let client = Client::new(ClientOptions::all_at(&address)).unwrap();
    let outcome = client.send(&credentials(), &api::account()).await;
    assert!(
        matches!(outcome, Err(CallError::Network { fault: NetworkFault::Tls, before_sent: true, .. })),
        "{outcome:?}"
    );
}

#[tokio::test]
async fn connections_are_used_again_and_many_calls_run_at_once() {
    let mut listener = Listener::start(Answer::Keep(http("200 OK", "", b"{}"))).await;
    let client = listener.client();
    for _ in 0..5 {
        client.send(&credentials(), &api::account()).await.unwrap();
        assert!(listener.request().await.starts_with("connection 1\n"));
    }
    let credentials = credentials();
    let request = api::balance();
    let calls = (0..32).map(|_| client.send(&credentials, &request));
    for outcome in futures::future::join_all(calls).await {
        outcome.unwrap();
    }
}

#[tokio::test]
async fn what_cannot_be_written_is_refused_before_anything_is_sent() {
    let client = Client::new(ClientOptions::all_at("http://127.0.0.1:1")).unwrap();
    let check = async |key: &str, account: Option<&str>, request: Request, expected: Unsendable| {
        let credentials = Credentials { api_key: Secret::from(key), account: account.map(str::to_owned) };
        let outcome = client.send(&credentials, &request).await;
        assert_eq!(outcome, Err(CallError::Unsendable(expected)), "{request:?}");
    };
    check("", None, api::account(), Unsendable::ApiKey).await;
    check("sk_test_x\nstripe-account: acct_1", None, api::account(), Unsendable::ApiKey).await;
    check("sk_test_ü", None, api::account(), Unsendable::ApiKey).await;
    check(KEY, Some("acct_1\r\n"), api::account(), Unsendable::Account).await;
    check(KEY, Some(""), api::account(), Unsendable::Account).await;
    let write = || Request::post("/v1/refunds", Params::none());
    check(KEY, None, write().with_idempotency_key(""), Unsendable::IdempotencyKey).await;
    check(KEY, None, write().with_idempotency_key("x".repeat(256)), Unsendable::IdempotencyKey).await;
    for path in [
        "",
        "v1/charges",
        "//evil.example/v1",
        "/v1/charges?limit=1",
        "/v1/../v2",
        "/v1/%2e%2e/x",
        "/v1/a b",
        "/v1/#",
        "/v1\\x",
        "http://evil.example",
    ] {
        check(KEY, None, Request::get(path, Params::none()), Unsendable::Path).await;
    }
    check(KEY, None, api::retrieve(ObjectKind::Product, ".."), Unsendable::Path).await;
}

#[test]
fn addresses_are_checked_when_the_client_is_made() {
    for address in [
        "",
        "api.stripe.com",
        "ftp://a.example",
        "https://user:hunter2@a.example",
        "https://a.example?x=1",
        "https://a.example#x",
        "/v1",
    ] {
        let error = Client::new(ClientOptions::all_at(address)).map(|_| ()).unwrap_err();
        assert!(matches!(error, ClientError::BadAddress { .. }) && !error.to_string().contains("hunter2"), "{address}");
    }
    for address in ["http://127.0.0.1:12111", "https://api.stripe.com/", "http://proxy.example/stripe/"] {
        Client::new(ClientOptions::all_at(address)).unwrap();
    }
}
