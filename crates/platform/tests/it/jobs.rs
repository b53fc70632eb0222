//! Jobs: once, in order of need, never lost, never two of a key at once.

use crate::base;
use kit::TenantId;
use platform::{Base, CancellationToken, JobError, JobKind, JobRun, NewJob, RetryPlan, job, worker};
use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};
use store::{q, sql};
use testkit::{Stage, wait_for};

testkit::on_both_engines!(
    a_job_runs_at_once_and_is_done_with_its_effect,
    a_failing_job_is_tried_again_with_backoff_and_then_kept_as_dead,
    a_job_that_waits_for_later_uses_no_try,
    two_jobs_of_one_key_never_run_together,
    a_worker_past_its_lease_cannot_finish,
    a_panic_is_a_failure_and_not_the_end_of_the_worker,
    a_job_whose_transaction_is_rolled_back_never_existed,
);

async fn enqueue(base: &Base, job: NewJob) -> Option<job::JobId> {
    let mut tx = base.store.begin_system().await.unwrap();
    let id = job::enqueue(&mut tx, base, job).await.unwrap();
    tx.commit().await.unwrap();
    id
}

async fn row(base: &Base, id: &job::JobId) -> job::JobRow {
    let mut tx = base.store.read_system().await.unwrap();
    job::find(&mut tx, id).await.unwrap().unwrap()
}

async fn wait_for_state(base: &Base, id: &job::JobId, state: &str) -> job::JobRow {
    wait_for(&format!("job {id} to be {state}"), async || Some(row(base, id).await).filter(|row| row.state == state))
        .await
}

/// Runs workers for `kinds` until the guard is dropped.
fn work(base: &Base, kinds: Vec<JobKind>) -> tokio_util::sync::DropGuard {
    let stopping = CancellationToken::new();
    tokio::spawn(worker::run(base.clone(), kinds, stopping.clone()));
    stopping.drop_guard()
}

async fn a_job_runs_at_once_and_is_done_with_its_effect(stage: Stage) {
    let base = base(&stage);
    let kind = JobKind::new("test.effect", |run: JobRun| async move {
        let name: String = run.payload()?;
        let mut tx = run.base.store.begin_system().await?;
        q(sql!("INSERT INTO schedules (name, next_run_at) VALUES ($1, 0)")).bind(name).change_one(&mut tx).await?;
        run.finish(&mut tx).await?;
        tx.commit().await?;
        Ok(())
    });
    let _working = work(&base, vec![kind]);
    let id = enqueue(&base, NewJob::new("test.effect", None, &"effect", base.now())).await.unwrap();
    wait_for_state(&base, &id, "done").await;
    let mut tx = base.store.read_system().await.unwrap();
    assert_eq!(
        q(sql!("SELECT count(*) FROM schedules WHERE name = 'effect'")).scalar::<i64>(&mut tx).await.unwrap(),
        1
    );
}

async fn a_failing_job_is_tried_again_with_backoff_and_then_kept_as_dead(stage: Stage) {
    let base = base(&stage);
    let kind = JobKind::new("test.fails", |_| async { Err(JobError::Retry("no luck".to_owned())) })
        .retry(RetryPlan { first: Duration::from_secs(60), most: Duration::from_secs(600) });
    let _working = work(&base, vec![kind]);
    let mut job = NewJob::new("test.fails", Some(TenantId(3)), &(), base.now());
    job.max_attempts = 3;
    let id = enqueue(&base, job).await.unwrap();
    for attempt in 1..=3 {
        let state = if attempt == 3 { "dead" } else { "ready" };
        let row = wait_for(&format!("attempt {attempt}"), async || {
            Some(row(&base, &id).await).filter(|row| row.attempts == attempt && row.state == state)
        })
        .await;
        assert_eq!(row.last_error.as_deref(), Some("no luck"));
        stage.clock.advance(Duration::from_secs(300));
    }
}

async fn a_job_that_waits_for_later_uses_no_try(stage: Stage) {
    let base = base(&stage);
    let open_at = base.now() + Duration::from_secs(3600);
    let kind = JobKind::new("test.later", move |run: JobRun| async move {
        if run.base.now() < open_at {
            return Err(JobError::Later { reason: "closed".to_owned(), at: open_at });
        }
        Ok(())
    });
    let _working = work(&base, vec![kind]);
    let id = enqueue(&base, NewJob::new("test.later", None, &(), base.now())).await.unwrap();
    wait_for("the job to be put off", async || Some(row(&base, &id).await).filter(|row| row.last_error.is_some()))
        .await;
    assert_eq!(row(&base, &id).await.attempts, 0);
    stage.clock.set(open_at);
    assert_eq!(wait_for_state(&base, &id, "done").await.attempts, 1);
}

async fn two_jobs_of_one_key_never_run_together(stage: Stage) {
    let base = base(&stage);
    let (running, most, runs) =
        (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let counted = (running.clone(), most.clone(), runs.clone());
    let kind = JobKind::new("test.key", move |_| {
        let (running, most, runs) = counted.clone();
        async move {
            most.fetch_max(running.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
            kit::clock::pause(Duration::from_millis(30)).await;
            running.fetch_sub(1, Ordering::SeqCst);
            runs.fetch_add(1, Ordering::SeqCst);
            Ok(())
        }
    });
    let key = || NewJob::new("test.key", None, &(), base.now()).dedupe("one");
    let first = enqueue(&base, key()).await.unwrap();
    assert!(enqueue(&base, key()).await.is_none(), "a second waiting job of the key is not made");
    let _two_workers = (work(&base, vec![kind.clone()]), work(&base, vec![kind]));
    wait_for("the first to run", async || Some(row(&base, &first).await).filter(|row| row.state != "ready")).await;
    let second = wait_for("the key to be free to wait again", async || enqueue(&base, key()).await).await;
    wait_for_state(&base, &second, "done").await;
    assert_eq!((most.load(Ordering::SeqCst), runs.load(Ordering::SeqCst)), (1, 2));
}

async fn a_worker_past_its_lease_cannot_finish(stage: Stage) {
    let base = base(&stage);
    let (entered, enter) = tokio::sync::mpsc::unbounded_channel::<JobRun>();
    let kind = JobKind::new("test.lease", move |run: JobRun| {
        let entered = entered.clone();
        async move {
            let attempt = run.attempt;
            entered.send(run).ok();
            if attempt == 1 { std::future::pending().await } else { Ok(()) }
        }
    });
    let mut enter = enter;
    let _working = work(&base, vec![kind]);
    let id = enqueue(&base, NewJob::new("test.lease", None, &(), base.now())).await.unwrap();
    let paused = enter.recv().await.unwrap();
    stage.clock.advance(worker::LEASE * 2);
    let again = enter.recv().await.unwrap();
    assert_eq!((paused.attempt, again.attempt), (1, 2));
    wait_for_state(&base, &id, "done").await;
    let mut tx = base.store.begin_system().await.unwrap();
    assert!(matches!(paused.finish(&mut tx).await, Err(JobError::LostLease)));
    assert!(matches!(paused.hold(&mut tx).await, Err(JobError::LostLease)));
}

async fn a_panic_is_a_failure_and_not_the_end_of_the_worker(stage: Stage) {
    let base = base(&stage);
    let kind = JobKind::new("test.panics", |run: JobRun| async move {
        assert!(run.attempt > 1, "first try");
        Ok(())
    });
    let _working = work(&base, vec![kind]);
    let id = enqueue(&base, NewJob::new("test.panics", None, &(), base.now())).await.unwrap();
    let failed = wait_for("the panic to be recorded", async || {
        Some(row(&base, &id).await).filter(|row| row.last_error.is_some())
    })
    .await;
    assert!(failed.last_error.unwrap().contains("first try"));
    stage.clock.advance(Duration::from_secs(60));
    wait_for_state(&base, &id, "done").await;
}

async fn a_job_whose_transaction_is_rolled_back_never_existed(stage: Stage) {
    let base = base(&stage);
    let mut tx = base.store.begin(TenantId(1)).await.unwrap();
    let id = job::enqueue(&mut tx, &base, NewJob::new("test.none", Some(TenantId(1)), &(), base.now()))
        .await
        .unwrap()
        .unwrap();
    tx.rollback().await.unwrap();
    let mut tx = base.store.read_system().await.unwrap();
    assert!(job::find(&mut tx, &id).await.unwrap().is_none());
}
