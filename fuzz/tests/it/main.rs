//! Every seed through its target: what once broke something stays mended, and the seeds are worth their name.

#![expect(clippy::unwrap_used, reason = "a test's helpers stop at what they did not expect")]

use std::{fs, path::Path};

/// The seeds of a target: name and content.
fn seeds(target: &str) -> Vec<(String, Vec<u8>)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("seeds").join(target);
    let mut seeds: Vec<(String, Vec<u8>)> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .map(|path| (path.file_name().unwrap().to_string_lossy().into_owned(), fs::read(path).unwrap()))
        .collect();
    seeds.sort();
    seeds
}

#[test]
fn seeds_hold_and_are_understood_unless_their_name_says_otherwise() {
    for target in fuzz::TARGETS {
        let seeds = seeds(target.name);
        assert!(seeds.len() >= 3, "{} has {} seeds", target.name, seeds.len());
        for (name, bytes) in seeds {
            assert_eq!((target.run)(&bytes), !name.starts_with("bad-"), "{} {name}", target.name);
        }
    }
}

#[test]
fn nothing_and_noise_are_taken_by_every_target() {
    let noise: Vec<u8> = (0..=255_u8).cycle().take(2_000).map(|byte| byte.wrapping_mul(167)).collect();
    for target in fuzz::TARGETS {
        for length in [0, 1, 2, 3, 4, 64, 2_000] {
            (target.run)(&noise[..length]);
        }
    }
}

#[test]
fn targets_have_names_of_their_own() {
    for target in fuzz::TARGETS {
        assert_eq!(fuzz::target(target.name).unwrap().name, target.name);
    }
    assert!(fuzz::target("nothing").is_none());
}
