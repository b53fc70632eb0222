//! What an API key is and can do, found out with reads of one object each (REV-1).

use crate::{ConnectError, Gateway, GatewayError};
use futures::{StreamExt, TryStreamExt, stream};
use kit::{Environment, Secret, Stopwatch, secret};
use serde::{Deserialize, Serialize};
use stripe::{
    ErrorClass, KeyInfo, KeyKind, ObjectKind, Request,
    api::{self, EventListParams, ListParams},
    kind::EVENTS_PERMISSION,
};

/// Probes under way at once: few enough to leave the account's limit to others.
const PROBES_AT_ONCE: usize = 6;
/// The permission to read the account itself, as refusals name it.
const ACCOUNT_PERMISSION: &str = "rak_accounts_kyc_basic_read";

/// What a key is and can do.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct KeyReport {
    /// Whether it can do all that the sync needs.
    pub ok: bool,
    /// The account it belongs to; empty if the key may not read it.
    pub account_id: String,
    /// What the account calls itself.
    pub account_name: String,
    /// Live or test data.
    pub environment: Environment,
    /// `secret`, `restricted` or `sandbox`.
    pub key_kind: &'static str,
    /// The key's ending, to tell keys apart.
    pub key_hint: String,
    /// What was tried; empty for secret keys, which may do everything.
    pub permissions: Vec<PermissionProbe>,
    /// How long Stripe took to answer the first call.
    pub latency_ms: u64,
    /// What is worth knowing, such as a secret key where a restricted one would do.
    pub advice: Option<String>,
}

/// Whether a key may read one kind of object.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct PermissionProbe {
    /// What was read, in people's words.
    pub object: &'static str,
    /// The permission it takes: as Stripe named it in its refusal, or as we know it.
    pub permission: String,
    /// Whether the key has it.
    pub granted: bool,
}

impl KeyReport {
    /// What the key lacks.
    pub fn missing(&self) -> impl Iterator<Item = &PermissionProbe> {
        self.permissions.iter().filter(|probe| !probe.granted)
    }

    /// The permissions to be given, each named once: one may serve several kinds of objects.
    pub fn missing_permissions(&self) -> Vec<&str> {
        let mut named: Vec<&str> = Vec::new();
        for probe in self.missing() {
            if !named.contains(&probe.permission.as_str()) {
                named.push(&probe.permission);
            }
        }
        named
    }
}

#[derive(Deserialize)]
struct Account {
    id: String,
    email: Option<String>,
    business_profile: Option<BusinessProfile>,
    settings: Option<Settings>,
}

#[derive(Deserialize)]
struct BusinessProfile {
    name: Option<String>,
}

#[derive(Deserialize)]
struct Settings {
    dashboard: Option<Dashboard>,
}

#[derive(Deserialize)]
struct Dashboard {
    display_name: Option<String>,
}

#[derive(Deserialize)]
struct Balance {
    livemode: bool,
}

impl Account {
    fn name(&self) -> String {
        let shown =
            self.settings.as_ref().and_then(|it| it.dashboard.as_ref()).and_then(|it| it.display_name.as_deref());
        let business = self.business_profile.as_ref().and_then(|it| it.name.as_deref());
        let name = [shown, business, self.email.as_deref()].into_iter().flatten().find(|name| !name.trim().is_empty());
        name.unwrap_or(&self.id).chars().filter(|letter| !letter.is_control()).take(100).collect()
    }
}

/// Asks Stripe what a key is and can do.
pub(crate) async fn check(
    gateway: &Gateway,
    environment: Environment,
    key: &Secret,
    info: KeyInfo,
    api_base: Option<&str>,
) -> Result<KeyReport, ConnectError> {
    let watch = Stopwatch::start();
    let mut permissions = Vec::new();
    let account = match gateway.call_with_key(key, environment, api_base, api::account()).await {
        Ok(answer) => Some(answer.response.read::<Account>().map_err(GatewayError::Stripe)?),
        Err(error) => {
            let account = account_named_in(&error);
            let permission = lacking(&error, ACCOUNT_PERMISSION).ok_or(error)?;
            if account.is_none() {
                permissions.push(PermissionProbe { object: "account", permission, granted: false });
            }
            account
        }
    };
    let latency_ms = watch.elapsed_ms();
    // A secret key may do everything; a restricted one is tried.
    if info.kind == KeyKind::Restricted {
        let found = stream::iter(probes())
            .map(|Probe { object, permission, request }| async move {
                let asked = gateway.call_with_key(key, environment, api_base, request).await;
                probe_result(object, permission, asked.err())
            })
            .buffered(PROBES_AT_ONCE)
            .try_collect::<Vec<_>>()
            .await?;
        permissions.extend(found);
    }
    let environment = match info.livemode {
        Some(livemode) => Environment::from_livemode(livemode),
        None => found_environment(gateway, environment, key, api_base).await?,
    };
    let advice = (info.kind == KeyKind::Secret && environment.is_live()).then(|| {
        "This is a secret key, which may do everything. A restricted key with read permissions is enough for the sync, and safer.".to_owned()
    });
    Ok(KeyReport {
        ok: permissions.iter().all(|probe| probe.granted),
        account_id: account.as_ref().map(|account| account.id.clone()).unwrap_or_default(),
        account_name: account.as_ref().map(Account::name).unwrap_or_default(),
        environment,
        key_kind: match info.kind {
            KeyKind::Restricted => "restricted",
            KeyKind::ThrowawaySandbox => "sandbox",
            KeyKind::Secret | KeyKind::Publishable | KeyKind::WebhookSecret => "secret",
        },
        key_hint: secret::hint(key),
        permissions,
        latency_ms,
        advice,
    })
}

/// A read of one object that shows whether a permission is there.
struct Probe {
    object: &'static str,
    permission: &'static str,
    request: Request,
}

/// What the sync reads: every mirrored kind, and the event list.
fn probes() -> Vec<Probe> {
    let one = ListParams { limit: 1, ..ListParams::default() };
    let probe = |kind: ObjectKind| Probe {
        object: kind.plural(),
        permission: kind.permission(),
        request: api::list(kind, &one),
    };
    let mut probes: Vec<Probe> = ObjectKind::ALL.into_iter().map(probe).collect();
    let events = EventListParams { list: one.clone(), ..EventListParams::default() };
    probes.push(Probe { object: "events", permission: EVENTS_PERMISSION, request: api::events(&events) });
    probes
}

fn probe_result(
    object: &'static str,
    permission: &'static str,
    error: Option<GatewayError>,
) -> Result<PermissionProbe, GatewayError> {
    let granted = |granted, permission: String| PermissionProbe { object, permission, granted };
    match error {
        None => Ok(granted(true, permission.to_owned())),
        Some(error) => match lacking(&error, permission) {
            Some(named) => Ok(granted(false, named)),
            None => Err(error),
        },
    }
}

/// The permission that is missing, if that is what the error says.
fn lacking(error: &GatewayError, usual: &str) -> Option<String> {
    match error.class()? {
        ErrorClass::Permission { permission } => Some(permission.unwrap_or_else(|| usual.to_owned())),
        _ => None,
    }
}

/// Restricted keys cannot be given the permission to read their account, but Stripe's refusal names the account: "…
/// does not have the required permissions for this endpoint on account 'acct_…'".
fn account_named_in(error: &GatewayError) -> Option<Account> {
    let ErrorClass::Permission { .. } = error.class()? else { return None };
    let message = &error.api_error()?.message;
    let named = &message[message.find("acct_")?..];
    let end = named.find(|letter: char| !letter.is_ascii_alphanumeric() && letter != '_').unwrap_or(named.len());
    Some(Account { id: named[..end].to_owned(), email: None, business_profile: None, settings: None })
}

/// A key whose prefix does not say belongs where its balance does.
async fn found_environment(
    gateway: &Gateway,
    environment: Environment,
    key: &Secret,
    api_base: Option<&str>,
) -> Result<Environment, ConnectError> {
    let answer = gateway.call_with_key(key, environment, api_base, api::balance()).await?;
    let balance: Balance = answer.response.read().map_err(GatewayError::Stripe)?;
    Ok(Environment::from_livemode(balance.livemode))
}
