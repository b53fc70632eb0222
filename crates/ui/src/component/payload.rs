//! JSON as it came: indented, mildly coloured, foldable; every number and escape exactly as received.

use crate::{view::View, words};
use maud::{Markup, PreEscaped, Render, html};
use serde::de::IgnoredAny;

/// The most that is shown; what is longer is cut, shown plainly, and says so.
pub const MAX_PAYLOAD_BYTES: usize = 256 * 1024;
/// Objects and lists this deep stand folded.
const FOLDED_FROM_DEPTH: usize = 3;
/// Lists longer than this stand folded.
const FOLDED_FROM_ITEMS: usize = 20;

/// A body that was received or sent.
#[derive(Clone)]
pub struct Payload<'a> {
    /// What it is: "Payload as received".
    pub title: String,
    /// The text. What is no JSON is shown as it is.
    pub json: &'a str,
    /// Whether it stands unfolded.
    pub open: bool,
    /// How the person reads figures.
    pub view: &'a View,
}

impl Render for Payload<'_> {
    fn render(&self) -> Markup {
        let whole = self.json.len() <= MAX_PAYLOAD_BYTES;
        let size = words::bytes(self.json.len() as u64, self.view.figures);
        html! {
            details.payload open[self.open] {
                summary { (self.title) " " span.muted { (size) } }
                @if whole && serde_json::from_str::<IgnoredAny>(self.json).is_ok() {
                    div.json tabindex="0" role="region" aria-label=(self.title) { (pretty(self.json)) }
                } @else {
                    @if whole { p.payload-remark { "This is not JSON; it is shown as it came." } }
                    @else { p.payload-remark { "Only the first " (words::bytes(MAX_PAYLOAD_BYTES as u64, self.view.figures)) " are shown." } }
                    pre.json tabindex="0" { (start_of(self.json)) }
                }
            }
        }
    }
}

fn start_of(text: &str) -> &str {
    let mut end = text.len().min(MAX_PAYLOAD_BYTES);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    &text[..end]
}

/// Writes valid JSON as markup. Numbers and strings are copied byte by byte: parsing them into values and back would
/// change `1.10`, large integers and escapes, and somebody is looking because something does not add up.
fn pretty(json: &str) -> PreEscaped<String> {
    let mut writer = Writer { json, at: 0, comma_written: false, out: String::with_capacity(json.len() * 3) };
    writer.value(0);
    PreEscaped(writer.out)
}

struct Writer<'a> {
    json: &'a str,
    at: usize,
    comma_written: bool,
    out: String,
}

impl Writer<'_> {
    /// The next byte that is no space; zero at the end, which valid JSON never asks for.
    fn peek(&mut self) -> u8 {
        let bytes = self.json.as_bytes();
        while bytes.get(self.at).is_some_and(u8::is_ascii_whitespace) {
            self.at += 1;
        }
        bytes.get(self.at).copied().unwrap_or(0)
    }

    /// Depth is bounded by the check before, which refuses more than 128 levels.
    fn value(&mut self, depth: usize) {
        match self.peek() {
            b'{' => self.nested(depth, b'}'),
            b'[' => self.nested(depth, b']'),
            b'"' => self.string("js-string"),
            _ => self.word(),
        }
    }

    fn nested(&mut self, depth: usize, close: u8) {
        let (open_sign, close_sign) = if close == b'}' { ('{', '}') } else { ('[', ']') };
        self.at += 1;
        if self.peek() == close {
            self.at += 1;
            self.out.extend([open_sign, close_sign]);
            return;
        }
        let before = std::mem::take(&mut self.out);
        let mut items = 0_usize;
        loop {
            self.out.push_str("<li>");
            if close == b'}' {
                self.peek();
                self.string("js-key");
                self.peek();
                self.at += 1; // the colon
                self.out.push_str(": ");
            }
            self.value(depth + 1);
            items += 1;
            let more = self.peek() == b',';
            self.at += 1;
            self.out.push_str(if more && !std::mem::take(&mut self.comma_written) { ",</li>" } else { "</li>" });
            if !more || self.at >= self.json.len() {
                break;
            }
        }
        let inside = std::mem::replace(&mut self.out, before);
        let folded = depth >= FOLDED_FROM_DEPTH || (depth > 0 && items > FOLDED_FROM_ITEMS);
        let noun = match (close, items) {
            (b'}', 1) => "field",
            (b'}', _) => "fields",
            (_, 1) => "item",
            _ => "items",
        };
        self.out.push_str(if folded { "<details>" } else { "<details open>" });
        // The comma behind goes inside, where it stands on the closing line; a folded one shows it from the attribute.
        self.comma_written = self.peek() == b',';
        let comma = if self.comma_written { "," } else { "" };
        self.out.push_str(&format!(
            "<summary data-close=\"{close_sign}{comma}\">{open_sign}<i>{items} {noun}</i></summary><ul>"
        ));
        self.out.push_str(&inside);
        self.out.push_str(&format!("</ul>{close_sign}{comma}</details>"));
    }

    fn string(&mut self, class: &str) {
        let bytes = self.json.as_bytes();
        let start = self.at;
        self.at += 1;
        while let Some(byte) = bytes.get(self.at) {
            self.at += match byte {
                b'\\' => 2,
                b'"' => break,
                _ => 1,
            };
        }
        self.at = (self.at + 1).min(bytes.len());
        self.token(class, start);
    }

    fn word(&mut self) {
        let bytes = self.json.as_bytes();
        let start = self.at;
        while bytes.get(self.at).is_some_and(|byte| !matches!(byte, b',' | b'}' | b']') && !byte.is_ascii_whitespace())
        {
            self.at += 1;
        }
        self.token("js-word", start);
    }

    fn token(&mut self, class: &str, start: usize) {
        let text = self.json.get(start..self.at).unwrap_or_default();
        self.out.push_str(&html! { span class=(class) { (text) } }.into_string());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The markup without tags and summaries' remarks, and with entities turned back.
    fn plain(markup: &str) -> String {
        let mut text = String::new();
        let mut rest = markup;
        while let Some(start) = rest.find('<') {
            text.push_str(&rest[..start]);
            rest = &rest[start..];
            let end =
                if rest.starts_with("<i>") { rest.find("</i>").unwrap() + 4 } else { rest.find('>').unwrap() + 1 };
            rest = &rest[end..];
        }
        text.push_str(rest);
        text.replace("&quot;", "\"").replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&")
    }

    #[test]
    fn everything_stays_exactly_as_it_came() {
        for json in [
            "{}",
            "[]",
            "null",
            "-1.10e+3",
            r#""a\"b<script>&amp;\u00e9""#,
            r#"{"amount":1.10,"big":123456789012345678901234567890,"z":[1,{"a":{"b":{"c":[]}}}],"é":"日本"}"#,
            r#" { "a" : [ 1 , 2 ] } "#,
        ] {
            assert!(serde_json::from_str::<IgnoredAny>(json).is_ok(), "{json}");
            let squeezed = |text: &str| text.replace(' ', "");
            assert_eq!(squeezed(&plain(&pretty(json).0)), squeezed(json));
        }
    }

    #[test]
    fn markup_in_payloads_is_harmless_and_broken_json_is_shown() {
        let view = View::utc(kit::Time::default());
        let rendered =
            |json: &str| Payload { title: "Payload".to_owned(), json, open: true, view: &view }.render().into_string();
        assert!(!rendered(r#"{"<img>":"<script>"}"#).contains("<script>"));
        assert!(rendered("{\"a\":").contains("not JSON"));
        let long = format!("\"{}\"", "é".repeat(MAX_PAYLOAD_BYTES));
        assert!(rendered(&long).contains("Only the first"));
        let deep = "[".repeat(10_000);
        assert!(rendered(&deep).contains("not JSON"));
    }
}
