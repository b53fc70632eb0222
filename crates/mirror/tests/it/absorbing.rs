//! Absorbing: the newest version wins, whatever the order of arrival.

use crate::world::{Copybook, TENANT, base};
use kit::{Randomness, SeededRandomness, Time};
use mirror::{Absorbed, Absorber, Interval, Observation, Scope, Source};
use std::sync::Arc;
use store::{q, sql};
use testkit::Stage;
use vault::ConnectionId;

testkit::on_both_engines!(
    a_batch_is_absorbed_once,
    any_order_and_any_batches_end_in_the_same_rows,
    what_cannot_be_ordered_is_read_again,
    what_stays_contested_is_read_later,
    what_is_gone_is_marked_and_kept,
    accounts_and_tenants_do_not_mix,
    odd_texts_are_kept_as_they_came,
);

fn scope(account: &str) -> Scope {
    Scope { tenant: TENANT, connection_id: ConnectionId::from_text("con_1"), account_id: account.to_owned() }
}

fn seen<'a>(kind: &'a str, id: &'a str, body: &'a str, begin: i64, end: i64) -> Observation<'a> {
    let seen = Interval { begin: Time::from_micros(begin), end: Time::from_micros(end) };
    let created = Some(Time::from_seconds(1));
    Observation { object_type: kind, id, body, created, source: Source::List, seen, deleted: false, stub: false }
}

struct Door {
    stage: Stage,
    absorber: Absorber,
    copybook: Arc<Copybook>,
}

impl Door {
    fn new(stage: Stage) -> Door {
        let copybook = Arc::new(Copybook::default());
        Door { absorber: Absorber::new(base(&stage), vec![copybook.clone()]), copybook, stage }
    }

    async fn absorb(&self, observations: &[Observation<'_>]) -> Absorbed {
        self.absorb_for("acct_1", observations).await
    }

    async fn absorb_for(&self, account: &str, observations: &[Observation<'_>]) -> Absorbed {
        let mut tx = self.stage.store.begin(TENANT).await.unwrap();
        let absorbed = self.absorber.absorb(&mut tx, &scope(account), observations).await.unwrap();
        tx.commit().await.unwrap();
        absorbed
    }

    /// Every row of the account but for its mark `contested`, as text.
    async fn rows(&self, account: &str) -> Vec<String> {
        let mut tx = self.stage.store.read(TENANT).await.unwrap();
        let rows: Vec<(String, String, i64, i64, bool, bool, String)> = q(sql!(
            "SELECT object_type, id, seen_begin, seen_end, deleted, stub, body FROM mirror_objects
             WHERE tenant_id = $1 AND account_id = $2 ORDER BY object_type, id"
        ))
        .bind(TENANT)
        .bind(account)
        .all(&mut tx)
        .await
        .unwrap();
        rows.into_iter().map(|row| format!("{row:?}")).collect()
    }

    /// Objects, deleted and contested ones, as counted along the way and as they are.
    async fn counts(&self) -> ((i64, i64, i64), (i64, i64, i64)) {
        let mut tx = self.stage.store.read(TENANT).await.unwrap();
        let counted = q(sql!(
            "SELECT CAST(coalesce(sum(objects), 0) AS BIGINT), CAST(coalesce(sum(deleted), 0) AS BIGINT),
                    CAST(coalesce(sum(contested), 0) AS BIGINT) FROM mirror_counts WHERE tenant_id = $1"
        ))
        .bind(TENANT)
        .one(&mut tx)
        .await
        .unwrap();
        let there = q(sql!(
            "SELECT count(*), CAST(coalesce(sum(CASE WHEN deleted THEN 1 ELSE 0 END), 0) AS BIGINT),
                    CAST(coalesce(sum(CASE WHEN contested THEN 1 ELSE 0 END), 0) AS BIGINT)
             FROM mirror_objects WHERE tenant_id = $1"
        ))
        .bind(TENANT)
        .one(&mut tx)
        .await
        .unwrap();
        (counted, there)
    }
}

async fn a_batch_is_absorbed_once(stage: Stage) {
    let door = Door::new(stage);
    let (old, new) = (r#"{"id":"ch_1","amount":1}"#, r#"{"id":"ch_1","amount":2}"#);
    let batch = [seen("charge", "ch_1", old, 10, 20), seen("payout", "po_1", "{}", 10, 20)];
    let outcome = door.absorb(&batch).await;
    assert_eq!(outcome, Absorbed { new: 2, ..Absorbed::default() });
    assert_eq!(door.absorb(&batch).await, Absorbed { same: 2, ..Absorbed::default() });
    assert_eq!(*door.copybook.told.lock().unwrap(), 1, "of payouts nobody wants to hear");

    let indented = "{\n  \"amount\": 1,\n  \"id\": \"ch_1\"\n}";
    assert_eq!(door.absorb(&[seen("charge", "ch_1", indented, 30, 40)]).await.same, 1, "other spaces say the same");
    assert_eq!(door.absorb(&[seen("charge", "ch_1", new, 1, 9)]).await.older, 1);
    assert_eq!(door.absorb(&[seen("charge", "ch_1", new, 50, 60)]).await.changed, 1);
    // There and back within one batch is no change.
    let twice = [seen("charge", "ch_1", old, 70, 80), seen("charge", "ch_1", new, 90, 95)];
    assert_eq!(door.absorb(&twice).await, Absorbed { same: 1, ..Absorbed::default() });
    assert_eq!(*door.copybook.told.lock().unwrap(), 2);
    assert_eq!(door.counts().await, ((2, 0, 0), (2, 0, 0)));
}

async fn any_order_and_any_batches_end_in_the_same_rows(stage: Stage) {
    let door = Door::new(stage.clone());
    let random = SeededRandomness::new(stage.seed);
    let bodies: Vec<String> = (0..4).map(|number| format!(r#"{{"value":{number}}}"#)).collect();
    let ids: Vec<String> = (0..6).map(|number| format!("ch_{number}")).collect();
    for round in 0..6 {
        let mut observations: Vec<Observation<'_>> = (0..60)
            .map(|_| {
                let (begin, length) = (random.below(200) as i64, random.below(20) as i64);
                let (id, body) = (random.below(6) as usize, random.below(4) as usize);
                let kind = ["charge", "customer", "plan"][id % 3];
                let what = random.below(20);
                let whole = seen(kind, &ids[id], &bodies[body], begin, begin + length);
                let gone = r#"{"deleted":true}"#;
                match what {
                    0 => Observation { deleted: true, ..whole },
                    1 => Observation { deleted: true, stub: true, body: gone, ..whole },
                    _ => whole,
                }
            })
            .collect();
        let mut ends = Vec::new();
        for (way, most) in [1, 7, 60].into_iter().enumerate() {
            let account = format!("acct_{round}_{way}");
            door.copybook.objects.lock().unwrap().clear();
            let mut rest = &observations[..];
            while !rest.is_empty() {
                let (batch, later) = rest.split_at((1 + random.below(most) as usize).min(rest.len()));
                door.absorb_for(&account, batch).await;
                rest = later;
            }
            // And some of it once more.
            door.absorb_for(&account, &observations[..20]).await;
            let told: Vec<_> = door.copybook.objects.lock().unwrap().clone().into_iter().collect();
            ends.push((door.rows(&account).await, told));
            for place in (1..observations.len()).rev() {
                observations.swap(place, random.below(place as u64 + 1) as usize);
            }
        }
        assert_eq!(ends[0], ends[1]);
        assert_eq!(ends[0], ends[2]);
    }
    let (counted, there) = door.counts().await;
    assert_eq!(counted, there);
}

async fn what_cannot_be_ordered_is_read_again(stage: Stage) {
    let door = Door::new(stage.clone());
    let second = Interval::of_event(stage.now());
    let event = |body| Observation { seen: second, source: Source::Event, ..seen("charge", "ch_1", body, 0, 0) };
    door.absorb(&[event(r#"{"status":"pending"}"#)]).await;
    let outcome = door.absorb(&[event(r#"{"status":"succeeded"}"#)]).await;
    assert_eq!((outcome.contested, door.counts().await.0), (1, (1, 0, 1)));
    let mut tx = stage.store.read(TENANT).await.unwrap();
    let waiting: (String, i64) =
        q(sql!("SELECT id, due_at FROM mirror_rereads WHERE tenant_id = $1")).bind(TENANT).one(&mut tx).await.unwrap();
    drop(tx);
    assert_eq!(waiting.0, "ch_1");
    assert!(waiting.1 > second.end.micros(), "an earlier answer could not tell which of the two is newer");

    let answer = Interval::of_fetch(Time::from_micros(waiting.1), Time::from_micros(waiting.1 + 1));
    let read = Observation { seen: answer, source: Source::Get, ..event(r#"{"status":"succeeded"}"#) };
    door.absorb(&[read]).await;
    assert_eq!(door.counts().await, ((1, 0, 0), (1, 0, 0)));
}

async fn what_stays_contested_is_read_later(stage: Stage) {
    let door = Door::new(stage.clone());
    let second = Interval::of_event(stage.now());
    let event = |body| Observation { seen: second, source: Source::Event, ..seen("charge", "ch_1", body, 0, 0) };
    let (one, other) = (r#"{"status":"pending"}"#, r#"{"status":"succeeded"}"#);
    door.absorb(&[event(one)]).await;
    door.absorb(&[event(other)]).await;
    let shown = door.rows("acct_1").await[0].contains("succeeded");
    // A slow page of a list, asked for within that second, says the same as is shown: nobody knows more than before.
    let slow = Interval { begin: second.begin, end: second.end + std::time::Duration::from_secs(5) };
    let page = Observation { seen: slow, ..event(if shown { other } else { one }) };
    door.absorb(&[page]).await;
    assert_eq!(door.counts().await.0, (1, 0, 1), "it is still contested");
    let mut tx = stage.store.read(TENANT).await.unwrap();
    let due: i64 =
        q(sql!("SELECT due_at FROM mirror_rereads WHERE tenant_id = $1")).bind(TENANT).scalar(&mut tx).await.unwrap();
    assert!(due > slow.end.micros(), "a look that begins before that end could not settle it");
}

async fn what_is_gone_is_marked_and_kept(stage: Stage) {
    let door = Door::new(stage);
    let whole = seen("customer", "cus_1", r#"{"id":"cus_1","email":"a@b.example"}"#, 10, 20);
    let stub = Observation {
        deleted: true,
        stub: true,
        ..seen("customer", "cus_1", r#"{"id":"cus_1","deleted":true}"#, 30, 31)
    };
    door.absorb(&[whole]).await;
    assert_eq!(door.absorb(&[stub]).await.changed, 1);
    assert_eq!(
        door.absorb(&[Observation {
            seen: Interval { begin: Time::from_micros(50), end: Time::from_micros(51) },
            ..whole
        }])
        .await
        .changed,
        0
    );
    let told = door.copybook.objects.lock().unwrap()[&("customer".to_owned(), "cus_1".to_owned())].clone();
    assert!(told.0.contains("a@b.example") && told.1, "{told:?}");
    assert_eq!(door.counts().await, ((1, 1, 0), (1, 1, 0)));

    // The other way round ends alike: what it was comes after the news that it is gone.
    door.absorb(&[Observation { id: "cus_2", ..stub }]).await;
    assert_eq!(door.absorb(&[Observation { id: "cus_2", ..whole }]).await.changed, 1);
    let told = door.copybook.objects.lock().unwrap()[&("customer".to_owned(), "cus_2".to_owned())].clone();
    assert!(told.0.contains("a@b.example") && told.1, "{told:?}");
    assert_eq!(door.counts().await, ((2, 2, 0), (2, 2, 0)));
}

async fn accounts_and_tenants_do_not_mix(stage: Stage) {
    let door = Door::new(stage.clone());
    door.absorb_for("acct_1", &[seen("payout", "po_1", r#"{"of":1}"#, 10, 20)]).await;
    door.absorb_for("acct_2", &[seen("payout", "po_1", r#"{"of":2}"#, 5, 6)]).await;
    assert!(door.rows("acct_1").await[0].contains(r#"{\"of\":1}"#));
    assert!(door.rows("acct_2").await[0].contains(r#"{\"of\":2}"#));
    let other = kit::TenantId(2);
    let mut tx = stage.store.begin(other).await.unwrap();
    let foreign = Scope { tenant: other, ..scope("acct_1") };
    let outcome =
        door.absorber.absorb(&mut tx, &foreign, &[seen("payout", "po_1", r#"{"of":3}"#, 1, 2)]).await.unwrap();
    tx.commit().await.unwrap();
    assert_eq!(outcome.new, 1);
    assert!(door.rows("acct_1").await[0].contains(r#"{\"of\":1}"#));
}

async fn odd_texts_are_kept_as_they_came(stage: Stage) {
    let door = Door::new(stage);
    let body = "{\"a\":\"\\u0000 é 漢 😀 ' \\\" \\\\ \",\n \"b\":1e400}";
    let id = "gold/1 'x' \"y\" 漢";
    // Bodies stand one behind the other in bytes, so that letters of several bytes would shift those behind them.
    let batch =
        [seen("product", "a", "{\"é\":1}", 1, 2), seen("product", id, body, 1, 2), seen("product", "z", "{}", 1, 2)];
    door.absorb(&batch).await;
    let mut tx = door.stage.store.read(TENANT).await.unwrap();
    let rows: Vec<(String, String)> =
        q(sql!("SELECT id, body FROM mirror_objects WHERE tenant_id = $1 ORDER BY seen_begin, id"))
            .bind(TENANT)
            .all(&mut tx)
            .await
            .unwrap();
    let row = |wanted: &str| rows.iter().find(|row| row.0 == wanted).map(|row| row.1.as_str());
    assert_eq!((row("a"), row(id), row("z")), (Some("{\"é\":1}"), Some(body), Some("{}")));
}
