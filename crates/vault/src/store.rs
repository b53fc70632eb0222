//! The SQL of sealed secrets and connections.

mod connections;
mod secrets;

pub(crate) use connections::*;
pub(crate) use secrets::*;
