//! The way from a delivery to its acknowledgement: size, source, signature, one reading, one durable write.
//!
//! Stripe is answered 200 only after the event is on disk (INB-4). Whatever goes wrong before is answered so that Stripe
//! tries again, for up to three days. Many deliveries share one commit; nothing is processed here.

use crate::{
    Inbox, Source,
    arrivals::Arrivals,
    event::Facts,
    source::sender,
    store::{self, NewRow},
};
use ::store::{GroupedWrite, Store, StoreError};
use async_trait::async_trait;
use axum::{
    Router,
    body::Body,
    extract::{ConnectInfo, Path, Request, State},
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse, Response},
    routing::post,
};
use bytes::Bytes;
use http_body_util::{BodyExt, LengthLimitError, Limited};
use kit::{Environment, Secret, Time};
use platform::Problem;
use std::{net::SocketAddr, sync::Arc, time::Duration};
use stripe::{EventError, SignatureError, signature};
use vault::{ConnectionId, Linked, VaultError};

/// Longest body that is read; Stripe's longest events have some 100 KB.
pub const MAX_BODY_BYTES: usize = 1 << 20;
/// How long a sender may take for its body.
const BODY_TIMEOUT: Duration = Duration::from_secs(10);
/// Longest connection id that is looked up; ours have 30 characters.
const MAX_CONNECTION_ID_BYTES: usize = 64;
/// The secret that deliveries for unknown connections are checked against, so that they take as long as others.
const DECOY_SECRET: &str = "whsec_decoy_that_nothing_is_signed_with";

/// The three addresses that Stripe delivers to (INB-1).
pub(crate) fn routes(inbox: Inbox) -> Router {
    Router::new()
        .route("/webhooks/stripe/{connection}", post(to_connection))
        .route("/webhooks/stripe", post(to_global))
        .route("/webhooks/stripe-connect", post(to_global))
        .with_state(inbox)
}

/// Why a delivery was refused. Stripe tries again after each of these.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Refusal {
    #[error("the sender's address is not on the list of those who may deliver")]
    SourceNotAllowed,
    #[error("the body has more than {MAX_BODY_BYTES} bytes")]
    BodyTooLarge,
    #[error("the body did not arrive whole")]
    BodyCut,
    #[error("no connection takes this delivery")]
    UnknownConnection,
    #[error("no secret is set for the endpoint that serves all connections")]
    NoGlobalSecret,
    #[error(transparent)]
    Signature(#[from] SignatureError),
    #[error(transparent)]
    Event(#[from] EventError),
    #[error("the event is of the other mode than its connection: test data and live data never mix")]
    WrongEnvironment,
    #[error("too many deliveries wait to be stored")]
    TooManyWaiting,
    #[error("the delivery could not be stored")]
    Store(#[from] StoreError),
    #[error("the connection could not be looked up")]
    Vault(#[source] VaultError),
}

impl Refusal {
    /// A stable code.
    fn code(&self) -> &'static str {
        match self {
            Refusal::SourceNotAllowed => "source_not_allowed",
            Refusal::BodyTooLarge => "body_too_large",
            Refusal::BodyCut => "body_cut",
            Refusal::UnknownConnection => "connection_unknown",
            Refusal::NoGlobalSecret => "webhook_secret_missing",
            Refusal::Signature(error) => error.code(),
            Refusal::Event(error) => error.code(),
            Refusal::WrongEnvironment => "environment_mismatch",
            Refusal::TooManyWaiting => "inbox_busy",
            Refusal::Store(error) => error.code(),
            Refusal::Vault(error) => error.code(),
        }
    }

    fn into_problem(self) -> Problem {
        let (code, detail) = (self.code(), self.to_string());
        let refused =
            |status, title, what_to_do: &str| Problem::new(status, code, title, detail.clone()).what_to_do(what_to_do);
        match self {
            Refusal::SourceNotAllowed => refused(
                StatusCode::FORBIDDEN,
                "Sender not allowed",
                "Add the sender's network to the list of allowed sources, and check the number of trusted proxies.",
            ),
            Refusal::BodyTooLarge => refused(
                StatusCode::PAYLOAD_TOO_LARGE,
                "The body is too large",
                "Deliver events of Stripe only; none is this large.",
            ),
            Refusal::BodyCut => {
                refused(StatusCode::REQUEST_TIMEOUT, "The body is incomplete", "Deliver the event again.")
            }
            Refusal::UnknownConnection => refused(
                StatusCode::NOT_FOUND,
                "Unknown connection",
                "Use the address that the connection's page shows, or delete this endpoint at Stripe.",
            ),
            Refusal::NoGlobalSecret => refused(
                StatusCode::NOT_FOUND,
                "No endpoint for all connections",
                "Set the global webhook secret, or use the address that the connection's page shows.",
            ),
            // Whether a configured secret has spaces in it is for the log, not for whoever knocks.
            Refusal::Signature(error) => {
                let problem = refused(
                    StatusCode::UNAUTHORIZED,
                    "The signature does not prove the sender",
                    "Set the endpoint's signing secret (whsec_…) as Stripe shows it, and check that both clocks are right.",
                );
                match error {
                    SignatureError::NoMatch { .. } => {
                        Problem { detail: "No signature matches the body.".to_owned(), ..problem }
                    }
                    _ => problem,
                }
            }
            Refusal::Event(_) => {
                refused(StatusCode::BAD_REQUEST, "Not an event", "Deliver Stripe's events as they are.")
            }
            Refusal::WrongEnvironment => refused(
                StatusCode::BAD_REQUEST,
                "Event of the other mode",
                "Give each mode's endpoint the address of the connection of that mode.",
            ),
            Refusal::TooManyWaiting => {
                refused(StatusCode::SERVICE_UNAVAILABLE, "Busy", "Deliver the event again in a moment.")
            }
            Refusal::Store(error) => error.into(),
            Refusal::Vault(error) => error.into(),
        }
    }
}

/// What is known of a delivery while it is being judged, for the log.
#[derive(Default)]
struct Known {
    connection: Option<ConnectionId>,
}

async fn to_connection(State(inbox): State<Inbox>, Path(connection): Path<String>, request: Request) -> Response {
    let mut known = Known::default();
    let outcome = receive_for_connection(&inbox, &connection, request, &mut known).await;
    answer(&inbox, outcome, &known)
}

async fn to_global(State(inbox): State<Inbox>, request: Request) -> Response {
    let mut known = Known::default();
    let outcome = receive_for_all(&inbox, request, &mut known).await;
    answer(&inbox, outcome, &known)
}

fn answer(inbox: &Inbox, outcome: Result<(), Refusal>, known: &Known) -> Response {
    match outcome {
        Ok(()) => ([(header::CONTENT_TYPE, "application/json")], r#"{"received":true}"#).into_response(),
        Err(refusal) => {
            inbox.inner.refusals.note(known.connection.as_ref(), refusal.code(), inbox.inner.base.now());
            refusal.into_problem().into_response()
        }
    }
}

/// `POST /webhooks/stripe/{connection}`: the connection's own secret.
async fn receive_for_connection(
    inbox: &Inbox,
    connection: &str,
    request: Request,
    known: &mut Known,
) -> Result<(), Refusal> {
    let (signature_header, body) = take_in(inbox, request).await?;
    let linked = if connection.len() <= MAX_CONNECTION_ID_BYTES {
        inbox.inner.vault.linked(&ConnectionId::from_text(connection)).await.map_err(Refusal::Vault)?
    } else {
        None
    };
    let now = inbox.inner.base.now();
    let header = signature_header.as_deref();
    let Some(linked) = linked else {
        let _ = signature::verify(header, &body, &[Secret::from(DECOY_SECRET)], now, signature::TOLERANCE);
        return Err(Refusal::UnknownConnection);
    };
    known.connection = Some(linked.connection.id.clone());
    signature::verify(header, &body, &linked.webhook_secrets, now, signature::TOLERANCE)?;
    let facts = Facts::read(&body)?;
    keep(inbox, linked, facts, body, now).await
}

/// `POST /webhooks/stripe` and `/webhooks/stripe-connect`: the global secret; whose event it is, it says itself.
async fn receive_for_all(inbox: &Inbox, request: Request, known: &mut Known) -> Result<(), Refusal> {
    if inbox.inner.global_secrets.is_empty() {
        return Err(Refusal::NoGlobalSecret);
    }
    let (signature_header, body) = take_in(inbox, request).await?;
    let now = inbox.inner.base.now();
    signature::verify(signature_header.as_deref(), &body, &inbox.inner.global_secrets, now, signature::TOLERANCE)?;
    let facts = Facts::read(&body)?;
    let takers = takers(inbox, &facts).await?;
    let Some((last, others)) = takers.split_last() else { return Err(Refusal::UnknownConnection) };
    // An account that several organizations connected is each one's. If one of them cannot be served Stripe tries again,
    // and those that have the event already notice.
    for linked in others {
        keep(inbox, Arc::clone(linked), facts.clone(), body.clone(), now).await?;
    }
    known.connection = Some(last.connection.id.clone());
    keep(inbox, Arc::clone(last), facts, body, now).await
}

/// Which connections an event of the global endpoint is for: those of its account, else the platform's own.
///
/// An event without `account` happened on the endpoint's own account. One with an account that is not connected by
/// itself belongs to the platform that the account is connected to at Stripe.
async fn takers(inbox: &Inbox, facts: &Facts) -> Result<Vec<Arc<Linked>>, Refusal> {
    let vault = &inbox.inner.vault;
    let environment = Environment::from_livemode(facts.livemode);
    if let Some(account) = &facts.account {
        let linked = vault.linked_by_account(account, environment).await.map_err(Refusal::Vault)?;
        if !linked.is_empty() {
            return Ok(linked);
        }
    }
    if let Some(platform) = &inbox.inner.options.platform_account {
        return vault.linked_by_account(platform, environment).await.map_err(Refusal::Vault);
    }
    let connections = vault.all_connections().await.map_err(Refusal::Vault)?;
    let mut in_environment = connections.iter().filter(|connection| connection.environment == environment);
    // With several there is no telling, and a guess could show one organization another's data.
    match (in_environment.next(), in_environment.next()) {
        (Some(only), None) => Ok(vault.linked(&only.id).await.map_err(Refusal::Vault)?.into_iter().collect()),
        _ => Ok(Vec::new()),
    }
}

/// Judges the source and reads the body, within its bounds.
async fn take_in(inbox: &Inbox, request: Request) -> Result<(Option<String>, Bytes), Refusal> {
    let (parts, body) = request.into_parts();
    let options = &inbox.inner.options;
    if !options.allowlist.is_open() {
        let peer = parts.extensions.get::<ConnectInfo<SocketAddr>>().map(|info| info.0);
        if !options.allowlist.allows(sender(peer, &parts.headers, options.trusted_proxies)) {
            return Err(Refusal::SourceNotAllowed);
        }
    }
    let body = read_body(&parts.headers, body).await?;
    let signature = parts.headers.get("stripe-signature").and_then(|value| value.to_str().ok()).map(str::to_owned);
    Ok((signature, body))
}

async fn read_body(headers: &HeaderMap, body: Body) -> Result<Bytes, Refusal> {
    let announced = headers.get(header::CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse::<usize>().ok());
    if announced.is_some_and(|length| length > MAX_BODY_BYTES) {
        return Err(Refusal::BodyTooLarge);
    }
    let collected = tokio::time::timeout(BODY_TIMEOUT, Limited::new(body, MAX_BODY_BYTES).collect()).await;
    match collected.map_err(|_| Refusal::BodyCut)? {
        Ok(collected) => Ok(collected.to_bytes()),
        Err(error) if error.is::<LengthLimitError>() => Err(Refusal::BodyTooLarge),
        Err(_) => Err(Refusal::BodyCut),
    }
}

/// Stores the event; done once it is durable.
async fn keep(inbox: &Inbox, linked: Arc<Linked>, facts: Facts, body: Bytes, now: Time) -> Result<(), Refusal> {
    if facts.livemode != linked.environment.is_live() {
        return Err(Refusal::WrongEnvironment);
    }
    let bytes = u32::try_from(body.len()).map_err(|_| Refusal::BodyTooLarge)?;
    let _room = inbox.inner.waiting_bytes.try_acquire_many(bytes).map_err(|_| Refusal::TooManyWaiting)?;
    let _waiting = inbox.inner.pressure.enter();
    inbox.inner.writer.submit(Delivery { linked, facts, received_at: now, body }).await?;
    Ok(())
}

/// A delivery that waits for its commit.
#[derive(Clone)]
pub(crate) struct Delivery {
    linked: Arc<Linked>,
    facts: Facts,
    received_at: Time,
    body: Bytes,
}

/// Stores many deliveries in one commit: in the tables, or on SQLite in the journal, from where they get there.
pub(crate) struct EventWrite {
    pub(crate) store: Store,
    pub(crate) arrivals: Option<Arc<Arrivals>>,
}

#[async_trait]
impl GroupedWrite for EventWrite {
    type Item = Delivery;
    type Answer = ();

    async fn write(&self, deliveries: &[Delivery]) -> ::store::Result<Vec<()>> {
        let rows: Vec<NewRow<'_>> = deliveries
            .iter()
            .map(|it| NewRow::through(&it.linked.connection, &it.facts, Source::Webhook, it.received_at, &it.body))
            .collect();
        if let Some(arrivals) = &self.arrivals {
            arrivals.append(&rows).await?;
        } else {
            let mut tx = self.store.begin_system().await?;
            store::insert(&mut tx, &rows).await?;
            tx.commit().await?;
        }
        Ok(vec![(); deliveries.len()])
    }
}
