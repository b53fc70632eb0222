//! What an API key is and can do, found out with reads of one object each (REV-1).

use crate::{ConnectError, Gateway, GatewayError, doctor::Need, reads::CountedTry};
use futures::{StreamExt, TryStreamExt, stream};
use kit::{Environment, Secret, Stopwatch, secret};
use serde::{Deserialize, Serialize};
use std::sync::atomic::{AtomicI64, Ordering};
use stripe::{
    ErrorClass, KeyInfo, KeyKind, ObjectKind, Request,
    api::{self, EventListParams, ListParams},
    kind::{EVENTS_PERMISSION, WEBHOOK_PERMISSION},
};
use vault::Connection;

/// Probes under way at once: few enough to leave the account's limit to others.
const PROBES_AT_ONCE: usize = 6;
/// The permission to read the account itself, as refusals name it.
const ACCOUNT_PERMISSION: &str = "rak_accounts_kyc_basic_read";
/// An endpoint that no account has: removing it shows whether endpoints may be written, and changes nothing.
const NO_ENDPOINT: &str = "we_bursar_permission_probe";

/// What a key is and can do.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
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
    pub key_kind: String,
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
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PermissionProbe {
    /// What was read, in people's words.
    pub object: String,
    /// The permission it takes: as Stripe named it in its refusal, or as we know it.
    pub permission: String,
    /// The permission as we know it.
    #[serde(default)]
    pub expected: String,
    /// Whether the key has it.
    pub granted: bool,
    /// What it is needed for.
    #[serde(default)]
    pub needed_for: Need,
}

impl KeyReport {
    /// What the key lacks for the sync.
    pub fn missing(&self) -> impl Iterator<Item = &PermissionProbe> {
        self.permissions.iter().filter(|probe| !probe.granted && probe.needed_for == Need::Sync)
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

/// A key that is looked at, and what that costs.
struct Looked<'a> {
    gateway: &'a Gateway,
    key: &'a Secret,
    environment: Environment,
    api_base: Option<&'a str>,
    reads: AtomicI64,
}

impl Looked<'_> {
    async fn call(&self, request: Request) -> Result<crate::Answer, GatewayError> {
        let is_read = request.is_read();
        let (key, environment, api_base) = (self.key, self.environment, self.api_base);
        let sent = || {
            self.reads.fetch_add(i64::from(is_read), Ordering::Relaxed);
        };
        self.gateway.call_with_key(key, environment, api_base, request, sent).await
    }
}

/// Asks Stripe what a key is and can do. Its reads are counted for `connection`, if the key is of one.
pub(crate) async fn check(
    gateway: &Gateway,
    environment: Environment,
    key: &Secret,
    info: KeyInfo,
    connection: Option<&Connection>,
) -> Result<KeyReport, ConnectError> {
    let api_base = connection.and_then(|connection| connection.api_base.as_deref());
    let looked = Looked { gateway, key, environment, api_base, reads: AtomicI64::new(0) };
    let report = look_at(&looked, info).await;
    if let Some(connection) = connection {
        gateway.count_probes(connection, looked.reads.into_inner());
    }
    report
}

impl Gateway {
    /// Counts reads that were made with a connection's key before its account was known.
    pub(crate) fn count_probes(&self, connection: &Connection, reads: i64) {
        let counted = CountedTry { throttled: false, is_write: false, read: Some(crate::ReadFor::Probe) };
        self.inner.reads.count(connection, counted, reads, self.inner.base.now());
    }
}

async fn look_at(looked: &Looked<'_>, info: KeyInfo) -> Result<KeyReport, ConnectError> {
    let key = looked.key;
    let watch = Stopwatch::start();
    let mut permissions = Vec::new();
    let account = match looked.call(api::account()).await {
        Ok(answer) => Some(answer.response.read::<Account>().map_err(GatewayError::Stripe)?),
        Err(error) => {
            let account = account_named_in(&error);
            let permission = lacking(&error, ACCOUNT_PERMISSION).ok_or(error)?;
            if account.is_none() {
                let (object, expected) = ("account".to_owned(), ACCOUNT_PERMISSION.to_owned());
                let needed_for = Need::Sync;
                permissions.push(PermissionProbe { object, permission, expected, granted: false, needed_for });
            }
            account
        }
    };
    let latency_ms = watch.elapsed_ms();
    // A secret key may do everything; a restricted one is tried.
    if info.kind == KeyKind::Restricted {
        let found = stream::iter(probes())
            .map(|Probe { object, permission, request, needed_for }| async move {
                let asked = looked.call(request).await;
                probe_result(object, permission, needed_for, asked.err())
            })
            .buffered(PROBES_AT_ONCE)
            .try_collect::<Vec<_>>()
            .await?;
        permissions.extend(found);
    }
    let environment = match info.livemode {
        Some(livemode) => Environment::from_livemode(livemode),
        None => found_environment(looked).await?,
    };
    let advice = (info.kind == KeyKind::Secret && environment.is_live()).then(|| {
        "This is a secret key, which may do everything. A restricted key with read permissions is enough for the sync, and safer.".to_owned()
    });
    Ok(KeyReport {
        ok: permissions.iter().all(|probe| probe.granted || probe.needed_for != Need::Sync),
        account_id: account.as_ref().map(|account| account.id.clone()).unwrap_or_default(),
        account_name: account.as_ref().map(Account::name).unwrap_or_default(),
        environment,
        key_kind: match info.kind {
            KeyKind::Restricted => "restricted",
            KeyKind::ThrowawaySandbox => "sandbox",
            KeyKind::Secret | KeyKind::Publishable | KeyKind::WebhookSecret => "secret",
        }
        .to_owned(),
        key_hint: secret::hint(key),
        permissions,
        latency_ms,
        advice,
    })
}

/// The cheapest call that shows whether a permission is there.
struct Probe {
    object: &'static str,
    permission: &'static str,
    request: Request,
    needed_for: Need,
}

/// What the sync reads, every mirrored kind and the event list, one object each; and whether an endpoint can be made.
fn probes() -> Vec<Probe> {
    let one = ListParams { limit: 1, ..ListParams::default() };
    let probe = |kind: ObjectKind| Probe {
        object: kind.plural(),
        permission: kind.permission(),
        request: api::list(kind, &one),
        needed_for: Need::Sync,
    };
    let mut probes: Vec<Probe> = ObjectKind::ALL.into_iter().map(probe).collect();
    let events = EventListParams { list: one.clone(), ..EventListParams::default() };
    let (request, needed_for) = (api::events(&events), Need::Sync);
    probes.push(Probe { object: "events", permission: EVENTS_PERMISSION, request, needed_for });
    let (request, needed_for) = (api::delete_webhook_endpoint(NO_ENDPOINT), Need::WebhookEndpoint);
    probes.push(Probe { object: "webhook endpoints", permission: WEBHOOK_PERMISSION, request, needed_for });
    probes
}

fn probe_result(
    object: &'static str,
    permission: &'static str,
    needed_for: Need,
    error: Option<GatewayError>,
) -> Result<PermissionProbe, GatewayError> {
    let granted = |granted, named: String| PermissionProbe {
        object: object.to_owned(),
        permission: named,
        expected: permission.to_owned(),
        granted,
        needed_for,
    };
    match error {
        None => Ok(granted(true, permission.to_owned())),
        // There is no such endpoint, which only those may know who may remove it.
        Some(error) if error.class() == Some(ErrorClass::NotFound) && needed_for == Need::WebhookEndpoint => {
            Ok(granted(true, permission.to_owned()))
        }
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
async fn found_environment(looked: &Looked<'_>) -> Result<Environment, ConnectError> {
    let answer = looked.call(api::balance()).await?;
    let balance: Balance = answer.response.read().map_err(GatewayError::Stripe)?;
    Ok(Environment::from_livemode(balance.livemode))
}
