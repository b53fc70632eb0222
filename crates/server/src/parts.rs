//! Puts the slices together: who is handed whom. The arrows of ARCHITECTURE.md, in code.

use crate::StartError;
use gateway::{Gateway, GatewayOptions, ReplyHandler};
use identity::{Bootstrap, Identity, IdentityOptions};
use inbox::{Inbox, InboxOptions, source::Allowlist};
use kit::{ExposeSecret, SharedClock, SharedRandomness, SystemClock, SystemRandomness};
use mirror::Mirror;
use platform::{Base, Slice, config::Config};
use revenue::Revenue;
use std::sync::Arc;
use store::{Store, StoreOptions};
use vault::{Keyring, Vault};

/// What a test or a benchmark may set apart from the configuration.
pub struct PartsOptions {
    /// Where `now` comes from.
    pub clock: SharedClock,
    /// Where ids, tokens and jitter come from.
    pub randomness: SharedRandomness,
    /// Client-side limits towards Stripe; `None` only against the simulator.
    pub limits: Option<gateway::LimitOptions>,
    /// Time limits of calls, waits between their tries, and the breaker.
    pub calls: CallOptions,
    /// Who takes the answers to intents of further purposes. They are known before any job runs.
    pub reply_handlers: Vec<Arc<dyn ReplyHandler>>,
}

/// How patient calls to Stripe are.
#[derive(Clone, Copy, Debug, Default)]
pub struct CallOptions {
    /// Time limits.
    pub patience: gateway::Patience,
    /// Waits between tries.
    pub retries: gateway::RetryOptions,
    /// When calls of an account stop for a while.
    pub breaker: gateway::BreakerOptions,
}

impl Default for PartsOptions {
    fn default() -> PartsOptions {
        PartsOptions {
            clock: SystemClock::shared(),
            randomness: SystemRandomness::shared(),
            limits: Some(gateway::LimitOptions::default()),
            calls: CallOptions::default(),
            reply_handlers: Vec::new(),
        }
    }
}

/// All slices of one node, on one open and migrated database.
pub struct Parts {
    /// Store, clock, randomness.
    pub base: Base,
    /// Who is calling.
    pub identity: Identity,
    /// Sealed secrets and connections.
    pub vault: Vault,
    /// The door out.
    pub gateway: Gateway,
    /// The door in: what Stripe sends.
    pub inbox: Inbox,
    /// The door in: what it becomes.
    pub mirror: Mirror,
    /// Figures.
    pub revenue: Revenue,
    /// What the start found or made: organization, tenants, token.
    pub bootstrap: Bootstrap,
}

/// Opens the database that the configuration names.
///
/// # Errors
/// See [`store::StoreError`].
pub async fn open_store(config: &Config) -> Result<Store, StartError> {
    let options = match &config.database_url {
        Some(url) => StoreOptions::new(url.expose_secret()),
        None => StoreOptions::in_folder(&config.data_dir),
    };
    Ok(Store::open(&options).await?)
}

impl Parts {
    /// Opens the database, brings it up to date, and puts the slices together.
    ///
    /// # Errors
    /// Whatever keeps a node from starting, told by [`StartError::code`].
    pub async fn open(config: &Config, options: PartsOptions) -> Result<Parts, StartError> {
        if let Some(finding) = config.findings().into_iter().find(|finding| finding.fatal) {
            return Err(StartError::Config(finding.text));
        }
        let store = open_store(config).await?;
        store.migrate(&migrations::all()).await?;
        let base = Base { store, clock: options.clock, randomness: options.randomness };
        let keyring = match &config.vault_keys {
            Some(text) => Keyring::parse(text)?,
            None => Keyring::load_or_create(&config.data_dir, base.now(), &*base.randomness)?,
        };
        let identity_options =
            IdentityOptions { public_url: config.public_url.clone(), trusted_proxies: config.trusted_proxies };
        let identity = Identity::open_with(base.clone(), identity_options);
        let bootstrap = identity.bootstrap(config.admin_token.clone()).await?;
        let vault = Vault::open(base.clone(), keyring);
        let mut gateway_options = GatewayOptions::at(&config.stripe_api_base);
        gateway_options.public_url.clone_from(&config.public_url);
        gateway_options.limits = options.limits;
        let CallOptions { patience, retries, breaker } = options.calls;
        (gateway_options.patience, gateway_options.retries, gateway_options.breaker) = (patience, retries, breaker);
        let gateway = Gateway::new(base.clone(), vault.clone(), gateway_options)?;
        for handler in options.reply_handlers {
            gateway.handle_replies(handler);
        }
        let allowlist =
            Allowlist::parse(&config.webhook_allowlist).map_err(|bad| StartError::Config(bad.to_string()))?;
        let inbox_options = InboxOptions {
            global_secret: config.global_webhook_secret.clone(),
            allowlist,
            trusted_proxies: config.trusted_proxies,
            ..InboxOptions::default()
        };
        let inbox = Inbox::new(base.clone(), vault.clone(), inbox_options);
        let revenue = Revenue::new(base.clone());
        let mirror =
            Mirror::new(base.clone(), vault.clone(), gateway.clone(), inbox.clone(), vec![revenue.projection()]);
        gateway.observe_with(Arc::new(mirror.clone()));
        Ok(Parts { base, identity, vault, gateway, inbox, mirror, revenue, bootstrap })
    }

    /// What each slice brings, in the order of the arrows.
    pub fn slices(&self) -> Vec<Slice> {
        let console = console::Console {
            base: self.base.clone(),
            vault: self.vault.clone(),
            gateway: self.gateway.clone(),
            inbox: self.inbox.clone(),
            mirror: self.mirror.clone(),
            revenue: self.revenue.clone(),
        };
        vec![
            identity::slice(&self.identity),
            vault::slice(&self.vault),
            gateway::slice(&self.gateway),
            inbox::slice(&self.inbox, Arc::new(self.mirror.clone())),
            mirror::slice(&self.mirror),
            revenue::slice(&self.revenue),
            console::slice(console),
        ]
    }
}
