//! Makes the proof: reads the sums, and the single rows where they do not agree.

use crate::{
    Difference, DifferenceKind, RevenueError, TieOut, conversion,
    store::{
        daily::{self, currency_of},
        proof::{self, ConvertedPair, Pair},
    },
    tie_out::{MAX_DIFFERENCES, Sums, assemble},
};
use kit::{TenantId, Time};
use std::time::Duration;
use store::{StoreError, Tx};

/// Converted facts read at once, so that memory stays flat.
const CONVERTED_STEP: u32 = 5_000;
const LIMIT: u32 = 100;
/// No event tells of balance transactions; they are listed some time after the payment, a quarter of an hour at most.
const AWAITED_FOR: Duration = Duration::from_secs(15 * 60);

/// The proof of everything in the transaction's sight.
pub(crate) async fn tie_out(tx: &mut Tx, tenant: TenantId, now: Time) -> Result<TieOut, RevenueError> {
    proof::freeze(tx).await?;
    let awaited_since = now - AWAITED_FOR;
    let sums = Sums {
        facts: proof::fact_sums(tx, tenant, awaited_since).await?,
        movements: proof::movement_sums(tx, tenant).await?,
        totals: daily::totals(tx, tenant).await?,
    };
    let assembled = assemble(&sums).map_err(|why| StoreError::unreadable_row("revenue_facts", "sums", why))?;
    let counts = assembled.counts;
    let mut listed = Listed { differences: Vec::new(), count: 0 };
    listed.count += i64::try_from(assembled.daily.len()).unwrap_or(i64::MAX);
    listed.differences.extend(assembled.daily);
    if counts.differing > 0 {
        listed.add(DifferenceKind::AmountDiffers, counts.differing, proof::differing(tx, tenant, LIMIT).await?)?;
    }
    if counts.orphans > 0 {
        listed.add(DifferenceKind::ObjectMissing, counts.orphans, proof::orphans(tx, tenant, LIMIT).await?)?;
    }
    if counts.missing > 0 {
        listed.add(
            DifferenceKind::BalanceTransactionMissing,
            counts.missing,
            proof::unmatched(tx, tenant, awaited_since, LIMIT).await?,
        )?;
    }
    if counts.not_booked > 0 {
        listed.add(
            DifferenceKind::NotBooked,
            counts.not_booked,
            proof::unbooked(tx, tenant, awaited_since, LIMIT).await?,
        )?;
    }
    if counts.crooked > 0 {
        listed.add(DifferenceKind::FeesDoNotAddUp, counts.crooked, proof::crooked(tx, tenant, LIMIT).await?)?;
    }
    if counts.converted > 0 {
        check_conversions(tx, tenant, &mut listed).await?;
    }
    listed.differences.truncate(MAX_DIFFERENCES);
    Ok(TieOut {
        rows: assembled.rows,
        converted: assembled.converted,
        differences: listed.differences,
        difference_count: listed.count,
        facts: assembled.facts,
        awaited: counts.awaited,
        balance_transactions: assembled.balance_transactions,
        computed_at: now,
    })
}

struct Listed {
    differences: Vec<Difference>,
    count: i64,
}

impl Listed {
    fn add(&mut self, kind: DifferenceKind, count: i64, pairs: Vec<Pair>) -> Result<(), RevenueError> {
        self.count += count;
        for pair in pairs {
            self.differences.push(Difference {
                kind,
                object_id: pair.object_id,
                balance_transaction_id: pair.balance_transaction_id,
                currency: pair.currency.map(|code| currency_of(&code, "revenue_facts")).transpose()?,
                fact_minor: pair.fact_minor,
                balance_minor: pair.balance_minor,
            });
        }
        Ok(())
    }
}

async fn check_conversions(tx: &mut Tx, tenant: TenantId, listed: &mut Listed) -> Result<(), RevenueError> {
    let mut after = (String::new(), String::new(), String::new());
    loop {
        let pairs = proof::converted(tx, tenant, (&after.0, &after.1, &after.2), CONVERTED_STEP).await?;
        for pair in &pairs {
            let (from, to) =
                (currency_of(&pair.from_currency, "revenue_facts")?, currency_of(&pair.to_currency, "revenue_facts")?);
            if !conversion::agrees(pair.from_minor, from, pair.to_minor, to, pair.exchange_rate.as_deref()) {
                listed.count += 1;
                if listed.differences.len() < MAX_DIFFERENCES {
                    listed.differences.push(Difference {
                        kind: DifferenceKind::ConversionDiffers,
                        object_id: Some(pair.object_id.clone()),
                        balance_transaction_id: Some(pair.balance_transaction_id.clone()),
                        currency: Some(from),
                        fact_minor: Some(pair.from_minor),
                        balance_minor: Some(pair.to_minor),
                    });
                }
            }
        }
        match pairs.into_iter().last() {
            Some(ConvertedPair { account_id, payment_key, fact_id, .. }) => after = (payment_key, account_id, fact_id),
            None => return Ok(()),
        }
    }
}
