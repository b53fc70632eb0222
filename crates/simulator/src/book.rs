//! Everything one account holds in one mode: its objects, its books of money, and what falls due when time passes.

use crate::{
    books::Totals,
    cli_session::Listeners,
    json::{integer_member, plain_member},
    resources::{ALL, Kind, event::Hook},
    search::Unindexed,
    table::Table,
};
use kit::Secret;
use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    sync::Arc,
};

/// Something that happens when its second has come.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Due {
    /// A balance transaction's money becomes available.
    Available(Box<str>),
    /// A payout arrives.
    Arrive(Box<str>),
    /// An unpaid renewal is tried again.
    Collect(Box<str>),
    /// A subscription's period ends.
    Renew(Box<str>),
    /// A draft that advances by itself is finalised, about an hour after it was made.
    Finalize(Box<str>),
    /// A subscription whose first invoice is unpaid for 23 hours expires.
    Expire(Box<str>),
    /// A trial ends in three days.
    TrialEnding(Box<str>),
    /// A refund that waits is decided by the bank.
    Refund(Box<str>),
    /// A test clock has lived its days.
    DeleteClock(Box<str>),
}

/// A test clock: time of its own for the subscriptions and invoices of its customers (FACTS section 11).
#[derive(Debug, Default)]
pub(crate) struct Clock {
    /// The second at which it stands.
    pub(crate) frozen: i64,
    /// What happens when it is advanced.
    pub(crate) due: BTreeSet<(i64, Due)>,
}

/// Money of one currency that waits for a payout: net amounts by (available on, balance transaction).
pub(crate) type Unpaid = BTreeMap<(i64, Box<str>), i64>;

/// One account in one mode.
pub(crate) struct Book {
    pub(crate) account: Arc<str>,
    pub(crate) livemode: bool,
    tables: Vec<Table>,
    /// Sums kept while money is moved, independent of the objects.
    pub(crate) totals: Totals,
    /// Balance transactions that no payout has taken yet, by currency: (available on, id) and net amount.
    pub(crate) unpaid: BTreeMap<Box<str>, Unpaid>,
    /// What happens when time passes.
    pub(crate) due: BTreeSet<(i64, Due)>,
    /// The test clocks, by id.
    pub(crate) clocks: BTreeMap<Box<str>, Clock>,
    /// What searches do not see yet.
    pub(crate) unindexed: Unindexed,
    /// How far the event list of v2 lags.
    pub(crate) event_lag_seconds: i64,
    /// When automatic payouts were last made.
    pub(crate) paid_out_until: i64,
    /// Whether automatic payouts are made on Mondays only.
    pub(crate) weekly_payouts: bool,
    /// The webhook endpoints that are enabled, ready to be matched with events.
    pub(crate) hooks: Vec<Hook>,
    /// Sessions of the official CLI, which are told of every event.
    pub(crate) listeners: Listeners,
    /// Signing secrets of the webhook endpoints, by id: shown once and never part of the object.
    pub(crate) secrets: HashMap<String, Secret>,
}

impl Book {
    pub(crate) fn new(account: Arc<str>, livemode: bool) -> Book {
        Book {
            account,
            livemode,
            tables: ALL.iter().map(|resource| Table::new(resource.facets)).collect(),
            totals: Totals::default(),
            unpaid: BTreeMap::new(),
            due: BTreeSet::new(),
            clocks: BTreeMap::new(),
            unindexed: Unindexed::default(),
            event_lag_seconds: 0,
            paid_out_until: 0,
            weekly_payouts: false,
            hooks: Vec::new(),
            listeners: Listeners::default(),
            secrets: HashMap::new(),
        }
    }

    /// The objects of one kind.
    pub(crate) fn table(&self, kind: Kind) -> &Table {
        &self.tables[kind as usize]
    }

    /// The objects of one kind, to change marks on them.
    pub(crate) fn table_mut(&mut self, kind: Kind) -> &mut Table {
        &mut self.tables[kind as usize]
    }

    /// The text of an object.
    pub(crate) fn get(&self, kind: Kind, id: &str) -> Option<&Arc<str>> {
        self.table(kind).get(id)
    }

    /// Whichever object has this id.
    pub(crate) fn find(&self, id: &str) -> Option<&Arc<str>> {
        self.tables.iter().find_map(|table| table.get(id))
    }

    /// Adds or replaces an object. `now` is its time of creation if its text says none.
    pub(crate) fn put(&mut self, kind: Kind, text: impl Into<Arc<str>>, now: i64) -> Arc<str> {
        let text = text.into();
        let id = plain_member(&text, "id").unwrap_or_default().into_owned();
        let created = created(kind, &text).unwrap_or(now);
        if kind == Kind::Subscription {
            self.schedule_renewal(&id, &text);
        }
        self.table_mut(kind).put(&id, created, text.clone());
        text
    }

    fn schedule_renewal(&mut self, id: &str, text: &str) {
        let old = self.get(Kind::Subscription, id).and_then(|text| renewal(text));
        let clock = plain_member(text, "test_clock");
        if let Some(old) = old {
            self.due_of(clock.as_deref()).remove(&(old, Due::Renew(id.into())));
        }
        if let Some(new) = renewal(text) {
            self.due_of(clock.as_deref()).insert((new, Due::Renew(id.into())));
        }
    }

    /// What is due by a test clock, or by the simulator's own time.
    pub(crate) fn due_of(&mut self, clock: Option<&str>) -> &mut BTreeSet<(i64, Due)> {
        match clock.and_then(|clock| self.clocks.get_mut(clock)) {
            Some(clock) => &mut clock.due,
            None => &mut self.due,
        }
    }

    /// What is due by `now`, earliest first, taken off the list.
    pub(crate) fn next_due(&mut self, now: i64) -> Option<(i64, Due)> {
        match self.due.first() {
            Some((at, _)) if *at <= now => self.due.pop_first(),
            _ => None,
        }
    }

    /// How many objects there are of each kind.
    pub(crate) fn counts(&self) -> impl Iterator<Item = (&'static str, usize)> {
        ALL.iter().map(|resource| (resource.object, self.table(resource.kind).len()))
    }
}

/// The second of creation that an object says, if it does.
fn created(kind: Kind, text: &str) -> Option<i64> {
    match kind {
        Kind::InvoiceItem => integer_member(text, "date"),
        Kind::InvoiceLine => None,
        _ => integer_member(text, "created"),
    }
}

/// When a subscription has to be renewed or ended, if it goes on.
fn renewal(text: &str) -> Option<i64> {
    let status = plain_member(text, "status")?;
    if !matches!(status.as_ref(), "active" | "trialing" | "past_due") {
        return None;
    }
    let items = crate::json::member(text, "items.data")?;
    let first = items.strip_prefix('[')?;
    let end = integer_member(first, "current_period_end")?;
    Some(integer_member(text, "cancel_at").map_or(end, |cancel_at| cancel_at.min(end)))
}
