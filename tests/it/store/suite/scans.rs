//! Ranges, limits and pages.

use mcp_scheduler::store::{KeyRange, Table};

use super::{HERE, all, change, commit_one, delete, fill, keys_of, put, scanned_keys};

fn range(from: &str, to: &str) -> KeyRange {
    KeyRange { from: from.to_owned(), to: to.to_owned() }
}

async fn fill_with<const N: usize>(table: &dyn Table, keys: [&str; N]) {
    fill(table, &keys.map(str::to_owned)).await;
}

pub async fn an_empty_table_has_an_empty_scan(table: &dyn Table) {
    assert_eq!(all(table).await, []);
    assert_eq!(table.scan(HERE, &range("a", "z"), 1).await.unwrap(), []);
}

pub async fn a_range_includes_its_beginning_and_excludes_its_end(table: &dyn Table) {
    fill_with(table, ["a", "b", "c", "d"]).await;
    assert_eq!(scanned_keys(table, &range("b", "d"), 10).await, ["b", "c"]);
    assert_eq!(scanned_keys(table, &range("b", "b-"), 10).await, ["b"]);
}

pub async fn the_ends_of_a_range_need_not_exist(table: &dyn Table) {
    fill_with(table, ["b", "d", "f"]).await;
    assert_eq!(scanned_keys(table, &range("a", "e"), 10).await, ["b", "d"]);
    assert_eq!(scanned_keys(table, &range("c", "z"), 10).await, ["d", "f"]);
    assert_eq!(scanned_keys(table, &range("b0", "c~"), 10).await, [""; 0]);
}

pub async fn a_range_that_ends_before_it_begins_is_empty(table: &dyn Table) {
    fill_with(table, ["a", "b", "c"]).await;
    assert_eq!(scanned_keys(table, &range("b", "b"), 10).await, [""; 0]);
    assert_eq!(scanned_keys(table, &range("c", "a"), 10).await, [""; 0]);
}

pub async fn a_range_can_include_both_of_its_ends(table: &dyn Table) {
    fill_with(table, ["a", "b", "b0", "b~", "c", "c0"]).await;
    assert_eq!(scanned_keys(table, &KeyRange::including("b", "c"), 10).await, ["b", "b0", "b~", "c"]);
    assert_eq!(scanned_keys(table, &KeyRange::including("b", "b"), 10).await, ["b"]);
}

pub async fn the_order_does_not_depend_on_the_order_of_writing(table: &dyn Table) {
    for key in ["m", "c", "z", "a", "q"] {
        put(table, key, "v").await;
    }
    let etag = table.get(HERE, "c").await.unwrap().unwrap().etag;
    change(table, "c", "changed last", &etag).await;
    assert_eq!(keys_of(all(table).await), ["a", "c", "m", "q", "z"]);
}

pub async fn a_scan_returns_at_most_limit_rows(table: &dyn Table) {
    fill_with(table, ["a", "b", "c", "d"]).await;
    assert_eq!(scanned_keys(table, &range("b", "z"), 1).await, ["b"]);
    assert_eq!(scanned_keys(table, &range("b", "z"), 2).await, ["b", "c"]);
    assert_eq!(scanned_keys(table, &range("b", "z"), 3).await, ["b", "c", "d"]);
    assert_eq!(scanned_keys(table, &range("b", "z"), 4).await, ["b", "c", "d"]);
}

pub async fn a_limit_of_zero_returns_nothing(table: &dyn Table) {
    fill_with(table, ["a", "b"]).await;
    assert_eq!(scanned_keys(table, &range("a", "z"), 0).await, [""; 0]);
}

pub async fn a_prefix_holds_its_keys_and_no_others(table: &dyn Table) {
    fill_with(table, ["a~", "a~-", "a~0", "a~Z", "a~z", "a~~", "a~~~"]).await;
    fill_with(table, ["A~", "a", "a-", "aa~", "b~"]).await;
    assert_eq!(
        scanned_keys(table, &KeyRange::prefix("a~"), 100).await,
        ["a~", "a~-", "a~0", "a~Z", "a~z", "a~~", "a~~~"]
    );
}

pub async fn the_range_after_a_key_begins_at_the_very_next_one(table: &dyn Table) {
    fill_with(table, ["a", "a-", "a--", "a0", "b"]).await;
    let behind = |key: &str| KeyRange::prefix("").after(key);
    assert_eq!(scanned_keys(table, &behind("a"), 100).await, ["a-", "a--", "a0", "b"]);
    assert_eq!(scanned_keys(table, &behind("a-"), 100).await, ["a--", "a0", "b"]);
    assert_eq!(scanned_keys(table, &behind("a~"), 100).await, ["b"]);
    assert_eq!(scanned_keys(table, &behind("b"), 100).await, [""; 0]);
}

/// A row that exists during the whole scan is on exactly one page, whatever happens to other rows.
pub async fn pages_lose_and_repeat_no_row_while_others_are_added_and_deleted(table: &dyn Table) {
    let lasting: Vec<String> = (0..60).map(|i| format!("k{i:02}~lasting")).collect();
    let passing: Vec<String> = (0..60).step_by(3).map(|i| format!("k{i:02}~passing")).collect();
    fill(table, &lasting).await;
    fill(table, &passing).await;
    let mut seen = Vec::new();
    let mut pages = 0;
    let mut next = KeyRange::prefix("k");
    loop {
        let page = scanned_keys(table, &next, 7).await;
        let Some(last) = page.last().cloned() else { break };
        assert!(page.len() == 7 || last >= lasting[59], "only the last page may be short");
        seen.extend(page);
        // The last row of the page is deleted, and one before and one after it. Rows are added on both sides.
        for gone in [&last, &passing[pages % passing.len()], &passing[passing.len() - 1 - pages % passing.len()]] {
            if !lasting.contains(gone)
                && let Some(row) = table.get(HERE, gone).await.unwrap()
            {
                commit_one(table, delete(gone, &row.etag)).await.unwrap();
            }
        }
        put(table, &format!("j{pages}"), "before all pages").await;
        if last < lasting[50] {
            put(table, &format!("{last}.{pages}"), "on the next page").await;
        }
        next = next.after(&last);
        pages += 1;
        assert!(pages < 100, "the pages have no end");
    }
    assert!(pages > 8, "{pages} pages are not many");
    assert!(seen.is_sorted_by(|a, b| a < b), "no row twice, and in order: {seen:?}");
    seen.retain(|key| lasting.contains(key));
    assert_eq!(seen, lasting);
}

pub async fn a_scan_returns_the_values_and_etags_that_get_returns(table: &dyn Table) {
    fill_with(table, ["a", "b", "c"]).await;
    for row in all(table).await {
        assert_eq!(table.get(HERE, &row.key).await.unwrap(), Some(row));
    }
}

pub async fn every_commit_is_seen_by_the_next_read(table: &dyn Table) {
    for i in 0..10 {
        let key = format!("k{i}");
        let etag = put(table, &key, "first").await;
        let etag = change(table, &key, "second", &etag).await;
        let rows = all(table).await;
        assert_eq!(rows.last().map(|row| (row.key.as_str(), row.value.as_str())), Some((key.as_str(), "second")));
        if i % 2 == 0 {
            commit_one(table, delete(&key, &etag)).await.unwrap();
            assert!(!keys_of(all(table).await).contains(&key));
        }
    }
    assert_eq!(keys_of(all(table).await), ["k1", "k3", "k5", "k7", "k9"]);
}

pub async fn a_scan_can_be_longer_than_a_thousand_rows(table: &dyn Table) {
    // Azure Table Storage returns at most a thousand rows at a time.
    let keys: Vec<String> = (0..1_200).map(|i| format!("k{i:04}")).collect();
    fill(table, &keys).await;
    assert_eq!(scanned_keys(table, &KeyRange::prefix("k"), 1_150).await, keys[..1_150]);
    assert_eq!(scanned_keys(table, &KeyRange::prefix("k"), 5_000).await, keys);
}
