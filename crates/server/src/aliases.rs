//! Spellings of the source documents that also answer. One small table; each leads to the same handler.

use axum::http::{Method, Uri};

/// One further spelling. `{…}` stands for one segment, taken over in order.
#[derive(Clone, Copy, Debug)]
pub struct Alias {
    /// The method it answers.
    pub method: &'static str,
    /// The further spelling.
    pub path: &'static str,
    /// The canonical path.
    pub canonical: &'static str,
}

const fn alias(method: &'static str, path: &'static str, canonical: &'static str) -> Alias {
    Alias { method, path, canonical }
}

/// The table of DESIGN's section HTTP, for what is built so far.
pub const ALIASES: &[Alias] = &[
    alias("POST", "/v1/connectors/stripe/connect", "/v1/connections"),
    alias("POST", "/api/integrations/stripe/connect", "/v1/connections"),
    alias("POST", "/stripe/config/test", "/v1/connections/test"),
    alias("POST", "/v1/connectors/stripe/{id}/test", "/v1/connections/{id}/test"),
    alias("POST", "/v1/connectors/stripe/{id}/sync", "/v1/connections/{id}/sync"),
    alias("GET", "/v1/connectors/{id}/sync-status", "/v1/connections/{id}/sync-status"),
    alias("GET", "/v1/analytics/stripe", "/v1/analytics/revenue"),
    alias("GET", "/v1/analytics/stripe/daily-aggregates", "/v1/analytics/daily"),
    alias("POST", "/api/webhooks/stripe", "/webhooks/stripe"),
    alias("POST", "/api/connect/webhook", "/webhooks/stripe-connect"),
];

/// The canonical address of a request, if it used another spelling.
pub fn canonical(method: &Method, uri: &Uri) -> Option<Uri> {
    let path = uri.path();
    // Webhooks are the hot path and mostly canonical: most requests are sorted out by their first segment.
    if !(path.starts_with("/v1/connectors")
        || path.starts_with("/v1/analytics/stripe")
        || path.starts_with("/api/")
        || path.starts_with("/stripe/"))
    {
        return None;
    }
    let canonical =
        ALIASES.iter().filter(|alias| alias.method == method.as_str()).find_map(|alias| rewrite(alias, path))?;
    let with_query = match uri.query() {
        Some(query) => format!("{canonical}?{query}"),
        None => canonical,
    };
    with_query.parse().ok()
}

fn rewrite(alias: &Alias, path: &str) -> Option<String> {
    let (wanted, given): (Vec<&str>, Vec<&str>) = (alias.path.split('/').collect(), path.split('/').collect());
    if wanted.len() != given.len() {
        return None;
    }
    let mut taken = Vec::new();
    for (wanted, given) in wanted.iter().zip(&given) {
        if wanted.starts_with('{') && !given.is_empty() {
            taken.push(*given);
        } else if wanted != given {
            return None;
        }
    }
    let mut taken = taken.into_iter();
    let segments: Vec<&str> = alias
        .canonical
        .split('/')
        .map(|segment| if segment.starts_with('{') { taken.next().unwrap_or(segment) } else { segment })
        .collect();
    Some(segments.join("/"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn other_spellings_lead_to_the_canonical_path() {
        let check = |method: Method, given: &str, wanted: Option<&str>| {
            let uri: Uri = given.parse().unwrap();
            assert_eq!(canonical(&method, &uri).map(|uri| uri.to_string()).as_deref(), wanted, "{method} {given}");
        };
        check(Method::POST, "/v1/connectors/stripe/connect", Some("/v1/connections"));
        check(Method::POST, "/v1/connectors/stripe/con_1/sync?kind=full", Some("/v1/connections/con_1/sync?kind=full"));
        check(Method::GET, "/v1/connectors/con_1/sync-status", Some("/v1/connections/con_1/sync-status"));
        check(Method::GET, "/v1/connectors/stripe/con_1/sync", None);
        check(Method::POST, "/api/webhooks/stripe", Some("/webhooks/stripe"));
        check(Method::POST, "/webhooks/stripe", None);
    }
}
