//! What is set, and what has happened.

use super::{CallFault, Fault, FaultPlan, Target, WebhookFault, fits, plan::RunningPlan};
use crate::resources::Method;
use serde::Serialize;
use std::collections::{BTreeMap, VecDeque};

/// At most this many faults are set at the same time.
const FAULTS_MAX: usize = 1_000;
/// Of what happened, this much is told one by one.
const RECENT_MAX: usize = 100;

/// A fault that is set.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct SetFault {
    /// Its number, to clear it by.
    pub id: u64,
    /// What it is.
    #[serde(flatten)]
    pub fault: Fault,
    /// How many calls or deliveries it fitted so far.
    pub met: u64,
    /// How often it happened.
    pub fired: u64,
    /// The simulated second at which it ends, if it is for a stretch of time.
    pub until: Option<i64>,
}

/// A fault that happened.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct FiredFault {
    /// The simulated second.
    pub at: i64,
    /// Its name, as `status 500 after_effect`.
    pub fault: String,
    /// The call's name or the event's type.
    pub upon: String,
    /// The request's id or the event's.
    pub id: String,
    /// The number of the scripted fault; none if chance had it so.
    pub by: Option<u64>,
}

/// What is set, and what has happened since the simulator started.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct FaultReport {
    /// Scripted faults that are still to happen, in the order in which they are tried.
    pub set: Vec<SetFault>,
    /// The plan by seed, if one is followed.
    pub plan: Option<FaultPlan>,
    /// How many API keys are revoked.
    pub keys_revoked: usize,
    /// How many webhook endpoints are disabled.
    pub endpoints_disabled: usize,
    /// How often each fault happened, by name.
    pub fired: BTreeMap<String, u64>,
    /// The last hundred, newest first.
    pub recent: Vec<FiredFault>,
}

/// All of it.
#[derive(Debug, Default)]
pub(crate) struct FaultBook {
    set: Vec<SetFault>,
    plan: Option<RunningPlan>,
    fired: BTreeMap<String, u64>,
    recent: VecDeque<FiredFault>,
    last_id: u64,
}

/// Something that can go wrong, at the second at which it happens.
pub(crate) struct Occasion<'a> {
    /// The call's name or the event's type.
    pub(crate) name: &'a str,
    /// The request's id or the event's.
    pub(crate) id: &'a str,
    pub(crate) now: i64,
}

impl FaultBook {
    /// Adds a fault that was checked.
    pub(crate) fn add(&mut self, fault: Fault, now: i64) -> Result<u64, String> {
        self.forget_ended(now);
        if self.set.len() >= FAULTS_MAX {
            return Err(format!("{FAULTS_MAX} faults are set already"));
        }
        self.last_id += 1;
        let until = fault.for_seconds.map(|seconds| now.saturating_add_unsigned(seconds));
        self.set.push(SetFault { id: self.last_id, fault, met: 0, fired: 0, until });
        Ok(self.last_id)
    }

    pub(crate) fn follow(&mut self, plan: Option<FaultPlan>) {
        self.plan = plan.map(RunningPlan::new);
    }

    pub(crate) fn clear(&mut self, id: u64) -> bool {
        let before = self.set.len();
        self.set.retain(|set| set.id != id);
        self.set.len() < before
    }

    /// Forgets what is set; what has happened stays told.
    pub(crate) fn clear_all(&mut self) {
        self.set.clear();
        self.plan = None;
    }

    /// How many scripted faults are still to happen.
    pub(crate) fn waiting(&self) -> usize {
        self.set.len()
    }

    pub(crate) fn report(&mut self, now: i64) -> FaultReport {
        self.forget_ended(now);
        FaultReport {
            set: self.set.clone(),
            plan: self.plan.as_ref().map(|running| running.plan.clone()),
            fired: self.fired.clone(),
            recent: self.recent.iter().cloned().collect(),
            ..FaultReport::default()
        }
    }

    /// What goes wrong with this call.
    pub(crate) fn for_call(&mut self, method: Method, occasion: &Occasion<'_>) -> Option<CallFault> {
        let scripted = self.scripted(occasion, |target| match target {
            Target::Call { call, what } if fits(call, occasion.name) && what.can_happen_to(method) => {
                Some(what.clone())
            }
            _ => None,
        });
        let happens = match scripted {
            Some((id, what)) => Some((Some(id), what)),
            None => self.plan.as_mut()?.for_call(occasion.name, method).map(|what| (None, what)),
        };
        let (by, what) = happens?;
        self.tell(what.name(), occasion, by);
        Some(what)
    }

    /// What goes wrong with this delivery.
    pub(crate) fn for_webhook(&mut self, occasion: &Occasion<'_>) -> Option<WebhookFault> {
        let scripted = self.scripted(occasion, |target| match target {
            Target::Webhooks { webhooks, what } if fits(webhooks, occasion.name) => Some(*what),
            _ => None,
        });
        let happens = match scripted {
            Some((id, what)) => Some((Some(id), what)),
            None => self.plan.as_mut()?.for_webhook(occasion.name).map(|what| (None, what)),
        };
        let (by, what) = happens?;
        self.tell(what.name().to_owned(), occasion, by);
        Some(what)
    }

    /// The first scripted fault whose turn it is, used up once.
    fn scripted<T>(&mut self, occasion: &Occasion<'_>, fitting: impl Fn(&Target) -> Option<T>) -> Option<(u64, T)> {
        self.forget_ended(occasion.now);
        for position in 0..self.set.len() {
            let set = &mut self.set[position];
            let Some(what) = fitting(&set.fault.target) else { continue };
            set.met += 1;
            if !set.met.is_multiple_of(u64::from(set.fault.every)) {
                continue;
            }
            set.fired += 1;
            let id = set.id;
            if set.fault.times.is_some_and(|times| set.fired >= u64::from(times)) {
                self.set.remove(position);
            }
            return Some((id, what));
        }
        None
    }

    fn forget_ended(&mut self, now: i64) {
        self.set.retain(|set| set.until.is_none_or(|until| now < until));
    }

    fn tell(&mut self, fault: String, occasion: &Occasion<'_>, by: Option<u64>) {
        *self.fired.entry(fault.clone()).or_default() += 1;
        self.recent.truncate(RECENT_MAX - 1);
        let (upon, id) = (occasion.name.to_owned(), occasion.id.to_owned());
        self.recent.push_front(FiredFault { at: occasion.now, fault, upon, id, by });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Which of the calls, one a second, meet the fault: `x` where it happens.
    fn met(fault: Fault, calls: &[&str]) -> String {
        let mut book = FaultBook::default();
        book.add(fault, 0).unwrap();
        let marks = calls.iter().zip(0..).map(|(name, now)| {
            match book.for_call(Method::Get, &Occasion { name, id: "req_1", now }) {
                Some(_) => 'x',
                None => '.',
            }
        });
        marks.collect()
    }

    #[test]
    fn faults_happen_as_often_and_as_long_as_they_are_told_to() {
        let drop = || CallFault::Drop { after_effect: false };
        let same = ["GET /v1/charges"; 8];
        for (fault, expected) in [
            (Fault::call("*", drop()), "x......."),
            (Fault::call("*", drop()).times(3), "xxx....."),
            (Fault::call("*", drop()).times(2).every(3), "..x..x.."),
            (Fault::call("*", drop()).until_cleared().every(2), ".x.x.x.x"),
            (Fault::call("*", drop()).for_seconds(5), "xxxxx..."),
            (Fault::call("*", drop()).for_seconds(6).every(2), ".x.x.x.."),
            (Fault::call("POST *", drop()).times(3), "........"),
        ] {
            assert_eq!(met(fault.clone(), &same), expected, "{fault:?}");
        }
        let mixed = ["GET /v1/charges", "GET /v1/refunds", "GET /v1/charges", "GET /v1/refunds"];
        assert_eq!(met(Fault::call("GET /v1/refunds", drop()).times(2), &mixed), ".x.x");
    }

    #[test]
    fn what_is_set_and_what_happened_is_told() {
        let mut book = FaultBook::default();
        let first = book.add(Fault::call("*", CallFault::LockTimeout).times(2), 100).unwrap();
        let second = book.add(Fault::webhooks("charge.*", WebhookFault::Twin).for_seconds(60), 100).unwrap();
        let name = "GET /v1/charges";
        book.for_call(Method::Get, &Occasion { name, id: "req_1", now: 101 }).unwrap();
        book.for_webhook(&Occasion { name: "charge.succeeded", id: "evt_1", now: 102 }).unwrap();
        assert_eq!(book.for_webhook(&Occasion { name: "customer.created", id: "evt_2", now: 102 }), None);
        let report = book.report(103);
        let set: Vec<_> = report.set.iter().map(|set| (set.id, set.met, set.fired, set.until)).collect();
        assert_eq!(set, [(first, 1, 1, None), (second, 1, 1, Some(160))]);
        assert_eq!(report.fired, BTreeMap::from([("lock_timeout".to_owned(), 1), ("webhook twin".to_owned(), 1)]));
        let recent: Vec<_> = report.recent.iter().map(|it| (it.at, it.id.as_str(), it.by)).collect();
        assert_eq!(recent, [(102, "evt_1", Some(second)), (101, "req_1", Some(first))]);
        assert_eq!(book.report(160).set.len(), 1, "its minute is over");
        assert!(book.clear(first) && !book.clear(first));
        assert_eq!(book.waiting(), 0);
    }
}
