//! Many small writes share a commit; each caller still gets its own answer.

use async_trait::async_trait;
use store::{Grouped, GroupedWrite, Result, Store, json_rows, q, sql};
use testkit::Stage;

testkit::on_both_engines!(
    each_caller_gets_its_own_answer_and_a_bad_row_refuses_only_itself,
    a_wake_reaches_a_waiter_after_the_commit,
);

struct Schedules(Store);

#[async_trait]
impl GroupedWrite for Schedules {
    type Item = (String, i64);
    type Answer = usize;
    async fn write(&self, items: &[Self::Item]) -> Result<Vec<usize>> {
        let mut tx = self.0.begin_system().await?;
        let rows: Vec<_> = items.iter().map(|(name, at)| serde_json::json!({"name": name, "at": at})).collect();
        q(sql!("INSERT INTO schedules (name, next_run_at) "
            pg "SELECT name, at FROM json_to_recordset($1::json) AS r(name text, at bigint)"
            lite "SELECT value ->> 'name', value ->> 'at' FROM jsonb_each($1)"))
        .bind(json_rows(&rows)?)
        .execute(&mut tx)
        .await?;
        tx.commit().await?;
        Ok(vec![items.len(); items.len()])
    }
}

async fn each_caller_gets_its_own_answer_and_a_bad_row_refuses_only_itself(stage: Stage) {
    let grouped = Grouped::start(Schedules(stage.store.clone()), 64, 1_000);
    let callers = (0..200_i64).map(|number| {
        let grouped = grouped.clone();
        // Two callers bring the same name: the second makes its whole group fail at first.
        let name = if number == 150 || number == 190 { "taken".to_owned() } else { format!("name {number}") };
        async move { grouped.submit((name, number)).await }
    });
    let answers = futures::future::join_all(callers).await;
    let refused = answers.iter().filter(|answer| answer.is_err()).count();
    assert_eq!(refused, 1, "the first to take the name has it");
    assert!(answers.iter().flatten().any(|shared| *shared > 1), "some commits were shared");
    let mut tx = stage.store.read_system().await.unwrap();
    let rows: i64 = q(sql!("SELECT count(*) FROM schedules")).scalar(&mut tx).await.unwrap();
    assert_eq!(rows, 199);
}

async fn a_wake_reaches_a_waiter_after_the_commit(stage: Stage) {
    let listening = {
        let store = stage.store.clone();
        tokio::spawn(async move { store.listen().await })
    };
    let mut wake = stage.store.wakes().subscribe("jobs");
    let mut tx = stage.store.begin_system().await.unwrap();
    tx.wake("jobs");
    tx.commit().await.unwrap();
    wake.woken().await;
    listening.abort();
}
