//! The store on both engines: isolation, grouping, wakes, migrations, and what refuses to open.
#![expect(clippy::unwrap_used, reason = "a story that cannot go on has failed")]

mod bulk;
mod grouping;
mod isolation;
mod journal;
mod opening;
