//! The store on both engines: isolation, grouping, wakes, migrations, and what refuses to open.
#![expect(missing_docs, reason = "a test binary has no public items to document")]

mod grouping;
mod isolation;
mod opening;
