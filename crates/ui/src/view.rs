//! What must be known of the person looking to write figures and times the way they read them.

use jiff::tz::TimeZone;
use kit::Time;

/// The present time, and how the person reads figures and times. Passed to whatever writes either.
#[derive(Clone, Debug)]
pub struct View {
    /// The present time, for "14 s ago".
    pub now: Time,
    /// Separators in figures.
    pub figures: Figures,
    /// The zone of exact times.
    pub zone: TimeZone,
}

impl View {
    /// English separators and UTC: what is used until the person has chosen otherwise.
    pub fn utc(now: Time) -> View {
        View { now, figures: Figures::CommaPoint, zone: TimeZone::UTC }
    }
}

/// How thousands and decimals are set apart.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Figures {
    /// `1,234.50`
    #[default]
    CommaPoint,
    /// `1.234,50`
    PointComma,
    /// `1 234,50`, with a narrow space that does not break.
    SpaceComma,
    /// `1’234.50`
    ApostrophePoint,
}

impl Figures {
    /// What stands between thousands.
    pub fn group(self) -> char {
        match self {
            Figures::CommaPoint => ',',
            Figures::PointComma => '.',
            Figures::SpaceComma => '\u{202f}',
            Figures::ApostrophePoint => '’',
        }
    }

    /// What stands before decimals.
    pub fn decimal(self) -> char {
        match self {
            Figures::CommaPoint | Figures::ApostrophePoint => '.',
            Figures::PointComma | Figures::SpaceComma => ',',
        }
    }

    /// Rewrites a figure with English separators into this form.
    pub fn rewrite(self, english: &str) -> String {
        if self == Figures::CommaPoint {
            return english.to_owned();
        }
        english
            .chars()
            .map(|character| match character {
                ',' => self.group(),
                '.' => self.decimal(),
                other => other,
            })
            .collect()
    }
}

/// Light, dark, or as the person's system says.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Theme {
    /// As the system says.
    #[default]
    System,
    /// Always light.
    Light,
    /// Always dark.
    Dark,
}

impl Theme {
    /// `light`, `dark`, or nothing where the system decides.
    pub fn as_attribute(self) -> Option<&'static str> {
        match self {
            Theme::System => None,
            Theme::Light => Some("light"),
            Theme::Dark => Some("dark"),
        }
    }
}
