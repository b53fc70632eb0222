//! Whom a key belongs to, and where its webhooks go.

use super::{
    ObjectId, Shape,
    fields::{maybe_seconds, metadata, null_is_default, seconds},
};
use kit::{Currency, Secret, Time};
use serde::{Deserialize, Deserializer};
use std::collections::BTreeMap;

/// An account. It does not say whether it is live: that is the key's.
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub struct Account {
    /// `acct_…`.
    pub id: ObjectId,
    /// When it was made; the account of the key itself does not always say.
    #[serde(default, deserialize_with = "maybe_seconds")]
    pub created: Option<Time>,
    /// standard, express, custom, none; open.
    #[serde(rename = "type")]
    pub account_type: Option<String>,
    /// Two letters.
    pub country: Option<String>,
    /// The currency of settlement where none is named.
    pub default_currency: Option<Currency>,
    /// E-mail address of its owner.
    pub email: Option<String>,
    /// It can take payments.
    #[serde(default)]
    pub charges_enabled: bool,
    /// It can pay out.
    #[serde(default)]
    pub payouts_enabled: bool,
    /// Its owner has answered what was asked.
    #[serde(default)]
    pub details_submitted: bool,
    /// What it may do.
    #[serde(default, deserialize_with = "null_is_default")]
    pub capabilities: Capabilities,
    /// How it looks to people.
    #[serde(default, deserialize_with = "null_is_default")]
    pub settings: AccountSettings,
    /// Its public name, if it set one.
    #[serde(default, deserialize_with = "null_is_default")]
    business_profile: BusinessProfile,
    /// The user's own fields.
    #[serde(default, deserialize_with = "metadata")]
    pub metadata: BTreeMap<String, String>,
}

/// What an account may do: active, pending or inactive, by name.
pub type Capabilities = BTreeMap<String, String>;

/// How an account looks to people.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
pub struct AccountSettings {
    /// In the dashboard.
    #[serde(default, deserialize_with = "null_is_default")]
    pub dashboard: Dashboard,
}

/// The account in the dashboard.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
pub struct Dashboard {
    /// Its name there.
    pub display_name: Option<String>,
    /// Its time zone, such as `Europe/Berlin`.
    pub timezone: Option<String>,
}

#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
struct BusinessProfile {
    name: Option<String>,
}

impl Account {
    /// A name for people: the dashboard's, the public one, or else none.
    pub fn name(&self) -> Option<&str> {
        let dashboard = self.settings.dashboard.display_name.as_deref();
        dashboard.or(self.business_profile.name.as_deref()).filter(|name| !name.is_empty())
    }
}

impl Shape for Account {
    const OBJECT: &'static str = "account";
}

/// Where webhooks go.
#[derive(Clone, Debug, Deserialize)]
pub struct WebhookEndpoint {
    /// `we_…`.
    pub id: ObjectId,
    /// When it was made.
    #[serde(deserialize_with = "seconds")]
    pub created: Time,
    /// Live or test data.
    pub livemode: bool,
    /// Where to.
    pub url: String,
    /// enabled or disabled; open. Stripe disables what fails for days.
    pub status: String,
    /// Which types; `*` for nearly all.
    #[serde(default, deserialize_with = "null_is_default")]
    pub enabled_events: Vec<String>,
    /// The version its events are rendered in, for ever; none follows the account's default.
    pub api_version: Option<String>,
    /// For Connect: the application whose accounts' events it gets.
    pub application: Option<String>,
    /// The signing secret: only in the answer that made the endpoint.
    #[serde(default, deserialize_with = "maybe_secret")]
    pub secret: Option<Secret>,
    /// The user's own fields.
    #[serde(default, deserialize_with = "metadata")]
    pub metadata: BTreeMap<String, String>,
}

fn maybe_secret<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Secret>, D::Error> {
    Option::<String>::deserialize(deserializer).map(|text| text.map(Secret::from))
}

impl Shape for WebhookEndpoint {
    const OBJECT: &'static str = "webhook_endpoint";
}
