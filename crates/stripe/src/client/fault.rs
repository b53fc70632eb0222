//! How a broken call is told apart: name, connection, encryption, time, cut.

use crate::error::{CallError, NetworkFault};
use std::error::Error as _;

/// What a failure of the HTTP client means. Its address is left out: it says nothing that the caller does not know.
pub(super) fn network_fault(error: reqwest::Error) -> CallError {
    let error = error.without_url();
    let before_sent = error.is_connect() || error.is_builder();
    // The finer ones first: a name that does not resolve, or bad encryption, is a failed connection too.
    let fault = match () {
        () if error.is_timeout() => NetworkFault::Timeout,
        () if error.is_dns() => NetworkFault::Name,
        () if is_tls(&error) => NetworkFault::Tls,
        () if error.is_connect() => NetworkFault::Connect,
        () if error.is_builder() => NetworkFault::Other,
        () => NetworkFault::Cut,
    };
    let mut detail = error.to_string();
    for cause in causes(&error) {
        let cause = cause.to_string();
        if !detail.ends_with(&cause) {
            detail.push_str(": ");
            detail.push_str(&cause);
        }
    }
    CallError::Network { fault, before_sent, detail }
}

fn causes(error: &reqwest::Error) -> impl Iterator<Item = &(dyn std::error::Error + 'static)> {
    std::iter::successors(error.source(), |&cause| cause.source())
}

fn is_tls(error: &reqwest::Error) -> bool {
    causes(error).any(holds_tls_error)
}

/// An IO error hides the error it wraps from the chain of causes, sometimes twice over.
fn holds_tls_error(cause: &(dyn std::error::Error + 'static)) -> bool {
    let wrapped = cause.downcast_ref::<std::io::Error>().and_then(std::io::Error::get_ref);
    cause.is::<rustls::Error>() || wrapped.is_some_and(|inner| holds_tls_error(inner))
}
