//! How a secret is sealed, and bound to the row it belongs to.

kit::define_id!(
    /// A sealed secret.
    SecretId,
    "sec"
);

/// What a secret is for; part of what it is bound to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Purpose {
    /// Calls a provider's API.
    ApiKey,
    /// Checks a provider's webhooks.
    WebhookSecret,
}

impl Purpose {
    /// As rows and associated data name it; never changed, or nothing sealed before would open.
    pub fn as_str(self) -> &'static str {
        match self {
            Purpose::ApiKey => "api_key",
            Purpose::WebhookSecret => "webhook_secret",
        }
    }
}

impl std::fmt::Display for Purpose {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Purpose::ApiKey => "API key",
            Purpose::WebhookSecret => "webhook secret",
        })
    }
}
