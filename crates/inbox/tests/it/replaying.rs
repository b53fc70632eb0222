//! Events processed again, because somebody asked.

use crate::world::{TEST, World, event_of, world};
use inbox::{EventFilter, ReplayFilter, SinkError, Source, State};
use kit::PageRequest;
use std::time::Duration;
use testkit::Stage;

testkit::on_both_engines!(
    one_or_many_are_replayed_by_id_type_state_or_time,
    a_replay_of_more_than_a_step_ends,
    lists_are_filtered_and_paged,
);

async fn by(world: &World, filter: ReplayFilter) -> u64 {
    world.inbox.replay(TEST, filter).await.unwrap()
}

async fn one_or_many_are_replayed_by_id_type_state_or_time(stage: Stage) {
    let world = world(stage).await;
    let filter = ReplayFilter::default;
    for (id, event_type) in [
        ("evt_1", "charge.updated"),
        ("evt_2", "charge.refunded"),
        ("evt_3", "payment_intent.succeeded"),
        ("evt_4", "paymentXintent.x"),
    ] {
        world.deliver(&event_of(id, event_type, "")).await.expect(200);
        world.stage.clock.advance(Duration::from_secs(60));
    }
    assert_eq!(
        by(&world, ReplayFilter { event_type: Some("charge.*".to_owned()), ..filter() }).await,
        0,
        "they wait anyway"
    );
    world.sink.fail_with(|event| (event.event_id == "evt_2").then(|| SinkError::Poison("no".to_owned())));
    world.process().await;
    world.sink.succeed();

    assert_eq!(world.inbox.replay(TEST, filter()).await.unwrap_err().code(), "replay_without_filter");
    assert_eq!(by(&world, ReplayFilter { state: Some(State::Dead), ..filter() }).await, 1);
    let waiting = world.inbox.event(TEST, "evt_2").await.unwrap().summary;
    assert_eq!((waiting.state, waiting.retry_count, waiting.next_try_at), (State::Ready, 0, Some(world.stage.now())));
    world.process().await;
    assert_eq!(world.inbox.event(TEST, "evt_2").await.unwrap().summary.state, State::Processed);

    assert_eq!(
        by(&world, ReplayFilter { ids: vec!["evt_1".into(), "evt_3".into(), "evt_x".into()], ..filter() }).await,
        2
    );
    world.process().await;
    assert_eq!(by(&world, ReplayFilter { event_type: Some("payment_intent.*".to_owned()), ..filter() }).await, 1);
    world.process().await;
    let (from, to) = (testkit::START + Duration::from_secs(60), testkit::START + Duration::from_secs(180));
    assert_eq!(
        by(&world, ReplayFilter { from: Some(from), to: Some(to), ..filter() }).await,
        2,
        "the end is not included"
    );
    world.process().await;
    let both = ReplayFilter { from: Some(from), event_type: Some("charge.refunded".to_owned()), ..filter() };
    assert_eq!(by(&world, both).await, 1);
    world.process().await;
    assert_eq!(world.effects(TEST).await, 4 + 2 + 1 + 2 + 1);
}

async fn a_replay_of_more_than_a_step_ends(stage: Stage) {
    let world = world(stage).await;
    let bodies: Vec<String> =
        (0..1_203).map(|number| event_of(&format!("evt_{number:04}"), "charge.updated", "")).collect();
    let bodies: Vec<&str> = bodies.iter().map(String::as_str).collect();
    let mut tx = world.stage.store.begin(TEST).await.unwrap();
    world.inbox.accept(&mut tx, &world.connection, Source::Sweep, &bodies).await.unwrap();
    tx.commit().await.unwrap();
    world.process().await;
    assert_eq!(by(&world, ReplayFilter { from: Some(testkit::START), ..ReplayFilter::default() }).await, 1_203);
    assert_eq!(world.inbox.counts(TEST).await.unwrap().ready, 1_203);
    world.process().await;
    assert_eq!(world.effects(TEST).await, 2_406);
}

async fn lists_are_filtered_and_paged(stage: Stage) {
    let world = world(stage).await;
    for number in 0..9 {
        let event_type = if number % 3 == 0 { "charge.refunded" } else { "invoice.paid" };
        world.deliver(&event_of(&format!("evt_{number}"), event_type, "")).await.expect(200);
        if number % 2 == 0 {
            world.stage.clock.advance(Duration::from_secs(1));
        }
    }
    world.sink.fail_with(|event| (event.event_id == "evt_4").then(|| SinkError::Retry("no".to_owned())));
    world.process().await;
    let list = async |filter: EventFilter| -> Vec<String> {
        let mut ids = Vec::new();
        let mut page = PageRequest { limit: Some(2), cursor: None };
        loop {
            let part = world.inbox.list(TEST, &filter, &page).await.unwrap();
            assert!(part.data.len() <= 2 && part.has_more == part.next_cursor.is_some());
            ids.extend(part.data.into_iter().map(|event| event.event_id));
            page.cursor = part.next_cursor;
            if page.cursor.is_none() {
                return ids;
            }
        }
    };
    let none = EventFilter::default;
    let all = list(none()).await;
    assert_eq!(all.len(), 9);
    assert_eq!((all[0].as_str(), all[8].as_str()), ("evt_8", "evt_0"));
    assert_eq!(list(EventFilter { event_type: Some("charge.*".into()), ..none() }).await, ["evt_6", "evt_3", "evt_0"]);
    assert_eq!(list(EventFilter { state: Some(State::Failed), ..none() }).await, ["evt_4"]);
    assert_eq!(list(EventFilter { state: Some(State::Processed), ..none() }).await.len(), 8);
    assert_eq!(list(EventFilter { state: Some(State::Ready), ..none() }).await.len(), 0);
    assert_eq!(list(EventFilter { object_id: Some("invoice_of_evt_5".into()), ..none() }).await, ["evt_5"]);
    assert_eq!(list(EventFilter { connection_id: Some("con_other".into()), ..none() }).await.len(), 0);
    let bad = PageRequest { limit: None, cursor: Some(kit::Cursor::encode(&"nonsense")) };
    assert_eq!(world.inbox.list(TEST, &none(), &bad).await.unwrap_err().code(), "bad_field");
    assert_eq!(world.inbox.event(TEST, "evt_x").await.unwrap_err().code(), "not_found");
}
