//! Every pair of colours that is used, held to WCAG AA in both themes, from the tokens themselves.

use std::collections::BTreeMap;

/// Text needs 4.5 to 1; lines and marks that mean something need 3 to 1 (WCAG 1.4.3 and 1.4.11).
const TEXT: f64 = 4.5;
const MARK: f64 = 3.0;

type Colours = BTreeMap<String, [(u8, u8, u8); 2]>;

fn tokens() -> Colours {
    let style = include_str!("../../assets/css/tokens.css");
    style
        .lines()
        .filter_map(|line| {
            let (name, value) = line.trim().strip_prefix("--")?.split_once(": light-dark(#")?;
            let (light, dark) = value.strip_suffix(");")?.split_once(", #")?;
            Some((name.to_owned(), [colour(light), colour(dark)]))
        })
        .collect()
}

fn colour(hex: &str) -> (u8, u8, u8) {
    let number = u32::from_str_radix(hex, 16).unwrap();
    assert_eq!(hex.len(), 6, "{hex}");
    let [_, red, green, blue] = number.to_be_bytes();
    (red, green, blue)
}

fn luminance((red, green, blue): (u8, u8, u8)) -> f64 {
    let linear = |channel: u8| {
        let share = f64::from(channel) / 255.0;
        if share <= 0.040_45 { share / 12.92 } else { ((share + 0.055) / 1.055).powf(2.4) }
    };
    0.2126 * linear(red) + 0.7152 * linear(green) + 0.0722 * linear(blue)
}

fn contrast(one: (u8, u8, u8), other: (u8, u8, u8)) -> f64 {
    let (a, b) = (luminance(one), luminance(other));
    (a.max(b) + 0.05) / (a.min(b) + 0.05)
}

#[test]
fn every_pair_in_use_can_be_read() {
    let tokens = tokens();
    assert!(tokens.len() > 30, "the tokens were not understood: {}", tokens.len());
    let surfaces = ["page", "surface", "surface-2", "test-soft"];
    let mut pairs: Vec<(&str, &str, f64)> = Vec::new();
    for surface in surfaces {
        for text in ["text", "muted", "accent", "accent-strong", "good", "warn", "bad", "test"] {
            pairs.push((text, surface, TEXT));
        }
        for mark in ["line-strong", "accent"] {
            pairs.push((mark, surface, MARK));
        }
    }
    for series in ["series-1", "series-2", "series-3", "series-4", "series-5", "series-6", "series-rest"] {
        pairs.push((series, "surface", MARK));
    }
    for (text, behind) in [
        ("on-accent", "accent"),
        ("on-accent", "accent-strong"),
        ("on-bad", "bad"),
        ("on-test", "test"),
        ("on-test-band", "test-band"),
        ("good", "good-soft"),
        ("warn", "warn-soft"),
        ("bad", "bad-soft"),
        ("accent-strong", "accent-soft"),
        ("accent", "accent-soft"),
        ("text", "accent-soft"),
        ("muted", "accent-soft"),
        ("text", "neutral-soft"),
        ("muted", "neutral-soft"),
        ("text", "surface-3"),
        ("muted", "surface-3"),
        ("text", "test-line"),
        ("muted", "test-line"),
        ("page", "text"),
    ] {
        pairs.push((text, behind, TEXT));
    }
    let mut failures = Vec::new();
    for (front, behind, least) in pairs {
        for (theme, name) in ["light", "dark"].iter().enumerate() {
            let measured = contrast(tokens[front][theme], tokens[behind][theme]);
            if measured < least {
                failures.push(format!("{front} on {behind}, {name}: {measured:.2} of {least}"));
            }
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

#[test]
fn the_style_names_no_colour_that_is_not_a_token() {
    for (name, style) in [
        ("base", include_str!("../../assets/css/base.css")),
        ("frame", include_str!("../../assets/css/frame.css")),
        ("components", include_str!("../../assets/css/components.css")),
        ("charts", include_str!("../../assets/css/charts.css")),
    ] {
        for line in style.lines() {
            let is_colour = |part: &str| part.len() >= 3 && part.bytes().take(3).all(|byte| byte.is_ascii_hexdigit());
            let hex = line.split('#').skip(1).any(is_colour);
            assert!(!hex, "{name}.css: {line}");
        }
    }
    let whole = ui::assets::files().map(|(_, content)| content.to_owned()).join("");
    for token in tokens().keys() {
        assert!(whole.contains(&format!("var(--{token})")), "--{token} is used nowhere");
    }
    for used in whole.split("var(--").skip(1).filter_map(|rest| rest.split(')').next()) {
        assert!(whole.contains(&format!("--{used}:")), "--{used} is defined nowhere");
    }
}

#[test]
fn contrast_is_measured_as_wcag_does() {
    assert!((contrast((0, 0, 0), (255, 255, 255)) - 21.0).abs() < 0.01);
    assert!((contrast((119, 119, 119), (255, 255, 255)) - 4.48).abs() < 0.01);
}
