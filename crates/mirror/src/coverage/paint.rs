//! The line of time on which what is known is painted, the later word over the earlier.

use super::{Known, Span, Why};
use kit::Time;

/// The whole of time up to now, painted over again and again.
pub(super) struct Paint {
    /// Begin, end, what is known; in order, without holes.
    spans: Vec<(i64, i64, Known, Why)>,
    now: i64,
}

impl Paint {
    pub(super) fn new(now: i64) -> Paint {
        Paint { spans: vec![(i64::MIN, now, Known::Gap, Why::NotBegun)], now }
    }

    /// Paints from `from` up to `until`, as far as it is before now.
    pub(super) fn over(&mut self, from: i64, until: i64, known: Known, why: Why) {
        let until = until.min(self.now);
        if from >= until {
            return;
        }
        let mut painted = Vec::with_capacity(self.spans.len() + 2);
        for (begin, end, known, why) in self.spans.drain(..) {
            if begin < from.min(end) {
                painted.push((begin, from.min(end), known, why));
            }
            if end > until.max(begin) {
                painted.push((until.max(begin), end, known, why));
            }
        }
        painted.push((from, until, known, why));
        painted.sort_by_key(|span| span.0);
        self.spans = painted;
    }

    /// Paints over what counts as complete from `from` on.
    pub(super) fn over_complete(&mut self, from: i64, known: Known, why: Why) {
        let complete: Vec<(i64, i64)> = self
            .spans
            .iter()
            .filter(|span| span.2 == Known::Complete && span.1 > from)
            .map(|span| (span.0.max(from), span.1))
            .collect();
        for (begin, end) in complete {
            self.over(begin, end, known, why);
        }
    }

    pub(super) fn spans(self) -> Vec<Span> {
        let mut spans: Vec<Span> = Vec::with_capacity(self.spans.len());
        for (begin, end, known, why) in self.spans {
            let until = Time::from_micros(end);
            match spans.last_mut() {
                Some(last) if (last.known, last.why) == (known, why) => last.until = until,
                _ => {
                    let from = (begin != i64::MIN).then(|| Time::from_micros(begin));
                    spans.push(Span { from, until, known, why });
                }
            }
        }
        spans
    }
}
