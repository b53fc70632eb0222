//! The list of slices, the router and the roles
