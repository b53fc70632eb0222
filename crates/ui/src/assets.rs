//! The console's few files, inside the binary. Their names carry a hash of their content, so that browsers may keep
//! them for ever and a new release is seen at once.

use axum::{Router, extract::Path, response::IntoResponse, routing::get};
use http::{StatusCode, header};
use rust_embed::RustEmbed;
use std::{fmt::Write, sync::LazyLock};

#[derive(RustEmbed)]
#[folder = "assets/"]
struct Files;

/// Parts of the style sheet, in the order in which they are joined.
pub const STYLE_PARTS: [&str; 6] =
    ["css/tokens.css", "css/base.css", "css/frame.css", "css/components.css", "css/forms.css", "css/charts.css"];
/// Parts of the script, in the order in which they are joined.
pub const SCRIPT_PARTS: [&str; 4] = ["js/comfort.js", "js/dialog.js", "js/charts.js", "js/live.js"];

struct Asset {
    name: String,
    path: String,
    content_type: &'static str,
    content: String,
}

static STYLE: LazyLock<Asset> = LazyLock::new(|| asset("app", "css", "text/css; charset=utf-8", &STYLE_PARTS));
static SCRIPT: LazyLock<Asset> = LazyLock::new(|| asset("app", "js", "text/javascript; charset=utf-8", &SCRIPT_PARTS));
static MARK: LazyLock<Asset> = LazyLock::new(|| asset("mark", "svg", "image/svg+xml", &["mark.svg"]));

/// Address of the style sheet.
pub fn style_path() -> &'static str {
    &STYLE.path
}

/// Address of the script.
pub fn script_path() -> &'static str {
    &SCRIPT.path
}

/// Address of the mark, for the browser's tab.
pub fn mark_path() -> &'static str {
    &MARK.path
}

/// Serves `/assets/{name with hash}`, to be kept for a year. Public: there is nothing of anybody's in them.
pub fn assets_router<S: Clone + Send + Sync + 'static>() -> Router<S> {
    Router::new().route("/assets/{name}", get(serve))
}

/// The three files as name and content, for pages that are written to a folder.
pub fn files() -> [(&'static str, &'static str); 3] {
    [&*STYLE, &*SCRIPT, &*MARK].map(|asset| (asset.name.as_str(), asset.content.as_str()))
}

async fn serve(Path(name): Path<String>) -> impl IntoResponse {
    match [&*STYLE, &*SCRIPT, &*MARK].into_iter().find(|asset| asset.name == name) {
        Some(asset) => (
            [
                (header::CONTENT_TYPE, asset.content_type),
                (header::CACHE_CONTROL, "public, max-age=31536000, immutable"),
                (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
            ],
            asset.content.as_str(),
        )
            .into_response(),
        // An old page may ask for the previous release's file: nobody may remember that it is gone.
        None => (StatusCode::NOT_FOUND, [(header::CACHE_CONTROL, "no-store")]).into_response(),
    }
}

fn asset(stem: &str, extension: &str, content_type: &'static str, parts: &[&str]) -> Asset {
    let mut content = String::new();
    for part in parts {
        // A test asks for every part; a missing one leaves a plainer page, not a dead server.
        if let Some(file) = Files::get(part) {
            content.push_str(&String::from_utf8_lossy(&file.data));
            content.push('\n');
        }
    }
    let mut name = format!("{stem}-");
    // Writing to a string does not fail.
    let _ = write!(name, "{:016x}.{extension}", fingerprint(content.as_bytes()));
    Asset { path: format!("/assets/{name}"), name, content_type, content }
}

/// FNV-1a: tells releases apart, and defends against nobody.
fn fingerprint(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_part_is_inside() {
        for part in STYLE_PARTS.iter().chain(&SCRIPT_PARTS).chain(&["mark.svg"]) {
            assert!(Files::get(part).is_some(), "{part} is missing");
        }
        assert_eq!(Files::iter().count(), STYLE_PARTS.len() + SCRIPT_PARTS.len() + 1, "a file is in no list");
        assert_eq!(fingerprint(b""), 0xcbf2_9ce4_8422_2325);
        assert_eq!(fingerprint(b"a"), 0xaf63_dc4c_8601_ec8c);
    }
}
