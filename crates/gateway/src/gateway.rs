//! The gateway: the one way from Bursar to Stripe.

use crate::{
    GatewayError, GatewayOptions, ReadFor,
    account::{Account, AccountKey, TryOutcome},
    allocation::counts_as_read,
    handler::{ObservedReplies, ReplyHandler},
    limits,
    locks::{ObjectLocks, object_of},
    outbox::may_have_had_effect,
    reads::{CountedTry, ReadCounts},
    retry,
};
use kit::{Environment, Secret, Stopwatch, Time};
use platform::{Base, config::STRIPE_API_BASE};
use serde::{Deserialize, Serialize};
use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, OnceLock, PoisonError, RwLock,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};
use stripe::{CallError, Client, ClientError, ClientOptions, Credentials, ErrorClass, Method, Request, Response};
use vault::{ConnectionId, ConnectionState, Linked, Vault};

/// Clients kept for addresses other than the configured one.
const MOST_CLIENTS: usize = 16;
/// Accounts whose limits are kept in memory; idle ones beyond it are forgotten.
const MOST_ACCOUNTS: usize = 10_000;

/// Who waits for a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Lane {
    /// Somebody: it overtakes background work, and fails fast.
    Interactive,
    /// Nobody: it is patient. At least one call in five is its own while it waits.
    Background,
}

impl Lane {
    /// The name in the database and in the API.
    pub fn as_str(self) -> &'static str {
        match self {
            Lane::Interactive => "interactive",
            Lane::Background => "background",
        }
    }
}

/// Stripe's answer, and when it was asked: an observation's time needs both ends.
#[derive(Clone, Debug)]
pub struct Answer {
    /// What Stripe answered.
    pub response: Response,
    /// Before the request of the try that succeeded.
    pub began: Time,
    /// After its whole answer.
    pub ended: Time,
}

/// The one way from Bursar to Stripe. Cheap to clone.
#[derive(Clone)]
pub struct Gateway {
    pub(crate) inner: Arc<Inner>,
    reads_for: ReadFor,
}

pub(crate) struct Inner {
    pub(crate) base: Base,
    pub(crate) vault: Vault,
    pub(crate) options: GatewayOptions,
    client: Client,
    clients: Mutex<HashMap<String, Client>>,
    accounts: Mutex<HashMap<AccountKey, Arc<Account>>>,
    /// Which account each connection was seen to belong to, for status by connection.
    seen: Mutex<HashMap<ConnectionId, AccountKey>>,
    pub(crate) locks: ObjectLocks,
    pub(crate) reads: ReadCounts,
    handlers: RwLock<HashMap<&'static str, Arc<dyn ReplyHandler>>>,
    observer: OnceLock<Arc<dyn ObservedReplies>>,
}

impl Gateway {
    /// A gateway to the address in `options`. Makes no connection yet.
    ///
    /// # Errors
    /// An address that is none, and a machine without root certificates.
    pub fn new(base: Base, vault: Vault, options: GatewayOptions) -> Result<Gateway, ClientError> {
        let client = client_at(&options.api_base, options.patience.one_try)?;
        let gateway = Gateway {
            inner: Arc::new(Inner {
                base,
                vault,
                options,
                client,
                clients: Mutex::default(),
                accounts: Mutex::default(),
                seen: Mutex::default(),
                locks: ObjectLocks::default(),
                reads: ReadCounts::default(),
                handlers: RwLock::default(),
                observer: OnceLock::new(),
            }),
            reads_for: ReadFor::Other,
        };
        gateway.handle_replies(Arc::new(crate::webhook_endpoint::Created));
        gateway.handle_replies(Arc::new(crate::webhook_endpoint::SwitchedOn));
        Ok(gateway)
    }

    /// Makes known who takes the answers to intents of one purpose. A later one replaces an earlier one.
    pub fn handle_replies(&self, handler: Arc<dyn ReplyHandler>) {
        let mut handlers = self.inner.handlers.write().unwrap_or_else(PoisonError::into_inner);
        handlers.insert(handler.purpose(), handler);
    }

    /// Makes known who absorbs the objects in answers to intents. The first call counts.
    pub fn observe_with(&self, observer: Arc<dyn ObservedReplies>) {
        if self.inner.observer.set(observer).is_err() {
            tracing::warn!("replies are observed already; the second observer is left out");
        }
    }

    pub(crate) fn handler(&self, purpose: &str) -> Option<Arc<dyn ReplyHandler>> {
        self.inner.handlers.read().unwrap_or_else(PoisonError::into_inner).get(purpose).cloned()
    }

    pub(crate) fn observer(&self) -> Option<&Arc<dyn ObservedReplies>> {
        self.inner.observer.get()
    }

    /// The same gateway, whose reads are counted as made for this.
    pub fn reading_for(&self, what_for: ReadFor) -> Gateway {
        Gateway { inner: Arc::clone(&self.inner), reads_for: what_for }
    }

    /// The vault that holds the keys.
    pub fn vault(&self) -> &Vault {
        &self.inner.vault
    }

    /// How Stripe reaches us, without a slash at its end.
    pub fn public_url(&self) -> Option<&str> {
        self.inner.options.public_url.as_deref().map(|url| url.trim_end_matches('/'))
    }

    /// Makes a call that may be made twice: a read, a delete, or a write under its own idempotency key.
    ///
    /// Waits for its turn under the account's limits, retries what can help, and answers the last error otherwise.
    /// Must not be called while a transaction is open.
    ///
    /// # Errors
    /// [`GatewayError::Stripe`], [`GatewayError::Paused`], [`GatewayError::Busy`], [`GatewayError::UnkeyedWrite`].
    pub async fn call(&self, linked: &Arc<Linked>, request: Request, lane: Lane) -> Result<Answer, GatewayError> {
        self.call_as(linked, None, request, lane).await
    }

    /// As [`Gateway::call`], acting for a connected account (`Stripe-Account`).
    ///
    /// # Errors
    /// As [`Gateway::call`].
    pub async fn call_as(
        &self,
        linked: &Arc<Linked>,
        account: Option<&str>,
        request: Request,
        lane: Lane,
    ) -> Result<Answer, GatewayError> {
        self.call_noting_effect(linked, account, request, lane).await.0
    }

    /// As [`Gateway::call_as`]; also tells whether any try may have had an effect although it gave no usable answer.
    pub(crate) async fn call_noting_effect(
        &self,
        linked: &Arc<Linked>,
        account: Option<&str>,
        request: Request,
        lane: Lane,
    ) -> (Result<Answer, GatewayError>, bool) {
        let connection = &linked.connection;
        if matches!(connection.state, ConnectionState::KeyRefused { .. }) {
            return (Err(GatewayError::KeyRefused(connection.id.clone())), false);
        }
        let key = AccountKey { account_id: connection.account_id.clone(), environment: linked.environment };
        self.remember(&connection.id, &key);
        let client = match self.client_for(connection.api_base.as_deref()) {
            Ok(client) => client,
            Err(error) => return (Err(error), false),
        };
        let outgoing = Outgoing {
            account: self.account(&key),
            key,
            client,
            credentials: Credentials { api_key: linked.api_key.clone(), account: account.map(str::to_owned) },
            request,
            lane,
        };
        let is_write = !outgoing.request.is_read();
        let read = counts_as_read(&outgoing.request).then_some(self.reads_for);
        let maybe_effect = AtomicBool::new(false);
        let outcome = self.call_through(&outgoing, |outcome| {
            let throttled = outcome_of(outcome) == TryOutcome::Throttled;
            let counted = CountedTry { throttled, is_write, read };
            self.inner.reads.count(connection, counted, 1, self.inner.base.now());
            if outcome.as_ref().is_err_and(may_have_had_effect) {
                maybe_effect.store(true, Ordering::Relaxed);
            }
        });
        let outcome = outcome.await;
        match &outcome {
            Ok(_) => self.inner.reads.note_good(connection),
            Err(GatewayError::Stripe(error)) if error.class() == ErrorClass::Authentication && account.is_none() => {
                self.note_refused_key(linked, error).await;
            }
            Err(GatewayError::Stripe(error)) if account.is_none() => {
                if let ErrorClass::Permission { permission } = error.class() {
                    let endpoint = outgoing.request.endpoint_pattern();
                    let now = self.inner.base.now();
                    self.inner.reads.note_denied(connection, endpoint, permission, &error.to_string(), now);
                }
            }
            Err(_) => {}
        }
        (outcome, maybe_effect.into_inner())
    }

    /// Makes a read with a key that belongs to no connection yet, to find out what it can do.
    ///
    /// The key's account is not known, so its calls share one small allowance per environment. `sent` hears of each try.
    ///
    /// # Errors
    /// As [`Gateway::call`].
    pub(crate) async fn call_with_key(
        &self,
        key: &Secret,
        environment: Environment,
        api_base: Option<&str>,
        request: Request,
        sent: impl Fn(),
    ) -> Result<Answer, GatewayError> {
        let shared = AccountKey { account_id: String::new(), environment };
        let outgoing = Outgoing {
            account: self.account(&shared),
            key: shared,
            client: self.client_for(api_base)?,
            credentials: Credentials::own(key.clone()),
            request,
            lane: Lane::Interactive,
        };
        self.call_through(&outgoing, |_| sent()).await
    }

    fn account(&self, key: &AccountKey) -> Arc<Account> {
        let mut accounts = self.inner.accounts.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(account) = accounts.get(key) {
            return Arc::clone(account);
        }
        if accounts.len() >= MOST_ACCOUNTS {
            // Those that nobody is calling start anew when they are called again.
            accounts.retain(|_, account| Arc::strong_count(account) > 1);
        }
        let options = &self.inner.options;
        let clock = self.inner.base.clock.clone();
        let account = Arc::new(Account::new(options.limits.as_ref(), options.breaker, key.environment, clock));
        accounts.insert(key.clone(), Arc::clone(&account));
        account
    }

    fn remember(&self, connection: &ConnectionId, key: &AccountKey) {
        let mut seen = self.inner.seen.lock().unwrap_or_else(PoisonError::into_inner);
        if seen.len() >= MOST_ACCOUNTS && !seen.contains_key(connection) {
            seen.clear();
        }
        if !seen.contains_key(connection) {
            seen.insert(connection.clone(), key.clone());
        }
    }

    pub(crate) fn account_of(&self, connection: &ConnectionId) -> Option<Arc<Account>> {
        let key = self.inner.seen.lock().unwrap_or_else(PoisonError::into_inner).get(connection).cloned()?;
        let accounts = self.inner.accounts.lock().unwrap_or_else(PoisonError::into_inner);
        accounts.get(&key).cloned()
    }

    fn client_for(&self, api_base: Option<&str>) -> Result<Client, GatewayError> {
        let Some(address) = api_base.filter(|address| *address != self.inner.options.api_base) else {
            return Ok(self.inner.client.clone());
        };
        let mut clients = self.inner.clients.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(client) = clients.get(address) {
            return Ok(client.clone());
        }
        if clients.len() >= MOST_CLIENTS {
            clients.clear();
        }
        let client = client_at(address, self.inner.options.patience.one_try).map_err(GatewayError::Address)?;
        clients.insert(address.to_owned(), client.clone());
        Ok(client)
    }

    /// Makes one call under the account's limits and breaker, with the retries that can help. `sent` hears of each try.
    async fn call_through(
        &self,
        outgoing: &Outgoing,
        sent: impl Fn(&Result<Response, CallError>),
    ) -> Result<Answer, GatewayError> {
        let Outgoing { account, key, client, credentials, request, lane } = outgoing;
        if request.method == Method::Post && request.idempotency_key.is_none() {
            return Err(GatewayError::UnkeyedWrite(request.endpoint_pattern()));
        }
        let options = &self.inner.options;
        let limit = options
            .limits
            .as_ref()
            .map(|limits| limits::endpoint_limit(limits, key.environment, request, credentials.account.is_some()));
        // Held over all tries: a write that waits to be tried again must not be overtaken by a later one.
        let _object = match object_of(key, request) {
            Some(object) => Some(self.inner.locks.hold(object).await),
            None => None,
        };
        let watch = Stopwatch::start();
        let patience =
            || (*lane == Lane::Interactive).then(|| options.patience.interactive.saturating_sub(watch.elapsed()));
        let mut tries = 0;
        loop {
            self.wait_for_breaker(account, *lane).await?;
            let permit = match &limit {
                Some(limit) => Some(account.enter(limit, *lane, patience()).await?),
                None => None,
            };
            let began = self.inner.base.now();
            let outcome = client.send(credentials, request).await;
            let ended = self.inner.base.now();
            tries += 1;
            let what = outcome_of(&outcome);
            if account.note(what) {
                self.inner.base.store.wakes().wake(crate::WAKE);
            }
            sent(&outcome);
            metrics::counter!("bursar_stripe_calls_total", "outcome" => what.name()).increment(1);
            let error = match outcome {
                Ok(response) => return Ok(Answer { response, began, ended }),
                Err(error) => error,
            };
            if let (ErrorClass::RateLimited { reason }, Some(limit)) = (error.class(), &limit) {
                account.slow_down(&limit.bucket, limits::slow_down_for(reason.as_ref()));
            }
            drop(permit);
            let random = self.inner.base.randomness.below(1_000);
            let wait = retry::wait_before_retry(error.retry_advice(), tries, &options.retries, random);
            // Who waits for a probe is told at once that it failed, and not after a pause for which there is no further try.
            let goes_on = *lane == Lane::Background || !account.is_open();
            let wait = wait.filter(|wait| goes_on && patience().is_none_or(|left| *wait < left));
            tracing::debug!(
                stripe.endpoint = request.endpoint_pattern(),
                stripe.request_id = error.request_id(),
                code = error.code(),
                tries,
                retried = wait.is_some(),
                "a call to Stripe failed"
            );
            let Some(wait) = wait else { return Err(GatewayError::Stripe(error)) };
            kit::clock::pause(wait).await;
        }
    }

    /// Interactive calls fail fast while the breaker is open; background ones wait a while first.
    async fn wait_for_breaker(&self, account: &Account, lane: Lane) -> Result<(), GatewayError> {
        let base = &self.inner.base;
        let patient_until = base.now() + self.inner.options.patience.background;
        loop {
            let Err(until) = account.admit() else { return Ok(()) };
            if lane == Lane::Interactive || until > patient_until {
                return Err(GatewayError::Paused { until });
            }
            base.clock.sleep_until(until).await;
        }
    }

    /// Stripe does not accept the key: nothing more is called with it until it is replaced or tested with success.
    async fn note_refused_key(&self, linked: &Linked, error: &CallError) {
        if linked.connection.state != ConnectionState::Active {
            return;
        }
        let (tenant, id) = (linked.connection.tenant, &linked.connection.id);
        let reason = error.to_string();
        let noted: Result<(), GatewayError> = async {
            let mut tx = self.inner.base.store.begin(tenant).await?;
            // The key may have been replaced while the call was under way.
            let now = self.inner.vault.connection(&mut tx, id).await?;
            if now.is_some_and(|now| now.state == ConnectionState::Active && now.key_hint == linked.connection.key_hint)
            {
                let state = ConnectionState::KeyRefused { reason: reason.clone() };
                self.inner.vault.set_state(&mut tx, id, state).await?;
                let payload = serde_json::json!({ "reason": reason });
                platform::notice::publish(&mut tx, &self.inner.base, "connection.key_refused", id.as_str(), payload)
                    .await?;
                tx.commit().await?;
            }
            Ok(())
        }
        .await;
        match noted {
            Ok(()) => tracing::warn!(connection.id = %id, "Stripe does not accept the key of a connection"),
            Err(error) => tracing::warn!(connection.id = %id, %error, "a refused key could not be noted"),
        }
    }
}

/// One call with all it needs.
struct Outgoing {
    account: Arc<Account>,
    key: AccountKey,
    client: Client,
    credentials: Credentials,
    request: Request,
    lane: Lane,
}

fn client_at(address: &str, timeout: Duration) -> Result<Client, ClientError> {
    // Stripe has several hosts; what stands in for it has one.
    let options = match address {
        STRIPE_API_BASE => ClientOptions::default(),
        address => ClientOptions::all_at(address),
    };
    Client::new(ClientOptions { timeout, ..options })
}

fn outcome_of(outcome: &Result<Response, CallError>) -> TryOutcome {
    match outcome {
        Ok(_) => TryOutcome::Answered,
        Err(error) if matches!(error.class(), ErrorClass::RateLimited { .. }) => TryOutcome::Throttled,
        Err(error) if error.is_outage() => TryOutcome::Outage,
        Err(_) => TryOutcome::Answered,
    }
}
