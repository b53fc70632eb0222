//! The one door in: a batch of observations becomes the newest known version of each object, and each feature's
//! projection is told what changed, all in the caller's transaction.
//!
//! A batch costs a handful of statements whatever its size: one that looks up what is known, one that writes the bodies
//! that changed, one that moves the marks of those that did not, one for the counts, and what the projections need.

use crate::{
    Change, MirrorError, Observation, Projection, Scope, Version, jobs,
    observation::CLOCK_TOLERANCE,
    order::merge,
    reread,
    store::{
        objects::{self, CountChange, Stored, Touched, Wanted, Written},
        rebuilds,
        rereads::{self, NewReread},
    },
};
use platform::Base;
use std::{collections::HashMap, sync::Arc, time::Duration};
use store::TenantTx;

/// What a batch did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Absorbed {
    /// Objects that were not known.
    pub new: u64,
    /// Objects that now say something else.
    pub changed: u64,
    /// Objects that say what was known.
    pub same: u64,
    /// Of these, objects of which only older versions were in the batch.
    pub older: u64,
    /// Objects that have to be read again, because nobody knows which of two versions is newer.
    pub contested: u64,
}

impl Absorbed {
    /// Both together.
    pub fn and(self, other: Absorbed) -> Absorbed {
        Absorbed {
            new: self.new + other.new,
            changed: self.changed + other.changed,
            same: self.same + other.same,
            older: self.older + other.older,
            contested: self.contested + other.contested,
        }
    }
}

/// What absorbs: the store and the projections. [`Mirror`](crate::Mirror) holds one; tests of projections make their own.
#[derive(Clone)]
pub struct Absorber {
    base: Base,
    projections: Arc<[Arc<dyn Projection>]>,
}

impl Absorber {
    /// An absorber that tells these projections.
    pub fn new(base: Base, projections: Vec<Arc<dyn Projection>>) -> Absorber {
        Absorber { base, projections: projections.into() }
    }

    /// The projections that are told.
    pub fn projections(&self) -> &[Arc<dyn Projection>] {
        &self.projections
    }

    pub(crate) fn base(&self) -> &Base {
        &self.base
    }

    /// Absorbs a batch. If it fails the caller has to roll back; nothing of it may be kept.
    pub async fn absorb(
        &self,
        tx: &mut TenantTx,
        scope: &Scope,
        observations: &[Observation<'_>],
    ) -> Result<Absorbed, MirrorError> {
        if observations.is_empty() {
            return Ok(Absorbed::default());
        }
        let (tenant, account) = (tx.tenant(), scope.account_id.as_str());
        let mut objects = group(observations);
        objects::lock_account(tx, self.base.store.engine(), tenant, account).await?;

        let wanted: Vec<Wanted<'_>> = objects.iter().map(Object::wanted).collect();
        let known = objects::find(tx, tenant, account, &wanted).await?;
        let mut known: HashMap<(String, String), Stored> =
            known.into_iter().map(|stored| ((stored.object_type.clone(), stored.id.clone()), stored)).collect();
        if !known.is_empty() {
            for object in &mut objects {
                object.stored = known.remove(&(object.kind.to_owned(), object.id.to_owned()));
            }
        }

        let mut batch = Batch::default();
        for object in &objects {
            batch.settle(object);
        }
        objects::write(tx, tenant, account, &batch.written, &batch.bodies).await?;
        objects::touch(tx, tenant, account, &batch.touched).await?;
        objects::count(tx, tenant, account, &batch.counts, self.base.now()).await?;
        self.ask_again(tx, scope, batch.contested).await?;
        let rebuilds =
            if batch.changes.is_empty() { Vec::new() } else { rebuilds::running(tx, tenant, account).await? };
        for projection in &*self.projections {
            let kinds = projection.objects();
            let rebuild = rebuilds.iter().find(|rebuild| rebuild.projection == projection.name());
            let changes: Vec<Change<'_>> = batch
                .changes
                .iter()
                .filter(|change| kinds.contains(&change.object_type))
                .filter(|change| rebuild.is_none_or(|rebuild| rebuild.has_passed(change.object_type, change.id)))
                .map(|change| Change { account_id: account, ..*change })
                .collect();
            if !changes.is_empty() {
                projection.apply(tx, scope, &changes).await?;
            }
        }
        Ok(batch.outcome)
    }

    /// Has contested objects read again, as soon as an answer must be newer than everything that was seen.
    async fn ask_again(
        &self,
        tx: &mut TenantTx,
        scope: &Scope,
        contested: Vec<(&str, &str, kit::Time)>,
    ) -> Result<(), MirrorError> {
        let rows: Vec<NewReread> = contested
            .into_iter()
            .filter(|(kind, id, _)| reread::can_read(kind, id))
            .map(|(kind, id, seen_end)| NewReread {
                account: scope.account_id.clone(),
                kind: kind.to_owned(),
                id: id.to_owned(),
                reason: "contested",
                due: (seen_end + CLOCK_TOLERANCE + Duration::from_micros(1)).micros(),
            })
            .collect();
        self.read_again(tx, scope, &rows).await
    }

    /// Has objects read again by a job.
    pub(crate) async fn read_again(
        &self,
        tx: &mut TenantTx,
        scope: &Scope,
        rows: &[NewReread],
    ) -> Result<(), MirrorError> {
        let Some(first) = rows.iter().map(|row| row.due).min() else { return Ok(()) };
        let tenant = tx.tenant();
        rereads::add(tx, tenant, &scope.connection_id, rows).await?;
        jobs::enqueue_reread(tx, &self.base, &scope.connection_id, kit::Time::from_micros(first)).await?;
        Ok(())
    }
}

/// One object of the batch: what was seen of it, and what was known.
struct Object<'a> {
    kind: &'a str,
    id: &'a str,
    seen: Vec<&'a Observation<'a>>,
    stored: Option<Stored>,
}

fn group<'a>(observations: &'a [Observation<'a>]) -> Vec<Object<'a>> {
    let mut places: HashMap<(&str, &str), usize> = HashMap::with_capacity(observations.len());
    let mut objects: Vec<Object<'a>> = Vec::with_capacity(observations.len());
    for observation in observations {
        let (kind, id) = (observation.object_type, observation.id);
        let place = *places.entry((kind, id)).or_insert_with(|| {
            objects.push(Object { kind, id, seen: Vec::with_capacity(1), stored: None });
            objects.len() - 1
        });
        objects[place].seen.push(observation);
    }
    // The same order everywhere, so that two transactions that count kinds do not wait for each other in a circle.
    objects.sort_by(|one, other| (one.kind, one.id).cmp(&(other.kind, other.id)));
    objects
}

impl<'a> Object<'a> {
    fn wanted(&self) -> Wanted<'a> {
        // A deletion changes the object however old it is, and what it was must be told to the projections.
        let newest = |it: &&Observation<'_>| if it.deleted { i64::MAX } else { it.seen.end.micros() };
        let newest = self.seen.iter().map(newest).max().unwrap_or(i64::MAX);
        Wanted { kind: self.kind, id: self.id, newest }
    }
}

/// Where the body of an object is from.
#[derive(Clone, Copy)]
enum Body<'a> {
    /// It was there; none where it was not read because everything in the batch is older.
    Stored(Option<&'a str>),
    /// It came with the batch.
    Incoming(&'a Observation<'a>),
}

impl<'a> Body<'a> {
    fn text(&self) -> &'a str {
        match self {
            Body::Stored(text) => text.unwrap_or_default(),
            Body::Incoming(observation) => observation.body,
        }
    }
}

/// What the batch will write and tell.
#[derive(Default)]
struct Batch<'a> {
    written: Vec<Written<'a>>,
    bodies: Vec<u8>,
    touched: Vec<Touched<'a>>,
    counts: Vec<CountChange>,
    contested: Vec<(&'a str, &'a str, kit::Time)>,
    changes: Vec<Change<'a>>,
    outcome: Absorbed,
}

impl<'a> Batch<'a> {
    /// Decides what becomes of one object.
    fn settle(&mut self, object: &'a Object<'a>) {
        let before = object.stored.as_ref().map(|stored| (stored.version(), stored.body.as_deref()));
        let mut state = before.map(|(version, body)| (version, Body::Stored(body)));
        let mut newly_contested = false;
        for observation in &object.seen {
            state = Some(match state {
                None => (version_of(observation), Body::Incoming(observation)),
                Some((version, body)) => {
                    let incoming = version_of(observation);
                    let is_older = !incoming.stub && !version.stub && incoming.seen.end < version.seen.begin;
                    let same = is_older || same_body(body.text(), observation.body);
                    let merged = merge(&version, &incoming, same, body.text().cmp(observation.body));
                    newly_contested |= merged.version.contested && !same;
                    (merged.version, if merged.take_incoming { Body::Incoming(observation) } else { body })
                }
            });
        }
        let Some((version, body)) = state else { return };
        // What stays contested and was seen again later needs a still later look: the one that was asked for may begin
        // before this end, say the same, and leave it contested for ever (test `what_stays_contested_is_read_later`).
        let stays = before.is_some_and(|(it, _)| it.contested && it.seen.end < version.seen.end);
        if version.contested && (newly_contested || stays) {
            self.contested.push((object.kind, object.id, version.seen.end));
            self.outcome.contested += u64::from(newly_contested);
        }
        self.count(object.kind, before.map(|it| it.0), version);

        let deleted_before = before.is_some_and(|(version, _)| version.deleted);
        let says_else = match (before, body) {
            (None, _) => true,
            (Some(_), Body::Stored(_)) => false,
            (Some((_, stored)), Body::Incoming(observation)) => {
                !same_body(stored.unwrap_or_default(), observation.body)
            }
        };
        match before {
            None => self.outcome.new += 1,
            Some(_) if says_else || version.deleted != deleted_before => self.outcome.changed += 1,
            Some((version, _)) => {
                let older = |it: &&Observation<'_>| it.seen.end < version.seen.begin;
                self.outcome.same += 1;
                self.outcome.older += u64::from(object.seen.iter().all(older));
            }
        }
        if let (true, Body::Incoming(observation)) = (says_else, body) {
            self.write(object, observation, version);
        } else if before.is_some_and(|(before, _)| before != version) {
            self.touched.push(Touched {
                kind: object.kind,
                id: object.id,
                begin: version.seen.begin.micros(),
                end: version.seen.end.micros(),
                deleted: version.deleted,
                contested: version.contested,
            });
        }
        if says_else || version.deleted != deleted_before {
            self.changes.push(Change {
                account_id: "",
                object_type: object.kind,
                id: object.id,
                before: before.and_then(|it| it.1),
                after: if says_else { body.text() } else { before.and_then(|it| it.1).unwrap_or_default() },
                deleted_before,
                deleted_after: version.deleted,
            });
        }
    }

    fn write(&mut self, object: &Object<'a>, observation: &Observation<'a>, version: Version) {
        let at = self.bodies.len() + 1;
        self.bodies.extend_from_slice(observation.body.as_bytes());
        self.written.push(Written {
            kind: object.kind,
            id: object.id,
            created: observation.created.map(kit::Time::micros),
            begin: version.seen.begin.micros(),
            end: version.seen.end.micros(),
            deleted: version.deleted,
            contested: version.contested,
            stub: version.stub,
            at,
            length: observation.body.len(),
        });
    }

    fn count(&mut self, kind: &str, before: Option<Version>, after: Version) {
        let deleted = i64::from(after.deleted) - i64::from(before.is_some_and(|it| it.deleted));
        let contested = i64::from(after.contested) - i64::from(before.is_some_and(|it| it.contested));
        if before.is_some() && deleted == 0 && contested == 0 {
            return;
        }
        // Objects come sorted by kind, so it is the last one or a new one.
        if self.counts.last().is_none_or(|last| last.kind != kind) {
            self.counts.push(CountChange { kind: kind.to_owned(), ..CountChange::default() });
        }
        if let Some(last) = self.counts.last_mut() {
            last.objects += i64::from(before.is_none());
            last.deleted += deleted;
            last.contested += contested;
        }
    }
}

fn version_of(observation: &Observation<'_>) -> Version {
    Version { seen: observation.seen, deleted: observation.deleted, contested: false, stub: observation.stub }
}

/// Whether two bodies say the same. Stripe indents webhooks and lists differently, so differing bytes prove nothing.
fn same_body(one: &str, other: &str) -> bool {
    if one == other {
        return true;
    }
    let read = |text: &str| serde_json::from_str::<serde_json::Value>(text).ok();
    matches!((read(one), read(other)), (Some(one), Some(other)) if one == other)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bodies_are_compared_by_what_they_say() {
        let check = |one: &str, other: &str, same: bool| assert_eq!(same_body(one, other), same, "{one} {other}");
        check("", "", true);
        check(r#"{"a":1,"b":[1,2]}"#, "{\n  \"b\": [1, 2],\n  \"a\": 1\n}", true);
        check(r#"{"a":"\u00e9"}"#, r#"{"a":"é"}"#, true);
        check(r#"{"a":1}"#, r#"{"a":1.0}"#, false);
        check(r#"{"a":[1,2]}"#, r#"{"a":[2,1]}"#, false);
        check("{", "[", false);
    }
}
