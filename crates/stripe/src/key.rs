//! Kinds of keys by their prefix, so that a wrong one is refused before it is stored, with what to do instead.
//!
//! Only the prefix is looked at: the rest is Stripe's to judge, and its length and alphabet may change.
//! Source: FACTS section 2.

use kit::{ExposeSecret, Secret};

/// What a key is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum KeyKind {
    /// `sk_…`: may do everything.
    Secret,
    /// `rk_…`: may do what it was given.
    Restricted,
    /// `rkcs_…`: of a sandbox that is thrown away unless somebody claims it.
    ThrowawaySandbox,
    /// `pk_…`: for browsers; cannot read anything.
    Publishable,
    /// `whsec_…`: signs webhooks.
    WebhookSecret,
}

/// A key's kind and mode.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KeyInfo {
    /// What the key is for.
    pub kind: KeyKind,
    /// Live (true) or test data; none where the prefix does not say.
    pub livemode: Option<bool>,
}

/// Why a text cannot be used as the key that is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// Nothing was given.
    #[error("the key is empty")]
    Empty,
    /// Spaces or line ends came along when it was copied.
    #[error("the key has spaces or line ends in it; copy it again without them")]
    Whitespace,
    /// Characters that no key has; most often a masked key was copied.
    #[error("the key has characters that no key has; reveal it in the dashboard before you copy it")]
    BadCharacters,
    /// A `pk_` key.
    #[error("this is a publishable key (pk_…), which cannot read data; use a restricted (rk_…) or secret key (sk_…)")]
    Publishable,
    /// A `whsec_` secret where an API key is asked for.
    #[error("this is a webhook signing secret (whsec_…), not an API key; use a restricted (rk_…) or secret key (sk_…)")]
    WebhookSecret,
    /// An API key where a webhook secret is asked for.
    #[error(
        "this is an API key, not a webhook signing secret; use the secret (whsec_…) that is shown with the webhook endpoint"
    )]
    ApiKey,
    /// An account's or application's id.
    #[error("this is an id and not a key; keys begin with sk_, rk_ or whsec_")]
    Id,
    /// No prefix that we know.
    #[error("this is no key of Stripe's: keys begin with sk_test_, sk_live_, rk_test_ or rk_live_")]
    Unknown,
}

impl KeyError {
    /// A stable code.
    pub fn code(&self) -> &'static str {
        match self {
            KeyError::Empty => "key_empty",
            KeyError::Whitespace => "key_whitespace",
            KeyError::BadCharacters => "key_bad_characters",
            KeyError::Publishable => "key_publishable",
            KeyError::WebhookSecret => "key_is_webhook_secret",
            KeyError::ApiKey => "key_is_api_key",
            KeyError::Id => "key_is_an_id",
            KeyError::Unknown => "key_unknown",
        }
    }
}

impl KeyKind {
    /// What kind of key a text is, by its prefix.
    pub fn parse(key: &Secret) -> Result<KeyInfo, KeyError> {
        let text = key.expose_secret();
        if text.is_empty() {
            return Err(KeyError::Empty);
        }
        if text.chars().any(char::is_whitespace) {
            return Err(KeyError::Whitespace);
        }
        if !text.bytes().all(|byte| byte.is_ascii_graphic()) || text.contains('*') {
            return Err(KeyError::BadCharacters);
        }
        let (prefix, body) = text.split_once('_').ok_or(KeyError::Unknown)?;
        let kind = match prefix {
            "sk" => KeyKind::Secret,
            "rk" => KeyKind::Restricted,
            "rkcs" => KeyKind::ThrowawaySandbox,
            "pk" => KeyKind::Publishable,
            "whsec" => KeyKind::WebhookSecret,
            "acct" | "ca" | "we" | "evt" => return Err(KeyError::Id),
            _ => return Err(KeyError::Unknown),
        };
        // Organisations' keys carry a word before the mode: sk_org_live_…
        let mode = body.strip_prefix("org_").unwrap_or(body);
        let livemode = match mode.split_once('_') {
            Some(("live", _)) => Some(true),
            Some(("test", _)) => Some(false),
            _ => None,
        };
        Ok(KeyInfo { kind, livemode })
    }

    /// The kind of a key that can make calls; any other is refused.
    pub fn parse_api_key(key: &Secret) -> Result<KeyInfo, KeyError> {
        let info = KeyKind::parse(key)?;
        match info.kind {
            KeyKind::Secret | KeyKind::Restricted | KeyKind::ThrowawaySandbox => Ok(info),
            KeyKind::Publishable => Err(KeyError::Publishable),
            KeyKind::WebhookSecret => Err(KeyError::WebhookSecret),
        }
    }

    /// Refuses what cannot be a webhook's signing secret. A text without a known prefix passes: it is only compared
    /// with signatures, and senders other than Stripe may choose theirs.
    pub fn check_webhook_secret(secret: &Secret) -> Result<(), KeyError> {
        match KeyKind::parse(secret) {
            Ok(KeyInfo { kind: KeyKind::WebhookSecret, .. }) | Err(KeyError::Unknown) => Ok(()),
            Ok(_) => Err(KeyError::ApiKey),
            Err(refused) => Err(refused),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use KeyKind::{Publishable, Restricted, ThrowawaySandbox, WebhookSecret};

    #[test]
    fn keys_are_told_by_their_prefix() {
        let check = |text: &str, expected: Result<(KeyKind, Option<bool>), KeyError>| {
            let expected = expected.map(|(kind, livemode)| KeyInfo { kind, livemode });
            assert_eq!(KeyKind::parse(&Secret::from(text)), expected, "{text}");
        };
        check("sk_test_4eC39HqLyjWDarjtT1zdp7dc", Ok((KeyKind::Secret, Some(false))));
        check("sk_live_x", Ok((KeyKind::Secret, Some(true))));
        check("sk_test_", Ok((KeyKind::Secret, Some(false))));
        check("sk_test_$anything-goes=here", Ok((KeyKind::Secret, Some(false))));
        check("sk_org_live_x", Ok((KeyKind::Secret, Some(true))));
        check("sk_newkind", Ok((KeyKind::Secret, None)));
        check("rk_live_x", Ok((Restricted, Some(true))));
        check("rk_test_x", Ok((Restricted, Some(false))));
        check("rkcs_test_x", Ok((ThrowawaySandbox, Some(false))));
        check("pk_live_x", Ok((Publishable, Some(true))));
        check("whsec_x", Ok((WebhookSecret, None)));
        check("", Err(KeyError::Empty));
        check(" sk_test_x", Err(KeyError::Whitespace));
        check("sk_test_x\n", Err(KeyError::Whitespace));
        check("\u{a0}sk_test_x", Err(KeyError::Whitespace));
        check("sk_test_****4242", Err(KeyError::BadCharacters));
        check("sk_test_…4242", Err(KeyError::BadCharacters));
        check("acct_1", Err(KeyError::Id));
        check("hello", Err(KeyError::Unknown));
        check("SK_TEST_x", Err(KeyError::Unknown));
    }

    #[test]
    fn each_place_takes_only_its_own_kind() {
        let api_key = |text: &str| KeyKind::parse_api_key(&Secret::from(text)).map(|info| info.kind);
        assert_eq!(api_key("rk_test_x"), Ok(Restricted));
        assert_eq!(api_key("pk_test_x"), Err(KeyError::Publishable));
        assert_eq!(api_key("whsec_x"), Err(KeyError::WebhookSecret));
        let webhook = |text: &str| KeyKind::check_webhook_secret(&Secret::from(text));
        assert_eq!(webhook("whsec_x"), Ok(()));
        assert_eq!(webhook("shared-with-a-test"), Ok(()));
        assert_eq!(webhook("sk_test_x"), Err(KeyError::ApiKey));
        assert_eq!(webhook(""), Err(KeyError::Empty));
        assert_eq!(webhook("whsec_x "), Err(KeyError::Whitespace));
    }
}
