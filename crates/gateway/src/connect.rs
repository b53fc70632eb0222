//! Connections by API key: checking a key, connecting, testing, replacing the key, disconnecting (REV-1, REV-2).
//!
//! Stripe is asked before any transaction begins; each refusal has its own name and says what to do.

use crate::{
    ConnectError, Gateway,
    doctor::{self, Diagnosis, Need},
    key_check::{self, KeyReport},
    store as rows, webhook_endpoint,
};
use kit::{Environment, Secret, TenantId};
use platform::notice;
use std::{sync::Arc, time::Duration};
use store::{StoreError, TenantTx};
use stripe::{KeyInfo, KeyKind};
use vault::{Connection, ConnectionId, ConnectionState, Linked, NewConnection, Purpose, VaultError};

/// The provider of every connection made here.
const PROVIDER: &str = "stripe";
/// Longest name of a connection, in characters.
const LONGEST_NAME: usize = 100;
/// Furthest that charges and the like may be asked for: Stripe was founded in 2010.
const MOST_LOOKBACK_DAYS: u32 = 36_500;

/// How long a webhook secret goes on serving once another has taken its place: as long as Stripe lets an endpoint sign
/// with both while a secret is rolled.
pub(crate) const SECRET_GRACE: Duration = Duration::from_secs(24 * 3_600);

/// What a new connection is made of.
#[derive(Debug)]
pub struct NewConnectionRequest {
    /// A secret or restricted key.
    pub api_key: Secret,
    /// How many days back charges and the like are read; everything if absent.
    pub lookback_days: Option<u32>,
    /// What people call it; the account's own name if absent.
    pub display_name: Option<String>,
    /// Where its events come from.
    pub webhook: WebhookChoice,
}

/// Where a connection's events come from.
#[derive(Debug, Default)]
pub enum WebhookChoice {
    /// Bursar makes the endpoint at Stripe, if Stripe can reach this server.
    #[default]
    Auto,
    /// From Stripe's event list only.
    None,
    /// From an endpoint that was made by hand; its signing secret.
    Secret(Secret),
}

/// What can be changed of a connection; none leaves a field as it is.
#[derive(Debug, Default)]
pub struct ConnectionChange {
    /// Another name.
    pub display_name: Option<String>,
    /// Other days, or everything (`Some(None)`).
    pub lookback_days: Option<Option<u32>>,
    /// Another way for events to come. An endpoint that Bursar made is removed unless it is to make one.
    pub webhook: Option<WebhookChoice>,
}

impl Gateway {
    /// Finds out what a key can do, without connecting it.
    ///
    /// # Errors
    /// Every refusal of the key itself; missing permissions are in the report.
    pub async fn check_key(&self, environment: Environment, key: &Secret) -> Result<KeyReport, ConnectError> {
        let info = usable_key(key, environment)?;
        let report = key_check::check(self, environment, key, info, None).await?;
        match report.environment {
            other if other != environment => Err(ConnectError::WrongEnvironment { key: other, caller: environment }),
            _ => Ok(report),
        }
    }

    /// Connects an account by its key: checks the key with Stripe, seals it, makes the webhook endpoint, and publishes
    /// `connection.created`, upon which the first full sync begins.
    ///
    /// # Errors
    /// Each refusal by its own name; nothing is kept then.
    pub async fn connect(
        &self,
        tenant: TenantId,
        environment: Environment,
        request: NewConnectionRequest,
    ) -> Result<Connection, ConnectError> {
        let given_name = request.display_name.as_deref().map(checked_name).transpose()?;
        let lookback_days = request.lookback_days.map(checked_lookback).transpose()?;
        if let WebhookChoice::Secret(secret) = &request.webhook {
            KeyKind::check_webhook_secret(secret)
                .map_err(|error| ConnectError::BadField { field: "webhook", detail: format!("{error}.") })?;
        }
        let report = self.check_key(environment, &request.api_key).await?;
        if !report.ok {
            return Err(ConnectError::PermissionsMissing(Box::new(report)));
        }
        let display_name = given_name.unwrap_or_else(|| report.account_name.clone());

        let vault = self.vault();
        let mut tx = self.inner.base.store.begin(tenant).await?;
        let checked_at = self.inner.base.now();
        let new = NewConnection {
            provider: PROVIDER,
            account_id: &report.account_id,
            environment,
            display_name: &display_name,
            api_key: &request.api_key,
            key_hint: &report.key_hint,
            key_kind: &report.key_kind,
            lookback_days,
            api_base: None,
        };
        let connection = vault.insert_connection(&mut tx, new).await?;
        rows::save_key_report(&mut tx, &connection.id, &report, checked_at).await?;
        // Nothing below refuses any more.
        let mut endpoint = None;
        match &request.webhook {
            WebhookChoice::Auto => endpoint = self.intend_endpoint(&mut tx, &connection).await?,
            WebhookChoice::None => {}
            WebhookChoice::Secret(secret) => {
                vault.add_webhook_secret(&mut tx, &connection.id, secret).await?;
            }
        }
        let payload = serde_json::json!({ "account_id": connection.account_id });
        notice::publish(&mut tx, &self.inner.base, "connection.created", connection.id.as_str(), payload).await?;
        tx.commit().await?;
        let reads = report.permissions.iter().filter(|probe| probe.needed_for == Need::Sync).count();
        self.count_probes(&connection, reads as i64 + 1);
        tracing::info!(connection.id = %connection.id, stripe.account = connection.account_id, "an account was connected");

        self.make_endpoint_now(tenant, &connection.id, endpoint).await;
        let mut tx = self.inner.base.store.read(tenant).await?;
        Ok(vault.connection(&mut tx, &connection.id).await?.unwrap_or(connection))
    }

    async fn intend_endpoint(
        &self,
        tx: &mut TenantTx,
        connection: &Connection,
    ) -> Result<Option<crate::IntentId>, StoreError> {
        match (webhook_endpoint::obstacle(self.public_url(), connection.environment), self.public_url()) {
            (None, Some(url)) => self.intend(tx, webhook_endpoint::intent(url, connection)).await.map(Some),
            (why, _) => {
                let why = why.unwrap_or_default();
                tracing::info!(connection.id = %connection.id, "no webhook endpoint is made: {why}; events are found by reading the event list");
                Ok(None)
            }
        }
    }

    /// Tests a connection's key with Stripe. One that was refused and works again is set to work.
    ///
    /// # Errors
    /// Every refusal of the key itself; missing permissions are in the report.
    pub async fn test_connection(&self, tenant: TenantId, id: &ConnectionId) -> Result<KeyReport, ConnectError> {
        let linked = self.linked_in(tenant, id).await?;
        let connection = &linked.connection;
        let checked = async {
            let info = usable_key(&linked.api_key, linked.environment)?;
            key_check::check(self, linked.environment, &linked.api_key, info, Some(connection)).await
        };
        let outcome = checked.await;
        let state = match &outcome {
            Ok(report) if report.account_id == connection.account_id => ConnectionState::Active,
            Err(ConnectError::KeyRefused { message }) => ConnectionState::KeyRefused { reason: message.clone() },
            Ok(_) | Err(_) => connection.state.clone(),
        };
        if state != connection.state {
            let mut tx = self.inner.base.store.begin(tenant).await?;
            self.vault().set_state(&mut tx, id, state.clone()).await?;
            if state == ConnectionState::Active {
                self.nudge(&mut tx, id).await?;
            }
            tx.commit().await?;
        }
        let report = outcome?;
        self.inner.reads.note_good(connection);
        same_account(connection, &report)?;
        // Stripe answers: nobody needs to wait for the next probe.
        if let Some(account) = self.account_of(id) {
            account.heard();
        }
        let mut tx = self.inner.base.store.begin(tenant).await?;
        rows::save_key_report(&mut tx, id, &report, self.inner.base.now()).await?;
        tx.commit().await?;
        Ok(report)
    }

    /// What the doctor says of a connection's key, from when it was last tried and what was refused since. Asks Stripe only
    /// if the key was never tried: each trial of a restricted key costs a dozen reads.
    ///
    /// # Errors
    /// `not_found`, `connection_disconnected`, and each refusal of the key itself.
    pub async fn key_diagnosis(&self, tenant: TenantId, id: &ConnectionId) -> Result<Diagnosis, ConnectError> {
        let known = self.known_diagnosis(tenant, id).await?;
        if known.key.is_some() {
            return Ok(known);
        }
        self.test_connection(tenant, id).await?;
        self.known_diagnosis(tenant, id).await
    }

    /// What the doctor says of a connection's key without asking Stripe.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn known_diagnosis(&self, tenant: TenantId, id: &ConnectionId) -> Result<Diagnosis, ConnectError> {
        let mut tx = self.inner.base.store.read(tenant).await?;
        let tried = rows::key_report(&mut tx, id).await?;
        let denials = rows::denials(&mut tx, id).await?;
        Ok(doctor::diagnose(tried, &denials))
    }

    /// Puts another key in the place of a connection's. What waited for it goes on at once.
    ///
    /// # Errors
    /// Each refusal by its own name; the old key stays then.
    pub async fn replace_key(
        &self,
        tenant: TenantId,
        id: &ConnectionId,
        key: &Secret,
    ) -> Result<Connection, ConnectError> {
        let linked = self.linked_in(tenant, id).await?;
        let info = usable_key(key, linked.environment)?;
        let report = key_check::check(self, linked.environment, key, info, Some(&linked.connection)).await?;
        if report.environment != linked.environment {
            return Err(ConnectError::WrongEnvironment { key: report.environment, caller: linked.environment });
        }
        same_account(&linked.connection, &report)?;
        if !report.ok {
            return Err(ConnectError::PermissionsMissing(Box::new(report)));
        }
        let mut tx = self.inner.base.store.begin(tenant).await?;
        self.vault().replace_key(&mut tx, id, key, &report.key_hint, &report.key_kind).await?;
        rows::save_key_report(&mut tx, id, &report, self.inner.base.now()).await?;
        rows::forget_denials(&mut tx, id).await?;
        self.inner.reads.forget_denied(id);
        self.nudge(&mut tx, id).await?;
        let payload = serde_json::json!({ "key_hint": report.key_hint });
        notice::publish(&mut tx, &self.inner.base, "connection.key_replaced", id.as_str(), payload).await?;
        let connection = self.vault().connection(&mut tx, id).await?;
        tx.commit().await?;
        connection.ok_or_else(|| VaultError::NotFound(id.clone()).into())
    }

    /// Changes a connection's name or how far back is read; the latter counts from the next full sync.
    ///
    /// # Errors
    /// `bad_field`, `not_found`, `connection_disconnected`.
    pub async fn change_connection(
        &self,
        tenant: TenantId,
        id: &ConnectionId,
        change: ConnectionChange,
    ) -> Result<Connection, ConnectError> {
        let name = change.display_name.as_deref().map(checked_name).transpose()?;
        if let Some(Some(days)) = change.lookback_days {
            checked_lookback(days)?;
        }
        let mut endpoint = None;
        if let Some(webhook) = &change.webhook {
            checked_webhook(webhook)?;
            let linked = self.linked_in(tenant, id).await?;
            let made = linked.connection.webhook_endpoint_id.as_deref();
            match (webhook, made) {
                (WebhookChoice::None | WebhookChoice::Secret(_), Some(made)) => {
                    webhook_endpoint::remove(self, &linked, made).await?;
                }
                (WebhookChoice::Auto | WebhookChoice::None | WebhookChoice::Secret(_), _) => {}
            }
        }
        let mut tx = self.inner.base.store.begin(tenant).await?;
        if let Some(name) = name {
            self.vault().set_display_name(&mut tx, id, &name).await?;
        }
        if let Some(days) = change.lookback_days {
            self.vault().set_lookback_days(&mut tx, id, days).await?;
        }
        let found = self.vault().connection(&mut tx, id).await?;
        let connection = found.ok_or_else(|| VaultError::NotFound(id.clone()))?;
        match &change.webhook {
            Some(WebhookChoice::Auto) if connection.webhook_endpoint_id.is_none() => {
                endpoint = self.intend_endpoint(&mut tx, &connection).await?;
            }
            Some(WebhookChoice::Secret(secret)) => {
                self.vault().set_webhook_endpoint(&mut tx, id, None).await?;
                self.put_webhook_secret(&mut tx, id, secret).await?;
            }
            Some(WebhookChoice::None) => {
                self.vault().set_webhook_endpoint(&mut tx, id, None).await?;
                self.retire_webhook_secrets(&mut tx, id).await?;
            }
            Some(WebhookChoice::Auto) | None => {}
        }
        tx.commit().await?;
        self.make_endpoint_now(tenant, id, endpoint).await;
        let mut tx = self.inner.base.store.read(tenant).await?;
        Ok(self.vault().connection(&mut tx, id).await?.unwrap_or(connection))
    }

    /// Puts a webhook secret in the place of those that are there, which go on serving for a day.
    pub(crate) async fn put_webhook_secret(
        &self,
        tx: &mut TenantTx,
        id: &ConnectionId,
        secret: &Secret,
    ) -> Result<(), VaultError> {
        self.retire_webhook_secrets(tx, id).await?;
        self.vault().add_webhook_secret(tx, id, secret).await.map(drop)
    }

    async fn retire_webhook_secrets(&self, tx: &mut TenantTx, id: &ConnectionId) -> Result<(), VaultError> {
        let at = self.inner.base.now() + SECRET_GRACE;
        self.vault().retire(tx, Purpose::WebhookSecret, id.as_str(), at).await.map(drop)
    }

    /// Carries out the intent that makes an endpoint while somebody waits; a job goes on if that fails.
    async fn make_endpoint_now(&self, tenant: TenantId, id: &ConnectionId, intent: Option<crate::IntentId>) {
        if let Some(intent) = intent
            && let Err(error) = self.carry_out(tenant, &intent).await
        {
            tracing::warn!(connection.id = %id, %error, "the webhook endpoint is not made yet; a job goes on");
        }
    }

    /// Ends a connection: removes the webhook endpoint that Bursar made, destroys the secrets, and publishes
    /// `connection.disconnected`, upon which its data is erased if asked for.
    ///
    /// Stripe being unreachable does not stop it; the answer names the endpoint that was left then.
    ///
    /// # Errors
    /// `not_found`, `connection_disconnected`, and the database's.
    pub async fn disconnect(
        &self,
        tenant: TenantId,
        id: &ConnectionId,
        erase: bool,
    ) -> Result<Disconnected, ConnectError> {
        let mut left = None;
        match self.linked_in(tenant, id).await {
            Ok(linked) => {
                if let Some(endpoint) = &linked.connection.webhook_endpoint_id
                    && let Err(error) = webhook_endpoint::remove(self, &linked, endpoint).await
                {
                    tracing::warn!(connection.id = %id, webhook_endpoint.id = endpoint, %error, "the webhook endpoint stays at Stripe");
                    left = Some(endpoint.clone());
                }
            }
            // A secret that does not open must not keep anybody from ending the connection.
            Err(ConnectError::Vault(
                VaultError::KeyUnknown { .. } | VaultError::Corrupt { .. } | VaultError::Missing { .. },
            )) => {}
            Err(error) => return Err(error),
        }
        let mut tx = self.inner.base.store.begin(tenant).await?;
        self.vault().disconnect(&mut tx, id, erase).await?;
        let payload = serde_json::json!({ "erase": erase });
        notice::publish(&mut tx, &self.inner.base, "connection.disconnected", id.as_str(), payload).await?;
        self.nudge(&mut tx, id).await?;
        tx.commit().await?;
        Ok(Disconnected { webhook_endpoint_left: left })
    }

    pub(crate) async fn linked_in(&self, tenant: TenantId, id: &ConnectionId) -> Result<Arc<Linked>, ConnectError> {
        let linked = self.vault().linked(id).await?.filter(|linked| linked.connection.tenant == tenant);
        if let Some(linked) = linked {
            return Ok(linked);
        }
        let mut tx = self.inner.base.store.read(tenant).await?;
        Err(match self.vault().connection(&mut tx, id).await? {
            Some(_) => VaultError::Disconnected(id.clone()).into(),
            None => VaultError::NotFound(id.clone()).into(),
        })
    }
}

/// What is left after a connection ended.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Disconnected {
    /// The webhook endpoint that could not be removed at Stripe, to be removed by hand.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub webhook_endpoint_left: Option<String>,
}

fn usable_key(key: &Secret, environment: Environment) -> Result<KeyInfo, ConnectError> {
    let info = KeyKind::parse_api_key(key)?;
    match info.livemode.map(Environment::from_livemode) {
        Some(other) if other != environment => Err(ConnectError::WrongEnvironment { key: other, caller: environment }),
        _ => Ok(info),
    }
}

fn same_account(connection: &Connection, report: &KeyReport) -> Result<(), ConnectError> {
    if connection.account_id == report.account_id {
        return Ok(());
    }
    Err(ConnectError::OtherAccount { expected: connection.account_id.clone(), found: report.account_id.clone() })
}

fn checked_name(name: &str) -> Result<String, ConnectError> {
    let name = name.trim();
    let length = name.chars().count();
    if (1..=LONGEST_NAME).contains(&length) && !name.chars().any(char::is_control) {
        return Ok(name.to_owned());
    }
    let detail = format!("The name must have 1 to {LONGEST_NAME} characters, in one line.");
    Err(ConnectError::BadField { field: "display_name", detail })
}

fn checked_webhook(choice: &WebhookChoice) -> Result<(), ConnectError> {
    match choice {
        WebhookChoice::Secret(secret) => KeyKind::check_webhook_secret(secret)
            .map_err(|error| ConnectError::BadField { field: "webhook", detail: format!("{error}.") }),
        WebhookChoice::Auto | WebhookChoice::None => Ok(()),
    }
}

fn checked_lookback(days: u32) -> Result<u32, ConnectError> {
    if (1..=MOST_LOOKBACK_DAYS).contains(&days) {
        return Ok(days);
    }
    let detail = format!("The days must be 1 to {MOST_LOOKBACK_DAYS}; leave the field out to read everything.");
    Err(ConnectError::BadField { field: "lookback_days", detail })
}
