//! The webhook endpoint that Bursar makes at Stripe for a connection (INB-9), and a look at how it stands there (INB-7).

use crate::{
    ConnectError, EndpointState, Found, Gateway, GatewayError, Intent, IntentOutcome, Lane, NewIntent, ReadFor, Reply,
    ReplyHandler, SeenEndpoint, store as rows,
};
use async_trait::async_trait;
use kit::{Environment, Secret};
use std::sync::Arc;
use store::TenantTx;
use stripe::{
    Request,
    api::{self, ListParams, NewWebhookEndpoint, WebhookEndpointChange},
};
use vault::{Connection, ConnectionId, Linked};

/// The purpose of the intent that makes it.
pub(crate) const CREATE: &str = "webhook_endpoint.create";
/// The purpose of the intent that switches it on again, at our address and for everything.
pub(crate) const SWITCH_ON: &str = "webhook_endpoint.switch_on";
/// What it is told: every type.
const EVERYTHING: &str = "*";
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
        enabled_events: vec![EVERYTHING.to_owned()],
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
        gateway.put_webhook_secret(tx, &intent.connection, &secret).await?;
        gateway.vault().set_webhook_endpoint(tx, &intent.connection, Some(&made.id)).await?;
        let seen_at = gateway.inner.base.now();
        let seen = SeenEndpoint { endpoint_id: made.id, state: EndpointState::Enabled, seen_at };
        Ok(rows::save_endpoint(tx, &intent.connection, &seen).await?)
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

/// Takes the answer to the intent that switches an endpoint on.
pub(crate) struct SwitchedOn;

#[async_trait]
impl ReplyHandler for SwitchedOn {
    fn purpose(&self) -> &'static str {
        SWITCH_ON
    }

    async fn replied(
        &self,
        gateway: &Gateway,
        tx: &mut TenantTx,
        intent: &Intent,
        reply: Reply<'_>,
    ) -> Result<(), GatewayError> {
        let state = match reply {
            Reply::Done(_) => EndpointState::Enabled,
            Reply::Refused(refusal) => {
                tracing::warn!(
                    connection.id = %intent.connection, code = refusal.code,
                    "Stripe did not switch the webhook endpoint on"
                );
                return Ok(());
            }
        };
        let seen_at = gateway.inner.base.now();
        let seen = SeenEndpoint { endpoint_id: intent.subject.clone(), state, seen_at };
        Ok(rows::save_endpoint(tx, &intent.connection, &seen).await?)
    }

    /// Saying it twice is saying it once.
    async fn find(&self, _: &Gateway, _: &Arc<Linked>, _: &Intent) -> Result<Found, GatewayError> {
        Ok(Found::NoEffect)
    }
}

#[derive(serde::Deserialize)]
struct AtStripe {
    status: Option<String>,
    #[serde(default)]
    url: String,
    #[serde(default)]
    enabled_events: Vec<String>,
}

/// How an endpoint stands. Without a public address of ours there is none to compare with.
fn state_of(found: &AtStripe, address: Option<&str>) -> EndpointState {
    let is_ours = address.is_none_or(|address| address == found.url)
        && found.enabled_events.iter().any(|event| event == EVERYTHING);
    match found.status.as_deref() {
        Some("disabled") => EndpointState::Disabled,
        _ if is_ours => EndpointState::Enabled,
        _ => EndpointState::OtherAddress,
    }
}

/// What was done to make a connection's webhooks come again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Repaired {
    /// Switched on, at our address and for everything.
    SwitchedOn,
    /// Made anew, with another signing secret.
    Made,
    /// Stripe refused, for the reason that the outbox shows.
    Refused,
    /// It is recorded, and a job goes on with it.
    OnItsWay,
}

impl Gateway {
    /// Where to point an endpoint that is made by hand; none without a public address.
    pub fn webhook_address(&self, connection: &ConnectionId) -> Option<String> {
        self.public_url().map(|url| address(url, connection))
    }

    /// Looks at Stripe how the endpoint that Bursar made for a connection stands, and keeps it. None if it made none.
    /// Costs one read.
    ///
    /// # Errors
    /// Those of the call; a key without the permission to read endpoints answers so.
    pub async fn look_at_endpoint(&self, linked: &Arc<Linked>) -> Result<Option<SeenEndpoint>, GatewayError> {
        let connection = &linked.connection;
        let Some(endpoint_id) = connection.webhook_endpoint_id.clone() else { return Ok(None) };
        let probing = self.reading_for(ReadFor::Probe);
        let state = match probing.call(linked, api::webhook_endpoint(&endpoint_id), Lane::Background).await {
            Ok(answer) => {
                let found: AtStripe = answer.response.read().map_err(GatewayError::Stripe)?;
                let address = self.public_url().map(|url| address(url, &connection.id));
                state_of(&found, address.as_deref())
            }
            Err(error) if error.class() == Some(stripe::ErrorClass::NotFound) => EndpointState::Gone,
            Err(error) => return Err(error),
        };
        let seen = SeenEndpoint { endpoint_id, state, seen_at: self.inner.base.now() };
        let mut tx = self.inner.base.store.begin(connection.tenant).await?;
        rows::save_endpoint(&mut tx, &connection.id, &seen).await?;
        tx.wake(crate::WAKE);
        tx.commit().await?;
        Ok(Some(seen))
    }

    /// How the endpoint of a connection was last seen at Stripe; none if it was not looked at, or is another one now.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn seen_endpoint(
        &self,
        tx: &mut TenantTx,
        connection: &Connection,
    ) -> store::Result<Option<SeenEndpoint>> {
        let seen = rows::endpoint(tx, &connection.id).await?;
        Ok(seen.filter(|seen| connection.webhook_endpoint_id.as_ref() == Some(&seen.endpoint_id)))
    }

    /// Makes a connection's webhooks come again: switches its endpoint on if it is off or points elsewhere, and otherwise
    /// makes it anew. What happens is an intent; a secret that another takes the place of serves for a day.
    ///
    /// # Errors
    /// `webhook_endpoint_impossible` without an address that Stripe can reach, `not_found`, `connection_disconnected`,
    /// and those of the look at Stripe.
    pub async fn repair_endpoint(&self, tenant: kit::TenantId, id: &ConnectionId) -> Result<Repaired, ConnectError> {
        let linked = self.linked_in(tenant, id).await?;
        let connection = &linked.connection;
        let url = match (obstacle(self.public_url(), connection.environment), self.public_url()) {
            (None, Some(url)) => url,
            (why, _) => return Err(ConnectError::NoEndpointPossible(why.unwrap_or_default())),
        };
        let seen = self.look_at_endpoint(&linked).await?;
        let switch_on = seen.filter(|seen| matches!(seen.state, EndpointState::Disabled | EndpointState::OtherAddress));
        let (new, done) = match &switch_on {
            Some(seen) => (switch_on_intent(url, connection, &seen.endpoint_id), Repaired::SwitchedOn),
            None => {
                // Two endpoints would tell everything twice; one that is left behind would count as silent.
                if let Some(old) = &connection.webhook_endpoint_id {
                    remove(self, &linked, old).await?;
                }
                (intent(url, connection), Repaired::Made)
            }
        };
        let mut tx = self.inner.base.store.begin(tenant).await?;
        if done == Repaired::Made {
            self.vault().set_webhook_endpoint(&mut tx, id, None).await?;
        }
        let intent = self.intend(&mut tx, new).await?;
        tx.commit().await?;
        match self.carry_out(tenant, &intent).await {
            Ok(IntentOutcome::Done(_)) => Ok(done),
            Ok(IntentOutcome::Refused(_)) => Ok(Repaired::Refused),
            Ok(_) | Err(_) => Ok(Repaired::OnItsWay),
        }
    }
}

fn switch_on_intent(public_url: &str, connection: &Connection, endpoint_id: &str) -> NewIntent {
    let change = WebhookEndpointChange {
        url: Some(address(public_url, &connection.id)),
        enabled_events: vec![EVERYTHING.to_owned()],
        disabled: Some(false),
        description: None,
    };
    NewIntent {
        connection: connection.id.clone(),
        request: api::update_webhook_endpoint(endpoint_id, &change),
        on_account: None,
        lane: Lane::Interactive,
        purpose: SWITCH_ON,
        subject: endpoint_id.to_owned(),
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_endpoint_is_judged_by_its_status_address_and_types() {
        let check = |status: &str, url: &str, events: &[&str], ours: Option<&str>, expected| {
            let enabled_events = events.iter().map(|event| (*event).to_owned()).collect();
            let found = AtStripe { status: Some(status.to_owned()), url: url.to_owned(), enabled_events };
            assert_eq!(state_of(&found, ours), expected, "{status} {url} {events:?} {ours:?}");
        };
        check("enabled", "https://a/x", &["*"], Some("https://a/x"), EndpointState::Enabled);
        check("enabled", "https://a/x", &["*"], None, EndpointState::Enabled);
        check("enabled", "https://b/x", &["*"], Some("https://a/x"), EndpointState::OtherAddress);
        check("enabled", "https://a/x", &["charge.updated"], Some("https://a/x"), EndpointState::OtherAddress);
        check("disabled", "https://b/x", &[], Some("https://a/x"), EndpointState::Disabled);
    }
}
