//! Partitions and keys: which are different, and in which order a scan returns them.

use mcp_scheduler::store::{KeyRange, Partition, Table};

use super::{
    HERE, THERE, all, all_of, assert_conflict, commit_one, delete, fill, insert, keys_of, put, replace, value_of,
};

pub async fn the_same_key_in_two_partitions_names_two_rows(table: &dyn Table) {
    table.commit(HERE, vec![insert("k", "here")]).await.unwrap();
    table.commit(THERE, vec![insert("k", "there")]).await.unwrap();
    assert_eq!(table.get(HERE, "k").await.unwrap().unwrap().value, "here");
    let there = table.get(THERE, "k").await.unwrap().unwrap();
    assert_eq!(there.value, "there");
    table.commit(THERE, vec![delete("k", &there.etag)]).await.unwrap();
    assert_eq!(value_of(table, "k").await.as_deref(), Some("here"));
}

pub async fn a_scan_stays_in_its_partition(table: &dyn Table) {
    table.commit(HERE, vec![insert("a", "v"), insert("c", "v")]).await.unwrap();
    table.commit(THERE, vec![insert("b", "v"), insert("d", "v")]).await.unwrap();
    assert_eq!(keys_of(all_of(table, HERE).await), ["a", "c"]);
    assert_eq!(keys_of(all_of(table, THERE).await), ["b", "d"]);
    assert_eq!(all_of(table, Partition::new("nowhere")).await, []);
}

pub async fn an_etag_does_not_fit_a_row_of_another_partition(table: &dyn Table) {
    let here = put(table, "k", "v").await;
    table.commit(THERE, vec![insert("other", "v")]).await.unwrap();
    assert_conflict(table.commit(THERE, vec![replace("k", "w", &here)]).await);
    assert_conflict(table.commit(THERE, vec![delete("k", &here)]).await);
    assert_eq!(value_of(table, "k").await.as_deref(), Some("v"));
}

pub async fn partition_and_key_are_not_joined_into_one_name(table: &dyn Table) {
    let (short, long) = (Partition::new("a"), Partition::new("ab"));
    table.commit(short, vec![insert("bc", "of a")]).await.unwrap();
    table.commit(long, vec![insert("c", "of ab")]).await.unwrap();
    assert_eq!(keys_of(all_of(table, short).await), ["bc"]);
    assert_eq!(keys_of(all_of(table, long).await), ["c"]);
    assert_eq!(table.get(short, "c").await.unwrap(), None);
}

pub async fn keys_that_differ_only_in_case_name_two_rows(table: &dyn Table) {
    put(table, "key", "lower").await;
    put(table, "KEY", "upper").await;
    assert_eq!(value_of(table, "key").await.as_deref(), Some("lower"));
    assert_eq!(value_of(table, "KEY").await.as_deref(), Some("upper"));
    assert_eq!(value_of(table, "Key").await, None);
}

pub async fn a_key_is_not_its_own_prefix(table: &dyn Table) {
    put(table, "key", "v").await;
    assert_eq!(value_of(table, "ke").await, None);
    assert_eq!(value_of(table, "key-").await, None);
    put(table, "ke", "w").await;
    assert_eq!(value_of(table, "key").await.as_deref(), Some("v"));
}

/// All characters of keys, in the order of their bytes.
const ALPHABET: &str = "-.0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ_abcdefghijklmnopqrstuvwxyz~";

pub async fn rows_come_in_the_order_of_the_bytes_of_their_keys(table: &dyn Table) {
    // Each character alone, and in the middle of a key, as our own rows use it.
    let mut keys: Vec<String> = ALPHABET.chars().flat_map(|c| [c.to_string(), format!("m{c}z")]).collect();
    keys.reverse();
    fill(table, &keys).await;
    keys.sort_unstable_by(|a, b| a.as_bytes().cmp(b.as_bytes()));
    assert_eq!(keys_of(all(table).await), keys);
}

pub async fn a_key_comes_before_the_keys_that_continue_it(table: &dyn Table) {
    let keys = ["a", "a-", "a--", "a-a", "a.", "a0", "aa", "aaa", "a~", "b"].map(str::to_owned);
    fill(table, &keys).await;
    assert_eq!(keys_of(all(table).await), keys);
}

pub async fn keys_of_512_bytes_that_differ_in_the_last_byte_are_two(table: &dyn Table) {
    let keys: Vec<String> = ["-", "0", "a", "~"].map(|last| "k".repeat(511) + last).into();
    fill(table, &keys).await;
    assert_eq!(keys_of(all(table).await), keys);
    let row = table.get(HERE, &keys[2]).await.unwrap().expect("the row is there");
    assert_eq!((&row.key, &row.value), (&keys[2], &keys[2]));
    commit_one(table, replace(&keys[2], "w", &row.etag)).await.unwrap();
    let range = KeyRange { from: keys[1].clone(), to: keys[3].clone() };
    assert_eq!(keys_of(table.scan(HERE, &range, 10).await.unwrap()), keys[1..3]);
    // The key after the longest one is too long to be written, but it can be the bound of a range.
    let behind = table.scan(HERE, &KeyRange::prefix("k").after(&keys[2]), 10).await.unwrap();
    assert_eq!(keys_of(behind), keys[3..]);
}
