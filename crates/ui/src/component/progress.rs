//! Long work: how much, how fast, how long yet; then what was done.

use super::Tone;
use crate::{view::View, words};
use maud::{Markup, Render, html};
use std::time::Duration;

/// How far some work has come.
#[derive(Clone)]
pub struct Progress<'a> {
    /// What is worked on: "Charges".
    pub label: String,
    /// How much is done.
    pub done: u64,
    /// How much there is, if known.
    pub total: Option<u64>,
    /// Done in each second, while it runs.
    pub per_second: Option<u64>,
    /// How long it will take yet, while it runs.
    pub left: Option<Duration>,
    /// How it stands: busy while it runs, good once done, bad when it stopped.
    pub tone: Tone,
    /// What to say instead of rate and time left, such as "Done in 2 min 10 s".
    pub remark: Option<String>,
    /// How the person reads figures.
    pub view: &'a View,
}

impl<'a> Progress<'a> {
    /// Work that runs.
    pub fn new(label: impl Into<String>, done: u64, total: Option<u64>, view: &'a View) -> Progress<'a> {
        let label = label.into();
        Progress { label, done, total, per_second: None, left: None, tone: Tone::Busy, remark: None, view }
    }

    /// Adds how fast it goes and how long it will take yet.
    pub fn pace(mut self, per_second: Option<u64>, left: Option<Duration>) -> Self {
        (self.per_second, self.left) = (per_second, left);
        self
    }

    /// Says how it ended or why it waits.
    pub fn remark(mut self, tone: Tone, remark: impl Into<String>) -> Self {
        (self.tone, self.remark) = (tone, Some(remark.into()));
        self
    }

    /// "41,200 of 60,214 (68%)", with no more than 99% until all is done.
    fn amount(&self) -> String {
        let figures = self.view.figures;
        let written = |number: u64| words::count(i64::try_from(number).unwrap_or(i64::MAX), figures);
        match self.total {
            Some(total) if total > 0 => {
                format!("{} of {} ({}%)", written(self.done), written(total), percent_done(self.done, total))
            }
            _ => written(self.done),
        }
    }
}

/// Whole percents, rounded down: 100 means that nothing is left.
pub(crate) fn percent_done(done: u64, total: u64) -> u64 {
    if total == 0 || done >= total {
        return 100;
    }
    u64::try_from(u128::from(done) * 100 / u128::from(total)).unwrap_or(99).min(99)
}

impl Render for Progress<'_> {
    fn render(&self) -> Markup {
        let figures = self.view.figures;
        let mut rest = Vec::new();
        if let Some(remark) = &self.remark {
            rest.push(remark.clone());
        } else {
            if let Some(rate) = self.per_second {
                rest.push(format!("{}/s", words::count(i64::try_from(rate).unwrap_or(i64::MAX), figures)));
            }
            if let Some(left) = self.left {
                rest.push(format!("{} left", words::duration(left)));
            }
        }
        let total = self.total.filter(|total| *total > 0);
        html! {
            div.progress.(self.tone.class()) {
                p.progress-head { span.progress-label { (self.tone.sign()) (self.label) } span.number { (self.amount()) } }
                @match total {
                    Some(total) => progress aria-label=(self.label) max=(total) value=(self.done.min(total)) { (self.amount()) },
                    None if self.tone == Tone::Busy => progress aria-label=(self.label) {},
                    None => progress aria-label=(self.label) max="1" value=(u8::from(self.tone == Tone::Good)) {},
                }
                @if !rest.is_empty() { p.progress-rest { (rest.join(" · ")) } }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::percent_done;

    #[test]
    fn a_hundred_percent_means_done() {
        for (done, total, percent) in [
            (0, 10, 0),
            (999, 1_000, 99),
            (1_000, 1_000, 100),
            (0, 0, 100),
            (12, 10, 100),
            (u64::MAX - 1, u64::MAX, 99),
        ] {
            assert_eq!(percent_done(done, total), percent, "{done} of {total}");
        }
    }
}
