//! Many rows in one call, in whatever sizes they are bound.

use kit::TenantId;
use serde_json::json;
use store::{Value, json_rows, q, sql, write_rows};
use testkit::Stage;

testkit::on_both_engines!(any_number_of_rows_is_written_once,);

async fn any_number_of_rows_is_written_once(stage: Stage) {
    let tenant = TenantId(1);
    for count in [0_i64, 1, 15, 16, 127, 128, 300, 145] {
        let mut tx = stage.store.begin(tenant).await.unwrap();
        let rows: Vec<(String, i64)> = (0..count).map(|number| (format!("é{number:04}"), number * 7)).collect();
        let bound = rows.iter().map(|(id, at)| {
            let payload = Value::from(json!({ "of": id }));
            [tenant.into(), id.into(), "topic".into(), "subject".into(), payload, (*at).into()]
        });
        let whole = || Ok(vec![tenant.into(), json_rows(&rows)?.into()]);
        let statement = sql!(
            "INSERT INTO notices (tenant_id, id, topic, subject, payload, created_at) "
            pg "SELECT $1, value->>0, 'topic', 'subject', json_build_object('of', value->>0)::jsonb, CAST(value->>1 AS BIGINT)
                FROM json_array_elements($2::json)"
            lite "VALUES (?, ?, ?, ?, ?, ?)"
        );
        assert_eq!(write_rows(&mut tx, statement, whole, bound).await.unwrap(), count as u64);
        let there: Vec<(String, i64)> =
            q(sql!("SELECT id, created_at FROM notices WHERE tenant_id = $1 ORDER BY created_at"))
                .bind(tenant)
                .all(&mut tx)
                .await
                .unwrap();
        assert_eq!(there, rows);
        tx.rollback().await.unwrap();
    }
}
