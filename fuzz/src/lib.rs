//! What must hold for any bytes at all: a function per target, which panics where it does not.
//!
//! `cargo xtask fuzz` builds them instrumented and lets libFuzzer look for bytes that break them; the ordinary tests run them
//! over `seeds/`, which is also where every input that once broke something is kept.

pub mod event;
pub mod form;
pub mod problem;
pub mod sealed;
pub mod signature;

/// One target.
#[derive(Clone, Copy, Debug)]
pub struct Target {
    /// Its name, as the command line and the folder of its seeds have it.
    pub name: &'static str,
    /// Runs it once. Answers whether the bytes were understood, and did more than to be refused.
    pub run: fn(&[u8]) -> bool,
}

/// All targets.
pub const TARGETS: [Target; 5] = [
    Target { name: "signature", run: signature::run },
    Target { name: "form", run: form::run },
    Target { name: "event", run: event::run },
    Target { name: "problem", run: problem::run },
    Target { name: "sealed", run: sealed::run },
];

/// The target of a name.
pub fn target(name: &str) -> Option<Target> {
    TARGETS.into_iter().find(|target| target.name == name)
}
