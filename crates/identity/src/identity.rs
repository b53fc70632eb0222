//! Organizations, their tenants, tokens and sessions: who a request's caller is.

use crate::{
    IdentityError, Refusal,
    address::Failures,
    memory::{Holder, Memory},
    store, token,
};
use jiff::tz::TimeZone;
use kit::{Environment, ExposeSecret, Secret, TenantId, Time};
use platform::Base;
use std::{
    net::IpAddr,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

kit::define_id!(
    /// An organization: the business whose data this is.
    OrganizationId,
    "org"
);

/// What the one organization is called until somebody renames it.
const FIRST_ORGANIZATION: &str = "Your business";
/// How long a session lasts from sign-in.
pub(crate) const SESSION_LASTS: Duration = Duration::from_secs(7 * 24 * 3600);
/// How long a sign-in code can be used.
pub const CODE_LASTS: Duration = Duration::from_secs(600);

/// An organization in one of its environments.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tenant {
    /// As every table names it.
    pub id: TenantId,
    /// The organization.
    pub organization: OrganizationId,
    /// What people call the organization.
    pub organization_name: String,
    /// Which of its environments.
    pub environment: Environment,
}

/// What is there after the start.
#[derive(Debug)]
pub struct Bootstrap {
    /// What people call the one organization.
    pub organization: String,
    /// Its tenants, test first.
    pub tenants: [(Environment, TenantId); 2],
    /// The administrator's token, when one was just made: told once, only its hash is kept.
    pub admin_token: Option<Secret>,
}

/// What the server knows of its surroundings that matters here.
#[derive(Clone, Debug, Default)]
pub struct IdentityOptions {
    /// How browsers reach the server; with `https://` cookies are sent over nothing else.
    pub public_url: Option<String>,
    /// How many proxies in front are trusted to tell the caller's address.
    pub trusted_proxies: usize,
}

/// An organization as it is known while a request runs.
#[derive(Clone, Debug)]
pub(crate) struct Organization {
    pub(crate) id: OrganizationId,
    pub(crate) name: String,
    pub(crate) zone: TimeZone,
    pub(crate) test: TenantId,
    pub(crate) live: TenantId,
}

impl Organization {
    pub(crate) fn tenant(&self, environment: Environment) -> TenantId {
        match environment {
            Environment::Test => self.test,
            Environment::Live => self.live,
        }
    }
}

/// Finds out who is calling. Cheap to clone.
#[derive(Clone)]
pub struct Identity {
    pub(crate) inner: Arc<Inner>,
}

pub(crate) struct Inner {
    pub(crate) base: Base,
    pub(crate) options: IdentityOptions,
    memory: Mutex<Memory>,
    failures: Mutex<Failures>,
}

impl Identity {
    /// On a migrated database, reached without TLS or proxies; [`Identity::bootstrap`] comes next.
    pub fn open(base: Base) -> Identity {
        Identity::open_with(base, IdentityOptions::default())
    }

    /// On a migrated database; [`Identity::bootstrap`] comes next.
    pub fn open_with(base: Base, options: IdentityOptions) -> Identity {
        let memory = Mutex::new(Memory::new(&base));
        Identity { inner: Arc::new(Inner { base, options, memory, failures: Mutex::default() }) }
    }

    pub(crate) fn now(&self) -> Time {
        self.inner.base.now()
    }

    /// Makes the one organization, its two tenants and a token, where they are not there yet. Any number of nodes may
    /// do so at once; one of them makes and gets the token.
    ///
    /// A given token replaces what is there and ends the sessions that came of it; the same one again changes nothing.
    ///
    /// # Errors
    /// `admin_token_weak`, and the database's.
    pub async fn bootstrap(&self, admin_token: Option<Secret>) -> Result<Bootstrap, IdentityError> {
        if admin_token.as_ref().is_some_and(|token| !token::is_strong(token)) {
            return Err(IdentityError::AdminTokenWeak);
        }
        let Base { store: database, randomness, .. } = &self.inner.base;
        let now = self.now();
        let mut tx = database.begin_system().await?;
        store::lock_bootstrap(&mut tx).await?;
        let (id, organization) = match store::first_organization(&mut tx).await? {
            Some(found) => found,
            None => {
                let id = OrganizationId::new(now, &**randomness);
                store::insert_organization(&mut tx, &id, FIRST_ORGANIZATION, now).await?;
                (id, FIRST_ORGANIZATION.to_owned())
            }
        };
        let hashes = store::token_hashes(&mut tx, &id).await?;
        let made = match admin_token {
            None if hashes.is_empty() => {
                let made = token::new_token(&**randomness);
                store::insert_token(&mut tx, &token::hash(made.expose_secret()), &id, now).await?;
                Some(made)
            }
            None => None,
            Some(given) => {
                let hash = token::hash(given.expose_secret());
                if hashes != [hash.as_str()] {
                    store::revoke_all(&mut tx, &id).await?;
                    store::insert_token(&mut tx, &hash, &id, now).await?;
                    tx.wake(crate::memory::WAKE);
                }
                None
            }
        };
        let mut tenants = [(Environment::Test, TenantId(0)), (Environment::Live, TenantId(0))];
        for (environment, tenant) in &mut tenants {
            *tenant = store::tenant_of(&mut tx, &id, *environment).await?;
        }
        tx.commit().await?;
        Ok(Bootstrap { organization, tenants, admin_token: made })
    }

    /// Every tenant, by its number.
    pub async fn tenants(&self) -> ::store::Result<Vec<Tenant>> {
        let mut tx = self.inner.base.store.read_system().await?;
        store::tenants(&mut tx).await
    }

    /// One tenant.
    pub async fn tenant(&self, id: TenantId) -> ::store::Result<Option<Tenant>> {
        let mut tx = self.inner.base.store.read_system().await?;
        store::tenant(&mut tx, id).await
    }

    /// A code that signs in once within ten minutes, for the address that `serve` prints: `{base}/sign-in/{code}`.
    ///
    /// # Errors
    /// `not_bootstrapped`, and the database's.
    pub async fn sign_in_code(&self) -> Result<String, IdentityError> {
        let code = token::new_code(&*self.inner.base.randomness);
        let mut tx = self.inner.base.store.begin_system().await?;
        let (organization, _) = store::first_organization(&mut tx).await?.ok_or(IdentityError::NotBootstrapped)?;
        store::insert_code(&mut tx, &token::hash(&code), &organization, self.now() + CODE_LASTS).await?;
        tx.commit().await?;
        Ok(code)
    }

    /// Who holds a token. Counts and logs failures, and refuses an address that has too many of them without looking,
    /// unless it is a token that was good before: one bad client must not lock its neighbours out.
    pub(crate) async fn holder_of_token(&self, sent: &str, from: IpAddr) -> Result<Arc<Organization>, Refusal> {
        let hash = token::hash(sent);
        let known = match self.memory().recall(&hash) {
            (Some(Holder::Token(organization)), true) => return Ok(organization),
            (remembered, _) => remembered.is_some(),
        };
        if !known && !self.failures().allows(from, self.now()) {
            return Err(Refusal::TooManyFailures);
        }
        let changes = self.memory().changes();
        let found = {
            let mut tx = self.inner.base.store.read_system().await?;
            store::holder_of_token(&mut tx, &hash).await?
        };
        match found {
            Some(organization) => {
                let organization = Arc::new(organization);
                self.memory().keep(hash, Holder::Token(Arc::clone(&organization)), changes);
                Ok(organization)
            }
            None => {
                self.memory().forget(&hash);
                self.note_failure(from, "token");
                Err(Refusal::BadToken)
            }
        }
    }

    /// What the cookie of a session stands for, with the session's hash.
    pub(crate) async fn session(&self, value: &str) -> Result<(Arc<store::Session>, String), Refusal> {
        let hash = token::hash(value);
        let remembered = match self.memory().recall(&hash) {
            (Some(Holder::Session(session)), true) => Some(session),
            _ => None,
        };
        let session = match remembered {
            Some(session) => session,
            None => {
                let changes = self.memory().changes();
                let mut tx = self.inner.base.store.read_system().await?;
                let found = store::session(&mut tx, &hash).await?;
                drop(tx);
                let Some(session) = found.map(Arc::new) else {
                    self.memory().forget(&hash);
                    return Err(Refusal::SessionEnded);
                };
                self.memory().keep(hash.clone(), Holder::Session(Arc::clone(&session)), changes);
                session
            }
        };
        if session.expires_at <= self.now() {
            return Err(Refusal::SessionEnded);
        }
        Ok((session, hash))
    }

    /// Begins a session; answers the cookie's value.
    pub(crate) async fn begin_session(&self, organization: &OrganizationId) -> ::store::Result<Secret> {
        let now = self.now();
        let value = token::new_session(&*self.inner.base.randomness);
        let hash = token::hash(value.expose_secret());
        let mut tx = self.inner.base.store.begin_system().await?;
        store::insert_session(&mut tx, &hash, organization, now, now + SESSION_LASTS).await?;
        tx.commit().await?;
        Ok(value)
    }

    /// Uses a sign-in code up and begins a session with it; answers the cookie's value.
    pub(crate) async fn use_code(&self, code: &str, from: IpAddr) -> Result<Secret, Refusal> {
        let now = self.now();
        if !self.failures().allows(from, now) {
            return Err(Refusal::TooManyFailures);
        }
        let value = token::new_session(&*self.inner.base.randomness);
        let mut tx = self.inner.base.store.begin_system().await?;
        let Some(organization) = store::take_code(&mut tx, &token::hash(code), now).await? else {
            self.note_failure(from, "code");
            return Err(Refusal::CodeUsed);
        };
        let hash = token::hash(value.expose_secret());
        store::insert_session(&mut tx, &hash, &organization, now, now + SESSION_LASTS).await?;
        tx.commit().await?;
        Ok(value)
    }

    /// Ends a session on every node.
    pub(crate) async fn end_session(&self, hash: &str) -> ::store::Result<()> {
        let mut tx = self.inner.base.store.begin_system().await?;
        store::delete_session(&mut tx, hash).await?;
        tx.wake(crate::memory::WAKE);
        tx.commit().await
    }

    /// Shows a session another environment.
    pub(crate) async fn switch_session(&self, hash: &str, environment: Environment) -> ::store::Result<()> {
        let mut tx = self.inner.base.store.begin_system().await?;
        store::switch_session(&mut tx, hash, environment).await?;
        tx.wake(crate::memory::WAKE);
        tx.commit().await
    }

    fn note_failure(&self, from: IpAddr, by: &'static str) {
        metrics::counter!("bursar_sign_in_failures_total", "by" => by).increment(1);
        let count = self.failures().count(from, self.now());
        match count {
            ..crate::address::MOST_FAILURES => {
                tracing::warn!(client.address = %from, by, count, "a sign-in was refused")
            }
            crate::address::MOST_FAILURES => {
                tracing::warn!(client.address = %from, by, count, "further sign-ins from this address are refused for a minute");
            }
            _ => {}
        }
    }

    fn memory(&self) -> std::sync::MutexGuard<'_, Memory> {
        self.inner.memory.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn failures(&self) -> std::sync::MutexGuard<'_, Failures> {
        self.inner.failures.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
