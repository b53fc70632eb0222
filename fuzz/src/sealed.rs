//! Sealed secrets. The input: where and how the stored bytes are altered, then the secret.
//!
//! Any text comes back; nothing opens that is not as it was sealed; any bytes are refused and not fallen over.

use kit::{ExposeSecret, Secret, SeededRandomness};
use vault::{Keyring, VaultError, seal::sealed_altered_opened};

/// A key for nothing else.
const KEYS: &str = "k1:AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE=";

/// See the module.
pub fn run(bytes: &[u8]) -> bool {
    keys(bytes);
    let Some((&[at_high, at_low, how], rest)) = bytes.split_first_chunk::<3>() else { return false };
    let Ok(keyring) = Keyring::parse(&Secret::from(KEYS)) else { return false };
    let text = String::from_utf8_lossy(rest);
    let secret = Secret::from(text.as_ref());
    // The nonce is the seed's, so that one input is one case.
    let open = |alter: &mut dyn FnMut(&mut Vec<u8>)| {
        sealed_altered_opened(&keyring, &secret, &SeededRandomness::new(u64::from(how)), |stored| alter(stored))
    };
    let mut length = 0;
    match open(&mut |stored| length = stored.len()) {
        Ok(opened) => assert_eq!(opened.expose_secret(), text, "another text came back"),
        Err(VaultError::TooLarge { .. }) => return false,
        Err(error) => panic!("what was sealed does not open: {error}"),
    }
    let at = usize::from(u16::from_be_bytes([at_high, at_low])) % length;
    refused("a changed byte", open(&mut |stored| stored[at] ^= how.max(1)));
    refused("a shortened text", open(&mut |stored| stored.truncate(at)));
    refused("a lengthened text", open(&mut |stored| stored.push(how)));
    refused("a doubled text", open(&mut |stored| stored.extend_from_within(..)));
    refused("any bytes", open(&mut |stored| *stored = bytes.to_vec()));
    refused(
        "any bytes behind a head",
        open(&mut |stored| stored.splice(at.., rest.iter().copied().chain([how])).for_each(drop)),
    );
    true
}

fn refused(what: &str, opened: Result<Secret, VaultError>) {
    assert!(matches!(opened, Err(VaultError::Corrupt { .. })), "{what} opened");
}

/// A list of keys is read or refused; a refusal never shows a key.
fn keys(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    if let Err(error) = Keyring::parse(&Secret::from(text)) {
        let shown = format!("{error} {error:?}");
        let keys = text.split([',', ' ', '\n']).filter_map(|entry| entry.split_once(':')).map(|(_, key)| key);
        for key in keys.filter(|key| key.len() > 16) {
            assert!(!shown.contains(key), "a key is shown");
        }
    }
}
