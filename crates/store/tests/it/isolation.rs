//! A transaction sees its tenant's rows, and nobody else's.

use kit::TenantId;
use store::{Engine, q, sql};
use testkit::Stage;

testkit::on_both_engines!(
    a_tenant_sees_only_its_own_rows,
    what_was_not_committed_is_gone,
    a_system_transaction_sees_queues_and_no_tenants_table,
    values_of_every_type_come_back_as_they_were,
);

async fn note(stage: &Stage, tenant: i64, id: &str) {
    let mut tx = stage.store.begin(TenantId(tenant)).await.unwrap();
    q(sql!("INSERT INTO notices (tenant_id, id, topic, subject, payload, created_at) VALUES ($1, $2, 'topic', 'subject', $3, $4)"))
        .bind(tenant)
        .bind(id)
        .bind(serde_json::json!({"b": [1, null], "a": "ü"}))
        .bind(stage.now())
        .change_one(&mut tx)
        .await
        .unwrap();
    tx.commit().await.unwrap();
}

async fn a_tenant_sees_only_its_own_rows(stage: Stage) {
    note(&stage, 1, "first").await;
    note(&stage, 2, "second").await;
    for tenant in [1_i64, 2] {
        let mut tx = stage.store.read(TenantId(tenant)).await.unwrap();
        let mine: i64 =
            q(sql!("SELECT count(*) FROM notices WHERE tenant_id = $1")).bind(tenant).scalar(&mut tx).await.unwrap();
        assert_eq!(mine, 1);
        // A query that forgets its tenant: PostgreSQL refuses to show more than the transaction may see.
        let seen: i64 = q(sql!("SELECT count(*) FROM notices")).scalar(&mut tx).await.unwrap();
        assert_eq!(seen, if stage.engine() == Engine::Postgres { 1 } else { 2 });
    }
    let mut tx = stage.store.begin(TenantId(1)).await.unwrap();
    let foreign = q(sql!(
        "INSERT INTO notices (tenant_id, id, topic, subject, payload, created_at) VALUES (2, 'x', '', '', '{}', 0)"
    ))
    .execute(&mut tx)
    .await;
    assert_eq!(foreign.is_err(), stage.engine() == Engine::Postgres, "row-level security refuses a foreign row");
}

async fn what_was_not_committed_is_gone(stage: Stage) {
    let mut tx = stage.store.begin(TenantId(1)).await.unwrap();
    q(sql!(
        "INSERT INTO notices (tenant_id, id, topic, subject, payload, created_at) VALUES (1, 'gone', '', '', '{}', 0)"
    ))
    .change_one(&mut tx)
    .await
    .unwrap();
    drop(tx);
    let mut tx = stage.store.begin(TenantId(1)).await.unwrap();
    let left: i64 = q(sql!("SELECT count(*) FROM notices WHERE tenant_id = 1")).scalar(&mut tx).await.unwrap();
    assert_eq!(left, 0);
    let missing =
        q(sql!("UPDATE notices SET topic = 'x' WHERE tenant_id = 1 AND id = 'gone'")).change_one(&mut tx).await;
    assert_eq!(*missing.unwrap_err().kind(), store::ErrorKind::MissingRow);
}

async fn a_system_transaction_sees_queues_and_no_tenants_table(stage: Stage) {
    note(&stage, 1, "hidden").await;
    let mut tx = stage.store.begin_system().await.unwrap();
    let seen: i64 = q(sql!("SELECT count(*) FROM notices")).scalar(&mut tx).await.unwrap();
    assert_eq!(seen, if stage.engine() == Engine::Postgres { 0 } else { 1 });
    q(sql!("SELECT count(*) FROM jobs")).scalar::<i64>(&mut tx).await.unwrap();
}

async fn values_of_every_type_come_back_as_they_were(stage: Stage) {
    note(&stage, 7, "typed").await;
    let mut tx = stage.store.read(TenantId(7)).await.unwrap();
    let (payload, created_at): (store::Json<serde_json::Value>, i64) =
        q(sql!("SELECT payload, created_at FROM notices WHERE tenant_id = $1"))
            .bind(TenantId(7))
            .one(&mut tx)
            .await
            .unwrap();
    assert_eq!(payload.0, serde_json::json!({"a": "ü", "b": [1, null]}));
    assert_eq!(created_at, stage.now().micros());
    type Typed = (bool, Option<i64>, Vec<u8>, String, f64);
    let typed: Typed =
        q(sql!("SELECT CAST($1 AS BOOLEAN), CAST($2 AS BIGINT), $3, CAST($4 AS TEXT), CAST($5 AS DOUBLE PRECISION)"))
            .bind(true)
            .bind(None::<i64>)
            .bind(vec![0_u8, 255])
            .bind("text")
            .bind(0.5)
            .one(&mut tx)
            .await
            .unwrap();
    assert_eq!(typed, (true, None, vec![0, 255], "text".to_owned(), 0.5));
}
