//! The circuit breaker of one account (GW-4). Pure: times are the clock's, which may be set forward and back while it runs;
//! neither keeps the breaker open for longer than it was opened for.

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
    Closed { outcomes: VecDeque<(Micros, bool)>, failed_in_a_row: usize },
    /// None go. It opened at `opened`, and has not closed since.
    Open { opened: Micros, until: Micros, open_for: Micros },
    /// One goes, to see whether Stripe is back.
    Probing { opened: Micros, since: Micros, open_for: Micros },
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
    /// None go.
    Open {
        /// Since when.
        since: Micros,
        /// When the next probe may go.
        until: Micros,
    },
    /// One call finds out whether Stripe is back.
    HalfOpen {
        /// Since when calls do not go.
        since: Micros,
    },
}

impl Breaker {
    /// Closed, having seen nothing.
    pub fn new(options: BreakerOptions) -> Breaker {
        Breaker { options, state: State::closed() }
    }

    /// Whether a call may go at `now`. `Probe` is answered to one caller at a time.
    pub fn admit(&mut self, now: Micros) -> Admission {
        match self.state {
            State::Closed { .. } => Admission::Go,
            // Further away than it was opened for, the clock was set back: then it is time to look.
            State::Open { until, open_for, .. } if now < until && until - now <= open_for => Admission::Wait(until),
            State::Open { opened, open_for, .. } => {
                self.state = State::Probing { opened, since: now, open_for };
                Admission::Probe
            }
            // A probe that never reported (its caller was dropped) does not keep the account closed for ever.
            State::Probing { opened, since, open_for }
                if now < since || now >= since + micros(self.options.open_most) =>
            {
                self.state = State::Probing { opened, since: now, open_for };
                Admission::Probe
            }
            State::Probing { since, .. } => Admission::Wait(since + micros(self.options.open_first)),
        }
    }

    /// A call got an answer that speaks of health: success, or a refusal of the call itself.
    pub fn succeeded(&mut self, now: Micros) {
        match &mut self.state {
            State::Closed { outcomes, failed_in_a_row } => {
                *failed_in_a_row = 0;
                note(outcomes, &self.options, now, true);
            }
            // An answer to a call from before the opening tells as much as the probe's.
            State::Open { .. } | State::Probing { .. } => self.state = State::closed(),
        }
    }

    /// A call failed by Stripe's or the network's fault.
    pub fn failed(&mut self, now: Micros) {
        match &mut self.state {
            State::Closed { outcomes, failed_in_a_row } => {
                note(outcomes, &self.options, now, false);
                *failed_in_a_row += 1;
                let failures = outcomes.iter().filter(|outcome| !outcome.1).count();
                let is_sustained =
                    failures >= self.options.failures && failures * 100 > outcomes.len() * self.options.failed_percent;
                if is_sustained || *failed_in_a_row >= self.options.failures_in_a_row {
                    let open_for = micros(self.options.open_first);
                    self.state = State::Open { opened: now, until: now + open_for, open_for };
                }
            }
            State::Open { .. } => {}
            State::Probing { opened, open_for, .. } => {
                let open_for = (*open_for * 2).min(micros(self.options.open_most));
                self.state = State::Open { opened: *opened, until: now + open_for, open_for };
            }
        }
    }

    /// What a page shows.
    pub fn state(&self) -> BreakerState {
        match self.state {
            State::Closed { .. } => BreakerState::Closed,
            State::Open { opened, until, .. } => BreakerState::Open { since: opened, until },
            State::Probing { opened, .. } => BreakerState::HalfOpen { since: opened },
        }
    }
}

impl State {
    fn closed() -> State {
        State::Closed { outcomes: VecDeque::new(), failed_in_a_row: 0 }
    }
}

fn note(outcomes: &mut VecDeque<(Micros, bool)>, options: &BreakerOptions, now: Micros, is_good: bool) {
    let from = now.saturating_sub(micros(options.window));
    let is_outside = |outcome: &(Micros, bool)| outcome.0 < from || outcome.0 > now;
    while outcomes.len() >= MOST_OUTCOMES || outcomes.front().is_some_and(is_outside) {
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
            } else if let Some(seconds) = word.strip_prefix('-') {
                now -= seconds.parse::<u64>().unwrap() * SECOND;
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
        // A share of the calls of half a minute.
        check("4f 1s 4f 1s 1f ?", "go");
        check("4f 1s 4f 1s 2f ?", "wait5");
        check("10s 3f 1s 4f 1s 4f ?", "go");
        check("4f 1s 4f 1s +31 2f ?", "go");
        // So many in a row, however slowly they fail.
        check("4f ?", "go");
        check("5f ?", "wait5");
        check("30s 5f ?", "wait5");
        check("1f +40 1f +40 1f +40 1f +900 ? 1f ?", "go wait5");
        check("4f 1s 4f ?", "go");
        check("5f +4 ?", "wait1");
        check("5f +5 ? ?", "probe wait5");
        check("5f +5 ? 1s ?", "probe go");
        check("5f +5 ? 1s 4f ?", "probe go");
        check("5f +5 ? 1f ? +10 ? 1f ?", "probe wait10 probe wait20");
        check("5f +5 ? 1f +10 ? 1f +20 ? 1f +40 ? 1f ?", "probe probe probe probe wait80");
        check("5f +5 ? +601 ?", "probe probe");
        check("5f 5f ?", "wait5");
        check("5f 1s ?", "go");
    }

    #[test]
    fn an_outage_of_an_hour_costs_a_handful_of_calls() {
        let mut breaker = Breaker::new(BreakerOptions::default());
        let mut calls = 0;
        // Somebody tries every second, and every try that leaves fails.
        for second in 0..3_600 {
            let now = (100 + second) * SECOND;
            if !matches!(breaker.admit(now), Admission::Wait(_)) {
                calls += 1;
                breaker.failed(now);
            }
        }
        assert_eq!(calls, 16, "five to notice, then after 5, 10, 20 … 320 s, and every ten minutes");
    }

    #[test]
    fn a_clock_that_is_set_opens_it_for_no_longer() {
        check("5f -50 ?", "probe");
        check("5f +5 ? -50 ?", "probe probe");
        check("5f +90 ? 1s ?", "probe go");
        check("4f 1s 4f 1s -90 2f ?", "go");
    }

    #[test]
    fn a_page_is_told_since_when_through_every_failed_probe() {
        let mut breaker = Breaker::new(BreakerOptions::default());
        (0..10).for_each(|_| breaker.failed(100 * SECOND));
        assert_eq!(breaker.state(), BreakerState::Open { since: 100 * SECOND, until: 105 * SECOND });
        assert_eq!(breaker.admit(105 * SECOND), Admission::Probe);
        assert_eq!(breaker.state(), BreakerState::HalfOpen { since: 100 * SECOND });
        breaker.failed(106 * SECOND);
        assert_eq!(breaker.state(), BreakerState::Open { since: 100 * SECOND, until: 116 * SECOND });
        assert_eq!(breaker.admit(116 * SECOND), Admission::Probe);
        breaker.succeeded(117 * SECOND);
        assert_eq!(breaker.state(), BreakerState::Closed);
    }
}
