//! Text that must not be seen: it cannot be printed by `Debug` and is zeroed when dropped.

pub use secrecy::ExposeSecret;

/// A secret text: API keys, webhook secrets, tokens. `Debug` writes `[REDACTED]`; it has no `Display` and no `Serialize`.
pub type Secret = secrecy::SecretString;

/// The end of a key, enough to tell one from another on a page: `sk_test_…4242`.
///
/// Keys shorter than 16 characters after their prefix show no ending, since little would be left to guess.
pub fn hint(secret: &Secret) -> String {
    let text = secret.expose_secret();
    let prefix_end = text.rfind('_').map_or(0, |at| at + 1);
    let (prefix, rest) = text.split_at(prefix_end);
    let ending = match rest.char_indices().rev().nth(3) {
        Some((at, _)) if rest.len() >= 16 => &rest[at..],
        _ => "",
    };
    format!("{prefix}…{ending}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hint_tells_keys_apart_and_gives_nothing_away() {
        assert_eq!(hint(&Secret::from("sk_test_abcdefghijklmnopqr4242")), "sk_test_…4242");
        assert_eq!(hint(&Secret::from("sk_test_short")), "sk_test_…");
        assert_eq!(hint(&Secret::from("")), "…");
        assert!(!format!("{:?}", Secret::from("sk_test_abcdefghijklmnopqr4242")).contains("abc"));
    }
}
