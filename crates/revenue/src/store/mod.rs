//! Revenue's SQL.

pub(crate) mod daily;
pub(crate) mod dimensions;
pub(crate) mod proof;
pub(crate) mod rows;
pub(crate) mod whole;
