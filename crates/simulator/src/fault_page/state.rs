//! The page's changing part: what is set, what happened, deliveries, calls, time.

use crate::{
    faults::{FaultReport, SetFault, Target},
    simulator::Simulator,
    stats::{DeliveryTold, Stats},
};
use kit::Time;
use maud::{Markup, html};
use std::time::Duration;

/// Of what happened, this much is shown; `GET /_sim/faults` and `/_sim/deliveries` have more.
const SHOWN: usize = 8;

pub(super) fn state(simulator: &Simulator) -> Markup {
    let (report, stats, now) = (simulator.faults().report(), simulator.stats(), simulator.now());
    html! {
        (sentence(&report))
        dl.figures {
            (figure("Simulated time", &clock(now)))
            (figure("Calls", &grouped(stats.requests)))
            (figure("Refused with 429", &grouped(stats.statuses.get(&429).copied().unwrap_or(0))))
            (figure("Failed, 500 and above", &grouped(stats.statuses.range(500..).map(|(_, count)| count).sum())))
            (figure("Webhooks taken", &grouped(stats.webhooks.delivered)))
            (figure("Waiting", &grouped(stats.webhooks.waiting)))
            (figure("Tries that failed", &grouped(stats.webhooks.failures)))
            (figure("Never taken", &grouped(stats.webhooks.given_up)))
        }
        (set(&report, now))
        div.columns {
            (fired(&report, now))
            (deliveries(&simulator.deliveries(), now))
        }
        (calls(&report, &stats))
    }
}

/// The worst news in one sentence.
fn sentence(report: &FaultReport) -> Markup {
    let many =
        |count: usize, one: &str, more: &str| if count == 1 { format!("1 {one}") } else { format!("{count} {more}") };
    let mut parts = Vec::new();
    if report.keys_revoked > 0 {
        parts.push(many(report.keys_revoked, "key is revoked", "keys are revoked"));
    }
    if report.endpoints_disabled > 0 {
        parts.push(many(report.endpoints_disabled, "webhook endpoint is disabled", "webhook endpoints are disabled"));
    }
    if !report.set.is_empty() {
        parts.push(many(report.set.len(), "fault is set", "faults are set"));
    }
    if let Some(plan) = &report.plan {
        parts.push(format!("faults strike by seed {}", plan.seed));
    }
    html! {
        @if parts.is_empty() {
            p.sentence.good { span.sign aria-hidden="true" { "✓" } " Everything works" }
        } @else {
            p.sentence.warn { span.sign aria-hidden="true" { "!" } " " (capital(&parts.join(", "))) }
        }
    }
}

fn capital(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect())
}

fn figure(label: &str, value: &str) -> Markup {
    html! { div { dt { (label) } dd { (value) } } }
}

fn set(report: &FaultReport, now: i64) -> Markup {
    if report.set.is_empty() && report.plan.is_none() {
        return html! {};
    }
    html! {
        h2 { "Set now" }
        ul.set {
            @if let Some(plan) = &report.plan {
                li {
                    span { "By chance, seed " (plan.seed) ": " (plan.chances.len()) " kinds of faults" }
                    form method="post" action="/_sim/press" {
                        button.small type="submit" name="press" value="stop_plan" { "Clear" span.sr { " the seed’s plan" } }
                    }
                }
            }
            @for fault in &report.set {
                li {
                    span { (name(&fault.fault.target)) " " span.muted { (remaining(fault, now)) } }
                    form method="post" action="/_sim/press" {
                        input type="hidden" name="id" value=(fault.id);
                        button.small type="submit" name="press" value="clear" { "Clear" span.sr { " fault " (fault.id) } }
                    }
                }
            }
        }
    }
}

fn name(target: &Target) -> String {
    match target {
        Target::Call { call, what } if call == "*" => format!("{}, all calls", what.name()),
        Target::Call { call, what } => format!("{}, {call}", what.name()),
        Target::Webhooks { webhooks, what } if webhooks == "*" => what.name().to_owned(),
        Target::Webhooks { webhooks, what } => format!("{}, {webhooks}", what.name()),
    }
}

/// `3 of 20 so far, one of 3` or `2 so far, 59 min left`.
fn remaining(set: &SetFault, now: i64) -> String {
    let mut text = match set.fault.times {
        Some(times) => format!("{} of {times} so far", set.fired),
        None => format!("{} so far", set.fired),
    };
    if set.fault.every > 1 {
        text.push_str(&format!(", one of {}", set.fault.every));
    }
    match set.until {
        Some(until) => text.push_str(&format!(", {} min left", (until - now + 59) / 60)),
        None if set.fault.times.is_none() => text.push_str(", until cleared"),
        None => {}
    }
    text
}

fn fired(report: &FaultReport, now: i64) -> Markup {
    html! {
        section {
            h2 { "Happened lately" }
            @if report.recent.is_empty() { p.muted { "Nothing yet. Press a button." } }
            ol.events {
                @for it in report.recent.iter().take(SHOWN) {
                    li { span { (it.fault) } span.muted { (it.upon) } (ago(it.at, now)) }
                }
            }
        }
    }
}

fn deliveries(told: &[DeliveryTold], now: i64) -> Markup {
    html! {
        section {
            h2 { "Deliveries" }
            @if told.is_empty() { p.muted { "No webhook endpoint was told of anything yet." } }
            ol.events {
                @for it in told.iter().take(SHOWN) {
                    li {
                        span { (if it.kind.is_empty() { it.event.as_str() } else { it.kind.as_str() }) }
                        span class=(if it.outcome.starts_with('2') { "good" } else { "bad" }) {
                            (it.outcome) @if it.attempt > 1 { ", try " (it.attempt) }
                        }
                        (ago(it.at, now))
                    }
                }
            }
        }
    }
}

fn calls(report: &FaultReport, stats: &Stats) -> Markup {
    let mut calls: Vec<_> = stats.calls.iter().collect();
    calls.sort_by_key(|(_, count)| std::cmp::Reverse(**count));
    html! {
        div.columns {
            details data-keep="calls" {
                summary { "Calls by name (" (calls.len()) ")" }
                (counts("Call", calls.iter().map(|(name, count)| (name.as_str(), **count))))
            }
            details data-keep="fired" {
                summary { "Faults by name (" (report.fired.len()) ")" }
                (counts("Fault", report.fired.iter().map(|(name, count)| (name.as_str(), *count))))
            }
        }
    }
}

fn counts<'a>(head: &str, rows: impl Iterator<Item = (&'a str, u64)>) -> Markup {
    html! {
        table {
            thead { tr { th scope="col" { (head) } th.number scope="col" { "Times" } } }
            tbody { @for (name, count) in rows { tr { td { (name) } td.number { (grouped(count)) } } } }
        }
    }
}

fn ago(at: i64, now: i64) -> Markup {
    let seconds = (now - at).max(0);
    let text = match seconds {
        0..90 => format!("{seconds} s ago"),
        90..5_400 => format!("{} min ago", seconds / 60),
        5_400..172_800 => format!("{} h ago", seconds / 3_600),
        _ => format!("{} d ago", seconds / 86_400),
    };
    html! { time.muted datetime=(clock(at).replace(' ', "T")) { (text) } }
}

/// `2026-11-21 12:00:07Z`
fn clock(second: i64) -> String {
    let (year, month, day) = kit::time::civil_from_days(Time::from_seconds(second).utc_day());
    let in_day = Duration::from_secs(second.rem_euclid(86_400).unsigned_abs()).as_secs();
    format!("{year}-{month:02}-{day:02} {:02}:{:02}:{:02}Z", in_day / 3_600, in_day / 60 % 60, in_day % 60)
}

/// `12,345`
fn grouped(count: u64) -> String {
    let digits = count.to_string();
    let mut out = String::new();
    for (position, digit) in digits.chars().enumerate() {
        if position > 0 && (digits.len() - position).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_are_written_for_people() {
        for (count, expected) in [(0, "0"), (999, "999"), (1_000, "1,000"), (1_234_567, "1,234,567")] {
            assert_eq!(grouped(count), expected);
        }
        assert_eq!(clock(1_795_262_407), "2026-11-21 12:00:07Z");
        for (seconds, expected) in
            [(0, "0 s ago"), (89, "89 s ago"), (90, "1 min ago"), (5_400, "1 h ago"), (180_000, "2 d ago")]
        {
            assert!(ago(0, seconds).into_string().contains(expected), "{seconds}");
        }
    }
}
