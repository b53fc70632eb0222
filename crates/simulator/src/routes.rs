//! Which call a method and path mean.

use crate::{
    cli_session,
    parameters::{Accepts, LIST},
    resources::{ALL, Endpoint, Method, Verb, balance, subscription_item},
    unsimulated::UNSIMULATED,
};
use std::sync::OnceLock;

/// A call with its table parsed.
pub(crate) struct Route {
    pub(crate) endpoint: &'static Endpoint,
    /// Its number, for statistics and limits.
    pub(crate) number: usize,
    /// `GET /v1/charges/{id}`
    pub(crate) name: String,
    pub(crate) accepts: Accepts,
    segments: Vec<&'static str>,
}

/// What a method and path mean.
pub(crate) enum Found {
    /// A call, and the id in its path.
    Call(&'static Route, String),
    /// A call of Stripe's that is not simulated.
    Unsimulated(&'static str),
    /// Nothing that Stripe has.
    Nothing,
}

/// All calls.
pub(crate) fn all() -> &'static [Route] {
    static ROUTES: OnceLock<Vec<Route>> = OnceLock::new();
    ROUTES.get_or_init(|| {
        let own = balance::ENDPOINTS.iter().chain(&subscription_item::ENDPOINTS).chain(&cli_session::ENDPOINTS);
        let endpoints = ALL.iter().flat_map(|resource| resource.endpoints).chain(own);
        endpoints.enumerate().map(|(number, endpoint)| Route::new(number, endpoint)).collect()
    })
}

impl Route {
    fn new(number: usize, endpoint: &'static Endpoint) -> Route {
        let method = word(endpoint.method);
        let name = format!("{method} {}", endpoint.pattern);
        let mut accepts = match endpoint.verb {
            Verb::List(..) => Accepts::parse(&[LIST, endpoint.accepts]),
            _ => Accepts::parse(&[endpoint.accepts]),
        };
        accepts.besides(besides(&name));
        Route { endpoint, number, name, accepts, segments: endpoint.pattern.split('/').collect() }
    }
}

/// What Stripe takes in a call and the simulator does not: a line for each call, its name and the paths.
fn besides(name: &str) -> &'static str {
    let lines = include_str!("unsimulated_parameters.txt").lines();
    let mut found = lines.filter_map(|line| line.split_once(": "));
    found.find(|(call, _)| *call == name).map_or("", |(_, paths)| paths)
}

/// The method as written.
pub(crate) fn word(method: Method) -> &'static str {
    match method {
        Method::Get => "GET",
        Method::Post => "POST",
        Method::Delete => "DELETE",
    }
}

/// The method of a request, if Stripe uses it.
pub(crate) fn method(method: &http::Method) -> Option<Method> {
    match *method {
        http::Method::GET => Some(Method::Get),
        http::Method::POST => Some(Method::Post),
        http::Method::DELETE => Some(Method::Delete),
        _ => None,
    }
}

/// Finds the call that a method and path mean. A fixed word in a pattern goes before an id.
pub(crate) fn find(method: Method, path: &str) -> Found {
    let parts: Vec<&str> = path.trim_end_matches('/').split('/').collect();
    let unsimulated = UNSIMULATED.iter().find(|name| {
        name.split_once(' ').is_some_and(|(verb, pattern)| {
            verb == word(method) && fits(&pattern.split('/').collect::<Vec<_>>(), &parts).is_some_and(|ids| ids == 0)
        })
    });
    if let Some(name) = unsimulated {
        return Found::Unsimulated(name);
    }
    let mut found: Option<&'static Route> = None;
    for route in all().iter().filter(|route| route.endpoint.method == method) {
        if fits(&route.segments, &parts).is_some() && found.is_none_or(|other| other.endpoint.pattern.contains('{')) {
            found = Some(route);
        }
    }
    if let Some(route) = found {
        let id = route
            .segments
            .iter()
            .zip(&parts)
            .find(|(segment, _)| segment.starts_with('{'))
            .map(|(_, part)| (*part).to_owned());
        return Found::Call(route, id.unwrap_or_default());
    }
    let unsimulated = UNSIMULATED.iter().find(|name| {
        name.split_once(' ').is_some_and(|(verb, pattern)| {
            verb == word(method) && fits(&pattern.split('/').collect::<Vec<_>>(), &parts).is_some()
        })
    });
    unsimulated.map_or(Found::Nothing, |name| Found::Unsimulated(name))
}

/// How many ids the pattern takes from the path, if it fits.
fn fits(segments: &[&str], parts: &[&str]) -> Option<usize> {
    if segments.len() != parts.len() {
        return None;
    }
    let mut ids = 0;
    for (segment, part) in segments.iter().zip(parts) {
        if segment.starts_with('{') {
            ids += 1;
            if part.is_empty() {
                return None;
            }
        } else if segment != part {
            return None;
        }
    }
    Some(ids)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_mean_what_stripe_means() {
        let check = |method: Method, path: &str, expected: &str| {
            let meant = match find(method, path) {
                Found::Call(route, id) => format!("{} {id}", route.endpoint.pattern),
                Found::Unsimulated(name) => format!("not done: {name}"),
                Found::Nothing => "nothing".to_owned(),
            };
            assert_eq!(meant, expected, "{path}");
        };
        check(Method::Get, "/v1/charges", "/v1/charges ");
        check(Method::Get, "/v1/charges/ch_1", "/v1/charges/{id} ch_1");
        check(Method::Get, "/v1/charges/search", "/v1/charges/search ");
        check(Method::Post, "/v1/invoices/in_1/pay", "/v1/invoices/{id}/pay in_1");
        check(Method::Post, "/v1/invoices/create_preview", "not done: POST /v1/invoices/create_preview");
        check(Method::Post, "/v1/transfers", "not done: POST /v1/transfers");
        check(Method::Get, "/v1/transfers/tr_1", "not done: GET /v1/transfers/{id}");
        check(Method::Get, "/v1/foo", "nothing");
        check(Method::Delete, "/v1/charges/ch_1", "nothing");
        check(Method::Get, "/v1/charges/", "/v1/charges ");
    }
}
