//! Several operations in one commit: all of them are applied, or none.

use mcp_scheduler::store::{CommitError, MAX_COMMIT_OPERATIONS, Operation, Table};

use super::{
    HERE, all, assert_conflict, assert_refused, change, commit_one, delete, delete_whatever_is_there, insert, keys_of,
    put, replace, value_of,
};

pub async fn inserts_replaces_and_deletes_are_applied_together(table: &dyn Table) {
    let replaced = put(table, "a", "old").await;
    let deleted = put(table, "b", "old").await;
    put(table, "c", "old").await;
    let group = vec![
        insert("d", "new"),
        replace("a", "new", &replaced),
        delete("b", &deleted),
        delete_whatever_is_there("c"),
        insert("e", "new"),
    ];
    table.commit(HERE, group).await.unwrap();
    let rows: Vec<_> = all(table).await.into_iter().map(|row| (row.key, row.value)).collect();
    assert_eq!(rows, ["a", "d", "e"].map(|key| (key.to_owned(), "new".to_owned())));
}

/// Commits an operation whose condition fails before, between and after operations whose conditions hold.
async fn assert_undoes_its_group(table: &dyn Table, broken: Operation) {
    let replaced = put(table, "sound.replaced", "old").await;
    let deleted = put(table, "sound.deleted", "old").await;
    put(table, "sound.deleted-blindly", "old").await;
    let sound = [
        insert("sound.inserted", "new"),
        replace("sound.replaced", "new", &replaced),
        delete("sound.deleted", &deleted),
        delete_whatever_is_there("sound.deleted-blindly"),
    ];
    let before = all(table).await;
    for position in 0..=sound.len() {
        let mut group = sound.to_vec();
        group.insert(position, broken.clone());
        assert_conflict(table.commit(HERE, group).await);
        assert_eq!(all(table).await, before, "the broken operation is number {position}");
    }
    table.commit(HERE, sound.to_vec()).await.expect("without it the group is sound");
}

pub async fn one_insert_of_an_existing_row_undoes_the_whole_group(table: &dyn Table) {
    put(table, "k", "v").await;
    assert_undoes_its_group(table, insert("k", "again")).await;
}

pub async fn one_stale_replace_undoes_the_whole_group(table: &dyn Table) {
    let stale = put(table, "k", "v").await;
    change(table, "k", "w", &stale).await;
    assert_undoes_its_group(table, replace("k", "x", &stale)).await;
}

pub async fn one_replace_of_a_missing_row_undoes_the_whole_group(table: &dyn Table) {
    let of_another = put(table, "k", "v").await;
    assert_undoes_its_group(table, replace("nothing", "x", &of_another)).await;
}

pub async fn one_stale_delete_undoes_the_whole_group(table: &dyn Table) {
    let stale = put(table, "k", "v").await;
    change(table, "k", "w", &stale).await;
    assert_undoes_its_group(table, delete("k", &stale)).await;
}

pub async fn one_delete_of_a_missing_row_undoes_the_whole_group(table: &dyn Table) {
    assert_undoes_its_group(table, delete_whatever_is_there("nothing")).await;
}

pub async fn a_failed_group_can_be_tried_again_with_the_same_etags(table: &dyn Table) {
    let etag = put(table, "k", "v").await;
    put(table, "taken", "v").await;
    assert_conflict(table.commit(HERE, vec![replace("k", "w", &etag), insert("taken", "w")]).await);
    table.commit(HERE, vec![replace("k", "w", &etag), insert("free", "w")]).await.unwrap();
    assert_eq!(value_of(table, "k").await.as_deref(), Some("w"));
}

pub async fn a_conflict_names_the_first_operation_whose_condition_does_not_hold(table: &dyn Table) {
    put(table, "taken", "v").await;
    put(table, "taken-too", "v").await;
    for (position, group) in [
        (0, vec![insert("taken", "w"), insert("a", "w"), insert("b", "w")]),
        (1, vec![insert("a", "w"), insert("taken", "w"), insert("taken-too", "w")]),
        (2, vec![insert("a", "w"), insert("b", "w"), delete_whatever_is_there("nothing")]),
    ] {
        let result = table.commit(HERE, group).await;
        assert!(
            matches!(result, Err(CommitError::Conflict { operation: Some(named) }) if named == position),
            "expected a conflict of operation {position}, got {result:?}"
        );
    }
}

fn inserts(count: usize) -> Vec<Operation> {
    (0..count).map(|i| insert(&format!("k{i:03}"), "v")).collect()
}

pub async fn a_hundred_operations_are_one_commit(table: &dyn Table) {
    let etags = table.commit(HERE, inserts(MAX_COMMIT_OPERATIONS)).await.unwrap();
    assert_eq!(etags.len(), 100);
    assert_eq!(all(table).await.len(), 100);
    let deletes = etags.iter().enumerate().map(|(i, etag)| delete(&format!("k{i:03}"), etag.as_ref().unwrap()));
    table.commit(HERE, deletes.collect()).await.unwrap();
    assert_eq!(all(table).await, []);
}

pub async fn a_hundred_operations_with_a_broken_last_one_leave_nothing(table: &dyn Table) {
    put(table, "k099", "was here before").await;
    assert_conflict(table.commit(HERE, inserts(MAX_COMMIT_OPERATIONS)).await);
    assert_eq!(keys_of(all(table).await), ["k099"]);
    assert_eq!(value_of(table, "k099").await.as_deref(), Some("was here before"));
}

pub async fn a_hundred_and_one_operations_are_refused(table: &dyn Table) {
    assert_refused(table.commit(HERE, inserts(MAX_COMMIT_OPERATIONS + 1)).await);
    assert_eq!(all(table).await, []);
}

pub async fn a_commit_without_operations_is_refused(table: &dyn Table) {
    assert_refused(table.commit(HERE, Vec::new()).await);
}

pub async fn one_key_twice_in_a_commit_is_refused(table: &dyn Table) {
    let etag = put(table, "old", "v").await;
    let before = all(table).await;
    for pair in [
        [insert("new", "v"), insert("new", "v")],
        [insert("new", "v"), delete_whatever_is_there("new")],
        [delete("old", &etag), insert("old", "w")],
        [replace("old", "w", &etag), replace("old", "x", &etag)],
    ] {
        let [first, second] = pair;
        assert_refused(table.commit(HERE, vec![first, insert("between", "v"), second]).await);
    }
    assert_eq!(all(table).await, before);
}

pub async fn keys_outside_the_alphabet_are_refused(table: &dyn Table) {
    let etag = put(table, "k", "v").await;
    let too_long = "k".repeat(513);
    for key in [
        "", " ", "a b", "a/b", "a\\b", "a#b", "a?b", "a%b", "a'b", "a\"b", "a+b", "a|b", "a,b", "a:b", "a\0b", "a\tb",
        "a\nb", "a\x7fb", "ä", "日", &too_long,
    ] {
        for operation in [insert(key, "v"), replace(key, "v", &etag), delete(key, &etag), delete_whatever_is_there(key)]
        {
            assert_refused(commit_one(table, operation).await);
        }
    }
    assert_eq!(keys_of(all(table).await), ["k"]);
}

pub async fn one_illegal_key_refuses_the_whole_group(table: &dyn Table) {
    assert_refused(table.commit(HERE, vec![insert("a", "v"), insert("b", "v"), insert("c/d", "v")]).await);
    assert_eq!(all(table).await, []);
}
