//! How a secret is sealed, and bound to the row it belongs to. [PLT-8]
//!
//! AES-256-GCM with a fresh random nonce. The associated data names the row, so that a sealed secret copied to another
//! tenant, owner or purpose does not open. With random nonces one key may seal some four billion secrets.

use crate::{Keyring, Result, VaultError};
use aws_lc_rs::aead::{AES_256_GCM, Aad, NONCE_LEN, Nonce};
use kit::{ExposeSecret, Randomness, Secret, TenantId};
use zeroize::Zeroizing;

kit::define_id!(
    /// A sealed secret.
    SecretId,
    "sec"
);

/// The first byte of what is stored: the version of this layout. Then the nonce, the ciphertext, the tag.
const VERSION: u8 = 1;
const HEAD_BYTES: usize = 1 + NONCE_LEN;
/// Longer than any key, token or certificate that is kept here.
const MOST_SECRET_BYTES: usize = 16 * 1024;

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

/// The row a secret belongs to. `purpose` is text here, so that a row of a newer release can be re-sealed too.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Binding<'a> {
    pub(crate) tenant: TenantId,
    pub(crate) secret: &'a SecretId,
    pub(crate) purpose: &'a str,
    pub(crate) owner: &'a str,
}

impl Binding<'_> {
    /// Each text has its length before it: no two rows write the same bytes.
    fn associated_data(&self) -> Vec<u8> {
        let mut bytes = vec![VERSION];
        bytes.extend_from_slice(&self.tenant.0.to_be_bytes());
        for text in [self.secret.as_str(), self.purpose, self.owner] {
            bytes.extend_from_slice(&(text.len() as u64).to_be_bytes());
            bytes.extend_from_slice(text.as_bytes());
        }
        bytes
    }
}

/// A secret as it is stored.
pub(crate) struct Sealed {
    pub(crate) key_id: String,
    pub(crate) bytes: Vec<u8>,
}

/// Seals with the newest key.
pub(crate) fn seal(
    keyring: &Keyring,
    binding: Binding<'_>,
    secret: &Secret,
    randomness: &dyn Randomness,
) -> Result<Sealed> {
    let plain = secret.expose_secret().as_bytes();
    let too_large = || VaultError::TooLarge { most_bytes: MOST_SECRET_BYTES };
    if plain.len() > MOST_SECRET_BYTES {
        return Err(too_large());
    }
    let key = keyring.newest();
    let mut nonce = [0_u8; NONCE_LEN];
    randomness.fill(&mut nonce);
    // All the room at once: a buffer that grew would leave plaintext behind where it stood before.
    let mut bytes = Vec::with_capacity(HEAD_BYTES + plain.len() + AES_256_GCM.tag_len());
    bytes.push(VERSION);
    bytes.extend_from_slice(&nonce);
    bytes.extend_from_slice(plain);
    let associated_data = Aad::from(binding.associated_data());
    // The cipher refuses nothing but lengths far beyond ours.
    let tag = key
        .cipher
        .seal_in_place_separate_tag(Nonce::assume_unique_for_key(nonce), associated_data, &mut bytes[HEAD_BYTES..])
        .map_err(|_| too_large())?;
    bytes.extend_from_slice(tag.as_ref());
    Ok(Sealed { key_id: key.id.clone(), bytes })
}

/// Opens what [`seal`] made for the same row.
///
/// # Errors
/// `secret_key_unknown`, `secret_corrupt`.
pub(crate) fn open(keyring: &Keyring, binding: Binding<'_>, key_id: &str, sealed: &[u8]) -> Result<Secret> {
    let key = keyring
        .named(key_id)
        .ok_or_else(|| VaultError::KeyUnknown { secret: binding.secret.clone(), key_id: key_id.to_owned() })?;
    let corrupt = || VaultError::Corrupt { secret: binding.secret.clone() };
    let Some((&[VERSION, ref nonce @ ..], ciphertext)) = sealed.split_first_chunk::<HEAD_BYTES>() else {
        return Err(corrupt());
    };
    let nonce = Nonce::try_assume_unique_for_key(nonce).map_err(|_| corrupt())?;
    let mut buffer = Zeroizing::new(ciphertext.to_vec());
    let plain =
        key.cipher.open_in_place(nonce, Aad::from(binding.associated_data()), &mut buffer).map_err(|_| corrupt())?;
    std::str::from_utf8(plain).map(Secret::from).map_err(|_| corrupt())
}

/// Seals a text, lets `alter` change what would be stored, and opens it: for what must hold of any bytes, without a database.
///
/// # Errors
/// `secret_too_large`, `secret_corrupt`.
#[doc(hidden)]
pub fn sealed_altered_opened(
    keyring: &Keyring,
    secret: &Secret,
    randomness: &dyn Randomness,
    alter: impl FnOnce(&mut Vec<u8>),
) -> Result<Secret> {
    let id = SecretId::from_text("sec_altered");
    let binding = Binding { tenant: TenantId(1), secret: &id, purpose: Purpose::ApiKey.as_str(), owner: "con_altered" };
    let mut sealed = seal(keyring, binding, secret, randomness)?;
    alter(&mut sealed.bytes);
    open(keyring, binding, &sealed.key_id, &sealed.bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use kit::SeededRandomness;
    use proptest::prelude::*;

    const KEYS: &str =
        "k2:AgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgI=,k1:AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE=";

    fn keyring(text: &str) -> Keyring {
        Keyring::parse(&Secret::from(text)).unwrap()
    }

    fn row<'a>(tenant: i64, secret: &'a SecretId, purpose: &'a str, owner: &'a str) -> Binding<'a> {
        Binding { tenant: TenantId(tenant), secret, purpose, owner }
    }

    #[test]
    fn a_secret_opens_only_in_its_own_row_and_with_its_own_key() {
        let (id, other_id) = (SecretId::from_text("sec_1"), SecretId::from_text("sec_2"));
        let own = row(1, &id, "api_key", "con_1");
        let sealed = seal(&keyring(KEYS), own, &Secret::from("sk_test_4242"), &SeededRandomness::new(1)).unwrap();
        assert_eq!(sealed.key_id, "k2", "the newest key seals");
        let check = |binding: Binding<'_>, key_id: &str, bytes: &[u8], expected: Result<&str, &str>| {
            let opened = open(&keyring(KEYS), binding, key_id, bytes);
            let opened = opened.as_ref().map(|secret| secret.expose_secret()).map_err(VaultError::code);
            assert_eq!(opened, expected, "{binding:?} {key_id}");
        };
        check(own, "k2", &sealed.bytes, Ok("sk_test_4242"));
        check(row(2, &id, "api_key", "con_1"), "k2", &sealed.bytes, Err("secret_corrupt"));
        check(row(1, &other_id, "api_key", "con_1"), "k2", &sealed.bytes, Err("secret_corrupt"));
        check(row(1, &id, "webhook_secret", "con_1"), "k2", &sealed.bytes, Err("secret_corrupt"));
        check(row(1, &id, "api_key", "con_2"), "k2", &sealed.bytes, Err("secret_corrupt"));
        check(row(1, &id, "api_keyc", "on_1"), "k2", &sealed.bytes, Err("secret_corrupt"));
        check(own, "k1", &sealed.bytes, Err("secret_corrupt"));
        check(own, "k9", &sealed.bytes, Err("secret_key_unknown"));
        check(own, "k2", &[], Err("secret_corrupt"));
        check(own, "k2", &sealed.bytes[..20], Err("secret_corrupt"));
        let mut newer = sealed.bytes.clone();
        newer[0] = 2;
        check(own, "k2", &newer, Err("secret_corrupt"));
    }

    #[test]
    fn two_seals_of_one_secret_differ() {
        let id = SecretId::from_text("sec_1");
        let randomness = SeededRandomness::new(1);
        let make =
            || seal(&keyring(KEYS), row(1, &id, "api_key", "con_1"), &Secret::from("same"), &randomness).unwrap().bytes;
        let (first, second) = (make(), make());
        assert_ne!(first[1..HEAD_BYTES], second[1..HEAD_BYTES], "each has its own nonce");
        assert_ne!(first[HEAD_BYTES..], second[HEAD_BYTES..]);
    }

    #[test]
    fn the_longest_secret_is_sealed_and_a_longer_one_refused() {
        let id = SecretId::from_text("sec_1");
        let make = |length: usize| {
            let binding = row(1, &id, "api_key", "con_1");
            seal(&keyring(KEYS), binding, &Secret::from("x".repeat(length)), &SeededRandomness::new(1)).map(drop)
        };
        assert!(make(0).is_ok());
        assert!(make(MOST_SECRET_BYTES).is_ok());
        assert_eq!(make(MOST_SECRET_BYTES + 1).unwrap_err().code(), "secret_too_large");
    }

    /// What a release has once stored opens for ever. A new layout gets a new version byte and a line beside this one.
    #[test]
    fn what_was_sealed_by_the_first_release_opens() {
        let id = SecretId::from_text("sec_01jdz6v7w8k9m0n1p2q3r4s5t6");
        let stored: Vec<u8> = GOLDEN.split_whitespace().map(|byte| u8::from_str_radix(byte, 16).unwrap()).collect();
        let opened = open(&keyring(KEYS), row(7, &id, "api_key", "con_1"), "k1", &stored).unwrap();
        assert_eq!(opened.expose_secret(), "sk_test_golden");
    }

    const GOLDEN: &str = include_str!("../golden/sealed_v1.hex");

    proptest! {
        #[test]
        fn any_text_comes_back_and_any_flipped_bit_is_noticed(text in ".{0,200}", seed: u64, position: prop::sample::Index, bit in 0_u8..8) {
            let id = SecretId::from_text("sec_1");
            let binding = row(1, &id, "api_key", "con_1");
            let mut sealed = seal(&keyring(KEYS), binding, &Secret::from(text.as_str()), &SeededRandomness::new(seed)).unwrap();
            let opened = open(&keyring(KEYS), binding, "k2", &sealed.bytes).unwrap();
            prop_assert_eq!(opened.expose_secret(), text.as_str());
            let at = position.index(sealed.bytes.len());
            sealed.bytes[at] ^= 1 << bit;
            let refused = open(&keyring(KEYS), binding, "k2", &sealed.bytes);
            prop_assert_eq!(refused.unwrap_err().code(), "secret_corrupt");
        }
    }
}
