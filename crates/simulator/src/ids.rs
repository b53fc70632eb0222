//! Ids in Stripe's style: a prefix and random letters and digits (FACTS section 3). Nothing may rely on their form.

use kit::{Randomness, SeededRandomness};

const LETTERS: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

/// Makes ids; the same seed makes the same ones in the same order.
#[derive(Debug)]
pub(crate) struct Ids {
    randomness: SeededRandomness,
}

impl Ids {
    pub(crate) fn new(seed: u64) -> Ids {
        Ids { randomness: SeededRandomness::new(seed) }
    }

    /// `prefix` and 24 letters or digits, 14 for the short kinds.
    pub(crate) fn new_id(&self, prefix: &str) -> String {
        let length = match prefix {
            "cus_" | "prod_" | "si_" | "req_" => 14,
            _ => 24,
        };
        self.letters(prefix, length)
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
