//! The run's faults as the simulator is told of them.

use crate::step::{CALL_FAULTS, CALLS, WEBHOOK_FAULTS};
use simulator::{CallFault, Fault, LimitReason, WebhookFault};

/// How long a slow answer takes; a tenth of it would not be noticed.
const SLOW_MS: u64 = 60;
/// Longer than a try may take in a run ([`crate::world`]).
const HOLD_MS: u64 = 1_500;
/// How late a webhook comes.
const LATE_MS: u64 = 120;

/// A fault for calls.
pub(crate) fn for_calls(call: usize, fault: usize, times: u64) -> Fault {
    let limit = |reason| CallFault::RateLimit { reason };
    let what = match CALL_FAULTS[fault % CALL_FAULTS.len()] {
        "limit_global" => limit(LimitReason::GlobalRate),
        "limit_endpoint" => limit(LimitReason::EndpointRate),
        "limit_concurrency" => limit(LimitReason::GlobalConcurrency),
        "limit_endpoint_concurrency" => limit(LimitReason::EndpointConcurrency),
        "limit_resource" => limit(LimitReason::ResourceSpecific),
        "lock_timeout" => CallFault::LockTimeout,
        "key_in_use" => CallFault::KeyInUse,
        "status_500" => CallFault::failing(500),
        "status_500_after_effect" => CallFault::failing_after_effect(500),
        "status_503" => CallFault::failing(503),
        "drop" => CallFault::Drop { after_effect: false },
        "drop_after_effect" => CallFault::Drop { after_effect: true },
        "cut_body" => CallFault::CutBody,
        "slow" => CallFault::Delay { delay_ms: SLOW_MS },
        "dribble" => CallFault::Dribble { over_ms: SLOW_MS },
        "time_out" => CallFault::Timeout { hold_ms: HOLD_MS, after_effect: false },
        "time_out_after_effect" => CallFault::Timeout { hold_ms: HOLD_MS, after_effect: true },
        "garbage" => CallFault::Garbage { status: 502, after_effect: false },
        _ => CallFault::Garbage { status: 200, after_effect: true },
    };
    Fault::call(CALLS[call % CALLS.len()], what).times(bounded(times))
}

/// A fault for deliveries.
pub(crate) fn for_webhooks(fault: usize, times: u64) -> Fault {
    let what = match WEBHOOK_FAULTS[fault % WEBHOOK_FAULTS.len()] {
        "lost" => WebhookFault::Drop,
        "doubled" => WebhookFault::Duplicate,
        "under_two_ids" => WebhookFault::Twin,
        "late" => WebhookFault::Delay { delay_ms: LATE_MS },
        "disordered" => WebhookFault::Shuffle { within_ms: LATE_MS },
        "cut" => WebhookFault::Cut,
        "old_timestamp" => WebhookFault::OldTimestamp { seconds: 600 },
        "wrong_signature" => WebhookFault::WrongSignature,
        _ => WebhookFault::UnknownType,
    };
    Fault::webhooks("*", what).times(bounded(times))
}

fn bounded(times: u64) -> u32 {
    u32::try_from(times).unwrap_or(u32::MAX).clamp(1, 100)
}
