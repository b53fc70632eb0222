//! The mirror's SQL. Every function joins the caller's transaction and takes the tenant.

pub(crate) mod known;
pub(crate) mod objects;
pub(crate) mod rebuilds;
pub(crate) mod rereads;
pub(crate) mod streams;
pub(crate) mod syncs;
