//! Scheduled work is started once, however many nodes there are; notices reach their subscribers.

use crate::base;
use kit::TenantId;
use platform::{Cadence, CancellationToken, Schedule, Subscriber, notice, schedule, worker};
use std::{sync::Arc, time::Duration};
use store::{q, sql};
use testkit::Stage;

testkit::on_both_engines!(due_work_is_started_by_one_node_only, a_notice_reaches_its_subscribers_and_no_others);

async fn due_work_is_started_by_one_node_only(stage: Stage) {
    let base = base(&stage);
    let schedules =
        [Schedule { name: "quarter", cadence: Cadence::Every(Duration::from_secs(900)), kind: "test.none" }];
    schedule::start_due(&base, &schedules).await.unwrap();
    let jobs = async || {
        let mut tx = base.store.read_system().await.unwrap();
        q(sql!("SELECT count(*) FROM jobs")).scalar::<i64>(&mut tx).await.unwrap()
    };
    assert_eq!(jobs().await, 0, "a schedule that was just declared waits for its first time");
    stage.clock.advance(Duration::from_secs(901));
    let nodes = futures::future::join_all((0..5).map(|_| schedule::start_due(&base, &schedules))).await;
    assert!(nodes.into_iter().all(|next| next.unwrap().unwrap() > base.now()));
    assert_eq!(jobs().await, 1);
    let mut tx = base.store.begin_system().await.unwrap();
    let rows = schedule::list(&mut tx).await.unwrap();
    assert_eq!((rows[0].name.as_str(), rows[0].last_state.as_deref()), ("quarter", Some("ready")));
}

async fn a_notice_reaches_its_subscribers_and_no_others(stage: Stage) {
    let base = base(&stage);
    let (told, mut heard) = tokio::sync::mpsc::unbounded_channel();
    let subscriber = |name: &'static str, topic: &'static str| {
        let told = told.clone();
        let tell: notice::Tell = Arc::new(move |_, notice| {
            let told = told.clone();
            Box::pin(async move {
                told.send((name, notice)).ok();
                Ok(())
            })
        });
        Subscriber { name, topic, tell }
    };
    let stopping = CancellationToken::new();
    let _stop = stopping.clone().drop_guard();
    let delivery = notice::delivery(vec![subscriber("right", "connection.created"), subscriber("wrong", "other")]);
    tokio::spawn(worker::run(base.clone(), vec![delivery], stopping));
    let mut tx = base.store.begin(TenantId(4)).await.unwrap();
    notice::publish(&mut tx, &base, "connection.created", "con_1", serde_json::json!({"n": 1})).await.unwrap();
    tx.commit().await.unwrap();
    let (name, notice) = heard.recv().await.unwrap();
    assert_eq!((name, notice.tenant, notice.subject.as_str()), ("right", TenantId(4), "con_1"));
    assert!(heard.try_recv().is_err());
}
