//! The crate from outside: against sample objects, the API description, and a listener that misbehaves.

mod samples;
mod wire;
