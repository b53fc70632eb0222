//! Sealed secrets and the connections they open
