//! Whose turn it is: one account's waiting calls, under its limit and each endpoint's, in two lanes (GW-2).
//!
//! Pure: times are arguments and waiting is the caller's. Interactive calls go first; after four of them one
//! background call goes, if one can. Within a lane and an endpoint the first to come goes first.

use crate::{
    Lane, LimitOptions,
    limits::{EndpointLimit, Micros, Pacer, SlowDown},
};
use std::collections::{HashMap, VecDeque};

/// Interactive calls in a row while background ones could go.
const INTERACTIVE_IN_A_ROW: u32 = 4;
/// Endpoints kept; idle ones beyond it are forgotten. Far more than Stripe's API description has patterns in use.
const MOST_ENDPOINTS: usize = 500;
/// Answers that it takes to allow one more call at once again, after fewer were asked for.
const ANSWERS_PER_PLACE: u32 = 20;

/// One account's waiting calls. `T` is how a caller is told that it is its turn.
#[derive(Debug)]
pub struct Lanes<T> {
    options: LimitOptions,
    account: Pacer,
    account_room: Room,
    endpoints: HashMap<String, Endpoint<T>>,
    order: u64,
    waiting: usize,
    interactive_in_a_row: u32,
}

#[derive(Debug)]
struct Endpoint<T> {
    pacer: Pacer,
    room: Room,
    counts_in_account: bool,
    interactive: VecDeque<Waiting<T>>,
    background: VecDeque<Waiting<T>>,
    interactive_in_a_row: u32,
}

#[derive(Debug)]
struct Waiting<T> {
    order: u64,
    caller: T,
}

/// How many calls are under way, and how many may be.
#[derive(Debug)]
struct Room {
    taken: usize,
    allowed: usize,
    most: usize,
    answers: u32,
}

/// What happens next.
#[derive(Debug, PartialEq, Eq)]
pub enum Turn<T> {
    /// This caller may go now.
    Go {
        /// How it is told.
        caller: T,
        /// To be given back with [`Lanes::ended`].
        bucket: String,
    },
    /// Nobody before this time.
    At(Micros),
    /// Nobody before a call under way ends.
    AfterOneEnds,
    /// Nobody waits.
    Idle,
}

impl<T> Lanes<T> {
    /// An account whose calls go at `account_per_second`.
    pub fn new(options: &LimitOptions, account_per_second: u32) -> Lanes<T> {
        Lanes {
            account: Pacer::new(account_per_second, options.used_percent),
            account_room: Room::new(options.at_once),
            options: options.clone(),
            endpoints: HashMap::new(),
            order: 0,
            waiting: 0,
            interactive_in_a_row: 0,
        }
    }

    /// Calls that wait.
    pub fn waiting(&self) -> usize {
        self.waiting
    }

    /// Calls under way.
    pub fn under_way(&self) -> usize {
        self.account_room.taken
    }

    /// Part of the account's full pace that is used.
    pub fn pace_at(&self, now: Micros) -> f64 {
        self.account.pace_at(now)
    }

    /// Lines a caller up; gives it back if too many wait.
    ///
    /// # Errors
    /// The caller, if as many wait as may.
    pub fn join(&mut self, limit: &EndpointLimit, lane: Lane, caller: T) -> Result<(), T> {
        if self.waiting >= self.options.most_waiting {
            return Err(caller);
        }
        self.order += 1;
        let waiting = Waiting { order: self.order, caller };
        let endpoint = self.endpoint(limit);
        match lane {
            Lane::Interactive => endpoint.interactive.push_back(waiting),
            Lane::Background => endpoint.background.push_back(waiting),
        }
        self.waiting += 1;
        Ok(())
    }

    fn endpoint(&mut self, limit: &EndpointLimit) -> &mut Endpoint<T> {
        if self.endpoints.len() >= MOST_ENDPOINTS && !self.endpoints.contains_key(&limit.bucket) {
            self.endpoints.retain(|_, endpoint| !endpoint.is_idle());
        }
        let options = &self.options;
        self.endpoints.entry(limit.bucket.clone()).or_insert_with(|| Endpoint {
            pacer: Pacer::new(limit.per_second, options.used_percent),
            room: Room::new(options.endpoint_at_once),
            counts_in_account: limit.counts_in_account,
            interactive: VecDeque::new(),
            background: VecDeque::new(),
            interactive_in_a_row: 0,
        })
    }

    /// Who goes next at `now`; `is_gone` tells callers that no longer wait.
    pub fn next(&mut self, now: Micros, is_gone: impl Fn(&T) -> bool) -> Turn<T> {
        let mut best: [Option<(u64, &String)>; 2] = [None, None];
        let mut soonest: Option<Micros> = None;
        let mut somebody_waits = false;
        let account_ready = self.account.ready_at();
        let account_full = self.account_room.is_full();
        for (bucket, endpoint) in &mut self.endpoints {
            self.waiting -= endpoint.forget(&is_gone);
            let Some((lane, order)) = endpoint.first() else { continue };
            somebody_waits = true;
            let (blocked, ready) = if endpoint.counts_in_account {
                (account_full || endpoint.room.is_full(), endpoint.pacer.ready_at().max(account_ready))
            } else {
                (endpoint.room.is_full(), endpoint.pacer.ready_at())
            };
            if blocked {
                continue;
            }
            if ready > now {
                soonest = Some(soonest.map_or(ready, |soonest| soonest.min(ready)));
                continue;
            }
            let best = &mut best[usize::from(lane == Lane::Background)];
            if best.is_none_or(|(first, _)| order < first) {
                *best = Some((order, bucket));
            }
        }
        let [interactive, background] = best;
        let background_is_due = self.interactive_in_a_row >= INTERACTIVE_IN_A_ROW;
        let chosen = if background_is_due { background.or(interactive) } else { interactive.or(background) };
        match (chosen.map(|(_, bucket)| bucket.clone()), soonest) {
            (Some(bucket), _) => self.go(bucket, now),
            (None, Some(at)) => Turn::At(at),
            (None, None) if somebody_waits => Turn::AfterOneEnds,
            (None, None) => Turn::Idle,
        }
    }

    fn go(&mut self, bucket: String, now: Micros) -> Turn<T> {
        let Some(endpoint) = self.endpoints.get_mut(&bucket) else { return Turn::Idle };
        let Some((lane, _)) = endpoint.first() else { return Turn::Idle };
        let taken = match lane {
            Lane::Interactive => endpoint.interactive.pop_front(),
            Lane::Background => endpoint.background.pop_front(),
        };
        let Some(Waiting { caller, .. }) = taken else { return Turn::Idle };
        self.waiting -= 1;
        count_lane(&mut endpoint.interactive_in_a_row, lane);
        count_lane(&mut self.interactive_in_a_row, lane);
        endpoint.pacer.take(now);
        endpoint.room.taken += 1;
        if endpoint.counts_in_account {
            self.account.take(now);
            self.account_room.taken += 1;
        }
        Turn::Go { caller, bucket }
    }

    /// A call that went has ended.
    pub fn ended(&mut self, bucket: &str) {
        let Some(endpoint) = self.endpoints.get_mut(bucket) else { return };
        endpoint.room.leave();
        if endpoint.counts_in_account {
            self.account_room.leave();
        }
    }

    /// Stripe refused a call of this bucket and named what is too fast.
    pub fn slow_down(&mut self, bucket: &str, what: SlowDown, now: Micros) {
        if what.account_rate {
            self.account.slow_down(now);
        }
        if what.account_at_once {
            self.account_room.shrink();
        }
        if let Some(endpoint) = self.endpoints.get_mut(bucket) {
            if what.endpoint_rate {
                endpoint.pacer.slow_down(now);
            }
            if what.endpoint_at_once {
                endpoint.room.shrink();
            }
        }
    }
}

impl<T> Endpoint<T> {
    /// The lane whose turn it is here, and when its first caller came.
    fn first(&self) -> Option<(Lane, u64)> {
        let interactive = self.interactive.front().map(|waiting| (Lane::Interactive, waiting.order));
        let background = self.background.front().map(|waiting| (Lane::Background, waiting.order));
        if self.interactive_in_a_row >= INTERACTIVE_IN_A_ROW {
            background.or(interactive)
        } else {
            interactive.or(background)
        }
    }

    /// Drops callers at the heads that no longer wait; answers how many.
    fn forget(&mut self, is_gone: &impl Fn(&T) -> bool) -> usize {
        let mut gone = 0;
        for queue in [&mut self.interactive, &mut self.background] {
            while queue.front().is_some_and(|waiting| is_gone(&waiting.caller)) {
                queue.pop_front();
                gone += 1;
            }
        }
        gone
    }

    fn is_idle(&self) -> bool {
        self.interactive.is_empty() && self.background.is_empty() && self.room.taken == 0
    }
}

fn count_lane(in_a_row: &mut u32, lane: Lane) {
    *in_a_row = match lane {
        Lane::Interactive => in_a_row.saturating_add(1),
        Lane::Background => 0,
    };
}

impl Room {
    fn new(most: u32) -> Room {
        let most = usize::try_from(most).unwrap_or(usize::MAX).max(1);
        Room { taken: 0, allowed: most, most, answers: 0 }
    }

    fn is_full(&self) -> bool {
        self.taken >= self.allowed
    }

    fn leave(&mut self) {
        self.taken = self.taken.saturating_sub(1);
        if self.allowed < self.most {
            self.answers += 1;
            if self.answers >= ANSWERS_PER_PLACE {
                self.answers = 0;
                self.allowed += 1;
            }
        }
    }

    fn shrink(&mut self) {
        self.allowed = (self.taken * 3 / 4).clamp(1, self.most);
        self.answers = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use Lane::{Background, Interactive};

    fn limit(bucket: &str) -> EndpointLimit {
        EndpointLimit { bucket: bucket.to_owned(), per_second: 25, counts_in_account: true }
    }

    /// Lets everybody go who can within `seconds`, each call taking `latency`; answers who went when.
    fn play(lanes: &mut Lanes<&'static str>, seconds: u64, latency: Micros) -> Vec<(Micros, &'static str)> {
        let (mut now, mut gone, mut ends) = (0, Vec::new(), VecDeque::<(Micros, String)>::new());
        while now < seconds * 1_000_000 {
            while ends.front().is_some_and(|(at, _)| *at <= now) {
                lanes.ended(&ends.pop_front().unwrap().1);
            }
            let first_end = ends.front().map(|end| end.0);
            now = match lanes.next(now, |_| false) {
                Turn::Go { caller, bucket } => {
                    ends.push_back((now + latency, bucket));
                    gone.push((now, caller));
                    continue;
                }
                Turn::At(at) => first_end.map_or(at, |end| end.min(at)),
                Turn::AfterOneEnds => first_end.unwrap(),
                Turn::Idle => break,
            };
        }
        gone
    }

    fn filled(account: u32, calls: &[(&str, Lane, &'static str, usize)]) -> Lanes<&'static str> {
        let mut lanes = Lanes::new(&LimitOptions::default(), account);
        for (bucket, lane, name, count) in calls {
            for _ in 0..*count {
                lanes.join(&limit(bucket), *lane, *name).unwrap();
            }
        }
        lanes
    }

    fn count(gone: &[(Micros, &str)], name: &str) -> usize {
        gone.iter().filter(|call| call.1 == name).count()
    }

    #[test]
    fn both_limits_are_used_to_at_least_95_percent() {
        let mut lanes = filled(
            100,
            &[
                ("a", Background, "a", 1_000),
                ("b", Background, "b", 1_000),
                ("c", Background, "c", 1_000),
                ("d", Background, "d", 1_000),
                ("e", Background, "e", 1_000),
            ],
        );
        let gone = play(&mut lanes, 10, 100_000);
        assert!((950..=1_000).contains(&gone.len()), "{} of 1,000 in 10 s over five endpoints", gone.len());
        let mut lanes = filled(100, &[("a", Background, "a", 1_000), ("b", Background, "b", 1_000)]);
        let gone = play(&mut lanes, 10, 100_000);
        assert!((238..=250).contains(&count(&gone, "a")), "{}", count(&gone, "a"));
        assert!((238..=250).contains(&count(&gone, "b")), "{}", count(&gone, "b"));
    }

    #[test]
    fn interactive_calls_overtake_and_background_keeps_a_fifth() {
        let mut lanes = filled(25, &[("a", Background, "background", 500), ("a", Interactive, "interactive", 500)]);
        let gone = play(&mut lanes, 10, 50_000);
        assert_eq!(gone[0].1, "interactive");
        let share = count(&gone, "background") * 100 / gone.len();
        assert!((19..=21).contains(&share), "{share} %");
    }

    #[test]
    fn background_of_one_endpoint_is_not_starved_by_another() {
        let mut lanes = filled(25, &[("a", Interactive, "interactive", 500)]);
        for _ in 0..200 {
            lanes.join(&limit("a"), Background, "a").unwrap();
            lanes.join(&limit("b"), Background, "b").unwrap();
        }
        let gone = play(&mut lanes, 20, 50_000);
        assert!(count(&gone, "a") > 20 && count(&gone, "b") > 20, "{} {}", count(&gone, "a"), count(&gone, "b"));
    }

    #[test]
    fn slow_answers_do_not_pile_up_beyond_the_calls_allowed_at_once() {
        let mut lanes = filled(100, &[("a", Background, "a", 200)]);
        let gone = play(&mut lanes, 8, 5_000_000);
        assert_eq!(gone.iter().filter(|call| call.0 < 5_000_000).count(), 30);
    }

    #[test]
    fn a_refusal_for_calls_at_once_leaves_fewer_places_and_they_come_back() {
        let mut lanes = filled(100, &[("a", Background, "a", 400)]);
        let mut now = 0;
        while lanes.under_way() < 8 {
            match lanes.next(now, |_| false) {
                Turn::Go { .. } => {}
                Turn::At(at) => now = at,
                other => panic!("{other:?}"),
            }
        }
        lanes.slow_down("a", crate::limits::slow_down_for(Some(&stripe::RateLimitReason::EndpointConcurrency)), now);
        assert_eq!(lanes.next(now + 1_000_000, |_| false), Turn::AfterOneEnds);
        for _ in 0..8 {
            lanes.ended("a");
        }
        for second in 2..400 {
            if let Turn::Go { bucket, .. } = lanes.next(second * 1_000_000, |_| false) {
                lanes.ended(&bucket);
            }
        }
        assert!(lanes.endpoints["a"].room.allowed > 15);
    }

    #[test]
    fn who_no_longer_waits_is_passed_over_and_too_many_are_refused() {
        let options = LimitOptions { most_waiting: 2, ..LimitOptions::default() };
        let mut lanes = Lanes::new(&options, 100);
        assert_eq!(lanes.join(&limit("a"), Interactive, "gone"), Ok(()));
        assert_eq!(lanes.join(&limit("a"), Interactive, "here"), Ok(()));
        assert_eq!(lanes.join(&limit("a"), Interactive, "late"), Err("late"));
        let turn = lanes.next(0, |caller| *caller == "gone");
        assert_eq!(turn, Turn::Go { caller: "here", bucket: "a".to_owned() });
        assert_eq!((lanes.waiting(), lanes.under_way()), (0, 1));
        assert_eq!(lanes.next(0, |_| false), Turn::Idle);
    }
}
