//! Versions of Stripe's API: which one we ask for, and whose shapes we read.
//!
//! Source: FACTS section 1.

use std::{fmt, str::FromStr};

/// The version every request asks for and every webhook endpoint we create is pinned to.
pub const PINNED_VERSION: &str = "2026-10-28.endive";

/// Releases whose shapes [`crate::shape`] reads, oldest first. Later dates under one name only add.
const UNDERSTOOD_RELEASES: [&str; 4] = ["basil", "clover", "dahlia", "endive"];

/// A version such as `2026-10-28.endive`. Versions before 2024-09-30 have no name; they order by date all the same.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ApiVersion {
    // `YYYY-MM-DD` orders as text; checked when parsed.
    date: String,
    release: String,
}

/// A text that is not a version.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not an API version: `YYYY-MM-DD.name` is expected")]
pub struct BadVersion(String);

impl ApiVersion {
    /// The day of the version, `YYYY-MM-DD`.
    pub fn date(&self) -> &str {
        &self.date
    }

    /// The release's name, such as `endive`; empty for versions older than names.
    pub fn release(&self) -> &str {
        &self.release
    }

    /// Whether objects of this version have a shape that [`crate::shape`] reads. A release we have not heard of may
    /// have moved any field, and so has a preview: their objects are fetched again at [`PINNED_VERSION`].
    pub fn is_understood(&self) -> bool {
        UNDERSTOOD_RELEASES.contains(&self.release.as_str())
    }
}

/// Whether the shapes of `version`, as an event carries it, are understood; without a version nothing is known of them.
pub fn understood(version: Option<&str>) -> bool {
    version.and_then(|text| text.parse::<ApiVersion>().ok()).is_some_and(|version| version.is_understood())
}

impl FromStr for ApiVersion {
    type Err = BadVersion;

    fn from_str(text: &str) -> Result<ApiVersion, BadVersion> {
        let bad = || BadVersion(text.chars().take(40).collect());
        let (date, release) = text.split_once('.').unwrap_or((text, ""));
        let shaped = date.len() == 10
            && date.bytes().enumerate().all(|(at, byte)| match at {
                4 | 7 => byte == b'-',
                _ => byte.is_ascii_digit(),
            });
        let named = release.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_')
            && release.len() <= 40
            && (text.len() == 10 || !release.is_empty());
        let in_year = shaped && ("01"..="12").contains(&&date[5..7]) && ("01"..="31").contains(&&date[8..10]);
        if !in_year || !named {
            return Err(bad());
        }
        Ok(ApiVersion { date: date.to_owned(), release: release.to_owned() })
    }
}

impl fmt::Display for ApiVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.release.as_str() {
            "" => f.write_str(&self.date),
            release => write!(f, "{}.{release}", self.date),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shapes_from_basil_to_endive_are_understood() {
        let check = |version: &str, expected: bool| assert_eq!(understood(Some(version)), expected, "{version}");
        check(PINNED_VERSION, true);
        check("2025-03-31.basil", true);
        check("2025-09-30.clover", true);
        check("2026-03-25.dahlia", true);
        check("2026-09-30.endive", true);
        check("2026-12-01.endive", true);
        check("2025-02-24.acacia", false);
        check("2020-08-27", false);
        check("2027-03-31.fennel", false);
        check("2026-10-28.preview", false);
        check("", false);
        check("endive", false);
        assert!(!understood(None));
    }

    #[test]
    fn versions_order_by_their_day() {
        let version = |text: &str| text.parse::<ApiVersion>().unwrap();
        let ordered = ["2020-08-27", "2024-09-30.acacia", "2025-03-31.basil", "2025-09-30.clover", PINNED_VERSION];
        assert!(ordered.windows(2).all(|pair| version(pair[0]) < version(pair[1])));
        for text in ordered {
            assert_eq!(version(text).to_string(), text);
        }
    }

    #[test]
    fn what_is_no_version_is_refused() {
        for text in [
            "",
            "2026",
            "2026-1-28.endive",
            "2026-13-28.endive",
            "2026-10-32.x",
            "2026-10-28.",
            "2026-10-28.En",
            "2026-10-28 .x",
            "２０26-10-28",
        ] {
            assert!(text.parse::<ApiVersion>().is_err(), "{text}");
        }
    }
}
