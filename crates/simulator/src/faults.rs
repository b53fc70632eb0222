//! Faults on demand: answers that fail before or after their effect, connections that drop, webhooks that are lost,
//! doubled, late or out of order.

use crate::{json::json_text, problem::Refusal};
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// What goes wrong with a call.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "fault")]
pub enum CallFault {
    /// The answer is this status: 429 (limit), 409 (lock), 500 and above (Stripe's fault).
    Status {
        /// The status.
        status: u16,
        /// Whether the call has its effect all the same. Has no meaning for reads.
        #[serde(default)]
        after_effect: bool,
    },
    /// The connection is closed without an answer.
    Drop {
        /// Whether the call has its effect all the same.
        #[serde(default)]
        after_effect: bool,
    },
    /// The answer comes late.
    Delay {
        /// By how much.
        delay_ms: u64,
    },
}

/// What goes wrong with webhook deliveries.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "fault")]
pub enum WebhookFault {
    /// Never sent, and counted as failed.
    Drop,
    /// Sent twice.
    Duplicate,
    /// Sent late.
    Delay {
        /// By how much.
        delay_ms: u64,
    },
    /// Sent after a random part of this time, so that the order is lost.
    Shuffle {
        /// At most how late.
        within_ms: u64,
    },
}

/// A fault for the next calls or deliveries.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Fault {
    /// For the next `times` calls of a pattern.
    Call {
        /// `GET /v1/charges`, `POST /v1/invoices/{id}/pay` or `*` for every call.
        call: String,
        /// How often.
        #[serde(default = "once")]
        times: u32,
        /// What happens.
        #[serde(flatten)]
        what: CallFault,
    },
    /// For the next `times` deliveries.
    Webhooks {
        /// `*`, or an event type.
        webhooks: String,
        /// How often.
        #[serde(default = "once")]
        times: u32,
        /// What happens.
        #[serde(flatten)]
        what: WebhookFault,
    },
}

fn once() -> u32 {
    1
}

/// At most this many faults wait.
const FAULTS_MAX: usize = 1_000;

/// The faults that wait for their call.
#[derive(Debug, Default)]
pub(crate) struct Faults {
    waiting: Vec<Fault>,
}

impl Faults {
    /// Adds a fault; false if too many wait already.
    pub(crate) fn add(&mut self, fault: Fault) -> bool {
        if self.waiting.len() >= FAULTS_MAX {
            return false;
        }
        self.waiting.push(fault);
        true
    }

    /// Forgets all.
    pub(crate) fn clear(&mut self) {
        self.waiting.clear();
    }

    /// How many wait.
    pub(crate) fn len(&self) -> usize {
        self.waiting.len()
    }

    /// The fault for a call of this name, used up once.
    pub(crate) fn for_call(&mut self, name: &str) -> Option<CallFault> {
        let position = self
            .waiting
            .iter()
            .position(|fault| matches!(fault, Fault::Call { call, .. } if call == "*" || call == name))?;
        let Some(Fault::Call { times, what, .. }) = self.waiting.get_mut(position) else { return None };
        let what = what.clone();
        *times = times.saturating_sub(1);
        if *times == 0 {
            self.waiting.remove(position);
        }
        Some(what)
    }

    /// The fault for the delivery of an event of this type, used up once.
    pub(crate) fn for_webhook(&mut self, kind: &str) -> Option<WebhookFault> {
        let position = self.waiting.iter().position(
            |fault| matches!(fault, Fault::Webhooks { webhooks, .. } if webhooks == "*" || webhooks == kind),
        )?;
        let Some(Fault::Webhooks { times, what, .. }) = self.waiting.get_mut(position) else { return None };
        let what = *what;
        *times = times.saturating_sub(1);
        if *times == 0 {
            self.waiting.remove(position);
        }
        Some(what)
    }
}

impl CallFault {
    /// How long the answer waits.
    pub(crate) fn delay(&self) -> Duration {
        match self {
            CallFault::Delay { delay_ms } => Duration::from_millis((*delay_ms).min(600_000)),
            _ => Duration::ZERO,
        }
    }

    /// Whether the call is not executed at all.
    pub(crate) fn before_effect(&self) -> bool {
        matches!(self, CallFault::Status { after_effect: false, .. } | CallFault::Drop { after_effect: false })
    }

    /// The refusal that is answered instead of the call's own answer.
    pub(crate) fn refusal(&self) -> Option<Refusal> {
        match self {
            CallFault::Status { status: 429, .. } => Some(Refusal::limited("endpoint-rate")),
            CallFault::Status { status: 409, .. } => {
                let mut refusal = Refusal::new(
                    409,
                    "This object cannot be accessed right now because another API request is accessing it.",
                )
                .code("lock_timeout");
                refusal.should_retry = Some(true);
                Some(refusal)
            }
            CallFault::Status { status, .. } if *status >= 500 => {
                let mut refusal = Refusal::internal("An unknown error occurred.");
                refusal.status = *status;
                Some(refusal)
            }
            CallFault::Status { status, .. } => Some(Refusal::new(*status, json_text!({ "injected": true }))),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn faults_are_read_from_json_and_used_up() {
        let read = |text: &str| serde_json::from_str::<Fault>(text).unwrap();
        let mut faults = Faults::default();
        faults.add(read(r#"{"call":"POST /v1/refunds","times":2,"fault":"status","status":500,"after_effect":true}"#));
        faults.add(read(r#"{"call":"*","fault":"drop"}"#));
        faults.add(read(r#"{"webhooks":"*","fault":"shuffle","within_ms":50}"#));
        assert_eq!(faults.for_call("POST /v1/refunds"), Some(CallFault::Status { status: 500, after_effect: true }));
        assert_eq!(faults.for_call("GET /v1/charges"), Some(CallFault::Drop { after_effect: false }));
        assert_eq!(faults.for_call("GET /v1/charges"), None);
        assert!(faults.for_call("POST /v1/refunds").is_some());
        assert!(faults.for_call("POST /v1/refunds").is_none());
        assert_eq!(faults.for_webhook("charge.succeeded"), Some(WebhookFault::Shuffle { within_ms: 50 }));
        assert_eq!(faults.len(), 0);
    }
}
