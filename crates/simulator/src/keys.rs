//! API keys and what they may do (FACTS section 2).

use crate::problem::Refusal;
use base64::{Engine, engine::general_purpose::STANDARD};
use kit::{ExposeSecret, Secret};
use std::{
    collections::{BTreeSet, HashMap},
    sync::Arc,
};

/// What kind of key it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum KeyKind {
    /// `sk_…`: everything.
    Secret,
    /// `pk_…`: refused wherever a secret key is needed.
    Publishable,
    /// `rk_…`: what its permissions name, such as `rak_charge_read`. Write includes read.
    Restricted(BTreeSet<String>),
}

/// A key and whom it stands for.
#[derive(Clone, Debug)]
pub(crate) struct Key {
    pub(crate) account: Arc<str>,
    pub(crate) livemode: bool,
    pub(crate) kind: KeyKind,
    pub(crate) revoked: bool,
}

/// All keys of all accounts.
#[derive(Default)]
pub(crate) struct Keys {
    keys: HashMap<String, Key>,
}

impl Keys {
    /// Adds or replaces a key.
    pub(crate) fn put(&mut self, secret: &Secret, key: Key) {
        self.keys.insert(secret.expose_secret().to_owned(), key);
    }

    /// Revokes a key or lets it work again; false if there is none.
    pub(crate) fn set_revoked(&mut self, secret: &str, revoked: bool) -> bool {
        self.keys.get_mut(secret).map(|key| key.revoked = revoked).is_some()
    }

    /// The same for all keys of an account in one mode; answers how many.
    pub(crate) fn set_all_revoked(&mut self, account: &str, livemode: bool, revoked: bool) -> usize {
        let own = self.keys.values_mut().filter(|key| key.account.as_ref() == account && key.livemode == livemode);
        own.map(|key| key.revoked = revoked).count()
    }

    /// How many keys are revoked.
    pub(crate) fn revoked_count(&self) -> usize {
        self.keys.values().filter(|key| key.revoked).count()
    }

    /// The key that an `Authorization` header holds, as `Bearer KEY` or as the user name of `Basic`.
    pub(crate) fn authenticate(&self, header: Option<&str>) -> Result<(Key, String), Refusal> {
        let none = || {
            Refusal::new(
                401,
                "You did not provide an API key. Provide it in the Authorization header, using Bearer auth (for example 'Authorization: Bearer YOUR_SECRET_KEY').",
            )
        };
        let header = header.ok_or_else(none)?;
        let (scheme, value) = header.split_once(' ').ok_or_else(none)?;
        let text = match scheme.to_ascii_lowercase().as_str() {
            "bearer" => value.trim().to_owned(),
            "basic" => {
                let decoded = STANDARD
                    .decode(value.trim())
                    .ok()
                    .and_then(|bytes| String::from_utf8(bytes).ok())
                    .ok_or_else(none)?;
                decoded.split(':').next().unwrap_or_default().to_owned()
            }
            _ => return Err(none()),
        };
        if text.is_empty() {
            return Err(none());
        }
        let key = self
            .keys
            .get(&text)
            .ok_or_else(|| Refusal::new(401, format!("Invalid API Key provided: {}", masked(&text))))?;
        if key.revoked {
            return Err(
                Refusal::new(401, format!("Expired API Key provided: {}", masked(&text))).code("api_key_expired")
            );
        }
        if key.kind == KeyKind::Publishable {
            return Err(Refusal::new(
                401,
                "This API call cannot be made with a publishable API key. Please use a secret API key.",
            )
            .code("secret_key_required"));
        }
        Ok((key.clone(), masked(&text)))
    }
}

impl Key {
    /// Refuses what a restricted key does not permit, naming the permission.
    pub(crate) fn permit(&self, shown: &str, permission: &str, writes: bool) -> Result<(), Refusal> {
        let KeyKind::Restricted(granted) = &self.kind else { return Ok(()) };
        let write = format!("rak_{permission}_write");
        let read = format!("rak_{permission}_read");
        if granted.contains(&write) || (!writes && granted.contains(&read)) {
            return Ok(());
        }
        let needed = if writes { write } else { read };
        Err(Refusal::new(
            403,
            format!(
                "The provided key '{shown}' does not have the required permissions for this endpoint on account '{}'. Having the '{needed}' permission would allow this request to continue.",
                self.account
            ),
        ))
    }
}

/// A key as error messages show it: its prefix and its last four letters.
pub(crate) fn masked(key: &str) -> String {
    let letters: Vec<char> = key.chars().take(255).collect();
    let prefix: String = key.rfind('_').filter(|at| *at < 12).map_or(String::new(), |at| key[..=at].to_owned());
    let shown = prefix.chars().count();
    let hidden = letters.len().saturating_sub(shown + 4);
    let end: String = letters.iter().skip(shown + hidden).collect();
    format!("{prefix}{}{end}", "*".repeat(hidden))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_masked_key_shows_prefix_and_end_only() {
        assert_eq!(masked("sk_test_abcdefgh1234"), "sk_test_********1234");
        assert_eq!(masked("abc"), "abc");
        assert_eq!(masked("nonsense"), "****ense");
    }
}
