//! Where `now` comes from. Rules take a [`Time`]; only edges hold a [`Clock`].

use crate::Time;
use futures::future::BoxFuture;
use std::{sync::Arc, time::Duration};
use tokio::sync::watch;

/// A source of the present time, and a way to wait for a later one.
pub trait Clock: Send + Sync + std::fmt::Debug {
    /// The present time.
    fn now(&self) -> Time;
    /// Resolves once `now()` has reached `at`; at once if it has already.
    fn sleep_until(&self, at: Time) -> BoxFuture<'static, ()>;
}

/// A clock shared by all parts of one process.
pub type SharedClock = Arc<dyn Clock>;

/// The machine's clock.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemClock;

impl SystemClock {
    /// The machine's clock, ready to be shared.
    pub fn shared() -> SharedClock {
        Arc::new(SystemClock)
    }
}

impl Clock for SystemClock {
    #[expect(clippy::disallowed_methods, reason = "this is the one place that reads the wall clock")]
    fn now(&self) -> Time {
        let since_epoch = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
        Time::from_micros(i64::try_from(since_epoch.as_micros()).unwrap_or(i64::MAX))
    }

    #[expect(clippy::disallowed_methods, reason = "the clock is what others wait on")]
    fn sleep_until(&self, at: Time) -> BoxFuture<'static, ()> {
        let wait = at.since(self.now());
        Box::pin(tokio::time::sleep(wait))
    }
}

/// A clock that stands still until it is moved by hand, for tests and for the simulator.
#[derive(Clone, Debug)]
pub struct HandClock {
    now: Arc<watch::Sender<Time>>,
}

impl HandClock {
    /// A clock that shows `start` until it is moved.
    pub fn at(start: Time) -> HandClock {
        HandClock { now: Arc::new(watch::Sender::new(start)) }
    }

    /// Moves the clock forward and wakes whoever waited for a time now reached.
    pub fn advance(&self, by: Duration) {
        self.now.send_modify(|now| *now = *now + by);
    }

    /// Sets the clock; a time before the present one is ignored, since clocks do not run backwards.
    pub fn set(&self, to: Time) {
        self.now.send_modify(|now| *now = (*now).max(to));
    }

    /// The same clock, to be handed to parts that share it.
    pub fn shared(&self) -> SharedClock {
        Arc::new(self.clone())
    }
}

impl Clock for HandClock {
    fn now(&self) -> Time {
        *self.now.borrow()
    }

    fn sleep_until(&self, at: Time) -> BoxFuture<'static, ()> {
        let mut watched = self.now.subscribe();
        Box::pin(async move {
            // The sender lives as long as a clock does; when the last one is gone nobody can move time any more.
            let _ = watched.wait_for(|now| *now >= at).await;
        })
    }
}

/// Measures how long something took, on the monotonic clock. For figures and limits, never for rules.
#[derive(Clone, Copy, Debug)]
pub struct Stopwatch(std::time::Instant);

impl Stopwatch {
    /// Starts measuring.
    #[expect(clippy::disallowed_methods, reason = "this is the one place that reads the monotonic clock")]
    pub fn start() -> Stopwatch {
        Stopwatch(std::time::Instant::now())
    }

    /// Time since [`Stopwatch::start`].
    pub fn elapsed(&self) -> Duration {
        self.0.elapsed()
    }

    /// Milliseconds since [`Stopwatch::start`].
    pub fn elapsed_ms(&self) -> u64 {
        u64::try_from(self.0.elapsed().as_millis()).unwrap_or(u64::MAX)
    }
}

/// Waits a real amount of time: for back-off within one call and for pacing, where a hand-moved clock would stand still.
#[expect(clippy::disallowed_methods, reason = "the one place for real waiting that is not a matter of `now`")]
pub async fn pause(duration: Duration) {
    tokio::time::sleep(duration).await;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_sleeper_wakes_when_the_hand_clock_reaches_its_time() {
        let clock = HandClock::at(Time::from_seconds(100));
        let sleeper = tokio::spawn(clock.sleep_until(Time::from_seconds(160)));
        clock.advance(Duration::from_secs(59));
        assert!(!sleeper.is_finished());
        clock.advance(Duration::from_secs(1));
        sleeper.await.unwrap();
        clock.set(Time::from_seconds(1));
        assert_eq!(clock.now(), Time::from_seconds(160), "a clock never runs backwards");
    }
}
