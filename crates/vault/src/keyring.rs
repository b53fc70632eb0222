//! The keys that seal secrets: several may be loaded, the newest seals.

use crate::Result;
use kit::{Randomness, Secret, Time};
use std::path::Path;

/// The loaded keys, newest first.
#[derive(Clone)]
pub struct Keyring {}

impl Keyring {
    /// Reads `id:base64,id2:base64`, newest first. Whitespace and line ends may stand between entries.
    pub fn parse(text: &Secret) -> Result<Keyring> {
        let _ = text;
        todo!()
    }

    /// Reads `vault.keys` in the data folder, or makes it with one fresh key, readable for its owner only.
    pub fn load_or_create(data_dir: &Path, now: Time, randomness: &dyn Randomness) -> Result<Keyring> {
        let _ = (data_dir, now, randomness);
        todo!()
    }

    /// A fresh entry `id:base64`, to be put in front of the others.
    pub fn generate_entry(now: Time, randomness: &dyn Randomness) -> Secret {
        let _ = (now, randomness);
        todo!()
    }
}
