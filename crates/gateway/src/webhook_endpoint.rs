//! The webhook endpoint that Bursar makes at Stripe for a connection (INB-9).

use crate::{Found, Gateway, GatewayError, Intent, Lane, NewIntent, Reply, ReplyHandler};
use async_trait::async_trait;
use kit::{Environment, Secret};
use std::sync::Arc;
use store::TenantTx;
use stripe::{
    Request,
    api::{self, ListParams, NewWebhookEndpoint},
};
use vault::{Connection, ConnectionId, Linked};

/// The purpose of the intent that makes it.
pub(crate) const CREATE: &str = "webhook_endpoint.create";
/// The metadata by which it is found again.
const TAG: &str = "bursar_connection";
/// Stripe allows 16 endpoints in each mode: one page holds them all.
const MOST_ENDPOINTS: u8 = 100;

/// Where Stripe sends a connection's events.
pub(crate) fn address(public_url: &str, connection: &ConnectionId) -> String {
    format!("{}/webhooks/stripe/{connection}", public_url.trim_end_matches('/'))
}

/// Why no endpoint can be made for a connection, if so.
pub(crate) fn obstacle(public_url: Option<&str>, environment: Environment) -> Option<&'static str> {
    match public_url {
        None => Some("no public address is configured (public_url), so Stripe cannot reach this server"),
        Some(url) if environment.is_live() && !url.starts_with("https://") => {
            Some("Stripe sends live events to https:// addresses only, and public_url is not one")
        }
        Some(_) => None,
    }
}

/// The intent that makes a connection's endpoint.
pub(crate) fn intent(public_url: &str, connection: &Connection) -> NewIntent {
    let endpoint = NewWebhookEndpoint {
        url: address(public_url, &connection.id),
        enabled_events: vec!["*".to_owned()],
        description: Some(format!("Bursar: {}", connection.display_name)),
        connect: false,
        metadata: vec![(TAG.to_owned(), connection.id.to_string())],
    };
    NewIntent {
        connection: connection.id.clone(),
        request: api::create_webhook_endpoint(&endpoint),
        on_account: None,
        lane: Lane::Interactive,
        purpose: CREATE,
        subject: connection.id.to_string(),
    }
}

#[derive(serde::Deserialize)]
struct Made {
    id: String,
    secret: Option<String>,
}

#[derive(serde::Deserialize)]
struct Listed {
    data: Vec<ListedEndpoint>,
}

#[derive(serde::Deserialize)]
struct ListedEndpoint {
    id: String,
    #[serde(default)]
    metadata: std::collections::HashMap<String, String>,
}

/// Takes the answer to the intent that makes an endpoint: its secret is in that answer only, and is sealed at once.
pub(crate) struct Created;

#[async_trait]
impl ReplyHandler for Created {
    fn purpose(&self) -> &'static str {
        CREATE
    }

    async fn replied(
        &self,
        gateway: &Gateway,
        tx: &mut TenantTx,
        intent: &Intent,
        reply: Reply<'_>,
    ) -> Result<(), GatewayError> {
        let answer = match reply {
            Reply::Done(answer) => answer,
            Reply::Refused(refusal) => {
                tracing::warn!(
                    connection.id = %intent.connection, code = refusal.code,
                    "Stripe did not make the webhook endpoint; events are found by reading the event list"
                );
                return Ok(());
            }
        };
        let made: Made = answer.response.read().map_err(GatewayError::Stripe)?;
        let Some(secret) = made.secret.map(Secret::from) else {
            return Err(GatewayError::AnswerNotTaken {
                purpose: intent.purpose.clone(),
                intent: intent.id.to_string(),
                detail: "Stripe's answer holds no signing secret".to_owned(),
                can_retry: false,
            });
        };
        gateway.vault().add_webhook_secret(tx, &intent.connection, &secret).await?;
        gateway.vault().set_webhook_endpoint(tx, &intent.connection, Some(&made.id)).await?;
        Ok(())
    }

    /// An endpoint that is there gives its secret to nobody any more: it is removed, and made anew.
    async fn find(&self, gateway: &Gateway, linked: &Arc<Linked>, intent: &Intent) -> Result<Found, GatewayError> {
        let page = ListParams { limit: MOST_ENDPOINTS, ..ListParams::default() };
        let answer = gateway.call(linked, api::webhook_endpoints(&page), Lane::Background).await?;
        let listed: Listed = answer.response.read().map_err(GatewayError::Stripe)?;
        let ours = listed.data.into_iter().filter(|it| it.metadata.get(TAG).is_some_and(|id| *id == intent.subject));
        for endpoint in ours {
            remove(gateway, linked, &endpoint.id).await?;
        }
        Ok(Found::NoEffect)
    }
}

/// Removes an endpoint at Stripe; one that is gone already is as good. Needs no intent: doing it twice is doing it
/// once, and whoever ends a connection will not have its key later.
pub(crate) async fn remove(gateway: &Gateway, linked: &Arc<Linked>, endpoint: &str) -> Result<(), GatewayError> {
    let request: Request = api::delete_webhook_endpoint(endpoint);
    match gateway.call(linked, request, Lane::Interactive).await {
        Ok(_) => Ok(()),
        Err(error) if error.class() == Some(stripe::ErrorClass::NotFound) => Ok(()),
        Err(error) => Err(error),
    }
}
