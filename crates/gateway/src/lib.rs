//! The door out: every call to Stripe goes through here.
//!
//! A read is [`Gateway::call`]. A write is an [`Intent`]: recorded by [`Gateway::intend`] in the caller's transaction,
//! carried out by [`Gateway::carry_out`] now or by a job, its answer given to a [`ReplyHandler`] and, as an
//! observation, to [`ObservedReplies`], in the transaction that marks it done.
//!
//! Read in this order: [`gateway`] the calls, [`limits`] and [`lanes`] whose turn it is, [`breaker`], [`retry`];
//! [`intent`] and [`outbox`] what is to be done; [`handler`]; [`key_check`], [`doctor`] and [`connect`] connections by
//! API key; [`webhook_endpoint`] where their events come from; [`reads`] and [`allocation`] what calls cost; `api` the JSON.

pub mod allocation;
pub mod breaker;
pub mod connect;
pub mod connect_error;
pub mod doctor;
pub mod error;
pub mod gateway;
pub mod handler;
pub mod intent;
pub mod key_check;
pub mod lanes;
pub mod limits;
pub mod options;
pub mod outbox;
pub mod reads;
pub mod redact;
pub mod retry;
pub mod status;

mod account;
mod api;
mod jobs;
mod locks;
mod store;
pub mod webhook_endpoint;

pub use crate::store::{Denial, EndpointState, SeenEndpoint};
pub use allocation::{Allocation, AllocationState, ReadFor, ReadsFor};
pub use connect::{ConnectionChange, Disconnected, NewConnectionRequest, WebhookChoice};
pub use connect_error::ConnectError;
pub use doctor::Diagnosis;
pub use error::{GatewayError, RetryLater};
pub use gateway::{Answer, Gateway, Lane};
pub use handler::{Found, ObservedReplies, Reply, ReplyHandler};
pub use intent::{Intent, IntentId, IntentOutcome, IntentState, NewIntent, Refusal, StoredAnswer};
pub use jobs::slice;
pub use key_check::{KeyReport, PermissionProbe};
pub use options::{BreakerOptions, GatewayOptions, LimitOptions, Patience, RetryOptions};
pub use outbox::{OutboxCounts, Resolution};
pub use reads::CallFigures;
pub use status::{AccountStatus, BreakerView};
pub use webhook_endpoint::Repaired;

/// Topic that wakes live pages: a breaker opened, probed or closed.
pub const WAKE: &str = "gateway";
