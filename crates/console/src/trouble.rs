//! What is wrong right now, worst first, with what to do about it. Pure: what has passed is simply not there any more.

use crate::moment::{ConnectionHealth, Moment};
use gateway::{AllocationState, BreakerView};
use inbox::Liveness;
use kit::Time;
use mirror::{PartState, SyncStatus};
use std::time::Duration;
use ui::Tone;
use vault::ConnectionState;

/// A sync every quarter of an hour: without one for longer than two, something is wrong.
const OVERDUE: Duration = Duration::from_secs(2_100);

/// Something that is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Trouble {
    /// Stable name, for tests and for order.
    pub(crate) code: &'static str,
    /// How bad it is: `Bad` or `Warn`.
    pub(crate) tone: Tone,
    /// What is wrong, in a sentence without its end.
    pub(crate) what: String,
    /// Since when, where that is known.
    pub(crate) since: Option<Time>,
    /// What to do, or what Bursar does.
    pub(crate) to_do: String,
    /// Where to look.
    pub(crate) href: String,
}

/// Everything that is wrong, the worst first.
pub(crate) fn troubles(moment: &Moment) -> Vec<Trouble> {
    let mut found: Vec<Trouble> =
        moment.connections.iter().flat_map(|health| of_connection(health, moment.now)).collect();
    found.extend(of_inbox(&moment.inbox));
    if moment.outbox.in_doubt > 0 {
        found.push(Trouble {
            code: "writes_in_doubt",
            tone: Tone::Bad,
            what: format!("{} writes to Stripe are in doubt", moment.outbox.in_doubt),
            since: None,
            to_do: "Look at Stripe whether they happened, and settle them in the outbox.".to_owned(),
            href: "/connections".to_owned(),
        });
    }
    // Stable: within a tone, the order in which it was found.
    found.sort_by_key(|trouble| trouble.tone != Tone::Bad);
    found
}

fn of_inbox(counts: &inbox::Counts) -> Vec<Trouble> {
    let mut found = Vec::new();
    let events = |number: i64| if number == 1 { "event" } else { "events" };
    if counts.dead > 0 {
        found.push(Trouble {
            code: "events_dead",
            tone: Tone::Bad,
            what: format!("{} {} were given up; look at the inbox", counts.dead, events(counts.dead)),
            since: None,
            to_do: "See the error, then replay them.".to_owned(),
            href: "/inbox?state=dead".to_owned(),
        });
    }
    if counts.failed > 0 {
        found.push(Trouble {
            code: "events_failed",
            tone: Tone::Warn,
            what: format!("{} {} failed and will be tried again", counts.failed, events(counts.failed)),
            since: None,
            to_do: "Nothing at once: each is tried for a day. See the error if they stay.".to_owned(),
            href: "/inbox?state=failed".to_owned(),
        });
    }
    found
}

/// What is wrong with one connection.
pub(crate) fn of_connection(health: &ConnectionHealth, now: Time) -> Vec<Trouble> {
    let connection = &health.connection;
    let (name, href) = (&connection.display_name, format!("/connections/{}", connection.id));
    let trouble = |code, tone, what: String, since, to_do: &str| Trouble {
        code,
        tone,
        what,
        since,
        to_do: to_do.to_owned(),
        href: href.clone(),
    };
    if let ConnectionState::KeyRefused { .. } = connection.state {
        // Nothing else of it is worth a word until it has a key.
        let what = format!("Stripe refuses the key of {name}; replace it");
        let to_do = "Nothing is called until then, and nothing is lost: what happens meanwhile is found afterwards.";
        return vec![trouble("key_refused", Tone::Bad, what, Some(connection.updated_at), to_do)];
    }
    let mut found = Vec::new();
    if let Some(stripe) = &health.stripe {
        match stripe.breaker {
            BreakerView::Open { since, until } => found.push(trouble(
                "stripe_away",
                Tone::Bad,
                format!("Stripe does not answer for {name}, so calls are paused"),
                Some(since),
                &format!("Tried again at {} UTC by itself; see status.stripe.com if it lasts.", clock(until)),
            )),
            BreakerView::HalfOpen { since } => found.push(trouble(
                "stripe_probed",
                Tone::Warn,
                format!("One call finds out whether Stripe is back for {name}"),
                Some(since),
                "Nothing: calls go on by themselves once it answers.",
            )),
            BreakerView::Closed if stripe.throttled_last_minute > 0 => found.push(trouble(
                "stripe_throttles",
                Tone::Warn,
                format!(
                    "Stripe answered {name} that there were too many calls, {} times in the last minute",
                    stripe.throttled_last_minute
                ),
                stripe.last_throttled_at,
                &format!(
                    "Nothing: calls go at {}% of their pace, and faster again by themselves.",
                    stripe.pace_percent
                ),
            )),
            BreakerView::Closed => {}
        }
    }
    found.extend(of_webhooks(health, &trouble));
    found.extend(of_sync(&health.sync, name, now, &trouble));
    match health.reads {
        AllocationState::Calm => {}
        AllocationState::Near | AllocationState::Over => found.push(trouble(
            "reads_scarce",
            Tone::Warn,
            format!("{name} has used four fifths or more of the reads that Stripe allows in 30 days"),
            None,
            "Put off full syncs; see what the reads were for.",
        )),
    }
    found
}

type Make<'a> = dyn Fn(&'static str, Tone, String, Option<Time>, &str) -> Trouble + 'a;

fn of_webhooks(health: &ConnectionHealth, trouble: &Make<'_>) -> Option<Trouble> {
    let found = &health.liveness;
    let since = match found {
        Liveness::Silent { missed_at, .. } => Some(*missed_at),
        Liveness::Disabled { seen_at, .. } => Some(*seen_at),
        Liveness::Alive { .. } | Liveness::NothingToHear { .. } | Liveness::Unproven | Liveness::NotSetUp => None,
    };
    let tone = if matches!(found, Liveness::Disabled { .. }) { Tone::Bad } else { Tone::Warn };
    let what = format!("{}: {}", health.connection.display_name, found.meaning());
    found.is_trouble().then(|| trouble("webhooks_silent", tone, what, since, found.what_to_do().unwrap_or_default()))
}

fn of_sync(sync: &SyncStatus, name: &str, now: Time, trouble: &Make<'_>) -> Vec<Trouble> {
    let mut found = Vec::new();
    for (state, code, what, to_do) in [
        (
            PartState::Forbidden,
            "kinds_forbidden",
            "may not read",
            "Give the key the permissions that its report names.",
        ),
        (
            PartState::Throttled,
            "kinds_throttled",
            "was throttled while reading",
            "Nothing: they are tried again alone with the next sync.",
        ),
        (PartState::Failed, "kinds_failed", "could not read", "See the reason on the connection’s page."),
    ] {
        let rows = || sync.coverage.iter().filter(|row| row.state == state.as_str());
        let kinds: Vec<String> = rows().map(|row| plural(&row.object_type)).collect();
        if !kinds.is_empty() {
            let since = rows().map(|row| Time::from_micros(row.changed_at)).min();
            found.push(trouble(code, Tone::Warn, format!("{name} {what} {}", kinds.join(", ")), since, to_do));
        }
    }
    let last = sync.last_completed.as_ref().and_then(|job| job.finished_at).map(Time::from_micros);
    if let Some(at) = last.filter(|at| now.since(*at) > OVERDUE && sync.parts.is_empty()) {
        let what = format!("{name} was not synced for too long");
        found.push(trouble(
            "sync_overdue",
            Tone::Warn,
            what,
            Some(at),
            "See why: Stripe may be away, or no worker is at work.",
        ));
    }
    found
}

/// `09:41:07`
fn clock(at: Time) -> String {
    let second = at.seconds().rem_euclid(86_400);
    format!("{:02}:{:02}:{:02}", second / 3_600, second / 60 % 60, second % 60)
}

/// `balance_transaction` as `balance transactions`.
fn plural(object_type: &str) -> String {
    match object_type {
        "event" => "the event list".to_owned(),
        other => format!("{}s", other.replace(['_', '.'], " ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use gateway::AccountStatus;
    use inbox::Off;
    use kit::{Environment, TenantId};
    use mirror::Coverage;
    use vault::{Connection, ConnectionId};

    const NOW: Time = Time::from_seconds(1_790_000_000);

    fn well() -> ConnectionHealth {
        ConnectionHealth {
            connection: Connection {
                tenant: TenantId(1),
                id: ConnectionId::from_text("con_1"),
                provider: "stripe".to_owned(),
                account_id: "acct_1".to_owned(),
                environment: Environment::Test,
                display_name: "Acme".to_owned(),
                key_hint: "…".to_owned(),
                key_kind: "restricted".to_owned(),
                state: ConnectionState::Active,
                lookback_days: None,
                api_base: None,
                webhook_endpoint_id: None,
                created_at: NOW,
                updated_at: NOW,
                last_good_call_at: None,
            },
            sync: SyncStatus {
                current: None,
                parts: Vec::new(),
                last_completed: None,
                coverage: Vec::new(),
                stream: None,
            },
            stripe: Some(status(BreakerView::Closed, 0)),
            last_event_at: None,
            liveness: Liveness::Alive { last_at: NOW },
            reads: AllocationState::Calm,
        }
    }

    fn status(breaker: BreakerView, throttled_last_minute: u32) -> AccountStatus {
        AccountStatus {
            breaker,
            waiting: 0,
            under_way: 0,
            calls_last_minute: 5,
            throttled_last_minute,
            last_throttled_at: None,
            pace_percent: 80,
        }
    }

    fn row(object_type: &str, state: PartState) -> Coverage {
        Coverage {
            object_type: object_type.to_owned(),
            state: state.as_str().to_owned(),
            reason: None,
            covered_from: None,
            covered_until: None,
            changed_at: NOW.micros(),
        }
    }

    #[test]
    fn each_fault_is_told_and_nothing_else() {
        let check = |what: &str, change: &dyn Fn(&mut ConnectionHealth), expected: &[&str]| {
            let mut health = well();
            change(&mut health);
            let found = of_connection(&health, NOW);
            assert_eq!(found.iter().map(|it| it.code).collect::<Vec<_>>(), expected, "{what}");
            assert!(found.iter().all(|it| !it.to_do.is_empty() && it.href == "/connections/con_1"), "{what}");
        };
        check("well", &|_| {}, &[]);
        check("not called yet", &|it| it.stripe = None, &[]);
        let open = BreakerView::Open { since: NOW, until: NOW + Duration::from_secs(5) };
        check("breaker open", &|it| it.stripe = Some(status(open, 3)), &["stripe_away"]);
        check(
            "breaker probes",
            &|it| it.stripe = Some(status(BreakerView::HalfOpen { since: NOW }, 0)),
            &["stripe_probed"],
        );
        check("throttled", &|it| it.stripe = Some(status(BreakerView::Closed, 2)), &["stripe_throttles"]);
        let silent = Liveness::Silent { last_at: None, missed_at: NOW };
        check("silent", &|it| it.liveness = silent, &["webhooks_silent"]);
        let off = Liveness::Disabled { why: Off::Disabled, seen_at: NOW };
        check("endpoint off", &|it| it.liveness = off, &["webhooks_silent"]);
        check("nothing to hear", &|it| it.liveness = Liveness::NothingToHear { since: NOW }, &[]);
        check("no endpoint", &|it| it.liveness = Liveness::NotSetUp, &[]);
        check("reads", &|it| it.reads = AllocationState::Near, &["reads_scarce"]);
        check(
            "kinds",
            &|it| {
                let kinds = [
                    row("charge", PartState::Complete),
                    row("payout", PartState::Forbidden),
                    row("refund", PartState::Throttled),
                    row("event", PartState::Forbidden),
                ];
                it.sync.coverage = kinds.to_vec();
            },
            &["kinds_forbidden", "kinds_throttled"],
        );
        let refused = ConnectionState::KeyRefused { reason: "no".to_owned() };
        check(
            "the key hides the rest",
            &|it| {
                it.connection.state = refused.clone();
                it.liveness = silent;
            },
            &["key_refused"],
        );
    }

    #[test]
    fn several_kinds_are_told_together() {
        let mut health = well();
        health.sync.coverage =
            vec![row("payout", PartState::Forbidden), row("balance_transaction", PartState::Forbidden)];
        let found = of_connection(&health, NOW);
        assert_eq!(found[0].what, "Acme may not read payouts, balance transactions");
        assert_eq!(clock(NOW), "14:13:20");
    }
}
