//! The cookie of a console session.

use crate::{Identity, identity::SESSION_LASTS};
use axum::http::HeaderValue;
use kit::{ExposeSecret, Secret};

/// Over TLS: browsers take a cookie of this prefix only with `Secure`, for the whole host, and from the host itself.
const SECURE_NAME: &str = "__Host-bursar_session";
/// On a private machine without TLS.
const PLAIN_NAME: &str = "bursar_session";

impl Identity {
    fn is_secure(&self) -> bool {
        self.inner.options.public_url.as_deref().is_some_and(|url| url.starts_with("https://"))
    }

    /// What the session's cookie is called here.
    pub(crate) fn cookie_name(&self) -> &'static str {
        if self.is_secure() { SECURE_NAME } else { PLAIN_NAME }
    }

    /// The header that gives a browser its session.
    pub(crate) fn session_cookie(&self, value: &Secret) -> HeaderValue {
        self.cookie(value.expose_secret(), SESSION_LASTS.as_secs())
    }

    /// The header that takes the session away.
    pub(crate) fn no_session_cookie(&self) -> HeaderValue {
        self.cookie("", 0)
    }

    fn cookie(&self, value: &str, seconds: u64) -> HeaderValue {
        let name = self.cookie_name();
        let secure = if self.is_secure() { "; Secure" } else { "" };
        let text = format!("{name}={value}; Path=/; HttpOnly; SameSite=Lax; Max-Age={seconds}{secure}");
        // A session's value is hexadecimal, so this is always a header's value.
        let mut header = HeaderValue::from_str(&text).unwrap_or(HeaderValue::from_static(""));
        header.set_sensitive(true);
        header
    }
}
