//! Finds out who is calling, once for every request. It never refuses: handlers that need a [`Caller`] do.

use crate::{
    Caller, CallerKind, Identity, address::client_address, caller::Refusal, identity::Organization, origin, token,
};
use axum::{
    extract::{ConnectInfo, Request, State},
    http::{Extensions, HeaderMap, HeaderValue, Method, header},
    middleware::Next,
    response::Response,
};
use kit::Environment;
use std::{
    net::{IpAddr, SocketAddr},
    sync::Arc,
};

/// Header by which a token's holder says which environment is meant; test unless said.
pub const ENVIRONMENT_HEADER: &str = "bursar-environment";

/// What pages need to know beyond the [`Caller`].
#[derive(Clone)]
pub(crate) struct SignedIn {
    pub(crate) organization: Arc<Organization>,
    /// The session, by its hash; none for a token.
    pub(crate) session: Option<String>,
}

/// The layer: `axum::middleware::from_fn_with_state(identity, identity::layer)`.
///
/// It puts a [`Caller`] and a `kit::TenantId` into the request where the caller is known. Nothing is asked of the
/// database for a request without token and cookie.
pub async fn layer(State(identity): State<Identity>, mut request: Request, next: Next) -> Response {
    let found = find(&identity, request.method(), request.headers(), request.extensions()).await;
    let mut private = false;
    let extensions = request.extensions_mut();
    match found {
        Ok(Some((caller, signed_in))) => {
            private = caller.kind == CallerKind::Session;
            extensions.insert(caller.tenant);
            extensions.insert(caller);
            extensions.insert(signed_in);
        }
        Ok(None) => {}
        Err(refusal) => {
            extensions.insert(refusal);
        }
    }
    extensions.insert(identity);
    let mut response = next.run(request).await;
    if private {
        // After signing out, nobody may bring a page back by the browser's button.
        response.headers_mut().entry(header::CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
    }
    response
}

async fn find(
    identity: &Identity,
    method: &Method,
    headers: &HeaderMap,
    extensions: &Extensions,
) -> Result<Option<(Caller, SignedIn)>, Refusal> {
    if let Some(sent) = token::sent_token(headers) {
        let environment = wanted_environment(headers)?;
        let organization = identity.holder_of_token(sent, address(identity, headers, extensions)).await?;
        return Ok(Some(known(organization, environment, None)));
    }
    let Some(value) = token::sent_cookie(headers, identity.cookie_name()) else { return Ok(None) };
    let (session, hash) = identity.session(value).await?;
    if !origin::may_change(method, headers, identity.inner.options.public_url.as_deref()) {
        return Err(Refusal::ForeignPage);
    }
    Ok(Some(known(Arc::new(session.organization.clone()), session.environment, Some(hash))))
}

fn known(organization: Arc<Organization>, environment: Environment, session: Option<String>) -> (Caller, SignedIn) {
    let caller = Caller {
        organization: organization.id.clone(),
        environment,
        tenant: organization.tenant(environment),
        kind: if session.is_some() { CallerKind::Session } else { CallerKind::Token },
    };
    (caller, SignedIn { organization, session })
}

fn wanted_environment(headers: &HeaderMap) -> Result<Environment, Refusal> {
    let Some(value) = headers.get(ENVIRONMENT_HEADER) else { return Ok(Environment::Test) };
    let text = value.to_str().map_err(|error| Refusal::BadEnvironment(error.to_string()))?;
    text.parse().map_err(|error: kit::tenant::BadEnvironment| Refusal::BadEnvironment(error.to_string()))
}

/// The client's address, as far as it can be trusted.
pub(crate) fn address(identity: &Identity, headers: &HeaderMap, extensions: &Extensions) -> IpAddr {
    let peer = extensions.get::<ConnectInfo<SocketAddr>>().map(|info| info.0.ip());
    client_address(headers, peer, identity.inner.options.trusted_proxies)
}
