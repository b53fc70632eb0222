//! Writes of the prover's own through Bursar's outbox: each makes one customer with a tag, so that how often it had its
//! effect can be counted at the simulator.

use crate::ProveError;
use async_trait::async_trait;
use gateway::{Found, Gateway, GatewayError, Intent, IntentId, Lane, NewIntent, Reply, ReplyHandler};
use kit::TenantId;
use server::Parts;
use std::sync::Arc;
use store::TenantTx;
use stripe::{Params, Request};
use vault::{ConnectionId, Linked};

/// The purpose of these intents.
const PURPOSE: &str = "prove.write";
/// The metadata by which an effect is found again.
pub(crate) const TAG: &str = "prove_tag";

/// A write that was asked for.
#[derive(Clone, Debug)]
pub(crate) struct Write {
    /// Its tag, unique in the run.
    pub(crate) tag: String,
    pub(crate) tenant: TenantId,
    pub(crate) intent: IntentId,
    /// Which account, by its place.
    pub(crate) account: usize,
}

/// Asks for a write in a transaction of its own; it is certain once this answers.
pub(crate) async fn ask(
    parts: &Parts,
    tenant: TenantId,
    connection: ConnectionId,
    tag: &str,
) -> Result<IntentId, ProveError> {
    let params = Params::none()
        .with("name", "Written by an intent")
        .with("email", address(tag))
        .with("metadata", serde_json::json!({ TAG: tag }));
    let new = NewIntent {
        connection,
        request: Request::post("/v1/customers", params),
        on_account: None,
        lane: Lane::Background,
        purpose: PURPOSE,
        subject: tag.to_owned(),
    };
    let mut tx = parts.base.store.begin(tenant).await?;
    let id = parts.gateway.intend(&mut tx, new).await?;
    tx.commit().await?;
    Ok(id)
}

/// By which the simulator's list of customers can be narrowed.
fn address(tag: &str) -> String {
    format!("{tag}@prove.example")
}

/// Finds the effects of these intents.
pub(crate) struct Effects;

#[async_trait]
impl ReplyHandler for Effects {
    fn purpose(&self) -> &'static str {
        PURPOSE
    }

    async fn replied(&self, _: &Gateway, _: &mut TenantTx, _: &Intent, _: Reply<'_>) -> Result<(), GatewayError> {
        // The answer is absorbed by the mirror; nothing else follows from it.
        Ok(())
    }

    async fn find(&self, gateway: &Gateway, linked: &Arc<Linked>, intent: &Intent) -> Result<Found, GatewayError> {
        #[derive(serde::Deserialize)]
        struct Listed {
            data: Vec<Made>,
        }
        #[derive(serde::Deserialize)]
        struct Made {
            id: String,
        }
        let list = Params::none().with("email", address(&intent.subject)).with("limit", 1);
        let answer = gateway.call(linked, Request::get("/v1/customers", list), Lane::Background).await?;
        let listed: Listed = answer.response.read().map_err(GatewayError::Stripe)?;
        let Some(made) = listed.data.first() else { return Ok(Found::NoEffect) };
        let path = format!("/v1/customers/{}", made.id);
        let answer = gateway.call(linked, Request::get(path, Params::none()), Lane::Background).await?;
        Ok(Found::Effect(answer))
    }
}
