//! SQLite's journal: durable when it says so, in order, and forgotten only when told.

use store::{JournalRecord, Store, StoreOptions};

async fn open(folder: &std::path::Path) -> Store {
    Store::open(&StoreOptions::in_folder(folder)).await.unwrap()
}

fn bytes(records: &[JournalRecord]) -> Vec<&[u8]> {
    records.iter().map(|record| &*record.bytes).collect()
}

#[tokio::test]
async fn records_outlive_the_process_and_come_back_in_order() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path()).await;
    let journal = store.journal().unwrap();
    assert_eq!(journal.last(), 0);
    let first = journal.append(&[b"one".to_vec(), Vec::new(), "dr\u{e9}i \0".into()]).await.unwrap();
    let second = journal.append(&[vec![0xff; 20_000]]).await.unwrap();
    assert_eq!((first, second), (3, 4));
    store.close().await;

    let store = open(folder.path()).await;
    let journal = store.journal().unwrap();
    assert_eq!(journal.last(), 4);
    let all = journal.read(0, 10, usize::MAX).await.unwrap();
    assert_eq!(bytes(&all), [b"one".as_slice(), b"", "dr\u{e9}i \0".as_bytes(), &[0xff; 20_000]]);
    store.close().await;
}

#[tokio::test]
async fn reading_is_bounded_and_forgetting_is_exact() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path()).await;
    let journal = store.journal().unwrap();
    let records: Vec<Vec<u8>> = (0..10_u8).map(|number| vec![number; 100]).collect();
    journal.append(&records).await.unwrap();
    let numbers = async |after, most, most_bytes| {
        let records = journal.read(after, most, most_bytes).await.unwrap();
        records.iter().map(|record| record.sequence).collect::<Vec<_>>()
    };
    assert_eq!(numbers(0, 3, usize::MAX).await, [1, 2, 3]);
    assert_eq!(numbers(3, 100, 250).await, [4, 5, 6], "stops once there is enough");
    assert_eq!(numbers(0, 100, 0).await, [1], "one at least, or nobody would get on");
    journal.forget(1, 4).await.unwrap();
    journal.forget(6, 6).await.unwrap();
    assert_eq!(numbers(0, 100, usize::MAX).await, [5, 7, 8, 9, 10]);
    journal.forget(1, 10).await.unwrap();
    assert_eq!(journal.append(&[b"next".to_vec()]).await.unwrap(), 11, "a number is never given twice while it runs");
    store.close().await;
}
