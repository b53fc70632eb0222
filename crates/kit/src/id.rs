//! Ids: a prefix that names the kind and a sortable random part, as in `job_01jdz6v7w8k9m0n1p2q3r4s5t6`.

use crate::{Randomness, Time};
use serde::{Deserialize, Serialize};
use std::fmt;

const CROCKFORD: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";

/// An id of some kind, kept as text. Use [`define_id!`](crate::define_id) to give a kind its own type.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Id(String);

impl Id {
    /// A new id: `prefix_` and 26 characters, the first ten of which are the time in milliseconds.
    pub fn new(prefix: &str, now: Time, randomness: &dyn Randomness) -> Id {
        let mut random = [0_u8; 10];
        randomness.fill(&mut random);
        let milliseconds = (now.micros().max(0) / 1_000) as u128;
        let low = random.iter().fold(0_u128, |number, byte| (number << 8) | u128::from(*byte));
        let number = (milliseconds << 80) | low;
        let mut text = String::with_capacity(prefix.len() + 27);
        text.push_str(prefix);
        text.push('_');
        for position in (0..26).rev() {
            text.push(CROCKFORD[(number >> (5 * position)) as usize & 31] as char);
        }
        Id(text)
    }

    /// An id that came from outside: a path, a database row.
    pub fn from_text(text: impl Into<String>) -> Id {
        Id(text.into())
    }

    /// The id as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl AsRef<str> for Id {
    fn as_ref(&self) -> &str {
        &self.0
    }
}

/// Gives a kind of id its own type: `define_id!(/// A job. JobId, "job");`
#[macro_export]
macro_rules! define_id {
    ($(#[$doc:meta])* $name:ident, $prefix:literal) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
        #[serde(transparent)]
        pub struct $name($crate::Id);

        impl $name {
            /// What ids of this kind begin with, without the underscore.
            pub const PREFIX: &'static str = $prefix;
            /// A new id.
            pub fn new(now: $crate::Time, randomness: &dyn $crate::Randomness) -> Self {
                Self($crate::Id::new($prefix, now, randomness))
            }
            /// An id that came from outside: a path, a database row.
            pub fn from_text(text: impl Into<String>) -> Self {
                Self($crate::Id::from_text(text))
            }
            /// The id as text.
            pub fn as_str(&self) -> &str {
                self.0.as_str()
            }
        }
        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(self.as_str())
            }
        }
        impl std::fmt::Debug for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(self.as_str())
            }
        }
        impl AsRef<str> for $name {
            fn as_ref(&self) -> &str {
                self.as_str()
            }
        }
        impl From<String> for $name {
            fn from(text: String) -> Self {
                Self::from_text(text)
            }
        }
    };
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::SeededRandomness;

    #[test]
    fn ids_sort_by_time_and_repeat_with_their_seed() {
        let make = |milliseconds: i64, seed| {
            Id::new("job", Time::from_micros(milliseconds * 1_000), &SeededRandomness::new(seed)).to_string()
        };
        assert_eq!(make(1_700_000_000_000, 7), make(1_700_000_000_000, 7));
        assert_ne!(make(1_700_000_000_000, 7), make(1_700_000_000_000, 8));
        assert!(make(1_700_000_000_000, 9) < make(1_700_000_000_001, 1));
        assert_eq!(make(1, 1).len(), "job_".len() + 26);
    }
}
