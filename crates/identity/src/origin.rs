//! Whether a request that changes something comes from one of our own pages, and where a redirect may lead.
//!
//! The session cookie is `SameSite=Lax`, which keeps other sites' forms out already; this holds where a browser's idea
//! of "same site" is wider than one host. Browsers send `Sec-Fetch-Site`, older ones `Origin`, with every such request.

use http::{HeaderMap, Method, header};

/// Whether a request may change something in the name of the cookie it carries.
pub(crate) fn may_change(method: &Method, headers: &HeaderMap, public_url: Option<&str>) -> bool {
    method.is_safe() || is_own_page(headers, public_url)
}

/// Whether one of our own pages sent the request.
pub(crate) fn is_own_page(headers: &HeaderMap, public_url: Option<&str>) -> bool {
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    // `none` is a person's own doing: the address bar, a bookmark.
    if let Some(site) = text("sec-fetch-site") {
        return matches!(site, "same-origin" | "none");
    }
    let Some(origin) = text(header::ORIGIN.as_str()) else { return false };
    let Some((_, host_of_origin)) = origin.split_once("://") else { return false };
    let same_host = text(header::HOST.as_str()).is_some_and(|host| host.eq_ignore_ascii_case(host_of_origin));
    // Behind a proxy the host may be another; the configured address is as good.
    same_host || public_url.is_some_and(|url| url.trim_end_matches('/').eq_ignore_ascii_case(origin))
}

/// An address of our own to go on to, or the overview: a redirect must not lead to a stranger.
pub(crate) fn own_path(wanted: Option<&str>) -> &str {
    match wanted {
        // Browsers read `//host` and `/\host` as another host, and drop tabs and line ends from addresses.
        Some(path)
            if path.starts_with('/')
                && !path.starts_with("//")
                && path.len() <= 2_000
                && path.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'\\') =>
        {
            path
        }
        _ => "/",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_our_own_pages_may_change_anything() {
        let check = |lines: &[(&'static str, &'static str)], expected| {
            let headers = lines
                .iter()
                .map(|(name, value)| (http::HeaderName::from_static(name), value.parse().unwrap()))
                .collect();
            assert_eq!(is_own_page(&headers, Some("https://bursar.example.com/")), expected, "{lines:?}");
            assert!(may_change(&Method::GET, &headers, None));
        };
        check(&[("sec-fetch-site", "same-origin")], true);
        check(&[("sec-fetch-site", "none")], true);
        check(&[("sec-fetch-site", "same-site")], false);
        check(&[("sec-fetch-site", "cross-site")], false);
        check(&[("sec-fetch-site", "cross-site"), ("origin", "https://bursar.example.com")], false);
        check(&[("origin", "http://localhost:8080"), ("host", "localhost:8080")], true);
        check(&[("origin", "http://localhost:8080"), ("host", "localhost:9090")], false);
        check(&[("origin", "https://bursar.example.com"), ("host", "10.0.0.7:8080")], true);
        check(&[("origin", "https://bursar.example.com.evil.org"), ("host", "10.0.0.7:8080")], false);
        check(&[("origin", "null"), ("host", "localhost:8080")], false);
        check(&[("host", "localhost:8080")], false);
        check(&[], false);
    }

    #[test]
    fn redirects_stay_here() {
        let check = |wanted: &str, expected: &str| assert_eq!(own_path(Some(wanted)), expected, "{wanted}");
        check("/inbox?state=failed", "/inbox?state=failed");
        check("/", "/");
        check("inbox", "/");
        check("//evil.org", "/");
        check("/\\evil.org", "/");
        check("/\t/evil.org", "/");
        check("https://evil.org/", "/");
        check("/in box", "/");
        check("", "/");
        check(&format!("/{}", "x".repeat(2_000)), "/");
        assert_eq!(own_path(None), "/");
    }
}
