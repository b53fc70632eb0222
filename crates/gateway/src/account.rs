//! One account as this process calls it: its lanes and its latest figures on real time, since pacing is about real load;
//! its breaker on the clock, as jobs that are put off until it closes are.

use crate::{
    BreakerOptions, GatewayError, Lane, LimitOptions,
    breaker::{Admission, Breaker, BreakerState},
    lanes::{Lanes, Turn},
    limits::{self, EndpointLimit, Micros, SlowDown, micros},
};
use kit::{Environment, SharedClock, Stopwatch, Time};
use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};
use tokio::sync::{Notify, oneshot};

/// Whose limits: one account in one mode, under however many connections.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct AccountKey {
    pub(crate) account_id: String,
    pub(crate) environment: Environment,
}

/// One account as this process calls it.
pub(crate) struct Account {
    started: Stopwatch,
    /// None while limits are switched off.
    lanes: Option<Mutex<Driven>>,
    /// The line changed: somebody came, or a call ended.
    changed: Notify,
    clock: SharedClock,
    breaker: Mutex<Breaker>,
    recent: Mutex<Recent>,
}

struct Driven {
    lanes: Lanes<oneshot::Sender<Permit>>,
    is_driven: bool,
}

/// The right to make one call; given back when dropped.
pub(crate) struct Permit(Option<(Arc<Account>, String)>);

impl Drop for Permit {
    fn drop(&mut self) {
        if let Some((account, bucket)) = self.0.take() {
            if let Some(mut driven) = account.lanes() {
                driven.lanes.ended(&bucket);
            }
            account.changed.notify_one();
        }
    }
}

impl Account {
    pub(crate) fn new(
        limits: Option<&LimitOptions>,
        breaker: BreakerOptions,
        environment: Environment,
        clock: SharedClock,
    ) -> Account {
        let lanes = limits.map(|options| {
            let lanes = Lanes::new(options, limits::account_limit(options, environment));
            Mutex::new(Driven { lanes, is_driven: false })
        });
        Account {
            started: Stopwatch::start(),
            lanes,
            changed: Notify::new(),
            clock,
            breaker: Mutex::new(Breaker::new(breaker)),
            recent: Mutex::default(),
        }
    }

    /// Microseconds on this account's own scale.
    pub(crate) fn now(&self) -> Micros {
        micros(self.started.elapsed())
    }

    fn lanes(&self) -> Option<MutexGuard<'_, Driven>> {
        self.lanes.as_ref().map(|lanes| lanes.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn breaker(&self) -> MutexGuard<'_, Breaker> {
        self.breaker.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits for a turn.
    ///
    /// # Errors
    /// [`GatewayError::Busy`] if too many wait already, or none comes within `patience`.
    pub(crate) async fn enter(
        self: &Arc<Self>,
        limit: &EndpointLimit,
        lane: Lane,
        patience: Option<Duration>,
    ) -> Result<Permit, GatewayError> {
        let (go, turn) = oneshot::channel();
        {
            let Some(mut driven) = self.lanes() else { return Ok(Permit(None)) };
            driven.lanes.join(limit, lane, go).map_err(|_| GatewayError::Busy)?;
            let somebody_waits = self.let_go(&mut driven) != Turn::Idle;
            if somebody_waits && !driven.is_driven {
                driven.is_driven = true;
                tokio::spawn(Arc::clone(self).drive());
            }
        }
        self.changed.notify_one();
        let ended = match patience {
            None => turn.await.ok(),
            Some(patience) => tokio::select! {
                permit = turn => permit.ok(),
                () = kit::clock::pause(patience) => None,
            },
        };
        ended.ok_or(GatewayError::Busy)
    }

    /// Lets everybody go who can; answers what to wait for.
    fn let_go(self: &Arc<Self>, driven: &mut Driven) -> Turn<()> {
        loop {
            match driven.lanes.next(self.now(), oneshot::Sender::is_closed) {
                Turn::Go { caller, bucket } => {
                    let permit = Permit(Some((Arc::clone(self), bucket)));
                    if let Err(mut unused) = caller.send(permit) {
                        // The caller left this instant. Its turn is spent; its place must be given back without
                        // dropping the permit, which would lock the lanes again.
                        if let Some((_, bucket)) = unused.0.take() {
                            driven.lanes.ended(&bucket);
                        }
                    }
                }
                Turn::At(at) => return Turn::At(at),
                Turn::AfterOneEnds => return Turn::AfterOneEnds,
                Turn::Idle => return Turn::Idle,
            }
        }
    }

    /// Gives turns until nobody waits.
    async fn drive(self: Arc<Self>) {
        loop {
            let next = {
                let Some(mut driven) = self.lanes() else { return };
                let next = self.let_go(&mut driven);
                if next == Turn::Idle {
                    driven.is_driven = false;
                    return;
                }
                next
            };
            match next {
                Turn::At(at) => {
                    let wait = Duration::from_micros(at.saturating_sub(self.now()));
                    tokio::select! {
                        () = kit::clock::pause(wait) => {}
                        () = self.changed.notified() => {}
                    }
                }
                _ => self.changed.notified().await,
            }
        }
    }

    pub(crate) fn slow_down(&self, bucket: &str, what: SlowDown) {
        let now = self.now();
        if let Some(mut driven) = self.lanes() {
            driven.lanes.slow_down(bucket, what, now);
        }
    }

    /// The clock's time on the breaker's scale.
    fn clock_micros(&self) -> Micros {
        u64::try_from(self.clock.now().micros()).unwrap_or(0)
    }

    /// Whether a call may go; if not, when one may.
    pub(crate) fn admit(&self) -> Result<(), Time> {
        match self.breaker().admit(self.clock_micros()) {
            Admission::Go | Admission::Probe => Ok(()),
            Admission::Wait(until) => Err(time_of(until)),
        }
    }

    /// Whether no call goes right now.
    pub(crate) fn is_open(&self) -> bool {
        matches!(self.breaker().state(), BreakerState::Open { .. })
    }

    /// Stripe has answered a call that did not go through this account's breaker.
    pub(crate) fn heard(&self) {
        self.breaker().succeeded(self.clock_micros());
    }

    /// Notes what became of a try, for the breaker and for the figures; answers whether the breaker moved.
    pub(crate) fn note(&self, outcome: TryOutcome) -> bool {
        let moved = {
            let now = self.clock_micros();
            let mut breaker = self.breaker();
            let before = breaker.state();
            if outcome == TryOutcome::Outage {
                breaker.failed(now)
            } else {
                breaker.succeeded(now)
            }
            let after = breaker.state();
            if matches!(after, BreakerState::Open { .. }) && before == BreakerState::Closed {
                tracing::warn!("too many calls to Stripe failed for an account; its calls are paused");
            } else if after == BreakerState::Closed && before != after {
                tracing::info!("Stripe answers again; calls of the account go on");
            }
            before != after
        };
        self.recent.lock().unwrap_or_else(PoisonError::into_inner).note(self.now(), outcome);
        moved
    }

    pub(crate) fn figures(&self) -> Figures {
        let now = self.now();
        let (waiting, under_way, pace) = match self.lanes() {
            Some(driven) => (driven.lanes.waiting(), driven.lanes.under_way(), driven.lanes.pace_at(now)),
            None => (0, 0, 1.0),
        };
        let (calls, throttled, throttled_ago) = {
            let recent = self.recent.lock().unwrap_or_else(PoisonError::into_inner);
            let (calls, throttled) = recent.last_minute(now);
            let ago = |at: Micros| Duration::from_micros(now.saturating_sub(at));
            (calls, throttled, recent.last_throttled.map(ago))
        };
        Figures { breaker: self.breaker().state(), waiting, under_way, pace, calls, throttled, throttled_ago }
    }
}

/// A time of the clock that was on the breaker's scale.
pub(crate) fn time_of(micros: Micros) -> Time {
    Time::from_micros(i64::try_from(micros).unwrap_or(i64::MAX))
}

/// What became of one try.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum TryOutcome {
    /// Stripe answered, if only to refuse the call.
    Answered,
    /// Stripe refused since too many came.
    Throttled,
    /// Stripe or the way there is ill.
    Outage,
}

impl TryOutcome {
    /// The name in metrics.
    pub(crate) fn name(self) -> &'static str {
        match self {
            TryOutcome::Answered => "answered",
            TryOutcome::Throttled => "throttled",
            TryOutcome::Outage => "outage",
        }
    }
}

/// Figures of one account.
pub(crate) struct Figures {
    pub(crate) breaker: BreakerState,
    pub(crate) waiting: usize,
    pub(crate) under_way: usize,
    pub(crate) pace: f64,
    pub(crate) calls: u32,
    pub(crate) throttled: u32,
    pub(crate) throttled_ago: Option<Duration>,
}

/// Calls and refusals of the last minute, a slot for each second.
struct Recent {
    slots: [Slot; 60],
    last_throttled: Option<Micros>,
}

#[derive(Clone, Copy, Default)]
struct Slot {
    second: u64,
    calls: u32,
    throttled: u32,
}

impl Default for Recent {
    fn default() -> Recent {
        Recent { slots: [Slot::default(); 60], last_throttled: None }
    }
}

impl Recent {
    fn note(&mut self, now: Micros, outcome: TryOutcome) {
        let second = now / 1_000_000;
        let slot = &mut self.slots[(second % 60) as usize];
        if slot.second != second {
            *slot = Slot { second, ..Slot::default() };
        }
        slot.calls += 1;
        if outcome == TryOutcome::Throttled {
            slot.throttled += 1;
            self.last_throttled = Some(now);
        }
    }

    fn last_minute(&self, now: Micros) -> (u32, u32) {
        let second = now / 1_000_000;
        let recent = self.slots.iter().filter(|slot| slot.second + 60 > second);
        recent.fold((0, 0), |sum, slot| (sum.0 + slot.calls, sum.1 + slot.throttled))
    }
}
