//! What happened since the last time: the event list in one call, and what events do not tell.
//!
//! Reads are scarce (FACTS section 7): an account where nothing happens costs one call each quarter of an hour. The list
//! is read from the oldest unread event on, and each page is handed to the inbox, which knows most of them already; so
//! an event that no webhook brought has the same effect as one that came.

use crate::{
    Absorbed, Source,
    observation::Interval,
    page::{FetchedPage, PagedObject},
    store::{
        streams::{self, Coverage, Covered, Stream},
        syncs::{self, Figures, SyncPart},
    },
    sync::{PartState, SyncError, SyncRun},
};
use gateway::{GatewayError, ReadFor};
use kit::Time;
use std::time::Duration;
use stripe::{
    Envelope, ErrorClass, ObjectKind,
    api::{CreatedRange, EventListParams, ListParams},
};

/// Events may show up in the list a little after their time: what is younger than this is read once more next time.
pub(crate) const OVERLAP: Duration = Duration::from_secs(300);
/// The same for balance transactions.
const BALANCE_OVERLAP: Duration = Duration::from_secs(600);
/// An account where nothing happens is asked so rarely for what events do not tell.
pub(crate) const IDLE_LOOK: Duration = Duration::from_secs(7 * 86_400);
/// In an account where something happens, a page is read again so often.
const SAMPLE_EVERY: Duration = Duration::from_secs(3_600);
/// How far back a page is read again. The square of a random share of it: young objects change more often.
const SAMPLE_AGE_SECONDS: u64 = 400 * 86_400;
/// Name under which the event list stands among what is covered.
pub(crate) const EVENTS: &str = "event";

/// Where the event list stands now, before anything else is read: whatever happens later is found behind it.
pub(crate) async fn first_anchor(run: &SyncRun) -> Result<Stream, SyncError> {
    let list = ListParams { limit: 1, ..ListParams::default() };
    let newest = match run
        .call_for(ReadFor::Sweep, stripe::api::events(&EventListParams { list, ..EventListParams::default() }))
        .await
    {
        Ok(answer) => FetchedPage::read(answer).map_err(|error| SyncError::Again(error.to_string()))?,
        Err(error) if is_forbidden(&error) => return Ok(empty_stream(run)),
        Err(error) => return Err(SyncError::of_call(&error)),
    };
    let Some(event) = newest.objects.first() else { return Ok(empty_stream(run)) };
    let created = event.second().map_or(run.ceiling, Time::from_seconds);
    Ok(Stream {
        anchor_event_id: Some(event.id.clone()),
        anchor_at: created.micros(),
        newest_event_at: Some(created.micros()),
        ..empty_stream(run)
    })
}

fn empty_stream(run: &SyncRun) -> Stream {
    Stream {
        anchor_event_id: None,
        anchor_at: run.ceiling.micros(),
        newest_event_at: None,
        last_sweep_at: None,
        balance_through_at: run.ceiling.micros(),
        last_balance_read_at: None,
        last_sample_at: None,
    }
}

fn is_forbidden(error: &GatewayError) -> bool {
    matches!(error.class(), Some(ErrorClass::Permission { .. }))
}

/// Reads what happened since the last time, and hands it on.
pub(crate) async fn sweep(run: &SyncRun) -> Result<(), SyncError> {
    let (tenant, connection) = (run.connection().tenant, &run.connection().id);
    let mut tx = run.base().store.read(tenant).await?;
    let stream = streams::find(&mut tx, tenant, connection).await?;
    let parts = syncs::parts(&mut tx, tenant, &run.sync).await?;
    let coverage = streams::coverage(&mut tx, tenant, connection).await?;
    drop(tx);
    let Some(mut stream) = stream else { return Ok(()) };
    let began = run.base().now();
    let something_happened = match read_events(run, &mut stream).await {
        Ok(events) => events > 0,
        Err(Swept::Forbidden(reason)) => {
            cover_events(run, PartState::Forbidden, Some(&reason)).await?;
            // What happened is not known; the balance, which no event tells of, can be read all the same.
            return catch_up(run, &mut stream, &coverage, &parts, true).await;
        }
        Err(Swept::Stopped(error)) => return Err(error),
    };
    stream.last_sweep_at = Some(began.micros());
    save(run, &stream, Figures::default()).await?;
    cover_events(run, PartState::Complete, None).await?;
    catch_up(run, &mut stream, &coverage, &parts, something_happened).await
}

/// Reads what events do not tell: the balance, and a page in the past.
async fn catch_up(
    run: &SyncRun,
    stream: &mut Stream,
    coverage: &[Coverage],
    parts: &[SyncPart],
    something_happened: bool,
) -> Result<(), SyncError> {
    let began = run.base().now();

    let is_due = |last: Option<i64>, busy: Duration| {
        let wait = if something_happened { busy } else { IDLE_LOOK };
        last.is_none_or(|at| began.since(Time::from_micros(at)) >= wait)
    };
    let is_covered = |kind: ObjectKind| {
        let state = PartState::Complete.as_str();
        coverage.iter().any(|it| it.object_type == kind.object_name() && it.state == state)
            && parts.iter().all(|part| part.object_type != kind.object_name())
    };
    if is_covered(ObjectKind::BalanceTransaction) && is_due(stream.last_balance_read_at, Duration::ZERO) {
        read_balance(run, stream).await?;
    }
    let covered: Vec<ObjectKind> = ObjectKind::ALL.into_iter().filter(|kind| is_covered(*kind)).collect();
    if !covered.is_empty() && is_due(stream.last_sample_at, SAMPLE_EVERY) {
        let chosen = run.base().randomness.below(covered.len() as u64) as usize;
        read_sample(run, stream, covered[chosen]).await?;
    }
    Ok(())
}

/// Why the event list was not read to its end.
enum Swept {
    Forbidden(String),
    Stopped(SyncError),
}

impl<E: Into<SyncError>> From<E> for Swept {
    fn from(error: E) -> Swept {
        Swept::Stopped(error.into())
    }
}

/// Reads the list from the anchor on; answers how many events there were, known ones included.
async fn read_events(run: &SyncRun, stream: &mut Stream) -> Result<usize, Swept> {
    let mut seen = 0;
    // Behind the anchor the list is walked towards now. Without one (a new account, or the anchor is older than the
    // list) it is walked from now to where the anchor was, and only its end proves that nothing is missing.
    let mut forward = stream.anchor_event_id.clone();
    let mut backward: Option<String> = None;
    let mut behind: Option<(String, Option<i64>)> = None;
    loop {
        run.stop_if_asked()?;
        let from = Time::from_micros(stream.anchor_at);
        let list = match &forward {
            Some(id) => ListParams { ending_before: Some(id.clone()), ..ListParams::default() },
            None => ListParams {
                starting_after: backward.clone(),
                created: CreatedRange { from: Some(from), ..CreatedRange::default() },
                ..ListParams::default()
            },
        };
        let answer = run
            .call_for(ReadFor::Sweep, stripe::api::events(&EventListParams { list, ..EventListParams::default() }))
            .await;
        let page = match answer {
            Ok(answer) => FetchedPage::read(answer).map_err(|error| SyncError::Again(error.to_string()))?,
            Err(error) if is_forbidden(&error) => return Err(Swept::Forbidden(error.to_string())),
            Err(error) if forward.is_some() && is_unknown(&error) => {
                (forward, stream.anchor_event_id) = (None, None);
                continue;
            }
            Err(error) => return Err(SyncError::of_call(&error).into()),
        };
        seen += page.objects.len();
        let settled_until = (run.base().now() - OVERLAP).seconds();
        let newest = page.objects.iter().filter_map(|event| event.second()).max();
        stream.newest_event_at = stream.newest_event_at.max(newest.map(|second| Time::from_seconds(second).micros()));
        // A page shows its newest event first, so this is the newest that is settled.
        let settled = page.objects.iter().find(|event| event.second().is_some_and(|second| second <= settled_until));
        let is_forward = forward.is_some();
        if is_forward {
            move_anchor(stream, settled);
        } else {
            // Walking back, the first settled one is the newest; it counts once nothing is left behind it.
            if behind.is_none() {
                behind = settled.map(|event| (event.id.clone(), event.second()));
            }
            if !page.has_more
                && let Some((id, second)) = behind.take()
            {
                stream.anchor_event_id = Some(id);
                stream.anchor_at = second.map_or(stream.anchor_at, |second| Time::from_seconds(second).micros());
            }
        }
        accept(run, stream, &page).await?;
        if !page.has_more || page.objects.is_empty() {
            return Ok(seen);
        }
        if is_forward {
            forward = page.objects.first().map(|event| event.id.clone());
        } else {
            backward = page.objects.last().map(|event| event.id.clone());
        }
    }
}

fn move_anchor(stream: &mut Stream, settled: Option<&PagedObject>) {
    if let Some((event, second)) = settled.and_then(|event| Some((event, event.second()?))) {
        stream.anchor_event_id = Some(event.id.clone());
        stream.anchor_at = Time::from_seconds(second).micros();
    }
}

/// The anchor is no longer in the list.
fn is_unknown(error: &GatewayError) -> bool {
    matches!(error.class(), Some(ErrorClass::NotFound | ErrorClass::InvalidRequest))
}

/// Hands a page of events to the inbox and moves the anchor, in one transaction.
async fn accept(run: &SyncRun, stream: &Stream, page: &FetchedPage) -> Result<(), SyncError> {
    let live = run.connection().environment.is_live();
    // A live account's list can hold test events; they are not ours.
    let bodies: Vec<&str> = page
        .observations(Source::List, Interval::of_fetch(page.began, page.ended))
        .map(|event| event.body)
        .filter(|body| Envelope::read(body.as_bytes()).is_ok_and(|event| event.livemode() == live))
        .collect();
    // What is just being delivered must not count as missed.
    run.mirror.inbox().settle().await?;
    let mut tx = run.begin().await?;
    let accepted = run
        .mirror
        .inbox()
        .accept(&mut tx, run.connection(), inbox::Source::Sweep, &bodies)
        .await
        .map_err(|error| SyncError::Again(error.to_string()))?;
    let figures = Figures { calls: 1, events_found: accepted.new as i64, ..Figures::default() };
    let tenant = tx.tenant();
    streams::save(&mut tx, tenant, &run.connection().id, stream).await?;
    syncs::add_figures(&mut tx, tenant, &run.sync, figures).await?;
    tx.wake(inbox::WAKE);
    tx.commit().await?;
    Ok(())
}

async fn save(run: &SyncRun, stream: &Stream, figures: Figures) -> Result<(), SyncError> {
    let mut tx = run.begin().await?;
    let tenant = tx.tenant();
    streams::save(&mut tx, tenant, &run.connection().id, stream).await?;
    syncs::add_figures(&mut tx, tenant, &run.sync, figures).await?;
    tx.commit().await?;
    Ok(())
}

async fn cover_events(run: &SyncRun, state: PartState, reason: Option<&str>) -> Result<(), SyncError> {
    let now = run.base().now();
    let mut tx = run.begin().await?;
    let tenant = tx.tenant();
    let covered =
        Covered { kind: EVENTS, state, reason, from: None, until: (state == PartState::Complete).then_some(now) };
    streams::cover(&mut tx, tenant, &run.connection().id, covered, now).await?;
    tx.commit().await?;
    Ok(())
}

/// Lists the balance transactions made since the last time: no event tells of them.
async fn read_balance(run: &SyncRun, stream: &mut Stream) -> Result<(), SyncError> {
    let began = run.base().now();
    let created = CreatedRange {
        from: Some(Time::from_micros(stream.balance_through_at) - BALANCE_OVERLAP),
        until: Some(began),
        ..CreatedRange::default()
    };
    let mut list = ListParams { created, ..ListParams::default() };
    loop {
        run.stop_if_asked()?;
        let Some(page) = read_page(run, ObjectKind::BalanceTransaction, &list).await? else { return Ok(()) };
        let is_last = !page.has_more;
        if is_last {
            stream.balance_through_at = began.micros();
            stream.last_balance_read_at = Some(began.micros());
        }
        absorb(run, stream, &page, |_| 0).await?;
        if is_last {
            return Ok(());
        }
        list.starting_after = page.objects.last().map(|object| object.id.clone());
    }
}

/// Reads one page somewhere in the past again: what changed there without an event would otherwise never be seen.
async fn read_sample(run: &SyncRun, stream: &mut Stream, kind: ObjectKind) -> Result<(), SyncError> {
    let now = run.base().now();
    let share = run.base().randomness.below(1_000);
    let age = Duration::from_secs(SAMPLE_AGE_SECONDS * share * share / 1_000_000);
    let created = CreatedRange { until: Some(now - age), ..CreatedRange::default() };
    let Some(page) = read_page(run, kind, &ListParams { created, ..ListParams::default() }).await? else {
        return Ok(());
    };
    stream.last_sample_at = Some(now.micros());
    absorb(run, stream, &page, |absorbed| (absorbed.new + absorbed.changed) as i64).await
}

/// A page of a kind; none if the key may not list it any more, which the next full listing will tell.
async fn read_page(run: &SyncRun, kind: ObjectKind, list: &ListParams) -> Result<Option<FetchedPage>, SyncError> {
    match run.call_for(ReadFor::Sweep, stripe::api::list(kind, list)).await {
        Ok(answer) => FetchedPage::read(answer).map(Some).map_err(|error| SyncError::Again(error.to_string())),
        Err(error) if is_forbidden(&error) => {
            let reason = error.to_string();
            let now = run.base().now();
            let mut tx = run.begin().await?;
            let tenant = tx.tenant();
            let state = PartState::Forbidden;
            let covered = Covered { kind: kind.object_name(), state, reason: Some(&reason), from: None, until: None };
            streams::cover(&mut tx, tenant, &run.connection().id, covered, now).await?;
            tx.commit().await?;
            Ok(None)
        }
        Err(error) => Err(SyncError::of_call(&error)),
    }
}

async fn absorb(
    run: &SyncRun,
    stream: &Stream,
    page: &FetchedPage,
    silent_changes: impl Fn(&Absorbed) -> i64,
) -> Result<(), SyncError> {
    let scope = run.mirror.scope_of(run.connection());
    let observations: Vec<_> = page.observations(Source::List, Interval::of_fetch(page.began, page.ended)).collect();
    let mut tx = run.begin().await?;
    let absorbed = run.mirror.absorb(&mut tx, &scope, &observations).await?;
    let figures = Figures { calls: 1, silent_changes: silent_changes(&absorbed), ..Figures::default() };
    let tenant = tx.tenant();
    streams::save(&mut tx, tenant, &run.connection().id, stream).await?;
    syncs::add_figures(&mut tx, tenant, &run.sync, figures).await?;
    tx.commit().await?;
    Ok(())
}
