//! The signature of a delivery. The input: the header, a line feed, the body.
//!
//! Whatever the header, checking it ends in an answer; what is taken holds our own signature of the very same bytes; what is signed is
//! taken, and is not when a bit of it is another.

use kit::{Secret, Time};
use std::time::Duration;
use stripe::signature::{SignatureError, TOLERANCE, sign, verify};

/// 2026-11-21T12:00:00Z
const NOW: Time = Time::from_seconds(1_795_262_400);
/// Forty days: tells "too old" from "no match" for what the seeds hold.
const PATIENCE: Duration = Duration::from_secs(40 * 86_400);

/// See the module.
pub fn run(bytes: &[u8]) -> bool {
    let at = bytes.iter().position(|byte| *byte == b'\n').unwrap_or(bytes.len());
    let (header, body) = (&bytes[..at], bytes.get(at + 1..).unwrap_or_default());
    let secrets = [Secret::from("whsec_first"), Secret::from("whsec_second")];
    let header = std::str::from_utf8(header).ok();
    let read = verify(header, body, &secrets, NOW, PATIENCE);
    if let Ok(signed) = read {
        let ours = sign(body, std::slice::from_ref(&secrets[signed.secret_index]), signed.at);
        let digest = ours.split_once(",v1=").map(|(_, digest)| digest).unwrap_or_default();
        assert!(header.is_some_and(|header| header.contains(digest)), "taken without our signature");
    }
    let without = verify(header, body, &[], NOW, TOLERANCE);
    assert_eq!(without, Err(SignatureError::EmptySecret));
    if body.is_empty() {
        return false;
    }
    ours_is_taken(body, &secrets);
    !matches!(read, Err(SignatureError::Malformed | SignatureError::Missing))
}

fn ours_is_taken(body: &[u8], secrets: &[Secret]) {
    let header = sign(body, secrets, NOW);
    let signed = verify(Some(&header), body, secrets, NOW, TOLERANCE);
    assert!(signed.is_ok_and(|signed| signed.at == NOW && signed.secret_index == 0), "our own signature is refused");
    // Which bit is decided by the body itself, so that one input is one case.
    let position = body.iter().fold(0_usize, |sum, byte| sum.wrapping_mul(31).wrapping_add(usize::from(*byte)));
    let mut altered = body.to_vec();
    altered[position % body.len()] ^= 1 << (position % 8);
    let refused = verify(Some(&header), &altered, secrets, NOW, TOLERANCE);
    assert!(matches!(refused, Err(SignatureError::NoMatch { .. })), "an altered body is taken");
}
