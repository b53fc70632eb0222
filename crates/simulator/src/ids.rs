//! Ids in Stripe's style: a prefix, the time in letters and digits, and random ones (FACTS section 3). Nothing may rely on
//! their form; but that those made together sort together is how Stripe's are, and what a database of them meets.

use kit::{Randomness, SeededRandomness};
use std::sync::atomic::{AtomicI64, Ordering};

const LETTERS: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

/// Makes ids; the same seed makes the same ones in the same order.
#[derive(Debug)]
pub(crate) struct Ids {
    randomness: SeededRandomness,
    second: AtomicI64,
}

/// Letters that the time takes: `1Pgafu` in `ch_1PgafuB7WZ01zgkWXYmPNZs8`. Short ids have the last four before theirs.
const TIME_LETTERS: usize = 6;
const SHORT_TIME_LETTERS: usize = 4;

impl Ids {
    pub(crate) fn new(seed: u64) -> Ids {
        Ids { randomness: SeededRandomness::new(seed), second: AtomicI64::new(0) }
    }

    /// The second of what is made next.
    pub(crate) fn at(&self, second: i64) -> &Ids {
        self.second.store(second, Ordering::Relaxed);
        self
    }

    /// `prefix` and 24 letters or digits, 14 for the short kinds.
    pub(crate) fn new_id(&self, prefix: &str) -> String {
        let (length, time_letters) = match prefix {
            "cus_" | "prod_" | "si_" | "req_" => (14, SHORT_TIME_LETTERS),
            _ => (24, TIME_LETTERS),
        };
        let mut time = [b'0'; TIME_LETTERS];
        let mut rest = self.second.load(Ordering::Relaxed).unsigned_abs();
        // Short ids leave out the letter that changes each second, so that the others last for years.
        rest /= if time_letters == SHORT_TIME_LETTERS { 62 } else { 1 };
        for letter in time.iter_mut().rev() {
            *letter = LETTERS[usize::try_from(rest % 62).unwrap_or(0)];
            rest /= 62;
        }
        let mut id = String::with_capacity(prefix.len() + length);
        id.push_str(prefix);
        id.extend(time[TIME_LETTERS - time_letters..].iter().map(|letter| *letter as char));
        self.letters(&id, length - time_letters)
    }

    /// `prefix` and `length` letters or digits.
    pub(crate) fn letters(&self, prefix: &str, length: usize) -> String {
        let mut bytes = [0_u8; 64];
        let bytes = &mut bytes[..length.min(64)];
        self.randomness.fill(bytes);
        let mut id = String::with_capacity(prefix.len() + length);
        id.push_str(prefix);
        id.extend(bytes.iter().map(|byte| LETTERS[usize::from(*byte) % LETTERS.len()] as char));
        id
    }

    /// A number below `bound`.
    pub(crate) fn below(&self, bound: u64) -> u64 {
        self.randomness.below(bound)
    }
}
