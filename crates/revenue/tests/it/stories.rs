//! What people see: figures, their proof, and what days were for.

use crate::objects::{
    DAY, DAY_ONE, TENANT, World, charge, dispute, invoice, invoice_payment, movement, payout, refund, scope,
};
use axum::{Extension, Router};
use identity::{Caller, CallerKind, OrganizationId};
use kit::{Currency, Environment, TenantId, Time};
use revenue::{DailyFigure, DifferenceKind, TieOut};
use serde_json::{Value, json};
use testkit::{Call, Stage};

testkit::on_both_engines!(
    a_business_is_proved_to_the_cent,
    what_does_not_agree_is_named,
    converted_payments_stand_apart,
    programs_ask_for_figures,
    an_unreadable_object_holds_up_nothing,
    an_erased_account_leaves_nothing,
    days_are_drawn_again_by_a_job_or_on_reading,
    every_statement_prepares,
);

/// A charge of 100.00 that is refunded by a quarter, one of 50.00 that is disputed and won back, their fees, a payout.
async fn small_business(world: &World) {
    let withdrawn = movement("txn_dp_2", "dispute", DAY_ONE + DAY, -5_000, 1_500, "usd", "dp_2");
    let returned = movement("txn_dr_2", "dispute_reversal", DAY_ONE + 2 * DAY, 5_000, 0, "usd", "dp_2");
    world
        .learn(
            "acct_1",
            DAY_ONE,
            &[
                charge(1, DAY_ONE, 10_000, "usd"),
                charge(2, DAY_ONE, 5_000, "usd"),
                refund(1, 1, DAY_ONE + DAY, 2_500, "usd"),
                dispute(2, 2, 5_000, "usd", &[withdrawn.clone(), returned.clone()]),
                payout(1, DAY_ONE + 3 * DAY, 9_000, "usd"),
                movement("txn_ch_1", "charge", DAY_ONE, 10_000, 320, "usd", "ch_1"),
                movement("txn_ch_2", "charge", DAY_ONE, 5_000, 175, "usd", "ch_2"),
                movement("txn_re_1", "refund", DAY_ONE + DAY, -2_500, 0, "usd", "re_1"),
                withdrawn,
                returned,
                movement("txn_po_1", "payout", DAY_ONE + 3 * DAY, -9_000, 0, "usd", "po_1"),
                movement("txn_fee_1", "fee", DAY_ONE + 2 * DAY, -200, 0, "usd", "fee_1"),
            ],
        )
        .await;
}

async fn proof(world: &World) -> TieOut {
    world.revenue.tie_out(TENANT).await.unwrap()
}

async fn a_business_is_proved_to_the_cent(stage: Stage) {
    let world = World::on(&stage);
    let nothing = proof(&world).await;
    assert!(nothing.agrees() && nothing.rows.is_empty());
    small_business(&world).await;

    let first = Time::from_seconds(DAY_ONE).utc_day();
    let days = world.revenue.series(TENANT, first, first + 5).await.unwrap();
    let told: Vec<String> = days
        .iter()
        .map(|it| {
            let DailyFigure { gross_minor, refunds_minor, disputes_minor, fees_minor, charges, .. } = *it;
            format!(
                "{} {gross_minor} {refunds_minor} {disputes_minor} {fees_minor} {} x{charges}",
                it.date(),
                it.net_minor()
            )
        })
        .collect();
    assert_eq!(
        told,
        [
            "2026-01-10 15000 0 0 495 14505 x2",
            "2026-01-11 0 2500 5000 1500 -9000 x0",
            "2026-01-12 0 0 -5000 200 4800 x0"
        ]
    );
    let tie_out = proof(&world).await;
    assert!(tie_out.agrees(), "{tie_out:#?}");
    let row = tie_out.rows[0];
    assert_eq!((row.charges.facts_minor, row.refunds.balance_minor, row.disputes.facts_minor), (15_000, 2_500, 0));
    assert_eq!((row.fees.balance_minor, row.net.balance_minor, row.payouts.facts_minor), (2_195, 10_305, 9_000));
    assert_eq!((tie_out.facts, tie_out.balance_transactions), (6, 7));

    let totals = world.revenue.totals(TENANT).await.unwrap();
    assert_eq!((totals.len(), totals[0].net_minor(), totals[0].charges), (1, 10_305, 2));
    assert!(world.revenue.totals(TenantId(2)).await.unwrap().is_empty(), "another tenant sees nothing");
    assert!(world.revenue.today(TENANT).await.unwrap().is_empty());
    let sources = world.revenue.sources(TENANT).await.unwrap();
    assert_eq!((sources.charges, sources.refunds, sources.updated_to), (2, 1, Some(stage.now())));
    assert!(world.revenue.series(TENANT, first, first - 1).await.is_err());
    assert!(world.revenue.series(TENANT, 0, 100_000).await.is_err());
}

async fn what_does_not_agree_is_named(stage: Stage) {
    let world = World::on(&stage);
    small_business(&world).await;
    let mut unbooked = charge(3, DAY_ONE, 700, "usd");
    unbooked["balance_transaction"] = Value::Null;
    let mut crooked = movement("txn_ch_5", "charge", DAY_ONE, 900, 30, "usd", "ch_5");
    crooked["fee_details"] = json!([]);
    world
        .learn(
            "acct_1",
            DAY_ONE + 10,
            &[
                unbooked,
                charge(4, DAY_ONE, 800, "usd"),
                charge(5, DAY_ONE, 900, "usd"),
                crooked,
                charge(6, DAY_ONE, 1_000, "usd"),
                movement("txn_ch_6", "charge", DAY_ONE, 999, 0, "usd", "ch_6"),
                movement("txn_ch_7", "charge", DAY_ONE, 1_100, 0, "usd", "ch_7"),
            ],
        )
        .await;
    let tie_out = proof(&world).await;
    let mut named: Vec<(DifferenceKind, Option<&str>)> =
        tie_out.differences.iter().map(|it| (it.kind, it.object_id.as_deref())).collect();
    named.sort();
    let expected = [
        (DifferenceKind::NotBooked, Some("ch_3")),
        (DifferenceKind::BalanceTransactionMissing, Some("ch_4")),
        (DifferenceKind::ObjectMissing, Some("ch_7")),
        (DifferenceKind::AmountDiffers, Some("ch_6")),
        (DifferenceKind::FeesDoNotAddUp, Some("ch_5")),
    ];
    assert_eq!(named, expected);
    assert_eq!((tie_out.difference_count, tie_out.agrees()), (5, false));
    assert_eq!(tie_out.rows[0].charges.difference_minor(), 700 + 800 + 1 - 1_100);
}

async fn converted_payments_stand_apart(stage: Stage) {
    let world = World::on(&stage);
    small_business(&world).await;
    let convert = |number: usize, settled: i64| {
        let id = format!("txn_ch_{number}");
        let mut movement = movement(&id, "charge", DAY_ONE, settled, 30, "usd", &format!("ch_{number}"));
        movement["exchange_rate"] = serde_json::from_str("1.08123").unwrap();
        movement
    };
    world.learn("acct_1", DAY_ONE, &[charge(11, DAY_ONE, 1_000, "eur"), convert(11, 1_081)]).await;
    let tie_out = proof(&world).await;
    assert!(tie_out.agrees(), "{tie_out:#?}");
    let converted = &tie_out.converted[0];
    assert_eq!(
        (converted.from, converted.to, converted.from_minor, converted.to_minor),
        (Currency::EUR, Currency::USD, 1_000, 1_081)
    );

    world.learn("acct_1", DAY_ONE, &[charge(12, DAY_ONE, 1_000, "eur"), convert(12, 1_200)]).await;
    let tie_out = proof(&world).await;
    let named: Vec<(DifferenceKind, Option<&str>)> =
        tie_out.differences.iter().map(|it| (it.kind, it.object_id.as_deref())).collect();
    assert_eq!(named, [(DifferenceKind::ConversionDiffers, Some("ch_12"))]);
}

fn router(world: &World) -> Router {
    let caller = Caller {
        organization: OrganizationId::from_text("org_1"),
        environment: Environment::Test,
        tenant: TENANT,
        kind: CallerKind::Token,
    };
    revenue::slice(&world.revenue).routes.layer(Extension(caller))
}

async fn sold_business(world: &World) {
    let mut sold = charge(1, DAY_ONE, 11_900, "usd");
    sold["metadata"] = json!({"plan": "team"});
    world
        .learn(
            "acct_1",
            DAY_ONE,
            &[
                sold,
                charge(2, DAY_ONE, 1_000, "usd"),
                invoice(1, &[("prod_a", 6_000, 3), ("prod_b", 4_000, 1)]),
                invoice_payment(1, 1, 1),
                json!({"id": "prod_a", "object": "product", "name": "Seats"}),
            ],
        )
        .await;
}

async fn programs_ask_for_figures(stage: Stage) {
    let world = World::on(&stage);
    small_business(&world).await;
    let router = router(&world);
    let ask = async |path: &str, status: u16| Call::get(path).send(&router).await.expect(status).json::<Value>();

    let told = ask("/v1/analytics/revenue?from=2026-01-01&to=2026-01-31&interval=month", 200).await;
    assert_eq!(told["data"][0]["day"], "2026-01-01");
    assert_eq!(told["data"][0]["net_minor"], 10_305);
    assert_eq!(told["totals"][0]["currency"], "usd");
    assert_eq!(told["previous"]["to"], "2025-12-31");
    let told = ask("/v1/analytics/revenue?currency=eur", 200).await;
    assert_eq!(told["data"], json!([]));
    let told = ask("/v1/analytics/tie-out", 200).await;
    assert_eq!((told["agrees"].as_bool(), told["rows"][0]["net"]["facts_minor"].as_i64()), (Some(true), Some(10_305)));

    for bad in ["from=tomorrow", "interval=year", "currency=usdc", "from=2026-02-01&to=2026-01-01", "span=30d"] {
        let told = ask(&format!("/v1/analytics/revenue?{bad}"), 400).await;
        assert_eq!(told["code"], "bad_field", "{bad}");
    }
    ask("/v1/analytics/daily?from=2020-01-01&to=2026-01-01", 400).await;
    Call::get("/v1/analytics/revenue").send(&revenue::slice(&world.revenue).routes).await.expect(401);
}

async fn days_are_drawn_again_by_a_job_or_on_reading(stage: Stage) {
    let world = World::on(&stage);
    sold_business(&world).await;
    let router = router(&world);
    let ask = async || {
        Call::get("/v1/analytics/daily?from=2026-01-10&to=2026-01-11").send(&router).await.expect(200).json::<Value>()
    };
    let stale = ask().await;
    let day = &stale["data"][0];
    assert_eq!(day["units"], 5);
    assert_eq!(
        day["products"],
        json!([
            {"value": "prod_a", "amount_minor": 7_140, "units": 3, "charges": 1},
            {"value": "prod_b", "amount_minor": 4_760, "units": 1, "charges": 1},
            {"value": "", "amount_minor": 1_000, "units": 1, "charges": 1},
        ])
    );
    assert_eq!(day["metadata"]["plan"], json!([{"value": "team", "amount_minor": 11_900, "units": 4, "charges": 1}]));

    world.revenue.refresh(TENANT).await.unwrap();
    assert_eq!(ask().await, stale, "stored and drawn say the same");

    // The invoice changes long after its charge: the charge's day is what has to change.
    world.learn("acct_1", DAY_ONE + 20, &[invoice(1, &[("prod_b", 10_000, 2)])]).await;
    let changed = ask().await;
    assert_eq!(
        changed["data"][0]["products"][0],
        json!({"value": "prod_b", "amount_minor": 11_900, "units": 2, "charges": 1})
    );
    let first = Time::from_seconds(DAY_ONE).utc_day();
    let products = world.revenue.by_product(TENANT, first, first).await.unwrap();
    assert_eq!(products.len(), 2);
    assert_eq!((products[0].product_id.as_deref(), products[0].part.amount_minor), (Some("prod_b"), 11_900));
}

async fn an_unreadable_object_holds_up_nothing(stage: Stage) {
    let world = World::on(&stage);
    let mut bad = charge(1, DAY_ONE, 100, "usd");
    bad["amount"] = "much".into();
    world.learn("acct_1", DAY_ONE, &[bad, charge(2, DAY_ONE, 200, "usd")]).await;
    world.learn("acct_1", DAY_ONE, &[movement("txn_ch_1", "charge", DAY_ONE, 100, 3, "usd", "ch_1")]).await;
    world.learn("acct_1", DAY_ONE, &[movement("txn_ch_2", "charge", DAY_ONE, 200, 6, "usd", "ch_2")]).await;
    assert_eq!(world.revenue.totals(TENANT).await.unwrap()[0].gross_minor, 200);
    let tie_out = proof(&world).await;
    assert_eq!(tie_out.differences[0].object_id.as_deref(), Some("ch_1"), "the proof misses it");
    world.learn("acct_1", DAY_ONE + 10, &[charge(1, DAY_ONE, 100, "usd")]).await;
    assert!(proof(&world).await.agrees());
}

async fn an_erased_account_leaves_nothing(stage: Stage) {
    let world = World::on(&stage);
    small_business(&world).await;
    sold_business(&world).await;
    world.learn("acct_2", DAY_ONE, &[charge(1, DAY_ONE, 700, "usd")]).await;
    world.revenue.refresh(TENANT).await.unwrap();
    let mut tx = world.base.store.begin(TENANT).await.unwrap();
    world.revenue.projection().clear(&mut tx, &scope("acct_1")).await.unwrap();
    tx.commit().await.unwrap();
    let totals = world.revenue.totals(TENANT).await.unwrap();
    assert_eq!((totals.len(), totals[0].gross_minor, totals[0].charges), (1, 700, 1));
    assert_eq!(proof(&world).await.facts, 1);
}

async fn every_statement_prepares(stage: Stage) {
    // Of other crates that are linked in, their own tests tell.
    let failures = stage.store.prepare_all().await.err().unwrap_or_default();
    let ours: Vec<String> = failures.into_iter().filter(|failure| failure.contains("crates/revenue")).collect();
    assert!(ours.is_empty(), "{ours:#?}");
}
