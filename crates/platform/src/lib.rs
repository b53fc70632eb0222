//! What every slice stands on: durable jobs, schedule, notices, problems, configuration, telemetry.
//!
//! Read in this order: [`base`] what is handed around, [`slice`](mod@slice) what a feature gives the server, [`job`] and
//! [`worker`] work that survives a crash, [`schedule`], [`notice`], [`problem`] errors as users meet them,
//! [`idempotency`], [`config`], [`telemetry`].

pub mod base;
pub mod config;
pub mod idempotency;
pub mod job;
pub mod notice;
pub mod problem;
pub mod schedule;
pub mod slice;
pub mod telemetry;
pub mod worker;

pub use base::Base;
pub use job::{JobError, JobId, JobKind, JobRun, NewJob, RetryPlan};
pub use notice::{Notice, Subscriber};
pub use problem::Problem;
pub use schedule::{Cadence, Schedule};
pub use slice::{Background, NavItem, Roles, Slice};
pub use tokio_util::sync::CancellationToken;
