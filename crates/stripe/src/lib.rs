//! What is on the wire between Bursar and Stripe, and nothing else: no database, no tenants, no retries, no limits.
//!
//! Read in this order: [`api`] makes [`Request`]s, [`client`] sends one and answers with a [`Response`] or a
//! [`CallError`] ([`error`] says what each means); [`signature`] and [`event`] read what Stripe sends to us;
//! [`redact`] cuts out what is not kept;
//! [`shape`] reads the fields of objects that Bursar uses, in every version from basil to endive.

pub mod api;
pub mod client;
pub mod error;
pub mod event;
pub mod form;
pub mod key;
pub mod kind;
pub mod redact;
pub mod request;
pub mod shape;
pub mod signature;
pub mod version;

pub use client::{Client, ClientError, ClientOptions, Response};
pub use error::{ApiError, CallError, ErrorClass, NetworkFault, RateLimitReason, RetryAdvice, UnreadableReason};
pub use event::{Envelope, EventError, Snapshot, Thin};
pub use key::{KeyError, KeyInfo, KeyKind};
pub use kind::ObjectKind;
pub use request::{Base, Credentials, Method, Params, Request};
pub use shape::{Head, ListPage, ObjectId, ShapeError};
pub use signature::SignatureError;
pub use version::{ApiVersion, PINNED_VERSION};
