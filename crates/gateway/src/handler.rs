//! Who takes the answers to intents.

use crate::{Answer, Gateway, GatewayError, Intent, Refusal};
use async_trait::async_trait;
use std::sync::Arc;
use store::TenantTx;
use vault::{Connection, Linked};

/// What became of an intent.
#[derive(Clone, Copy, Debug)]
pub enum Reply<'a> {
    /// Stripe did it. The answer is whole: secrets are still in it.
    Done(&'a Answer),
    /// Stripe refused it, or it was given up unsent; it had no effect.
    Refused(&'a Refusal),
}

/// What a look at Stripe found about an intent whose key Stripe may have forgotten.
#[derive(Clone, Debug)]
pub enum Found {
    /// It had its effect; the answer shows the object.
    Effect(Answer),
    /// It certainly had none: it may be sent again.
    NoEffect,
    /// This cannot be found out: a person has to look.
    CannotTell,
}

/// Takes the answers to intents of one purpose. Registered with [`Gateway::handle_replies`].
#[async_trait]
pub trait ReplyHandler: Send + Sync {
    /// Which intents, by [`NewIntent::purpose`](crate::NewIntent).
    fn purpose(&self) -> &'static str;

    /// Told once, in the transaction that marks the intent `done` or `refused`. An error rolls both back, and the
    /// answer is offered again.
    ///
    /// # Errors
    /// Whatever keeps the answer from being taken; `StoreError` and `VaultError` convert.
    async fn replied(
        &self,
        gateway: &Gateway,
        tx: &mut TenantTx,
        intent: &Intent,
        reply: Reply<'_>,
    ) -> Result<(), GatewayError>;

    /// Looks at Stripe whether the intent had its effect: by the metadata tag `bursar_intent`, a transfer group, a
    /// summary. Runs outside any transaction.
    ///
    /// # Errors
    /// Those of the calls it makes; it is asked again then.
    async fn find(&self, _gateway: &Gateway, _linked: &Arc<Linked>, _intent: &Intent) -> Result<Found, GatewayError> {
        Ok(Found::CannotTell)
    }
}

/// Absorbs what the answers to intents show. Set once with [`Gateway::observe_with`].
#[async_trait]
pub trait ObservedReplies: Send + Sync {
    /// Told of every successful answer that carries no secret of its own, in the transaction that marks the intent `done`, before its handler.
    ///
    /// # Errors
    /// Whatever keeps the object from being absorbed; the transaction is rolled back, and the answer is offered again.
    async fn observed(&self, tx: &mut TenantTx, connection: &Connection, answer: &Answer) -> Result<(), GatewayError>;
}
