//! The gateway: the one way from Bursar to Stripe.

use crate::{
    GatewayError, GatewayOptions,
    account::{Account, AccountKey},
    error::paused,
    handler::{ObservedReplies, ReplyHandler},
    locks::ObjectLocks,
    reads::ReadCounts,
    retry,
    status::AccountStatus,
};
use kit::{Environment, Secret, Stopwatch, Time};
use platform::Base;
use serde::{Deserialize, Serialize};
use std::{
    collections::HashMap,
    sync::{Arc, Mutex, OnceLock, PoisonError, RwLock},
    time::Duration,
};
use stripe::{CallError, Client, ClientError, ClientOptions, Credentials, ErrorClass, Method, Request, Response};
use vault::{ConnectionId, Linked, Vault};

/// Clients kept for addresses other than the configured one.
const MOST_CLIENTS: usize = 16;

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
        };
        gateway.handle_replies(Arc::new(crate::webhook_endpoint::Created));
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
        let key = AccountKey { account_id: linked.connection.account_id.clone(), environment: linked.environment };
        self.remember(&linked.connection.id, &key);
        let credentials =
            Credentials { api_key: linked.api_key.clone(), account: account.map(str::to_owned) };
        let client = self.client_for(linked.connection.api_base.as_deref())?;
        let is_read = request.is_read();
        let outcome = self.call_through(&self.account(&key), &client, &credentials, &request, lane, |sent| {
            self.inner.reads.count(&linked.connection, sent, is_read, self.inner.base.now());
        });
        let outcome = outcome.await;
        match &outcome {
            Ok(_) => self.inner.reads.note_good(&linked.connection, self.inner.base.now()),
            Err(GatewayError::Stripe(error)) if error.class() == ErrorClass::Authentication && account.is_none() => {
                self.note_refused_key(linked, error).await;
            }
            Err(_) => {}
        }
        outcome
    }

    /// Makes a read with a key that belongs to no connection yet, to find out what it can do.
    ///
    /// The key's account is not known, so its calls share one small allowance per environment.
    ///
    /// # Errors
    /// As [`Gateway::call`].
    pub async fn call_with_key(
        &self,
        key: &Secret,
        environment: Environment,
        api_base: Option<&str>,
        request: Request,
    ) -> Result<Answer, GatewayError> {
        let account = self.account(&AccountKey { account_id: String::new(), environment });
        let client = self.client_for(api_base)?;
        self.call_through(&account, &client, &Credentials::own(key.clone()), &request, Lane::Interactive, |_| {}).await
    }
}
