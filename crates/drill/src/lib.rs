//! The whole program put through what can go wrong, with figures as the answer.
//!
//! Read in this order: [`scene`] a node beside a simulated Stripe, [`state`] what is compared, then a file for each drill:
//! [`history`] and [`order`], [`idle`], [`outage`].

pub mod error;
pub mod history;
pub mod idle;
pub mod order;
pub mod outage;
pub mod scene;
pub mod state;

pub use error::DrillError;
pub use scene::{Place, Plan, Scene, Webhooks};
pub use state::{Differences, EndState};
