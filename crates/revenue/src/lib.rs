//! Revenue facts, daily aggregates and the tie-out that proves them
