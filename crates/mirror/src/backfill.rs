//! The full listing: every kind at once, in spans that are cut where they are dense, under a ceiling that was frozen at
//! the start.
//!
//! One task chooses what to read next and another absorbs what was read, with a bounded channel between them: reading
//! never waits for the database unless the database is behind, and memory does not grow with the account. What is read
//! and what remains is stored with each page, in the transaction that absorbs it, so that a crash costs the pages that
//! were under way and nothing else.

use crate::{
    Observation, Scope, Source,
    observation::Interval,
    page::{FetchedPage, PagedObject},
    range::{self, Outlook, PARALLEL, PageSeen, Range},
    store::{
        streams::{self, Covered},
        syncs::{self, Figures, PartUpdate, RangeUpdate},
    },
    sync::{PartState, SyncError, SyncRun, part_state},
};
use gateway::GatewayError;
use kit::Time;
use std::collections::HashMap;
use stripe::{
    ErrorClass, ObjectKind,
    api::{CreatedRange, ListParams},
};
use tokio::{
    sync::mpsc,
    task::{JoinHandle, JoinSet},
};

/// Calls of one sync under way or waiting for their turn, over all kinds.
const MOST_IN_FLIGHT: usize = 24;
/// Pages that wait to be absorbed; with those in flight this bounds the memory of a sync to some 20 MB.
const MOST_WAITING_PAGES: usize = 24;
/// Pages that share one transaction when they have queued up.
const PAGES_IN_A_COMMIT: usize = 24;
/// A throttled kind is tried again alone so often, after all others are through.
const THROTTLED_TRIES: u32 = 2;

/// A kind being listed.
struct Part {
    kind: ObjectKind,
    state: PartState,
    /// Open spans that no call is under way for.
    idle: Vec<Range>,
    /// Spans with a call under way.
    in_flight: usize,
    pages: i64,
    next_number: i64,
    throttled: u32,
    /// Why it cannot be listed.
    reason: Option<String>,
    /// About how many objects are left in the spans under way.
    left_in_flight: i64,
}

impl Part {
    fn open(&self) -> usize {
        self.idle.len() + self.in_flight
    }

    fn left(&self) -> i64 {
        self.left_in_flight + self.idle.iter().map(|range| range.left).sum::<i64>()
    }

    fn is_over(&self) -> bool {
        self.state.is_hindered() || self.open() == 0
    }
}

/// What is handed to the absorbing task: a page, if there is one, and how things stand after it.
struct Step {
    page: Option<(Scope, FetchedPage)>,
    ranges: Vec<RangeUpdate>,
    part: PartUpdate,
}

type Fetched = (usize, Range, Result<FetchedPage, GatewayError>);

/// Lists whatever the sync's parts have not read yet.
pub(crate) async fn run(run: &SyncRun) -> Result<(), SyncError> {
    let mut listing = Listing::load(run).await?;
    if listing.parts.is_empty() {
        return Ok(());
    }
    let (steps, arriving) = mpsc::channel(MOST_WAITING_PAGES);
    let absorbing = tokio::spawn(absorb_steps(run.clone(), arriving));
    let outcome = listing.read(run, &steps).await;
    // What was read is absorbed even when the reading stopped; the absorbing task ends with the channel.
    drop(steps);
    let absorbed = join(absorbing).await;
    // If absorbing failed the reading ended because of it, so its error is the cause.
    absorbed.and(outcome)
}

async fn join(task: JoinHandle<Result<(), SyncError>>) -> Result<(), SyncError> {
    task.await.unwrap_or_else(|error| Err(SyncError::Again(format!("absorbing pages ended early: {error}"))))
}

struct Listing {
    parts: Vec<Part>,
    /// The oldest object of any kind that was read to its end in this run.
    oldest: Option<i64>,
    oldest_of: HashMap<ObjectKind, i64>,
}

impl Listing {
    async fn load(run: &SyncRun) -> Result<Listing, SyncError> {
        let tenant = run.connection().tenant;
        let mut tx = run.base().store.read(tenant).await?;
        let rows = syncs::parts(&mut tx, tenant, &run.sync).await?;
        let open = syncs::open_ranges(&mut tx, tenant, &run.sync).await?;
        let counts: HashMap<String, i64> = syncs::range_counts(&mut tx, tenant, &run.sync).await?.into_iter().collect();
        let mut parts = Vec::new();
        for row in rows {
            let Some(kind) = ObjectKind::from_object_name(&row.object_type) else { continue };
            let is_open = row.state == PartState::Pending.as_str() || row.state == PartState::Running.as_str();
            if !is_open {
                continue;
            }
            let ranges = open.iter().filter(|(kind, _)| *kind == row.object_type).map(|(_, range)| range.clone());
            parts.push(Part {
                kind,
                state: PartState::Running,
                idle: ranges.collect(),
                in_flight: 0,
                pages: row.pages,
                next_number: counts.get(&row.object_type).copied().unwrap_or(0),
                throttled: 0,
                reason: None,
                left_in_flight: 0,
            });
        }
        Ok(Listing { parts, oldest: None, oldest_of: HashMap::new() })
    }

    async fn read(&mut self, run: &SyncRun, steps: &mpsc::Sender<Step>) -> Result<(), SyncError> {
        let mut calls: JoinSet<Fetched> = JoinSet::new();
        for part in &self.parts {
            // A crash between a part's last page and its end leaves it open with nothing to read.
            if part.open() == 0 {
                hand_on(steps, Step { page: None, ranges: Vec::new(), part: ended(part) }).await?;
            }
        }
        let mut stop: Option<SyncError> = None;
        loop {
            if stop.is_none()
                && let Err(asked) = run.stop_if_asked()
            {
                stop = Some(asked);
            }
            while stop.is_none() && calls.len() < MOST_IN_FLIGHT {
                let Some((place, range)) = self.next() else { break };
                let (run, kind) = (run.clone(), self.parts[place].kind);
                calls.spawn(async move {
                    let outcome = fetch(&run, kind, &range).await;
                    (place, range, outcome)
                });
            }
            let Some(ended) = calls.join_next().await else { break };
            let (place, range, outcome) =
                ended.map_err(|error| SyncError::Again(format!("a call ended early: {error}")))?;
            match outcome {
                Ok(page) => self.arrived(run, place, range, page, steps).await?,
                Err(error) => {
                    if let Some(ends) = self.hindered(place, range, &error, steps).await? {
                        stop = Some(stop.unwrap_or(ends));
                    }
                }
            }
        }
        stop.map_or(Ok(()), Err)
    }

    /// What to read next: kinds of which nothing is known first, then where most is left, so that the kind that takes
    /// longest never waits for one that does not.
    fn next(&mut self) -> Option<(usize, Range)> {
        let others_go_on = self.parts.iter().any(|part| part.throttled == 0 && !part.is_over());
        let may_go = |part: &Part| {
            !part.state.is_hindered()
                && !part.idle.is_empty()
                && part.in_flight < PARALLEL
                && (part.throttled == 0 || !others_go_on)
        };
        let place = (0..self.parts.len()).filter(|place| may_go(&self.parts[*place])).max_by_key(|place| {
            let part = &self.parts[*place];
            (part.pages == 0, part.left() / (1 + part.in_flight as i64))
        })?;
        let part = &mut self.parts[place];
        let most = (0..part.idle.len()).max_by_key(|at| part.idle[*at].left)?;
        let range = part.idle.swap_remove(most);
        part.in_flight += 1;
        part.left_in_flight += range.left;
        Some((place, range))
    }

    async fn arrived(
        &mut self,
        run: &SyncRun,
        place: usize,
        range: Range,
        page: FetchedPage,
        steps: &mpsc::Sender<Step>,
    ) -> Result<(), SyncError> {
        let part = &mut self.parts[place];
        part.in_flight -= 1;
        part.left_in_flight -= range.left;
        part.pages += 1;
        let seen = PageSeen {
            objects: page.objects.len() as i64,
            newest: page.objects.first().and_then(PagedObject::second),
            oldest: page.objects.last().and_then(PagedObject::second),
            last_id: page.objects.last().map(|object| object.id.clone()),
            has_more: page.has_more,
        };
        if let Some(oldest) = seen.oldest {
            let known = self.oldest_of.entry(part.kind).or_insert(oldest);
            *known = oldest.min(*known);
        }
        let outlook =
            Outlook { open: part.open() + 1, pages: part.pages, oldest: self.oldest, next_number: part.next_number };
        let advanced = range::advance(&range, &seen, outlook);
        let mut ranges = vec![range_update(part.kind, &advanced.range)];
        if let Some(older) = advanced.older {
            part.next_number += 1;
            ranges.push(range_update(part.kind, &older));
            part.idle.push(older);
        }
        if !advanced.range.done {
            part.idle.push(advanced.range);
        }
        let mut update = if part.state.is_hindered() {
            // This page was under way when its kind was hindered: it counts, and changes nothing about that.
            part_state(part.kind, part.state, part.reason.clone(), part.left())
        } else if part.open() == 0 {
            part.state = PartState::Complete;
            if let Some(oldest) = self.oldest_of.get(&part.kind) {
                self.oldest = Some(self.oldest.map_or(*oldest, |known| known.min(*oldest)));
            }
            ended(part)
        } else {
            part_state(part.kind, part.state, None, part.left())
        };
        (update.objects, update.pages) = (seen.objects, 1);
        let scope = run.mirror.scope_of(run.connection());
        hand_on(steps, Step { page: Some((scope, page)), ranges, part: update }).await
    }

    /// Decides what an error means: for its span, for its kind, or for the whole sync, which it then answers.
    async fn hindered(
        &mut self,
        place: usize,
        range: Range,
        error: &GatewayError,
        steps: &mpsc::Sender<Step>,
    ) -> Result<Option<SyncError>, SyncError> {
        let part = &mut self.parts[place];
        part.in_flight -= 1;
        part.left_in_flight -= range.left;
        if range.cursor.is_some() && is_lost_cursor(error) {
            part.idle.push(range::without_cursor(&range));
            return Ok(None);
        }
        let state = match error.class() {
            Some(ErrorClass::Permission { .. }) => PartState::Forbidden,
            Some(ErrorClass::RateLimited { .. } | ErrorClass::LockTimeout) => {
                part.idle.push(range);
                part.throttled += 1;
                if part.throttled <= THROTTLED_TRIES {
                    return Ok(None);
                }
                PartState::Throttled
            }
            Some(ErrorClass::InvalidRequest | ErrorClass::NotFound) => PartState::Failed,
            _ => {
                part.idle.push(range);
                return Ok(Some(SyncError::of_call(error)));
            }
        };
        if part.state != state {
            let reason: String = error.to_string().chars().take(500).collect();
            tracing::warn!(kind = %part.kind, reason, "a kind of objects cannot be listed; the others go on");
            (part.state, part.reason) = (state, Some(reason));
            let update = part_state(part.kind, state, part.reason.clone(), part.left());
            hand_on(steps, Step { page: None, ranges: Vec::new(), part: update }).await?;
        }
        Ok(None)
    }
}

fn ended(part: &Part) -> PartUpdate {
    part_state(part.kind, PartState::Complete, None, 0)
}

/// Hands a step to the absorbing task; if that has ended, its own error tells why.
async fn hand_on(steps: &mpsc::Sender<Step>, step: Step) -> Result<(), SyncError> {
    steps.send(step).await.map_err(|_| SyncError::Again("absorbing pages has stopped".to_owned()))
}

/// The object behind the cursor is gone, and Stripe says so in either of two ways.
fn is_lost_cursor(error: &GatewayError) -> bool {
    error.api_error().is_some_and(|error| {
        error.code.as_deref() == Some("resource_missing") || error.param.as_deref() == Some("starting_after")
    })
}

pub(crate) fn range_update(kind: ObjectKind, range: &Range) -> RangeUpdate {
    RangeUpdate {
        kind: kind.object_name(),
        number: range.number,
        from: range.from,
        to: range.to,
        cursor: range.cursor.clone(),
        pages: range.pages,
        objects: range.objects,
        done: range.done,
    }
}

async fn fetch(run: &SyncRun, kind: ObjectKind, range: &Range) -> Result<FetchedPage, GatewayError> {
    let created = CreatedRange {
        from: range.from.map(Time::from_seconds),
        until: Some(Time::from_seconds(range.to)),
        ..CreatedRange::default()
    };
    let list = ListParams { starting_after: range.cursor.clone(), created, ..ListParams::default() };
    let answer = run.call(stripe::api::list(kind, &list)).await?;
    FetchedPage::read(answer).map_err(GatewayError::Stripe)
}

/// Absorbs pages as they come, as many at once as have queued up.
async fn absorb_steps(run: SyncRun, mut arriving: mpsc::Receiver<Step>) -> Result<(), SyncError> {
    let mut steps = Vec::with_capacity(PAGES_IN_A_COMMIT);
    while arriving.recv_many(&mut steps, PAGES_IN_A_COMMIT).await > 0 {
        absorb(&run, &steps).await?;
        steps.clear();
    }
    Ok(())
}

async fn absorb(run: &SyncRun, steps: &[Step]) -> Result<(), SyncError> {
    let (tenant, connection) = (run.connection().tenant, &run.connection().id);
    let now = run.base().now();
    let mut observations: Vec<Observation<'_>> = Vec::new();
    for (_, page) in steps.iter().filter_map(|step| step.page.as_ref()) {
        observations.extend(page.observations(Source::List, Interval::of_fetch(page.began, page.ended)));
    }
    let mut tx = run.begin().await?;
    if let Some((scope, _)) = steps.iter().find_map(|step| step.page.as_ref()) {
        run.mirror.absorb(&mut tx, scope, &observations).await?;
    }
    let ranges = last_of_each(steps.iter().flat_map(|step| &step.ranges).cloned());
    syncs::save_ranges(&mut tx, tenant, &run.sync, &ranges).await?;
    syncs::save_parts(&mut tx, tenant, &run.sync, &sum_of_each(steps)).await?;
    let calls = steps.iter().filter(|step| step.page.is_some()).count() as i64;
    syncs::add_figures(&mut tx, tenant, &run.sync, Figures { calls, ..Figures::default() }).await?;
    for part in steps.iter().map(|step| &step.part) {
        let (state, reason) = (part.state, part.reason.as_deref());
        if state == PartState::Complete || state.is_hindered() {
            // What was asked for when the part was made: the days of history may have changed since.
            let from = syncs::part_from(&mut tx, tenant, &run.sync, part.kind).await?;
            let until = (state == PartState::Complete).then_some(run.ceiling);
            let covered = Covered { kind: part.kind, state, reason, from: from.map(Time::from_seconds), until };
            streams::cover(&mut tx, tenant, connection, covered, now).await?;
        }
    }
    tx.wake(crate::WAKE);
    tx.commit().await?;
    metrics::counter!("bursar_mirror_listed_objects").increment(observations.len() as u64);
    Ok(())
}

/// One statement cannot write a row twice, and the last word about a span holds.
fn last_of_each(updates: impl Iterator<Item = RangeUpdate>) -> Vec<RangeUpdate> {
    let mut last: HashMap<(&'static str, i64), RangeUpdate> = HashMap::new();
    for update in updates {
        last.insert((update.kind, update.number), update);
    }
    last.into_values().collect()
}

fn sum_of_each(steps: &[Step]) -> Vec<PartUpdate> {
    let mut sums: Vec<PartUpdate> = Vec::new();
    for update in steps.iter().map(|step| &step.part) {
        match sums.iter_mut().find(|sum| sum.kind == update.kind) {
            Some(sum) => {
                sum.objects += update.objects;
                sum.pages += update.pages;
                sum.remaining = update.remaining;
                // A page that was under way when its kind was hindered does not make it go on.
                if !sum.state.is_hindered() {
                    (sum.state, sum.reason) = (update.state, update.reason.clone());
                }
            }
            None => sums.push(update.clone()),
        }
    }
    sums
}
