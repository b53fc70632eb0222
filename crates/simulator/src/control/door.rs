//! Who may steer: callers on this machine, and pages of the simulator's own.

use http::{HeaderMap, StatusCode, Uri};
use std::net::{IpAddr, SocketAddr};

/// Whether a path is one of the control routes.
pub(crate) fn is_for(path: &str) -> bool {
    path == "/_sim" || path.starts_with("/_sim/")
}

/// Why a caller may not steer; none if it may. A browser on this machine may show pages from anywhere: what they send
/// tells whose they are (`Origin`, `Sec-Fetch-Site`), and a name that was made to point here is not this machine's own
/// (`Host`). Programs send none of the first two and are not asked.
pub(crate) fn refuses(peer: Option<SocketAddr>, headers: &HeaderMap) -> Option<(StatusCode, &'static str)> {
    if peer.is_some_and(|peer| !peer.ip().to_canonical().is_loopback()) {
        return Some((StatusCode::FORBIDDEN, r#"{"error":"/_sim is for callers on this machine"}"#));
    }
    let text = |name: &str| headers.get(name).map(|value| value.to_str().unwrap_or("?"));
    let (site, origin, host) = (text("sec-fetch-site"), text("origin"), text("host"));
    if site.is_none() && origin.is_none() {
        return None;
    }
    let is_own_site = site.is_none_or(|site| matches!(site, "same-origin" | "none"));
    let is_own_origin = origin.is_none_or(|origin| origin.strip_prefix("http://") == host);
    if is_own_site && is_own_origin && host.is_some_and(is_this_machine) {
        return None;
    }
    Some((StatusCode::FORBIDDEN, r#"{"error":"another site's page may not steer the simulator"}"#))
}

fn is_this_machine(host: &str) -> bool {
    let Ok(uri) = host.parse::<Uri>() else { return false };
    let name = uri.host().unwrap_or_default().trim_matches(['[', ']']);
    name == "localhost" || name.parse::<IpAddr>().is_ok_and(|address| address.to_canonical().is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_this_machine_and_its_own_pages_may_steer() {
        let check = |peer: &str, headers: &[(&'static str, &'static str)], expected: bool| {
            let map = headers.iter().map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap())).collect();
            let refused = refuses(Some(peer.parse().unwrap()), &map);
            assert_eq!(refused.is_none(), expected, "{peer} {headers:?}");
        };
        let (near, host) = ("127.0.0.1:5000", ("host", "127.0.0.1:12111"));
        check(near, &[host], true);
        check("[::1]:5000", &[], true);
        check("203.0.113.9:5000", &[host], false);
        check(near, &[host, ("sec-fetch-site", "same-origin"), ("origin", "http://127.0.0.1:12111")], true);
        check(near, &[host, ("sec-fetch-site", "none")], true);
        check(near, &[("host", "localhost:12111"), ("origin", "http://localhost:12111")], true);
        check(near, &[("host", "[::1]:12111"), ("origin", "http://[::1]:12111")], true);
        check(near, &[host, ("sec-fetch-site", "cross-site")], false);
        check(near, &[host, ("sec-fetch-site", "same-site"), ("origin", "http://127.0.0.1:9000")], false);
        check(near, &[host, ("origin", "https://evil.example")], false);
        check(near, &[host, ("origin", "null")], false);
        check(near, &[("host", "evil.example:12111"), ("origin", "http://evil.example:12111")], false);
        check(near, &[("host", "evil.example"), ("sec-fetch-site", "same-origin")], false);
        check(near, &[("origin", "http://127.0.0.1:12111")], false);
    }
}
