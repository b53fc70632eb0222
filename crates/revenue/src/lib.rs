//! What the business takes in: facts drawn from mirrored objects, daily totals that always equal them, and the tie-out
//! that proves both against the balance.
//!
//! Read in this order: [`fact`] what one object says about money, [`daily`] totals by day and currency, [`tie_out`]
//! their proof, [`revenue`] all of it as others hold it.

pub mod daily;
pub mod error;
pub mod fact;
pub mod revenue;
pub mod tie_out;

mod projection;
mod read;

pub use daily::{CurrencyTotal, DailyFigure, Sources};
pub use error::RevenueError;
pub use fact::{Fact, FactKind};
pub use revenue::Revenue;
pub use tie_out::{Difference, DifferenceKind, TieOut, TieOutRow, TwoSides};

/// What this feature gives the server.
pub fn slice(revenue: &Revenue) -> platform::Slice {
    let _ = revenue;
    platform::Slice { name: "revenue", ..platform::Slice::default() }
}
