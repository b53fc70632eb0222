//! What a batch of changed objects does to revenue's tables. Pure: all that is written follows from the objects before
//! and after, so that any order of changes ends in the same rows.

use crate::{
    fact::{Fact, FactKind, Unreadable, facts_of},
    movement::Movement,
    sale::{Link, Sale, SoldLine, link_of, product_name, sale_of},
};
use kit::Currency;
use mirror::Change;
use std::{
    borrow::Cow,
    collections::{BTreeMap, BTreeSet},
};

/// By how much one day's totals in one currency change.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct DailyDelta {
    pub(crate) gross_minor: i64,
    pub(crate) refunds_minor: i64,
    pub(crate) disputes_minor: i64,
    pub(crate) fees_minor: i64,
    pub(crate) charges: i64,
    pub(crate) refunds: i64,
    pub(crate) disputes: i64,
    pub(crate) fees: i64,
    /// What the day's charges were for has to be found out again.
    pub(crate) stale: bool,
}

/// Everything a batch writes and removes.
#[derive(Debug, Default)]
pub(crate) struct Effects<'a> {
    pub(crate) facts: Vec<Fact<'a>>,
    pub(crate) facts_gone: Vec<FactKey<'a>>,
    pub(crate) movements: Vec<Movement<'a>>,
    pub(crate) movements_gone: Vec<Cow<'a, str>>,
    pub(crate) sales: Vec<(Cow<'a, str>, Vec<SoldLine>)>,
    pub(crate) sales_gone: Vec<Cow<'a, str>>,
    pub(crate) links: Vec<Link<'a>>,
    pub(crate) links_gone: Vec<Link<'a>>,
    pub(crate) products: Vec<(&'a str, Cow<'a, str>)>,
    /// By day and currency, in an order that is the same everywhere.
    pub(crate) daily: BTreeMap<(i64, Currency), DailyDelta>,
    /// Payments of which it may have changed what they were for.
    pub(crate) payments_touched: BTreeSet<Cow<'a, str>>,
    /// Invoices whose lines have changed.
    pub(crate) invoices_touched: BTreeSet<Cow<'a, str>>,
    /// Objects that could not be read: they bring nothing, and the tie-out will miss them.
    pub(crate) unreadable: Vec<(&'a str, Unreadable)>,
}

/// A fact's place in its table.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct FactKey<'a> {
    pub(crate) payment_key: Cow<'a, str>,
    pub(crate) fact_id: Cow<'a, str>,
}

impl<'a> Effects<'a> {
    /// The effects of a batch in which each object appears once.
    pub(crate) fn of(changes: &[Change<'a>]) -> Effects<'a> {
        let mut effects = Effects::default();
        for change in changes {
            let before = change.before.filter(|_| !change.deleted_before);
            let after = Some(change.after).filter(|_| !change.deleted_after);
            // What could not be read before brought nothing before.
            let taken = match change.object_type {
                "charge" | "refund" | "dispute" | "payout" => effects.take_facts(change.object_type, before, after),
                "balance_transaction" => effects.take_movement(before, after),
                "invoice" => effects.take_sale(before, after),
                "invoice_payment" => effects.take_link(before, after),
                // The name of a deleted product is kept: what it sold was sold under it.
                "product" => effects.take_product(change.id, change.after),
                _ => Ok(()),
            };
            if let Err(unreadable) = taken {
                effects.unreadable.push((change.id, unreadable));
            }
        }
        effects
    }

    fn take_facts(&mut self, kind: &str, before: Option<&'a str>, after: Option<&'a str>) -> Result<(), Unreadable> {
        let old = before.and_then(|body| facts_of(kind, body).ok()).unwrap_or_default();
        let (new, outcome) = match after.map(|body| facts_of(kind, body)).transpose() {
            Ok(new) => (new.unwrap_or_default(), Ok(())),
            Err(unreadable) => (Vec::new(), Err(unreadable)),
        };
        if old == new {
            return outcome;
        }
        for fact in &old {
            self.count(fact, -1);
        }
        for fact in &new {
            self.count(fact, 1);
        }
        for fact in old {
            if !new.iter().any(|it| it.id == fact.id && it.payment_key == fact.payment_key) {
                self.facts_gone.push(FactKey { payment_key: fact.payment_key, fact_id: fact.id });
            }
        }
        self.facts.extend(new);
        outcome
    }

    fn count(&mut self, fact: &Fact<'_>, times: i64) {
        if matches!(fact.kind, FactKind::Payout | FactKind::PayoutReversal) {
            return;
        }
        let delta = self.daily.entry((fact.occurred_at.utc_day(), fact.money.currency)).or_default();
        let amount_minor = fact.money.amount_minor.saturating_mul(times);
        // Nothing may be left of a day: whoever draws stale days again removes it then.
        delta.stale |= times < 0 || fact.kind == FactKind::RefundFailure;
        match fact.kind {
            FactKind::Charge => {
                delta.gross_minor = delta.gross_minor.saturating_add(amount_minor);
                delta.charges += times;
                delta.stale = true;
            }
            FactKind::Refund | FactKind::RefundFailure => {
                delta.refunds_minor = delta.refunds_minor.saturating_sub(amount_minor);
                delta.refunds += if fact.kind == FactKind::Refund { times } else { -times };
            }
            FactKind::Dispute | FactKind::DisputeReversal => {
                delta.disputes_minor = delta.disputes_minor.saturating_sub(amount_minor);
                delta.disputes += if fact.kind == FactKind::Dispute { times } else { 0 };
            }
            FactKind::Payout | FactKind::PayoutReversal => {}
        }
    }

    fn take_movement(&mut self, before: Option<&'a str>, after: Option<&'a str>) -> Result<(), Unreadable> {
        let old = before.and_then(|body| Movement::read(body).ok());
        let (new, outcome) = match after.map(Movement::read).transpose() {
            Ok(new) => (new, Ok(())),
            Err(unreadable) => (None, Err(unreadable)),
        };
        if old == new {
            return outcome;
        }
        for (movement, times) in old.iter().map(|it| (it, -1)).chain(new.iter().map(|it| (it, 1))) {
            let cost_minor = movement.cost_minor();
            if cost_minor != 0 {
                let delta = self.daily.entry((movement.created_at.utc_day(), movement.currency)).or_default();
                delta.fees_minor = delta.fees_minor.saturating_add(cost_minor.saturating_mul(times));
                delta.fees += times;
                delta.stale |= times < 0;
            }
        }
        match (old, new) {
            (_, Some(new)) => self.movements.push(new),
            (Some(old), None) => self.movements_gone.push(old.id),
            (None, None) => {}
        }
        outcome
    }

    fn take_sale(&mut self, before: Option<&'a str>, after: Option<&'a str>) -> Result<(), Unreadable> {
        let old = before.and_then(|body| sale_of(body).ok());
        let (new, outcome) = match after.map(sale_of).transpose() {
            Ok(new) => (new, Ok(())),
            Err(unreadable) => (None, Err(unreadable)),
        };
        let link_of_sale = |sale: &Option<Sale<'a>>| sale.as_ref().and_then(|sale| sale.link.clone());
        self.relink(link_of_sale(&old), link_of_sale(&new));
        match (old, new) {
            (Some(old), Some(new)) if old.lines == new.lines => {}
            (_, Some(new)) => {
                self.invoices_touched.insert(new.invoice_id.clone());
                self.sales.push((new.invoice_id, new.lines));
            }
            (Some(old), None) => {
                self.invoices_touched.insert(old.invoice_id.clone());
                self.sales_gone.push(old.invoice_id);
            }
            (None, None) => {}
        }
        outcome
    }

    fn take_link(&mut self, before: Option<&'a str>, after: Option<&'a str>) -> Result<(), Unreadable> {
        let old = before.and_then(|body| link_of(body).ok()).flatten();
        let (new, outcome) = match after.map(link_of).transpose() {
            Ok(new) => (new.flatten(), Ok(())),
            Err(unreadable) => (None, Err(unreadable)),
        };
        self.relink(old, new);
        outcome
    }

    fn relink(&mut self, old: Option<Link<'a>>, new: Option<Link<'a>>) {
        if old == new {
            return;
        }
        if let Some(old) = old {
            self.payments_touched.insert(old.payment_key.clone());
            if new.as_ref().is_none_or(|new| new.payment_key != old.payment_key) {
                self.links_gone.push(old);
            }
        }
        if let Some(new) = new {
            self.payments_touched.insert(new.payment_key.clone());
            self.links.push(new);
        }
    }

    fn take_product(&mut self, id: &'a str, body: &'a str) -> Result<(), Unreadable> {
        if let Some(name) = product_name(body)? {
            self.products.push((id, name));
        }
        Ok(())
    }
}
