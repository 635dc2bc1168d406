//! What is found in a store that is whole, and in a broken one.

use mcp_scheduler::backup::Verification;
use mcp_scheduler::store::{ConversationStore, Flaw, Operation, StoreError, Table};
use mcp_scheduler::testing::sealer_with_keys;

use super::{CLIENTS, NOW, Place, filled, large, small};

#[tokio::test]
async fn a_store_is_whole_until_a_row_is_missing_or_too_many() {
    let verification: Verification = filled().await.backup.verify().await.unwrap();
    assert_eq!((verification.flaws, verification.clients), (vec![], 1));
    let counts = verification.counts;
    assert_eq!((counts.conversations, counts.payloads, counts.due, counts.index), (7, 2, 6, 7));
    assert_eq!((counts.retention, counts.names, counts.keys), (1, 1, 1));
    for prefix in ["d~", "x~", "r~", "p~", "n~", "e~"] {
        let place = filled().await;
        let (partition, key) = place.keys(prefix).await.remove(0);
        let value = place.table.get(partition, &key).await.unwrap().unwrap().value;
        place.commit(partition, Operation::Delete { key: key.clone(), if_match: None }).await;
        let flaws = place.flaws().await;
        assert!(matches!(&*flaws, [Flaw::Missing { key: missing, .. }] if *missing == key), "{key}: {flaws:?}");
        // The same row in another partition belongs to nothing there.
        let elsewhere = ConversationStore::partitions().find(|other| *other != partition).unwrap();
        place.commit(partition, Operation::Insert { key: key.clone(), value: value.clone() }).await;
        place.commit(elsewhere, Operation::Insert { key: key.clone(), value }).await;
        assert_eq!(place.flaws().await, [Flaw::Orphan { key }]);
    }
    // A main row that is lost, and one in the wrong partition.
    let place = filled().await;
    let (partition, key) = place.keys("m~").await.remove(0);
    let value = place.table.get(partition, &key).await.unwrap().unwrap().value;
    place.commit(partition, Operation::Delete { key: key.clone(), if_match: None }).await;
    assert!(place.flaws().await.iter().all(|flaw| matches!(flaw, Flaw::Orphan { .. })));
    let elsewhere = ConversationStore::partitions().find(|other| *other != partition).unwrap();
    place.commit(elsewhere, Operation::Insert { key: key.clone(), value }).await;
    let is_named = |flaw: &Flaw| matches!(flaw, Flaw::Unreadable(reason) if reason.contains("of another conversation"));
    assert!(place.flaws().await.iter().any(is_named));
    // A client, and a row of no known kind.
    for (partition, key) in [(CLIENTS, "bob"), (partition, "z~bob")] {
        let place = filled().await;
        place.commit(partition, Operation::Insert { key: key.to_owned(), value: "{}".to_owned() }).await;
        let flaws = place.flaws().await;
        assert!(matches!(&*flaws, [Flaw::Unreadable(reason)] if reason.contains(key)), "{flaws:?}");
    }
}

#[tokio::test]
async fn each_row_that_cannot_be_decrypted_is_named() {
    let (keys, sealer) = sealer_with_keys();
    let place = Place::with_keys(sealer);
    place.store.insert(&small(1)).await.unwrap();
    place.store.insert(&large(2)).await.unwrap();
    keys.send(format!("other:{}", "11".repeat(32)).parse().unwrap()).unwrap();
    let flaws = place.flaws().await;
    assert_eq!(flaws.len(), 3, "{flaws:?}");
    assert!(flaws.iter().all(|flaw| flaw.to_string().contains("with the key test")), "{flaws:?}");
}

#[tokio::test]
async fn a_store_in_use_is_not_called_broken() {
    let place = filled().await;
    let store = place.store.clone();
    let work = async {
        for number in 20..120 {
            let new = small(number);
            store.insert(&new).await?;
            let read = store.get(new.conversation.client(), new.conversation.id()).await?.unwrap();
            store.replace(read.revision, &read.value.cancel(NOW).unwrap()).await?;
            tokio::task::yield_now().await;
        }
        Ok::<_, StoreError>(())
    };
    let verify = async {
        for _ in 0..20 {
            assert_eq!(place.flaws().await, []);
            tokio::task::yield_now().await;
        }
    };
    let (worked, ()) = tokio::join!(work, verify);
    worked.unwrap();
}
