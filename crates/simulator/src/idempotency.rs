//! The first answer to a keyed POST is kept for a day and given again (FACTS section 6).

use crate::exchange::Answer;
use std::collections::{HashMap, VecDeque};

const KEPT_SECONDS: i64 = 24 * 3_600;
const KEYS_MAX: usize = 200_000;

/// What to do with a keyed call.
pub(crate) enum Begin {
    /// Nobody used the key: run, then finish.
    Run,
    /// It ran before: give this answer again.
    Replay(Box<Answer>),
    /// It ran before with other parameters.
    Differs,
    /// It is running now.
    Running,
}

struct Entry {
    asked: String,
    since: i64,
    answer: Option<Answer>,
}

/// The keys of one account in one mode.
#[derive(Default)]
pub(crate) struct Remembered {
    entries: HashMap<String, Entry>,
    order: VecDeque<(i64, String)>,
}

impl Remembered {
    /// Looks a key up and, if it is new, marks it as running.
    pub(crate) fn begin(&mut self, key: &str, asked: &str, now: i64) -> Begin {
        while let Some((since, old)) = self.order.front() {
            if *since + KEPT_SECONDS > now && self.order.len() < KEYS_MAX {
                break;
            }
            if self.entries.get(old).is_some_and(|entry| entry.since == *since) {
                self.entries.remove(old);
            }
            self.order.pop_front();
        }
        match self.entries.get(key) {
            None => {
                self.entries.insert(key.to_owned(), Entry { asked: asked.to_owned(), since: now, answer: None });
                self.order.push_back((now, key.to_owned()));
                Begin::Run
            }
            Some(entry) if entry.asked != asked => Begin::Differs,
            Some(Entry { answer: Some(answer), .. }) => Begin::Replay(Box::new(answer.clone())),
            Some(_) => Begin::Running,
        }
    }

    /// Forgets every key whose call has ended; answers how many.
    pub(crate) fn forget_all(&mut self) -> usize {
        let before = self.entries.len();
        self.entries.retain(|_, entry| entry.answer.is_none());
        before - self.entries.len()
    }

    /// Keeps the answer, or forgets the key when nothing was executed.
    pub(crate) fn finish(&mut self, key: &str, answer: Option<Answer>) {
        match answer {
            Some(answer) => {
                if let Some(entry) = self.entries.get_mut(key) {
                    entry.answer = Some(answer);
                }
            }
            None => {
                if self.entries.get(key).is_some_and(|entry| entry.answer.is_none()) {
                    self.entries.remove(key);
                }
            }
        }
    }
}
