//! The local copy of Stripe's objects, and the one door by which anything from Stripe comes in.
//!
//! Read in this order: [`observation`] what is learned, [`order`] which version is newer, [`projection`] what features
//! make of it, [`absorb`] the door itself, [`mirror`] the mirror as others hold it.

pub mod absorb;
pub mod error;
pub mod mirror;
pub mod observation;
pub mod order;
pub mod projection;

pub use absorb::{Absorbed, Absorber};
pub use error::MirrorError;
pub use mirror::Mirror;
pub use observation::{Interval, Observation, Source};
pub use order::{Verdict, Version, order};
pub use projection::{Change, Projection, Scope};
