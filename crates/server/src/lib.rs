//! The list of slices, the router and the roles: what makes crates into one program.
//!
//! Read in this order: [`parts`] how the slices are put together, [`router`] how a request reaches them, [`aliases`]
//! the spellings that also answer, [`running`] a node's life from start to graceful stop, [`error`] what keeps a node
//! from starting.

pub mod aliases;
pub mod error;
pub mod health;
pub mod parts;
pub mod router;
pub mod running;

pub use error::StartError;
pub use parts::{CallOptions, Parts, PartsOptions};
pub use running::{Running, start};
