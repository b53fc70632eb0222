//! Proof that a webhook comes from Stripe and is fresh: `Stripe-Signature: t=<unix>,v1=<hex>[,v1=<hex>]`.
//!
//! What is signed is `<t>.<raw body>`; the key is the whole secret as it is shown, `whsec_` included. Comparison takes
//! constant time. Old and future times are refused alike, so that a recorded delivery cannot be kept for later.
//! Source: FACTS section 9; INB-2.

use aws_lc_rs::hmac;
use kit::{ExposeSecret, Secret, Time};
use std::time::Duration;
use subtle::ConstantTimeEq;

/// How far a delivery's time may be from ours, in either direction.
pub const TOLERANCE: Duration = Duration::from_secs(300);

/// Longest header that is read; a real one has about 80 bytes for each active secret.
const MAX_HEADER_BYTES: usize = 4_096;

/// A delivery whose signature is right.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SignedAt {
    /// When it was signed. Each try of one delivery has its own time.
    pub at: Time,
    /// Which of the secrets it was signed with: tells when a rolled secret is no longer in use.
    pub secret_index: usize,
}

/// Why a delivery is not to be believed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SignatureError {
    /// There is no `Stripe-Signature` header.
    #[error("the Stripe-Signature header is missing")]
    Missing,
    /// The header is not of the form `t=…,v1=…`.
    #[error("the Stripe-Signature header is not of the form t=…,v1=…")]
    Malformed,
    /// No signature fits body and secrets.
    #[error("no signature matches: the body was altered, or the secret is another endpoint's or mode's{}", if *.secret_has_whitespace { " (a secret has spaces or line ends in it; paste it again)" } else { "" })]
    NoMatch {
        /// A secret has whitespace in it, which is most often a slip of copying.
        secret_has_whitespace: bool,
    },
    /// Signed longer ago than the tolerance: a replay, or a clock that is wrong.
    #[error("the delivery was signed too long ago; check this machine's clock")]
    TooOld,
    /// Signed further ahead than the tolerance.
    #[error("the delivery is signed with a time in the future; check this machine's clock")]
    InFuture,
    /// Nothing was signed.
    #[error("the body is empty")]
    EmptyBody,
    /// No secret is configured, or one is empty and would fit anybody's signature.
    #[error("no signing secret is configured, or one is empty")]
    EmptySecret,
}

impl SignatureError {
    /// A stable code.
    pub fn code(&self) -> &'static str {
        match self {
            SignatureError::Missing => "signature_missing",
            SignatureError::Malformed => "signature_malformed",
            SignatureError::NoMatch { .. } => "signature_mismatch",
            SignatureError::TooOld => "signature_too_old",
            SignatureError::InFuture => "signature_in_future",
            SignatureError::EmptyBody => "body_empty",
            SignatureError::EmptySecret => "signing_secret_empty",
        }
    }
}

/// Checks a delivery against every secret that is active, over the bytes as they came.
///
/// `header` is the value of `Stripe-Signature`, `tolerance` usually [`TOLERANCE`].
pub fn verify(
    header: Option<&str>,
    body: &[u8],
    secrets: &[Secret],
    now: Time,
    tolerance: Duration,
) -> Result<SignedAt, SignatureError> {
    if secrets.is_empty() || secrets.iter().any(|secret| secret.expose_secret().is_empty()) {
        return Err(SignatureError::EmptySecret);
    }
    let header = header.filter(|header| !header.trim().is_empty()).ok_or(SignatureError::Missing)?;
    if body.is_empty() {
        return Err(SignatureError::EmptyBody);
    }
    let Parts { timestamp, signed_at, signatures } = parse(header).ok_or(SignatureError::Malformed)?;

    let matching = secrets.iter().position(|secret| {
        let expected = signature(secret, timestamp, body);
        // Every candidate is compared, whether or not one has matched, so that the time tells nothing.
        let matched = signatures.clone().map(|candidate| candidate.as_bytes().ct_eq(expected.as_bytes()));
        matched.fold(subtle::Choice::from(0), |any, this| any | this).into()
    });
    let Some(secret_index) = matching else {
        let secret_has_whitespace = secrets.iter().any(|secret| secret.expose_secret().contains(char::is_whitespace));
        return Err(SignatureError::NoMatch { secret_has_whitespace });
    };
    // Age comes last: whoever cannot sign learns nothing of our clock.
    if now.since(signed_at) > tolerance {
        return Err(SignatureError::TooOld);
    }
    if signed_at.since(now) > tolerance {
        return Err(SignatureError::InFuture);
    }
    Ok(SignedAt { at: signed_at, secret_index })
}

/// The header of a delivery signed at `at`, with one `v1` for each secret. For tests, tools and `bursar bench`.
pub fn sign(body: &[u8], secrets: &[Secret], at: Time) -> String {
    let timestamp = at.seconds().to_string();
    let signatures = secrets.iter().map(|secret| format!(",v1={}", signature(secret, &timestamp, body)));
    std::iter::once(format!("t={timestamp}")).chain(signatures).collect()
}

fn signature(secret: &Secret, timestamp: &str, body: &[u8]) -> String {
    let key = hmac::Key::new(hmac::HMAC_SHA256, secret.expose_secret().as_bytes());
    let mut context = hmac::Context::with_key(&key);
    context.update(timestamp.as_bytes());
    context.update(b".");
    context.update(body);
    hex::encode(context.sign())
}

struct Parts<'a, Signatures> {
    /// As it stands in the header, since these bytes are signed.
    timestamp: &'a str,
    signed_at: Time,
    signatures: Signatures,
}

fn parse(header: &str) -> Option<Parts<'_, impl Iterator<Item = &str> + Clone>> {
    if header.len() > MAX_HEADER_BYTES {
        return None;
    }
    let pairs =
        header.split(',').filter_map(|pair| pair.split_once('=')).map(|(name, value)| (name.trim(), value.trim()));
    let mut timestamps = pairs.clone().filter(|(name, _)| *name == "t").map(|(_, value)| value);
    let timestamp = timestamps.next()?;
    let is_number = !timestamp.is_empty() && timestamp.bytes().all(|byte| byte.is_ascii_digit());
    if !is_number || timestamps.next().is_some() {
        return None;
    }
    let signatures = pairs.filter(|(name, _)| *name == "v1").map(|(_, value)| value);
    signatures.clone().next()?;
    Some(Parts { timestamp, signed_at: Time::from_seconds(timestamp.parse().ok()?), signatures })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const BODY: &[u8] = br#"{"id":"evt_1","object":"event"}"#;
    const NOW: Time = Time::from_seconds(1_790_000_000);
    /// HMAC-SHA256 of `1790000000.` and BODY under `whsec_test_secret`, computed by another implementation.
    const KNOWN: &str = "765d0d35514a56905b8ddef451bc5570cc45dfa0395a213879a36689a6be55a3";

    fn secrets(texts: &[&str]) -> Vec<Secret> {
        texts.iter().map(|text| Secret::from(*text)).collect()
    }

    fn check(header: Option<&str>, body: &[u8], keys: &[&str], expected: Result<usize, SignatureError>) {
        let outcome = verify(header, body, &secrets(keys), NOW, TOLERANCE);
        assert_eq!(outcome.map(|signed| signed.secret_index), expected, "{header:?} under {keys:?}");
    }

    fn signed(offset_seconds: i64, keys: &[&str]) -> String {
        sign(BODY, &secrets(keys), Time::from_seconds(NOW.seconds() + offset_seconds))
    }

    const NO_MATCH: SignatureError = SignatureError::NoMatch { secret_has_whitespace: false };

    #[test]
    fn the_signature_is_that_of_other_implementations() {
        let header = format!("t=1790000000,v1={KNOWN}");
        assert_eq!(signed(0, &["whsec_test_secret"]), header);
        check(Some(&header), BODY, &["whsec_test_secret"], Ok(0));
        check(Some(&format!("t=1790000000, v1={KNOWN} ,v0=ff")), BODY, &["whsec_test_secret"], Ok(0));
        check(Some(&format!("v1={KNOWN},t=1790000000")), BODY, &["whsec_test_secret"], Ok(0));
        check(
            Some(&header.to_uppercase().replace("T=", "t=").replace("V1=", "v1=")),
            BODY,
            &["whsec_test_secret"],
            Err(NO_MATCH),
        );
        check(Some(&header), BODY, &["test_secret"], Err(NO_MATCH));
    }

    #[test]
    fn several_secrets_and_signatures_serve_while_one_is_rolled() {
        check(Some(&signed(0, &["old", "new"])), BODY, &["new"], Ok(0));
        check(Some(&signed(0, &["old", "new"])), BODY, &["other", "old"], Ok(1));
        check(Some(&signed(0, &["old"])), BODY, &["new", "old"], Ok(1));
        check(Some(&signed(0, &["third"])), BODY, &["new", "old"], Err(NO_MATCH));
    }

    #[test]
    fn old_and_future_deliveries_are_refused() {
        for (offset_seconds, expected) in [
            (0, Ok(0)),
            (-300, Ok(0)),
            (300, Ok(0)),
            (-301, Err(SignatureError::TooOld)),
            (301, Err(SignatureError::InFuture)),
            (-1_790_000_000, Err(SignatureError::TooOld)),
        ] {
            check(Some(&signed(offset_seconds, &["s"])), BODY, &["s"], expected);
        }
        // Whoever cannot sign is not told about time.
        check(Some(&signed(-9_000, &["other"])), BODY, &["s"], Err(NO_MATCH));
    }

    #[test]
    fn what_cannot_be_checked_is_refused_by_name() {
        let good = signed(0, &["s"]);
        check(None, BODY, &["s"], Err(SignatureError::Missing));
        check(Some(" "), BODY, &["s"], Err(SignatureError::Missing));
        for malformed in [
            "nonsense",
            "t=1790000000",
            "v1=00",
            "t=,v1=00",
            "t=+1790000000,v1=00",
            "t=-5,v1=00",
            "t=1.5,v1=00",
            "t=1,t=2,v1=00",
            "t=99999999999999999999,v1=00",
            "t=1790000000,v0=00",
        ] {
            check(Some(malformed), BODY, &["s"], Err(SignatureError::Malformed));
        }
        check(Some(&format!("{good}{}", ",v0=00".repeat(800))), BODY, &["s"], Err(SignatureError::Malformed));
        check(Some(&good), b"", &["s"], Err(SignatureError::EmptyBody));
        check(Some(&good), BODY, &[], Err(SignatureError::EmptySecret));
        check(Some(&good), BODY, &["s", ""], Err(SignatureError::EmptySecret));
        check(Some("t=1790000000,v1=zz"), BODY, &["s"], Err(NO_MATCH));
        check(Some("t=1790000000,v1="), BODY, &["s"], Err(NO_MATCH));
        check(Some(&good), b"{}", &["s"], Err(NO_MATCH));
        check(Some(&good), BODY, &["s "], Err(SignatureError::NoMatch { secret_has_whitespace: true }));
    }

    proptest! {
        #[test]
        fn any_header_and_body_are_judged_without_harm(header in any::<String>(), body in any::<Vec<u8>>()) {
            prop_assert!(verify(Some(&header), &body, &secrets(&["s"]), NOW, TOLERANCE).is_err());
        }

        #[test]
        fn any_changed_bit_is_noticed(body in prop::collection::vec(any::<u8>(), 1..200), at in any::<prop::sample::Index>(), bit in 0..8_u8) {
            let header = sign(&body, &secrets(&["s"]), NOW);
            prop_assert!(verify(Some(&header), &body, &secrets(&["s"]), NOW, TOLERANCE).is_ok());
            let mut altered = body.clone();
            altered[at.index(body.len())] ^= 1 << bit;
            prop_assert_eq!(verify(Some(&header), &altered, &secrets(&["s"]), NOW, TOLERANCE), Err(NO_MATCH));
        }
    }
}
