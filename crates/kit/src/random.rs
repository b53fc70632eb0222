//! Randomness as an argument, so that a run can be repeated from its seed.

use rand_chacha::{
    ChaCha12Rng,
    rand_core::{Rng, SeedableRng},
};
use std::sync::{Arc, Mutex, PoisonError};

/// A source of random bytes.
pub trait Randomness: Send + Sync + std::fmt::Debug {
    /// Fills `bytes` with random ones.
    fn fill(&self, bytes: &mut [u8]);

    /// A number below `bound`; zero for a bound of zero. The bias is below 2^-32 for bounds that fit 32 bits.
    fn below(&self, bound: u64) -> u64 {
        let mut bytes = [0_u8; 8];
        self.fill(&mut bytes);
        u64::from_le_bytes(bytes).checked_rem(bound).unwrap_or(0)
    }
}

/// Randomness shared by all parts of one process.
pub type SharedRandomness = Arc<dyn Randomness>;

/// The operating system's randomness, fit for keys and tokens.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemRandomness;

impl SystemRandomness {
    /// The operating system's randomness, ready to be shared.
    pub fn shared() -> SharedRandomness {
        Arc::new(SystemRandomness)
    }
}

impl Randomness for SystemRandomness {
    #[expect(
        clippy::disallowed_methods,
        clippy::expect_used,
        reason = "the one place that asks the operating system; without randomness no key is safe, so stopping is right"
    )]
    fn fill(&self, bytes: &mut [u8]) {
        getrandom::fill(bytes).expect("the operating system gives randomness");
    }
}

/// Repeatable randomness from a seed, for the simulator, tests and jitter. Never for secrets.
#[derive(Debug)]
pub struct SeededRandomness(Mutex<ChaCha12Rng>);

impl SeededRandomness {
    /// The stream that belongs to `seed`.
    pub fn new(seed: u64) -> SeededRandomness {
        SeededRandomness(Mutex::new(ChaCha12Rng::seed_from_u64(seed)))
    }

    /// The stream that belongs to `seed`, ready to be shared.
    pub fn shared(seed: u64) -> SharedRandomness {
        Arc::new(SeededRandomness::new(seed))
    }
}

impl Randomness for SeededRandomness {
    fn fill(&self, bytes: &mut [u8]) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).fill_bytes(bytes);
    }
}
