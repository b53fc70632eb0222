//! Faults by chance, repeatable by seed.

use super::{CallFault, LimitReason, Target, WebhookFault, fits, object, take};
use crate::resources::Method;
use serde::Serialize;
use serde_json::Value;
use std::collections::HashMap;

/// How likely something goes wrong.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Chance {
    /// How many of ten thousand that it fits.
    pub per_10_000: u32,
    /// What goes wrong, and with what.
    #[serde(flatten)]
    pub target: Target,
}

/// Faults by chance. What happens to the n-th call of `GET /v1/charges` depends on the seed, this name and n alone, and so
/// for events by their type: the same seed does the same to the same calls, however calls of different names interleave.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct FaultPlan {
    /// The same seed makes the same faults.
    pub seed: u64,
    /// What can go wrong. Of those that fit a call at most one happens; together they are at most 10,000 for calls, and
    /// for webhooks.
    pub chances: Vec<Chance>,
}

const WHOLE: u32 = 10_000;
/// More chances than there are kinds of faults, several times.
const CHANCES_MAX: usize = 200;

impl FaultPlan {
    /// Every kind of fault that passes by itself, each this often of ten thousand. An endpoint that is disabled stays so
    /// until somebody enables it, so that one is left out. Times are short: a time-out holds for two seconds.
    pub fn everything(seed: u64, per_10_000: u32) -> FaultPlan {
        let limits = LimitReason::ALL.map(|reason| CallFault::RateLimit { reason });
        let failures = [
            CallFault::LockTimeout,
            CallFault::KeyInUse,
            CallFault::failing(500),
            CallFault::Status { status: 500, after_effect: false, should_retry: Some(true) },
            CallFault::Status { status: 500, after_effect: false, should_retry: Some(false) },
            CallFault::failing(502),
            CallFault::failing(503),
            CallFault::failing_after_effect(500),
            CallFault::Timeout { hold_ms: 2_000, after_effect: false },
            CallFault::Timeout { hold_ms: 2_000, after_effect: true },
            CallFault::Drop { after_effect: false },
            CallFault::Drop { after_effect: true },
            CallFault::CutBody,
            CallFault::Delay { delay_ms: 1_000 },
            CallFault::Dribble { over_ms: 1_000 },
            CallFault::Garbage { status: 502, after_effect: false },
            CallFault::Garbage { status: 200, after_effect: true },
        ];
        let webhooks = [
            WebhookFault::Drop,
            WebhookFault::Duplicate,
            WebhookFault::Twin,
            WebhookFault::Delay { delay_ms: 2_000 },
            WebhookFault::Shuffle { within_ms: 1_000 },
            WebhookFault::Cut,
            WebhookFault::OldTimestamp { seconds: 600 },
            WebhookFault::WrongSignature,
            WebhookFault::UnknownType,
        ];
        let calls = limits.into_iter().chain(failures).map(|what| Target::Call { call: "*".to_owned(), what });
        let webhooks = webhooks.into_iter().map(|what| Target::Webhooks { webhooks: "*".to_owned(), what });
        FaultPlan { seed, chances: calls.chain(webhooks).map(|target| Chance { per_10_000, target }).collect() }
    }

    /// Reads what `POST /_sim/plan` takes.
    pub(crate) fn from_json(value: Value) -> Result<FaultPlan, String> {
        let mut members = object(value)?;
        let seed: u64 = take(&mut members, "seed")?.ok_or("`seed` is missing")?;
        let everything: Option<u32> = take(&mut members, "everything_per_10_000")?;
        let chances: Option<Vec<Value>> = take(&mut members, "chances")?;
        if let Some(unknown) = members.keys().next() {
            return Err(format!("`{unknown}` means nothing here"));
        }
        match (everything, chances) {
            (Some(each), None) => Ok(FaultPlan::everything(seed, each)),
            (None, Some(chances)) => {
                let chances: Result<_, String> = chances.into_iter().map(Chance::from_json).collect();
                Ok(FaultPlan { seed, chances: chances? })
            }
            _ => Err("name either `everything_per_10_000` or `chances`".to_owned()),
        }
    }

    pub(crate) fn check(&self) -> Result<(), String> {
        if self.chances.len() > CHANCES_MAX {
            return Err(format!("a plan has at most {CHANCES_MAX} chances"));
        }
        let mut sums = [0_u32; 2];
        for chance in &self.chances {
            chance.target.check()?;
            let sum = &mut sums[usize::from(matches!(chance.target, Target::Webhooks { .. }))];
            *sum = sum.saturating_add(chance.per_10_000);
        }
        if sums.iter().any(|sum| *sum > WHOLE) {
            return Err("the chances of calls, or of webhooks, are together more than 10,000".to_owned());
        }
        Ok(())
    }
}

impl Chance {
    fn from_json(value: Value) -> Result<Chance, String> {
        let mut members = object(value)?;
        let per_10_000: u32 = take(&mut members, "per_10_000")?.ok_or("`per_10_000` is missing")?;
        Ok(Chance { per_10_000, target: Target::from_members(members)? })
    }
}

/// A plan at work: how many of each name there were.
#[derive(Debug)]
pub(crate) struct RunningPlan {
    pub(crate) plan: FaultPlan,
    met: HashMap<String, u64>,
}

impl RunningPlan {
    pub(crate) fn new(plan: FaultPlan) -> RunningPlan {
        RunningPlan { plan, met: HashMap::new() }
    }

    /// What goes wrong with the next call of this name.
    pub(crate) fn for_call(&mut self, name: &str, method: Method) -> Option<CallFault> {
        let rolled = self.roll(name);
        let fitting = self.plan.chances.iter().filter_map(|chance| match &chance.target {
            Target::Call { call, what } if fits(call, name) && what.can_happen_to(method) => {
                Some((chance.per_10_000, what))
            }
            _ => None,
        });
        choose(rolled, fitting).cloned()
    }

    /// What goes wrong with the next delivery of an event of this type.
    pub(crate) fn for_webhook(&mut self, kind: &str) -> Option<WebhookFault> {
        let rolled = self.roll(kind);
        let fitting = self.plan.chances.iter().filter_map(|chance| match &chance.target {
            Target::Webhooks { webhooks, what } if fits(webhooks, kind) => Some((chance.per_10_000, what)),
            _ => None,
        });
        choose(rolled, fitting).copied()
    }

    fn roll(&mut self, name: &str) -> u32 {
        let number = match self.met.get_mut(name) {
            Some(number) => number,
            None => self.met.entry(name.to_owned()).or_default(),
        };
        *number += 1;
        u32::try_from(mixed(self.plan.seed, name, *number) % u64::from(WHOLE)).unwrap_or(0)
    }
}

fn choose<'a, T>(rolled: u32, fitting: impl Iterator<Item = (u32, &'a T)>) -> Option<&'a T> {
    let mut below = 0_u32;
    for (per_10_000, what) in fitting {
        below = below.saturating_add(per_10_000);
        if rolled < below {
            return Some(what);
        }
    }
    None
}

/// A number that depends on these three alone: FNV-1a over the name, then two rounds of SplitMix64. Not for secrets.
pub(crate) fn mixed(seed: u64, name: &str, number: u64) -> u64 {
    let named = name
        .bytes()
        .fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3));
    splitmix(splitmix(seed ^ named).wrapping_add(number))
}

fn splitmix(state: u64) -> u64 {
    let mut mixed = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn happened(seed: u64, interleaved: bool) -> Vec<Option<CallFault>> {
        let mut running = RunningPlan::new(FaultPlan::everything(seed, 200));
        (0..2_000)
            .map(|_| {
                if interleaved {
                    running.for_call("GET /v1/refunds", Method::Get);
                }
                running.for_call("POST /v1/charges/{id}", Method::Post)
            })
            .collect()
    }

    #[test]
    fn the_same_seed_does_the_same_to_the_same_calls() {
        assert_eq!(happened(7, false), happened(7, true));
        assert_ne!(happened(7, false), happened(8, false));
        let plan = FaultPlan::everything(7, 200);
        plan.check().unwrap();
        let happened = happened(7, false);
        for chance in &plan.chances {
            let Target::Call { what, .. } = &chance.target else { continue };
            let count = happened.iter().flatten().filter(|it| *it == what).count();
            assert!((15..=75).contains(&count), "{what:?} happened {count} times of 2,000, with a chance of 2 %");
        }
    }

    #[test]
    fn chances_are_chances() {
        let read = |json: &str| {
            let plan = serde_json::from_str(json).map_err(|error| error.to_string()).and_then(FaultPlan::from_json);
            plan.and_then(|plan| plan.check().map(|()| plan))
        };
        let plan = read(r#"{"seed":3,"chances":[{"per_10_000":10000,"webhooks":"charge.*","fault":"drop"}]}"#).unwrap();
        let mut running = RunningPlan::new(plan);
        assert_eq!(running.for_webhook("charge.succeeded"), Some(WebhookFault::Drop));
        assert_eq!(running.for_webhook("customer.created"), None);
        assert_eq!(running.for_call("GET /v1/charges", Method::Get), None);
        for (json, part) in [
            (r#"{"chances":[]}"#, "`seed` is missing"),
            (r#"{"seed":3}"#, "either"),
            (r#"{"seed":3,"everything_per_10_000":9999}"#, "more than 10,000"),
            (r#"{"seed":3,"chances":[{"webhooks":"*","fault":"drop"}]}"#, "`per_10_000` is missing"),
            (r#"{"seed":3,"everything_per_10_000":1,"more":2}"#, "`more` means nothing"),
        ] {
            let refused = read(json).unwrap_err();
            assert!(refused.contains(part), "{json}: {refused}");
        }
    }

    #[test]
    fn a_key_cannot_be_in_use_for_a_read() {
        let target = Target::Call { call: "*".to_owned(), what: CallFault::KeyInUse };
        let plan = FaultPlan { seed: 1, chances: vec![Chance { per_10_000: 10_000, target }] };
        let mut running = RunningPlan::new(plan);
        assert_eq!(running.for_call("GET /v1/charges", Method::Get), None);
        assert_eq!(running.for_call("POST /v1/refunds", Method::Post), Some(CallFault::KeyInUse));
    }
}
