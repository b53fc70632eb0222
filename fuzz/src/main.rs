//! The program that libFuzzer drives. `BURSAR_FUZZ_TARGET` names the target, so that all of them share one build.

#![no_main]
#![expect(unsafe_code, reason = "libFuzzer calls functions by their C names, which its macro makes")]

use std::sync::LazyLock;

static TARGET: LazyLock<fuzz::Target> = LazyLock::new(|| {
    let name = std::env::var("BURSAR_FUZZ_TARGET").unwrap_or_default();
    // Nothing can be fuzzed without a target, and `cargo xtask fuzz` always names one.
    fuzz::target(&name).unwrap_or_else(|| panic!("BURSAR_FUZZ_TARGET names no target: `{name}`"))
});

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    (TARGET.run)(bytes);
});
