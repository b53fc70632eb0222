//! The words every crate shares: money, ids, time, randomness, secrets, paging.
//!
//! Nothing here does IO, speaks HTTP or knows SQL. The clock and randomness are traits so that rules take
//! them as arguments and tests move time by hand.

pub mod clock;
pub mod id;
pub mod money;
pub mod paging;
pub mod random;
pub mod secret;
pub mod tenant;
pub mod time;

pub use clock::{Clock, HandClock, SharedClock, Stopwatch, SystemClock};
pub use id::Id;
pub use money::{Currency, Money, MoneyError};
pub use paging::{Cursor, Page, PageRequest};
pub use random::{Randomness, SeededRandomness, SharedRandomness, SystemRandomness};
pub use secret::{ExposeSecret, Secret};
pub use tenant::{Environment, TenantId};
pub use time::{Time, TimeRange};
