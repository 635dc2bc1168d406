//! Etags: each belongs to one state of one row, and never to another.

use std::collections::HashSet;

use mcp_scheduler::store::{KeyRange, Table};

use super::{
    HERE, assert_conflict, change, commit_one, delete, delete_whatever_is_there, insert, put, replace, value_of,
};

pub async fn every_write_gives_a_new_etag_even_of_the_same_value(table: &dyn Table) {
    let mut etag = put(table, "k", "v").await;
    let mut seen = HashSet::from([etag.clone()]);
    for value in ["v", "v", "w", "v", "w"] {
        etag = change(table, "k", value, &etag).await;
        assert!(seen.insert(etag.clone()), "{etag:?} was seen before");
    }
}

pub async fn no_etag_is_used_again_after_a_deletion(table: &dyn Table) {
    let mut seen = HashSet::new();
    for _ in 0..5 {
        let inserted = put(table, "k", "v").await;
        let replaced = change(table, "k", "v", &inserted).await;
        commit_one(table, delete("k", &replaced)).await.unwrap();
        for etag in [inserted, replaced] {
            assert!(seen.insert(etag.clone()), "{etag:?} was seen before");
        }
    }
}

pub async fn etags_come_in_the_order_of_the_operations_and_none_for_deletions(table: &dyn Table) {
    let replaced = put(table, "m", "v").await;
    let deleted = put(table, "n", "v").await;
    put(table, "o", "v").await;
    let group = vec![
        insert("z", "w"),
        delete("n", &deleted),
        replace("m", "w", &replaced),
        delete_whatever_is_there("o"),
        insert("a", "w"),
    ];
    let keys: Vec<String> = group.iter().map(|operation| operation.key().to_owned()).collect();
    let etags = table.commit(HERE, group).await.unwrap();
    assert_eq!(etags.len(), keys.len());
    for (key, etag) in keys.iter().zip(etags) {
        let row = table.get(HERE, key).await.unwrap();
        assert_eq!(row.map(|row| row.etag), etag, "the etag of {key}");
    }
}

pub async fn reads_show_the_etag_that_the_commit_returned(table: &dyn Table) {
    let inserted = put(table, "k", "v").await;
    assert_eq!(table.get(HERE, "k").await.unwrap().unwrap().etag, inserted);
    let replaced = change(table, "k", "w", &inserted).await;
    assert_eq!(table.get(HERE, "k").await.unwrap().unwrap().etag, replaced);
    let scanned = table.scan(HERE, &KeyRange::prefix("k"), 1).await.unwrap();
    assert_eq!(scanned[0].etag, replaced);
}

pub async fn a_returned_etag_can_be_used_at_once(table: &dyn Table) {
    let mut etag = put(table, "k", "0").await;
    for i in 1..=20 {
        etag = change(table, "k", &i.to_string(), &etag).await;
    }
    assert_eq!(value_of(table, "k").await.as_deref(), Some("20"));
    commit_one(table, delete("k", &etag)).await.unwrap();
}

pub async fn a_change_keeps_the_etags_of_other_rows(table: &dyn Table) {
    let changed = put(table, "a", "v").await;
    let left_alone = put(table, "b", "v").await;
    change(table, "a", "w", &changed).await;
    put(table, "c", "v").await;
    change(table, "b", "w", &left_alone).await;
}

pub async fn a_failed_commit_keeps_the_etag(table: &dyn Table) {
    let stale = put(table, "k", "v").await;
    let current = change(table, "k", "w", &stale).await;
    assert_conflict(commit_one(table, replace("k", "x", &stale)).await);
    assert_conflict(commit_one(table, insert("k", "x")).await);
    assert_eq!(table.get(HERE, "k").await.unwrap().unwrap().etag, current);
    change(table, "k", "x", &current).await;
}

pub async fn rows_written_in_one_commit_change_independently_afterwards(table: &dyn Table) {
    let etags = table.commit(HERE, vec![insert("a", "v"), insert("b", "v")]).await.unwrap();
    let [Some(a), Some(b)] = <[_; 2]>::try_from(etags).unwrap() else { panic!("an insert has an etag") };
    change(table, "a", "w", &a).await;
    change(table, "b", "w", &b).await;
    assert_conflict(commit_one(table, replace("a", "x", &a)).await);
}
