//! What the business takes in: facts drawn from mirrored objects, daily totals that always equal them, and the tie-out
//! that proves both against the balance.
//!
//! Read in this order: [`fact`] what one object says about money, [`movement`] what the balance says, [`sale`] what was
//! sold, `effects` what a batch of changes does, [`daily`] totals by day and currency, [`dimension`] what they were for,
//! [`tie_out`] their proof, [`revenue`] all of it as others hold it.

pub mod conversion;
pub mod daily;
pub mod dimension;
pub mod error;
pub mod fact;
pub mod interval;
pub mod movement;
pub mod revenue;
pub mod sale;
pub mod tie_out;

mod api;
mod effects;
mod jobs;
mod pages;
mod projection;
mod proof;
mod read;
mod store;

pub use daily::{CurrencyTotal, DailyFigure, Sources};
pub use error::RevenueError;
pub use fact::{Fact, FactKind};
pub use interval::Interval;
pub use revenue::{ProductFigure, Revenue};
pub use tie_out::{Converted, Difference, DifferenceKind, TieOut, TieOutRow, TwoSides};

/// What this feature gives the server: `/v1/analytics/…`, the page `/revenue`, and the job that draws stale days again.
pub fn slice(revenue: &Revenue) -> platform::Slice {
    platform::Slice {
        name: "revenue",
        routes: api::routes(revenue.clone()).merge(pages::routes(revenue.clone())),
        jobs: jobs::kinds(revenue),
        nav: vec![platform::NavItem { label: "Revenue", href: "/revenue", icon: "revenue", order: 20 }],
        ..platform::Slice::default()
    }
}
