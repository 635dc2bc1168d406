//! One operation in a commit: each condition, when it holds and when it fails.

use mcp_scheduler::store::Table;

use super::{
    HERE, all, assert_conflict, change, commit_one, delete, delete_whatever_is_there, insert, put, replace,
    replace_whatever_is_there, value_of,
};

pub async fn an_inserted_row_is_read_back(table: &dyn Table) {
    let etag = put(table, "k", "v").await;
    let row = table.get(HERE, "k").await.unwrap().expect("the row is there");
    assert_eq!((row.key.as_str(), row.value.as_str(), row.etag), ("k", "v", etag));
}

pub async fn a_row_that_was_never_written_is_not_there(table: &dyn Table) {
    put(table, "k", "v").await;
    assert_eq!(value_of(table, "l").await, None);
}

pub async fn inserting_an_existing_row_conflicts_and_keeps_it(table: &dyn Table) {
    put(table, "k", "first").await;
    let before = all(table).await;
    assert_conflict(commit_one(table, insert("k", "second")).await);
    assert_conflict(commit_one(table, insert("k", "first")).await);
    assert_eq!(all(table).await, before);
}

pub async fn a_deleted_row_can_be_inserted_again(table: &dyn Table) {
    let etag = put(table, "k", "first").await;
    commit_one(table, delete("k", &etag)).await.unwrap();
    put(table, "k", "second").await;
    assert_eq!(value_of(table, "k").await.as_deref(), Some("second"));
}

pub async fn replacing_with_the_current_etag_changes_the_value(table: &dyn Table) {
    let etag = put(table, "k", "first").await;
    change(table, "k", "second", &etag).await;
    assert_eq!(value_of(table, "k").await.as_deref(), Some("second"));
}

pub async fn replacing_with_a_stale_etag_conflicts_and_keeps_the_row(table: &dyn Table) {
    let stale = put(table, "k", "first").await;
    change(table, "k", "second", &stale).await;
    let before = all(table).await;
    assert_conflict(commit_one(table, replace("k", "third", &stale)).await);
    assert_eq!(all(table).await, before);
}

pub async fn replacing_a_row_that_was_never_written_conflicts_and_writes_none(table: &dyn Table) {
    let of_another = put(table, "k", "v").await;
    assert_conflict(commit_one(table, replace("l", "v", &of_another)).await);
    assert_eq!(value_of(table, "l").await, None);
}

pub async fn replacing_a_deleted_row_with_its_last_etag_conflicts(table: &dyn Table) {
    let etag = put(table, "k", "v").await;
    commit_one(table, delete("k", &etag)).await.unwrap();
    assert_conflict(commit_one(table, replace("k", "back", &etag)).await);
    assert_eq!(value_of(table, "k").await, None);
}

pub async fn replacing_a_row_that_was_deleted_and_inserted_again_conflicts(table: &dyn Table) {
    let of_the_first = put(table, "k", "v").await;
    commit_one(table, delete("k", &of_the_first)).await.unwrap();
    put(table, "k", "v").await;
    assert_conflict(commit_one(table, replace("k", "w", &of_the_first)).await);
    assert_eq!(value_of(table, "k").await.as_deref(), Some("v"));
}

pub async fn deleting_with_the_current_etag_removes_the_row(table: &dyn Table) {
    let etag = put(table, "k", "v").await;
    let etag = change(table, "k", "w", &etag).await;
    commit_one(table, delete("k", &etag)).await.unwrap();
    assert_eq!(value_of(table, "k").await, None);
    assert_eq!(all(table).await, []);
}

pub async fn deleting_with_a_stale_etag_conflicts_and_keeps_the_row(table: &dyn Table) {
    let stale = put(table, "k", "first").await;
    change(table, "k", "second", &stale).await;
    let before = all(table).await;
    assert_conflict(commit_one(table, delete("k", &stale)).await);
    assert_eq!(all(table).await, before);
}

pub async fn deleting_a_missing_row_with_an_etag_conflicts(table: &dyn Table) {
    let of_another = put(table, "k", "v").await;
    assert_conflict(commit_one(table, delete("l", &of_another)).await);
}

pub async fn deleting_without_an_etag_removes_the_row_whatever_its_state(table: &dyn Table) {
    let etag = put(table, "k", "v").await;
    change(table, "k", "w", &etag).await;
    commit_one(table, delete_whatever_is_there("k")).await.unwrap();
    assert_eq!(value_of(table, "k").await, None);
}

pub async fn deleting_a_missing_row_without_an_etag_conflicts(table: &dyn Table) {
    assert_conflict(commit_one(table, delete_whatever_is_there("k")).await);
}

pub async fn deleting_twice_conflicts(table: &dyn Table) {
    let etag = put(table, "k", "v").await;
    commit_one(table, delete("k", &etag)).await.unwrap();
    assert_conflict(commit_one(table, delete("k", &etag)).await);
    assert_conflict(commit_one(table, delete_whatever_is_there("k")).await);
}

pub async fn the_etag_of_one_row_does_not_fit_another(table: &dyn Table) {
    put(table, "k", "v").await;
    let of_another = put(table, "l", "v").await;
    assert_conflict(commit_one(table, replace("k", "w", &of_another)).await);
    assert_conflict(commit_one(table, delete("k", &of_another)).await);
    assert_eq!(value_of(table, "k").await.as_deref(), Some("v"));
}

pub async fn replacing_without_an_etag_changes_the_row_whatever_its_state(table: &dyn Table) {
    let etag = put(table, "k", "first").await;
    change(table, "k", "second", &etag).await;
    commit_one(table, replace_whatever_is_there("k", "third")).await.unwrap();
    assert_eq!(value_of(table, "k").await.as_deref(), Some("third"));
}

pub async fn replacing_a_missing_row_without_an_etag_conflicts_and_makes_none(table: &dyn Table) {
    assert_conflict(commit_one(table, replace_whatever_is_there("k", "v")).await);
    assert_eq!(value_of(table, "k").await, None);
}
