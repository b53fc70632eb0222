//! Any order and any doubling of observations gives the same tables, and they are what the newest versions give.

use crate::objects::{Seen, TENANT, World, histories};
use kit::{Randomness, SeededRandomness};
use revenue::{DailyFigure, fact::facts_of, movement::Movement};
use std::collections::BTreeMap;
use store::{Tx, q, sql};
use testkit::Stage;

testkit::on_both_engines!(any_order_gives_the_same_tables);

const CASES: u64 = 6;

async fn any_order_gives_the_same_tables(stage: Stage) {
    let world = World::on(&stage);
    for case in 0..CASES {
        let randomness = SeededRandomness::new(stage.seed ^ case);
        let histories = histories(&randomness);
        let newest: Vec<Seen> = histories.iter().filter_map(|versions| versions.last().cloned()).collect();
        let (plain, shuffled) = (format!("acct_plain_{case}"), format!("acct_shuffled_{case}"));
        for versions in &histories {
            for version in versions {
                world.absorb(&plain, std::slice::from_ref(version)).await;
            }
        }
        let mut all: Vec<Seen> = histories.into_iter().flatten().collect();
        all.extend(all.clone());
        for place in (1..all.len()).rev() {
            all.swap(place, usize::try_from(randomness.below(place as u64 + 1)).unwrap());
        }
        let mut rest = &all[..];
        while !rest.is_empty() {
            let size = usize::try_from(1 + randomness.below(40)).unwrap().min(rest.len());
            world.absorb(&shuffled, &rest[..size]).await;
            rest = &rest[size..];
            if randomness.below(3) == 0 {
                refresh(&world).await;
            }
        }
        refresh(&world).await;
        let (one, other) = (tables(&world, &plain).await, tables(&world, &shuffled).await);
        assert_eq!(one, other, "case {case}");
        assert!(one.len() > 50, "the tables hold something: {one:#?}");
        world.absorb(&shuffled, &newest).await;
        assert_eq!(one, tables(&world, &shuffled).await, "what is known changes nothing, case {case}");
        assert_eq!(expected_days(&newest), days(&world, &plain).await, "case {case}");
    }
}

async fn refresh(world: &World) {
    world.revenue.refresh(TENANT).await.unwrap();
}

async fn tables(world: &World, account: &str) -> Vec<String> {
    let mut tx = world.base.store.read(TENANT).await.unwrap();
    let mut lines = Vec::new();
    for statement in [
        sql!("SELECT 'fact ' || payment_key || ' ' || fact_id || ' ' || kind || ' ' || object_id || ' ' || day || ' ' || currency || ' '
                || amount_minor || ' ' || coalesce(balance_transaction_id, '-') || ' ' || coalesce(metadata, '-')
              FROM revenue_facts WHERE tenant_id = $1 AND account_id = $2 ORDER BY 1"),
        sql!("SELECT 'movement ' || id || ' ' || category || ' ' || amount_minor || ' ' || fee_minor
              FROM revenue_balance_transactions WHERE tenant_id = $1 AND account_id = $2 ORDER BY 1"),
        sql!("SELECT 'invoice ' || invoice_id || ' ' || lines FROM revenue_invoices WHERE tenant_id = $1 AND account_id = $2 ORDER BY 1"),
        sql!("SELECT 'paid ' || payment_key || ' ' || id || ' ' || invoice_id
              FROM revenue_invoice_payments WHERE tenant_id = $1 AND account_id = $2 ORDER BY 1"),
        sql!("SELECT 'product ' || id || ' ' || name FROM revenue_products WHERE tenant_id = $1 AND account_id = $2 ORDER BY 1"),
        sql!("SELECT 'day ' || day || ' ' || currency || ' ' || gross_minor || ' ' || refunds_minor || ' ' || disputes_minor || ' '
                || fees_minor || ' ' || charges || ' ' || refunds || ' ' || disputes || ' ' || fees
              FROM revenue_daily WHERE tenant_id = $1 AND account_id = $2 ORDER BY 1"),
        sql!("SELECT 'part ' || day || ' ' || currency || ' ' || dimension || ' ' || value || ' ' || amount_minor || ' ' || units
                || ' ' || charges
              FROM revenue_daily_dimensions WHERE tenant_id = $1 AND account_id = $2 ORDER BY 1"),
    ] {
        lines.extend(texts(&mut tx, statement, account).await);
    }
    lines
}

async fn texts(tx: &mut Tx, statement: store::Sql, account: &str) -> Vec<String> {
    let rows: Vec<(String,)> = q(statement).bind(TENANT).bind(account).all(tx).await.unwrap();
    rows.into_iter().map(|row| row.0).collect()
}

/// The days of one account, as stored.
async fn days(world: &World, account: &str) -> Vec<String> {
    tables(world, account).await.into_iter().filter(|line| line.starts_with("day ")).collect()
}

/// The days that the newest versions give, added up in the plainest way.
fn expected_days(newest: &[Seen]) -> Vec<String> {
    let mut days: BTreeMap<(i64, kit::Currency), DailyFigure> = BTreeMap::new();
    for seen in newest {
        for fact in facts_of(seen.kind(), seen.body()).unwrap_or_default() {
            let key = (fact.occurred_at.utc_day(), fact.money.currency);
            let day = days.entry(key).or_insert_with(|| DailyFigure::nothing(key.0, key.1));
            let amount = fact.money.amount_minor;
            match fact.kind.as_str() {
                "charge" => (day.gross_minor, day.charges) = (day.gross_minor + amount, day.charges + 1),
                "refund" => (day.refunds_minor, day.refunds) = (day.refunds_minor - amount, day.refunds + 1),
                "refund_failure" => (day.refunds_minor, day.refunds) = (day.refunds_minor - amount, day.refunds - 1),
                "dispute" => (day.disputes_minor, day.disputes) = (day.disputes_minor - amount, day.disputes + 1),
                "dispute_reversal" => day.disputes_minor -= amount,
                _ => {}
            }
        }
        if seen.kind() == "balance_transaction" {
            let movement = Movement::read(seen.body()).unwrap();
            let key = (movement.created_at.utc_day(), movement.currency);
            let day = days.entry(key).or_insert_with(|| DailyFigure::nothing(key.0, key.1));
            let cost = movement.fee_minor - if movement.category == "fee" { movement.amount_minor } else { 0 };
            (day.fees_minor, day.fees) = (day.fees_minor + cost, day.fees + i64::from(cost != 0));
        }
    }
    let mut lines: Vec<String> = days
        .into_values()
        .filter(|day| *day != DailyFigure::nothing(day.day, day.currency))
        .map(|it| {
            format!(
                "day {} {} {} {} {} {} {} {} {} {}",
                it.day,
                it.currency.code(),
                it.gross_minor,
                it.refunds_minor,
                it.disputes_minor,
                it.fees_minor,
                it.charges,
                it.refunds,
                it.disputes,
                it.fees
            )
        })
        .collect();
    lines.sort();
    lines
}
