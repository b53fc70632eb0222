//! What pages say about a connection's doors: webhooks, reads, the key; and what is known to be complete.

use crate::{
    CoverageReport, ReadsReport,
    coverage::{KindCoverage, Known, Verdict},
};
use gateway::{
    AccountStatus, AllocationState, BreakerView, Diagnosis,
    doctor::{Access, Finding, Need},
};
use inbox::Liveness;
use kit::Time;
use maud::{Markup, html};
use ui::{Tone, View, component::*};

/// A state of webhooks, in a word.
pub(crate) fn liveness_words(found: &Liveness) -> (Tone, &'static str) {
    match found {
        Liveness::Alive { .. } => (Tone::Good, "Alive"),
        Liveness::Silent { .. } => (Tone::Warn, "Silent"),
        Liveness::NothingToHear { .. } => (Tone::Good, "Nothing to hear"),
        Liveness::Disabled { .. } => (Tone::Bad, "Disabled"),
        Liveness::Unproven => (Tone::Neutral, "Unproven"),
        Liveness::NotSetUp => (Tone::Neutral, "Not set up"),
    }
}

/// Whether webhooks arrive, and what to do if not.
pub(crate) fn webhooks(found: &Liveness, endpoint_id: Option<&str>, address: Option<&str>, view: &View) -> Markup {
    let (tone, words) = liveness_words(found);
    let when = |label: &'static str, at: Time| (label, html! { (time(at, view)) });
    let proof = match found {
        Liveness::Alive { last_at } => Some(when("Last webhook", *last_at)),
        Liveness::Silent { missed_at, .. } => Some(when("Last event that was missed", *missed_at)),
        Liveness::NothingToHear { since } => Some(when("Nothing happened since", *since)),
        Liveness::Disabled { seen_at, .. } => Some(when("Seen at Stripe", *seen_at)),
        Liveness::Unproven | Liveness::NotSetUp => None,
    };
    let mut facts = Definitions::new().item("Webhooks", html! { (badge(tone, words)) " " (found.meaning()) });
    if let Some((label, at)) = proof {
        facts = facts.item(label, at);
    }
    facts = facts
        .item("Endpoint", endpoint_id.map_or_else(|| muted("none made by Bursar"), copyable))
        .item("Address for one made by hand", address.map_or_else(|| muted("no public address is set"), copyable));
    html! {
        (facts)
        @if let Some(to_do) = found.what_to_do() { (what_to_do(tone, to_do)) }
    }
}

fn what_to_do(tone: Tone, words: &str) -> Markup {
    match tone {
        Tone::Warn | Tone::Bad => html! { (Notice::new(tone, words)) },
        _ => html! { p { (muted(words)) } },
    }
}

/// How much of Stripe's allocation of reads is used, and for what.
pub(crate) fn reads(report: &ReadsReport, view: &View) -> Markup {
    let allocation = &report.allocation;
    let (tone, remark) = match allocation.state {
        AllocationState::Calm => (Tone::Good, "Well below what Stripe allows in 30 days"),
        AllocationState::Near => {
            (Tone::Warn, "Four fifths of what Stripe allows in 30 days are used: put off full syncs")
        }
        AllocationState::Over => (Tone::Bad, "More than Stripe allows in 30 days: it may refuse further reads"),
    };
    let purposes = &report.calls.reads_for;
    html! {
        (Definitions::new()
            .item("Reads in 30 days", html! {
                (badge(tone, html! { (allocation.used_percent) "% used" })) " "
                (count(allocation.used, view)) " of " (count(allocation.allowed, view))
            }))
        @if tone == Tone::Good { p { (muted(remark)) } } @else { (Notice::new(tone, remark)) }
        (Definitions::new()
            .item("Full syncs", count(purposes.sync, view))
            .item("Following events", count(purposes.sweep, view))
            .item("Objects again", count(purposes.reread, view))
            .item("Keys and endpoints", count(purposes.probe, view))
            .item("Other", count(purposes.other, view))
            .item("Today", count(report.calls.reads_today, view))
            .item("Expected in 30 days", match report.projected_30_days {
                Some(expected) => html! { (count(expected, view)) " " (muted("full syncs apart")) },
                None => muted("known after a whole day"),
            })
            .item("If nothing happened", count(report.idle_30_days, view))
            .item("Refused as too many, 30 days", count(report.calls.throttled_30_days, view)))
        (source(match allocation.transactions {
            Some(payments) => html! { "Stripe allows 500 reads for each payment, and 10,000 at the least; " (count(payments, view)) " payments in 30 days." },
            None => html! { "Stripe allows 500 reads for each payment, and 10,000 at the least. Counted here, per connection." },
        }, None))
    }
}

/// How calls go right now.
pub(crate) fn calls_now(status: Option<&AccountStatus>, view: &View) -> Markup {
    let Some(status) = status else { return Markup::default() };
    match status.breaker {
        BreakerView::Closed => match status.last_throttled_at.filter(|_| status.throttled_last_minute > 0) {
            Some(at) => html! {
                (Notice::new(Tone::Warn, format!("Stripe answered too many calls {} times in the last minute", status.throttled_last_minute))
                    .body(html! { p { "Last " (time(at, view)) ". Calls go at " (status.pace_percent) "% of their pace, and faster again by themselves." } }))
            },
            None => Markup::default(),
        },
        BreakerView::Open { since, until } => html! {
            (Notice::new(Tone::Bad, "Stripe does not answer, so calls are paused")
                .body(html! { p { "Since " (time(since, view)) "; tried again " (time(until, view)) ". Nothing is lost: work goes on by itself." } }))
        },
        BreakerView::HalfOpen { since } => html! {
            (Notice::new(Tone::Warn, "One call finds out whether Stripe is back")
                .body(html! { p { "Calls are paused since " (time(since, view)) "." } }))
        },
    }
}

/// What the doctor says of the key.
pub(crate) fn key(diagnosis: &Diagnosis, view: &View) -> Markup {
    let columns = vec![Column::text("Permission").wide(), Column::text("State"), Column::text("Needed for").minor()];
    let rows = diagnosis.permissions.iter().map(|finding| {
        let (tone, words) = access_words(finding);
        let need = match finding.permission.needed_for {
            Need::Sync => "reading",
            Need::WebhookEndpoint => "making the webhook endpoint",
        };
        Row::new(vec![
            html! { (finding.permission.name) " " (muted(code(finding.permission.permission))) },
            html! { (badge(tone, words)) @if let Some(refused) = &finding.refused { " " (muted(refused)) } },
            text(need),
        ])
    });
    let checked = diagnosis.checked_at.map_or_else(|| muted("not tried yet"), |at| html! { "Tried " (time(at, view)) });
    html! {
        @for warning in &diagnosis.warnings {
            @let tone = if warning.code == "secret_key_test" { Tone::Info } else { Tone::Warn };
            (Notice::new(tone, warning.text.clone()).body(html! { p { (warning.what_to_do) } }))
        }
        p { (checked) }
        details {
            summary { "Permissions, and the least key to ask for" }
            (Table::new("Permissions of the key", columns).rows(rows))
            p {
                a href=(diagnosis.least.create_at) rel="noreferrer noopener" target="_blank" { "Make a restricted key in Stripe’s dashboard" }
                " with these ticked. Switch to the right mode there first, and hold the list above against what is ticked."
            }
        }
    }
}

fn access_words(finding: &Finding) -> (Tone, &'static str) {
    match (finding.access, finding.permission.needed_for) {
        (Access::Granted, _) => (Tone::Good, "there"),
        (Access::Missing, Need::Sync) => (Tone::Bad, "missing"),
        (Access::Missing, Need::WebhookEndpoint) => (Tone::Warn, "missing"),
        (Access::NotTried, _) => (Tone::Neutral, "not tried"),
    }
}

/// The sentence of state of the coverage page.
pub(crate) fn coverage_sentence(report: &CoverageReport, view: &View) -> (Tone, Markup) {
    let (complete, all) = (report.complete, report.kinds.len());
    let any = |verdict| report.kinds.iter().any(|kind| kind.verdict == verdict);
    match report.as_of {
        Some(at) if complete == all => {
            (Tone::Good, html! { "All " (all) " kinds of objects are complete as of " (time(at, view)) })
        }
        _ if any(Verdict::Incomplete) => {
            (Tone::Warn, html! { (complete) " of " (all) " kinds of objects are complete; see the gaps below" })
        }
        _ if any(Verdict::Reading) => {
            (Tone::Busy, html! { (complete) " of " (all) " kinds of objects are complete; the others are being read" })
        }
        _ => (Tone::Neutral, text("Not everything was read yet")),
    }
}

/// What is known to be complete, kind by kind.
pub(crate) fn coverage(report: &CoverageReport, view: &View) -> Markup {
    let bars = TimeBars {
        title: "What is known of each kind of objects".to_owned(),
        key: vec![
            (Fill::Solid, "complete".to_owned()),
            (Fill::Dots, "known, not proved yet".to_owned()),
            (Fill::Hatch, "gap".to_owned()),
            (Fill::Hollow, "not asked for".to_owned()),
        ],
        bars: report.kinds.iter().map(|kind| bar(kind, view)).collect(),
        view,
    };
    html! { (bars) }
}

fn bar(kind: &KindCoverage, view: &View) -> TimeBar {
    let (tone, words) = match kind.verdict {
        Verdict::Complete => (Tone::Good, "complete"),
        Verdict::Reading => (Tone::Busy, "being read"),
        Verdict::Incomplete => (Tone::Warn, "incomplete"),
        Verdict::NotBegun => (Tone::Neutral, "not read yet"),
    };
    let spans = kind.spans.iter().map(|span| TimeSpan {
        from: span.from,
        until: span.until,
        fill: match span.known {
            Known::Complete => Fill::Solid,
            Known::Unproven => Fill::Dots,
            Known::Gap => Fill::Hatch,
            Known::NotAsked => Fill::Hollow,
        },
        words: span.why.words().to_owned(),
    });
    let note = html! {
        @if let Some(reason) = &kind.reason { p { (reason) } }
        @if let Some(to_do) = kind.what_to_do { p { strong { "To do: " } (to_do) } }
    };
    TimeBar {
        label: super::plural(kind.object_type),
        state: html! {
            (badge(tone, words))
            @if let Some(at) = kind.as_of { " " (muted(html! { "as of " (time(at, view)) })) }
        },
        note,
        spans: spans.collect(),
    }
}
