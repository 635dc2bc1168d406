//! Network failures between the program and its tables, and the error that each one becomes.

use mcp_scheduler::api::ScheduleRequest;
use mcp_scheduler::domain::{ConversationId, EndpointPolicy, Timestamp, WholeConversation};
use mcp_scheduler::store::{AzureStore, ConversationStore, KeyRange, MAX_COMMIT_OPERATIONS, Operation, StoreError};
use mcp_scheduler::testing::sealer;

use crate::store::suite::{
    HERE, all, assert_conflict, assert_refused, change, commit_one, delete_whatever_is_there, insert, put, replace,
    value_of,
};
use crate::support::azurite::{self, azurite};
use crate::support::proxy::Mishap::{AnswerCutShort, AnswerLost, Refused, RequestLost};
use crate::support::proxy::Proxy;

/// A store whose tables are behind a proxy.
pub async fn behind_proxy() -> (AzureStore, Proxy) {
    let proxy = Proxy::before(azurite().tables).await;
    let connection = azurite::connection_string(proxy.address, azurite().queues);
    let store = azurite::store_at(&connection, &azurite::fresh_names());
    store.create().await.unwrap();
    proxy.seen();
    (store, proxy)
}

fn is_unknown<T>(result: &Result<T, StoreError>) -> bool {
    matches!(result, Err(StoreError::Unknown(_)))
}

fn is_unavailable<T>(result: &Result<T, StoreError>) -> bool {
    matches!(result, Err(StoreError::Unavailable(_)))
}

#[tokio::test]
async fn a_commit_whose_answer_is_lost_is_unknown_and_was_applied_once() {
    let (store, proxy) = behind_proxy().await;
    let table = store.conversations();
    for (key, mishap) in [("lost", AnswerLost), ("cut", AnswerCutShort)] {
        // The connection has been used before, so a client that repeats lost requests would do it here.
        assert_eq!(value_of(&*table, key).await, None);
        proxy.seen();
        proxy.then([mishap]);
        let result = commit_one(&*table, insert(key, "v")).await;
        assert!(is_unknown(&result), "{mishap:?} gave {result:?}");
        assert_eq!(proxy.seen().len(), 1, "the client must not repeat a commit by itself");
        assert_eq!(value_of(&*table, key).await.as_deref(), Some("v"));
    }
}

#[tokio::test]
async fn a_commit_whose_request_is_lost_is_unknown_and_not_repeated() {
    let (store, proxy) = behind_proxy().await;
    let table = store.conversations();
    assert_eq!(value_of(&*table, "k").await, None);
    proxy.seen();
    proxy.then([RequestLost]);
    let result = commit_one(&*table, insert("k", "v")).await;
    assert!(is_unknown(&result), "{result:?}");
    assert_eq!(proxy.seen().len(), 1);
    assert_eq!(value_of(&*table, "k").await, None);
}

#[tokio::test]
async fn the_status_of_a_failed_commit_decides_between_unavailable_unknown_and_refused() {
    let (store, proxy) = behind_proxy().await;
    let table = store.conversations();
    for status in [401, 403, 429, 503] {
        proxy.then([Refused(status)]);
        let result = commit_one(&*table, insert("k", "v")).await;
        assert!(is_unavailable(&result), "{status} gave {result:?}");
    }
    for status in [408, 500, 502, 504] {
        proxy.then([Refused(status)]);
        let result = commit_one(&*table, insert("k", "v")).await;
        assert!(is_unknown(&result), "{status} gave {result:?}");
    }
    for status in [400, 413] {
        proxy.then([Refused(status)]);
        assert_refused(commit_one(&*table, insert("k", "v")).await);
    }
    assert_eq!(proxy.seen().len(), 10, "nothing is repeated");
    assert_eq!(all(&*table).await, []);
}

#[tokio::test]
async fn every_failed_read_is_unavailable() {
    let (store, proxy) = behind_proxy().await;
    let table = store.conversations();
    for mishap in [RequestLost, AnswerLost, AnswerCutShort, Refused(403), Refused(429), Refused(500), Refused(503)] {
        proxy.then([mishap, mishap]);
        let (got, scanned) = (table.get(HERE, "k").await, table.scan(HERE, &KeyRange::prefix(""), 10).await);
        assert!(is_unavailable(&got), "{mishap:?} gave {got:?}");
        assert!(is_unavailable(&scanned), "{mishap:?} gave {scanned:?}");
    }
}

#[tokio::test]
async fn a_refused_connection_is_unavailable_and_the_error_shows_no_address() {
    // The listener is dropped, so nothing listens on its port.
    let nobody = std::net::TcpListener::bind(("127.0.0.1", 0)).unwrap().local_addr().unwrap();
    let store = azurite::store_at(&azurite::connection_string(nobody, nobody), &azurite::fresh_names());
    let table = store.conversations();
    let results = [commit_one(&*table, insert("k", "v")).await.map(drop), table.get(HERE, "k").await.map(drop)];
    for result in results {
        assert!(is_unavailable(&result), "{result:?}");
        let error = result.unwrap_err();
        let shown = format!("{error:?} {error}");
        assert!(!shown.contains(azurite::KEY) && !shown.contains("127.0.0.1"), "{shown}");
    }
}

#[tokio::test]
async fn an_insert_creates_the_table_and_a_read_without_it_finds_nothing() {
    let table = azurite::store().conversations();
    assert_eq!(value_of(&*table, "k").await, None);
    assert_eq!(all(&*table).await, []);
    assert_conflict(commit_one(&*table, delete_whatever_is_there("k")).await);
    put(&*table, "k", "v").await;
    assert_eq!(value_of(&*table, "k").await.as_deref(), Some("v"));
}

#[tokio::test]
async fn many_first_inserts_at_once_create_one_table() {
    let table = azurite::store().conversations();
    let inserts = (0..8).map(|i| {
        let table = std::sync::Arc::clone(&table);
        tokio::spawn(async move { put(&*table, &format!("k{i}"), "v").await })
    });
    futures_util::future::join_all(inserts).await.into_iter().for_each(|insert| drop(insert.unwrap()));
    assert_eq!(all(&*table).await.len(), 8);
}

#[tokio::test]
async fn a_group_whose_answer_is_lost_is_applied_as_a_whole() {
    let (store, proxy) = behind_proxy().await;
    let table = store.conversations();
    let etag = put(&*table, "main", "old").await;
    put(&*table, "due1", "v").await;
    proxy.then([AnswerLost]);
    let group = vec![replace("main", "new", &etag), delete_whatever_is_there("due1"), insert("due2", "v")];
    assert!(is_unknown(&table.commit(HERE, group).await.map_err(Into::into)));
    let rows: Vec<_> = all(&*table).await.into_iter().map(|row| (row.key, row.value)).collect();
    assert_eq!(rows, [("due2", "v"), ("main", "new")].map(|(k, v)| (k.to_owned(), v.to_owned())));
}

#[tokio::test]
async fn an_etag_that_was_lost_with_its_answer_can_be_read() {
    let (store, proxy) = behind_proxy().await;
    let table = store.conversations();
    let old = put(&*table, "k", "1").await;
    proxy.then([AnswerLost]);
    assert!(is_unknown(&commit_one(&*table, replace("k", "2", &old)).await));
    assert_conflict(commit_one(&*table, replace("k", "3", &old)).await);
    let read = table.get(HERE, "k").await.unwrap().unwrap();
    assert_eq!(read.value, "2");
    change(&*table, "k", "3", &read.etag).await;
}

#[tokio::test]
async fn a_long_scan_takes_few_calls_and_reads_at_most_limit_rows() {
    let (store, proxy) = behind_proxy().await;
    let table = store.conversations();
    let keys: Vec<String> = (0..1_100).map(|i| format!("k{i:04}")).collect();
    for chunk in keys.chunks(MAX_COMMIT_OPERATIONS) {
        table.commit(HERE, chunk.iter().map(|key| insert(key, "v")).collect()).await.unwrap();
    }
    for (limit, calls) in [(1, 1), (1_000, 1), (1_001, 2), (5_000, 2)] {
        proxy.seen();
        let rows = table.scan(HERE, &KeyRange::prefix("k"), limit).await.unwrap();
        assert_eq!(rows.len(), limit.min(1_100));
        assert_eq!(proxy.seen().len(), calls, "for a limit of {limit}");
    }
}

#[tokio::test]
async fn a_scan_that_fails_in_the_middle_returns_no_rows() {
    let (store, proxy) = behind_proxy().await;
    let table = store.conversations();
    let inserts: Vec<Operation> = (0..1_050).map(|i| insert(&format!("k{i:04}"), "v")).collect();
    for chunk in inserts.chunks(MAX_COMMIT_OPERATIONS) {
        table.commit(HERE, chunk.to_vec()).await.unwrap();
    }
    proxy.then([crate::support::proxy::Mishap::None, Refused(503)]);
    let result = table.scan(HERE, &KeyRange::prefix("k"), 5_000).await;
    assert!(is_unavailable(&result), "{:?}", result.map(|rows| rows.len()));
}

#[tokio::test]
async fn a_value_too_long_for_an_entity_is_refused_and_not_written() {
    let table = azurite::store().conversations();
    put(&*table, "k", "v").await;
    assert_refused(commit_one(&*table, insert("long", &"x".repeat(530_000))).await);
    assert_eq!(all(&*table).await.len(), 1);
    let fits = "日".repeat(520_000);
    put(&*table, "fits", &fits).await;
    assert!(value_of(&*table, "fits").await.is_some_and(|value| value == fits));
}

#[tokio::test]
async fn keys_with_filter_syntax_are_refused() {
    let table = azurite::store().conversations();
    assert_refused(table.get(HERE, "x' or '1' eq '1").await);
    let range = KeyRange { from: "a".to_owned(), to: "z' or RowKey ge 'a".to_owned() };
    assert_refused(table.scan(HERE, &range, 10).await);
}

fn conversation() -> WholeConversation {
    let now = Timestamp::from_millis(1_900_000_000_000);
    let request = ScheduleRequest {
        conversation_text: Some("hello".to_owned()),
        scheduled_time: Some(now.to_string()),
        endpoint: Some("https://example.com/hook".to_owned()),
        ..ScheduleRequest::default()
    };
    let new = request.validate(now, &EndpointPolicy::default()).unwrap();
    WholeConversation::new(ConversationId::new(now, &[7; 10]), "client".parse().unwrap(), new, now)
}

/// The conversation store reads after an unknown result, and so finds out what the table cannot know.
#[tokio::test]
async fn a_conversation_is_added_once_although_the_answer_is_lost() {
    let (store, proxy) = behind_proxy().await;
    let conversations = ConversationStore::new(store.conversations(), sealer());
    let new = conversation();
    proxy.then([AnswerLost]);
    conversations.insert(&new).await.unwrap();
    assert_eq!(proxy.seen().len(), 2, "the second insert finds the row of the first");
    let read = conversations.get(new.conversation.client(), new.conversation.id()).await.unwrap().unwrap();
    proxy.then([AnswerLost]);
    let cancelled = read.value.clone().cancel(Timestamp::from_millis(1_900_000_000_000)).unwrap();
    conversations.replace(read.revision, &cancelled).await.unwrap();
}
