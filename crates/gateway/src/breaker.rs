//! The circuit breaker of one account (GW-4). Pure: times are microseconds on the caller's own monotonic scale.

use crate::{
    BreakerOptions,
    limits::{Micros, micros},
};
use std::collections::VecDeque;

/// Outcomes remembered; enough for the window at Stripe's highest rate of ordinary calls to tell a share.
const MOST_OUTCOMES: usize = 1_000;

/// Whether calls of one account go.
#[derive(Debug)]
pub struct Breaker {
    options: BreakerOptions,
    state: State,
}

#[derive(Debug)]
enum State {
    /// Calls go; what became of them lately is watched.
    Closed { outcomes: VecDeque<(Micros, bool)> },
    /// None go.
    Open { until: Micros, open_for: Micros },
    /// One goes, to see whether Stripe is back.
    Probing { since: Micros, open_for: Micros },
}

/// May a call go?
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Admission {
    /// It may.
    Go,
    /// It may, as the one that finds out whether Stripe is back: report what became of it.
    Probe,
    /// Not before this time.
    Wait(Micros),
}

/// What a page shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BreakerState {
    /// Calls go.
    Closed,
    /// None go before this time.
    Open(Micros),
    /// One call finds out whether Stripe is back.
    HalfOpen,
}

impl Breaker {
    /// Closed, having seen nothing.
    pub fn new(options: BreakerOptions) -> Breaker {
        Breaker { options, state: State::Closed { outcomes: VecDeque::new() } }
    }

    /// Whether a call may go at `now`. `Probe` is answered to one caller at a time.
    pub fn admit(&mut self, now: Micros) -> Admission {
        match self.state {
            State::Closed { .. } => Admission::Go,
            State::Open { until, .. } if now < until => Admission::Wait(until),
            State::Open { open_for, .. } => {
                self.state = State::Probing { since: now, open_for };
                Admission::Probe
            }
            // A probe that never reported (its caller was dropped) does not keep the account closed for ever.
            State::Probing { since, open_for } if now >= since + micros(self.options.open_most) => {
                self.state = State::Probing { since: now, open_for };
                Admission::Probe
            }
            State::Probing { since, .. } => Admission::Wait(since + micros(self.options.open_first)),
        }
    }

    /// A call got an answer that speaks of health: success, or a refusal of the call itself.
    pub fn succeeded(&mut self, now: Micros) {
        match &mut self.state {
            State::Closed { outcomes } => note(outcomes, &self.options, now, true),
            // An answer to a call from before the opening tells as much as the probe's.
            State::Open { .. } | State::Probing { .. } => self.state = State::Closed { outcomes: VecDeque::new() },
        }
    }

    /// A call failed by Stripe's or the network's fault.
    pub fn failed(&mut self, now: Micros) {
        match &mut self.state {
            State::Closed { outcomes } => {
                note(outcomes, &self.options, now, false);
                let failures = outcomes.iter().filter(|outcome| !outcome.1).count();
                if failures >= self.options.failures && failures * 100 > outcomes.len() * self.options.failed_percent {
                    let open_for = micros(self.options.open_first);
                    self.state = State::Open { until: now + open_for, open_for };
                }
            }
            State::Open { .. } => {}
            State::Probing { open_for, .. } => {
                let open_for = (*open_for * 2).min(micros(self.options.open_most));
                self.state = State::Open { until: now + open_for, open_for };
            }
        }
    }

    /// What a page shows.
    pub fn state(&self) -> BreakerState {
        match self.state {
            State::Closed { .. } => BreakerState::Closed,
            State::Open { until, .. } => BreakerState::Open(until),
            State::Probing { .. } => BreakerState::HalfOpen,
        }
    }
}

fn note(outcomes: &mut VecDeque<(Micros, bool)>, options: &BreakerOptions, now: Micros, is_good: bool) {
    let from = now.saturating_sub(micros(options.window));
    while outcomes.len() >= MOST_OUTCOMES || outcomes.front().is_some_and(|outcome| outcome.0 < from) {
        outcomes.pop_front();
    }
    outcomes.push_back((now, is_good));
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Micros = 1_000_000;

    /// Plays a line such as `10f` (ten failures), `3s` (three successes), `+5` (five seconds pass), `?` (may a call
    /// go?), and gives the answers.
    fn check(story: &str, expected: &str) {
        let mut breaker = Breaker::new(BreakerOptions::default());
        let (mut now, mut answers) = (100 * SECOND, Vec::new());
        for word in story.split_whitespace() {
            if let Some(seconds) = word.strip_prefix('+') {
                now += seconds.parse::<u64>().unwrap() * SECOND;
            } else if word == "?" {
                answers.push(match breaker.admit(now) {
                    Admission::Go => "go".to_owned(),
                    Admission::Probe => "probe".to_owned(),
                    Admission::Wait(until) => format!("wait{}", (until - now) / SECOND),
                });
            } else {
                let (count, outcome) = word.split_at(word.len() - 1);
                for _ in 0..count.parse().unwrap() {
                    if outcome == "f" { breaker.failed(now) } else { breaker.succeeded(now) }
                }
            }
        }
        assert_eq!(answers.join(" "), expected, "{story}");
    }

    #[test]
    fn it_opens_on_sustained_failure_and_closes_after_a_good_probe() {
        check("?", "go");
        check("9f ?", "go");
        check("10f ?", "wait5");
        check("10s 10f ?", "go");
        check("9s 10f ?", "wait5");
        check("9f +31 1f ?", "go");
        check("10f +4 ?", "wait1");
        check("10f +5 ? ?", "probe wait5");
        check("10f +5 ? 1s ?", "probe go");
        check("10f +5 ? 1s 9f ?", "probe go");
        check("10f +5 ? 1f ? +10 ? 1f ?", "probe wait10 probe wait20");
        check("10f +5 ? 1f +10 ? 1f +20 ? 1f +40 ? 1f ?", "probe probe probe probe wait60");
        check("10f +5 ? +61 ?", "probe probe");
        check("10f 5f ?", "wait5");
        check("10f 1s ?", "go");
    }
}
