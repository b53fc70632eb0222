//! What is compared: the mirror against Stripe's own objects, figures against Stripe's own books, and the rows of two runs.

use crate::{DrillError, Scene};
use kit::{Currency, PageRequest};
use revenue::TieOut;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use stripe::ObjectKind;

/// Differences are all counted, and so many told.
const MOST_TOLD: usize = 10;

/// What differs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Differences {
    /// How many.
    pub count: u64,
    /// The first of them, in words.
    pub told: Vec<String>,
}

impl Differences {
    fn add(&mut self, what: impl FnOnce() -> String) {
        self.count += 1;
        if self.told.len() < MOST_TOLD {
            self.told.push(what());
        }
    }

    /// Both together.
    pub fn and(mut self, other: Differences) -> Differences {
        self.count += other.count;
        self.told.extend(other.told);
        self.told.truncate(MOST_TOLD);
        self
    }
}

/// An object as the mirror holds it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mirrored {
    /// It is gone at Stripe.
    pub deleted: bool,
    /// What it says, or said last.
    pub body: Value,
}

/// What a node holds in the end.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EndState {
    /// Every mirrored object, by kind and id.
    pub objects: BTreeMap<(String, String), Mirrored>,
    /// Every row of revenue, as a line.
    pub rows: Vec<String>,
}

impl EndState {
    /// Reads it through the node's own slices.
    ///
    /// # Errors
    /// The database's.
    pub async fn of(scene: &Scene) -> Result<EndState, DrillError> {
        let parts = scene.parts()?;
        let summary = parts.mirror.summary(scene.tenant).await;
        let summary = summary.map_err(|error| DrillError::refused("the mirror", error))?;
        let mut objects = BTreeMap::new();
        for kind in summary.kinds {
            let mut request = PageRequest { limit: Some(kit::paging::MAX_LIMIT), cursor: None };
            loop {
                let page = parts.mirror.objects(scene.tenant, &kind.object_type, &request).await;
                let page = page.map_err(|error| DrillError::refused("the mirror", error))?;
                for row in page.data {
                    let body = serde_json::from_str(&row.body).unwrap_or(Value::Null);
                    objects.insert((row.object_type, row.id), Mirrored { deleted: row.deleted, body });
                }
                request.cursor = page.next_cursor;
                if request.cursor.is_none() {
                    break;
                }
            }
        }
        let rows = parts.revenue.rows(scene.tenant).await;
        Ok(EndState { objects, rows: rows.map_err(|error| DrillError::refused("revenue", error))? })
    }

    /// What two runs do not hold alike.
    pub fn differences(&self, other: &EndState) -> Differences {
        let mut found = Differences::default();
        let ids: BTreeSet<_> = self.objects.keys().chain(other.objects.keys()).collect();
        for id in ids {
            let known = |state: &EndState| {
                state.objects.get(id).map(|object| (object.deleted, comparable(&id.0, &object.body)))
            };
            if known(self) != known(other) {
                let said = |state: &EndState| state.objects.get(id).map_or(Value::Null, |it| it.body.clone());
                found.add(|| format!("{id:?}: {}", members(&said(self), &said(other))));
            }
        }
        let (ours, theirs): (BTreeSet<_>, BTreeSet<_>) = (self.rows.iter().collect(), other.rows.iter().collect());
        for line in ours.symmetric_difference(&theirs) {
            found.add(|| format!("only in one: {line}"));
        }
        found
    }

    /// What the mirror holds otherwise than Stripe: objects that are missing, too many, or say something else.
    ///
    /// # Errors
    /// The simulator's.
    pub fn differences_to_stripe(&self, scene: &Scene) -> Result<Differences, DrillError> {
        let mut found = Differences::default();
        let listed = ObjectKind::ALL.map(ObjectKind::object_name);
        let kinds: BTreeSet<&str> = self.objects.keys().map(|(kind, _)| kind.as_str()).chain(listed).collect();
        for kind in kinds {
            let theirs = scene.simulator.objects(&scene.account.account_id, false, kind)?;
            let theirs: BTreeMap<String, Value> = theirs
                .iter()
                .filter_map(|text| serde_json::from_str::<Value>(text).ok())
                .filter_map(|body| Some((body["id"].as_str()?.to_owned(), body)))
                .collect();
            let ours = self.objects.iter().filter(|((object_type, _), _)| object_type == kind);
            for ((_, id), mirrored) in ours {
                match (theirs.get(id), mirrored.deleted) {
                    (None, true) => {}
                    (Some(body), false) if comparable(kind, body) == comparable(kind, &mirrored.body) => {}
                    (theirs, deleted) => found.add(|| {
                        let gone = if deleted { " (gone)" } else { "" };
                        format!("{kind} {id}{gone}: {}", members(&mirrored.body, theirs.unwrap_or(&Value::Null)))
                    }),
                }
            }
            if listed.contains(&kind) {
                for id in theirs.keys().filter(|id| !self.objects.contains_key(&(kind.to_owned(), (*id).clone()))) {
                    found.add(|| format!("{kind} {id} is not mirrored"));
                }
            }
        }
        Ok(found)
    }
}

/// The members in which two objects differ.
fn members(one: &Value, other: &Value) -> String {
    let names =
        |value: &Value| value.as_object().map(|it| it.keys().cloned().collect::<BTreeSet<_>>()).unwrap_or_default();
    let (ours, theirs) = (names(one), names(other));
    if ours.is_empty() || theirs.is_empty() {
        let there = |names: &BTreeSet<String>| if names.is_empty() { "missing" } else { "there" };
        return format!("{} and {}", there(&ours), there(&theirs));
    }
    let differing = ours.union(&theirs).filter(|name| one[name.as_str()] != other[name.as_str()]);
    let told = differing.map(|name| format!("{name} {} and {}", one[name.as_str()], other[name.as_str()]));
    told.collect::<Vec<_>>().join("; ")
}

/// Members that change without an event: only a look at the object tells. No figure is made of them.
const SILENT: [(&str, &str); 4] = [
    ("balance_transaction", "status"),
    ("customer", "next_invoice_sequence"),
    ("customer", "currency"),
    // At Stripe it stands in `invoice.created`; the simulator sets it after it has told of the draft.
    ("invoice", "automatically_finalizes_at"),
];

/// What can be known of an object.
fn comparable(kind: &str, body: &Value) -> Value {
    let mut body = body.clone();
    if let Some(members) = body.as_object_mut() {
        // What opens a payment is kept nowhere.
        members.retain(|name, _| name != "client_secret" && !SILENT.contains(&(kind, name.as_str())));
    }
    body
}

/// What figures say otherwise than Stripe's own books, and what the tie-out finds, to the cent.
///
/// # Errors
/// The database's and the simulator's.
pub async fn money_differences(scene: &Scene) -> Result<Differences, DrillError> {
    let parts = scene.parts()?;
    let books = scene.simulator.totals(&scene.account.account_id, false)?;
    let totals = parts.revenue.totals(scene.tenant).await;
    let totals = totals.map_err(|error| DrillError::refused("totals", error))?;
    let mut found = Differences::default();
    for (currency, presented) in &books.presented {
        let ours = totals.iter().find(|total| is(total.currency, currency));
        let ours = ours.map(|total| (total.gross_minor, total.refunds_minor)).unwrap_or_default();
        let theirs = (presented.charged, presented.refunded);
        if ours != theirs {
            found.add(|| format!("taken and given back in {currency}: {ours:?}, and {theirs:?} at Stripe"));
        }
    }
    let tie_out = parts.revenue.tie_out(scene.tenant).await;
    let tie_out = tie_out.map_err(|error| DrillError::refused("the tie-out", error))?;
    for difference in &tie_out.differences {
        found.add(|| format!("the tie-out finds {difference:?}"));
    }
    if tie_out.difference_count > tie_out.differences.len() as i64 || tie_out.awaited > 0 {
        found.add(|| format!("{} differences, {} awaited", tie_out.difference_count, tie_out.awaited));
    }
    for (currency, settled) in &books.settled {
        let theirs = [
            settled.gross,
            settled.refunds,
            settled.disputes - settled.dispute_reversals,
            settled.fees,
            settled.net,
            settled.payouts,
        ];
        let ours = balance_of(&tie_out, currency);
        if ours != theirs {
            found.add(|| {
                format!(
                    "charges, refunds, disputes, fees, net, payouts in {currency}: {ours:?}, and {theirs:?} at Stripe"
                )
            });
        }
    }
    Ok(found)
}

fn is(currency: Currency, code: &str) -> bool {
    currency.code().eq_ignore_ascii_case(code)
}

/// The balance's sums in one currency, with what was converted on its way.
fn balance_of(tie_out: &TieOut, currency: &str) -> [i64; 6] {
    const PAYMENTS: [&str; 5] = ["charge", "refund", "refund_failure", "dispute", "dispute_reversal"];
    let converted = |kinds: &[&str]| -> i64 {
        let of = tie_out.converted.iter().filter(|it| is(it.to, currency) && kinds.contains(&it.kind));
        of.map(|it| it.to_minor).sum()
    };
    let Some(row) = tie_out.rows.iter().find(|row| is(row.currency, currency)) else { return [0; 6] };
    [
        row.charges.balance_minor + converted(&["charge"]),
        row.refunds.balance_minor - converted(&["refund", "refund_failure"]),
        row.disputes.balance_minor - converted(&["dispute", "dispute_reversal"]),
        row.fees.balance_minor,
        row.net.balance_minor + converted(&PAYMENTS),
        row.payouts.balance_minor,
    ]
}

/// Events that syncs have found that nobody had delivered.
pub(crate) async fn found(scene: &Scene) -> Result<i64, DrillError> {
    let parts = scene.parts()?;
    let (mut sum, mut request) = (0, PageRequest::default());
    loop {
        let page = parts.mirror.sync_jobs(scene.tenant, &scene.connection.id, &request).await;
        let page = page.map_err(|error| DrillError::refused("the syncs", error))?;
        sum += page.data.iter().map(|sync| sync.events_found).sum::<i64>();
        request.cursor = page.next_cursor;
        if request.cursor.is_none() {
            return Ok(sum);
        }
    }
}
