//! Revenue as others hold it.

use crate::{
    CurrencyTotal, DailyFigure, RevenueError, Sources, TieOut,
    dimension::{PRODUCT, Part},
    projection::RevenueProjection,
    proof,
    store::{
        daily,
        dimensions::{self, DayPart},
        rows, whole,
    },
};
use kit::{Currency, Stopwatch, TenantId, Time};
use platform::Base;
use std::{
    collections::{BTreeMap, HashMap},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

/// Longest range of days that one question may ask for: ten years and their leap days.
pub const MAX_DAYS: i64 = 3_660;

/// Figures of revenue. Cheap to clone.
#[derive(Clone)]
pub struct Revenue {
    base: Base,
    proofs: Arc<Proofs>,
}

/// Days drawn in one transaction: on SQLite others write in between.
pub(crate) const REFRESH_DAYS: u32 = 24;

/// What a range of days brought by one product.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProductFigure {
    /// Of the amount.
    pub currency: Currency,
    /// The product; empty where none is known, none for the others together.
    pub product_id: Option<String>,
    /// What people call it, once its object is mirrored.
    pub name: Option<String>,
    /// How much.
    pub part: Part,
}

/// The last proof of each tenant.
#[derive(Default)]
struct Proofs {
    kept: Mutex<HashMap<TenantId, Proof>>,
    /// One at a time is computed: who comes meanwhile waits and finds it.
    computing: tokio::sync::Mutex<()>,
}

struct Proof {
    tie_out: Arc<TieOut>,
    /// When figures had changed last.
    updated_to: Option<Time>,
    computed: Stopwatch,
    cost: Duration,
}

/// A proof costs at most this share of the time: one of 50 ms is made at most once a second.
const PROOF_SHARE: u32 = 20;
/// A proof is never older than this, though no figure changed: payouts change none.
const PROOF_AGE: Duration = Duration::from_secs(60);
/// Tenants whose proofs are kept.
const MOST_PROOFS: usize = 1_000;

impl Proof {
    fn serves(&self, updated_to: Option<Time>) -> bool {
        let age = self.computed.elapsed();
        age < self.cost * PROOF_SHARE || (age < PROOF_AGE && self.updated_to == updated_to)
    }
}

impl Revenue {
    /// Revenue on a base.
    pub fn new(base: Base) -> Revenue {
        Revenue { base, proofs: Arc::default() }
    }

    /// What the mirror tells of every change.
    pub fn projection(&self) -> Arc<dyn mirror::Projection> {
        Arc::new(RevenueProjection::new(self.base.clone()))
    }

    pub(crate) fn base(&self) -> &Base {
        &self.base
    }

    /// What each day from `from_day` to `to_day` brought (both included, days since 1970-01-01 in UTC), by day and then
    /// by currency. Days without anything are left out.
    ///
    /// # Errors
    /// `bad_field` for a range of more than [`MAX_DAYS`], or one that ends before it begins.
    pub async fn series(&self, tenant: TenantId, from_day: i64, to_day: i64) -> Result<Vec<DailyFigure>, RevenueError> {
        check_range(from_day, to_day)?;
        let mut tx = self.base.store.read(tenant).await?;
        Ok(daily::series(&mut tx, tenant, from_day, to_day).await?)
    }

    /// What today brought so far, by currency.
    pub async fn today(&self, tenant: TenantId) -> Result<Vec<DailyFigure>, RevenueError> {
        let day = self.base.now().utc_day();
        self.series(tenant, day, day).await
    }

    /// Everything there is, by currency.
    pub async fn totals(&self, tenant: TenantId) -> Result<Vec<CurrencyTotal>, RevenueError> {
        let mut tx = self.base.store.read(tenant).await?;
        Ok(daily::totals(&mut tx, tenant).await?)
    }

    /// What the figures come from.
    pub async fn sources(&self, tenant: TenantId) -> Result<Sources, RevenueError> {
        let mut tx = self.base.store.read(tenant).await?;
        Ok(daily::sources(&mut tx, tenant).await?)
    }

    /// What the charges of a range of days were for, by day and currency; `dimension` narrows it to one.
    pub(crate) async fn parts(
        &self,
        tenant: TenantId,
        from_day: i64,
        to_day: i64,
        dimension: Option<&str>,
    ) -> Result<Vec<DayPart>, RevenueError> {
        check_range(from_day, to_day)?;
        let mut tx = self.base.store.read(tenant).await?;
        Ok(dimensions::read(&mut tx, tenant, from_day, to_day, dimension).await?)
    }

    /// What a range of days brought by product, the largest first in each currency. The empty id is what no product is
    /// known for, none are those together that were not among a day's largest.
    pub async fn by_product(
        &self,
        tenant: TenantId,
        from_day: i64,
        to_day: i64,
    ) -> Result<Vec<ProductFigure>, RevenueError> {
        let mut sums: BTreeMap<(Currency, Option<String>), Part> = BTreeMap::new();
        for part in self.parts(tenant, from_day, to_day, Some(PRODUCT)).await? {
            let sum = sums.entry((part.currency, part.row.value)).or_default();
            sum.amount_minor = sum.amount_minor.saturating_add(part.row.part.amount_minor);
            sum.units = sum.units.saturating_add(part.row.part.units);
            sum.charges = sum.charges.saturating_add(part.row.part.charges);
        }
        let ids: Vec<&str> = sums.keys().filter_map(|(_, id)| id.as_deref()).collect();
        let mut tx = self.base.store.read(tenant).await?;
        let names = rows::product_names(&mut tx, tenant, &ids).await?;
        let names: HashMap<String, String> = names.into_iter().map(|row| (row.id, row.name)).collect();
        let mut figures: Vec<ProductFigure> = sums
            .into_iter()
            .map(|((currency, product_id), part)| {
                let name = product_id.as_ref().and_then(|id| names.get(id)).cloned();
                ProductFigure { currency, product_id, name, part }
            })
            .collect();
        figures.sort_by_key(|it| (it.currency, it.product_id.is_none(), std::cmp::Reverse(it.part.amount_minor)));
        Ok(figures)
    }

    /// Draws again what stale days were for. A job does this soon after every change; figures are right without it.
    pub async fn refresh(&self, tenant: TenantId) -> Result<(), RevenueError> {
        loop {
            let mut tx = self.base.store.begin(tenant).await?;
            let drawn = dimensions::refresh_step(&mut tx, tenant, i64::MAX, REFRESH_DAYS).await?;
            tx.commit().await?;
            if drawn == 0 {
                return Ok(());
            }
        }
    }

    /// Every row that figures are made of, as lines of text in a fixed order, without when they were written: two databases
    /// that know the same of an account answer the same. Draws stale days again first.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn rows(&self, tenant: TenantId) -> Result<Vec<String>, RevenueError> {
        self.refresh(tenant).await?;
        let mut tx = self.base.store.read(tenant).await?;
        Ok(whole::lines(&mut tx, tenant).await?)
    }

    /// The proof, computed now from every row. For pages that are opened often see [`Revenue::tie_out_recent`].
    pub async fn tie_out(&self, tenant: TenantId) -> Result<TieOut, RevenueError> {
        let mut tx = self.base.store.read(tenant).await?;
        proof::tie_out(&mut tx, tenant, self.base.now()).await
    }

    /// The proof as last computed, computed again when figures have changed since. However often it is asked for, it
    /// takes at most a twentieth of the time; [`TieOut::computed_at`] says how old it is.
    pub async fn tie_out_recent(&self, tenant: TenantId) -> Result<Arc<TieOut>, RevenueError> {
        let updated_to = self.sources(tenant).await?.updated_to;
        if let Some(kept) = self.kept(tenant, updated_to) {
            return Ok(kept);
        }
        let _one_at_a_time = self.proofs.computing.lock().await;
        if let Some(kept) = self.kept(tenant, updated_to) {
            return Ok(kept);
        }
        let watch = Stopwatch::start();
        let tie_out = Arc::new(self.tie_out(tenant).await?);
        let proof = Proof { tie_out: tie_out.clone(), updated_to, computed: Stopwatch::start(), cost: watch.elapsed() };
        let mut kept = self.proofs.kept.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.len() >= MOST_PROOFS {
            kept.clear();
        }
        kept.insert(tenant, proof);
        Ok(tie_out)
    }

    fn kept(&self, tenant: TenantId, updated_to: Option<Time>) -> Option<Arc<TieOut>> {
        let kept = self.proofs.kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.get(&tenant).filter(|proof| proof.serves(updated_to)).map(|proof| proof.tie_out.clone())
    }
}

pub(crate) fn check_range(from_day: i64, to_day: i64) -> Result<(), RevenueError> {
    let bad = |name, detail: String| Err(RevenueError::BadParameter { name, detail });
    if to_day < from_day {
        return bad("to", "The last day is before the first one.".to_owned());
    }
    if to_day - from_day >= MAX_DAYS {
        return bad("from", format!("A range may have at most {MAX_DAYS} days."));
    }
    Ok(())
}
