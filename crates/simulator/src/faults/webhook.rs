//! What goes wrong with deliveries.

use serde::{Deserialize, Serialize};

/// What goes wrong with the delivery of an event. Tries after the first are not touched: a delivery that fails by a fault
/// is tried again, rightly, when the retry plan says so.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "fault")]
pub enum WebhookFault {
    /// Never sent, and counted as given up. The event list has it.
    Drop,
    /// Sent twice, with the same event id.
    Duplicate,
    /// The same change under a second event id, which the event list has too.
    Twin,
    /// Sent late; simulated time that is moved counts.
    Delay {
        /// By how much, at most three days.
        delay_ms: u64,
    },
    /// Sent after a random part of this time, so that the order is lost.
    Shuffle {
        /// At most how late, at most three days.
        within_ms: u64,
    },
    /// The endpoint is disabled, as after days of failures: this event and all that occur until it is enabled again are
    /// never sent. The event list has them.
    DisableEndpoint,
    /// The sender closes the connection in the middle of the body; tried again.
    Cut,
    /// Signed rightly, but with a time this long ago; tried again.
    OldTimestamp {
        /// How long ago.
        #[serde(default = "ten_minutes")]
        seconds: u32,
    },
    /// Signed with another secret; tried again.
    WrongSignature,
    /// An event of a type that nobody knows is recorded and sent as well.
    UnknownType,
}

fn ten_minutes() -> u32 {
    600
}

/// Nothing is sent later than Stripe tries at all.
const DELAY_MS_MAX: u64 = 3 * 86_400_000;

impl WebhookFault {
    /// Its name, as reports count it.
    pub fn name(&self) -> &'static str {
        match self {
            WebhookFault::Drop => "webhook drop",
            WebhookFault::Duplicate => "webhook duplicate",
            WebhookFault::Twin => "webhook twin",
            WebhookFault::Delay { .. } => "webhook delay",
            WebhookFault::Shuffle { .. } => "webhook shuffle",
            WebhookFault::DisableEndpoint => "webhook disable_endpoint",
            WebhookFault::Cut => "webhook cut",
            WebhookFault::OldTimestamp { .. } => "webhook old_timestamp",
            WebhookFault::WrongSignature => "webhook wrong_signature",
            WebhookFault::UnknownType => "webhook unknown_type",
        }
    }

    pub(crate) fn check(&self) -> Result<(), String> {
        match self {
            WebhookFault::Delay { delay_ms: wait_ms } | WebhookFault::Shuffle { within_ms: wait_ms }
                if *wait_ms > DELAY_MS_MAX =>
            {
                Err("a webhook comes at most three days late".to_owned())
            }
            _ => Ok(()),
        }
    }
}
