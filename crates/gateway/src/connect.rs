//! Connections by API key: checking a key, connecting, testing, replacing the key, disconnecting (REV-1, REV-2).
//!
//! Stripe is asked before any transaction begins; each refusal has its own name and says what to do.

use crate::{
    Gateway, GatewayError,
    key_check::{self, KeyReport},
    webhook_endpoint,
};
use kit::{Environment, Secret, TenantId};
use platform::{Problem, notice};
use std::sync::Arc;
use store::{StoreError, TenantTx};
use stripe::{ErrorClass, KeyError, KeyInfo, KeyKind};
use vault::{Connection, ConnectionId, ConnectionState, Linked, NewConnection, VaultError};

/// The provider of every connection made here.
const PROVIDER: &str = "stripe";
/// Longest name of a connection, in characters.
const LONGEST_NAME: usize = 100;
/// Furthest that charges and the like may be asked for: Stripe was founded in 2010.
const MOST_LOOKBACK_DAYS: u32 = 36_500;

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
#[derive(Clone, Debug, Default)]
pub struct ConnectionChange {
    /// Another name.
    pub display_name: Option<String>,
    /// Other days, or everything (`Some(None)`).
    pub lookback_days: Option<Option<u32>>,
}

/// Why a connection is not made, changed or tested.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// The text is not a key that can read data.
    #[error("{0}")]
    Key(#[from] KeyError),
    /// A live key for the test environment, or the other way round.
    #[error("this is a {key} key, and you are in the {caller} environment")]
    WrongEnvironment {
        /// Where the key belongs.
        key: Environment,
        /// Where the caller is.
        caller: Environment,
    },
    /// Stripe does not accept the key: mistyped, expired or revoked.
    #[error("Stripe does not accept this API key: {message}")]
    KeyRefused {
        /// Stripe's text; it masks the key.
        message: String,
    },
    /// The restricted key lacks permissions that the sync needs.
    #[error("the key lacks {} of the permissions that are needed", .0.missing().count())]
    PermissionsMissing(Box<KeyReport>),
    /// The key belongs to another account than the connection.
    #[error("the key belongs to the account {found}, and the connection to {expected}")]
    OtherAccount {
        /// The connection's account.
        expected: String,
        /// The key's account.
        found: String,
    },
    /// A field of the request is not as it must be.
    #[error("{detail}")]
    BadField {
        /// Which field.
        field: &'static str,
        /// What is wrong with it.
        detail: String,
    },
    /// There is no such connection, the account is connected already, or the secret cannot be sealed.
    #[error(transparent)]
    Vault(#[from] VaultError),
    /// Stripe could not be asked.
    #[error(transparent)]
    Gateway(GatewayError),
}

impl From<StoreError> for ConnectError {
    fn from(error: StoreError) -> ConnectError {
        ConnectError::Vault(VaultError::Store(error))
    }
}

impl From<GatewayError> for ConnectError {
    fn from(error: GatewayError) -> ConnectError {
        match &error {
            GatewayError::Stripe(call) if call.class() == ErrorClass::Authentication => ConnectError::KeyRefused {
                message: error.api_error().map_or_else(|| call.to_string(), |api| api.message.clone()),
            },
            _ => ConnectError::Gateway(error),
        }
    }
}

impl ConnectError {
    /// Stable code for programs.
    pub fn code(&self) -> &'static str {
        match self {
            ConnectError::Key(error) => error.code(),
            ConnectError::WrongEnvironment { .. } => "key_of_other_environment",
            ConnectError::KeyRefused { .. } => "stripe_key_refused",
            ConnectError::PermissionsMissing(_) => "key_permissions_missing",
            ConnectError::OtherAccount { .. } => "key_of_other_account",
            ConnectError::BadField { .. } => "bad_field",
            ConnectError::Vault(error) => error.code(),
            ConnectError::Gateway(error) => error.code(),
        }
    }
}

impl From<ConnectError> for Problem {
    fn from(error: ConnectError) -> Problem {
        use axum::http::StatusCode;
        let code = error.code();
        let text = format!("{error}.");
        let refused =
            |title| Problem::new(StatusCode::UNPROCESSABLE_ENTITY, code, title, text.clone()).field("api_key");
        match &error {
            ConnectError::Key(_) => refused("This key cannot be used").what_to_do(
                "Copy a restricted key (rk_…) or a secret key (sk_…) from the Stripe dashboard, Developers, API keys.",
            ),
            ConnectError::WrongEnvironment { key, .. } => refused("The key belongs to the other environment")
                .what_to_do(format!("Switch to the {key} environment, or use a key of this one.")),
            ConnectError::KeyRefused { .. } => {
                refused("Stripe does not accept this key").what_to_do(ErrorClass::Authentication.remedy())
            }
            ConnectError::PermissionsMissing(report) => {
                let missing: Vec<&str> = report.missing().map(|probe| probe.permission.as_str()).collect();
                refused("The key lacks permissions")
                    .what_to_do(format!(
                        "Give the restricted key these permissions in the Stripe dashboard, then try again: {}.",
                        missing.join(", ")
                    ))
                    .with("missing_permissions", missing)
                    .with("report", serde_json::to_value(report).unwrap_or_default())
            }
            ConnectError::OtherAccount { .. } => refused("The key belongs to another account")
                .what_to_do("Use a key of the same account, or connect the other account as a connection of its own."),
            ConnectError::BadField { field, detail } => Problem::bad_field(*field, detail.clone()),
            ConnectError::Vault(error) => error.clone().into(),
            ConnectError::Gateway(_) => match error {
                ConnectError::Gateway(error) => error.into(),
                _ => Problem::internal(&error),
            },
        }
    }
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
        let new = NewConnection {
            provider: PROVIDER,
            account_id: &report.account_id,
            environment,
            display_name: &display_name,
            api_key: &request.api_key,
            key_hint: &report.key_hint,
            key_kind: report.key_kind,
            lookback_days,
            api_base: None,
        };
        let connection = vault.insert_connection(&mut tx, new).await?;
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
        tracing::info!(connection.id = %connection.id, stripe.account = connection.account_id, "an account was connected");

        if let Some(intent) = endpoint
            && let Err(error) = self.carry_out(tenant, &intent).await
        {
            tracing::warn!(connection.id = %connection.id, %error, "the webhook endpoint is not made yet; a job goes on");
        }
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
            key_check::check(self, linked.environment, &linked.api_key, info, connection.api_base.as_deref()).await
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
        Ok(report)
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
        let api_base = linked.connection.api_base.as_deref();
        let report = key_check::check(self, linked.environment, key, info, api_base).await?;
        if report.environment != linked.environment {
            return Err(ConnectError::WrongEnvironment { key: report.environment, caller: linked.environment });
        }
        same_account(&linked.connection, &report)?;
        if !report.ok {
            return Err(ConnectError::PermissionsMissing(Box::new(report)));
        }
        let mut tx = self.inner.base.store.begin(tenant).await?;
        self.vault().replace_key(&mut tx, id, key, &report.key_hint, report.key_kind).await?;
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
        let mut tx = self.inner.base.store.begin(tenant).await?;
        if let Some(name) = name {
            self.vault().set_display_name(&mut tx, id, &name).await?;
        }
        if let Some(days) = change.lookback_days {
            self.vault().set_lookback_days(&mut tx, id, days).await?;
        }
        let connection = self.vault().connection(&mut tx, id).await?;
        tx.commit().await?;
        connection.ok_or_else(|| VaultError::NotFound(id.clone()).into())
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

    async fn linked_in(&self, tenant: TenantId, id: &ConnectionId) -> Result<Arc<Linked>, ConnectError> {
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

fn checked_lookback(days: u32) -> Result<u32, ConnectError> {
    if (1..=MOST_LOOKBACK_DAYS).contains(&days) {
        return Ok(days);
    }
    let detail = format!("The days must be 1 to {MOST_LOOKBACK_DAYS}; leave the field out to read everything.");
    Err(ConnectError::BadField { field: "lookback_days", detail })
}
