//! Tokens, session values and codes: how they are made, found in a request, and hashed.
//!
//! Only hashes are stored, and rows are found by the hash: how long that takes tells nothing about the token.

use aws_lc_rs::digest::{SHA256, digest};
use http::{HeaderMap, HeaderName, header};
use kit::{ExposeSecret, Randomness, Secret};

/// What the administrator's tokens begin with, so that people and scanners recognise one.
const TOKEN_PREFIX: &str = "bursar_admin_";
/// A token of the configuration may be shorter than ours, but not so short that it could be guessed.
pub(crate) const LEAST_TOKEN_CHARACTERS: usize = 24;
/// Nothing longer is hashed.
const MOST_CHARACTERS: usize = 512;
static API_KEY: HeaderName = HeaderName::from_static("x-api-key");

/// A fresh administrator's token of 256 random bits.
pub(crate) fn new_token(randomness: &dyn Randomness) -> Secret {
    Secret::from(format!("{TOKEN_PREFIX}{}", random_hex::<32>(randomness)))
}

/// A fresh value of a session's cookie, of 256 random bits.
pub(crate) fn new_session(randomness: &dyn Randomness) -> Secret {
    Secret::from(random_hex::<32>(randomness))
}

/// A fresh sign-in code of 160 random bits: it lives for minutes, and people see it in an address.
pub(crate) fn new_code(randomness: &dyn Randomness) -> String {
    random_hex::<20>(randomness)
}

fn random_hex<const BYTES: usize>(randomness: &dyn Randomness) -> String {
    let mut bytes = [0_u8; BYTES];
    randomness.fill(&mut bytes);
    hex::encode(bytes)
}

/// What is stored of a token, a session's value or a code.
pub(crate) fn hash(text: &str) -> String {
    hex::encode(digest(&SHA256, text.as_bytes()))
}

/// Whether a token of the configuration can be used.
pub(crate) fn is_strong(token: &Secret) -> bool {
    let text = token.expose_secret();
    (LEAST_TOKEN_CHARACTERS..=MOST_CHARACTERS).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic())
}

/// The token a program sent, as `Authorization: Bearer …` or `X-API-Key: …`.
pub(crate) fn sent_token(headers: &HeaderMap) -> Option<&str> {
    let bearer = headers.get(header::AUTHORIZATION).and_then(|value| {
        let (scheme, token) = value.to_str().ok()?.split_once(' ')?;
        scheme.eq_ignore_ascii_case("bearer").then_some(token.trim())
    });
    let token = bearer.or_else(|| headers.get(&API_KEY)?.to_str().ok())?;
    (token.len() <= MOST_CHARACTERS).then_some(token)
}

/// The value of a cookie.
pub(crate) fn sent_cookie<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    let cookies = headers.get_all(header::COOKIE).iter().filter_map(|line| line.to_str().ok());
    cookies
        .flat_map(|line| line.split(';'))
        .filter_map(|cookie| cookie.trim().split_once('='))
        .find(|(key, value)| *key == name && !value.is_empty() && value.len() <= MOST_CHARACTERS)
        .map(|(_, value)| value)
}

#[cfg(test)]
mod tests {
    use super::*;
    use kit::SeededRandomness;

    fn headers(lines: &[(&'static str, &'static str)]) -> HeaderMap {
        lines.iter().map(|(name, value)| (HeaderName::from_static(name), value.parse().unwrap())).collect()
    }

    #[test]
    fn a_token_is_found_where_programs_put_it() {
        let check = |lines: &[(&'static str, &'static str)], expected: Option<&str>| {
            assert_eq!(sent_token(&headers(lines)), expected, "{lines:?}");
        };
        check(&[("authorization", "Bearer abc")], Some("abc"));
        check(&[("authorization", "bearer  abc")], Some("abc"));
        check(&[("x-api-key", "abc")], Some("abc"));
        check(&[("authorization", "Basic abc"), ("x-api-key", "def")], Some("def"));
        check(&[("authorization", "Bearer")], None);
        check(&[("authorization", "Basic abc")], None);
        check(&[], None);
    }

    #[test]
    fn a_cookie_is_found_among_others() {
        let check = |lines: &[(&'static str, &'static str)], expected: Option<&str>| {
            assert_eq!(sent_cookie(&headers(lines), "session"), expected, "{lines:?}");
        };
        check(&[("cookie", "session=abc")], Some("abc"));
        check(&[("cookie", "a=1; session=abc;b=2")], Some("abc"));
        check(&[("cookie", "my_session=abc; session_=d; session=")], None);
        check(&[("cookie", "session")], None);
        check(&[], None);
    }

    #[test]
    fn tokens_of_the_configuration_must_not_be_guessable() {
        let check = |text: &str, expected| assert_eq!(is_strong(&Secret::from(text)), expected, "{text}");
        check("short", false);
        check("twenty-three-characters", false);
        check("twenty-four-characters-1", true);
        check("spaces are no good in a header", false);
        check("ümlauts-are-no-good-in-a-header", false);
        check("", false);
        assert!(is_strong(&new_token(&SeededRandomness::new(1))));
        assert_ne!(new_code(&SeededRandomness::new(1)), new_code(&SeededRandomness::new(2)));
    }
}
