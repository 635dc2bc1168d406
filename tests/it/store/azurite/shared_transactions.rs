//! Commits that travel together to Azurite, counted on the wire.

use std::sync::Arc;

use futures_util::future::join_all;
use mcp_scheduler::store::{CommitError, Etag, MAX_COMMIT_OPERATIONS, Operation, Table};

use super::network::behind_proxy;
use crate::store::suite::{HERE, all, delete_whatever_is_there, fill, insert, keys_of, replace_whatever_is_there};
use crate::support::azurite;
use crate::support::proxy::Mishap::{self, AnswerLost, Refused, RequestLost};

type CommitResult = Result<Vec<Option<Etag>>, CommitError>;

/// Commits all at the same time. The first goes at once, and the others meet while it is on its way.
async fn commit_all(table: &Arc<dyn Table>, commits: impl IntoIterator<Item = Vec<Operation>>) -> Vec<CommitResult> {
    join_all(commits.into_iter().map(|operations| table.commit(HERE, operations))).await
}

fn key(i: usize) -> String {
    format!("k{i:03}")
}

#[tokio::test]
async fn a_hundred_commits_at_once_take_two_transactions() {
    let (store, proxy) = behind_proxy().await;
    let table = store.conversations();
    let results = commit_all(&table, (0..100).map(|i| vec![insert(&key(i), "v")])).await;
    assert_eq!(proxy.seen().len(), 2, "the first commit, and all others");
    let etags: Vec<_> = results.into_iter().map(|result| result.unwrap()[0].clone().unwrap()).collect();
    let read: Vec<_> = all(&*table).await.into_iter().map(|row| row.etag).collect();
    assert_eq!(etags, read, "each commit got the etag of its own row");
}

#[tokio::test]
async fn commits_of_two_rows_take_a_transaction_for_each_hundred_operations() {
    let (store, proxy) = behind_proxy().await;
    let table = store.conversations();
    let commits = (0..101).map(|i| vec![insert(&format!("m~{i}"), "v"), insert(&format!("d~{i}"), "v")]);
    let results = commit_all(&table, commits).await;
    assert!(results.iter().all(Result::is_ok), "{results:?}");
    assert_eq!(proxy.seen().len(), 1 + 200_usize.div_ceil(MAX_COMMIT_OPERATIONS));
}

#[tokio::test]
async fn long_values_take_a_transaction_for_each_four_mebibytes() {
    let (store, proxy) = behind_proxy().await;
    let table = store.conversations();
    // The escape of each character is as long as two. Six of these values have 4,190,000 bytes with their escapes, and
    // 4 MiB are 4,194,304.
    let value = "\"".repeat(348_000);
    let results = commit_all(&table, (0..13).map(|i| vec![insert(&key(i), &value)])).await;
    assert!(results.iter().all(Result::is_ok), "{results:?}");
    assert_eq!(proxy.seen().len(), 3, "one value, and two times six");
    assert!(all(&*table).await.iter().all(|row| row.value == value));
}

#[tokio::test]
async fn one_commit_with_a_conflict_does_not_fail_the_others() {
    let (store, proxy) = behind_proxy().await;
    let table = store.conversations();
    fill(&*table, &["taken".to_owned()]).await;
    proxy.seen();
    let commits = (0..10).map(|i| match i {
        6 => vec![insert("new", "v"), insert("taken", "v"), insert("newer", "v")],
        _ => vec![insert(&key(i), "v"), insert(&format!("l{i}"), "v")],
    });
    let results = commit_all(&table, commits).await;
    for (i, result) in results.into_iter().enumerate() {
        match (i, result) {
            (6, Err(CommitError::Conflict { operation: Some(1) })) => {}
            (6, other) => panic!("expected a conflict of operation 1, got {other:?}"),
            (_, result) => assert_eq!(result.unwrap().len(), 2),
        }
    }
    assert_eq!(all(&*table).await.len(), 1 + 2 * 9);
    assert_eq!(proxy.seen().len(), 1 + 1 + 8 + 1, "the first, the group, eight alone, and the scan");
}

#[tokio::test]
async fn a_lost_group_is_unknown_to_all_its_commits_and_applied_as_a_whole_or_not_at_all() {
    for (mishap, applied) in [(AnswerLost, true), (RequestLost, false)] {
        let (store, proxy) = behind_proxy().await;
        let table = store.conversations();
        proxy.then([Mishap::None, mishap]);
        let mut results = commit_all(&table, (0..5).map(|i| vec![insert(&key(i), "v")])).await.into_iter();
        assert!(results.next().unwrap().is_ok());
        for result in results {
            assert!(matches!(result, Err(CommitError::Unknown(_))), "{mishap:?} gave {result:?}");
        }
        assert_eq!(proxy.seen().len(), 2, "nothing is repeated");
        assert_eq!(all(&*table).await.len(), if applied { 5 } else { 1 });
    }
}

#[tokio::test]
async fn the_commits_of_a_refused_group_go_alone() {
    let (store, proxy) = behind_proxy().await;
    let table = store.conversations();
    proxy.then([Mishap::None, Refused(413)]);
    let results = commit_all(&table, (0..5).map(|i| vec![insert(&key(i), "v")])).await;
    assert!(results.iter().all(Result::is_ok), "{results:?}");
    assert_eq!(proxy.seen().len(), 1 + 1 + 4);
}

#[tokio::test]
async fn a_value_that_is_too_long_is_refused_without_the_other_commits_of_its_group() {
    let table = azurite::store().conversations();
    let commits = ["a", "b", "long", "c"].map(|key| match key {
        "long" => vec![insert(key, &"x".repeat(530_000))],
        key => vec![insert(key, "v")],
    });
    let results = commit_all(&table, commits).await;
    assert!(matches!(results[2], Err(CommitError::Refused(_))), "{:?}", results[2]);
    assert_eq!(keys_of(all(&*table).await), ["a", "b", "c"]);
}

#[tokio::test]
async fn a_group_of_inserts_and_other_operations_creates_the_missing_table() {
    let insert = || vec![insert("new", "v")];
    let replace = || vec![replace_whatever_is_there("old", "v")];
    for (commits, inserted) in [([insert(), replace()], 0), ([replace(), insert()], 1)] {
        let table = azurite::store().conversations();
        // The first commit finds no row to delete. It does not create the table, and the others meet meanwhile.
        let first = vec![delete_whatever_is_there("old")];
        let results = commit_all(&table, [first].into_iter().chain(commits)).await;
        assert!(results[1 + inserted].is_ok(), "{results:?}");
        assert_eq!(results.iter().filter(|result| matches!(result, Err(CommitError::Conflict { .. }))).count(), 2);
        assert_eq!(keys_of(all(&*table).await), ["new"]);
    }
}
