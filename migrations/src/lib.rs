//! One ordered list of migrations for both engines.
